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
//! A round that a timer began goes on after its success: the other upstreams are asked for their serials too, and what is
//! newer is fetched. Else a zone could follow an origin for years that has stopped following its own.
//!
//! The timers are those of RFC 1035 §3.3.13 (refresh, retry, expire), NOTIFY follows RFC 1996. A zone that is pulled has its
//! interval in place of the refresh time, and as the bound of the retry time. An upstream that is itself a secondary says
//! how long its copy is good for (RFC 7314); ours is good for no longer.

mod event;
mod release;
mod tree;

use std::time::Duration;

pub(crate) use event::{Actions, Attempt, Context, Ended, Event, Notice, Publish, Settings, Want};

use crate::serial::{self, Order};
use crate::timers::{SoaTimers, futile_notify_wait};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Nothing,
    Serving { soa: SoaTimers, expires: Duration },
    Expired { soa: SoaTimers },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Timer,
    /// A timer's round has succeeded, and asks the other upstreams whether they have something newer.
    Compare,
    Notify,
    /// A NOTIFY with a serial lower than ours: someone set the origin's serial back, or the NOTIFY was overtaken.
    LowerNotify,
    Operator,
    /// A copy that was held is published.
    Release,
}

impl Cause {
    fn is_notify(self) -> bool {
        matches!(self, Cause::Notify | Cause::LowerNotify)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Idle { due: Duration },
    Busy { upstream: usize, tried: usize, cause: Cause },
}

/// When the next attempt of a zone is due of which nothing is to be fetched.
const NEVER: Duration = Duration::MAX;

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
    /// A NOTIFY by an origin behind other nodes, and until when theirs is waited for.
    held: Option<(Notice, Duration)>,
    forced: Forced,
}

impl Machine {
    /// A machine for a zone of which nothing is known yet; its first attempt is due at once.
    pub(crate) fn new(settings: Settings) -> Machine {
        let due = if settings.dormant { NEVER } else { Duration::ZERO };
        Machine {
            settings,
            data: Data::Nothing,
            activity: Activity::Idle { due },
            preferred: 0,
            failures: 0,
            futile: 0,
            pending: None,
            notify_from: Duration::ZERO,
            held: None,
            forced: Forced::No,
        }
    }

    /// When [`Event::Clock`] has something to do; `None` while only an attempt's end can.
    pub(crate) fn due(&self) -> Option<Duration> {
        let expiry = match self.data {
            Data::Serving { expires, .. } => Some(expires),
            _ => None,
        };
        let held = self.held.map(|(_, until)| until);
        expiry.into_iter().chain(held).chain(self.next_attempt()).min()
    }

    /// When the next attempt is due, unless one runs.
    pub(crate) fn next_attempt(&self) -> Option<Duration> {
        let next = match self.activity {
            Activity::Idle { due } => Some(if self.pending.is_some() { due.min(self.notify_from) } else { due }),
            Activity::Busy { .. } => None,
        };
        next.filter(|&next| next != NEVER)
    }

    /// Whether it waits for somebody to want the zone.
    pub(crate) fn sleeps(&self) -> bool {
        self.settings.dormant && self.data == Data::Nothing && matches!(self.activity, Activity::Idle { .. })
    }

