//! A flash crowd: something has happened, and resolvers from everywhere want the same few names. It is no attack: each
//! resolver asks for what it needs, and for nothing that it has been told already.
//!
//! A resolver whose users come asks for a handful of names within half a second, A and AAAA of each, and then has them.
//! Some of the resolvers are those that ask every day; most have never been seen.

use std::net::Ipv4Addr;

use super::{Facts, address::any_address, generator::wanted};
use crate::{LabError, random::Random};

/// Names that everybody wants: those of one site.
const NAMES: usize = 4;
/// One in so many resolvers is one that asks every day.
const KNOWN_ONE_IN: u64 = 4;
/// Resolvers that are asking at the same time, at most: each asks its next question when all others have asked one.
const ASKING_MAX: usize = 20_000;
/// And to begin with.
const ASKING_MIN: usize = 64;
/// Another resolver joins those that are asking with every so many questions, until they are [`ASKING_MAX`].
const JOINS_EVERY: u64 = 8;

/// The crowd: who is asking now, and how far they are.
pub(super) struct Crowd {
    queries: Vec<Vec<u8>>,
    known: Vec<Ipv4Addr>,
    /// Known resolvers that have been told all, from the begin of `known`.
    known_told: usize,
    asking: Vec<Resolver>,
    turn: usize,
    asked: u64,
}

#[derive(Clone, Copy)]
struct Resolver {
    address: Ipv4Addr,
    /// Questions it has asked already.
    asked: usize,
}

impl Crowd {
    pub(super) fn new(facts: &Facts) -> Result<Crowd, LabError> {
        Ok(Crowd {
            queries: wanted(facts, NAMES)?,
            known: facts.resolvers.clone(),
            known_told: 0,
            asking: Vec::new(),
            turn: 0,
            asked: 0,
        })
    }

    /// Who asks next, and what.
    pub(super) fn next(&mut self, random: &mut Random) -> (Ipv4Addr, &[u8]) {
        self.grow(random);
        self.asked += 1;
        self.turn = if self.turn + 1 < self.asking.len() { self.turn + 1 } else { 0 };
        let finished = self.asking.get(self.turn).is_none_or(|resolver| resolver.asked >= self.queries.len());
        if finished {
            let newcomer = Resolver { address: self.newcomer(random), asked: 0 };
            if let Some(place) = self.asking.get_mut(self.turn) {
                *place = newcomer;
            }
        }
        let Some(resolver) = self.asking.get_mut(self.turn) else { return (Ipv4Addr::UNSPECIFIED, &[]) };
        let query = self.queries.get(resolver.asked).map_or(&[][..], Vec::as_slice);
        resolver.asked += 1;
        (resolver.address, query)
    }

    /// At the begin some are in the middle of their questions, as they are later.
    fn grow(&mut self, random: &mut Random) {
        while self.asking.len() < ASKING_MIN {
            let resolver = Resolver { address: self.newcomer(random), asked: self.asking.len() % self.queries.len() };
            self.asking.push(resolver);
        }
        if self.asking.len() < ASKING_MAX && self.asked.is_multiple_of(JOINS_EVERY) {
            let resolver = Resolver { address: self.newcomer(random), asked: 0 };
            self.asking.push(resolver);
        }
    }

    /// A resolver that has not asked yet. Known ones come once: they cache what they were told.
    fn newcomer(&mut self, random: &mut Random) -> Ipv4Addr {
        if random.one_in(KNOWN_ONE_IN)
            && let Some(known) = self.known.get(self.known_told)
        {
            self.known_told += 1;
            return *known;
        }
        any_address(random)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::attack::tests::target;

    #[test]
    fn nobody_asks_again_for_what_it_was_told() {
        let mut crowd = Crowd::new(&target().facts).unwrap();
        let mut random = Random::new(1);
        let mut asked: BTreeMap<Ipv4Addr, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for _ in 0..100_000 {
            let (source, query) = crowd.next(&mut random);
            assert!(asked.entry(source).or_default().insert(query.to_vec()), "{source} asks again");
        }
        assert!(target().facts.resolvers.iter().all(|known| asked.contains_key(known)));
        assert!(asked.len() > 10_000);
    }

    #[test]
    fn most_questions_come_from_who_has_asked_before() {
        let mut crowd = Crowd::new(&target().facts).unwrap();
        let mut random = Random::new(1);
        let mut seen = BTreeSet::new();
        let first = (0..50_000).filter(|_| seen.insert(crowd.next(&mut random).0)).count();
        assert!(first < 50_000 * 3 / 10, "{first} of 50,000 questions are the first of their resolver");
    }
}
