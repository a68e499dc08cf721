//! Whether a lane has more to answer than it can, and what it leaves out then: the worst first.
//!
//! ```text
//! socket backlogged for 2 ms ──> one level up: more is left out ──> backlogged again after 2 ms ──> …
//! not backlogged for a hold  ──> one level down: more is served ──> backlogged soon: the next hold is twice as long
//! ```
//!
//! Going up is quick: it has to be done before the socket's buffer is full, some ten milliseconds after it begins to fill.
//! Going down is tried, at first often, then seldom, since to try it with too little capacity costs some milliseconds of
//! waiting for all.

use std::cell::Cell;

use crate::Now;

/// From which penalty on queries are left out, by level. At the last only those are served that have none.
const REFUSED_FROM: [u8; 6] = [NOBODY, 80, 60, 40, 30, 1];
/// More than any query has.
const NOBODY: u8 = u8::MAX;
/// A backlog that lasts so long is more than a burst.
const BACKLOG_US: u64 = 2_000;
/// Shortest and longest time without a backlog until more is served again.
const HOLD_US_MIN: u64 = 50_000;
const HOLD_US_MAX: u64 = 2_000_000;
/// A backlog that comes so soon after more was served shows that it was too early.
const RELAPSE_US: u64 = 500_000;
/// To leave out more helps where one of so many queries is served that could be left out.
const BORNE_PART: u32 = 20;
/// After so long without any pressure the next hold is the shortest again.
const FORGET_US: u64 = 10_000_000;

/// The pressure on one lane.
#[derive(Debug)]
pub struct Pressure {
    level: Cell<u8>,
    /// Queries with this penalty or more are left out.
    refused_from: Cell<u8>,
    /// Since when the socket has been backlogged; none if it is not.
    backlog_since_us: Cell<Option<u64>>,
    /// When there was a backlog for long enough, or the level was changed, for the last time.
    settled_us: Cell<u64>,
    /// When more was served again for the last time.
    eased_us: Cell<u64>,
    hold_us: Cell<u64>,
    /// Queries looked at, and those among them that were served though they are not the best, since the backlog began or the
    /// level was changed.
    looked_at: Cell<u32>,
    borne: Cell<u32>,
}

impl Default for Pressure {
    fn default() -> Pressure {
        Pressure {
            level: Cell::new(0),
            refused_from: Cell::new(NOBODY),
            backlog_since_us: Cell::new(None),
            settled_us: Cell::new(0),
            eased_us: Cell::new(0),
            hold_us: Cell::new(HOLD_US_MIN),
            looked_at: Cell::new(0),
            borne: Cell::new(0),
        }
    }
}

impl Pressure {
    /// Whether a query with this penalty is served now. What has none always is.
    #[inline]
    pub(crate) fn serves(&self, penalty: u8) -> bool {
        penalty < self.refused_from.get()
    }

    /// Whether anything is left out.
    pub fn is_on(&self) -> bool {
        self.level.get() > 0
    }

    /// One more query was looked at.
    #[inline]
    pub(crate) fn looked_at(&self) {
        self.looked_at.set(self.looked_at.get().wrapping_add(1));
    }

    /// One was served that could have been left out.
    #[inline]
    pub(crate) fn bore(&self) {
        self.borne.set(self.borne.get().wrapping_add(1));
    }

    /// Whether to leave out more would help: a backlog of what is dropped already, or of nothing but the best, does not get
    /// shorter by it.
    fn would_help(&self) -> bool {
        self.borne.get().saturating_mul(BORNE_PART) >= self.looked_at.get()
    }

    fn count_anew(&self) {
        self.looked_at.set(0);
        self.borne.set(0);
    }

    /// To be told after each turn over the lane's sockets: whether one of them may have more than was taken from it.
    #[inline]
    pub fn turn(&self, is_backlogged: bool, now: impl FnOnce() -> Now) {
        // Most turns end here, without a look at the clock.
        if is_backlogged || self.is_on() {
            self.follow(is_backlogged, now().us());
        } else {
            self.backlog_since_us.set(None);
        }
    }

    #[cold]
    fn follow(&self, is_backlogged: bool, now_us: u64) {
        let since = |us: u64| now_us.saturating_sub(us);
        if !is_backlogged {
            self.backlog_since_us.set(None);
            if since(self.settled_us.get()) >= self.hold_us.get() {
                self.ease(now_us);
            }
            return;
        }
        let Some(began_us) = self.backlog_since_us.get() else {
            self.count_anew();
            return self.backlog_since_us.set(Some(now_us));
        };
        if since(began_us) < BACKLOG_US {
            return;
        }
        // Each level has its time to show.
        if since(self.settled_us.get()) >= BACKLOG_US && self.would_help() {
            self.press(now_us);
            self.count_anew();
        }
    }

