//! The names of a zone that exist, and below which of them something answers for names that do not: what must be known to
//! say of a name that it is not there without looking for it in the zone.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use wire::{NameRef, Rtype};

use crate::Zone;
use crate::key::{self, OWNER_KEY_BYTES_MAX};
use crate::node::Node;
use crate::tree::{Entry, Tree};

/// A name that exists: an owner, or an empty non-terminal (RFC 4592 §2.2.2).
#[derive(Debug, Clone, Copy)]
pub struct ExistingName<'a> {
    /// The name, in lower case.
    pub name: NameRef<'a>,
    /// What names below it get that are not there.
    pub below: Below,
}

/// What names below a name get that are not there; the greater of two counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Below {
    /// NXDOMAIN.
    Nothing,
    /// They are another zone's: it is a zone cut.
    Referral,
    /// Perhaps an answer: it has a DNAME record, or a wildcard right below it.
    Answer,
}

impl Zone {
    /// Visits each name that exists, some of them more than once. A name that is not visited has no answer but NXDOMAIN if
    /// it is in the zone, and no ancestor of it in the zone was visited as one that has more than that for names below it.
    ///
    /// With an earlier snapshot, all are visited that were not visited in that one; those that were may be left out. Where
    /// one was made from the other by differences, this costs what differs.
    pub fn for_each_existing(&self, since: Option<&Zone>, mut visit: impl FnMut(ExistingName<'_>)) {
        let mut walk = Walk { zone: self, key: Vec::new(), before: Vec::new() };
        match since.filter(|since| since.apex() == self.apex()) {
            Some(since) => {
                for page in self.owners.pages_not_in(&since.owners) {
                    Tree::iter_page(page).for_each(|entry| walk.visit(entry, &mut visit));
                }
            }
            None => self.owners.iter().for_each(|entry| walk.visit(entry, &mut visit)),
        }
    }
}

/// A walk over owners.
struct Walk<'z> {
    zone: &'z Zone,
    key: Vec<u8>,
    /// The key before it.
    before: Vec<u8>,
}

