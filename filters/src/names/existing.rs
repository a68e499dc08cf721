//! Names that exist, or did a moment ago, in zones that are filled on demand: their answers may be fetched before those of
//! names that nobody has ever seen.
//!
//! A Bloom filter (1970) of two bits a name within one word, in two generations. Only names that were found get in, so that
//! whoever asks for random names cannot fill it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// 512 KiB a generation: with a million names, one of thirty unknown ones is taken for known.
const WORDS: usize = 1 << 16;
/// A name that is not asked for in one to two of these is forgotten.
pub(crate) const GENERATION_S: u64 = 900;

/// The names.
#[derive(Debug)]
pub(crate) struct ExistingNames {
    generations: [Box<[AtomicU64]>; 2],
    young: AtomicUsize,
}

impl ExistingNames {
    pub(crate) fn new() -> ExistingNames {
        let words = || (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        ExistingNames { generations: [words(), words()], young: AtomicUsize::new(0) }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.generations.iter().map(|words| std::mem::size_of_val(&**words)).sum()
    }

    fn word(&self, generation: usize, hash: u64) -> Option<&AtomicU64> {
        self.generations.get(generation % 2)?.get((hash >> 12) as usize % WORDS)
    }

    pub(crate) fn add(&self, hash: u64) {
        let bits = bits(hash);
        if let Some(word) = self.word(self.young.load(Relaxed), hash) {
            let old = word.load(Relaxed);
            if old & bits != bits {
                word.store(old | bits, Relaxed);
            }
        }
    }

    pub(crate) fn has(&self, hash: u64) -> bool {
        let bits = bits(hash);
        [0, 1].iter().any(|generation| self.word(*generation, hash).is_some_and(|it| it.load(Relaxed) & bits == bits))
    }

    /// Forgets the older generation and begins a new one.
    pub(crate) fn turn(&self) {
        let old = self.young.load(Relaxed).wrapping_add(1) % 2;
        self.generations.get(old).into_iter().flatten().for_each(|word| word.store(0, Relaxed));
        self.young.store(old, Relaxed);
    }
}

fn bits(hash: u64) -> u64 {
    1 << (hash & 63) | 1 << (hash >> 6 & 63)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hasher;

    #[test]
    fn names_are_known_for_one_to_two_generations() {
        let (names, hasher) = (ExistingNames::new(), Hasher::new([1, 2], 3));
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
}