    fn press(&self, now_us: u64) {
        let since_us = |us: u64| now_us.saturating_sub(us);
        if self.level.get() == 0 && since_us(self.settled_us.get()) >= FORGET_US {
            self.hold_us.set(HOLD_US_MIN);
        } else if self.eased_us.get() > 0 && since_us(self.eased_us.get()) < RELAPSE_US {
            self.hold_us.set(self.hold_us.get().saturating_mul(2).min(HOLD_US_MAX));
            // Once for each attempt.
            self.eased_us.set(0);
        }
        self.set_level(self.level.get().saturating_add(1), now_us);
    }

    fn ease(&self, now_us: u64) {
        self.eased_us.set(now_us);
        self.set_level(self.level.get().saturating_sub(1), now_us);
    }

    fn set_level(&self, level: u8, now_us: u64) {
        let level = level.min(REFUSED_FROM.len() as u8 - 1);
        self.level.set(level);
        self.refused_from.set(REFUSED_FROM.get(usize::from(level)).copied().unwrap_or(NOBODY));
        self.settled_us.set(now_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lane that can serve what has a penalty below a bound, and then some.
    struct Lane {
        pressure: Pressure,
        now_us: u64,
    }

    impl Lane {
        fn new() -> Lane {
            Lane { pressure: Pressure::default(), now_us: 1_000_000 }
        }

        /// For so many microseconds, turns of 200 µs each of which finds a backlog or not. Returns how many did.
        fn run(&mut self, us: u64, is_backlogged: impl Fn(&Pressure) -> bool) -> u64 {
            let until_us = self.now_us + us;
            let mut backlogged = 0;
            while self.now_us < until_us {
                let is_backlogged = is_backlogged(&self.pressure);
                backlogged += u64::from(is_backlogged);
                self.pressure.turn(is_backlogged, || Now::from_us(self.now_us));
                self.now_us += 200;
            }
            backlogged
        }
    }

    #[test]
    fn without_a_backlog_everybody_is_served() {
        let mut lane = Lane::new();
        lane.run(10_000_000, |_| false);
        assert!((0..=100).all(|penalty| lane.pressure.serves(penalty)));
    }

    #[test]
    fn a_backlog_that_leaving_out_more_would_not_shorten_is_borne() {
        let mut lane = Lane::new();
        let mut turn = |borne: bool| {
            for query in 0..64 {
                lane.pressure.looked_at();
                if borne && query % 16 == 0 {
                    lane.pressure.bore();
                }
            }
            lane.run(200, |_| true);
            lane.pressure.is_on()
        };
        assert!((0..500).all(|_| !turn(false)), "all of it is dropped already, or the best");
        assert!((0..50).any(|_| turn(true)), "one of sixteen could be left out");
    }

    #[test]
    fn a_burst_is_no_pressure() {
        let mut lane = Lane::new();
        for _ in 0..100 {
            lane.run(1_800, |_| true);
            lane.run(200, |_| false);
            assert!(lane.pressure.serves(99) && !lane.pressure.is_on());
        }
    }

    #[test]
    fn the_worst_are_left_out_first_and_those_without_penalty_never() {
        let mut lane = Lane::new();
        let mut least_refused = 101;
        for _ in 0..50 {
            lane.run(400, |_| true);
            let refused = (0..=100).find(|penalty| !lane.pressure.serves(*penalty)).unwrap_or(101);
            assert!(refused <= least_refused, "{refused} after {least_refused}");
            least_refused = refused;
        }
        assert_eq!(least_refused, 1);
        lane.run(1_000_000, |_| true);
        assert!(lane.pressure.serves(0) && !lane.pressure.serves(1));
    }

    #[test]
    fn within_twelve_milliseconds_only_those_without_penalty_are_left() {
        let mut lane = Lane::new();
        lane.run(12_500, |_| true);
        assert!(!lane.pressure.serves(1));
    }

    #[test]
    fn when_it_is_over_all_are_served_again() {
        let mut lane = Lane::new();
        lane.run(20_000, |_| true);
        lane.run(5 * 60_000, |_| false);
        assert!(lane.pressure.serves(99) && !lane.pressure.is_on());
    }

    #[test]
    fn it_settles_where_the_capacity_is() {
        let mut lane = Lane::new();
        // What has a penalty of 50 and more is too much.
        let too_much = |pressure: &Pressure| pressure.serves(50);
        lane.run(5_000_000, too_much);
        let backlogged = lane.run(20_000_000, too_much);
        // Tried every two seconds and a little, each time for two milliseconds.
        assert!((10..200).contains(&backlogged), "{backlogged} of 100,000 turns");
        assert!(lane.pressure.serves(30));
        // The next flood, long after, is met without that caution.
        lane.run(60_000_000, |_| false);
        lane.run(20_000, |_| true);
        lane.run(300_000, |_| false);
        assert!(!lane.pressure.is_on());
    }
}
