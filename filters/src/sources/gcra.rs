//! A budget as one number: the generic cell rate algorithm (ITU-T I.371), with a second step for what is far above.
//!
//! ```text
//!  now          now + burst             now + 2 × burst
//!   ├──── within ────┼──────── above ────────┤  far above
//!   │ each costs 1/r │   each costs 1/(4 r)  │  costs nothing more
//! ```
//!
//! The number is the theoretical arrival time (TAT) of the next query. Who stays below the rate r is always within. Above
//! it fewer and fewer are within the more is sent; from 4 r on none is, and so many more than 4 r are far above.

use crate::Now;

/// The TAT is kept in units of so many microseconds, as a power of two.
const UNIT_BITS: u32 = 2;
const UNITS_PER_S: u32 = 1_000_000 >> UNIT_BITS;
/// What may come at once: the budget of a second.
const BURST: u32 = UNITS_PER_S;
/// What is above its budget costs this part; so many times the budget is far above.
const FAR: u32 = 4;
/// No TAT is further ahead than this; one that seems to be has been passed long ago.
const AHEAD_MAX: u32 = 2 * BURST + UNITS_PER_S;

/// What one query costs. Exact to 4 µs; more than 250,000 a second is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost(u32);

/// How much a source sends, measured by its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Within,
    Above,
    FarAbove,
}

impl Cost {
    /// For so many queries a second; 0 lets nothing through at all but one a second.
    pub(super) fn per_s(rate: u64) -> Cost {
        Cost(u32::try_from(u64::from(UNITS_PER_S) / rate.max(1)).unwrap_or(UNITS_PER_S))
    }
}

impl From<Cost> for u64 {
    fn from(cost: Cost) -> u64 {
        cost.0.into()
    }
}

/// The time in the unit of a TAT; wraps.
#[inline]
pub(super) fn units(now: Now) -> u32 {
    (now.us() >> UNIT_BITS) as u32
}

/// How far a TAT of which these bits were kept is ahead of now.
#[inline]
pub(super) fn ahead(tat: u32, now: u32, mask: u32) -> u32 {
    let ahead = tat.wrapping_sub(now) & mask;
    if ahead > AHEAD_MAX { 0 } else { ahead }
}

/// One more query: how much that is, and how far the TAT is ahead from now on.
#[inline]
pub(super) fn step(ahead: u32, cost: Cost) -> (Level, u32) {
    match level(ahead) {
        Level::Within => (Level::Within, ahead + cost.0),
        Level::Above => (Level::Above, ahead + cost.0.div_ceil(FAR)),
        Level::FarAbove => (Level::FarAbove, ahead),
    }
}

/// How much the next query is.
#[inline]
pub(super) fn level(ahead: u32) -> Level {
    match ahead {
        0..BURST => Level::Within,
        _ if ahead < 2 * BURST => Level::Above,
        _ => Level::FarAbove,
    }
}

