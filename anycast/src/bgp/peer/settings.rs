//! What a peer is made with.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use config::{Anycast, Neighbour};

/// A neighbour's settings, as far as BGP is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// The node's autonomous system.
    pub local_as: u32,
    /// The node's BGP identifier.
    pub router_id: Ipv4Addr,
    /// The neighbour's autonomous system.
    pub remote_as: u32,
    /// Whether the node only waits for it to connect.
    pub passive: bool,
    /// Hold time offered.
    pub hold_time_s: u16,
    /// How long after a failed attempt the next is made.
    pub connect_retry: Duration,
    /// Routes of IPv4 are announced.
    pub ipv4: bool,
    /// Routes of IPv6 are announced.
    pub ipv6: bool,
    /// IPv4 routes with an IPv6 next hop (RFC 8950) are offered.
    pub extended_next_hop: bool,
    /// Goes before the one of the connection.
    pub next_hop_ipv4: Option<Ipv4Addr>,
    /// Goes before the one of the connection.
    pub next_hop_ipv6: Option<Ipv6Addr>,
    /// Restart time offered (RFC 4724); 0: no graceful restart.
    pub graceful_restart_s: u16,
    /// Routes of the neighbour that are kept.
    pub routes_kept_max: usize,
    /// Where the jitter of its timers begins; any number will do, another for each peer.
    pub jitter_seed: u64,
}

impl PeerSettings {
    /// From the network file.
    pub fn new(anycast: &Anycast, neighbour: &Neighbour, jitter_seed: u64) -> Self {
        Self {
            local_as: anycast.local_as,
            router_id: anycast.router_id,
            remote_as: neighbour.remote_as,
            passive: neighbour.passive,
            hold_time_s: neighbour.hold_time_s,
            connect_retry: Duration::from_millis(u64::from(neighbour.connect_retry_ms)),
            ipv4: neighbour.ipv4,
            ipv6: neighbour.ipv6,
            extended_next_hop: neighbour.extended_next_hop,
            next_hop_ipv4: neighbour.next_hop_ipv4,
            next_hop_ipv6: neighbour.next_hop_ipv6,
            graceful_restart_s: neighbour.graceful_restart_s,
            routes_kept_max: usize::try_from(neighbour.routes_kept_max).unwrap_or(usize::MAX),
            jitter_seed,
        }
    }

    /// Whether the neighbour is in the same autonomous system.
    pub(crate) fn is_internal(&self) -> bool {
        self.local_as == self.remote_as
    }
}
