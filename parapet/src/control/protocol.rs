//! What is said over the control socket. Times are Unix seconds, durations seconds; both may be fractions.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// How the node is.
    Status,
    /// How each zone is.
    Zones,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Zones`].
    Zones(Vec<Zone>),
    /// The request could not be answered.
    Error(String),
}

/// How a node is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) network: String,
    pub(crate) node: String,
    /// `up`, `degraded`, `draining` or `down`: the worst of all roles.
    pub(crate) state: String,
    pub(crate) pid: u32,
    pub(crate) started_unix_s: f64,
    pub(crate) uptime_s: f64,
    pub(crate) roles: Vec<Role>,
    /// Where it answers DNS; ports that the system chose are filled in.
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) state_dir: PathBuf,
    pub(crate) config: ConfigStatus,
    pub(crate) zones: ZoneCounts,
    pub(crate) queries: QueryCounts,
}

/// How a role is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) role: String,
    pub(crate) state: String,
}

/// The configuration that is in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConfigStatus {
    /// The file; none in the short form.
    pub(crate) file: Option<PathBuf>,
    /// When the configuration in force was read.
    pub(crate) loaded_unix_s: f64,
    /// Configurations put into force since the start.
    pub(crate) reloads: u64,
    /// Configurations refused since the start.
    pub(crate) reloads_refused: u64,
    /// Why the file as it stands now is not in force; empty when it is.
    pub(crate) refused: Vec<String>,
    /// Items whose change waits for a restart.
    pub(crate) restart_needed: Vec<String>,
}

/// Zones by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZoneCounts {
    pub(crate) serving: u64,
    pub(crate) pending: u64,
    pub(crate) expired: u64,
    pub(crate) stale: u64,
}

/// Messages since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueryCounts {
    pub(crate) received: u64,
    pub(crate) dropped: u64,
    pub(crate) truncated: u64,
    pub(crate) tcp_connections_open: u64,
}

/// How a zone is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Zone {
    pub(crate) zone: String,
    /// `pending` (no copy yet), `serving`, `expired` (answered with SERVFAIL) or `stale` (expired, and served still).
    pub(crate) state: String,
    pub(crate) serial: Option<u32>,
    pub(crate) records: u64,
    /// Memory of the copy.
    pub(crate) heap_bytes: u64,
    /// Since an origin last confirmed or gave this copy.
    pub(crate) age_s: Option<f64>,
    pub(crate) expires_in_s: Option<f64>,
    /// None while an attempt runs or waits for its turn.
    pub(crate) next_attempt_in_s: Option<f64>,
    pub(crate) attempting: bool,
    /// Rounds in a row in which every origin failed.
    pub(crate) failures: u32,
    pub(crate) last_attempt_age_s: Option<f64>,
    pub(crate) last_error: Option<String>,
    /// On the disk.
    pub(crate) snapshot_bytes: u64,
    pub(crate) journal_bytes: u64,
    /// One of the origins' addresses each, in the order in which they are tried.
    pub(crate) origins: Vec<ZoneOrigin>,
}

/// How a zone is at one address of its origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ZoneOrigin {
    pub(crate) origin: String,
    pub(crate) address: String,
    /// The TSIG key that signs requests to it.
    pub(crate) key: Option<String>,
    /// The serial that it last told.
    pub(crate) serial: Option<u32>,
    pub(crate) last_attempt_age_s: Option<f64>,
    /// `up_to_date`, `updated` or `failed`.
    pub(crate) last_result: Option<String>,
    /// Why the last attempt failed; none if it didn't.
    pub(crate) last_error: Option<String>,
    /// The same as a fixed word.
    pub(crate) last_error_kind: Option<String>,
    pub(crate) last_transfer: Option<Transfer>,
    /// Why differences were last given up for a whole transfer.
    pub(crate) last_fallback: Option<String>,
}

/// A transfer that succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// `AXFR` or `IXFR`.
    pub(crate) question: String,
    /// `tcp` or `udp`.
    pub(crate) transport: String,
    /// The serial that it led to.
    pub(crate) serial: u32,
    pub(crate) bytes: u64,
    pub(crate) records: u64,
    /// Disk included.
    pub(crate) took_ms: f64,
}
