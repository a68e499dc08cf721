//! Rates over a few dozen milliseconds, on the way of a query: whoever finds that the time is up takes the turn.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::Now;

/// How long is counted for a rate on the way of a query: a flood is seen after one to two of these.
const WINDOW_US: u64 = 50_000;
/// A rate of fewer queries than this says little; the tick looks at a whole second.
const EVENTS_MIN: u32 = 64;

/// Two counters as they stood when the window began.
#[derive(Debug, Default)]
pub(crate) struct Window {
    start_us: AtomicU64,
    marks: [AtomicU32; 2],
}

/// What two counters did in a window, a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates(pub(crate) f64, pub(crate) f64);

impl Window {
    /// Ends the window if it is time, and says what the counters did. One thread gets the answer, others nothing.
    #[inline]
    pub(crate) fn turn(&self, now: Now, counters: impl FnOnce() -> [u32; 2]) -> Option<Rates> {
        let start_us = self.start_us.load(Relaxed);
        if now.us().saturating_sub(start_us) < WINDOW_US {
            return None;
        }
        self.end(start_us, now, counters)
    }

    #[cold]
    fn end(&self, start_us: u64, now: Now, counters: impl FnOnce() -> [u32; 2]) -> Option<Rates> {
        self.start_us.compare_exchange(start_us, now.us(), Relaxed, Relaxed).ok()?;
        let [first, second] = &self.marks;
        let [new_first, new_second] = counters();
        let counts = [new_first.wrapping_sub(first.load(Relaxed)), new_second.wrapping_sub(second.load(Relaxed))];
        first.store(new_first, Relaxed);
        second.store(new_second, Relaxed);
        let seconds = now.us().saturating_sub(start_us) as f64 / 1e6;
        let [a, b] = counts.map(|count| f64::from(count) / seconds);
        counts.iter().any(|count| *count >= EVENTS_MIN).then_some(Rates(a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_says_its_rates_once() {
        let window = Window::default();
        assert_eq!(window.turn(Now::from_us(1000), || panic!("too early")), None);
        window.turn(Now::from_us(1_000_000), || [u32::MAX, 0]);
        assert_eq!(window.turn(Now::from_us(1_049_999), || panic!("too early")), None);
        assert_eq!(window.turn(Now::from_us(1_050_000), || [99, 50]), Some(Rates(2000.0, 1000.0)));
        assert_eq!(window.turn(Now::from_us(1_050_000), || panic!("had its turn")), None);
        assert_eq!(window.turn(Now::from_us(1_100_000), || [120, 90]), None, "too few to say");
    }
}
