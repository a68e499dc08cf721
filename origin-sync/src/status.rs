//! What anyone may ask about the zones: their state, and how it stands with each origin.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::client::Transport;
use crate::notify::unix_now_s;

/// What a zone answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneCondition {
    /// Nothing: no copy has arrived yet.
    #[default]
    Pending,
    /// Its copy.
    Serving,
    /// SERVFAIL: its copy has expired.
    Expired,
    /// Its copy, although it has expired (`on_expire = "serve"`).
    Stale,
}

/// How an attempt at an origin ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// The origin has what we have.
    UpToDate,
    /// A new copy came.
    Updated,
    /// It failed; `last_error` says why.
    Failed,
}

/// One zone. Ages and waits are in seconds at the moment of asking.
#[derive(Clone, Debug, Serialize)]
pub struct ZoneStatus {
    /// The zone's name.
    pub zone: String,
    /// What it answers with.
    pub state: ZoneCondition,
    /// The serial of its copy.
    pub serial: Option<u32>,
    /// The records of its copy.
    pub records: u64,
    /// The memory of its copy.
    pub heap_bytes: u64,
    /// The time since an origin last confirmed the copy.
    pub age_s: Option<f64>,
    /// The time until the copy expires.
    pub expires_in_s: Option<f64>,
    /// The time until the next attempt; none while one runs.
    pub next_attempt_in_s: Option<f64>,
    /// Whether an attempt runs or waits for its turn.
    pub attempting: bool,
    /// Rounds in a row in which every origin failed.
    pub failures: u32,
    /// The time since the last attempt at any origin.
    pub last_attempt_age_s: Option<f64>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
    /// The size of the snapshot on disk.
    pub snapshot_bytes: u64,
    /// The size of the journal on disk.
    pub journal_bytes: u64,
    /// Each address of each origin.
    pub origins: Vec<OriginStatus>,
}

/// One address of one origin of a zone.
#[derive(Clone, Debug, Serialize)]
pub struct OriginStatus {
    /// The origin's name in the configuration.
    pub origin: String,
    /// The address.
    pub address: String,
    /// The TSIG key that signs requests to it.
    pub key: Option<String>,
    /// The serial that it last told.
    pub serial: Option<u32>,
    /// The time since it was last asked.
    pub last_attempt_age_s: Option<f64>,
    /// How that ended.
    pub last_result: Option<AttemptResult>,
    /// Why it failed, if it did.
    pub last_error: Option<String>,
    /// The fixed text for that reason (the label of the metric).
    pub last_error_kind: Option<&'static str>,
    /// The last transfer from it.
    pub last_transfer: Option<TransferStatus>,
    /// Why differences were last given up for a whole transfer.
    pub last_fallback: Option<String>,
}

/// One transfer.
#[derive(Clone, Debug, Serialize)]
pub struct TransferStatus {
    /// `AXFR` or `IXFR`.
    pub question: String,
    /// How it came.
    pub transport: Transport,
    /// The serial that it led to.
    pub serial: u32,
    /// Bytes received.
    pub bytes: u64,
    /// Records received.
    pub records: u64,
    /// How long it took, disk included.
    pub took_ms: f64,
}

/// Counts over all zones since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Attempts that found the copy up to date.
    pub up_to_date_total: u64,
    /// Whole transfers that succeeded.
    pub axfr_total: u64,
    /// Transfers of differences that succeeded.
    pub ixfr_total: u64,
    /// Transfers of differences that were given up for whole ones.
    pub fallback_total: u64,
    /// Bytes of successful transfers.
    pub transfer_bytes_total: u64,
    /// Records of successful transfers.
    pub transfer_records_total: u64,
    /// Failed attempts by reason.
    pub failures_total: BTreeMap<&'static str, u64>,
    /// Attempts that run now.
    pub attempts_running: u64,
}

/// What is known of a zone, with times as the service has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ZoneRecord {
    pub(crate) state: ZoneCondition,
    pub(crate) serial: Option<u32>,
    pub(crate) records: u64,
    pub(crate) heap_bytes: u64,
    pub(crate) refreshed_unix_s: Option<u64>,
    pub(crate) expires: Option<Duration>,
    pub(crate) next_attempt: Option<Duration>,
    pub(crate) failures: u32,
    pub(crate) sizes: (u64, u64),
    pub(crate) last_attempt: Option<Duration>,
    pub(crate) last_error: Option<String>,
    /// With `last_attempt_age_s` unset; the time is beside it.
    pub(crate) origins: Vec<(OriginStatus, Option<Duration>)>,
}

/// The board that the service writes and everyone may read.
#[derive(Debug)]
pub(crate) struct Board {
    started: Instant,
    zones: Mutex<BTreeMap<String, ZoneRecord>>,
    counts: Mutex<Counts>,
}

impl Board {
    pub(crate) fn new(started: Instant) -> Board {
        Board { started, zones: Mutex::default(), counts: Mutex::default() }
    }

    pub(crate) fn zones(&self) -> MutexGuard<'_, BTreeMap<String, ZoneRecord>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> Vec<ZoneStatus> {
        let (now, unix_s) = (self.started.elapsed(), unix_now_s());
        self.zones().iter().map(|(zone, record)| record.status(zone, now, unix_s)).collect()
    }
}

impl ZoneRecord {
    fn status(&self, zone: &str, now: Duration, unix_s: u64) -> ZoneStatus {
        let since = |then: Option<Duration>| then.map(|then| now.saturating_sub(then).as_secs_f64());
        let until = |then: Option<Duration>| then.map(|then| then.saturating_sub(now).as_secs_f64());
        let origins =
            self.origins.iter().map(|(origin, at)| OriginStatus { last_attempt_age_s: since(*at), ..origin.clone() });
        ZoneStatus {
            zone: zone.to_owned(),
            state: self.state,
            serial: self.serial,
            records: self.records,
            heap_bytes: self.heap_bytes,
            age_s: self.refreshed_unix_s.map(|then| unix_s.saturating_sub(then) as f64),
            expires_in_s: until(self.expires),
            next_attempt_in_s: until(self.next_attempt),
            attempting: self.next_attempt.is_none(),
            failures: self.failures,
            last_attempt_age_s: since(self.last_attempt),
            last_error: self.last_error.clone(),
            snapshot_bytes: self.sizes.0,
            journal_bytes: self.sizes.1,
            origins: origins.collect(),
        }
    }
}
