//! The state machine of one zone: which origin to ask, for what and when. It does no I/O; time and randomness come in.
//!
//! ```text
//!                 Updated                     expiry
//!   Nothing ─────────────────▶ Serving ─────────────────▶ Expired
//!                               ▲   ▲                        │
//!                               └───┴── UpToDate, Updated ◀──┘
//!
//!                due, NOTIFY, retransfer
//!   Idle ────────────────────────────────▶ Busy (one round: each upstream at most once)
//!     ▲                                      │
//!     └── UpToDate, Updated, all failed ◀────┘   a NOTIFY heard meanwhile begins the next round
//! ```
//!
//! The timers are those of RFC 1035 §3.3.13 (refresh, retry, expire), NOTIFY follows RFC 1996.

use std::time::Duration;

use crate::serial;
use crate::timers::{Clamps, SoaTimers, futile_notify_wait};

/// What the machine has to know of the zone's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Clamps on the SOA timers.
    pub clamps: Clamps,
    /// How many upstreams (addresses of origins) there are; at least 1.
    pub upstreams: usize,
    /// Whether differences are asked for.
    pub ixfr: bool,
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
    /// The upstream has what we have.
    UpToDate,
    /// A new copy is on disk and published.
    Updated(SoaTimers),
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Nothing,
    Serving { soa: SoaTimers, expires: Duration },
    Expired { soa: SoaTimers },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Timer,
    Notify,
    Operator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Idle { due: Duration },
    Busy { upstream: usize, tried: usize, cause: Cause },
}

/// A full transfer that an operator asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forced {
    No,
    /// It waits for the running attempt's end.
    Waiting,
    /// It runs, or is retried until it succeeds.
    Running,
}

/// The machine.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    settings: Settings,
    data: Data,
    activity: Activity,
    /// The upstream to ask first.
    preferred: usize,
    /// Rounds in a row in which every upstream failed.
    failures: u32,
    /// Rounds in a row that a NOTIFY asked for in vain.
    futile: u32,
    /// A NOTIFY that no round has answered yet, and when one may.
    pending: Option<Notice>,
    notify_from: Duration,
    forced: Forced,
}

impl Machine {
    /// A machine for a zone of which nothing is known yet; its first attempt is due at once.
    pub(crate) fn new(settings: Settings) -> Machine {
        Machine {
            settings,
            data: Data::Nothing,
            activity: Activity::Idle { due: Duration::ZERO },
            preferred: 0,
            failures: 0,
            futile: 0,
            pending: None,
            notify_from: Duration::ZERO,
            forced: Forced::No,
        }
    }

    /// When [`Event::Clock`] has something to do; `None` while only an attempt's end can.
    pub(crate) fn due(&self) -> Option<Duration> {
        let expiry = match self.data {
            Data::Serving { expires, .. } => Some(expires),
            _ => None,
        };
        let next = match self.activity {
            Activity::Idle { due } => Some(if self.pending.is_some() { due.min(self.notify_from) } else { due }),
            Activity::Busy { .. } => None,
        };
        expiry.into_iter().chain(next).min()
    }

    /// When the next attempt is due, unless one runs.
    pub(crate) fn next_attempt(&self) -> Option<Duration> {
        match self.activity {
            Activity::Idle { due } => Some(if self.pending.is_some() { due.min(self.notify_from) } else { due }),
            Activity::Busy { .. } => None,
        }
    }

    /// When the copy expires, if it has not yet.
    pub(crate) fn expires(&self) -> Option<Duration> {
        match self.data {
            Data::Serving { expires, .. } => Some(expires),
            _ => None,
        }
    }

    /// The timers of the copy that we have, expired or not.
    pub(crate) fn soa(&self) -> Option<SoaTimers> {
        match self.data {
            Data::Nothing => None,
            Data::Serving { soa, .. } | Data::Expired { soa } => Some(soa),
        }
    }