    /// When the next attempt is due, if it is to be `then` by what is known of the zone.
    fn due_at(&self, then: Duration) -> Duration {
        if self.settings.dormant && self.data == Data::Nothing { NEVER } else { then }
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

    /// Whether the running attempt is a full transfer that an operator asked for.
    pub(crate) fn is_forced(&self) -> bool {
        self.forced == Forced::Running
    }

    /// Whether a NOTIFY would change anything; most of a flood would not.
    pub(crate) fn heeds(&self, notice: Notice) -> bool {
        self.is_worth_a_look(notice)
            && self.pending.is_none_or(|pending| pending.merge(notice) != pending)
            && self.held.is_none_or(|(held, _)| held.merge(notice) != held)
    }

    /// Takes an event, and says what to do.
    pub(crate) fn handle(&mut self, event: Event, context: &Context<'_>) -> Actions {
        match event {
            Event::Loaded { soa, age } => self.loaded(soa, age, context),
            Event::Clock => self.clock(context),
            Event::Notify(notice) => self.notified(notice, context),
            Event::Retransfer => self.retransfer(context),
            Event::Release => self.publish_held(),
            Event::Demand if self.sleeps() => {
                Actions { attempt: Some(self.begin(Cause::Timer, context)), publish: None }
            }
            Event::Demand => Actions::default(),
            Event::Ended(ended) => self.ended(ended, context),
            Event::Withdrawn => {
                self.activity = Activity::Idle { due: self.due_at(context.now) };
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
        self.release(context);
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
        if !self.is_worth_a_look(notice) || self.sleeps() || self.holds(notice, context) {
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

    /// How the serial of a NOTIFY stands to that of the copy: newer is what may be newer.
    fn order(&self, notice: Notice) -> Order {
        match (self.data, notice.serial) {
            (Data::Serving { soa, .. }, Some(serial)) => serial::compare(serial, soa.serial),
            _ => Order::Newer,
        }
    }

    /// Whether a NOTIFY can mean that the origin has another copy than ours. One with a lower serial may come from a
    /// serial that was set back, which no one would hear of before the next refresh (RFC 1996 §4.7 asks for a check of any
    /// serial that differs).
    fn is_worth_a_look(&self, notice: Notice) -> bool {
        self.order(notice) != Order::Same
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
        if matches!(self.activity, Activity::Idle { .. }) {
            self.activity = Activity::Idle { due: self.due_at(context.now) };
        } else {
            // The running attempt is of the old configuration: ask again after it.
            self.pending = Some(Notice { serial: None, upstream: None });
        }
        self.clock(context)
    }

    fn begin(&mut self, cause: Cause, context: &Context<'_>) -> Attempt {
        let pending = self.pending.take();
        let lower = cause == Cause::Notify && pending.is_some_and(|notice| self.order(notice) == Order::Older);
        let cause = if lower { Cause::LowerNotify } else { cause };
        let notified = pending.filter(|_| cause.is_notify()).and_then(|notice| notice.upstream);
        let upstreams = self.settings.upstreams.max(1);
        let first = notified.filter(|&upstream| upstream < upstreams).unwrap_or_else(|| {
            let order = (0..upstreams).map(|step| (self.first_choice() + step) % upstreams);
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
        Attempt { upstream, want, any_serial, urgent: !matches!(cause, Cause::Timer | Cause::Compare) }
    }

    fn ended(&mut self, ended: Ended, context: &Context<'_>) -> Actions {
        let Activity::Busy { upstream, tried, cause } = self.activity else {
            return Actions::default();
        };
        match ended {
            Ended::Updated(soa, good_for) => {
                self.futile = 0;
                let expires = context.now + self.good_for(&soa, good_for);
                self.succeeded(soa, expires, context)
            }
            Ended::Released(soa) => self.released(soa, context),
            Ended::UpToDate(Some(Duration::ZERO)) | Ended::FailedThere if cause == Cause::Compare => {
                self.compare(context)
            }
            // An upstream whose own copy is about to expire confirms nothing.
            Ended::UpToDate(good_for) => match self.soa().filter(|_| good_for != Some(Duration::ZERO)) {
                Some(soa) => {
                    self.count_futile(cause, context);
                    // What one upstream confirmed, another that knows less does not take back (RFC 7314 §4).
                    let expires = context.now + self.good_for(&soa, good_for);
                    let expires = expires.max(self.expires().unwrap_or_default());
                    self.succeeded(soa, expires, context)
                }
                None => self.failed(cause, context),
            },
            Ended::FailedThere if tried + 1 < self.settings.upstreams => {
                let next = (upstream + 1) % self.settings.upstreams;
                if self.waits_for_nodes(next, context) {
                    return self.failed(cause, context);
                }
                Actions { attempt: Some(self.attempt(next, tried + 1, cause)), publish: None }
            }
            Ended::FailedThere => {
                self.preferred = (upstream + 1) % self.settings.upstreams.max(1);
                self.failed(cause, context)
            }
            Ended::FailedHere => self.failed(cause, context),
        }
    }

    /// How long a copy is good for that an upstream has just confirmed.
    fn good_for(&self, soa: &SoaTimers, told: Option<Duration>) -> Duration {
        let expire = self.settings.clamps.expire(soa);
        told.map_or(expire, |told| told.min(expire))
    }

    fn succeeded(&mut self, soa: SoaTimers, expires: Duration, context: &Context<'_>) -> Actions {
        let publish = (!matches!(self.data, Data::Serving { .. })).then_some(Publish::Serving);
        if let Activity::Busy { upstream, cause, .. } = self.activity
            && (cause != Cause::Compare || self.soa() != Some(soa))
        {
            self.preferred = upstream;
        }
        self.data = Data::Serving { soa, expires };
        self.failures = 0;
        if self.forced == Forced::Running {
            self.forced = Forced::No;
        }
        self.drop_held();
        // A lower serial was overtaken by what has just come.
        self.pending = self.pending.filter(|&notice| self.order(notice) == Order::Newer);
        Actions { publish, ..self.compare(context) }
    }

    /// After a success: asks the next upstream for its serial, or rests until the next round.
    fn compare(&mut self, context: &Context<'_>) -> Actions {
        let nothing_waits = self.pending.is_none() && self.forced == Forced::No;
        if let Activity::Busy { upstream, tried, cause: Cause::Timer | Cause::Compare } = self.activity
            && self.may_compare(context)
            && nothing_waits
        {
            let upstreams = self.settings.upstreams;
            let left = (tried + 1..upstreams).map(|step| (step, (upstream + step - tried) % upstreams));
            if let Some((step, next)) = left.into_iter().find(|(_, upstream)| !(context.avoid)(*upstream)) {
                return Actions { attempt: Some(self.attempt(next, step, Cause::Compare)), publish: None };
            }
        }
        let wait = match (self.settings.pull, self.soa()) {
            (Some(interval), _) => self.settings.clamps.pull(interval, context.random),
            (None, Some(soa)) => self.settings.clamps.refresh(&soa, context.random),
            (None, None) => Duration::ZERO,
        };
        self.activity = Activity::Idle { due: context.now + wait };
        self.answer_notify(context)
    }

    fn failed(&mut self, cause: Cause, context: &Context<'_>) -> Actions {
        self.failures = self.failures.saturating_add(1);
        self.count_futile(cause, context);
        let clamps = &self.settings.clamps;
        let wait = match (self.data, self.settings.pull) {
            (Data::Serving { .. }, Some(interval)) => clamps.retry_pull(interval, self.failures, context.random),
            (Data::Serving { soa, .. }, None) => clamps.retry(&soa, self.failures, context.random),
            _ => clamps.retry_without_data(self.failures, context.random),
        };
        self.activity = Activity::Idle { due: self.due_at(context.now + wait) };
        self.answer_notify(context)
    }

    fn count_futile(&mut self, cause: Cause, context: &Context<'_>) {
        if cause.is_notify() {
            self.futile = self.futile.saturating_add(1);
            self.notify_from = context.now + futile_notify_wait(self.futile);
        }
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
