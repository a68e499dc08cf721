//! What is known of one source, in 64 bits: its budget, and what it is worth.
//!
//! ```text
//!  63      60 59      52 51        40  39   38   35 34   31 30      28 27                 0
//! ├──────────┼──────────┼────────────┼────┼───────┼───────┼──────────┼────────────────────┤  watched, proven
//! │          │ proof at │   period   │good│  bad  │periods│          │                    │
//! ├──┬───────┴──────────┴─┬──────────┴────┴───────┴───────┤ standing │ TAT, units of 4 µs │
//! │  │      heard at      │             since             │          │                    │  good
//! └──┴────────────────────┴───────────────────────────────┴──────────┴────────────────────┘
//!  63 62                47 46                           31
//! ```
//!
//! Times are counted in units that suit what they are for and wrap: a proof's in 64 s, those of the known good in 1024 s.
//! What is older than a wrap was swept away long before.

use super::{gcra, gcra::Level, limits::Limits};
use crate::Now;

const TAT_MASK: u32 = (1 << 28) - 1;
/// How long a proof holds, in its unit: an hour.
const PROOF_UNITS: u64 = 57;
pub(super) const PROOF_S: u64 = PROOF_UNITS << 6;
/// What seems to be older than this was written by a thread whose clock is a batch ahead.
const PROOF_AGE_MAX: u64 = 250;
const GOOD_AGE_MAX: u64 = 65_000;
/// Failures weigh so much against one answer, so that the sum of both grows where more than a third are failures. It has
/// this bound; a period that ends with so much does not count.
const BAD_WEIGHT: u64 = 2;
const BAD_MAX: u64 = 15;
const BAD_SPOILS: u64 = 8;
/// A source that was silent for so many periods may be pushed out by whoever comes.
const STALE_PERIODS: u64 = 32;

/// What a source is worth, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was seen more than once.
    Watched,
    /// It has just come over a connection.
    Connected,
    /// It has just had a valid cookie.
    HadCookie,
    /// It behaved well for long enough.
    Behaved,
    /// Another node, or a copy from before the start, says so.
    Told,
}

/// Where the bits are.
#[derive(Clone, Copy)]
struct Field {
    shift: u32,
    bits: u32,
}

const STANDING: Field = Field { shift: 28, bits: 3 };
const PERIODS: Field = Field { shift: 31, bits: 4 };
const BAD: Field = Field { shift: 35, bits: 4 };
const HAD_GOOD: Field = Field { shift: 39, bits: 1 };
const PERIOD: Field = Field { shift: 40, bits: 12 };
const PROOF_AT: Field = Field { shift: 52, bits: 8 };
const SINCE: Field = Field { shift: 31, bits: 16 };
const HEARD_AT: Field = Field { shift: 47, bits: 16 };

impl Field {
    const fn mask(self) -> u64 {
        (1 << self.bits) - 1
    }

    /// From one time to another, both of which have wrapped.
    const fn since(self, from: u64, to: u64) -> u64 {
        to.wrapping_sub(from) & self.mask()
    }
}

/// The time in the units that a state has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(super) now: Now,
    pub(super) units: u32,
    period: u64,
    proof: u64,
    good: u64,
}

impl Clock {
    #[inline]
    pub(crate) fn new(now: Now, limits: &Limits) -> Clock {
        let s = now.s();
        Clock {
            now,
            units: gcra::units(now),
            period: now.us() >> limits.period_us_bits,
            proof: s >> 6,
            good: s >> GOOD_UNIT_BITS,
        }
    }
}

/// The unit of the times of the known good, in seconds, as a power of two.
const GOOD_UNIT_BITS: u32 = 10;

/// Seconds in the unit of the times of the known good, rounded down.
pub(super) fn good_units(seconds: u64) -> u64 {
    (seconds >> GOOD_UNIT_BITS).min(GOOD_AGE_MAX - 1)
}

/// The other way round.
pub(super) fn good_units_s(units: u64) -> u64 {
    units << GOOD_UNIT_BITS
}

/// What is known of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u64);

