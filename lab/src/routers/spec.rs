//! What a router is to be and what it shows, whoever made it: so that one test speaks with all of them.

use std::net::{IpAddr, Ipv4Addr};

/// A router, described.
#[derive(Clone, Debug)]
pub struct RouterSpec {
    /// Its autonomous system.
    pub local_as: u32,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// Whom it speaks with.
    pub peers: Vec<PeerSpec>,
    /// Prefixes that it announces to all of them, as in `198.51.100.0/24`.
    pub announces: Vec<String>,
}

/// One of its peers.
#[derive(Clone, Debug)]
pub struct PeerSpec {
    /// The router's own address on the session.
    pub local: IpAddr,
    /// The peer's address.
    pub remote: IpAddr,
    /// The peer's autonomous system.
    pub remote_as: u32,
    /// Hold time that the router offers.
    pub hold_time_s: u16,
    /// Whether it waits for the peer to connect.
    pub passive: bool,
    /// TCP MD5 (RFC 2385).
    pub password: Option<String>,
    /// TTL security (RFC 5082) for a peer on the same wire.
    pub ttl_security: bool,
    /// Routes of IPv4.
    pub ipv4: bool,
    /// Routes of IPv6.
    pub ipv6: bool,
    /// IPv4 routes with IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// Graceful restart (RFC 4724) with this restart time.
    pub graceful_restart_s: Option<u16>,
    /// BFD with this interval and a multiplier of 3, where the router can.
    pub bfd_ms: Option<u32>,
}

impl RouterSpec {
    /// A router without peers.
    pub fn new(local_as: u32, router_id: Ipv4Addr) -> RouterSpec {
        RouterSpec { local_as, router_id, peers: Vec::new(), announces: Vec::new() }
    }

    /// Add a peer.
    pub fn peer(mut self, peer: PeerSpec) -> RouterSpec {
        self.peers.push(peer);
        self
    }

    /// Announce a prefix.
    pub fn announce(mut self, prefix: &str) -> RouterSpec {
        self.announces.push(prefix.to_owned());
        self
    }

    pub(crate) fn announced(&self, ipv6: bool) -> impl Iterator<Item = &str> {
        self.announces.iter().map(String::as_str).filter(move |prefix| prefix.contains(':') == ipv6)
    }
}

impl PeerSpec {
    /// A peer for routes of both families over one session: hold time 3 s, connects, nothing else.
    pub fn new(local: IpAddr, remote: IpAddr, remote_as: u32) -> PeerSpec {
        PeerSpec {
            local,
            remote,
            remote_as,
            hold_time_s: 3,
            passive: false,
            password: None,
            ttl_security: false,
            ipv4: true,
            ipv6: true,
            extended_next_hop: false,
            graceful_restart_s: None,
            bfd_ms: None,
        }
    }
}

/// A route that a router has from a peer; lists are sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The prefix.
    pub prefix: String,
    /// Its next hop; of IPv6 the global one.
    pub next_hop: String,
    /// AS_PATH.
    pub as_path: Vec<u32>,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// Communities, as in `65010:100`.
    pub communities: Vec<String>,
    /// Large communities, as in `65010:1:2`.
    pub large_communities: Vec<String>,
    /// Extended communities, as in `rt:65010:100`.
    pub extended_communities: Vec<String>,
}

impl Route {
    /// The lists sorted, so that routes of different routers compare.
    pub(crate) fn sorted(mut self) -> Route {
        for list in [&mut self.communities, &mut self.large_communities, &mut self.extended_communities] {
            list.sort();
        }
        self
    }
}
