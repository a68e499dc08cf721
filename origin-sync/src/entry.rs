//! One zone in the service: its machine, and what the machine's decisions act on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use wire::Rtype;
use zones::{Zone, ZoneSlot, ZoneState};

use crate::attempt::{Job, Outcome, Report};
use crate::error::Side;
use crate::machine::{Attempt, Ended, Event, Machine, Publish};
use crate::notify::{Target, unix_now_s};
use crate::settings::ZoneSettings;
use crate::status::{AttemptResult, OriginStatus, TransferStatus, ZoneCondition, ZoneRecord};
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
    pub(crate) record: ZoneRecord,
    noted: Option<Duration>,
    ixfr_failures: u32,
}

impl Entry {
    pub(crate) fn new(id: u64, settings: Arc<ZoneSettings>, slot: Arc<ZoneSlot>, store: Arc<ZoneStore>) -> Entry {
        let machine = Machine::new(settings.machine());
        let record = ZoneRecord { origins: origins(&settings), ..ZoneRecord::default() };
        let target = Arc::new(Target { zone: id, settings: Arc::clone(&settings), mailbox: Arc::default() });
        let (zone, attempt, running, timer, noted) = (None, None, None, None, None);
        Entry { settings, machine, slot, store, target, zone, attempt, running, timer, record, noted, ixfr_failures: 0 }
    }

    /// Takes what was found on disk: the event for the machine.
    pub(crate) fn loaded(&mut self, loaded: Loaded) -> Event {
        let age = Duration::from_secs(unix_now_s().saturating_sub(loaded.refreshed_unix_s));
        let soa = timers(&loaded.zone);
        self.zone = Some(Arc::new(loaded.zone));
        self.record.refreshed_unix_s = Some(loaded.refreshed_unix_s);
        Event::Loaded { soa, age }
    }

    /// Publishes what the machine says.
    pub(crate) fn publish(&mut self, publish: Publish) {
        let serve = publish == Publish::Serving || self.settings.config.on_expire == config::OnExpire::Serve;
        let state = match (&self.zone, serve) {
            (Some(zone), true) => ZoneState::Serving(Arc::clone(zone)),
            (zone, false) => ZoneState::Expired(zone.clone()),
            (None, true) => return,
        };
        self.slot.publish(state);
    }

    /// The attempt that was queued, ready to run.
    pub(crate) fn job(&self) -> Option<Job> {
        let (attempt, _) = self.attempt?;
        Some(Job {
            settings: Arc::clone(&self.settings),
            upstream: self.settings.upstreams.get(attempt.upstream)?.clone(),
            attempt,
            differences: self.settings.config.ixfr && self.ixfr_failures < IXFR_FAILURES_MAX,
            base: self.zone.clone(),
            slot: Arc::clone(&self.slot),
            store: Arc::clone(&self.store),
        })
    }

    /// Takes the end of an attempt: the event for the machine.
    pub(crate) fn ended(&mut self, report: &Report, address: SocketAddr, now: Duration) -> Event {
        self.attempt = None;
        self.running = None;
        let ended = match &report.outcome {
            Ok(Outcome::UpToDate) => Ended::UpToDate,
            Ok(Outcome::Updated { zone, .. }) => {
                self.zone = Some(Arc::clone(zone));
                Ended::Updated(timers(zone))
            }
            Err(error) if matches!(error.side(), Side::Here) => Ended::FailedHere,
            Err(_) => Ended::FailedThere,
        };
        self.ixfr_failures = match &report.outcome {
            Ok(_) => 0,
            Err(_) => self.ixfr_failures.saturating_add(u32::from(report.question == Rtype::IXFR)),
        };
        if report.outcome.is_ok() {
            self.record.refreshed_unix_s = Some(unix_now_s());
        }
        self.record.last_attempt = Some(now);
        self.record.last_error = report.outcome.as_ref().err().map(ToString::to_string);
        self.record_origin(report, address, now);
        Event::Ended(ended)
    }

    /// Why the last attempt at an address failed, if it did.
    pub(crate) fn last_error_at(&self, address: SocketAddr) -> Option<&str> {
        let address = address.to_string();
        let (origin, _) = self.record.origins.iter().find(|(origin, _)| origin.address == address)?;
        origin.last_error.as_deref()
    }

