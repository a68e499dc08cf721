//! The next hops that a connection can offer: its own address, and those of the other family on the same interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use crate::bgp::NextHops;

/// An address of an interface of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InterfaceAddress {
    interface: String,
    loopback: bool,
    network: IpNet,
}

/// What a connection from `local` to `remote` offers.
pub(super) fn of_connection(local: IpAddr, remote: IpAddr) -> NextHops {
    choose(local, remote, &interface_addresses())
}

fn choose(local: IpAddr, remote: IpAddr, addresses: &[InterfaceAddress]) -> NextHops {
    let own = addresses.iter().find(|address| address.network.addr() == local);
    // Beside an address on `lo` stand the services' own, which lead nowhere.
    let interface = own.filter(|own| !own.loopback).map(|own| own.interface.as_str());
    let beside: Vec<&IpNet> =
        addresses.iter().filter(|it| Some(it.interface.as_str()) == interface).map(|it| &it.network).collect();
    let ipv4 = match local {
        IpAddr::V4(local) => Some(local),
        IpAddr::V6(_) => beside.iter().find_map(|network| ipv4_of(network)),
    };
    let global = beside.iter().filter_map(|network| ipv6_of(network)).find(|address| !address.is_unicast_link_local());
    let ipv6 = match local {
        IpAddr::V6(local) if !local.is_unicast_link_local() => Some(local),
        IpAddr::V6(local) => global.or(Some(local)),
        IpAddr::V4(_) => global,
    };
    let same_link = own.is_some_and(|own| own.network.contains(&remote));
    let link_local = beside.iter().filter_map(|network| ipv6_of(network)).find(Ipv6Addr::is_unicast_link_local);
    NextHops { ipv4, ipv6, link_local: link_local.filter(|_| same_link) }
}

fn ipv4_of(network: &IpNet) -> Option<Ipv4Addr> {
    match network.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn ipv6_of(network: &IpNet) -> Option<Ipv6Addr> {
    match network.addr() {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(address),
    }
}

/// All addresses of all interfaces; none where the kernel does not say.
fn interface_addresses() -> Vec<InterfaceAddress> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    all.filter_map(|it| {
        let address = ip(&it.address?)?;
        let network = IpNet::with_netmask(address, ip(&it.netmask?)?).ok()?;
        let loopback = it.flags.contains(InterfaceFlags::IFF_LOOPBACK);
        Some(InterfaceAddress { interface: it.interface_name, loopback, network })
    })
    .collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let ipv4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Vec<InterfaceAddress> {
        let address = |interface: &str, network: &str| InterfaceAddress {
            interface: interface.into(),
            loopback: interface == "lo",
            network: network.parse().unwrap(),
        };
        vec![
            address("lo", "127.0.0.1/8"),
            address("lo", "10.255.0.1/32"),
            address("lo", "2001:db8:53::53/128"),
            address("eth0", "10.0.0.1/24"),
            address("eth0", "fe80::1/64"),
            address("eth0", "2001:db8:1::1/64"),
            address("eth1", "10.0.1.1/24"),
            address("eth1", "2001:db8:2::1/64"),
        ]
    }

    fn chosen(local: &str, remote: &str) -> [Option<String>; 3] {
        let it = choose(local.parse().unwrap(), remote.parse().unwrap(), &addresses());
        [it.ipv4.map(|it| it.to_string()), it.ipv6.map(|it| it.to_string()), it.link_local.map(|it| it.to_string())]
    }

    fn some(text: &str) -> Option<String> {
        Some(text.into())
    }

    #[test]
    fn both_families_of_one_interface() {
        assert_eq!(chosen("10.0.0.1", "10.0.0.254"), [some("10.0.0.1"), some("2001:db8:1::1"), some("fe80::1")]);
        let far = chosen("2001:db8:1::1", "2001:db8:9::1");
        assert_eq!(far, [some("10.0.0.1"), some("2001:db8:1::1"), None], "no link-local address for somebody far away");
        assert_eq!(chosen("fe80::1", "fe80::2"), [some("10.0.0.1"), some("2001:db8:1::1"), some("fe80::1")]);
    }

    #[test]
    fn addresses_on_lo_stand_alone() {
        assert_eq!(chosen("10.255.0.1", "10.0.1.254"), [some("10.255.0.1"), None, None]);
        assert_eq!(chosen("127.0.0.2", "127.0.0.3"), [some("127.0.0.2"), None, None], "not even an address of its own");
    }
}
