//! The packets of an attack, one after the other: the same for the same seed, whoever sends or writes them.

use std::net::Ipv4Addr;

use super::{
    Attack, Facts, Target, VICTIM,
    address::any_address,
    crowd::Crowd,
    malformed,
    packets::{Edns, Envelope, append, append_random_name, query},
};
use crate::{LabError, Rtype, random::Random};

/// What resolvers mostly ask for.
const TYPES: [Rtype; 6] = [Rtype::A, Rtype::A, Rtype::A, Rtype::AAAA, Rtype::AAAA, Rtype::MX];
/// What resolvers offer, RFC 9715.
const RESOLVERS_EDNS: Edns = Edns { payload_bytes: 1232, dnssec: true };
/// What a reflection asks for, so that much comes back.
const GREEDY_EDNS: Edns = Edns { payload_bytes: 4096, dnssec: true };
/// The flooding client, and the prefix it is in: of the third network for documentation (RFC 5737).
const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);

/// Makes the packets of one attack.
pub(super) struct Generator {
    envelope: Envelope,
    random: Random,
    kind: Kind,
}

/// What a packet is and where it seems to come from.
enum Kind {
    /// One of these queries.
    Valid { sources: Sources, queries: Vec<Vec<u8>> },
    /// A name of random letters below those of these queries.
    RandomNames { sources: Sources, queries: Vec<Vec<u8>> },
    /// One of these queries, broken.
    Malformed { queries: Vec<Vec<u8>> },
    /// Many who want the same.
    Crowd(Box<Crowd>),
    /// One of these; each is so many times among them as it is to be.
    Mixture { kinds: Vec<Kind>, shares: Vec<usize> },
}

/// Where packets seem to come from.
enum Sources {
    One(Ipv4Addr),
    /// The 256 addresses that begin like this one.
    Prefix(Ipv4Addr),
    Anywhere,
    OneOf(Vec<Ipv4Addr>),
}

impl Sources {
    fn pick(&self, random: &mut Random) -> Ipv4Addr {
        match self {
            Sources::One(address) => *address,
            Sources::Prefix(address) => {
                let [first, second, third, _] = address.octets();
                Ipv4Addr::new(first, second, third, random.byte())
            }
            Sources::Anywhere => any_address(random),
            Sources::OneOf(addresses) => random.pick(addresses).copied().unwrap_or(CLIENT),
        }
    }
}

impl Generator {
    /// The packets of `attack` on `target`; an error where the target lacks what it needs.
    pub(super) fn new(attack: Attack, target: &Target, seed: u64) -> Result<Generator, LabError> {
        Ok(Generator {
            envelope: Envelope::new(target.source_mac, target.target_mac, target.address, target.port),
            random: Random::new(seed),
            kind: Kind::of(attack, &target.facts)?,
        })
    }

    /// Make `frame` the next one.
    pub(super) fn next(&mut self, frame: &mut Vec<u8>) {
        let Generator { envelope, random, kind } = self;
        kind.write(envelope, random, frame);
    }
}

