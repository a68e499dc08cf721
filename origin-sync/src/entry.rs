//! One zone in the service: its machine, and what the machine's decisions act on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use wire::Rtype;
use zones::{Zone, ZoneSlot, ZoneState};

use crate::attempt::{Job, Outcome, Report, Then};
use crate::error::Side;
use crate::held::{Held, HeldRecord, Known};
use crate::machine::{Attempt, Ended, Event, Machine, Notice, Publish, Want};
use crate::notify::{Target, unix_now_s};
use crate::peers::Offer;
use crate::pool::Pool;
use crate::settings::ZoneSettings;
use crate::signatures::Signatures;
use crate::status::{ZoneCondition, ZoneRecord};
use crate::store::{Loaded, ZoneStore};
use crate::timers::SoaTimers;

/// A confirmation by an origin is noted on disk no more often than this.
const NOTE_REFRESHED_EVERY: Duration = Duration::from_secs(60);

/// Transfers of differences that may fail in a row before the whole zone is asked for: some origins hang up on a question
/// that they don't know.
const IXFR_FAILURES_MAX: u32 = 3;

/// One zone.
pub(crate) struct Entry {
    pub(crate) settings: Arc<ZoneSettings>,
    pub(crate) machine: Machine,
    pub(crate) slot: Arc<ZoneSlot>,
    pub(crate) store: Arc<ZoneStore>,
    /// The zone as NOTIFYs see it.
    pub(crate) target: Arc<Target>,
    /// The copy that we have, expired or not.
    pub(crate) zone: Option<Arc<Zone>>,
    /// The attempt that waits or runs.
    pub(crate) attempt: Option<(Attempt, SocketAddr)>,
    pub(crate) running: Option<AbortHandle>,
    /// When the service looks at it next.
    pub(crate) timer: Option<Duration>,
    /// What the board has, as soon as the service puts it there.
    pub(crate) record: Arc<ZoneRecord>,
    /// What is known of the copy's signatures.
    pub(crate) signatures: Signatures,
    /// The cache that answers until the first copy has come, of a zone that was filled on demand before.
    pub(crate) stand_in: Option<u64>,
    /// A copy that waits for its time, where the node's input is delayed.
    held: Option<Held>,
    /// What was told of the next copy while the one before was held.
    known: Option<Known>,
    noted: Option<Duration>,
    ixfr_failures: u32,
}

impl Entry {
    pub(crate) fn new(
        id: u64,
        settings: Arc<ZoneSettings>,
        slot: Arc<ZoneSlot>,
        store: Arc<ZoneStore>,
        now: Duration,
    ) -> Entry {
        let machine = Machine::new(settings.machine());
        let record = Arc::new(ZoneRecord::new(&settings, now));
        let offer = Arc::new(Offer::new(Arc::clone(&slot), store.history()));
        let target = Arc::new(Target { zone: id, settings: Arc::clone(&settings), mailbox: Arc::default(), offer });
        Entry {
            settings,
            machine,
            slot,
            store,
            target,
            zone: None,
            attempt: None,
            running: None,
            timer: None,
            record,
            signatures: Signatures::default(),
            stand_in: None,
            held: None,
            known: None,
            noted: None,
            ixfr_failures: 0,
        }
    }

    /// Takes what was found on disk: the event for the machine.
    pub(crate) fn loaded(&mut self, loaded: Loaded) -> Event {
        let age = Duration::from_secs(unix_now_s().saturating_sub(loaded.refreshed_unix_s));
        let soa = SoaTimers::of(&loaded.zone);
        self.zone = Some(Arc::new(loaded.zone));
        Arc::make_mut(&mut self.record).refreshed_unix_s = Some(loaded.refreshed_unix_s);
        Event::Loaded { soa, age }
    }

    /// Publishes what the machine says.
    pub(crate) fn publish(&mut self, publish: Publish) {
        let serve = publish == Publish::Serving || self.settings.config.on_expire == config::OnExpire::Serve;
        let state = match (&self.zone, serve) {
            (_, false) if self.settings.is_on_demand() => ZoneState::OnDemand { id: self.target.zone },
            (Some(zone), true) => ZoneState::Serving(Arc::clone(zone)),
            (zone, false) => ZoneState::Expired(zone.clone()),
            (None, true) => return,
        };
        self.slot.publish(state);
    }

