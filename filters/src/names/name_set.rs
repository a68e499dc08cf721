//! Names that were met a while ago: Bloom filters (1970) of two bits a name within one word, in two generations.
//!
//! Names that exist in zones that are filled on demand: their answers may be fetched before those of names that nobody has
//! ever seen. Only names that were found get in, so that whoever asks for random names cannot fill it. And names that do
//! not exist and are asked for all the same ([`FailingNames`]).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use crate::memory::{One, Shared, Table, Taker};

/// 512 KiB a generation: with a million names, one of thirty unknown ones is taken for known.
pub(crate) const EXISTING_WORDS: usize = 1 << 16;
/// A name that is not asked for in one to two of these is forgotten.
pub(crate) const GENERATION_S: u64 = 900;
/// 1 MiB a generation, of so many names: one of sixty others is taken for one of them.
pub(crate) const RECENT_WORDS: usize = 1 << 17;
pub(crate) const RECENT_NAMES: u64 = 1 << 19;
pub(crate) const FAMILIAR_WORDS: usize = 1 << 14;

/// A set of names by their hashes.
#[derive(Debug)]
pub(crate) struct NameSet {
    /// Both generations, one behind the other.
    words: Shared<AtomicU64>,
    turn: One<NameTurn>,
}

/// Which generation is young.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
struct NameTurn {
    young: AtomicU64,
    /// Names put into the young generation.
    added: AtomicU64,
    zeros: [AtomicU64; 6],
}

impl NameSet {
    /// For names that exist.
    pub(crate) fn of_existing(taker: &mut Taker<'_>) -> NameSet {
        NameSet::within(taker, [Table::Existing, Table::ExistingTurn], EXISTING_WORDS)
    }

    fn within(taker: &mut Taker<'_>, [table, turn]: [Table; 2], words: usize) -> NameSet {
        NameSet { words: taker.shared(table, 2 * words), turn: taker.one(turn) }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.words)
    }

    fn word(&self, generation: u64, hash: u64) -> Option<&AtomicU64> {
        let length = self.words.len() / 2;
        self.words.get((generation % 2) as usize * length + ((hash >> 12) as usize & length.wrapping_sub(1)))
    }

    pub(crate) fn add(&self, hash: u64) {
        let bits = bits(hash);
        if let Some(word) = self.word(self.turn.young.load(Relaxed), hash) {
            let old = word.load(Relaxed);
            if old & bits != bits {
                word.store(old | bits, Relaxed);
                self.turn.added.store(self.turn.added.load(Relaxed).wrapping_add(1), Relaxed);
            }
        }
    }

    pub(crate) fn has(&self, hash: u64) -> bool {
        let bits = bits(hash);
        [0, 1].iter().any(|generation| self.word(*generation, hash).is_some_and(|it| it.load(Relaxed) & bits == bits))
    }

    /// Forgets the older generation and begins a new one.
    pub(crate) fn turn(&self) {
        self.turn.added.store(0, Relaxed);
        let (old, length) = (self.turn.young.load(Relaxed).wrapping_add(1) % 2, self.words.len() / 2);
        self.words.iter().skip(old as usize * length).take(length).for_each(|word| word.store(0, Relaxed));
        self.turn.young.store(old, Relaxed);
    }

    /// The same once so many names are in it.
    fn turn_at(&self, names: u64) {
        let added = &self.turn.added;
        let number = added.load(Relaxed);
        // One of the lanes that see it does it.
        if number >= names && added.compare_exchange(number, 0, Relaxed, Relaxed).is_ok() {
            self.turn();
        }
    }
}

fn bits(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63)
}

/// How well a name is known that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acquaintance {
    /// Never heard of, as random names are.
    Unheard,
    /// Asked for a moment ago: somebody tries again.
    Recent,
    /// Asked for again and again before the attack: people mistype it, programs expect it.
    Familiar,
}

/// Names that do not exist.
#[derive(Debug)]
pub(crate) struct FailingNames {
    recent: NameSet,
    familiar: NameSet,
}

impl FailingNames {
    pub(crate) fn within(taker: &mut Taker<'_>) -> FailingNames {
        FailingNames {
            recent: NameSet::within(taker, [Table::Recent, Table::RecentTurn], RECENT_WORDS),
            familiar: NameSet::within(taker, [Table::Familiar, Table::FamiliarTurn], FAMILIAR_WORDS),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.recent.memory_bytes() + self.familiar.memory_bytes()
    }

    /// Where nobody asks for random names: what fails a second time is familiar from then on.
    pub(crate) fn learn(&self, hash: u64) {
        if self.meet(hash) != Acquaintance::Unheard {
            self.familiar.add(hash);
        }
    }

    /// How well it is known; from now on it is known.
    pub(crate) fn meet(&self, hash: u64) -> Acquaintance {
        if self.familiar.has(hash) {
            return Acquaintance::Familiar;
        }
        if self.recent.has(hash) {
            return Acquaintance::Recent;
        }
        self.turn_full();
        self.recent.add(hash);
        Acquaintance::Unheard
    }

    /// Makes room for names that are asked for now, once there are enough: for all who add some and cannot do it themselves.
    #[inline]
    pub(crate) fn turn_full(&self) {
        self.recent.turn_at(RECENT_NAMES);
    }

    pub(crate) fn turn(&self) {
        self.familiar.turn();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hasher;

    #[test]
    fn names_are_known_for_one_to_two_generations() {
        let (names, hasher) = (NameSet::of_existing(&mut Taker::own()), Hasher::new([1, 2], 3));
        let hash = |n: u64| hasher.words(n, 0);
        (0..100_000).for_each(|n| names.add(hash(n)));
        assert!((0..100_000).all(|n| names.has(hash(n))));
        assert!((100_000..200_000).filter(|n| names.has(hash(*n))).count() < 1500);
        names.turn();
        (0..10).for_each(|n| names.add(hash(n)));
        assert!((0..100_000).all(|n| names.has(hash(n))));
        names.turn();
        assert!((0..10).all(|n| names.has(hash(n))));
        assert!((10..100_000).filter(|n| names.has(hash(*n))).count() < 500);
    }

    #[test]
    fn what_failed_twice_in_calm_is_familiar_and_a_flood_of_names_is_not() {
        let (names, hasher) = (FailingNames::within(&mut Taker::own()), Hasher::new([1, 2], 3));
        let hash = |n: u64| hasher.words(n, 0);
        (0..500).chain(0..500).for_each(|n| names.learn(hash(n)));
        assert!((0..500).all(|n| names.meet(hash(n)) == Acquaintance::Familiar));
        // Ten seconds at 400,000 a second, each name once; some of them are taken for others.
        let flood = 1_000_000..5_000_000_u64;
        let taken = flood.filter(|n| names.meet(hash(*n)) != Acquaintance::Unheard).count();
        assert!(taken < 4_000_000 / 25, "{taken}");
        assert!((0..500).all(|n| names.meet(hash(n)) == Acquaintance::Familiar));
        // Who tries again half a second later is known.
        let again = |n: u64| names.meet(hash(9_000_000 + n));
        (0..100).for_each(|n| _ = again(n));
        (5_000_000..5_200_000).for_each(|n| _ = names.meet(hash(n)));
        assert!((0..100).all(|n| again(n) == Acquaintance::Recent));
    }
}
