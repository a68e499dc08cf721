//! What the operator decides about answering; swapped whole while the lanes run.

use std::time::Duration;

/// The settings of all lanes. They hold for each message as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Largest answer over UDP, in bytes; a client may ask for less (RFC 6891 §6.2.5). Between 512 and 4096.
    pub udp_payload_bytes_max: u16,
    /// What a client that asks for NSID gets (RFC 5001), of at most [`NSID_BYTES_MAX`].
    pub nsid: Option<Vec<u8>>,
    /// Answer to `id.server` and `hostname.bind` (RFC 4892), of at most 255 bytes; without it they are REFUSED.
    pub id_server: Option<String>,
    /// Answer to `version.server` and `version.bind`, of at most 255 bytes; without it they are REFUSED.
    pub version_bind: Option<String>,
    /// Secrets of DNS cookies, the same on all edges of an address (RFC 9018 §5): the first makes new ones, all are
    /// taken. Without any, the option is ignored.
    pub cookie_secrets: Vec<[u8; 16]>,
    /// Whether a query over UDP that has a cookie option, but no valid server cookie, gets BADCOOKIE rather than its
    /// answer (RFC 7873 §5.2.3).
    pub cookies_required: bool,
    /// Limits of the TCP lane.
    pub tcp: TcpSettings,
}

/// Limits of the TCP lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// Connections open at a time.
    pub connections_max: usize,
    /// Connections open at a time from one IPv4 address or one IPv6 /64.
    pub connections_per_client_max: usize,
    /// How long a connection may say nothing between two queries. Shortened when connections become scarce.
    pub idle: Duration,
    /// How long one message may take to arrive, from its first byte to its last.
    pub receive: Duration,
    /// How long the client may take to accept the answers that are ready for it.
    pub send: Duration,
}

/// Longest NSID that is sent.
pub const NSID_BYTES_MAX: usize = 128;
/// Least value of [`Settings::udp_payload_bytes_max`], which every DNS client takes (RFC 1035 §4.2.1).
pub const UDP_PAYLOAD_BYTES_MIN: u16 = 512;

impl Settings {
    pub(crate) fn nsid_to_send(&self) -> Option<&[u8]> {
        let nsid = self.nsid.as_deref()?;
        Some(nsid.get(..NSID_BYTES_MAX).unwrap_or(nsid))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            udp_payload_bytes_max: 1232,
            nsid: None,
            id_server: None,
            version_bind: None,
            cookie_secrets: Vec::new(),
            cookies_required: false,
            tcp: TcpSettings::default(),
        }
    }
}

impl Default for TcpSettings {
    fn default() -> Self {
        TcpSettings {
            connections_max: 4096,
            connections_per_client_max: 64,
            idle: Duration::from_secs(10),
            receive: Duration::from_secs(5),
            send: Duration::from_secs(5),
        }
    }
}
