//! Who was given an answer, and for how long it has no need to ask again.
//!
//! Each place has the upper 24 bits of a hash of source, name and type, and the time up to which the answer holds, in units
//! of 16 ms; the octet between them is nobody's: the kernel lane writes there to have the line come near. A question has two places side by side in one cache line; where both are taken, the one that ends first goes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{
    Now,
    memory::{Shared, Table, Taker},
};

/// Places; a power of two.
pub(crate) const PLACES: usize = 1 << 19;
/// No answer counts for longer, in seconds.
const TTL_S_MAX: u32 = 86_400;
/// The unit of time: 2¹⁴ µs.
const UNIT_US_BITS: u32 = 14;

#[derive(Debug)]
pub(super) struct Repeats {
    places: Shared<AtomicU64>,
}

fn tag(hash: u64) -> u64 {
    hash & !((1 << 40) - 1)
}

fn units(us: u64) -> u32 {
    (us >> UNIT_US_BITS) as u32
}

/// For how long the answer in this place still holds; one that has ended may seem to hold for very long.
fn left(place: u64, now: Now) -> u32 {
    let left = (place as u32).wrapping_sub(units(now.us()));
    if left > units(u64::from(TTL_S_MAX) * 1_000_000) { 0 } else { left }
}

impl Repeats {
    pub(super) fn within(taker: &mut Taker<'_>) -> Repeats {
        Repeats { places: taker.shared(Table::Repeats, PLACES) }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    #[inline]
    fn places(&self, hash: u64) -> Option<[&AtomicU64; 2]> {
        let at = hash as usize & (PLACES - 1);
        Some([self.places.get(at)?, self.places.get(at ^ 1)?])
    }

    /// Whether whoever asks this has the answer already.
    #[inline]
    pub(super) fn has_answer(&self, hash: u64, now: Now) -> bool {
        let has = |place: &&AtomicU64| {
            let place = place.load(Relaxed);
            tag(place) == tag(hash) && left(place, now) > 0
        };
        self.places(hash).is_some_and(|places| places.iter().any(has))
    }

    /// It was given an answer that holds for so long.
    #[inline]
    pub(super) fn give(&self, hash: u64, ttl_s: u32, now: Now) {
        let Some([first, second]) = self.places(hash) else { return };
        let holds = u64::from(ttl_s.min(TTL_S_MAX)) * 1_000_000;
        let place = match [first.load(Relaxed), second.load(Relaxed)] {
            [here, _] if tag(here) == tag(hash) => first,
            [_, here] if tag(here) == tag(hash) => second,
            [here, there] if left(here, now) <= left(there, now) => first,
            _ => second,
        };
        place.store(tag(hash) | u64::from(units(now.us().wrapping_add(holds))), Relaxed);
    }

    /// Brings the line near.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u64 {
        self.places(hash).map_or(0, |[first, _]| first.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(s: u64) -> Now {
        Now::from_us(s * 1_000_000)
    }

    #[test]
    fn an_answer_holds_for_its_ttl() {
        for start_s in [0, 1, 1 << 26, (1 << 26) - 3, u64::from(u32::MAX) * 16] {
            let (repeats, hash) = (Repeats::within(&mut Taker::own()), 0x1234_5678_9abc_def0);
            assert!(!repeats.has_answer(hash, at_s(start_s)));
            repeats.give(hash, 5, at_s(start_s));
            assert!(repeats.has_answer(hash, at_s(start_s)));
            assert!(repeats.has_answer(hash, at_s(start_s + 4)));
            assert!(!repeats.has_answer(hash, at_s(start_s + 6)));
            assert!(!repeats.has_answer(hash ^ 1 << 40, at_s(start_s)), "another one");
        }
    }

    #[test]
    fn what_holds_for_ever_counts_for_a_day() {
        let repeats = Repeats::within(&mut Taker::own());
        repeats.give(7, u32::MAX, at_s(0));
        assert!(repeats.has_answer(7, at_s(86_399)));
        assert!(!repeats.has_answer(7, at_s(86_402)));
    }

    #[test]
    fn of_two_answers_in_the_same_places_the_one_goes_that_ends_first() {
        let hash = |n: u64| n << 40;
        let repeats = Repeats::within(&mut Taker::own());
        repeats.give(hash(1), 100, at_s(0));
        repeats.give(hash(2), 10, at_s(0));
        repeats.give(hash(3), 50, at_s(0));
        assert_eq!([1, 2, 3].map(|n| repeats.has_answer(hash(n), at_s(1))), [true, false, true]);
        // The same question again takes its own place.
        repeats.give(hash(1), 5, at_s(0));
        assert_eq!([1, 3].map(|n| repeats.has_answer(hash(n), at_s(6))), [false, true]);
    }
}
