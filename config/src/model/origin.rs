//! Where zones come from.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::prefix::Prefix;

/// A hidden primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name in the file; `node:NAME` for an upstream node.
    pub name: String,
    /// Where it answers; tried in this order. Their ports are for TLS if there is [`Origin::tls`].
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
    /// TLS (RFC 9103) for transfers and SOA queries; without it they go in the clear.
    pub tls: Option<Tls>,
    /// Whether it is sent DNS cookies (RFC 7873) with the questions of zones that are filled on demand.
    pub cookies: bool,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            name: String::new(),
            addresses: Vec::new(),
            key: None,
            source_v4: None,
            source_v6: None,
            notify_from: Vec::new(),
            notify_key_required: false,
            tls: None,
            cookies: true,
        }
    }
}

/// How an origin is asked over TLS, and what its certificate must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The name that its certificate must have; `None` means its address.
    pub server_name: Option<String>,
    /// The authorities in PEM that may sign it; `None` means the system's.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the public keys (SubjectPublicKeyInfo) that it may have. With any, no authority is asked.
    pub pins_sha256: Vec<[u8; 32]>,
    /// The certificate chain in PEM that shows the origin who asks.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM; there whenever `certificate` is.
    pub key_file: Option<PathBuf>,
}