impl Walk<'_> {
    /// Visits an owner and those of its ancestors that the owner before it does not have.
    fn visit(&mut self, entry: Entry<'_>, visit: &mut impl FnMut(ExistingName<'_>)) {
        std::mem::swap(&mut self.key, &mut self.before);
        self.key.reserve(OWNER_KEY_BYTES_MAX);
        entry.key_into(&mut self.key);
        let Some(owner) = key::name_of(&self.key, self.zone.apex()) else { return };
        let node = Node(entry.value());
        let depth = key::ancestors(&self.key).count();
        let has = |rtype| node.rrset(rtype).is_some();
        let below = match (has(Rtype::DNAME), depth > 0 && has(Rtype::NS)) {
            (true, _) => Below::Answer,
            (false, true) => Below::Referral,
            (false, false) => Below::Nothing,
        };
        visit(ExistingName { name: owner.as_ref(), below });
        let known = key::ancestors(&self.key).take_while(|ancestor| self.before.starts_with(ancestor)).count();
        let mut name = owner.as_ref();
        for _ in known..depth {
            let Some(parent) = name.parent() else { return };
            let below = if name.is_wildcard() { Below::Answer } else { Below::Nothing };
            visit(ExistingName { name: parent, below });
            name = parent;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use wire::Name;

    use super::*;
    use crate::testing::{Random, build, zone_of};
    use crate::tests::model::random_records;
    use crate::{Answer, Difference, Outcome};

    type Existing = HashMap<Name, Below>;

    fn add(names: &mut Existing, name: Name, below: Below) {
        let known = names.entry(name).or_insert(below);
        *known = below.max(*known);
    }

    fn existing(zone: &Zone, since: Option<&Zone>) -> Existing {
        let mut names = Existing::new();
        zone.for_each_existing(since, |existing| {
            add(&mut names, existing.name.to_owned(), existing.below);
        });
        names
    }

    /// What the names say of one that is asked for: true if it surely does not exist.
    fn is_absent(names: &Existing, apex: NameRef<'_>, qname: &Name) -> bool {
        let mut above = qname.as_ref();
        if names.contains_key(&qname.to_ascii_lowercase()) {
            return false;
        }
        while above != apex {
            above = above.parent().unwrap();
            if names.get(&above.to_owned().to_ascii_lowercase()).is_some_and(|below| *below > Below::Nothing) {
                return false;
            }
        }
        true
    }

    #[test]
    fn names_and_what_answers_below_them() {
        let zone = zone_of(
            "example.",
            &[
                ("example.", "SOA", "ns.example. root.example. 7 3600 600 86400 300"),
                ("example.", "NS", "ns.example."),
                ("a.b.c.example.", "A", "192.0.2.1"),
                ("d.c.example.", "A", "192.0.2.1"),
                ("*.wild.example.", "A", "192.0.2.1"),
                ("x.*.deep.example.", "A", "192.0.2.1"),
                ("cut.example.", "NS", "ns.elsewhere."),
                ("dname.example.", "DNAME", "elsewhere."),
            ],
        );
        let mut names: Vec<String> = existing(&zone, None)
            .iter()
            .map(|(name, below)| match below {
                Below::Nothing => name.to_string(),
                below => format!("{name} {below:?}"),
            })
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "*.deep.example.",
                "*.wild.example.",
                "a.b.c.example.",
                "b.c.example.",
                "c.example.",
                "cut.example. Referral",
                "d.c.example.",
                "deep.example. Answer",
                "dname.example. Answer",
                "example.",
                "wild.example. Answer",
                "x.*.deep.example.",
            ]
        );
    }

    #[test]
    fn the_apex_may_answer_for_all_below_it() {
        let soa = ("example.", "SOA", "ns.example. root.example. 7 3600 600 86400 300");
        for other in
            [("*.example.", "A", "192.0.2.1"), ("x.*.example.", "A", "192.0.2.1"), ("example.", "DNAME", "elsewhere.")]
        {
            let zone = zone_of("example.", &[soa, other]);
            assert_eq!(
                existing(&zone, None).get(&"example.".parse::<Name>().unwrap()),
                Some(&Below::Answer),
                "{other:?}"
            );
        }
    }

    /// Never is said to be absent what has an answer; and what is said of the rest is right wherever nothing covers it.
    #[test]
    fn what_is_absent_has_no_answer_but_nxdomain() {
        let mut random = Random::new(17);
        let (mut absent, mut apex_answers) = (0, 0);
        for _ in 0..300 {
            let records = random_records(&mut random);
            let zone = build("example.".parse::<Name>().unwrap().as_ref(), &records);
            let names = existing(&zone, None);
            let apex_alone = names.get(&zone.apex().to_owned()) == Some(&Below::Answer);
            apex_answers += usize::from(apex_alone);
            for _ in 0..200 {
                let owner = records[random.below(records.len())].owner;
                let label = [&b"a"[..], b"b", b"*", b"new"][random.below(4)];
                let qname = match random.below(3) {
                    0 => owner.prepend(label).unwrap_or(owner),
                    1 => zone.apex().to_owned().prepend(label).unwrap().prepend(b"B").unwrap(),
                    _ => owner,
                };
                if !is_absent(&names, zone.apex(), &qname) {
                    continue;
                }
                absent += 1;
                for qtype in [Rtype::A, Rtype::DS, Rtype::ANY, Rtype::NS, Rtype::RRSIG] {
                    let mut answer = Answer::new();
                    let outcome = zone.find(qname.as_ref(), qtype, false, &mut answer);
                    assert_eq!(outcome, Outcome::NxDomain, "{qname} {qtype}");
                    assert_eq!(answer.section(wire::Section::Answer).len(), 0);
                    assert_eq!(answer.section(wire::Section::Authority).len(), 1);
                }
            }
        }
        assert!(absent > 1000 && apex_answers > 3, "{absent} {apex_answers}");
    }

    fn with_host(zone: &Zone, host: &str, answers_below: bool) -> Zone {
        let owner: Name = format!("{host}.example.").parse().unwrap();
        let mut difference = Difference::new();
        match answers_below {
            true => difference.add(owner.as_ref(), Rtype::NS, 60, b"\x02ns\x01x\0").unwrap(),
            false => difference.add(owner.as_ref(), Rtype::A, 60, &[192, 0, 2, 1]).unwrap(),
        }
        zone.apply(&difference).unwrap()
    }

    #[test]
    fn what_a_difference_brings_is_visited_and_little_else() {
        let soa = ("example.".to_owned(), "SOA", "ns.example. root.example. 7 3600 600 86400 300".to_owned());
        let hosts = (0..20_000).map(|n| (format!("h{n}.example."), "A", "192.0.2.1".to_owned()));
        let records: Vec<_> = std::iter::once(soa).chain(hosts).collect();
        let records: Vec<_> = records.iter().map(|(o, t, d)| (o.as_str(), *t, d.as_str())).collect();
        let zone = zone_of("example.", &records);
        assert!(existing(&zone, Some(&zone)).is_empty());
        for (host, cut) in [("new", false), ("a.b.c.new", false), ("cut", true), ("h77", true), ("*.x", false)] {
            let later = with_host(&zone, host, cut);
            let (all, new) = (existing(&later, None), existing(&later, Some(&zone)));
            assert!(new.len() < 1000, "{} names for one", new.len());
            let mut known = existing(&zone, None);
            new.into_iter().for_each(|(name, below)| add(&mut known, name, below));
            assert!(known == all, "{host}");
        }
    }

    #[test]
    fn whatever_changes_nothing_new_is_left_out() {
        let mut random = Random::new(3);
        let apex: Name = "example.".parse().unwrap();
        let mut zones: Vec<Zone> = (0..20).map(|_| build(apex.as_ref(), &random_records(&mut random))).collect();
        for n in 0..400 {
            let old = zones[random.below(zones.len())].clone();
            let new = match random.below(3) {
                0 => zones[random.below(zones.len())].clone(),
                _ => with_host(&old, &format!("n{n}.m{}", random.below(3)), random.below(4) == 0),
            };
            let mut known = existing(&old, None);
            existing(&new, Some(&old)).into_iter().for_each(|(name, below)| add(&mut known, name, below));
            for (name, below) in existing(&new, None) {
                assert!(known.get(&name).is_some_and(|known| *known >= below), "{name}");
            }
            zones.push(new);
        }
    }
}
