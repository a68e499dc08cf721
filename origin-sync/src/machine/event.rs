//! What a zone's machine is told, and what it answers: settings, events, actions.

use std::time::Duration;

use crate::serial;
use crate::timers::{Clamps, SoaTimers};

/// What the machine has to know of the zone's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Clamps on the SOA timers.
    pub clamps: Clamps,
    /// How many upstreams (addresses of origins) there are; at least 1.
    pub upstreams: usize,
    /// How many of the first of them are other nodes; behind them come the origins.
    pub nodes: usize,
    /// Whether differences are asked for.
    pub ixfr: bool,
    /// The time between two checks, in place of the SOA's refresh time, of a zone that is pulled.
    pub pull: Option<Duration>,
    /// Whether nothing is fetched before somebody wants it: the zone is filled on demand.
    pub dormant: bool,
}

impl Settings {
    /// Refresh, retry and expire in seconds, as the zone goes by them.
    pub(crate) fn timers_s(&self, soa: &SoaTimers) -> [u64; 3] {
        let [refresh, retry, expire] = self.clamps.clamped_s(soa);
        match self.pull.map(|interval| interval.as_secs()) {
            Some(interval) => [interval, retry.min(interval), expire],
            None => [refresh, retry, expire],
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The disk was read: what was found there, and how long ago an origin confirmed it.
    Loaded {
        /// The timers of the zone found.
        soa: SoaTimers,
        /// The time since the last contact with an origin.
        age: Duration,
    },
    /// Time has passed.
    Clock,
    /// A NOTIFY was accepted.
    Notify(Notice),
    /// An operator asked for a full transfer.
    Retransfer,
    /// A copy that was held may be published.
    Release,
    /// Somebody wants a zone that is filled on demand, and that may be fetched whole.
    Demand,
    /// The attempt that was started last has ended.
    Ended(Ended),
    /// The attempt that was started last never ran: the configuration changes.
    Withdrawn,
    /// The configuration has changed.
    Configure(Settings),
}

/// What a NOTIFY said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    /// The serial in its answer section (RFC 1996 §3.7); it is a hint, not a promise.
    pub serial: Option<u32>,
    /// The upstream that it came from, if it is one.
    pub upstream: Option<usize>,
}

impl Notice {
    /// One notice in place of two.
    pub(crate) fn merge(self, later: Notice) -> Notice {
        let serial = match (self.serial, later.serial) {
            (Some(a), Some(b)) => Some(serial::newer_of(a, b)),
            _ => None,
        };
        Notice { serial, upstream: later.upstream.or(self.upstream) }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The upstream has what we have, and says how long that is good for, if it does (RFC 7314).
    UpToDate(Option<Duration>),
    /// A new copy is on disk and published; the upstream says how long it is good for, if it does.
    Updated(SoaTimers, Option<Duration>),
    /// A copy that was held is on disk and published. No upstream was asked.
    Released(SoaTimers),
    /// It failed at the upstream or on the way to it: another one may do better.
    FailedThere,
    /// It failed on this machine (disk): another upstream would not help.
    FailedHere,
}

/// What an attempt is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Ask for the SOA, then fetch what is newer than `have`.
    Check,
    /// Ask for the differences since `have` at once: a NOTIFY promised something newer.
    Differences,
    /// Fetch the whole zone.
    Whole,
    /// Publish the copy that was held; ask nobody.
    Release,
}

/// An attempt at one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// The upstream's index.
    pub upstream: usize,
    /// What to do there.
    pub want: Want,
    /// Whether a serial lower than ours is taken too (nothing valid is served).
    pub any_serial: bool,
    /// Whether a NOTIFY or an operator waits for it.
    pub urgent: bool,
}

/// What is to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// The copy that we have.
    Serving,
    /// That the copy has expired.
    Expired,
}

/// What the shell has to do after an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Actions {
    /// Start this attempt.
    pub attempt: Option<Attempt>,
    /// Publish this.
    pub publish: Option<Publish>,
}

/// What surrounds an event.
pub(crate) struct Context<'a> {
    /// Time since some fixed moment.
    pub now: Duration,
    /// Fresh randomness.
    pub random: u64,
    /// Whether an upstream is known to be out of reach at the moment.
    pub avoid: &'a dyn Fn(usize) -> bool,
}
