//! How many questions a zone may put to its origins: so many in any one second, counted exactly. No clock.
//!
//! A window that slides, and no token bucket: a bucket that is full lets twice its rate through in one second, and the
//! origin's operator was promised a number.

use std::collections::VecDeque;
use std::time::Duration;

/// The window.
const WINDOW: Duration = Duration::from_secs(1);
/// One part of so many is kept for what the cache knows already: a flood of new names must not keep the popular ones from
/// being refreshed.
const KEPT_PART: u32 = 8;
/// Prefetching and refilling take no more than one part of so many.
const EARLY_PART: u32 = 2;

/// What a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A client waits for something that the cache does not know.
    New,
    /// A client waits, and the cache has it, but too old; or a question is put again, elsewhere or otherwise.
    Known,
    /// Nobody waits: what is hot and about to expire, or a refill.
    Early,
}

/// The questions of the last second.
#[derive(Debug)]
pub(crate) struct Budget {
    per_s_max: u32,
    taken: VecDeque<Duration>,
}

impl Budget {
    pub(crate) fn new(per_s_max: u32) -> Budget {
        Budget { per_s_max, taken: VecDeque::new() }
    }

    /// Changes the limit; what was taken stays taken.
    pub(crate) fn set_max(&mut self, per_s_max: u32) {
        self.per_s_max = per_s_max;
    }

    /// Takes one question, if there is one left for this purpose. `now` never goes back.
    pub(crate) fn take(&mut self, purpose: Purpose, now: Duration) -> bool {
        while self.taken.front().is_some_and(|&at| now.saturating_sub(at) >= WINDOW) {
            self.taken.pop_front();
        }
        let max = match purpose {
            Purpose::New => self.per_s_max - self.per_s_max / KEPT_PART,
            Purpose::Known => self.per_s_max,
            Purpose::Early => self.per_s_max.div_ceil(EARLY_PART),
        };
        let left = self.taken.len() < max as usize;
        if left {
            self.taken.push_back(now);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn no_second_has_more_than_its_budget() {
        let mut budget = Budget::new(80);
        // Every millisecond three questions of each kind, for five seconds.
        let mut taken = Vec::new();
        for now in 0..5000 {
            for purpose in [Purpose::New, Purpose::Known, Purpose::Early].repeat(3) {
                if budget.take(purpose, ms(now)) {
                    taken.push(now);
                }
            }
        }
        assert_eq!(taken.len(), 5 * 80);
        for start in 0..4000 {
            let within = taken.iter().filter(|&&at| (start..start + 1000).contains(&at)).count();
            assert!(within <= 80, "{within} from {start} ms on");
        }
    }

    #[test]
    fn a_part_is_kept_for_what_is_known_and_early_questions_stand_back() {
        let mut budget = Budget::new(16);
        let taken = |budget: &mut Budget, purpose, now| (0..100).filter(|_| budget.take(purpose, ms(now))).count();
        assert_eq!(taken(&mut budget, Purpose::Early, 0), 8);
        assert_eq!(taken(&mut budget, Purpose::New, 0), 6);
        assert_eq!(taken(&mut budget, Purpose::Known, 0), 2);
        assert_eq!(taken(&mut budget, Purpose::Known, 999), 0);
        assert_eq!(taken(&mut budget, Purpose::New, 1000), 14);
        // The least budget keeps nothing back.
        let mut budget = Budget::new(1);
        assert!(budget.take(Purpose::New, ms(0)) && !budget.take(Purpose::Known, ms(1)));
        assert!(budget.take(Purpose::Early, ms(1000)));
    }
}
