//! When what a zone answers changes, as a number that whoever keeps answers elsewhere can compare: even while nothing changes.
//!
//! ```text
//! even ── begin ──▶ odd ── (several changes may overlap) ── the last end ──▶ even, and greater than before
//! ```
//!
//! An answer that was found after an even number was read is of now for as long as that number stands. The numbers lie in
//! memory that others read as well; without it there are none, and nobody can keep anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The number of one zone, or of the table of zones.
#[derive(Debug, Default)]
pub(crate) struct Generation {
    word: OnceLock<&'static AtomicU64>,
    /// Changes that go on now.
    changes: Mutex<u32>,
}

impl Generation {
    fn changes(&self) -> MutexGuard<'_, u32> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the number stands there. What was kept by the numbers that stood there before is not of now any more.
    pub(crate) fn attach(&self, word: &'static AtomicU64) {
        let changes = self.changes();
        if self.word.set(word).is_ok() {
            // Whoever wrote there before may have died in the middle of a change.
            let even = (word.load(Ordering::SeqCst) | 1).wrapping_add(1);
            word.store(even.wrapping_add(u64::from(*changes > 0)), Ordering::SeqCst);
        }
    }

    /// The low half of the number, to be read before what may change; none while that goes on, or where there is no number.
    #[inline]
    pub(crate) fn get(&self) -> Option<u32> {
        let number = self.word.get()?.load(Ordering::SeqCst);
        (number & 1 == 0).then_some(number as u32)
    }

    pub(crate) fn begin(&self) {
        let mut changes = self.changes();
        if *changes == 0 {
            self.bump();
        }
        *changes = changes.saturating_add(1);
    }

    pub(crate) fn end(&self) {
        let mut changes = self.changes();
        *changes = changes.saturating_sub(1);
        if *changes == 0 {
            self.bump();
        }
    }

    fn bump(&self) {
        if let Some(word) = self.word.get() {
            // Nobody sees the change before the first of these, or an even number again before the change.
            word.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Makes a change, or several of which each begins and ends for itself.
    pub(crate) fn change<R>(&self, change: impl FnOnce() -> R) -> R {
        let _ends = Ends(self);
        self.begin();
        change()
    }
}

/// Ends a change however it ends.
struct Ends<'g>(&'g Generation);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(number: u64) -> &'static AtomicU64 {
        Box::leak(Box::new(AtomicU64::new(number)))
    }

    #[test]
    fn it_is_odd_while_anything_changes_and_greater_after_that() {
        let (generation, word) = (Generation::default(), word(0));
        assert_eq!(generation.get(), None);
        generation.change(|| ());
        generation.attach(word);
        let before = generation.get().unwrap();
        generation.change(|| {
            assert_eq!(generation.get(), None);
            generation.change(|| assert_eq!(generation.get(), None));
            assert_eq!(generation.get(), None);
        });
        assert_eq!(generation.get(), Some(before + 2));
        assert_eq!(word.load(Ordering::SeqCst), u64::from(before) + 2);
    }

    #[test]
    fn what_another_process_left_is_not_of_now() {
        for left in [0, 6, 7, u64::MAX - 1, u64::MAX] {
            let (generation, word) = (Generation::default(), word(left));
            generation.attach(word);
            let number = generation.get().unwrap();
            assert!(number % 2 == 0 && number != left as u32, "{left}");
        }
    }

    #[test]
    fn attached_during_a_change_it_is_odd_until_the_end() {
        let generation = Generation::default();
        generation.begin();
        generation.attach(word(0));
        assert_eq!(generation.get(), None);
        generation.end();
        assert!(generation.get().is_some());
        // Only the first word counts.
        let number = generation.get();
        generation.attach(word(40));
        assert_eq!(generation.get(), number);
    }

    #[test]
    fn overlapping_changes_of_many_threads_leave_it_even() {
        let (generation, word) = (Generation::default(), word(0));
        generation.attach(word);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| generation.change(|| assert_eq!(generation.get(), None))));
            }
        });
        assert_eq!(word.load(Ordering::SeqCst) % 2, 0);
    }
}
