//! Answers and proofs of random zones against RFC 1034 §4.3.2 done naively: by walking all names.

use std::collections::{BTreeMap, BTreeSet};

use wire::{Name, NameRef, Rtype, Section, rdata};

use super::signer::{has_type, sign_nsec, sign_nsec3};
use crate::nsec3::{self, Nsec3Params};
use crate::testing::{OwnedRecord, Random, build};
use crate::{ALIASES_MAX, Answer, Outcome, Zone};

const APEX: &str = "example.";

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn random_label(random: &mut Random) -> &'static str {
    ["a", "b", "c", "d", "*", "ab", "B\\000", "e"][random.below(8)]
}

fn random_name(random: &mut Random) -> Name {
    let mut name = name(APEX);
    for _ in 0..random.below(5) {
        name = name.prepend(random_label(random).parse::<Name>().unwrap().as_ref().labels().next().unwrap()).unwrap();
    }
    name
}

fn add(records: &mut Vec<OwnedRecord>, owner: Name, rtype: Rtype, rdata: Vec<u8>) {
    records.push(OwnedRecord { owner: owner.to_ascii_lowercase(), rtype, ttl: 3600, rdata });
}

fn target(random: &mut Random) -> Vec<u8> {
    if random.below(5) == 0 {
        name("x.example.net.").as_bytes().to_vec()
    } else {
        random_name(random).as_bytes().to_vec()
    }
}

/// The records of a small zone that has everything.
pub(crate) fn random_records(random: &mut Random) -> Vec<OwnedRecord> {
    let apex = name(APEX);
    let mut soa = b"\x02ns\x07example\0\x04root\x07example\0".to_vec();
    for number in [1u32, 3600, 600, 86_400, 300] {
        soa.extend_from_slice(&number.to_be_bytes());
    }
    let mut records = Vec::new();
    add(&mut records, apex, Rtype::SOA, soa);
    add(&mut records, apex, Rtype::NS, name("a.example.").as_bytes().to_vec());
    let mut taken = BTreeSet::from([apex]);
    let (with_cuts, with_dnames) = (random.below(3) > 0, random.below(2) > 0);
    for _ in 0..random.below(25) {
        let owner = random_name(random);
        if !taken.insert(owner) {
            continue;
        }
        let wildcard = owner.as_ref().is_wildcard();
        match random.below(8) {
            0 => add(&mut records, owner, Rtype::CNAME, target(random)),
            1 | 2 if with_cuts && !wildcard => {
                for _ in 0..=random.below(2) {
                    add(&mut records, owner, Rtype::NS, target(random));
                }
                if random.below(2) == 0 {
                    add(&mut records, owner, Rtype::DS, vec![0, 1, 13, 2, 9, 9]);
                }
            }
            3 if with_dnames && !wildcard => {
                add(&mut records, owner, Rtype::DNAME, target(random));
                add(&mut records, owner, Rtype::TXT, vec![1, b'd']);
            }
            _ => {
                for _ in 0..=random.below(2) {
                    add(&mut records, owner, Rtype::A, vec![192, 0, 2, random.below(9) as u8]);
                }
                if random.below(2) == 0 {
                    let mut mx = vec![0, 10];
                    mx.extend(target(random));
                    add(&mut records, owner, Rtype::MX, mx);
                }
            }
        }
    }
    records.sort_by_key(crate::testing::record_key);
    // The name "a" may have been drawn twice for one RRset.
    records.dedup_by(|a, b| a.owner == b.owner && a.rtype == b.rtype && rdata::eq(a.rtype, &a.rdata, &b.rdata));
    records
}

type Node = BTreeMap<u16, Vec<Vec<u8>>>;

/// What an answer has to prove.
#[derive(Debug, Clone)]
enum Need {
    /// Neither the name nor a wildcard at the closest encloser.
    NoName { name: Name, encloser: Name },
    /// The name is there without the type; perhaps as an empty non-terminal.
    NoType { name: Name, empty: bool },
    /// Nor does the wildcard have it.
    NoWildcardType { name: Name, encloser: Name, empty: bool },
    /// A wildcard stands in: the name itself is not there.
    Expanded { name: Name, encloser: Name },
    /// A cut without DS.
    NoDs { cut: Name },
}