impl Kind {
    fn of(attack: Attack, facts: &Facts) -> Result<Kind, LabError> {
        let valid = |sources| Ok(Kind::Valid { sources, queries: valid(facts)? });
        match attack {
            Attack::Client => valid(Sources::One(CLIENT)),
            Attack::Prefix => valid(Sources::Prefix(CLIENT)),
            Attack::RandomSources => valid(Sources::Anywhere),
            Attack::RandomNames => Ok(Kind::RandomNames { sources: Sources::Anywhere, queries: under(&facts.suffix)? }),
            Attack::Resolvers if facts.resolvers.is_empty() => {
                Err(LabError::Invalid("an attack through resolvers needs resolvers".to_owned()))
            }
            Attack::Resolvers => {
                let sources = Sources::OneOf(facts.resolvers.clone());
                Ok(Kind::RandomNames { sources, queries: under(&facts.suffix)? })
            }
            Attack::Reflection => Ok(Kind::Valid { sources: Sources::One(VICTIM), queries: greedy(facts)? }),
            Attack::ReflectionPrefix => Ok(Kind::Valid { sources: Sources::Prefix(VICTIM), queries: greedy(facts)? }),
            Attack::Malformed => Ok(Kind::Malformed { queries: valid_and_greedy(facts)? }),
            Attack::Mixture => {
                let parts = [
                    (Attack::RandomNames, 6),
                    (Attack::RandomSources, 4),
                    (Attack::Reflection, 4),
                    (Attack::Malformed, 2),
                    (Attack::Prefix, 2),
                    (Attack::Client, 2),
                ];
                let kinds = parts.iter().map(|(attack, _)| Kind::of(*attack, facts)).collect::<Result<_, _>>()?;
                let shares = parts.iter().enumerate().flat_map(|(at, (_, times))| vec![at; *times]).collect();
                Ok(Kind::Mixture { kinds, shares })
            }
            Attack::FlashCrowd => Ok(Kind::Crowd(Box::new(Crowd::new(facts)?))),
            Attack::Tcp => {
                Err(LabError::Invalid("connections cannot be made of packets written beforehand".to_owned()))
            }
        }
    }

    fn write(&mut self, envelope: &Envelope, random: &mut Random, frame: &mut Vec<u8>) {
        match self {
            Kind::Valid { sources, queries } => {
                let source = sources.pick(random);
                let query = random.pick(queries).map_or(&[][..], Vec::as_slice);
                envelope.write(frame, random, source, |frame, random| append(query, frame, random));
            }
            Kind::RandomNames { sources, queries } => {
                let source = sources.pick(random);
                let query = random.pick(queries).map_or(&[][..], Vec::as_slice);
                envelope.write(frame, random, source, |frame, random| append_random_name(query, frame, random));
            }
            Kind::Malformed { queries } => {
                let source = any_address(random);
                let query = random.pick(queries).map_or(&[][..], Vec::as_slice);
                envelope.write(frame, random, source, |frame, random| malformed::append(query, frame, random));
            }
            Kind::Crowd(crowd) => {
                let (source, query) = crowd.next(random);
                envelope.write(frame, random, source, |frame, random| append(query, frame, random));
            }
            Kind::Mixture { kinds, shares } => {
                let at = random.pick(shares).copied().unwrap_or(0);
                if let Some(kind) = kinds.get_mut(at) {
                    kind.write(envelope, random, frame);
                }
            }
        }
    }
}

/// Queries for names that exist, as resolvers write them.
pub(super) fn valid(facts: &Facts) -> Result<Vec<Vec<u8>>, LabError> {
    let queries: Vec<Vec<u8>> = facts
        .names
        .iter()
        .enumerate()
        .filter_map(|(number, name)| query(name, TYPES[number % TYPES.len()], edns(number)))
        .collect();
    some(queries, "names that exist")
}

/// Most resolvers use EDNS.
fn edns(number: usize) -> Option<Edns> {
    (number % 10 < 8).then_some(Edns { dnssec: number % 10 < 6, ..RESOLVERS_EDNS })
}

/// Queries that random labels are put before.
fn under(suffix: &str) -> Result<Vec<Vec<u8>>, LabError> {
    some((0..20).filter_map(|number| query(suffix, TYPES[number % 5], edns(number))).collect(), "a suffix")
}

/// Queries with large answers.
pub(super) fn greedy(facts: &Facts) -> Result<Vec<Vec<u8>>, LabError> {
    let zones = facts.signed.iter().chain([&facts.zone]);
    let at_apex = zones.flat_map(|zone| [Rtype::ANY, Rtype::DNSKEY].map(|rtype| (zone.as_str(), rtype)));
    let large = facts.large.iter().flat_map(|(name, rtype)| [(name.as_str(), *rtype), (name.as_str(), Rtype::ANY)]);
    let queries = at_apex.chain(large).filter_map(|(name, rtype)| query(name, rtype, Some(GREEDY_EDNS))).collect();
    some(queries, "names with large answers")
}

