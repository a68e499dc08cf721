//! The clocks that the lanes read, once for a batch of messages. That of the filters is one for all lanes and for whoever
//! else tells the filters the time.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use filters::Now;

/// What the clock shows when it is first read: a day, so that what was never seen was not seen a moment ago.
const BEGINS_AT_US: u64 = 86_400_000_000;

/// The time now.
#[inline]
pub fn filter_time() -> Now {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let passed_us = BEGAN.get_or_init(Instant::now).elapsed().as_micros();
    Now::from_us(BEGINS_AT_US.saturating_add(u64::try_from(passed_us).unwrap_or(u64::MAX)))
}

/// Seconds since 1970, wrapped to the 32 bits of a cookie's timestamp.
pub(crate) fn unix_time_s() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as u32)
}
