//! The machines of the network.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Anycast, Defences, Lanes};

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
    /// The HTTP API, if it has one.
    pub api: Option<Api>,
    /// Nodes that it takes its zones from, in this order.
    pub upstream: Vec<String>,
    /// Whether the zones' own origins are asked when no upstream helps.
    pub upstream_fallback: bool,
    /// Where other nodes reach it for transfers and NOTIFY.
    pub transfer_addresses: Vec<SocketAddr>,
    /// What it announces by BGP, if it does.
    pub anycast: Option<Anycast>,
    /// What it does against floods.
    pub defences: Defences,
    /// How long new zones and a new network file wait before they count here: deliberately delayed input; 0: not at
    /// all.
    pub delay_s: u32,
}

/// A node's HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The file with the token that requests must show.
    pub token_file: PathBuf,
    /// Certificate and key, if it speaks TLS.
    pub tls: Option<ApiTls>,
    /// How others reach it: `http://` or `https://`, without a slash at the end.
    pub url: String,
    /// The certificates that clients trust when they connect to it; `None` means those of the system.
    pub ca_file: Option<PathBuf>,
}

/// The files of an API that speaks TLS, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTls {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// How the API of a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeApi {
    /// The node's name.
    pub node: String,
    /// `http://` or `https://`, without a slash at the end.
    pub url: String,
    /// The file with the token.
    pub token_file: PathBuf,
    /// The certificates that are trusted; `None` means those of the system.
    pub ca_file: Option<PathBuf>,
}

/// A node that takes its zones from this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downstream {
    /// Its name.
    pub node: String,
    /// Where it takes NOTIFY, and asks for transfers from.
    pub addresses: Vec<SocketAddr>,
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
    /// Memory for the answers of all zones that are filled on demand.
    pub cache_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            udp_payload_bytes_max: 1232,
            tcp_connections_max: 4096,
            tcp_connections_per_client_max: 64,
            tcp_idle_ms: 10_000,
            tcp_receive_ms_max: 5000,
            tcp_send_ms_max: 5000,
            cache_bytes_max: 256 << 20,
        }
    }
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