    fn record_origin(&mut self, report: &Report, address: SocketAddr, now: Duration) {
        let address = address.to_string();
        let Some((origin, at)) = self.record.origins.iter_mut().find(|(origin, _)| origin.address == address) else {
            return;
        };
        *at = Some(now);
        origin.serial = report.serial.or(origin.serial);
        origin.last_result = Some(match &report.outcome {
            Ok(Outcome::UpToDate) => AttemptResult::UpToDate,
            Ok(Outcome::Updated { .. }) => AttemptResult::Updated,
            Err(_) => AttemptResult::Failed,
        });
        origin.last_error = report.outcome.as_ref().err().map(ToString::to_string);
        origin.last_error_kind = report.outcome.as_ref().err().map(|error| error.label());
        if let Some(fallback) = &report.fallback {
            origin.last_fallback = Some(fallback.to_string());
        }
        if let (Some(fetched), Ok(Outcome::Updated { .. })) = (&report.fetched, &report.outcome) {
            origin.last_transfer = Some(TransferStatus {
                question: report.question.to_string(),
                transport: report.transport,
                serial: fetched.serial,
                bytes: fetched.bytes,
                records: fetched.records,
                took_ms: report.took.as_secs_f64() * 1000.0,
            });
        }
    }

    /// Takes a new configuration: the event for the machine.
    pub(crate) fn configure(&mut self, settings: Arc<ZoneSettings>) -> Event {
        let old = std::mem::replace(&mut self.record.origins, origins(&settings));
        for (origin, at) in &mut self.record.origins {
            if let Some(known) =
                old.iter().find(|(known, _)| known.address == origin.address && known.origin == origin.origin)
            {
                *at = known.1;
                *origin = OriginStatus { key: origin.key.take(), ..known.0.clone() };
            }
        }
        let mailbox = Arc::clone(&self.target.mailbox);
        self.target = Arc::new(Target { zone: self.target.zone, settings: Arc::clone(&settings), mailbox });
        self.settings = settings;
        if self.machine.is_expired() {
            self.publish(Publish::Expired);
        }
        Event::Configure(self.settings.machine())
    }

    /// Whether the last confirmation should be noted on disk now.
    pub(crate) fn wants_note(&mut self, now: Duration) -> Option<u32> {
        let soa = self.machine.soa()?;
        let every = NOTE_REFRESHED_EVERY.min(self.settings.machine().clamps.expire(&soa) / 10);
        if self.noted.is_some_and(|noted| now < noted + every) {
            return None;
        }
        self.noted = Some(now);
        Some(soa.serial)
    }

    /// Brings the record up to date.
    pub(crate) fn refresh_record(&mut self) {
        let stale = self.settings.config.on_expire == config::OnExpire::Serve;
        self.record.state = match (&self.zone, self.machine.is_expired()) {
            (None, _) => ZoneCondition::Pending,
            (Some(_), false) => ZoneCondition::Serving,
            (Some(_), true) if stale => ZoneCondition::Stale,
            (Some(_), true) => ZoneCondition::Expired,
        };
        if let Some(zone) = &self.zone {
            self.record.serial = Some(zone.serial());
            self.record.records = zone.record_count();
            self.record.heap_bytes = zone.heap_bytes() as u64;
        }
        self.record.expires = self.machine.expires();
        self.record.next_attempt = self.machine.next_attempt();
        self.record.failures = self.machine.failures();
        self.record.sizes = self.store.sizes().unwrap_or(self.record.sizes);
    }
}

fn timers(zone: &Zone) -> SoaTimers {
    let soa = zone.soa();
    SoaTimers { serial: soa.serial, refresh_s: soa.refresh_s, retry_s: soa.retry_s, expire_s: soa.expire_s }
}

fn origins(settings: &ZoneSettings) -> Vec<(OriginStatus, Option<Duration>)> {
    let origin = |upstream: &crate::settings::Upstream| OriginStatus {
        origin: upstream.origin.config.name.clone(),
        address: upstream.address.to_string(),
        key: upstream.origin.key.as_ref().map(|key| key.name().to_owned()),
        serial: None,
        last_attempt_age_s: None,
        last_result: None,
        last_error: None,
        last_error_kind: None,
        last_transfer: None,
        last_fallback: None,
    };
    settings.upstreams.iter().map(|upstream| (origin(upstream), None)).collect()
}
