//! Deliberately delayed input (`delay_s` of a node): a new copy is fetched and verified at once, and published only when it
//! has been known for so long.
//!
//! ```text
//!   attempt ─▶ verified ─▶ held ── known for delay_s ──▶ to disk ─▶ published ─▶ next attempt at once
//!                           │
//!                           └── meanwhile an attempt only asks for the SOA: the origin is there, what it has can wait
//! ```
//!
//! One copy a zone is held. It survives nothing: after a restart it is fetched and held anew. A newer serial that was told
//! meanwhile is remembered, so that it need not wait for longer than for its own time.

use std::time::Duration;

use crate::attempt::Outcome;
use crate::error::Error;
use crate::keep::{Keep, Made};
use crate::serial::{self, Order};

/// A copy that is held.
pub(crate) struct Held {
    /// The copy; gone while it is being published.
    made: Option<Box<Made>>,
    /// Its serial.
    pub(crate) serial: u32,
    /// Since when it has been known.
    pub(crate) since: Duration,
    /// When an origin last confirmed that it is there, for the disk.
    confirmed_unix_s: u64,
    /// The newest serial that an origin told meanwhile, and since when.
    newer: Option<(u32, Duration)>,
}

/// A serial, and since when it has been known: left behind by a copy that was held.
pub(crate) type Known = (u32, Duration);

impl Held {
    /// A copy that has just come; `known` is what its predecessor left behind.
    pub(crate) fn new(made: Box<Made>, known: Option<Known>, confirmed_unix_s: u64, now: Duration) -> Held {
        let serial = made.zone().serial();
        let since = known.filter(|(known, _)| *known == serial).map_or(now, |(_, since)| since);
        Held { made: Some(made), serial, since, confirmed_unix_s, newer: None }
    }

    /// When it may be published; `None` while it is.
    pub(crate) fn due(&self, delay: Duration) -> Option<Duration> {
        self.made.as_ref().map(|_| self.since.saturating_add(delay))
    }

    /// An origin was reached, and told this serial.
    pub(crate) fn told(&mut self, serial: Option<u32>, confirmed_unix_s: u64, now: Duration) {
        self.confirmed_unix_s = confirmed_unix_s;
        if let Some(serial) = serial
            && serial::compare(serial, self.serial) == Order::Newer
            && self.newer.is_none_or(|(newer, _)| newer != serial)
        {
            self.newer = Some((serial, now));
        }
    }

    /// Takes the copy out, to be published.
    pub(crate) fn take(&mut self) -> Option<(Box<Made>, u64)> {
        self.made.take().map(|made| (made, self.confirmed_unix_s))
    }

    /// What is left to know once it is published.
    pub(crate) fn newer(&self) -> Option<Known> {
        self.newer
    }

    /// What is left to know of it when it could not be published, and must be fetched anew.
    pub(crate) fn known(&self) -> Known {
        (self.serial, self.since)
    }
}

/// The work of publishing a copy that was held.
pub(crate) struct Release {
    pub(crate) keep: Keep,
    pub(crate) made: Box<Made>,
    pub(crate) confirmed_unix_s: u64,
}

impl Release {
    /// Brings the copy to disk and publishes it.
    pub(crate) async fn run(self) -> Result<Outcome, Error> {
        let Release { keep, made, confirmed_unix_s } = self;
        let work = tokio::task::spawn_blocking(move || keep.publish(*made, confirmed_unix_s));
        work.await.map_err(|error| Error::Internal(error.to_string()))?
    }
}

/// What the status says of a copy that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldRecord {
    pub(crate) serial: u32,
    pub(crate) since: Duration,
    pub(crate) due: Duration,
}
