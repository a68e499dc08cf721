//! Budgets of many in few places: two rows of them, and one is above its budget only where both rows say so.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::gcra::{self, Cost, Level};
use crate::{
    Now,
    memory::{Shared, Table, Taker},
};

/// Places in each row; a power of two.
pub(crate) const ROW: usize = 1 << 15;

/// Two rows of budgets. Small enough to stay near the processor.
#[derive(Debug)]
pub(super) struct Sketch {
    /// One row behind the other.
    rows: Shared<AtomicU32>,
}

impl Sketch {
    pub(super) fn within(taker: &mut Taker<'_>, table: Table) -> Sketch {
        Sketch { rows: taker.shared(table, 2 * ROW) }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.rows)
    }

    fn places(&self, hash: u64) -> [Option<&AtomicU32>; 2] {
        let place = |at: u64| at as usize & (ROW - 1);
        [self.rows.get(place(hash)), self.rows.get(ROW + place(hash >> 32))]
    }

    /// One more query of who has this hash.
    #[inline]
    pub(super) fn ask(&self, hash: u64, cost: Cost, now: Now) -> Level {
        let units = gcra::units(now);
        let mut least = Level::FarAbove;
        for place in self.places(hash).into_iter().flatten() {
            let (level, ahead) = gcra::step(gcra::ahead(place.load(Relaxed), units, u32::MAX), cost);
            place.store(units.wrapping_add(ahead), Relaxed);
            least = least.min(level);
        }
        least
    }

    /// Brings the places near.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u64 {
        self.places(hash).into_iter().flatten().fold(0, |near, place| near ^ u64::from(place.load(Relaxed)))
    }

    /// How far ahead the budget of who has this hash is used up.
    pub(super) fn ahead(&self, hash: u64, now: Now) -> u32 {
        let ahead = |place: &AtomicU32| gcra::ahead(place.load(Relaxed), gcra::units(now), u32::MAX);
        self.places(hash).into_iter().flatten().map(ahead).min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hasher;

    #[test]
    fn who_shares_one_place_with_a_flood_is_not_above_its_budget() {
        let (sketch, cost, now) =
            (Sketch::within(&mut Taker::own(), Table::PrefixBudgets), Cost::per_s(10), Now::from_us(1_000_000));
        let (flood, other) = (5 | 7 << 32, 5 | 8 << 32);
        (0..100).for_each(|_| _ = sketch.ask(flood, cost, now));
        assert_eq!(sketch.ask(flood, cost, now), Level::FarAbove);
        assert_eq!(sketch.ask(other, cost, now), Level::Within);
        assert_eq!(sketch.ahead(other, now), gcra::step(0, cost).1);
    }

    #[test]
    fn a_thousand_floods_leave_the_others_their_budgets() {
        let (sketch, cost, now) =
            (Sketch::within(&mut Taker::own(), Table::PrefixBudgets), Cost::per_s(10), Now::from_us(0));
        let hasher = Hasher::new([1, 2], 3);
        for flood in 0..1000 {
            (0..50).for_each(|_| _ = sketch.ask(hasher.words(flood, 0), cost, now));
        }
        let hit = (0..10_000).filter(|other| sketch.ahead(hasher.words(*other, 1), now) > 0).count();
        assert!(hit < 50, "{hit} of 10,000 share both their places with a flood");
    }
}
