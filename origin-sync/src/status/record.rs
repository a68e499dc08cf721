//! What is known of a zone, with times as the service has them; what it hears and does is recorded here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::Rtype;

use super::{AttemptResult, HeldStatus, OriginStatus, TransferStatus, ZoneCondition, ZoneStatus, ZoneTotals};
use crate::attempt::{Outcome, Report};
use crate::client::Transport;
use crate::held::HeldRecord;
use crate::machine::Notice;
use crate::notify::unix_now_s;
use crate::serial;
use crate::settings::{Upstream, ZoneSettings};
use crate::signatures::Checked;

/// What is known of a zone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ZoneRecord {
    /// Shared by all members of a catalog.
    config: Arc<config::Zone>,
    state: ZoneCondition,
    state_since: Duration,
    pub(crate) serial: Option<u32>,
    pub(crate) records: u64,
    pub(crate) heap_bytes: u64,
    pub(crate) refreshed_unix_s: Option<u64>,
    /// Refresh, retry and expire, clamped.
    pub(crate) timers_s: Option<[u64; 3]>,
    pub(crate) expires: Option<Duration>,
    pub(crate) first_signature_expires_unix_s: Option<u64>,
    /// What was verified of the copy.
    pub(crate) checked: Checked,
    /// Why the copy that we have would not be taken today, if a later look at it found so.
    pub(crate) check_error: Option<Arc<str>>,
    /// A copy that is not published yet.
    pub(crate) held: Option<HeldRecord>,
    /// How late the node's input is.
    pub(crate) delay: Duration,
    pub(crate) next_attempt: Option<Duration>,
    /// Whether nothing is to be fetched before somebody wants the zone.
    pub(crate) sleeps: bool,
    failures: u32,
    failing_since: Option<Duration>,
    pub(crate) sizes: (u64, u64),
    last_attempt: Option<Duration>,
    last_error: Option<(Arc<str>, &'static str)>,
    last_notify: Option<Duration>,
    promise: Option<Promise>,
    totals: ZoneTotals,
    upstreams: Arc<[Upstream]>,
    /// One for each of them.
    origins: Box<[OriginRecord]>,
}

/// A serial that a NOTIFY promised and no origin has brought yet.
#[derive(Clone, Copy, Debug)]
struct Promise {
    serial: u32,
    since: Duration,
    /// The upstream that promised it, if it is one.
    upstream: Option<usize>,
}

/// One address of an origin; which, the shared upstreams say. There is one of these for each zone and address, so it is
/// kept small.
#[derive(Clone, Debug, Default)]
struct OriginRecord {
    serial: Option<u32>,
    /// Since when that is newer than ours.
    newer_since: Option<Duration>,
    last: Option<LastAttempt>,
    failures: u32,
    last_error: Option<(Arc<str>, &'static str)>,
    last_transfer: Option<Box<TransferStatus>>,
    last_fallback: Option<Box<str>>,
}

/// The last attempt at an address.
#[derive(Clone, Debug)]
struct LastAttempt {
    at: Duration,
    result: AttemptResult,
    question: Rtype,
    transport: Transport,
    took: Duration,
}

impl OriginRecord {
    fn attempted(&mut self, report: &Report, error: Option<(Arc<str>, &'static str)>, now: Duration) {
        let result = match &report.outcome {
            Ok(Outcome::UpToDate) => AttemptResult::UpToDate,
            Ok(Outcome::Updated { .. } | Outcome::Held(_)) => AttemptResult::Updated,
            Err(_) => AttemptResult::Failed,
        };
        let (question, transport, took) = (report.question, report.transport, report.took);
        self.last = Some(LastAttempt { at: now, result, question, transport, took });
        self.serial = report.serial.or(self.serial);
        self.failures = if error.is_some() { self.failures.saturating_add(1) } else { 0 };
        self.last_error = error;
        if let Some(fallback) = &report.fallback {
            self.last_fallback = Some(fallback.to_string().into());
        }
        if let (Some(fetched), Ok(Outcome::Updated { .. } | Outcome::Held(_))) = (&report.fetched, &report.outcome) {
            self.last_transfer = Some(Box::new(TransferStatus {
                question: question.to_string(),
                transport,
                serial: fetched.serial,
                bytes: fetched.bytes,
                records: fetched.records,
                took_ms: took.as_secs_f64() * 1000.0,
            }));
        }
    }

    fn status(&self, upstream: &Upstream, now: Duration) -> OriginStatus {
        let since = |then: Option<Duration>| then.map(|then| now.saturating_sub(then).as_secs_f64());
        let key = upstream.origin.key.as_ref().map(|key| key.name().to_owned());
        let last = self.last.as_ref();
        OriginStatus {
            origin: upstream.name().to_owned(),
            address: upstream.address.to_string(),
            serial: self.serial,
            lag_s: since(self.newer_since).unwrap_or(0.0),
            last_attempt_age_s: since(last.map(|last| last.at)),
            last_result: last.map(|last| last.result),
            last_question: last.map(|last| last.question.to_string()),
            last_transport: last.map(|last| last.transport),
            last_key: key.clone().filter(|_| last.is_some()),
            last_took_ms: last.map(|last| last.took.as_secs_f64() * 1000.0),
            key,
            failures: self.failures,
            last_error: self.last_error.as_ref().map(|(error, _)| error.to_string()),
            last_error_kind: self.last_error.as_ref().map(|(_, kind)| (*kind).to_owned()),
            last_transfer: self.last_transfer.as_deref().cloned(),
            last_fallback: self.last_fallback.as_deref().map(str::to_owned),
        }
    }

    /// How many serials the origin is known to be ahead of ours.
    fn ahead(&self, ours: Option<u32>) -> Option<u32> {
        ahead(self.serial?, ours)
    }
}

impl ZoneRecord {
    /// Of a zone that is new.
    pub(crate) fn new(settings: &ZoneSettings, now: Duration) -> ZoneRecord {
        let mut record = ZoneRecord { state_since: now, ..ZoneRecord::default() };
        record.configure(settings);
        record
    }