struct Model {
    apex: Name,
    nodes: BTreeMap<Name, Node>,
}

/// What the model says: outcome, answer section as owner and type and data, needs.
struct Expected {
    outcome: Outcome,
    answer: Vec<(Name, Rtype, Vec<Vec<u8>>)>,
    needs: Vec<Need>,
    cut: Option<Name>,
}

impl Model {
    fn new(records: &[OwnedRecord]) -> Model {
        let mut nodes: BTreeMap<Name, Node> = BTreeMap::new();
        for record in records {
            if !matches!(record.rtype, Rtype::RRSIG | Rtype::NSEC3) {
                let node = nodes.entry(record.owner).or_default();
                node.entry(record.rtype.0).or_default().push(record.rdata.clone());
            }
        }
        Model { apex: name(APEX), nodes }
    }

    fn has(&self, name: &Name, rtype: Rtype) -> bool {
        self.nodes.get(name).is_some_and(|node| node.contains_key(&rtype.0))
    }

    fn exists(&self, name: &Name) -> bool {
        self.nodes.keys().any(|owner| owner.as_ref().is_within(name.as_ref()))
    }

    /// The ancestors within the zone, from the apex down, and the name itself.
    fn path(&self, name: &Name) -> Vec<Name> {
        let depth = name.as_ref().label_count() - self.apex.as_ref().label_count();
        (0..=depth).rev().map(|labels| name.as_ref().strip_labels(labels).unwrap().to_owned()).collect()
    }

    fn answer(&self, qname: &Name, qtype: Rtype) -> Expected {
        let mut expected = Expected { outcome: Outcome::Alias, answer: Vec::new(), needs: Vec::new(), cut: None };
        let mut current = *qname;
        for _ in 0..=ALIASES_MAX {
            match self.step(&current, qtype, &mut expected) {
                Ok(next) => current = next,
                Err(outcome) => {
                    expected.outcome = outcome;
                    return expected;
                }
            }
        }
        expected
    }

    fn step(&self, current: &Name, qtype: Rtype, expected: &mut Expected) -> Result<Name, Outcome> {
        if !current.as_ref().is_within(self.apex.as_ref()) {
            return Err(if expected.answer.is_empty() { Outcome::NotInZone } else { Outcome::Alias });
        }
        for above in self.path(current) {
            let is_self = above == *current;
            if above != self.apex && self.has(&above, Rtype::NS) && !(is_self && qtype == Rtype::DS) {
                expected.cut = Some(above);
                if !self.has(&above, Rtype::DS) {
                    expected.needs.push(Need::NoDs { cut: above });
                }
                return Err(Outcome::Delegation);
            }
            if !is_self && self.has(&above, Rtype::DNAME) {
                return self.substitute(current, &above, qtype, expected);
            }
        }
        if let Some(node) = self.nodes.get(current) {
            return self.answer_from(current, node, qtype, None, expected);
        }
        if self.exists(current) {
            expected.needs.push(Need::NoType { name: *current, empty: true });
            return Err(Outcome::NoData);
        }
        let encloser = *self.path(current).iter().rev().find(|above| self.exists(above)).unwrap();
        let wildcard = encloser.prepend(b"*").unwrap();
        match self.nodes.get(&wildcard) {
            Some(node) => self.answer_from(current, node, qtype, Some(encloser), expected),
            None if self.exists(&wildcard) => {
                expected.needs.push(Need::NoWildcardType { name: *current, encloser, empty: true });
                Err(Outcome::NoData)
            }
            None => {
                expected.needs.push(Need::NoName { name: *current, encloser });
                Err(Outcome::NxDomain)
            }
        }
    }