    /// The attempt that was queued, ready to run.
    pub(crate) fn job(&mut self, checks: &Arc<Semaphore>, pool: &Arc<Pool>) -> Option<Job> {
        let (attempt, _) = self.attempt?;
        let then = self.then(attempt);
        Some(Job {
            then,
            settings: Arc::clone(&self.settings),
            upstream: self.settings.upstreams.get(attempt.upstream)?.clone(),
            attempt,
            differences: self.settings.config.ixfr && self.ixfr_failures < IXFR_FAILURES_MAX,
            base: self.zone.clone(),
            base_checked: self.zone.as_ref().is_some_and(|zone| self.signatures.is_checked(zone)),
            checks: Arc::clone(checks),
            slot: Arc::clone(&self.slot),
            store: Arc::clone(&self.store),
            pool: Arc::clone(pool),
        })
    }

    /// What an attempt does with a new copy. A zone without one does not wait for its first, and an operator is obeyed.
    fn then(&mut self, attempt: Attempt) -> Then {
        if attempt.want == Want::Release {
            let taken = self.held.as_mut().and_then(Held::take);
            return taken.map_or(Then::Leave, |(made, confirmed_unix_s)| Then::Release(made, confirmed_unix_s));
        }
        let at_once = self.settings.delay.is_zero() || self.zone.is_none() || self.machine.is_forced();
        match (at_once, &self.held) {
            (true, None) => Then::Publish,
            (true, Some(_)) if self.machine.is_forced() => Then::Publish,
            (_, Some(_)) => Then::Leave,
            (false, None) => Then::Hold,
        }
    }

    /// When the copy that is held may be published, if one is and nothing stands against it.
    pub(crate) fn release_due(&self) -> Option<Duration> {
        self.held.as_ref().filter(|_| self.machine.may_release())?.due(self.settings.delay)
    }

    /// Whether the attempt is one that publishes what was held.
    pub(crate) fn is_releasing(&self) -> bool {
        self.attempt.is_some_and(|(attempt, _)| attempt.want == Want::Release)
    }

    /// Takes the end of publishing what was held: the event for the machine.
    pub(crate) fn released(&mut self, report: &Report) -> Event {
        self.attempt = None;
        self.running = None;
        let held = self.held.take();
        Event::Ended(match &report.outcome {
            Ok(Outcome::Updated { zone, whole, checked, times, .. }) => {
                self.known = held.as_ref().and_then(Held::newer);
                self.zone = Some(Arc::clone(zone));
                self.signatures.updated(zone, *checked, (!whole).then_some(times));
                Ended::Released(SoaTimers::of(zone))
            }
            // It is fetched anew, and has waited already.
            _ => {
                self.known = held.as_ref().map(Held::known);
                Ended::FailedHere
            }
        })
    }

    /// Takes note of what an attempt brought or heard, where the node's input is delayed.
    fn hold(&mut self, report: &mut Report, now: Duration) {
        if let Ok(Outcome::Held(_)) = report.outcome
            && let Ok(Outcome::Held(made)) = std::mem::replace(&mut report.outcome, Ok(Outcome::UpToDate))
        {
            let confirmed_unix_s = self.settings.confirmed_unix_s(made.zone(), report.expire_s);
            self.held = Some(Held::new(made, self.known.take(), confirmed_unix_s, now));
            return;
        }
        match (&report.outcome, &mut self.held, &self.zone) {
            // An operator had the last word.
            (Ok(Outcome::Updated { .. }), held, _) => *held = None,
            (Ok(Outcome::UpToDate), Some(held), Some(zone)) => {
                held.told(report.serial, self.settings.confirmed_unix_s(zone, report.expire_s), now);
            }
            _ => {}
        }
    }