    /// Takes a new configuration; what is known of addresses that stay is kept.
    pub(crate) fn configure(&mut self, settings: &ZoneSettings) {
        self.config = Arc::clone(&settings.config);
        let old_upstreams = std::mem::replace(&mut self.upstreams, Arc::clone(&settings.upstreams));
        if Arc::ptr_eq(&old_upstreams, &self.upstreams) {
            return;
        }
        let old = std::mem::take(&mut self.origins);
        let keep = |upstream: &Upstream| {
            let same = |known: &Upstream| known.address == upstream.address && known.name() == upstream.name();
            let known = old_upstreams.iter().position(same).and_then(|place| old.get(place));
            known.cloned().unwrap_or_default()
        };
        self.origins = self.upstreams.iter().map(keep).collect();
    }

    /// Records the end of an attempt; `ours` is the serial of the copy after it.
    pub(crate) fn attempted(&mut self, report: &Report, address: SocketAddr, ours: Option<u32>, now: Duration) {
        let error = report.outcome.as_ref().err();
        let error = error.map(|error| (Arc::from(error.to_string()), error.label()));
        if error.is_none() {
            self.refreshed_unix_s = Some(unix_now_s());
        }
        self.last_attempt = Some(now);
        self.last_error.clone_from(&error);
        self.count(report);
        let place = self.upstreams.iter().position(|upstream| upstream.address == address);
        if let Some(origin) = place.and_then(|place| self.origins.get_mut(place)) {
            origin.attempted(report, error, now);
        }
        let up_to_date = matches!(report.outcome, Ok(Outcome::UpToDate));
        // Who promised more has none: a NOTIFY's serial is only a hint (RFC 1996 §3.7).
        let broken = |promise: &Promise| up_to_date && promise.upstream.is_none_or(|upstream| place == Some(upstream));
        self.promise = self.promise.filter(|promise| ahead(promise.serial, ours).is_some() && !broken(promise));
        for origin in &mut self.origins {
            origin.newer_since = origin.ahead(ours).map(|_| origin.newer_since.unwrap_or(now));
        }
    }

    fn count(&mut self, report: &Report) {
        let totals = &mut self.totals;
        match &report.outcome {
            Ok(Outcome::UpToDate) => totals.up_to_date += 1,
            Ok(fetched) => {
                if fetched.is_whole() {
                    totals.axfr += 1
                } else {
                    totals.ixfr += 1
                }
                totals.transfer_bytes += report.fetched.map_or(0, |fetched| fetched.bytes);
            }
            Err(_) => totals.failed += 1,
        }
        totals.fallback += u64::from(report.fallback.is_some());
    }

    /// Records a NOTIFY that was accepted.
    pub(crate) fn heard(&mut self, notice: Notice, now: Duration) {
        self.last_notify = Some(now);
        self.totals.notifies += 1;
        let Some(serial) = notice.serial.filter(|&serial| ahead(serial, self.serial).is_some()) else {
            return;
        };
        let since = self.promise.map_or(now, |promise| promise.since);
        let newest = self.promise.map_or(serial, |promise| serial::newer_of(promise.serial, serial));
        self.promise = Some(Promise { serial: newest, since, upstream: notice.upstream });
    }

