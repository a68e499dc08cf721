//! The checked structs: what the rest of Parapet sees of the network file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::prefix::Prefix;

/// The whole network file, checked: every node, and what all nodes share.
#[derive(Clone, PartialEq)]
pub struct Network {
    /// The network's name, for people and labels.
    pub name: String,
    /// Every machine, by its node name.
    pub nodes: BTreeMap<String, Node>,
    /// TSIG keys, by the name the file gives them.
    pub keys: BTreeMap<String, Key>,
    /// Hidden primaries, by the name the file gives them.
    pub origins: BTreeMap<String, Origin>,
    /// Zones in the order of their names.
    pub zones: Vec<Zone>,
    /// DNS cookie secrets (RFC 9018): the first makes new cookies, a second is still accepted. At most two.
    pub cookie_secrets: Vec<[u8; 16]>,
    /// Whether clients that speak cookies must show a valid one before they are answered over UDP.
    pub cookies_required: bool,
}

/// What one machine needs of the network file.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// The network's name.
    pub network: String,
    /// This machine.
    pub node: Node,
    /// TSIG keys, by the name the file gives them (which [`Origin::key`] uses).
    pub keys: BTreeMap<String, Key>,
    /// Hidden primaries, by the name the file gives them (which [`Zone::origins`] uses).
    pub origins: BTreeMap<String, Origin>,
    /// Zones in the order of their names.
    pub zones: Vec<Zone>,
    /// DNS cookie secrets (RFC 9018): the first makes new cookies, a second is still accepted. At most two; none means
    /// that the node makes up one for itself.
    pub cookie_secrets: Vec<[u8; 16]>,
    /// Whether clients that speak cookies must show a valid one before they are answered over UDP.
    pub cookies_required: bool,
}

/// One machine of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name in the file.
    pub name: String,
    /// What it does.
    pub roles: Roles,
    /// Addresses that answer DNS over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The folder that keeps zones across restarts.
    pub state_dir: PathBuf,
    /// The control socket (Unix).
    pub control: PathBuf,
    /// Where Prometheus metrics are served over HTTP.
    pub metrics: Option<SocketAddr>,
    /// UDP lanes; 0 means one per core.
    pub workers: usize,
    /// The user to become once the sockets are bound.
    pub user: Option<String>,
    /// What the node tells about itself in answers.
    pub identity: Identity,
    /// Bounds on what clients can take.
    pub limits: Limits,
    /// How datagrams are received and sent.
    pub lanes: Lanes,
    /// The form of the log.
    pub log: LogFormat,
}

/// The roles a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Answers DNS for the zones of the file, kept equal to their origins.
    pub edge: bool,
}

/// What a node tells about itself in answers; what is `None` is not told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// NSID (RFC 5001), for clients that ask for it.
    pub nsid: Option<Vec<u8>>,
    /// `id.server.` and `hostname.bind.` in class CHAOS (RFC 4892).
    pub id_server: Option<String>,
    /// `version.bind.` and `version.server.` in class CHAOS.
    pub version_bind: Option<String>,
}

/// Bounds on what clients can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest UDP answer, and the size that the node advertises.
    pub udp_payload_bytes_max: u16,
    /// TCP connections at one time.
    pub tcp_connections_max: u32,
    /// TCP connections of one client address at one time.
    pub tcp_connections_per_client_max: u32,
    /// A TCP connection without a query is closed after this.
    pub tcp_idle_ms: u64,
    /// A query over TCP that takes longer to arrive, from its first byte to its last, ends its connection.
    pub tcp_receive_ms_max: u64,
    /// A client that does not take its answers over TCP within this is dropped.
    pub tcp_send_ms_max: u64,
}

/// How datagrams are received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lanes {
    /// UDP sockets, one per worker.
    #[default]
    Sockets,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// A TSIG key (RFC 8945).
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's name on the wire: absolute, lowercase, with a dot at the end.
    pub name: String,
    /// The algorithm of its MACs.
    pub algorithm: KeyAlgorithm,
    /// The shared secret. Never printed.
    pub secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A TSIG algorithm (RFC 8945 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// `hmac-sha256`
    HmacSha256,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
}

impl KeyAlgorithm {
    /// The names that the file knows.
    pub const NAMES: &'static [&'static str] = &["hmac-sha256", "hmac-sha384", "hmac-sha512"];

    /// The algorithm with this name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "hmac-sha256" => Some(Self::HmacSha256),
            "hmac-sha384" => Some(Self::HmacSha384),
            "hmac-sha512" => Some(Self::HmacSha512),
            _ => None,
        }
    }

    /// Its name on the wire, without the dot at the end.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}

/// A hidden primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name in the file.
    pub name: String,
    /// Where it answers; tried in this order.
    pub addresses: Vec<SocketAddr>,
    /// The key of [`Config::keys`] that signs requests to it.
    pub key: Option<String>,
    /// The address that requests over IPv4 leave from.
    pub source_v4: Option<IpAddr>,
    /// The address that requests over IPv6 leave from.
    pub source_v6: Option<IpAddr>,
    /// Who may send NOTIFY for the origin's zones.
    pub notify_from: Vec<Prefix>,
    /// Whether a NOTIFY must also be signed with `key`.
    pub notify_key_required: bool,
}

/// A zone that the edges answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its apex: absolute, lowercase, with a dot at the end.
    pub name: String,
    /// The origins it is fetched from; the first that works is taken.
    pub origins: Vec<String>,
    /// How it is kept equal to its origins.
    pub mode: Mode,
    /// Clamps on the timers of its SOA.
    pub timers: Timers,
    /// Bounds on a transfer.
    pub transfer: TransferLimits,
    /// What is answered once the zone has expired.
    pub on_expire: OnExpire,
    /// Whether differences (IXFR) are asked for.
    pub ixfr: bool,
}

/// How a zone is kept equal to its origins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Full copy; NOTIFY triggers a transfer and the SOA's timers are the safety net.
    #[default]
    Push,
}

/// What is answered for a zone once it has expired (RFC 1035 §3.3.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExpire {
    /// SERVFAIL, with an extended DNS error.
    #[default]
    ServFail,
    /// The last copy (RFC 8767).
    Serve,
}

/// Clamps on the timers of a zone's SOA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Least time between two SOA queries.
    pub refresh_s_min: u32,
    /// Most time between two SOA queries.
    pub refresh_s_max: u32,
    /// Least time after a failed attempt.
    pub retry_s_min: u32,
    /// Most time after a failed attempt.
    pub retry_s_max: u32,
    /// Least time until a copy without contact expires.
    pub expire_s_min: u32,
    /// Most time until a copy without contact expires.
    pub expire_s_max: u32,
    /// Refresh and retry come up to this much earlier, so that zones don't move in step.
    pub jitter_percent: u8,
}

/// Bounds on one zone transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// Records in the zone.
    pub records_max: u64,
    /// Bytes received.
    pub bytes_max: u64,
    /// The whole transfer.
    pub duration_s_max: u32,
    /// Silence within the transfer.
    pub idle_s_max: u32,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("name", &self.name)
            .field("nodes", &self.nodes)
            .field("keys", &self.keys)
            .field("origins", &self.origins)
            .field("zones", &self.zones)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("network", &self.network)
            .field("node", &self.node)
            .field("keys", &self.keys)
            .field("origins", &self.origins)
            .field("zones", &self.zones)
            .finish_non_exhaustive()
    }
}
