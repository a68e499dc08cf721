//! Budgets of very many keys in a table of fixed size: the generic cell rate algorithm, one cache line a look-up.
//!
//! ```text
//! entry  = tag of the key (18 bits) | how often it was above, modulo 64 (6) | when it is without debt again (40, in 4 µs)
//! bucket = 7 entries on one cache line; who has the least debt makes room
//! ```
//! The rest of the line is nobody's: the kernel lane writes there to have the line come near without waiting for it.
//! Lanes read and write without locks and without atomic exchanges: two at once may lose one query's debt, no more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use crate::{
    Now,
    memory::{Shared, Table, Taker},
};

const ENTRIES: usize = 7;
const UNIT_US: u64 = 4;
const UNITS_PER_S: u64 = 1_000_000 / UNIT_US;
const TIME_BITS: u32 = 40;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
const OVER_MASK: u64 = 63 << TIME_BITS;
const TAG_MASK: u64 = !(TIME_MASK | OVER_MASK);
/// No debt is longer than this; what seems to be is from the last time round of the 50 days that the units count.
const DEBT_UNITS_MAX: u64 = 60 * UNITS_PER_S;

#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
struct Bucket {
    entries: [AtomicU64; ENTRIES],
    spare: AtomicU64,
}

/// The table.
#[derive(Debug)]
pub(crate) struct Budgets {
    buckets: Shared<Bucket>,
}

/// How much a key may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) per_s: u32,
    /// As much as this many seconds' share may come at once.
    pub(crate) burst_s: u32,
}

impl Limit {
    /// What one costs, in units of 4 µs. More than 250,000 a second is no limit.
    #[inline]
    pub(crate) fn cost(self) -> u64 {
        UNITS_PER_S / u64::from(self.per_s.max(1))
    }
}

/// What a budget says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    /// There was something left.
    Within,
    /// There was nothing left; for the so-manieth time, modulo 64.
    Above(u8),
}

impl Budgets {
    /// A table of `buckets` times seven keys; a power of two.
    pub(crate) fn within(taker: &mut Taker<'_>, table: Table, buckets: usize) -> Budgets {
        Budgets { buckets: taker.shared(table, buckets.next_power_of_two()) }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Brings the bucket of this hash near.
    #[inline]
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        let bucket = self.buckets.get(hash as usize & (self.buckets.len() - 1));
        bucket.map_or(0, |bucket| bucket.spare.load(Relaxed))
    }

    /// Takes one from the budget of the key with this hash.
    #[inline]
    pub(crate) fn take(&self, hash: u64, limit: Limit, now: Now) -> Budget {
        let buckets = &*self.buckets;
        let Some(Bucket { entries, .. }) = buckets.get(hash as usize & (buckets.len() - 1)) else {
            return Budget::Within;
        };
        let now = (now.us() / UNIT_US) & TIME_MASK;
        let (slot, entry, debt) = match entries.iter().find(|slot| is_of(slot.load(Relaxed), hash)) {
            Some(slot) => (slot, slot.load(Relaxed), debt(slot.load(Relaxed) & TIME_MASK, now)),
            None => (least(entries, now), hash & TAG_MASK, 0),
        };
        let cost = limit.cost();
        if debt + cost > u64::from(limit.burst_s) * UNITS_PER_S {
            let over = entry.wrapping_add(1 << TIME_BITS) & OVER_MASK;
            slot.store(entry & !OVER_MASK | over, Relaxed);
            return Budget::Above((over >> TIME_BITS) as u8);
        }
        slot.store(entry & !TIME_MASK | ((now + debt + cost) & TIME_MASK), Relaxed);
        Budget::Within
    }
}

#[inline]
fn is_of(entry: u64, hash: u64) -> bool {
    (entry ^ hash) & TAG_MASK == 0 && entry != 0
}

/// Who makes room: the first without debt, or who has least.
#[inline]
fn least(entries: &[AtomicU64; ENTRIES], now: u64) -> &AtomicU64 {
    let [first, ..] = entries;
    let mut least = (first, u64::MAX);
    for slot in entries {
        let debt = debt(slot.load(Relaxed) & TIME_MASK, now);
        if debt == 0 {
            return slot;
        }
        if debt < least.1 {
            least = (slot, debt);
        }
    }
    least.0
}

#[inline]
fn debt(free_again: u64, now: u64) -> u64 {
    match free_again.wrapping_sub(now) & TIME_MASK {
        debt if debt <= DEBT_UNITS_MAX => debt,
        _ => 0,
    }
}

