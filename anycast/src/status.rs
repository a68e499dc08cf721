//! How the announcing goes, for the control socket, the HTTP API and the metrics. Times are Unix seconds, durations seconds
//! or as named; fractions are possible.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The node's part in anycast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `up`, `degraded`, `draining` or `down`: what is announced follows from it.
    pub state: String,
    /// Why it is not `up`; one line each.
    pub why: Vec<String>,
    /// Since when it is in this state.
    pub since_unix_s: f64,
    /// The order that drains it.
    pub by_hand: Option<ByHand>,
    /// What its health is made of.
    pub checks: Vec<CheckStatus>,
    /// What it announces.
    pub services: Vec<ServiceStatus>,
    /// Its routers.
    pub neighbours: Vec<NeighbourStatus>,
    /// The addresses on `lo`.
    pub addresses: Vec<AddressStatus>,
    /// The other nodes that announce the same.
    pub fleet: Vec<MemberStatus>,
    /// Changes between announced and not announced since the start.
    pub transitions: u64,
}

/// Somebody drained the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByHand {
    /// When.
    pub since_unix_s: f64,
    /// What they said about it.
    pub reason: String,
}

/// One part of the node's health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Who publishes it: `edge`, `answers`, `zones`, `load`, …
    pub name: String,
    /// `up`, `degraded`, `draining` or `down`; `down` also when it has fallen silent.
    pub state: String,
    /// Whether leaving for it is subject to the quota.
    pub soft: bool,
    /// What it says of itself; empty when all is well.
    pub why: String,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name in the file.
    pub name: String,
    /// The prefixes.
    pub prefixes: Vec<IpNet>,
    /// Whether they are announced.
    pub announced: bool,
    /// With which attributes; `None` when they are not.
    pub route: Option<RouteStatus>,
    /// What the quota said last, if it was asked.
    pub quota: Option<QuotaStatus>,
}

/// The attributes of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// How many times more than once the own AS stands in AS_PATH.
    pub prepend: u8,
    /// All communities, as the network file has them.
    pub communities: Vec<String>,
}

/// What came of asking the others whether this node may leave for a soft reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuotaStatus {
    /// Whether it may.
    pub granted: bool,
    /// Others that go on announcing.
    pub remaining: u32,
    /// How many must.
    pub nodes_min: u32,
    /// When.
    pub asked_unix_s: f64,
}

/// A session with a router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NeighbourStatus {
    /// Its name in the file.
    pub name: String,
    /// Where it is.
    pub address: SocketAddr,
    /// Its autonomous system.
    pub remote_as: u32,
    /// `idle`, `connect`, `active`, `open-sent`, `open-confirm` or `established` (RFC 4271 §8.2.2).
    pub state: String,
    /// Since when.
    pub since_unix_s: f64,
    /// Why it is not established: what went wrong last, and what to do about it.
    pub problem: Option<String>,
    /// The last NOTIFICATION.
    pub last_notification: Option<NotificationStatus>,
    /// Families that both sides speak: `ipv4`, `ipv6`, `ipv4 over ipv6`.
    pub families: Vec<String>,
    /// What both sides can: `route-refresh`, `4-byte-as`, `graceful-restart`, …
    pub capabilities: Vec<String>,
    /// The hold time that holds.
    pub hold_time_s: Option<u16>,
    /// Whether TCP MD5 protects it.
    pub md5: bool,
    /// Whether TTL security does.
    pub ttl_security: bool,
    /// Prefixes that it has been told of now.
    pub prefixes_announced: u64,
    /// UPDATEs sent since the start.
    pub updates_sent: u64,
    /// What it sent.
    pub received: ReceivedStatus,
    /// Times it left `established` since the start.
    pub flaps: u64,
    /// The BFD session with it.
    pub bfd: Option<BfdStatus>,
}

/// The last NOTIFICATION of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotificationStatus {
    /// Whether this node sent it.
    pub sent: bool,
    /// Error code (RFC 4271 §4.5).
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// Both in words, with the message of an administrative shutdown (RFC 9003).
    pub words: String,
    /// When.
    pub at_unix_s: f64,
}

/// What a router sent: counted, shown, never installed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedStatus {
    /// UPDATEs since the session came up.
    pub updates: u64,
    /// Prefixes announced in them.
    pub announced: u64,
    /// Prefixes withdrawn in them.
    pub withdrawn: u64,
    /// Prefixes kept to be shown.
    pub kept: u64,
    /// Prefixes that there was no room for.
    pub not_kept: u64,
    /// UPDATEs treated as withdrawals for a malformed attribute (RFC 7606).
    pub treated_as_withdraw: u64,
    /// Malformed attributes that were discarded (RFC 7606).
    pub attributes_discarded: u64,
}

/// A BFD session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BfdStatus {
    /// `admin-down`, `down`, `init` or `up`.
    pub state: String,
    /// The diagnostic (RFC 5880 §4.1) in words, as this side has it.
    pub diagnostic: String,
    /// The same as the other side said it last.
    pub remote_diagnostic: String,
    /// The interval at which this side sends.
    pub transmit_ms: f64,
    /// The other side is down after a silence of so long.
    pub detection_ms: f64,
    /// Times it left `up` since the start.
    pub flaps: u64,
    /// Packets that were no good: wrong TTL, malformed, of nobody.
    pub discarded: u64,
}

/// An address of a service on `lo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStatus {
    /// The address.
    pub address: IpAddr,
    /// Whether it is there.
    pub present: bool,
    /// Whether this node put it there, and so will take it away.
    pub ours: bool,
    /// What went wrong.
    pub problem: Option<String>,
}

/// Another node that announces the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its name.
    pub node: String,
    /// Its state, or `silent`.
    pub state: String,
    /// Why, in its own words.
    pub why: String,
    /// The services it announces now.
    pub announces: Vec<String>,
    /// How long ago it was heard; `None`: never.
    pub heard_s_ago: Option<f64>,
}