    fn answer_from(
        &self,
        current: &Name,
        node: &Node,
        qtype: Rtype,
        encloser: Option<Name>,
        expected: &mut Expected,
    ) -> Result<Name, Outcome> {
        let cname = node.get(&Rtype::CNAME.0).filter(|_| !node.contains_key(&qtype.0));
        let found = node.get(&qtype.0).map(|rdatas| (qtype, rdatas)).or(cname.map(|rdatas| (Rtype::CNAME, rdatas)));
        let Some((rtype, rdatas)) = found else {
            expected.needs.push(match encloser {
                Some(encloser) => Need::NoWildcardType { name: *current, encloser, empty: false },
                None => Need::NoType { name: *current, empty: false },
            });
            return Err(Outcome::NoData);
        };
        if cname.is_some() && expected.answer.iter().any(|(owner, _, _)| owner == current) {
            return Err(Outcome::Alias);
        }
        expected.answer.push((*current, rtype, rdatas.clone()));
        if let Some(encloser) = encloser {
            expected.needs.push(Need::Expanded { name: *current, encloser });
        }
        if cname.is_none() {
            return Err(Outcome::Found);
        }
        Ok(NameRef::parse(&rdatas[0]).unwrap().to_owned())
    }

    fn substitute(&self, current: &Name, above: &Name, qtype: Rtype, expected: &mut Expected) -> Result<Name, Outcome> {
        let dname = &self.nodes[above][&Rtype::DNAME.0];
        expected.answer.push((*above, Rtype::DNAME, dname.clone()));
        let kept = current.as_ref().as_bytes().len() - above.as_ref().as_bytes().len();
        let made = [&current.as_bytes()[..kept], dname[0].as_slice()].concat();
        let Ok(made) = NameRef::parse(&made) else { return Err(Outcome::NameTooLong) };
        expected.answer.push((*current, Rtype::CNAME, vec![made.as_bytes().to_vec()]));
        if qtype == Rtype::CNAME {
            return Err(Outcome::Found);
        }
        if made.to_owned() == *current { Err(Outcome::Alias) } else { Ok(made.to_owned()) }
    }
}

/// The proofs of an answer as a validator sees them.
enum Proofs<'p> {
    Nsec(Vec<(Name, Name, Vec<u8>)>),
    /// Hash, next hash, opt-out, types.
    #[allow(clippy::type_complexity)]
    Nsec3(&'p Nsec3Params, Vec<(Vec<u8>, Vec<u8>, bool, Vec<u8>)>),
}

