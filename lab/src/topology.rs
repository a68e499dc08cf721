//! A network as data: hosts, routers, the wires between them; and the building of it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};

use crate::{Lab, LabError, Namespace};

/// Bits of a wire's IPv4 and IPv6 networks.
const PREFIX_BITS: [u8; 2] = [24, 64];

/// A host or a router of a topology.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name, unique in the topology.
    pub name: String,
    /// Whether it forwards packets.
    pub router: bool,
}

/// A wire between two hosts with a network of its own: `10.N.0.0/24` and `fd00:N::/64`, N being [`Link::network`].
/// The first end has the address 1 in it, the second 2.
#[derive(Clone, Debug)]
pub struct Link {
    /// One end; where one end is a router, this one.
    pub first: String,
    /// The other end.
    pub second: String,
    /// The number of its network, unique in the topology.
    pub network: u8,
}

/// A whole network, described.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The name it is asked for by.
    pub name: String,
    /// A sentence on what it is for.
    pub about: String,
    /// Its hosts and routers.
    pub hosts: Vec<Host>,
    /// Its wires.
    pub links: Vec<Link>,
}

/// A network that was built: its namespaces by name.
pub struct Network {
    hosts: BTreeMap<String, Namespace>,
}

impl Network {
    /// The namespace of a host.
    ///
    /// # Panics
    /// Where the topology has no host of that name: a mistake in the calling program.
    pub fn host(&self, name: &str) -> &Namespace {
        self.hosts.get(name).unwrap_or_else(|| panic!("the topology has no host {name:?}"))
    }

    /// All hosts by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Namespace> {
        self.hosts.values()
    }
}

impl Link {
    /// The addresses of one end: IPv4, IPv6.
    fn addresses(&self, end: u8) -> [IpAddr; 2] {
        let network = u16::from(self.network);
        [IpAddr::from([10, self.network, 0, end]), IpAddr::from([0xfd00, network, 0, 0, 0, 0, 0, u16::from(end)])]
    }

    /// The other end's name and addresses, seen from `host`.
    fn across(&self, host: &str) -> Option<(&str, [IpAddr; 2])> {
        if self.first == host {
            Some((&self.second, self.addresses(2)))
        } else if self.second == host {
            Some((&self.first, self.addresses(1)))
        } else {
            None
        }
    }
}

impl Topology {
    /// An empty topology.
    pub fn new(name: &str, about: &str) -> Topology {
        Topology { name: name.into(), about: about.into(), hosts: Vec::new(), links: Vec::new() }
    }

    /// Add a host.
    pub fn host(mut self, name: &str) -> Topology {
        self.hosts.push(Host { name: name.into(), router: false });
        self
    }

    /// Add a router.
    pub fn router(mut self, name: &str) -> Topology {
        self.hosts.push(Host { name: name.into(), router: true });
        self
    }

    /// Add a wire with the network `10.network.0.0/24` and `fd00:network::/64`.
    pub fn link(mut self, first: &str, second: &str, network: u8) -> Topology {
        self.links.push(Link { first: first.into(), second: second.into(), network });
        self
    }

    pub(crate) fn build(&self, lab: &Lab) -> Result<Network, LabError> {
        self.check()?;
        let mut hosts = BTreeMap::new();
        for host in &self.hosts {
            let namespace = lab.namespace(&host.name)?;
            if host.router {
                namespace.forward()?;
            }
            hosts.insert(host.name.clone(), namespace);
        }
        let network = Network { hosts };
        for link in &self.links {
            let (first, second) = (network.host(&link.first), network.host(&link.second));
            // An interface is named for what it leads to.
            first.wire(&link.second, second, &link.first)?;
            for (address, bits) in link.addresses(1).into_iter().zip(PREFIX_BITS) {
                first.address(&link.second, address, bits)?;
            }
            for (address, bits) in link.addresses(2).into_iter().zip(PREFIX_BITS) {
                second.address(&link.first, address, bits)?;
            }
        }
        for host in &self.hosts {
            self.route(host, network.host(&host.name))?;
        }
        Ok(network)
    }

    fn check(&self) -> Result<(), LabError> {
        /// IFNAMSIZ less its closing zero byte.
        const INTERFACE_BYTES_MAX: usize = 15;
        for host in &self.hosts {
            if host.name.is_empty() || host.name.len() > INTERFACE_BYTES_MAX {
                let why = format!("the name {:?} cannot name an interface: 1 to 15 bytes", host.name);
                return Err(LabError::Invalid(why));
            }
        }
        let known = |name: &str| self.hosts.iter().any(|host| host.name == name);
        match self.links.iter().find(|link| !known(&link.first) || !known(&link.second)) {
            Some(link) => Err(LabError::Invalid(format!("a wire {} – {} to nowhere", link.first, link.second))),
            None => Ok(()),
        }
    }

    /// Give `host` a route to every network that it is not on, by the fewest hops through routers.
    fn route(&self, host: &Host, namespace: &Namespace) -> Result<(), LabError> {
        for (network, gateways) in self.next_hops(&host.name) {
            let [v4, v6] = gateways;
            namespace.route(IpAddr::from([10, network, 0, 0]), PREFIX_BITS[0], v4)?;
            namespace.route(IpAddr::from([0xfd00, u16::from(network), 0, 0, 0, 0, 0, 0]), PREFIX_BITS[1], v6)?;
        }
        Ok(())
    }

    fn next_hops(&self, from: &str) -> BTreeMap<u8, [IpAddr; 2]> {
        let is_router = |name: &str| self.hosts.iter().any(|host| host.router && host.name == name);
        let direct: Vec<u8> =
            self.links.iter().filter(|link| link.across(from).is_some()).map(|link| link.network).collect();
        let mut hops = BTreeMap::new();
        let mut seen = vec![from];
        let mut todo: VecDeque<(&str, Option<[IpAddr; 2]>)> = VecDeque::from([(from, None)]);
        while let Some((here, gateway)) = todo.pop_front() {
            for link in &self.links {
                let Some((there, addresses)) = link.across(here) else { continue };
                if let Some(gateway) = gateway
                    && !direct.contains(&link.network)
                {
                    hops.entry(link.network).or_insert(gateway);
                }
                if is_router(there) && !seen.contains(&there) {
                    seen.push(there);
                    todo.push_back((there, Some(gateway.unwrap_or(addresses))));
                }
            }
        }
        hops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_reach_far_networks_through_their_own_router() {
        let topology = Topology::new("line", "two routers in a row")
            .host("a")
            .router("r")
            .router("s")
            .host("b")
            .link("r", "a", 1)
            .link("r", "s", 2)
            .link("s", "b", 3);
        let v4 = |host: &str| -> Vec<(u8, String)> {
            topology.next_hops(host).into_iter().map(|(network, [v4, _])| (network, v4.to_string())).collect()
        };
        assert_eq!(v4("a"), [(2, "10.1.0.1".into()), (3, "10.1.0.1".into())]);
        assert_eq!(v4("r"), [(3, "10.2.0.2".into())]);
        assert_eq!(v4("b"), [(1, "10.3.0.1".into()), (2, "10.3.0.1".into())]);
    }
}
