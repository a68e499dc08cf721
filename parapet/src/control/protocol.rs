//! What is said over the control socket. Times are Unix seconds, durations seconds; both may be fractions.

use std::net::SocketAddr;
use std::path::PathBuf;

use origin_sync::ZoneStatus;
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
    Zones(Vec<ZoneStatus>),
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
    /// How the zones are, in one line; and what is wrong with the worst of them.
    pub(crate) zones_summary: String,
    pub(crate) zone_problems: Vec<String>,
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