fn valid_and_greedy(facts: &Facts) -> Result<Vec<Vec<u8>>, LabError> {
    let mut queries = valid(facts)?;
    queries.truncate(256);
    queries.extend(greedy(facts)?);
    Ok(queries)
}

fn some(queries: Vec<Vec<u8>>, what: &str) -> Result<Vec<Vec<u8>>, LabError> {
    if queries.is_empty() {
        return Err(LabError::Invalid(format!("an attack needs {what}, and was given none that can be asked for")));
    }
    Ok(queries)
}

/// Queries for the few names that a crowd wants, in the order in which it does.
pub(super) fn wanted(facts: &Facts, names: usize) -> Result<Vec<Vec<u8>>, LabError> {
    let of = |name: &String| [Rtype::A, Rtype::AAAA].map(|rtype| query(name, rtype, Some(RESOLVERS_EDNS)));
    some(facts.names.iter().take(names).flat_map(of).flatten().collect(), "names that exist")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::attack::tests::target;

    fn frames(attack: Attack, seed: u64, count: usize) -> Vec<Vec<u8>> {
        let mut generator = Generator::new(attack, &target(), seed).unwrap();
        let mut frame = Vec::new();
        (0..count)
            .map(|_| {
                generator.next(&mut frame);
                frame.clone()
            })
            .collect()
    }

    fn sources(frames: &[Vec<u8>]) -> BTreeSet<Ipv4Addr> {
        frames.iter().map(|frame| Ipv4Addr::new(frame[26], frame[27], frame[28], frame[29])).collect()
    }

    #[test]
    fn all_attacks_are_the_same_for_the_same_seed() {
        for attack in Attack::ALL.into_iter().filter(|attack| attack.has_packets()) {
            assert_eq!(frames(attack, 7, 200), frames(attack, 7, 200), "{attack}");
            assert_ne!(frames(attack, 7, 200), frames(attack, 8, 200), "{attack}");
        }
        assert!(Generator::new(Attack::Tcp, &target(), 1).is_err());
    }

    #[test]
    fn sources_are_those_of_the_attack() {
        assert_eq!(sources(&frames(Attack::Client, 1, 100)), BTreeSet::from([CLIENT]));
        assert_eq!(sources(&frames(Attack::Reflection, 1, 100)), BTreeSet::from([VICTIM]));
        let prefix = sources(&frames(Attack::Prefix, 1, 5000));
        assert_eq!(prefix.len(), 256);
        assert!(prefix.iter().all(|address| address.octets()[..3] == [203, 0, 113]));
        let resolvers: BTreeSet<Ipv4Addr> = target().facts.resolvers.into_iter().collect();
        assert_eq!(sources(&frames(Attack::Resolvers, 1, 1000)), resolvers);
        for attack in [Attack::RandomNames, Attack::RandomSources, Attack::Malformed] {
            assert!(sources(&frames(attack, 1, 1000)).len() > 995, "{attack}");
        }
    }

    #[test]
    fn random_names_seldom_come_twice() {
        let frames = frames(Attack::RandomNames, 1, 2000);
        let names: BTreeSet<&[u8]> = frames.iter().map(|frame| &frame[54..63]).collect();
        assert!(names.len() > 1990);
        let suffix = b"\x07example\x03com\x00";
        assert!(frames.iter().all(|frame| frame.windows(suffix.len()).any(|window| window == suffix)));
    }

    #[test]
    fn a_mixture_has_all_its_parts() {
        let sources = sources(&frames(Attack::Mixture, 1, 2000));
        assert!(sources.contains(&VICTIM) && sources.contains(&CLIENT) && sources.len() > 800);
    }

    #[test]
    fn what_a_target_lacks_is_said() {
        let mut target = target();
        target.facts.resolvers.clear();
        let error = Generator::new(Attack::Resolvers, &target, 1).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("an attack through resolvers needs resolvers"));
        target.facts.names.clear();
        assert!(Generator::new(Attack::Client, &target, 1).is_err());
        assert!(Generator::new(Attack::FlashCrowd, &target, 1).is_err());
    }
}
