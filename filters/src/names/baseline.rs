//! What is normal: the mean of what was seen, over more and more time, up to a day.
//!
//! A flood must not become normal because it lasts, and real growth must become so in the end. What is unusual – a defence is
//! armed, or it is more than five times what is normal – therefore moves the mean only by doubling it once in as much time as
//! it has been learned for: minutes on a new node, six hours on an old one.

use serde::Serialize;

/// The mean forgets over this time, once it has been learned for as long.
const MEMORY_S_MAX: f64 = 86_400.0;
/// Before it has been learned for so long, whatever is seen is learned: a new node knows nothing better.
pub(crate) const YOUNG_S: f64 = 15.0;
/// More than so many times what is normal is unusual; so is less than the same part of it.
const UNUSUAL_FACTOR: f64 = 5.0;
/// While it is unusual, the mean doubles at most once in such a time.
const DOUBLING_S_MIN: f64 = 300.0;
const DOUBLING_S_MAX: f64 = 6.0 * 3600.0;
/// What was learned for less than this falls fast, in case it was learned from a flood.
const UNSURE_S: f64 = 600.0;
const UNSURE_FALL_S: f64 = 15.0;

/// A learned rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Baseline {
    /// The mean, a second.
    pub per_s: f64,
    /// For how long it has been learned, in seconds, as far as that was usual.
    pub age_s: f64,
}

impl Baseline {
    /// What counts as normal: at least `least_per_s`.
    pub fn normal_per_s(&self, least_per_s: f64) -> f64 {
        self.per_s.max(least_per_s)
    }

    pub(crate) fn is_young(&self) -> bool {
        self.age_s < YOUNG_S
    }

    /// Learns from `seconds` with this rate. `unusual` says that somebody knows that this is not how it always is.
    pub(crate) fn learn(&mut self, per_s: f64, seconds: f64, least_per_s: f64, unusual: bool) {
        let normal = self.normal_per_s(least_per_s);
        if unusual || (!self.is_young() && per_s > UNUSUAL_FACTOR * normal) {
            self.grow(per_s, seconds, normal);
            return;
        }
        let mut memory_s = (self.age_s + seconds).min(MEMORY_S_MAX);
        if per_s * UNUSUAL_FACTOR < self.per_s && self.age_s < UNSURE_S {
            memory_s = memory_s.min(UNSURE_FALL_S);
        }
        self.per_s += (per_s - self.per_s) * (seconds / memory_s.max(seconds));
        self.age_s = (self.age_s + seconds).min(MEMORY_S_MAX);
    }

    fn grow(&mut self, per_s: f64, seconds: f64, normal: f64) {
        if per_s > normal {
            let doublings = seconds / self.age_s.clamp(DOUBLING_S_MIN, DOUBLING_S_MAX);
            self.per_s = (normal * doublings.exp2()).min(per_s);
        }
    }

    /// A baseline as it may be taken from a file.
    pub(crate) fn checked(per_s: f64, age_s: f64) -> Option<Baseline> {
        let sane = |value: f64, max: f64| value.is_finite() && (0.0..=max).contains(&value);
        (sane(per_s, PER_S_MAX) && sane(age_s, MEMORY_S_MAX)).then_some(Baseline { per_s, age_s })
    }
}

/// No node has more queries a second than this.
const PER_S_MAX: f64 = 1e12;

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: f64 = 1000.0;

    fn learned(per_s: f64, seconds: u32) -> Baseline {
        let mut baseline = Baseline::default();
        (0..seconds).for_each(|_| baseline.learn(per_s, 1.0, LEAST, false));
        baseline
    }

    #[test]
    fn a_new_node_knows_its_normal_within_seconds() {
        assert_eq!(learned(40_000.0, 1).normal_per_s(LEAST), 40_000.0);
        let mut uneven = Baseline::default();
        (0..20).for_each(|s| uneven.learn(if s % 2 == 0 { 3000.0 } else { 5000.0 }, 1.0, LEAST, false));
        assert_eq!(uneven.normal_per_s(LEAST), 4000.0);
        assert_eq!(learned(3.0, 100).normal_per_s(LEAST), LEAST);
    }

    #[test]
    fn a_flood_does_not_become_normal() {
        for armed in [false, true] {
            let mut baseline = learned(2000.0, 86_400);
            (0..3600).for_each(|_| baseline.learn(200_000.0, 1.0, LEAST, armed));
            assert!((2000.0..2300.0).contains(&baseline.per_s), "{}", baseline.per_s);
        }
        let mut new = learned(2000.0, 20);
        (0..60).for_each(|_| new.learn(200_000.0, 1.0, LEAST, true));
        assert!((2000.0..2500.0).contains(&new.per_s), "{}", new.per_s);
    }

    #[test]
    fn real_growth_gets_in_over_hours() {
        let mut baseline = learned(2000.0, 86_400);
        let hours = (1..100).find(|_| {
            (0..3600).for_each(|_| baseline.learn(20_000.0, 1.0, LEAST, false));
            baseline.per_s > 10_000.0
        });
        assert!((6..36).contains(&hours.unwrap()), "{hours:?}");
        let mut small = learned(2000.0, 3600);
        (0..7200).for_each(|_| small.learn(6000.0, 1.0, LEAST, false));
        assert!(small.per_s > 4500.0, "{}", small.per_s);
    }

    #[test]
    fn what_was_learned_from_a_flood_at_the_start_is_soon_forgotten() {
        let mut baseline = learned(200_000.0, 15);
        (0..60).for_each(|_| baseline.learn(2000.0, 1.0, LEAST, false));
        assert!(baseline.per_s < 12_000.0, "{}", baseline.per_s);
    }

    #[test]
    fn days_and_nights_are_one_normal() {
        let mut baseline = learned(10_000.0, 1);
        for s in 0..4 * 86_400u32 {
            let per_s = if s / 43_200 % 2 == 0 { 10_000.0 } else { 3000.0 };
            baseline.learn(per_s, 1.0, LEAST, false);
        }
        assert!((4000.0..9000.0).contains(&baseline.per_s), "{}", baseline.per_s);
    }

    #[test]
    fn a_file_cannot_bring_in_what_is_no_rate() {
        for (per_s, age_s) in [(f64::NAN, 1.0), (1.0, f64::INFINITY), (-1.0, 1.0), (1.0, 86_401.0), (1e13, 1.0)] {
            assert_eq!(Baseline::checked(per_s, age_s), None, "{per_s} {age_s}");
        }
        assert!(Baseline::checked(0.0, 0.0).is_some());
    }
}
