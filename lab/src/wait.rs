//! Waiting for a condition with a deadline: the lab never sleeps in hope.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::LabError;

/// Pause between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Look at `condition` until it gives a value, at most for `deadline`; `what` completes "waited in vain for …".
pub fn until<T>(
    what: impl Into<String>,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Result<T, LabError> {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if start.elapsed() >= deadline {
            return Err(LabError::NotReady { what: what.into(), waited: deadline, details: String::new() });
        }
        thread::sleep(LOOK_EVERY);
    }
}
