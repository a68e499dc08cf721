//! The machine's interfaces: whose packets the kernel lane looks at, and at which addresses it answers.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
};

use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags, sys::socket::SockaddrStorage};

use super::layout::SERVICES_MAX;

/// An address of an interface; or the interface itself, which need not have any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) interface: String,
    pub(super) is_up: bool,
    pub(super) is_loopback: bool,
    pub(super) ip: Option<IpAddr>,
}

/// All interfaces with all their addresses, as they stand.
pub(super) fn held() -> io::Result<Vec<Held>> {
    let ip = |address: &SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    let all = getifaddrs()?.map(|entry| Held {
        is_up: entry.flags.contains(InterfaceFlags::IFF_UP),
        is_loopback: entry.flags.contains(InterfaceFlags::IFF_LOOPBACK),
        ip: entry.address.as_ref().and_then(ip),
        interface: entry.interface_name,
    });
    Ok(all.collect())
}

/// The interfaces that packets to these addresses may come in by: those that have them; of wildcards, and of addresses that
/// lo has for routers to lead here, all that are up. Nothing comes in by lo itself.
pub(super) fn leading_to(listen: &[SocketAddr], held: &[Held]) -> Vec<String> {
    let mut chosen = BTreeSet::new();
    for ip in listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_loopback()) {
        let mut owners = held.iter().filter(|held| held.ip == Some(ip) && !held.is_loopback).peekable();
        match owners.peek() {
            Some(_) => chosen.extend(owners.map(|held| held.interface.clone())),
            None => {
                let outward = held.iter().filter(|held| held.is_up && !held.is_loopback);
                chosen.extend(outward.map(|held| held.interface.clone()));
            }
        }
    }
    chosen.into_iter().collect()
}

/// The hardware addresses of these interfaces, those that have one.
pub(super) fn hardware_addresses(interfaces: &[String]) -> Vec<[u8; 6]> {
    let of = |entry: nix::ifaddrs::InterfaceAddress| entry.address?.as_link_addr()?.addr();
    let entries = getifaddrs().into_iter().flatten();
    let mut found: Vec<_> = entries.filter(|entry| interfaces.contains(&entry.interface_name)).filter_map(of).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The addresses and ports that packets are looked at for: a wildcard stands for all addresses that the machine has, since a
/// packet to any other is not for it.
pub(super) fn services(listen: &[SocketAddr], held: &[Held]) -> BTreeSet<SocketAddr> {
    let mut services = BTreeSet::new();
    for address in listen {
        if !address.ip().is_unspecified() {
            services.insert(*address);
            continue;
        }
        let same_family = held.iter().filter_map(|held| held.ip).filter(|ip| ip.is_ipv4() == address.is_ipv4());
        services.extend(same_family.map(|ip| SocketAddr::new(ip, address.port())));
    }
    // The map has no room for more; what is left out is passed up.
    while services.len() > SERVICES_MAX {
        services.pop_last();
    }
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Vec<Held> {
        let held = |interface: &str, is_up, ip: Option<&str>| Held {
            interface: interface.to_owned(),
            is_up,
            is_loopback: interface == "lo",
            ip: ip.map(|ip| ip.parse().unwrap()),
        };
        vec![
            held("lo", true, None),
            held("lo", true, Some("127.0.0.1")),
            held("lo", true, Some("192.0.2.53")),
            held("eth0", true, Some("198.51.100.1")),
            held("eth1", true, Some("203.0.113.1")),
            held("eth1", true, Some("2001:db8::1")),
            held("eth2", false, None),
        ]
    }

    fn leading(listen: &[&str]) -> Vec<String> {
        let listen: Vec<_> = listen.iter().map(|address| address.parse().unwrap()).collect();
        leading_to(&listen, &machine())
    }

    #[test]
    fn an_address_leads_to_the_interface_that_has_it() {
        assert_eq!(leading(&["203.0.113.1:53", "[2001:db8::1]:53"]), ["eth1"]);
        assert_eq!(leading(&["203.0.113.1:53", "198.51.100.1:53"]), ["eth0", "eth1"]);
    }

    #[test]
    fn wildcards_and_addresses_of_lo_lead_to_all_that_are_up() {
        assert_eq!(leading(&["0.0.0.0:53"]), ["eth0", "eth1"]);
        assert_eq!(leading(&["192.0.2.53:53"]), ["eth0", "eth1"]);
        assert_eq!(leading(&["127.0.0.1:53", "[::1]:53"]), [""; 0]);
    }

    #[test]
    fn a_wildcard_is_answered_at_the_machine_s_own_addresses() {
        let listen = ["0.0.0.0:53", "[2001:db8::1]:5300"].map(|address| address.parse().unwrap());
        let found: Vec<_> = services(&listen, &machine()).into_iter().map(|address| address.to_string()).collect();
        let wanted = ["127.0.0.1:53", "192.0.2.53:53", "198.51.100.1:53", "203.0.113.1:53", "[2001:db8::1]:5300"];
        assert_eq!(found, wanted);
    }

    #[test]
    fn no_more_services_than_there_is_room_for() {
        let listen: Vec<SocketAddr> = (1..=300).map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect();
        assert_eq!(services(&listen, &machine()).len(), SERVICES_MAX);
    }

    #[test]
    fn this_machine_has_lo() {
        let held = held().unwrap();
        assert!(held.iter().any(|held| held.interface == "lo" && held.is_loopback));
    }
}