/// What an answer said about who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conduct {
    Good,
    Bad,
}

impl State {
    /// Seen for the second time.
    #[inline]
    pub(super) fn watched(clock: &Clock) -> State {
        State(u64::from(clock.units & TAT_MASK)).with(PERIOD, clock.period)
    }

    /// Known to be good for so long, heard of so long ago.
    pub(super) fn told(since_age_s: u64, heard_age_s: u64, clock: &Clock) -> State {
        let at = |age_s| clock.good.wrapping_sub(good_units(age_s));
        let fresh = State(u64::from(clock.units & TAT_MASK));
        fresh.with_standing(Standing::Told).with(SINCE, at(since_age_s)).with(HEARD_AT, at(heard_age_s))
    }

    #[inline]
    pub(super) fn from_bits(bits: u64) -> State {
        State(bits)
    }

    #[inline]
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    #[inline]
    fn get(self, field: Field) -> u64 {
        self.0 >> field.shift & field.mask()
    }

    #[inline]
    fn with(self, field: Field, value: u64) -> State {
        State(self.0 & !(field.mask() << field.shift) | (value & field.mask()) << field.shift)
    }

    fn with_standing(self, standing: Standing) -> State {
        self.with(STANDING, standing as u64)
    }

    #[inline]
    pub(super) fn standing(self) -> Standing {
        match self.get(STANDING) {
            1 => Standing::Connected,
            2 => Standing::HadCookie,
            3 => Standing::Behaved,
            4 => Standing::Told,
            _ => Standing::Watched,
        }
    }

    /// How far ahead its budget is used up.
    #[inline]
    pub(super) fn ahead(self, clock: &Clock) -> u32 {
        gcra::ahead(self.0 as u32 & TAT_MASK, clock.units, TAT_MASK)
    }

    /// One more query.
    #[inline]
    pub(super) fn ask(self, cost: gcra::Cost, clock: &Clock) -> (Level, State) {
        let (level, ahead) = gcra::step(self.ahead(clock), cost);
        let tat = clock.units.wrapping_add(ahead) & TAT_MASK;
        (level, State(self.0 & !u64::from(TAT_MASK) | u64::from(tat)))
    }

    /// Whether it is known to be good for long.
    #[inline]
    pub(super) fn is_good(self) -> bool {
        self.get(STANDING) >= Standing::Behaved as u64
    }

    /// Whether it has proved a moment ago that it is where it says.
    #[inline]
    pub(super) fn is_proven(self, clock: &Clock) -> bool {
        matches!(self.standing(), Standing::Connected | Standing::HadCookie) && self.proof_age(clock) < PROOF_UNITS
    }

    fn proof_age(self, clock: &Clock) -> u64 {
        let age = PROOF_AT.since(self.get(PROOF_AT), clock.proof);
        if age > PROOF_AGE_MAX { 0 } else { age }
    }

    /// For how many seconds its proof still holds.
    pub(super) fn proof_left_s(self, clock: &Clock) -> u64 {
        PROOF_UNITS.saturating_sub(self.proof_age(clock)) << 6
    }

    /// It proves where it is; what was learned of it stays.
    #[inline]
    pub(super) fn prove(self, by: Standing, clock: &Clock) -> State {
        if self.is_good() { self } else { self.with_standing(by).with(PROOF_AT, clock.proof) }
    }

    /// How many periods it has behaved well in.
    pub(super) fn good_periods(self) -> u64 {
        if self.is_good() { 0 } else { self.get(PERIODS) }
    }

    /// It behaved like this.
    #[inline]
    pub(super) fn learn(self, conduct: Conduct, clock: &Clock) -> State {
        if self.is_good() {
            return self.hear(clock);
        }
        let state = self.settle(clock);
        let bad = state.get(BAD);
        match conduct {
            Conduct::Good => state.with(HAD_GOOD, 1).with(BAD, bad.saturating_sub(1)),
            Conduct::Bad => state.with(BAD, (bad + BAD_WEIGHT).min(BAD_MAX)),
        }
    }