    /// Takes the end of an attempt: the event for the machine.
    pub(crate) fn ended(&mut self, report: &mut Report, address: SocketAddr, now: Duration) -> Event {
        self.attempt = None;
        self.running = None;
        let good_for = report.expire_s.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let ended = match &report.outcome {
            Ok(Outcome::UpToDate | Outcome::Held(_)) => Ended::UpToDate(good_for),
            Ok(Outcome::Updated { zone, whole, checked, times, .. }) => {
                self.zone = Some(Arc::clone(zone));
                self.signatures.updated(zone, *checked, (!whole).then_some(times));
                Ended::Updated(SoaTimers::of(zone), good_for)
            }
            Err(error) if matches!(error.side(), Side::Here) => Ended::FailedHere,
            Err(_) => Ended::FailedThere,
        };
        if report.outcome.is_ok() {
            self.target.offer.set_path(&report.path);
        }
        self.ixfr_failures = match &report.outcome {
            Ok(_) => 0,
            Err(_) => self.ixfr_failures.saturating_add(u32::from(report.question == Rtype::IXFR)),
        };
        let ours = self.zone.as_ref().map(|zone| zone.serial());
        Arc::make_mut(&mut self.record).attempted(report, address, ours, now);
        self.hold(report, now);
        Event::Ended(ended)
    }

    /// Takes note of a NOTIFY.
    pub(crate) fn heard(&mut self, notice: Notice, now: Duration) {
        Arc::make_mut(&mut self.record).heard(notice, now);
    }

    /// Takes a new configuration: the event for the machine.
    pub(crate) fn configure(&mut self, settings: Arc<ZoneSettings>) -> Event {
        Arc::make_mut(&mut self.record).configure(&settings);
        let (mailbox, offer) = (Arc::clone(&self.target.mailbox), Arc::clone(&self.target.offer));
        self.target = Arc::new(Target { zone: self.target.zone, settings: Arc::clone(&settings), mailbox, offer });
        if self.settings.config.dnssec != settings.config.dnssec {
            self.signatures.forget_checks();
        }
        self.settings = settings;
        if self.machine.is_expired() {
            self.publish(Publish::Expired);
        }
        Event::Configure(self.settings.machine())
    }

    /// Whether the last confirmation should be noted on disk now.
    pub(crate) fn wants_note(&mut self, now: Duration, expire_s: Option<u32>) -> Option<(u32, u64)> {
        let soa = self.machine.soa()?;
        let every = NOTE_REFRESHED_EVERY.min(self.settings.machine().clamps.expire(&soa) / 10);
        if self.noted.is_some_and(|noted| now < noted + every) {
            return None;
        }
        self.noted = Some(now);
        Some((soa.serial, self.settings.confirmed_unix_s(self.zone.as_ref()?, expire_s)))
    }

    /// Brings the record up to date.
    pub(crate) fn refresh_record(&mut self, now: Duration) {
        let stale = self.settings.config.on_expire == config::OnExpire::Serve;
        let state = match (&self.zone, self.machine.is_expired()) {
            (None, _) if self.settings.is_on_demand() => ZoneCondition::OnDemand,
            (None, _) => ZoneCondition::Pending,
            (Some(_), false) => ZoneCondition::Serving,
            (Some(_), true) if stale => ZoneCondition::Stale,
            (Some(_), true) if self.settings.is_on_demand() => ZoneCondition::OnDemand,
            (Some(_), true) => ZoneCondition::Expired,
        };
        let record = Arc::make_mut(&mut self.record);
        record.enter(state, now);
        if let Some(zone) = &self.zone {
            record.serial = Some(zone.serial());
            record.records = zone.record_count();
            record.heap_bytes = zone.heap_bytes() as u64;
        }
        record.timers_s = self.machine.soa().map(|soa| self.settings.machine().timers_s(&soa));
        record.expires = self.machine.expires();
        record.held = self.held.as_ref().map(|held| {
            let due = held.since.saturating_add(self.settings.delay);
            HeldRecord { serial: held.serial, since: held.since, due }
        });
        record.delay = self.settings.delay;
        record.next_attempt = self.machine.next_attempt();
        record.sleeps = self.machine.sleeps();
        // That an origin does not give a zone away whole that is filled on demand is no failure.
        record.fail(if record.sleeps { 0 } else { self.machine.failures() }, now);
        record.sizes = self.store.sizes().unwrap_or(record.sizes);
        record.first_signature_expires_unix_s = self.signatures.first_expires_unix_s(unix_now_s());
        record.checked = self.signatures.checked();
        record.check_error = self.signatures.error();
    }
}