/// One budget in one number: when it is without debt again, in microseconds.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(transparent)]
pub(crate) struct OneBudget(AtomicU64);

impl OneBudget {
    /// Takes one that costs so much, if no more than the burst is used up by then; one always may be.
    pub(crate) fn take(&self, cost_us: u64, burst_us: u64, now: Now) -> bool {
        let free_again = self.0.load(Relaxed).max(now.us());
        let next = free_again.saturating_add(cost_us);
        let within = next - now.us() <= burst_us.max(cost_us);
        if within {
            self.0.store(next, Relaxed);
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(buckets: usize) -> Budgets {
        Budgets::within(&mut Taker::own(), Table::AnswerRates, buckets)
    }

    const LIMIT: Limit = Limit { per_s: 50, burst_s: 2 };

    fn mixed(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
    }

    #[test]
    fn a_key_gets_its_burst_and_then_its_rate() {
        let budgets = own(16);
        let within = |from_ms: u64, ms: u64| {
            (from_ms..from_ms + ms)
                .filter(|ms| budgets.take(mixed(7), LIMIT, Now::from_us(ms * 1000)) == Budget::Within)
                .count()
        };
        assert_eq!(within(1000, 100), 100, "as much as two seconds' share at once");
        assert_eq!(within(1100, 10_000), 504, "then fifty a second");
        assert_eq!(within(100_000, 2000), 199, "and after a pause the burst again");
    }

    /// Where one costs less than the unit there is nothing to count by: it must not be taken for a whole one, which would be a
    /// limit that nobody has asked for.
    #[test]
    fn what_is_more_than_can_be_counted_is_no_limit() {
        let budgets = own(1);
        let answered = |key: u64, per_s: u32| {
            let limit = Limit { per_s, burst_s: 2 };
            (0..3_000_000u64).filter(|us| budgets.take(mixed(key), limit, Now::from_us(*us)) == Budget::Within).count()
        };
        assert_eq!(answered(1, 250_001), 3_000_000);
        assert_eq!(answered(2, u32::MAX), 3_000_000);
        assert_eq!(answered(3, 250_000), 1_249_999, "two seconds' share at once, then so many a second");
    }

    #[test]
    fn what_is_above_is_numbered() {
        let budgets = own(1);
        let now = Now::from_us(5_000_000);
        (0..100).for_each(|_| assert_eq!(budgets.take(mixed(1), LIMIT, now), Budget::Within));
        for n in 1..200u64 {
            assert_eq!(budgets.take(mixed(1), LIMIT, now), Budget::Above((n % 64) as u8));
        }
    }

    /// A flood of keys that come once does not push out the one that has much debt.
    #[test]
    fn who_has_debt_stays() {
        let budgets = own(128);
        let mut within = 0;
        for ms in 0..10_000u64 {
            let now = Now::from_us(ms * 1000);
            within += u32::from(budgets.take(mixed(1), LIMIT, now) == Budget::Within);
            (0..20).for_each(|n| {
                budgets.take(mixed(1000 + ms * 20 + n), LIMIT, now);
            });
        }
        assert!((590..=605).contains(&within), "{within}");
    }

    #[test]
    fn the_clock_of_an_entry_goes_round_without_harm() {
        let budgets = own(1);
        let round_us = (1u64 << TIME_BITS) * UNIT_US;
        for _ in 0..100 {
            budgets.take(mixed(1), LIMIT, Now::from_us(round_us - 2_000_000));
        }
        assert_ne!(budgets.take(mixed(1), LIMIT, Now::from_us(round_us - 2_000_000)), Budget::Within);
        assert_eq!(budgets.take(mixed(1), LIMIT, Now::from_us(round_us - 1_000_000)), Budget::Within);
        assert_eq!(budgets.take(mixed(1), LIMIT, Now::from_us(round_us + 1_000_000)), Budget::Within);
    }

    #[test]
    fn one_budget_keeps_a_part_back() {
        let budget = OneBudget::default();
        let taken = |burst_ms: u64, ms: u64| {
            (0..1000).filter(|_| budget.take(10_000, burst_ms * 1000, Now::from_us(ms * 1000))).count()
        };
        assert_eq!(taken(500, 10_000), 50);
        assert_eq!(taken(1000, 10_000), 50);
        assert_eq!(taken(1000, 10_100), 10);
        assert_eq!(taken(0, 20_000), 1, "one always");
    }
}
