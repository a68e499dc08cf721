//! Questions made from a zone's own names and types, and from names near them: siblings, names below, wildcards taken
//! literally and filled in, names below cuts, other case, canonical neighbours.

use std::collections::BTreeSet;

use wire::{LABEL_BYTES_MAX, Name, NameRef, Rtype};

use crate::{Contents, Question, Random};

/// Types that are asked at any name, also where there are none.
const TYPES: [Rtype; 24] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::NS,
    Rtype::SOA,
    Rtype::MX,
    Rtype::TXT,
    Rtype::CNAME,
    Rtype::DNAME,
    Rtype::DS,
    Rtype::DNSKEY,
    Rtype::NSEC,
    Rtype::NSEC3,
    Rtype::NSEC3PARAM,
    Rtype::SRV,
    Rtype::SVCB,
    Rtype::HTTPS,
    Rtype::PTR,
    Rtype::CDS,
    Rtype::CAA,
    Rtype::HINFO,
    Rtype::RRSIG,
    Rtype::ANY,
    Rtype(65_280),
    Rtype(4_711),
];

/// Types that make most of the difference between two names.
const COMMON_TYPES: [Rtype; 6] = [Rtype::A, Rtype::TXT, Rtype::NS, Rtype::DS, Rtype::MX, Rtype::SRV];

/// Payload sizes that are asked with; most questions get the largest, so that whole answers are compared.
const UDP_SIZES: [Option<u16>; 8] =
    [Some(4096), Some(4096), Some(4096), Some(4096), Some(4096), Some(1232), Some(512), None];

/// `count` questions about a zone, every one different, the same for the same seed: first each RRset that is there,
/// then mutations.
#[must_use]
pub fn questions(zone: &Contents, count: usize, seed: u64) -> Vec<Question> {
    let mut random = Random::new(seed);
    // The hashed owners of NSEC3 records are asked for as they stand, but mutations start from real names.
    let own = zone.rrsets.iter().filter(|(_, rtype)| *rtype != Rtype::NSEC3);
    let names: Vec<Name> = own.map(|(name, _)| *name).collect::<BTreeSet<_>>().into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut questions = Vec::with_capacity(count);
    let mut ask = |name: Name, rtype: Rtype, udp_bytes_max: Option<u16>, dnssec: bool| {
        if seen.insert((name.as_bytes().to_vec(), rtype, dnssec, udp_bytes_max)) {
            questions.push(Question { name, rtype, dnssec: dnssec && udp_bytes_max.is_some(), udp_bytes_max });
        }
        questions.len() < count
    };
    for (name, rtype) in &zone.rrsets {
        for dnssec in [false, true] {
            if !ask(*name, *rtype, Some(4096), dnssec) {
                return questions;
            }
        }
    }
    // What only few names show, and chance might miss.
    for (name, rtype) in &zone.rrsets {
        let near = match *rtype {
            Rtype::DNAME => below(name, b"x"),
            _ if name.as_ref().is_wildcard() => sibling(name),
            _ => continue,
        };
        for name in [near, below(&near, b"*")] {
            for rtype in [Rtype::A, Rtype::CNAME, Rtype::NSEC, Rtype::ANY] {
                if !ask(name, rtype, Some(4096), true) {
                    return questions;
                }
            }
        }
    }
    loop {
        let name = mutate(&mut random, &names, zone.apex.as_ref());
        let rtype = *if random.once_in(2) { random.pick(&COMMON_TYPES) } else { random.pick(&TYPES) };
        let size = *random.pick(&UDP_SIZES);
        // The same with DO and without, so that proofs are compared with what they prove.
        let goes_on = ask(name, rtype, size, false) && (size.is_none() || ask(name, rtype, size, true));
        if !goes_on {
            return questions;
        }
    }
}

/// A name of the zone or one near it.
fn mutate(random: &mut Random, names: &[Name], apex: NameRef<'_>) -> Name {
    let mut name = *random.pick(names);
    for _ in 0..random.below(3) {
        name = mutate_once(random, &name, names, apex);
    }
    name
}

fn mutate_once(random: &mut Random, name: &Name, names: &[Name], apex: NameRef<'_>) -> Name {
    let Some(parent) = name.as_ref().parent().filter(|_| name.as_ref() != apex) else {
        return below(name, &some_label(random, names));
    };
    let parent = parent.to_owned();
    match random.below(9) {
        0 => below(&parent, &some_label(random, names)),
        1 | 2 => below(name, &some_label(random, names)),
        3 => parent,
        4 => below(&parent, b"*"),
        5 => below(name, b"*"),
        6 => fill_in_wildcards(random, name, names),
        7 => change_case(random, name),
        _ => neighbour(random, name, &parent),
    }
}

/// A name beside this one.
fn sibling(name: &Name) -> Name {
    below(&name.as_ref().parent().unwrap_or(NameRef::ROOT).to_owned(), b"x")
}

/// A label that the zone has somewhere, or one that it hardly has.
fn some_label(random: &mut Random, names: &[Name]) -> Vec<u8> {
    let labels: Vec<&[u8]> = random.pick(names).as_ref().labels().collect();
    match random.below(8) {
        0 => b"x".to_vec(),
        1 => b"nowhere".to_vec(),
        2 => {
            let count = 1 + random.below(5);
            random.bytes(count)
        }
        _ if labels.is_empty() => b"any".to_vec(),
        _ => random.pick(&labels).to_vec(),
    }
}

fn below(name: &Name, label: &[u8]) -> Name {
    name.prepend(label).unwrap_or(*name)
}

fn with_labels<'a>(labels: impl DoubleEndedIterator<Item = &'a [u8]>) -> Option<Name> {
    labels.rev().try_fold(Name::root(), |name, label| name.prepend(label).ok())
}

fn fill_in_wildcards(random: &mut Random, name: &Name, names: &[Name]) -> Name {
    let filled: Vec<Vec<u8>> = name
        .as_ref()
        .labels()
        .map(|label| if label == b"*" { some_label(random, names) } else { label.to_vec() })
        .collect();
    with_labels(filled.iter().map(Vec::as_slice)).unwrap_or(*name)
}

fn change_case(random: &mut Random, name: &Name) -> Name {
    let changed: Vec<Vec<u8>> = name
        .as_ref()
        .labels()
        .map(|label| {
            let flip = |byte: &u8| if byte.is_ascii_alphabetic() && random.once_in(2) { byte ^ 0x20 } else { *byte };
            label.iter().map(flip).collect()
        })
        .collect();
    with_labels(changed.iter().map(Vec::as_slice)).unwrap_or(*name)
}

/// The name next to this one in canonical order (RFC 4034 §6.1), or nearly so: where NSEC records end and begin.
fn neighbour(random: &mut Random, name: &Name, parent: &Name) -> Name {
    let Some(label) = name.as_ref().labels().next() else { return *name };
    let mut label = label.to_vec();
    let last = label.len() - 1;
    match random.below(5) {
        0 if label.len() < LABEL_BYTES_MAX => label.push(0),
        1 if label.len() > 1 => label.truncate(last),
        2 => label[last] = label[last].wrapping_add(1),
        3 => label[last] = label[last].wrapping_sub(1),
        _ => return below(name, &[0]),
    }
    below(parent, &label)
}