impl Proofs<'_> {
    fn read<'p>(answer: &Answer<'_>, params: Option<&'p Nsec3Params>) -> Proofs<'p> {
        let of_type = |rtype| {
            answer.section(Section::Authority).filter(move |rrset| rrset.rtype() == rtype).map(|rrset| {
                assert!(!rrset.rrsigs().is_empty(), "a proof without a signature");
                let owner = match rrset.owner() {
                    crate::OwnerName::Borrowed(name) => name.to_owned(),
                    crate::OwnerName::Owned(name) => name,
                };
                (owner, rrset.rdatas().next().unwrap().to_vec())
            })
        };
        match params {
            None => Proofs::Nsec(
                of_type(Rtype::NSEC)
                    .map(|(owner, rdata)| {
                        let next = NameRef::parse(&rdata).unwrap();
                        (owner, next.to_owned(), rdata[next.as_bytes().len()..].to_vec())
                    })
                    .collect(),
            ),
            Some(params) => Proofs::Nsec3(
                params,
                of_type(Rtype::NSEC3)
                    .map(|(owner, rdata)| {
                        let hash = nsec3::owner_hash(owner.as_ref(), name(APEX).as_ref()).unwrap().to_vec();
                        let next_at = 6 + params.salt.len();
                        (hash, rdata[next_at..next_at + 20].to_vec(), rdata[1] & 1 == 1, rdata[next_at + 20..].to_vec())
                    })
                    .collect(),
            ),
        }
    }

    /// The type bitmap of a name that has a record in the chain.
    fn matched(&self, name: &Name) -> Option<&[u8]> {
        match self {
            Proofs::Nsec(list) => list.iter().find(|(owner, ..)| owner == name).map(|(.., types)| types.as_slice()),
            Proofs::Nsec3(params, list) => {
                let hash = params.hash(name.as_ref());
                list.iter().find(|(owner, ..)| *owner == hash).map(|(.., types)| types.as_slice())
            }
        }
    }

    /// Does a record span the name? With the next name for NSEC, the opt-out flag for NSEC3.
    fn covered(&self, name: &Name) -> Option<(Option<Name>, bool)> {
        match self {
            Proofs::Nsec(list) => list
                .iter()
                .find(|(owner, next, types)| {
                    let spans = if owner < next { owner < name && name < next } else { owner < name };
                    let is_cut = has_type(types, Rtype::NS) && !has_type(types, Rtype::SOA);
                    let above = name.as_ref().is_within(owner.as_ref()) && (is_cut || has_type(types, Rtype::DNAME));
                    spans && !above
                })
                .map(|(_, next, _)| (Some(*next), false)),
            Proofs::Nsec3(params, list) => {
                let hash = params.hash(name.as_ref()).to_vec();
                list.iter()
                    .find(
                        |(owner, next, ..)| {
                            if owner < next { *owner < hash && hash < *next } else { *owner < hash || hash < *next }
                        },
                    )
                    .map(|(_, _, opt_out, _)| (None, *opt_out))
            }
        }
    }

    /// RFC 5155 §8.3: the closest encloser that can be proven, and whether the next closer name is opted out.
    fn closest_encloser(&self, name: &Name) -> Option<(Name, bool)> {
        let mut next_closer = *name;
        while let Some(ancestor) = next_closer.as_ref().parent().map(NameRef::to_owned) {
            if self.matched(&ancestor).is_some() {
                return self.covered(&next_closer).map(|(_, opt_out)| (ancestor, opt_out));
            }
            next_closer = ancestor;
        }
        None
    }

    fn satisfies(&self, need: &Need, qtype: Rtype) -> bool {
        let lacks = |types: &[u8]| !has_type(types, qtype) && !has_type(types, Rtype::CNAME);
        let hashed = matches!(self, Proofs::Nsec3(..));
        match need {
            Need::NoName { name, encloser } if hashed => {
                let Some((proven, opt_out)) = self.closest_encloser(name) else { return false };
                // Below an empty non-terminal that opt-out left out of the chain, no proof can be whole (RFC 5155 §7.1).
                (opt_out && proven != *encloser) || self.covered(&proven.prepend(b"*").unwrap()).is_some()
            }
            Need::NoName { name, encloser } => {
                self.covered(name).is_some() && self.covered(&encloser.prepend(b"*").unwrap()).is_some()
            }
            Need::NoType { name, empty: true } if !hashed => {
                self.covered(name).is_some_and(|(next, _)| next.unwrap().as_ref().is_within(name.as_ref()))
            }
            Need::NoType { name, .. } => match self.matched(name) {
                Some(types) => lacks(types),
                // Opt-out: an insecure delegation, or an empty non-terminal above some.
                None => hashed && self.closest_encloser(name).is_some_and(|(_, opt_out)| opt_out),
            },
            Need::NoWildcardType { name, encloser, empty } => {
                let wildcard = encloser.prepend(b"*").unwrap();
                if hashed {
                    let Some((proven, opt_out)) = self.closest_encloser(name) else { return false };
                    return match self.matched(&wildcard) {
                        Some(types) => proven == *encloser && lacks(types),
                        None => opt_out,
                    };
                }
                let no_type = if *empty {
                    self.covered(&wildcard).is_some_and(|(next, _)| next.unwrap().as_ref().is_within(wildcard.as_ref()))
                } else {
                    self.matched(&wildcard).is_some_and(lacks)
                };
                self.covered(name).is_some() && no_type
            }
            Need::Expanded { name, encloser } => {
                let depth = name.as_ref().label_count() - encloser.as_ref().label_count();
                let next_closer = name.as_ref().strip_labels(depth - 1).unwrap().to_owned();
                self.covered(if hashed { &next_closer } else { name }).is_some()
            }
            Need::NoDs { cut } => match self.matched(cut) {
                Some(types) => {
                    has_type(types, Rtype::NS) && !has_type(types, Rtype::DS) && !has_type(types, Rtype::SOA)
                }
                None => hashed && self.closest_encloser(cut).is_some_and(|(_, opt_out)| opt_out),
            },
        }
    }
}

