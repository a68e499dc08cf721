//! Hold-down: who comes and goes has to wait longer each time before it comes back, so that routers are not sent one
//! update after the other.

use std::time::{Duration, Instant};

/// The first hold-down.
const HOLD_MIN: Duration = Duration::from_secs(1);

/// What is remembered of a route's flaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damping {
    hold: Duration,
    until: Option<Instant>,
}

impl Damping {
    /// As an earlier run left it: the hold-down that began `age` ago.
    pub(crate) fn remembered(hold: Duration, age: Duration, now: Instant) -> Damping {
        Damping { hold, until: Some(now + hold.saturating_sub(age)) }
    }

    /// The route became worse: the hold-down doubles, or begins anew after a quiet time as long as `max`.
    pub(crate) fn flap(&mut self, now: Instant, max: Duration) {
        let quiet = self.until.is_none_or(|until| now.saturating_duration_since(until) >= max);
        let hold = if quiet { HOLD_MIN } else { (self.hold * 2).max(HOLD_MIN) };
        self.hold = hold.min(max);
        self.until = Some(now + self.hold);
    }

    /// Whether the route may become better.
    pub(crate) fn over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// Until when it may not.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The hold-down that was last ordered.
    pub(crate) fn hold(&self) -> Duration {
        self.hold
    }
}
