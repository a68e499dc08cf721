//! Anycast: the services whose prefixes nodes announce, the routers they announce them to, and what decides.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

/// `[anycast.NAME]`: addresses that several nodes have in common, and the prefixes that lead to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name in the file.
    pub name: String,
    /// The prefixes that its nodes announce.
    pub prefixes: Vec<IpNet>,
    /// The addresses within them that answer; its nodes put them on `lo`.
    pub addresses: Vec<IpAddr>,
    /// A node leaves for a soft reason only if at least so many other nodes go on.
    pub nodes_min: u32,
}

/// `[node.NAME.anycast]`: what a node announces, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anycast {
    /// The names of the services that it announces.
    pub services: Vec<String>,
    /// Its autonomous system.
    pub local_as: u32,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// Where it takes BGP sessions that routers open; without any, it opens all itself.
    pub listen: Vec<SocketAddr>,
    /// Whether it puts the services' addresses on `lo`, and takes away what it put there.
    pub manage_addresses: bool,
    /// How often health is looked at.
    pub check_interval_ms: u32,
    /// So many good looks in a row make a node announce again; so many bad ones make it stop.
    pub rise: u32,
    /// See `rise`.
    pub fall: u32,
    /// A node that came up and went down again waits for twice as long as before, up to this.
    pub hold_down_s_max: u32,
    /// How long the routes are announced with the GRACEFUL_SHUTDOWN community (RFC 8326) before they are withdrawn on
    /// purpose; 0: not at all.
    pub graceful_shutdown_ms: u32,
    /// How long queries are answered after the routes have been withdrawn, before the sockets close.
    pub drain_ms: u32,
    /// Where it says to other nodes how it is, and hears from them: an address of its own and a UDP port.
    pub fleet: Option<SocketAddr>,
    /// Attributes of the routes of a node that is up.
    pub up: RouteAttributes,
    /// The same of one that is degraded.
    pub degraded: RouteAttributes,
    /// The routers it announces to.
    pub neighbours: Vec<Neighbour>,
}

/// What makes a route better or worse than others, and what it asks of routers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteAttributes {
    /// MULTI_EXIT_DISC; the lower the better.
    pub med: Option<u32>,
    /// How many times more than once the own AS stands in AS_PATH.
    pub prepend: u8,
    /// Communities (RFC 1997), AS in the upper half.
    pub communities: Vec<u32>,
    /// Extended communities (RFC 4360).
    pub extended_communities: Vec<[u8; 8]>,
    /// Large communities (RFC 8092).
    pub large_communities: Vec<[u32; 3]>,
}

/// `[node.NAME.anycast.neighbour.NAME]`: a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its name in the file, unique in the node.
    pub name: String,
    /// Its address and port.
    pub address: SocketAddr,
    /// The address that the node uses towards it.
    pub source: Option<IpAddr>,
    /// Its autonomous system.
    pub remote_as: u32,
    /// Whether the node only waits for it to connect.
    pub passive: bool,
    /// The file with the TCP MD5 password (RFC 2385), if there is one.
    pub password_file: Option<PathBuf>,
    /// Hops that it may be away. 1: TTL security (RFC 5082) with 255, unless `ttl_security` is off.
    pub hops_max: u8,
    /// Whether packets that come from farther away are dropped (RFC 5082).
    pub ttl_security: bool,
    /// Hold time offered; 3 or more.
    pub hold_time_s: u16,
    /// How long after a failed attempt the next is made.
    pub connect_retry_ms: u32,
    /// Routes of IPv4 are announced to it.
    pub ipv4: bool,
    /// Routes of IPv6 are announced to it.
    pub ipv6: bool,
    /// IPv4 routes with an IPv6 next hop (RFC 8950), where the session is over IPv6.
    pub extended_next_hop: bool,
    /// Next hops; without them the node's own address on the session, or one of the same interface.
    pub next_hop_ipv4: Option<Ipv4Addr>,
    /// See `next_hop_ipv4`.
    pub next_hop_ipv6: Option<std::net::Ipv6Addr>,
    /// Restart time offered by graceful restart (RFC 4724); 0: off.
    pub graceful_restart_s: u16,
    /// Bidirectional forwarding detection with it.
    pub bfd: Option<BfdSettings>,
    /// Routes of it that are kept to be shown.
    pub routes_kept_max: u32,
}

/// `[node.NAME.anycast.neighbour.NAME.bfd]` (RFC 5880, 5881).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BfdSettings {
    /// Desired Min TX and Required Min RX interval.
    pub interval_ms: u32,
    /// Detect Mult.
    pub multiplier: u8,
}

/// Another node that announces a service that this one announces too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetMember {
    /// Its name.
    pub node: String,
    /// Where it is heard.
    pub address: SocketAddr,
    /// The services that it announces.
    pub services: Vec<String>,
}

/// A question that the node asks itself, and what must be in its answer: `[zone.NAME] checks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneCheck {
    /// The whole name that is asked for, as text with a dot at its end.
    pub name: String,
    /// The type that is asked for: A or AAAA.
    pub address_family: AddressFamily,
    /// The address that must be among the answers; without it any will do.
    pub expected: Option<IpAddr>,
}

/// A or AAAA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// A.
    Ipv4,
    /// AAAA.
    Ipv6,
}