    /// Whether the copy has expired.
    pub(crate) fn is_expired(&self) -> bool {
        matches!(self.data, Data::Expired { .. })
    }

    /// Failed rounds in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether a NOTIFY would change anything; most of a flood would not.
    pub(crate) fn heeds(&self, notice: Notice) -> bool {
        self.is_news(notice) && self.pending.is_none_or(|pending| pending.merge(notice) != pending)
    }

    /// Takes an event, and says what to do.
    pub(crate) fn handle(&mut self, event: Event, context: &Context<'_>) -> Actions {
        match event {
            Event::Loaded { soa, age } => self.loaded(soa, age, context),
            Event::Clock => self.clock(context),
            Event::Notify(notice) => self.notified(notice, context),
            Event::Retransfer => self.retransfer(context),
            Event::Ended(ended) => self.ended(ended, context),
            Event::Withdrawn => {
                self.activity = Activity::Idle { due: context.now };
                Actions::default()
            }
            Event::Configure(settings) => self.configure(settings, context),
        }
    }

    fn loaded(&mut self, soa: SoaTimers, age: Duration, context: &Context<'_>) -> Actions {
        let left = self.settings.clamps.expire(&soa).checked_sub(age).filter(|left| !left.is_zero());
        let publish = match left {
            Some(left) => {
                self.data = Data::Serving { soa, expires: context.now + left };
                Publish::Serving
            }
            None => {
                self.data = Data::Expired { soa };
                Publish::Expired
            }
        };
        // Changes may have been missed while nothing ran here.
        self.activity = Activity::Idle { due: context.now };
        Actions { publish: Some(publish), attempt: None }
    }

    fn clock(&mut self, context: &Context<'_>) -> Actions {
        let mut actions = Actions::default();
        if let Data::Serving { soa, expires } = self.data
            && expires <= context.now
        {
            self.data = Data::Expired { soa };
            actions.publish = Some(Publish::Expired);
        }
        if let Activity::Idle { due } = self.activity {
            if self.pending.is_some() && self.notify_from <= context.now {
                actions.attempt = Some(self.begin(Cause::Notify, context));
            } else if due <= context.now {
                actions.attempt = Some(self.begin(Cause::Timer, context));
            }
        }
        actions
    }

    fn notified(&mut self, notice: Notice, context: &Context<'_>) -> Actions {
        if !self.is_news(notice) {
            return Actions::default();
        }
        self.pending = Some(self.pending.map_or(notice, |pending| pending.merge(notice)));
        self.answer_notify(context)
    }

    fn answer_operator(&mut self, context: &Context<'_>) -> Actions {
        self.forced = Forced::Running;
        Actions { attempt: Some(self.begin(Cause::Operator, context)), publish: None }
    }

    /// Begins the round that an operator or a NOTIFY waits for, if nothing stands against it.
    fn answer_notify(&mut self, context: &Context<'_>) -> Actions {
        let idle = matches!(self.activity, Activity::Idle { .. });
        if idle && self.forced == Forced::Waiting {
            return self.answer_operator(context);
        }
        if idle && self.pending.is_some() && self.notify_from <= context.now {
            return Actions { attempt: Some(self.begin(Cause::Notify, context)), publish: None };
        }
        Actions::default()
    }

    /// Whether a NOTIFY can mean something that the copy does not have.
    fn is_news(&self, notice: Notice) -> bool {
        match (self.data, notice.serial) {
            (Data::Serving { soa, .. }, Some(serial)) => serial::is_newer(serial, soa.serial),
            _ => true,
        }
    }

    fn retransfer(&mut self, context: &Context<'_>) -> Actions {
        match self.activity {
            Activity::Busy { .. } => {
                self.forced = Forced::Waiting;
                Actions::default()
            }
            Activity::Idle { .. } => self.answer_operator(context),
        }
    }

