//! What is said over the control socket and the HTTP API. Times are Unix seconds, durations seconds; both may be
//! fractions.

use std::net::SocketAddr;
use std::path::PathBuf;

use anycast::bgp::ReceivedRoute;
use origin_sync::ZoneStatus;
use serde::{Deserialize, Serialize};

use super::defences::{
    AskTop, DefencesStatus, ExplainSource, Explained, ImportKnownGood, Imported, KnownGood, Ordered, TopAnswer,
};
use super::kernel_lane::KernelLaneStatus;
use crate::services::defences::orders::Order;

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// How the node is.
    Status,
    /// How each zone is.
    Zones,
    /// Forget what was cached of a name.
    Purge(Purge),
    /// Fetch a zone now.
    Fill(Fill),
    /// How the announcing goes.
    Anycast,
    /// What a router sent.
    Routes(Routes),
    /// Stop announcing until it is undone.
    Drain(Drain),
    /// Undo that.
    Undrain(Undrain),
    /// Read the network file again.
    Reload(Reload),
    /// How the node defends itself against floods.
    Defences,
    /// Change that.
    DefenceOrder(Order),
    /// Who asks for what now.
    Top(AskTop),
    /// Who a source is, and what becomes of its queries.
    ExplainSource(ExplainSource),
    /// Who is known to be good.
    KnownGood,
    /// Take over whom others know to be good.
    ImportKnownGood(ImportKnownGood),
}

/// Forget what was cached of a name. Once it is answered, nothing cached before is given to anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Purge {
    pub(crate) name: String,
    /// All names below it too.
    #[serde(default)]
    pub(crate) subtree: bool,
}

/// Fetch a zone now: a full copy whole, whatever its serial; of an on-demand zone what the cache has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fill {
    pub(crate) zone: String,
}

/// What a router sent, as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Routes {
    /// The neighbour's name in the file.
    pub(crate) neighbour: String,
}

/// Withdraw all routes, and keep them withdrawn over restarts too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drain {
    /// Why, for those who look at the node.
    #[serde(default)]
    pub(crate) reason: String,
    /// Also if no other node announces what this one does.
    #[serde(default)]
    pub(crate) last: bool,
    /// The node that is meant; any other refuses.
    #[serde(default)]
    pub(crate) node: Option<String>,
}

/// Announce again once health allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Undrain {
    /// The node that is meant; any other refuses.
    #[serde(default)]
    pub(crate) node: Option<String>,
}

/// Read the network file again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reload {
    /// A newer file counts now, also where the node's input is delayed.
    #[serde(default)]
    pub(crate) now: bool,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Zones`].
    Zones(Vec<ZoneStatus>),
    /// To [`Request::Purge`].
    Purged(Purged),
    /// To [`Request::Fill`].
    Filled(Filled),
    /// To [`Request::Anycast`]; `None` where nothing is announced.
    Anycast(Option<Box<anycast::Status>>),
    /// To [`Request::Routes`].
    Routes(Vec<ReceivedRoute>),
    /// To [`Request::Drain`].
    Drained(Drained),
    /// To [`Request::Undrain`].
    Undrained(Undrained),
    /// To [`Request::Reload`].
    Reloaded(Reloaded),
    /// To [`Request::Defences`].
    Defences(Box<DefencesStatus>),
    /// To [`Request::DefenceOrder`].
    OrderGiven(Ordered),
    /// To [`Request::Top`].
    Top(Box<TopAnswer>),
    /// To [`Request::ExplainSource`].
    Explained(Box<Explained>),
    /// To [`Request::KnownGood`].
    KnownGood(Box<KnownGood>),
    /// To [`Request::ImportKnownGood`].
    Imported(Imported),
    /// The request could not be answered.
    Error(String),
}

/// What a purge did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Purged {
    /// The zones that the name touches; one is always there.
    pub(crate) zones: Vec<PurgedZone>,
}

/// What a purge did in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PurgedZone {
    pub(crate) zone: String,
    /// `on-demand`, or `full-copy`, of which nothing is cached.
    pub(crate) mode: String,
    /// Answers that are forgotten.
    pub(crate) removed: u64,
}

/// What a fill did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filled {
    pub(crate) zone: String,
    #[serde(flatten)]
    pub(crate) outcome: FillOutcome,
}

/// How a zone was filled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum FillOutcome {
    /// An origin gave the whole zone.
    Fetched { serial: u32, records: u64 },
    /// The answers that the cache has were asked for again.
    Refilled {
        asked: u64,
        answered: u64,
        failed: u64,
        /// Those that there was no time for.
        left: u64,
    },
}

/// What a drain did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drained {
    pub(crate) node: String,
    /// Whether it had been drained before.
    pub(crate) already: bool,
}

/// What the end of a drain did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Undrained {
    pub(crate) node: String,
    /// Whether it had been drained.
    pub(crate) was_drained: bool,
}

/// What came of reading the network file again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Reloaded {
    /// What differs is applied.
    Applied,
    /// Nothing differs that could be applied.
    Unchanged,
    /// It is newer, and waits until then.
    Waits { until_unix_s: f64 },
    /// It is wrong, for these reasons.
    Refused { why: Vec<String> },
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
    /// Where the HTTP API listens.
    #[serde(default)]
    pub(crate) api: Option<SocketAddr>,
    pub(crate) state_dir: PathBuf,
    pub(crate) config: ConfigStatus,
    pub(crate) zones: ZoneCounts,
    /// How the zones are, in one line; and what is wrong with the worst of them.
    pub(crate) zones_summary: String,
    pub(crate) zone_problems: Vec<String>,
    pub(crate) queries: QueryCounts,
    /// How the announcing goes, in one line; none where nothing is announced.
    #[serde(default)]
    pub(crate) anycast: Option<String>,
    /// How the kernel lane is; none of a node that answers nobody.
    #[serde(default)]
    pub(crate) kernel_lane: Option<KernelLaneStatus>,
    /// How the defences are, in one line; none of a node that answers nobody.
    #[serde(default)]
    pub(crate) defences: Option<String>,
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
    /// Until when a newer file waits, where the node's input is delayed; none while none does.
    #[serde(default)]
    pub(crate) waits_until_unix_s: Option<f64>,
    /// How late new zones and network files count, deliberately.
    #[serde(default)]
    pub(crate) delay_s: u32,
}

/// Zones by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ZoneCounts {
    pub(crate) serving: u64,
    pub(crate) pending: u64,
    pub(crate) expired: u64,
    pub(crate) stale: u64,
    pub(crate) on_demand: u64,
}

/// Messages since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueryCounts {
    pub(crate) received: u64,
    pub(crate) dropped: u64,
    pub(crate) truncated: u64,
    pub(crate) tcp_connections_open: u64,
}
