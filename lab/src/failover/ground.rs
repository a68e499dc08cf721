//! Where edges can stand: their ways to routers and to the origin, and the service that they share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Namespace, TsigKey, prober::Region};

/// The service that all edges announce: one address and one prefix of each family.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// The IPv4 prefix: network and bits.
    pub v4_prefix: (Ipv4Addr, u8),
    /// Its IPv6 address.
    pub v6: Ipv6Addr,
    /// The IPv6 prefix.
    pub v6_prefix: (Ipv6Addr, u8),
}

/// Addresses for documentation (RFC 5737, RFC 3849).
impl Default for Service {
    fn default() -> Service {
        Service {
            v4: Ipv4Addr::new(192, 0, 2, 53),
            v4_prefix: (Ipv4Addr::new(192, 0, 2, 0), 24),
            v6: Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0x53),
            v6_prefix: (Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 0), 48),
        }
    }
}

impl Service {
    /// Both addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        vec![self.v4.into(), self.v6.into()]
    }
}

/// A wire to a router that an edge speaks BGP with: a session over IPv4 for IPv4, and one over IPv6 for IPv6.
#[derive(Clone, Debug)]
pub struct Uplink {
    /// The edge's interface.
    pub interface: String,
    /// The router's autonomous system.
    pub router_as: u32,
    /// The router's addresses on it: IPv4, IPv6.
    pub router: (Ipv4Addr, Ipv6Addr),
    /// The edge's own.
    pub own: (Ipv4Addr, Ipv6Addr),
}

impl Uplink {
    /// From a host's and a router's addresses on a wire.
    pub fn new(interface: &str, router_as: u32, router: &[IpAddr], own: &[IpAddr]) -> Option<Uplink> {
        let both = |addresses: &[IpAddr]| {
            let v4 = addresses.iter().find_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            });
            let v6 = addresses.iter().find_map(|address| match address {
                IpAddr::V6(address) => Some(*address),
                IpAddr::V4(_) => None,
            });
            v4.zip(v6)
        };
        Some(Uplink { interface: interface.to_owned(), router_as, router: both(router)?, own: both(own)? })
    }

    /// Each session: its family, the router's address, the edge's.
    pub fn sessions(&self) -> [(&'static str, IpAddr, IpAddr); 2] {
        [("ipv4", self.router.0.into(), self.own.0.into()), ("ipv6", self.router.1.into(), self.own.1.into())]
    }
}

/// A place for an edge.
#[derive(Clone)]
pub struct Seat {
    /// The edge's name, and its NSID.
    pub name: String,
    /// Where it runs.
    pub host: Namespace,
    /// Its autonomous system.
    pub local_as: u32,
    /// Its ways to the world.
    pub uplinks: Vec<Uplink>,
    /// The interface that leads to the origin and nowhere else.
    pub origin_interface: String,
}

/// All that is there before the edges are.
#[derive(Clone)]
pub struct Ground {
    /// Who asks.
    pub regions: Vec<Region>,
    /// Where edges can stand.
    pub seats: Vec<Seat>,
    /// The service.
    pub service: Service,
    /// Where the origin is, seen from every seat.
    pub origin: IpAddr,
    /// Its key for transfers.
    pub key: TsigKey,
}

impl Seat {
    /// Its BGP identifier: the IPv4 address of its first uplink.
    pub fn router_id(&self) -> Ipv4Addr {
        self.uplinks.first().map_or(Ipv4Addr::LOCALHOST, |uplink| uplink.own.0)
    }
}
