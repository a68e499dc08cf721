//! Filters that have no threshold of their own to arm: when one begins to act, and when it has not for a while.

use config::Filter;
use filters::{Counts, Effect};

/// A filter that does something to so many queries in a second acts.
const ACTS_PER_S: u64 = 10;
/// One that does nothing for so many seconds rests again.
const RESTS_AFTER_S: u32 = 10;

/// Those whose acting is an event. Others are told of by the threshold that arms them, or by hand.
const WATCHED: [Filter; 6] =
    [Filter::Malformed, Filter::Client, Filter::Prefix, Filter::Repetition, Filter::ResponseRate, Filter::Stream];

/// What a filter has begun to do, or no longer does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turn {
    pub(super) filter: Filter,
    pub(super) acts: bool,
    /// Queries a second that it does something to, or would.
    pub(super) per_s: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    /// What it has done to queries so far.
    done: u64,
    acts: bool,
    quiet_s: u32,
}

/// Looks at the counters once a second.
#[derive(Debug, Default)]
pub(super) struct Acting([Watch; WATCHED.len()]);

impl Acting {
    /// A second, or `passed_s`, has passed.
    pub(super) fn look(&mut self, refused: impl Fn(Filter) -> u64, passed_s: f64) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (filter, watch) in WATCHED.into_iter().zip(&mut self.0) {
            let done = refused(filter);
            let per_s = done.saturating_sub(watch.done) as f64 / passed_s.max(0.001);
            watch.done = done;
            watch.quiet_s = if per_s < 1.0 { watch.quiet_s + 1 } else { 0 };
            let acts = if watch.acts { watch.quiet_s < RESTS_AFTER_S } else { per_s >= ACTS_PER_S as f64 };
            if acts != watch.acts {
                watch.acts = acts;
                turns.push(Turn { filter, acts, per_s });
            }
        }
        turns
    }
}

/// Queries that got no whole answer for its sake, or would have got none.
pub(super) fn refused(counts: &Counts, filter: Filter) -> u64 {
    let effects = [Effect::Slipped, Effect::Dropped, Effect::WouldSlip, Effect::WouldDrop];
    effects.into_iter().map(|effect| counts.effect(filter, effect)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_acts_until_it_has_been_quiet_for_a_while() {
        let mut acting = Acting::default();
        let mut done = 0;
        let mut look = |more: u64| {
            done += more;
            acting.look(|filter| if filter == Filter::Client { done } else { 0 }, 1.0)
        };
        let turn = |acts: bool, per_s: f64| vec![Turn { filter: Filter::Client, acts, per_s }];
        assert_eq!(look(ACTS_PER_S - 1), []);
        assert_eq!(look(ACTS_PER_S), turn(true, ACTS_PER_S as f64));
        assert_eq!(look(1000), []);
        // A pause is no end.
        (1..RESTS_AFTER_S).for_each(|_| assert_eq!(look(0), []));
        assert_eq!(look(1), []);
        (1..RESTS_AFTER_S).for_each(|_| assert_eq!(look(0), []));
        assert_eq!(look(0), turn(false, 0.0));
        assert_eq!(look(500), turn(true, 500.0));
    }
}
