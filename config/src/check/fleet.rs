//! Anycast across the nodes: what several announce, and how they hear of each other.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::{Checker, Tables};
use crate::model::{Anycast, Node, Service};
use crate::reader::{Section, join};

impl Checker<'_, '_> {
    /// Reports what keeps nodes from announcing together.
    pub(super) fn check_fleet(
        &mut self,
        tables: &Tables,
        shared: &Section,
        nodes: &BTreeMap<String, Node>,
        services: &[Service],
    ) {
        if self.sink.incomplete {
            return;
        }
        let has_key = shared.found("node_key").is_some() || shared.is_unreadable("node_key");
        let mut fleet: BTreeMap<SocketAddr, &str> = BTreeMap::new();
        let mut router_ids: BTreeMap<std::net::Ipv4Addr, &str> = BTreeMap::new();
        for (name, section) in &tables.nodes {
            let (Some(node), Some(part)) = (nodes.get(name), section.optional_section("anycast")) else { continue };
            self.check_service_addresses_are_not_its_own(section, node, services);
            let Some(anycast) = &node.anycast else { continue };
            self.check_listen(part, node, anycast, services);
            if part.found("router_id").is_some()
                && let Some(other) = router_ids.insert(anycast.router_id, name)
            {
                let found = format!("\"{}\", which {other:?} has too", anycast.router_id);
                let expected = "an identifier of its own: routers take two with one for the same";
                self.sink.warning(part.position("router_id"), &join(&part.path, "router_id"), found, expected);
            }
            self.check_fleet_address(part, name, anycast, has_key, &mut fleet, services);
            self.check_heard(part, name, anycast, nodes, services);
        }
        for (name, section) in &tables.services {
            let announced = |node: &Node| node.anycast.as_ref().is_some_and(|anycast| anycast.services.contains(name));
            if !nodes.values().any(announced) {
                let expected = format!("a node that announces it: services = [{name:?}] in [node.NAME.anycast]");
                self.sink.warning(section.at, &section.path, "a service of no node", expected);
            }
        }
    }

    /// A wildcard or the address itself must be among what the node listens at.
    fn check_listen(&mut self, section: &Section, node: &Node, anycast: &Anycast, services: &[Service]) {
        let covers = |own: &SocketAddr, address: IpAddr| {
            own.ip() == address || (own.ip().is_unspecified() && own.is_ipv4() == address.is_ipv4())
        };
        for (index, (name, at)) in section.texts("services").enumerate() {
            let Some(service) = services.iter().find(|service| anycast.announces(service) && service.name == name)
            else {
                continue;
            };
            for address in &service.addresses {
                if !node.listen.iter().any(|own| covers(own, *address)) {
                    let path = format!("{}[{index}]", join(&section.path, "services"));
                    let found = format!("{name:?} with \"{address}\", where the node does not listen");
                    let expected = format!("\"{}\" or a wildcard in its listen", SocketAddr::new(*address, 53));
                    self.sink.error(at, &path, found, expected);
                }
            }
        }
    }

    fn check_fleet_address<'n>(
        &mut self,
        section: &Section,
        name: &'n str,
        anycast: &Anycast,
        has_key: bool,
        fleet: &mut BTreeMap<SocketAddr, &'n str>,
        services: &[Service],
    ) {
        let Some(address) = anycast.fleet else { return };
        let (at, path) = (section.position("fleet"), join(&section.path, "fleet"));
        if !has_key {
            let expected = "a key that nodes sign with: node_key = \"NAME\" in [network]";
            self.sink.error(at, &path, format_args!("\"{address}\" without a key"), expected);
        }
        if let Some(service) = services.iter().find(|service| service.addresses.contains(&address.ip())) {
            let found = format!("\"{}\", which is an address of [anycast.{}]", address.ip(), service.name);
            self.sink.error(at, &path, found, "an address of the node's own: others must reach this node by it");
        }
        if let Some(other) = fleet.insert(address, name) {
            let found = format!("\"{address}\", which {other:?} has too");
            self.sink.error(at, &path, found, "an address of the node's own");
        }
    }

    /// Warns of a node that the others never hear, so that they must take it as gone.
    fn check_heard(
        &mut self,
        section: &Section,
        name: &str,
        anycast: &Anycast,
        nodes: &BTreeMap<String, Node>,
        services: &[Service],
    ) {
        if anycast.fleet.is_some() || section.is_unreadable("fleet") {
            return;
        }
        let shared = services.iter().find(|service| {
            let also = |node: &Node| node.anycast.as_ref().is_some_and(|other| other.announces(service));
            let mut others = nodes.values().filter(|node| node.name != name);
            service.nodes_min > 0 && anycast.announces(service) && others.any(also)
        });
        if let Some(service) = shared {
            let expected = "an address where it hears other nodes; without it none of them can leave for a soft reason";
            let found = format!("nothing, where others announce {:?} too", service.name);
            self.sink.warning(section.at, &join(&section.path, "fleet"), found, expected);
        }
    }

    /// Other nodes would reach any of them by such an address.
    fn check_service_addresses_are_not_its_own(&mut self, section: &Section, node: &Node, services: &[Service]) {
        for address in section.found("transfer_addresses").map_or(&[][..], |_| node.transfer_addresses.as_slice()) {
            if let Some(service) = services.iter().find(|service| service.addresses.contains(&address.ip())) {
                let path = join(&section.path, "transfer_addresses");
                let found = format!("\"{}\", which is an address of [anycast.{}]", address.ip(), service.name);
                let at = section.position("transfer_addresses");
                self.sink.error(at, &path, found, "addresses of the node's own: others must reach this node by them");
            }
        }
    }
}

impl Anycast {
    /// Whether it announces this service.
    pub fn announces(&self, service: &Service) -> bool {
        self.services.contains(&service.name)
    }
}
