//! Rates over a few dozen milliseconds, on the way of a query: whoever finds that the time is up takes the turn.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::Now;

/// How long is counted for a rate on the way of a query: a flood is seen after one to two of these.
const WINDOW_US: u64 = 50_000;
/// A rate of fewer queries than this says little; the tick looks at a whole second.
const EVENTS_MIN: u32 = 64;

/// A window: when it began, and counters as they stood then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'w, const N: usize> {
    pub(crate) start_us: &'w AtomicU64,
    pub(crate) marks: &'w [AtomicU32; N],
}

impl<const N: usize> Window<'_, N> {
    /// Ends the window if it is time, and says what the counters did, a second. One thread gets the answer, others nothing.
    #[inline]
    pub(crate) fn turn(&self, now: Now, counters: impl FnOnce() -> [u32; N]) -> Option<[f64; N]> {
        let start_us = self.start_us.load(Relaxed);
        if now.us().saturating_sub(start_us) < WINDOW_US {
            return None;
        }
        self.end(start_us, now, counters)
    }

    #[cold]
    fn end(&self, start_us: u64, now: Now, counters: impl FnOnce() -> [u32; N]) -> Option<[f64; N]> {
        self.start_us.compare_exchange(start_us, now.us(), Relaxed, Relaxed).ok()?;
        let mut counts = counters();
        for (count, mark) in counts.iter_mut().zip(self.marks) {
            let before = mark.load(Relaxed);
            mark.store(*count, Relaxed);
            *count = count.wrapping_sub(before);
        }
        let seconds = now.us().saturating_sub(start_us) as f64 / 1e6;
        let enough = counts.iter().any(|count| *count >= EVENTS_MIN);
        enough.then_some(counts.map(|count| f64::from(count) / seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_says_its_rates_once() {
        let window = Window { start_us: &AtomicU64::new(0), marks: &[AtomicU32::new(0), AtomicU32::new(0)] };
        assert_eq!(window.turn(Now::from_us(1000), || panic!("too early")), None);
        window.turn(Now::from_us(1_000_000), || [u32::MAX, 0]);
        assert_eq!(window.turn(Now::from_us(1_049_999), || panic!("too early")), None);
        assert_eq!(window.turn(Now::from_us(1_050_000), || [99, 50]), Some([2000.0, 1000.0]));
        assert_eq!(window.turn(Now::from_us(1_050_000), || panic!("had its turn")), None);
        assert_eq!(window.turn(Now::from_us(1_100_000), || [120, 90]), None, "too few to say");
    }
}
