//! What anyone may ask about the zones: their state, how it stands with each origin, and what is wrong.
//!
//! These types are the one form in which a zone's status is told: over the control socket, by the API and in `--json`
//! (docs/status.md). [`problems()`] says what counts as a problem, for all who show or judge a status.

mod board;
mod judge;
mod problems;
mod record;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::catalog::CatalogStatus;
use crate::client::Transport;
use crate::on_demand::OnDemandStatus;

pub(crate) use board::Board;
pub use judge::problems;
pub use problems::{Levels, Problem, ProblemKind, ProblemLimits, Severity};
pub(crate) use record::ZoneRecord;
pub use words::duration_words;

/// What a zone answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What its origins say to each question, as far as the cache does not know.
    #[serde(rename = "on-demand")]
    OnDemand,
}

impl ZoneCondition {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            ZoneCondition::Pending => "pending",
            ZoneCondition::Serving => "serving",
            ZoneCondition::Expired => "expired",
            ZoneCondition::Stale => "stale",
            ZoneCondition::OnDemand => "on-demand",
        }
    }
}

/// How a zone is filled (`mode` in the file).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneMode {
    /// A full copy; NOTIFY says when it changes.
    #[default]
    Push,
    /// A full copy, fetched every so often.
    Pull,
    /// A cache.
    OnDemand,
}

impl From<config::Mode> for ZoneMode {
    fn from(mode: config::Mode) -> ZoneMode {
        match mode {
            config::Mode::Push => ZoneMode::Push,
            config::Mode::Pull => ZoneMode::Pull,
            config::Mode::OnDemand => ZoneMode::OnDemand,
        }
    }
}

impl ZoneMode {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            ZoneMode::Push => "push",
            ZoneMode::Pull => "pull",
            ZoneMode::OnDemand => "on-demand",
        }
    }
}

/// What came of verifying a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// There is nothing to verify, and nothing is required.
    Absent,
    /// What there is cannot be verified here (an unknown algorithm), and need not be.
    Unsupported,
    /// It holds.
    Verified,
    /// It does not; a copy from before it was looked at, which is served all the same.
    Broken,
}

/// How an attempt at an origin ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZoneStatus {
    /// The zone's name.
    pub zone: String,
    /// How it is filled.
    pub mode: ZoneMode,
    /// The catalog zone that it is a member of.
    pub catalog: Option<String>,
    /// What comes of its members, if it is a catalog zone itself. Nobody is answered from it then.
    pub as_catalog: Option<CatalogStatus>,
    /// What it answers with.
    pub state: ZoneCondition,
    /// The time since it came into that state; at most since the start.
    pub state_age_s: f64,
    /// What is wrong, worst first; empty when all is well.
    pub problems: Vec<Problem>,
    /// The serial of its copy.
    pub serial: Option<u32>,
    /// The time since an origin first told a newer serial than the copy's; 0 while none has.
    pub lag_s: f64,
    /// How far ahead the newest serial told is.
    pub serials_behind: u32,
    /// The records of its copy.
    pub records: u64,
    /// The memory of its copy.
    pub heap_bytes: u64,
    /// The time since an origin last confirmed the copy.
    pub age_s: Option<f64>,
    /// From what age on the copy is too old, if its configuration says so.
    pub fresh_s_max: Option<u64>,
    /// The time between two looks at an origin, as the copy's SOA and the clamps have it.
    pub refresh_s: Option<u64>,
    /// The longest time between two attempts after a failure.
    pub retry_s: Option<u64>,
    /// How long a copy is good for without an origin.
    pub expire_s: Option<u64>,
    /// The time until the copy expires.
    pub expires_in_s: Option<f64>,
    /// The time until the first signature in the copy dies, negative once it has; none for an unsigned zone.
    pub first_signature_expires_in_s: Option<f64>,
    /// What came of the copy's ZONEMD record; none if it was not looked at since the start.
    pub zonemd: Option<CheckResult>,
    /// What came of its DNSSEC validation; none if it was not looked at since the start.
    pub dnssec: Option<CheckResult>,
    /// Why the copy would not be taken today, if it was broken before it was looked at; it is served all the same.
    pub check_error: Option<String>,
    /// How long before that it is to be reported.
    pub signature_margin_s: Option<u64>,
    /// How late new copies are served, deliberately (`delay_s` of the node); 0: at once.
    pub delay_s: u64,
    /// A new copy that waits for its time.
    pub held: Option<HeldStatus>,
    /// The time until the next attempt; none while one runs.
    pub next_attempt_in_s: Option<f64>,
    /// Whether an attempt runs or waits for its turn.
    pub attempting: bool,
    /// Rounds in a row in which every origin failed.
    pub failures: u32,
    /// The time since the first of them.
    pub failing_s: Option<f64>,
    /// The time since the last attempt at any origin.
    pub last_attempt_age_s: Option<f64>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
    /// The fixed text for that reason (the label of the metric).
    pub last_error_kind: Option<String>,
    /// The time since a NOTIFY for it was last accepted.
    pub last_notify_age_s: Option<f64>,
    /// The size of the snapshot on disk.
    pub snapshot_bytes: u64,
    /// The size of the journal on disk.
    pub journal_bytes: u64,
    /// Counts since the start.
    pub totals: ZoneTotals,
    /// Each address of each origin, in the order in which they are tried.
    pub origins: Vec<OriginStatus>,
    /// The questions of clients that its origins were asked, where it is filled on demand.
    pub on_demand: Option<OnDemandStatus>,
}

