//! Whether the load is bearable: how soon the edge's own questions are answered, and whether the kernel had to drop any.
//!
//! Too much load is no reason to leave: what this node no longer took, the others would have to take. So it is announced
//! worse, and nothing more.

use std::time::Duration;

use health::{Report, State};

/// Answers that take longer are late.
const LATENCY_MAX: Duration = Duration::from_millis(150);
/// Below this they are in time again.
const LATENCY_GOOD: Duration = Duration::from_millis(50);
/// Datagrams dropped between two turns that are too many; below, they are a burst.
const DROPPED_MAX: u64 = 100;
/// Turns in a row that make it too much.
const TURNS_BAD: u32 = 10;
/// Turns in a row that make it bearable again.
const TURNS_GOOD: u32 = 25;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Load {
    overloaded: Option<String>,
    contrary: u32,
}

impl Load {
    /// Takes what one turn saw: the time within which nine of ten answers came, and datagrams dropped since the turn before.
    pub(super) fn judge(&mut self, latency: Option<Duration>, dropped: u64) -> Report {
        // Without an answer there is another report.
        let late = latency.is_some_and(|latency| latency > LATENCY_MAX);
        let in_time = latency.is_none_or(|latency| latency <= LATENCY_GOOD);
        let (bad, good) = (late || dropped > DROPPED_MAX, in_time && dropped == 0);
        let contrary = if self.overloaded.is_some() { good } else { bad };
        self.contrary = if contrary { self.contrary.saturating_add(1) } else { 0 };
        if bad && (self.overloaded.is_some() || self.contrary >= TURNS_BAD) {
            let latency_ms = latency.unwrap_or_default().as_millis();
            self.overloaded = Some(format!("answers take {latency_ms} ms, {dropped} questions were dropped in a turn"));
            self.contrary = 0;
        } else if self.overloaded.is_some() && self.contrary >= TURNS_GOOD {
            self.overloaded = None;
            self.contrary = 0;
        }
        match &self.overloaded {
            Some(why) => Report::hard(State::Degraded, why.as_str()),
            None => Report::up(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Judges so many equal turns, and gives the last state.
    fn turns(load: &mut Load, number: u32, latency_ms: u64, dropped: u64) -> State {
        let judge = |_| load.judge(Some(Duration::from_millis(latency_ms)), dropped).state;
        (0..number).map(judge).last().unwrap()
    }

    #[test]
    fn only_what_lasts_is_too_much_and_only_what_lasts_is_bearable_again() {
        for (latency_ms, dropped) in [(151, 0), (1, 101)] {
            let mut load = Load::default();
            assert_eq!(turns(&mut load, 9, latency_ms, dropped), State::Up);
            assert_eq!(turns(&mut load, 1, 1, 0), State::Up, "one turn breaks the row");
            assert_eq!(turns(&mut load, 10, latency_ms, dropped), State::Degraded);
            assert_eq!(turns(&mut load, 24, 1, 0), State::Degraded);
            assert_eq!(turns(&mut load, 1, latency_ms, dropped), State::Degraded);
            assert_eq!(turns(&mut load, 24, 50, 0), State::Degraded);
            assert_eq!(turns(&mut load, 1, 50, 0), State::Up);
        }
    }

    #[test]
    fn between_both_limits_nothing_changes() {
        let mut load = Load::default();
        assert_eq!(turns(&mut load, 100, 150, 100), State::Up);
        assert_eq!(turns(&mut load, 10, 200, 0), State::Degraded);
        assert_eq!(turns(&mut load, 100, 51, 0), State::Degraded);
        assert_eq!(turns(&mut load, 100, 1, 1), State::Degraded);
    }

    #[test]
    fn too_much_load_never_makes_a_node_leave() {
        let mut load = Load::default();
        let report = (0..100).map(|_| load.judge(Some(Duration::from_secs(9)), u64::MAX)).last().unwrap();
        assert_eq!((report.state, report.soft), (State::Degraded, false));
        assert_eq!(Load::default().judge(None, 0), Report::up());
    }
}