    /// It behaved so badly that no period counts until it has had some good answers.
    pub(super) fn spoil(self, clock: &Clock) -> State {
        if self.is_good() { self } else { self.settle(clock).with(BAD, BAD_MAX) }
    }

    /// A new period begins: the one before is reckoned up.
    #[inline]
    fn settle(self, clock: &Clock) -> State {
        // Who has a clock that is a moment behind does not begin the last period once more: each turn would count as one.
        if PERIOD.since(clock.period, self.get(PERIOD)) <= 1 {
            return self;
        }
        let periods = self.get(PERIODS);
        let periods = match (self.get(BAD), self.get(HAD_GOOD)) {
            (BAD_SPOILS.., _) => periods / 2,
            (_, 0) => periods,
            _ => (periods + 1).min(PERIODS.mask()),
        };
        self.with(PERIODS, periods).with(HAD_GOOD, 0).with(PERIOD, clock.period)
    }

    /// A known-good source was heard of again.
    #[inline]
    pub(super) fn hear(self, clock: &Clock) -> State {
        self.with(HEARD_AT, clock.good)
    }

    /// From now on it is known to be good.
    pub(super) fn promote(self, clock: &Clock) -> State {
        let fresh = State(self.0 & u64::from(TAT_MASK)).with_standing(Standing::Behaved);
        fresh.with(SINCE, clock.good).with(HEARD_AT, clock.good)
    }

    /// For how many seconds it has been known to be good, and since when it was not heard of; both rounded down.
    pub(super) fn good_ages_s(self, clock: &Clock) -> (u64, u64) {
        let age = |field: Field| match field.since(self.get(field), clock.good) {
            age if age > GOOD_AGE_MAX => 0,
            age => age << GOOD_UNIT_BITS,
        };
        (age(SINCE), age(HEARD_AT))
    }

    /// What is left of it in time: nothing if it is a known-good source that was silent for its lifetime. A proof that has
    /// ended is taken away, and no age comes near its wrap.
    pub(super) fn sweep(self, limits: &Limits, clock: &Clock) -> Option<State> {
        if self.is_good() {
            let (since_s, silent_s) = self.good_ages_s(clock);
            let at_most = clock.good.wrapping_sub(GOOD_AGE_MAX / 2);
            let state = if good_units(since_s) > GOOD_AGE_MAX / 2 { self.with(SINCE, at_most) } else { self };
            return (good_units(silent_s) <= limits.lifetime_units).then_some(state);
        }
        Some(match self.is_proven(clock) {
            true => self,
            false => self.with_standing(Standing::Watched).with(PROOF_AT, 0),
        })
    }

    /// Who is pushed out first has the lowest rank; [`State::RANK_PROVEN`] and more is not pushed out by who proves
    /// nothing, [`State::RANK_GOOD`] by nobody.
    pub(super) fn rank(self, clock: &Clock) -> u64 {
        if self.is_good() {
            return State::RANK_GOOD;
        }
        if self.is_proven(clock) {
            return State::RANK_PROVEN + PROOF_UNITS - self.proof_age(clock).min(PROOF_UNITS);
        }
        let age = PERIOD.since(self.get(PERIOD), clock.period);
        let periods = if age > STALE_PERIODS { 0 } else { self.get(PERIODS) };
        (periods << PERIOD.bits) + PERIOD.mask() - age + 1
    }

    pub(super) const RANK_PROVEN: u64 = 1 << 20;
    pub(super) const RANK_GOOD: u64 = 1 << 21;
}

#[cfg(test)]
mod tests {
    use config::Defences;

    use super::*;

    #[test]
    fn lanes_whose_clocks_differ_by_a_moment_count_a_period_once() {
        let limits = Limits::new(&Defences::default());
        let turn_us = 5 << limits.period_us_bits;
        let [before, after] = [turn_us - 1, turn_us].map(|us| Clock::new(Now::from_us(us), &limits));
        let mut state = State::watched(&before).learn(Conduct::Good, &before);
        for _ in 0..20 {
            state = state.learn(Conduct::Good, &after).learn(Conduct::Good, &before);
        }
        assert_eq!(state.good_periods(), 1);
    }
}