/// A new copy that is fetched and verified, and not served yet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldStatus {
    /// Its serial.
    pub serial: u32,
    /// How long it has been known.
    pub held_s: f64,
    /// The time until it is served; 0 while it waits for an origin that can be reached, or is being published.
    pub served_in_s: f64,
}

/// Counts of one zone since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ZoneTotals {
    /// Attempts that found the copy up to date.
    pub up_to_date: u64,
    /// Whole transfers that succeeded.
    pub axfr: u64,
    /// Transfers of differences that succeeded.
    pub ixfr: u64,
    /// Transfers of differences that were given up for whole ones.
    pub fallback: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// NOTIFYs that were accepted and meant something.
    pub notifies: u64,
    /// Bytes of successful transfers.
    pub transfer_bytes: u64,
}

/// One address of one origin of a zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OriginStatus {
    /// The origin's name in the configuration.
    pub origin: String,
    /// The address.
    pub address: String,
    /// The TSIG key that signs requests to it.
    pub key: Option<String>,
    /// The serial that it last told.
    pub serial: Option<u32>,
    /// The time since it first told a newer serial than the copy's; 0 while it has not.
    pub lag_s: f64,
    /// The time since it was last asked.
    pub last_attempt_age_s: Option<f64>,
    /// How that ended.
    pub last_result: Option<AttemptResult>,
    /// What it was asked for last: `SOA`, `IXFR` or `AXFR`.
    pub last_question: Option<String>,
    /// How that went over the wire.
    pub last_transport: Option<Transport>,
    /// The TSIG key that signed that.
    pub last_key: Option<String>,
    /// How long the attempt took, disk included.
    pub last_took_ms: Option<f64>,
    /// Attempts at it in a row that failed.
    pub failures: u32,
    /// Why it failed, if it did.
    pub last_error: Option<String>,
    /// The fixed text for that reason (the label of the metric).
    pub last_error_kind: Option<String>,
    /// The last transfer from it.
    pub last_transfer: Option<TransferStatus>,
    /// Why differences were last given up for a whole transfer.
    pub last_fallback: Option<String>,
}

/// One transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Successful transfers by what was asked for and how it came.
    #[serde(skip)]
    pub transfers_total: BTreeMap<(&'static str, Transport), u64>,
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