fn answer_lines(answer: &Answer<'_>) -> Vec<(Name, Rtype, Vec<Vec<u8>>)> {
    let lines = answer.section(Section::Answer).map(|rrset| {
        let owner = rrset.owner().as_ref().to_owned();
        (owner, rrset.rtype(), rrset.rdatas().map(<[u8]>::to_vec).collect())
    });
    lines.collect()
}

fn check_questions(zone: &Zone, records: &[OwnedRecord], params: Option<Option<&Nsec3Params>>, random: &mut Random) {
    let model = Model::new(records);
    for _ in 0..60 {
        let qname = random_name(random);
        let qtype =
            [Rtype::A, Rtype::MX, Rtype::NS, Rtype::DS, Rtype::CNAME, Rtype::DNAME, Rtype::TXT][random.below(7)];
        let expected = model.answer(&qname, qtype);
        let mut answer = Answer::new();
        let outcome = zone.find(qname.as_ref(), qtype, params.is_some(), &mut answer);
        let context = || format!("{qname} {qtype} in\n{}", describe(records));
        assert_eq!(outcome, expected.outcome, "{}", context());
        let mut expected_lines = expected.answer;
        for (.., rdatas) in &mut expected_lines {
            rdatas.sort_by_key(|rdata| (rdata.to_ascii_lowercase(), rdata.clone()));
        }
        if outcome != Outcome::Alias {
            assert_eq!(answer_lines(&answer), expected_lines, "{}", context());
        }
        if let Some(cut) = expected.cut {
            let ns = answer.section(Section::Authority).find(|rrset| rrset.rtype() == Rtype::NS).unwrap();
            assert_eq!((ns.owner().as_ref().to_owned(), ns.rtype()), (cut, Rtype::NS), "{}", context());
            let ds = answer.section(Section::Authority).any(|rrset| rrset.rtype() == Rtype::DS);
            assert_eq!(ds, params.is_some() && model.has(&cut, Rtype::DS), "{}", context());
        }
        let Some(params) = params else { continue };
        for rrset in answer.section(Section::Answer) {
            let synthesized = rrset.rtype() == Rtype::CNAME && matches!(rrset.rdatas(), crate::AnswerRdatas::One(_));
            assert_eq!(rrset.rrsigs().is_empty(), synthesized, "{}", context());
        }
        let proofs = Proofs::read(&answer, params);
        for need in &expected.needs {
            assert!(proofs.satisfies(need, qtype), "{need:?} unproven: {}", context());
        }
    }
}

fn describe(records: &[OwnedRecord]) -> String {
    let shown = records.iter().filter(|record| record.rtype != Rtype::RRSIG);
    shown.map(|record| format!("{} {} {:?}\n", record.owner, record.rtype, record.rdata)).collect()
}

#[test]
fn unsigned_zones() {
    let mut random = Random::new(21);
    for _ in 0..250 {
        let records = random_records(&mut random);
        check_questions(&build(name(APEX).as_ref(), &records), &records, None, &mut random);
    }
}

#[test]
fn zones_signed_with_nsec() {
    let mut random = Random::new(22);
    for _ in 0..150 {
        let mut records = random_records(&mut random);
        sign_nsec(name(APEX).as_ref(), &mut records);
        check_questions(&build(name(APEX).as_ref(), &records), &records, Some(None), &mut random);
    }
}

#[test]
fn zones_signed_with_nsec3() {
    let mut random = Random::new(23);
    for round in 0..150 {
        let mut records = random_records(&mut random);
        let params = Nsec3Params { iterations: (round % 3) as u16, salt: vec![7; round % 4].into() };
        sign_nsec3(name(APEX).as_ref(), &mut records, &params, round % 2 == 0);
        check_questions(&build(name(APEX).as_ref(), &records), &records, Some(Some(&params)), &mut random);
    }
}