    fn configure(&mut self, settings: Settings, context: &Context<'_>) -> Actions {
        self.settings = settings;
        self.preferred = 0;
        self.failures = 0;
        if let Activity::Idle { due } = &mut self.activity {
            *due = context.now;
        } else {
            // The running attempt is of the old configuration: ask again after it.
            self.pending = Some(Notice { serial: None, upstream: None });
        }
        self.clock(context)
    }

    fn begin(&mut self, cause: Cause, context: &Context<'_>) -> Attempt {
        let notified = self.pending.take().and_then(|notice| notice.upstream);
        let upstreams = self.settings.upstreams.max(1);
        let first = notified.filter(|&upstream| cause == Cause::Notify && upstream < upstreams).unwrap_or_else(|| {
            let order = (0..upstreams).map(|step| (self.preferred + step) % upstreams);
            order.into_iter().find(|&upstream| !(context.avoid)(upstream)).unwrap_or(self.preferred % upstreams)
        });
        self.attempt(first, 0, cause)
    }

    fn attempt(&mut self, upstream: usize, tried: usize, cause: Cause) -> Attempt {
        self.activity = Activity::Busy { upstream, tried, cause };
        let (want, any_serial) = match self.data {
            _ if self.forced == Forced::Running => (Want::Whole, true),
            Data::Nothing => (Want::Whole, true),
            Data::Expired { .. } => (Want::Check, true),
            Data::Serving { .. } if cause == Cause::Notify && self.settings.ixfr => (Want::Differences, false),
            Data::Serving { .. } => (Want::Check, false),
        };
        Attempt { upstream, want, any_serial, urgent: cause != Cause::Timer }
    }

    fn ended(&mut self, ended: Ended, context: &Context<'_>) -> Actions {
        let Activity::Busy { upstream, tried, cause } = self.activity else {
            return Actions::default();
        };
        match ended {
            Ended::Updated(soa) => {
                self.futile = 0;
                self.succeeded(soa, upstream, context)
            }
            Ended::UpToDate => match self.soa() {
                Some(soa) => {
                    self.count_futile(cause, context);
                    self.succeeded(soa, upstream, context)
                }
                None => self.failed(cause, context),
            },
            Ended::FailedThere if tried + 1 < self.settings.upstreams => {
                let next = (upstream + 1) % self.settings.upstreams;
                Actions { attempt: Some(self.attempt(next, tried + 1, cause)), publish: None }
            }
            Ended::FailedThere => {
                self.preferred = (upstream + 1) % self.settings.upstreams.max(1);
                self.failed(cause, context)
            }
            Ended::FailedHere => self.failed(cause, context),
        }
    }

    fn succeeded(&mut self, soa: SoaTimers, upstream: usize, context: &Context<'_>) -> Actions {
        let publish = (!matches!(self.data, Data::Serving { .. })).then_some(Publish::Serving);
        self.data = Data::Serving { soa, expires: context.now + self.settings.clamps.expire(&soa) };
        self.preferred = upstream;
        self.failures = 0;
        if self.forced == Forced::Running {
            self.forced = Forced::No;
        }
        self.activity = Activity::Idle { due: context.now + self.settings.clamps.refresh(&soa, context.random) };
        self.pending = self.pending.filter(|&notice| self.is_news(notice));
        Actions { publish, ..self.answer_notify(context) }
    }

    fn failed(&mut self, cause: Cause, context: &Context<'_>) -> Actions {
        self.failures = self.failures.saturating_add(1);
        self.count_futile(cause, context);
        let clamps = &self.settings.clamps;
        let wait = match self.data {
            Data::Serving { soa, .. } => clamps.retry(&soa, self.failures, context.random),
            _ => clamps.retry_without_data(self.failures, context.random),
        };
        self.activity = Activity::Idle { due: context.now + wait };
        self.answer_notify(context)
    }

    fn count_futile(&mut self, cause: Cause, context: &Context<'_>) {
        if cause == Cause::Notify {
            self.futile = self.futile.saturating_add(1);
            self.notify_from = context.now + futile_notify_wait(self.futile);
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