/// How much of the burst is used up: 1 is all of it, 2 is far above.
pub(super) fn used(ahead: u32) -> f64 {
    f64::from(ahead) / f64::from(BURST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_US: u64 = 1_000_000;

    /// A budget with a TAT of so many bits.
    struct Budget {
        tat: u32,
        mask: u32,
        cost: Cost,
    }

    impl Budget {
        fn new(per_s: u64, bits: u32) -> Budget {
            Budget { tat: 0, mask: u32::MAX >> (32 - bits), cost: Cost::per_s(per_s) }
        }

        fn ask(&mut self, us: u64) -> Level {
            let now = units(Now::from_us(us));
            let (level, ahead) = step(ahead(self.tat, now, self.mask), self.cost);
            self.tat = now.wrapping_add(ahead) & self.mask;
            level
        }
    }

    /// Numbers that look random and are the same each time.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % bound
        }
    }

    /// Counts of within, above and far above when so many a second come for ten seconds, after ten that are not counted.
    fn steady(per_s: u64, offered_per_s: u64) -> [u64; 3] {
        let (mut budget, mut counts) = (Budget::new(per_s, 28), [0; 3]);
        for n in 0..offered_per_s * 20 {
            let us = 500 * SECOND_US + n * SECOND_US / offered_per_s;
            let level = budget.ask(us);
            if us >= 510 * SECOND_US {
                counts[level as usize] += 1;
            }
        }
        counts
    }

    #[test]
    fn who_stays_below_is_always_within() {
        for (per_s, offered) in [(200, 1), (200, 199), (200, 200), (1000, 1000), (2000, 1999), (1, 1), (50_000, 50_000)]
        {
            assert_eq!(steady(per_s, offered)[1..], [0, 0], "{offered} of {per_s}");
        }
    }

    #[test]
    fn above_the_budget_fewer_are_within_the_more_come() {
        let within = [1, 2, 3].map(|times| steady(200, 200 * times)[0]);
        assert!(within.is_sorted_by(|a, b| a > b), "{within:?}");
        // At twice the rate a third is within, by f·2 + (1 − f)·2/4 = 1.
        let [within, above, far] = steady(200, 400);
        assert!((1300..=1360).contains(&within), "{within}");
        assert_eq!((within + above, far), (4000, 0));
    }

    #[test]
    fn far_above_only_four_times_the_budget_is_worth_a_thought() {
        let [within, above, far] = steady(200, 20_000);
        assert_eq!(within, 0);
        assert!((7960..=8000).contains(&above), "{above}");
        assert_eq!(within + above + far, 200_000);
    }

    #[test]
    fn the_budget_of_a_second_may_come_at_once() {
        for per_s in [1, 10, 200, 1000, 12_500] {
            let mut budget = Budget::new(per_s, 28);
            let levels: Vec<_> = (0..per_s + 1).map(|_| budget.ask(77)).collect();
            assert!(levels[..per_s as usize].iter().all(|level| *level == Level::Within), "{per_s}");
            assert_eq!(levels[per_s as usize], Level::Above, "{per_s}");
        }
    }

    #[test]
    fn extreme_rates_do_not_overflow() {
        for per_s in [0, 1, 250_000, 250_001, u64::MAX] {
            let mut budget = Budget::new(per_s, 32);
            for us in [0, 0, u64::MAX, 0, u64::MAX / 2] {
                (0..100).for_each(|_| _ = budget.ask(us));
            }
        }
        let mut unlimited = Budget::new(1_000_000, 28);
        assert!((0..10_000_000).all(|_| unlimited.ask(5) == Level::Within));
    }

    #[test]
    fn a_number_that_has_wrapped_is_forgotten() {
        let mut budget = Budget::new(10, 28);
        (0..1000).for_each(|_| _ = budget.ask(SECOND_US));
        assert_eq!(budget.ask(SECOND_US), Level::FarAbove);
        // 28 bits of 4 µs are 1073.7 s. Whenever it comes back but for the last three seconds of that, it is as new.
        for later_s in [3, 100, 536, 537, 900, 1069] {
            let mut budget = Budget { tat: budget.tat, ..Budget::new(10, 28) };
            assert_eq!(budget.ask((1 + later_s) * SECOND_US), Level::Within, "{later_s}");
        }
    }

    /// The same rule with real numbers and no wrapping.
    #[derive(Default)]
    struct Model {
        tat_us: f64,
    }

    impl Model {
        fn ask(&mut self, us: f64, per_s: f64) -> (Level, f64) {
            let ahead = (self.tat_us - us).max(0.0);
            let (level, cost) = match ahead / 1e6 {
                ahead if ahead < 1.0 => (Level::Within, 1e6 / per_s),
                ahead if ahead < 2.0 => (Level::Above, 1e6 / per_s / 4.0),
                _ => (Level::FarAbove, 0.0),
            };
            self.tat_us = us + ahead + cost;
            (level, ahead)
        }
    }

    /// For any rates that divide a second and any gaps on the grid of the unit, the model says the same; the clock starts
    /// shortly before the kept bits wrap, as it does for a source that is new then.
    #[test]
    fn it_is_the_model() {
        let mut numbers = Numbers(7);
        for round in 0..200 {
            let per_s = [1, 2, 10, 50, 125, 200, 250, 500, 1000, 2000, 12_500][numbers.below(11) as usize];
            let (mut budget, mut model) = (Budget::new(per_s, 28), Model::default());
            let mean_gap = 1 + numbers.below(3 * u64::from(UNITS_PER_S) / per_s);
            let mut now = (1u64 << 28) - numbers.below(1 << 20);
            budget.tat = now as u32;
            for n in 0..5000 {
                now += if numbers.below(50) == 0 { numbers.below(1 << 20) } else { numbers.below(2 * mean_gap) };
                let us = now << UNIT_BITS;
                let (level, ahead) = model.ask(us as f64, per_s as f64);
                let got = budget.ask(us);
                // Rounding up a quarter of a cost makes a difference of a unit a query, at the very edge only.
                let edge = (ahead / 1e6 - ahead.div_euclid(1e6)).min(1.0 - ahead / 1e6 % 1.0) * 1e6;
                assert!(got == level || edge < 4.0 * f64::from(n + 1), "round {round}, query {n}: {got:?}, {level:?}");
                if got != level {
                    break;
                }
            }
        }
    }
}