    /// Sets what the zone answers with.
    pub(crate) fn enter(&mut self, state: ZoneCondition, now: Duration) {
        if self.state != state {
            (self.state, self.state_since) = (state, now);
        }
    }

    /// Sets how many rounds in a row have failed.
    pub(crate) fn fail(&mut self, failures: u32, now: Duration) {
        self.failures = failures;
        self.failing_since = (failures > 0).then(|| self.failing_since.unwrap_or(now));
    }

    /// Why the last attempt at an address failed, if it did.
    pub(crate) fn last_error_at(&self, address: SocketAddr) -> Option<&str> {
        let place = self.upstreams.iter().position(|upstream| upstream.address == address)?;
        self.origins.get(place)?.last_error.as_ref().map(|(error, _)| &**error)
    }

    /// Since when an origin is known to have something newer, and how far ahead the newest is.
    fn lag(&self) -> Option<(Duration, u32)> {
        let origins = self.origins.iter().filter_map(|origin| Some((origin.newer_since?, origin.ahead(self.serial)?)));
        let promise = self.promise.and_then(|promise| Some((promise.since, ahead(promise.serial, self.serial)?)));
        origins.chain(promise).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// How the zone is filled.
    pub(crate) fn mode(&self) -> config::Mode {
        self.config.mode
    }

    /// The status at a moment, without its problems.
    pub(crate) fn status(&self, zone: String, now: Duration, unix_s: u64) -> ZoneStatus {
        let since = |then: Option<Duration>| then.map(|then| now.saturating_sub(then).as_secs_f64());
        let until = |then: Option<Duration>| then.map(|then| then.saturating_sub(now).as_secs_f64());
        let lag = self.lag();
        let origins = self.origins.iter().zip(self.upstreams.iter());
        ZoneStatus {
            zone,
            mode: self.config.mode.into(),
            catalog: self.config.catalog.clone(),
            as_catalog: None,
            state: self.state,
            state_age_s: now.saturating_sub(self.state_since).as_secs_f64(),
            problems: Vec::new(),
            serial: self.serial,
            lag_s: since(lag.map(|(since, _)| since)).unwrap_or(0.0),
            serials_behind: lag.map_or(0, |(_, serials)| serials),
            records: self.records,
            heap_bytes: self.heap_bytes,
            age_s: self.refreshed_unix_s.map(|then| unix_s.saturating_sub(then) as f64),
            fresh_s_max: self.config.fresh_s_max.map(u64::from),
            refresh_s: self.timers_s.map(|[refresh, _, _]| refresh),
            retry_s: self.timers_s.map(|[_, retry, _]| retry),
            expire_s: self.timers_s.map(|[_, _, expire]| expire),
            expires_in_s: until(self.expires),
            first_signature_expires_in_s: self.first_signature_expires_unix_s.map(|then| then as f64 - unix_s as f64),
            zonemd: self.checked.zonemd,
            dnssec: self.checked.dnssec,
            check_error: self.check_error.as_deref().map(str::to_owned),
            signature_margin_s: Some(u64::from(self.config.dnssec.expiry_margin_s)),
            delay_s: self.delay.as_secs(),
            held: self.held.map(|held| HeldStatus {
                serial: held.serial,
                held_s: now.saturating_sub(held.since).as_secs_f64(),
                served_in_s: held.due.saturating_sub(now).as_secs_f64(),
            }),
            next_attempt_in_s: until(self.next_attempt),
            attempting: self.next_attempt.is_none() && !self.sleeps,
            failures: self.failures,
            failing_s: since(self.failing_since),
            last_attempt_age_s: since(self.last_attempt),
            last_error: self.last_error.as_ref().map(|(error, _)| error.to_string()),
            last_error_kind: self.last_error.as_ref().map(|(_, kind)| (*kind).to_owned()),
            last_notify_age_s: since(self.last_notify),
            snapshot_bytes: self.sizes.0,
            journal_bytes: self.sizes.1,
            totals: self.totals,
            origins: origins.map(|(origin, upstream)| origin.status(upstream, now)).collect(),
            on_demand: None,
        }
    }
}

/// How many serials `theirs` is ahead of `ours`; none where we have no copy or theirs is not newer.
fn ahead(theirs: u32, ours: Option<u32>) -> Option<u32> {
    serial::ahead(theirs, ours?)
}
