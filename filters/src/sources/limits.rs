//! What the operator decided about sources, made ready for the way of a query.

use config::Defences;

use super::{gcra::Cost, prefixes::Prefixes, state};

/// A source must have behaved well in at least so many periods, and fewer than twice as many, before it is known good.
const PERIODS_MIN: u64 = 8;
/// No period is shorter, in microseconds.
const PERIOD_US_MIN: u64 = 1 << 16;

/// Limits and lists of sources.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(super) allow: Prefixes,
    pub(super) block: Prefixes,
    pub(super) known_good: Prefixes,
    pub(super) client: Cost,
    pub(super) client_known_good: Cost,
    pub(super) prefix: Cost,
    pub(super) repeats: Cost,
    pub(super) ipv4_prefix: u8,
    pub(super) ipv6_prefix: u8,
    /// Behaviour is judged in periods of so many microseconds, as a power of two.
    pub(super) period_us_bits: u32,
    /// So many good ones make a source known good.
    pub(super) periods: u64,
    /// A known-good source that was silent for longer, in the unit of its state, is forgotten.
    pub(super) lifetime_units: u64,
}

impl Limits {
    pub(crate) fn new(defences: &Defences) -> Limits {
        let known_good_after_us = u64::from(defences.known_good_after_s).saturating_mul(1_000_000);
        let period_us_bits = (known_good_after_us / PERIODS_MIN).max(PERIOD_US_MIN).ilog2();
        let client = u64::from(defences.client_per_s);
        Limits {
            allow: Prefixes::new(&defences.allow),
            block: Prefixes::new(&defences.block),
            known_good: Prefixes::new(&defences.known_good),
            client: Cost::per_s(client),
            client_known_good: Cost::per_s(client * u64::from(defences.known_good_factor.max(1))),
            prefix: Cost::per_s(defences.prefix_per_s.into()),
            repeats: Cost::per_s(defences.repeats_per_s.into()),
            ipv4_prefix: defences.ipv4_prefix,
            ipv6_prefix: defences.ipv6_prefix,
            period_us_bits,
            periods: (known_good_after_us >> period_us_bits).clamp(1, 2 * PERIODS_MIN - 1),
            lifetime_units: state::good_units(defences.known_good_lifetime_s.into()),
        }
    }

    /// What the verdict on a source needs: costs of a query by client, known-good client, prefix and repetition, and periods.
    pub(crate) fn words(&self) -> [u64; 6] {
        let [client, known_good, prefix, repeats] =
            [self.client, self.client_known_good, self.prefix, self.repeats].map(u64::from);
        [client, known_good, prefix, repeats, self.period_us_bits.into(), self.periods]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_add_up_to_the_time_that_was_asked_for() {
        for known_good_after_s in [1, 2, 10, 15, 600, 3600, 86_400, 30 * 86_400] {
            let limits = Limits::new(&Defences { known_good_after_s, ..Defences::default() });
            let (after_us, period_us) = (u64::from(known_good_after_s) * 1_000_000, 1u64 << limits.period_us_bits);
            assert!((PERIODS_MIN..2 * PERIODS_MIN).contains(&limits.periods), "{known_good_after_s}: {limits:?}");
            assert!((after_us - period_us..=after_us).contains(&(limits.periods * period_us)), "{known_good_after_s}");
        }
    }

    #[test]
    fn extreme_settings_have_limits_too() {
        let most = Defences {
            client_per_s: u32::MAX,
            known_good_factor: u32::MAX,
            known_good_after_s: u32::MAX,
            known_good_lifetime_s: u32::MAX,
            ..Defences::default()
        };
        let none = Defences { client_per_s: 0, known_good_after_s: 0, known_good_lifetime_s: 0, ..Defences::default() };
        assert!(Limits::new(&most).periods >= PERIODS_MIN);
        assert_eq!(Limits::new(&none).periods, 1);
    }
}
