//! The clocks that the lanes read, once for a batch of messages. That of the filters is one for all lanes and for whoever
//! else tells the filters the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use filters::Now;
use nix::time::{ClockId, clock_gettime};

/// Filter time when the machine has just started: a day, so that what was never seen was not seen a moment ago.
pub(crate) const BEGINS_AT_US: u64 = 86_400_000_000;

/// The time now: what `CLOCK_MONOTONIC` shows, and a day. So it is the same for a process that takes over what this one
/// leaves, and for the kernel lane's program, which reads that clock too.
#[inline]
pub fn filter_time() -> Now {
    // Linux has this clock always.
    let since_start = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    Now::from_us(BEGINS_AT_US.saturating_add(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX)))
}

/// The time at another moment.
pub(crate) fn filter_time_at(moment: Instant) -> Now {
    let (now, here) = (filter_time().us(), Instant::now());
    let us = |passed: Duration| u64::try_from(passed.as_micros()).unwrap_or(u64::MAX);
    let ago = us(here.saturating_duration_since(moment));
    Now::from_us(now.saturating_sub(ago).saturating_add(us(moment.saturating_duration_since(here))))
}

/// Seconds since 1970, wrapped to the 32 bits of a cookie's timestamp.
pub(crate) fn unix_time_s() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_time_goes_on_as_the_machine_does() {
        let outer = Instant::now();
        let from = filter_time().us();
        let inner = Instant::now();
        while inner.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        let least = inner.elapsed();
        let passed_us = u128::from(filter_time().us() - from);
        assert!((least.as_micros() - 1..=outer.elapsed().as_micros() + 1).contains(&passed_us), "{passed_us}");
        assert!(from >= BEGINS_AT_US);
    }
}
