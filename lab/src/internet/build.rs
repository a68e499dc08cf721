//! The building of an internet from its plan.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    ClientHost, EdgeHost, Internet, bird,
    plan::{Line, MANAGEMENT, ORIGIN, Plan, Purpose},
};
use crate::{Lab, LabError, Namespace, Wire};

/// Several next hops are chosen among by addresses and ports, not by addresses alone: one resolver reaches all edges.
const ROUTER_SYSCTLS: [(&str, &str); 2] =
    [("net/ipv4/fib_multipath_hash_policy", "1"), ("net/ipv6/fib_multipath_hash_policy", "1")];
/// All of the management network, IPv4 and IPv6.
const MANAGEMENT_NETWORKS: [(IpAddr, u8); 2] =
    [(IpAddr::V4(Ipv4Addr::new(10, 255, 0, 0)), 16), (IpAddr::V6(Ipv6Addr::new(0xfd00, 0xff, 0, 0, 0, 0, 0, 0)), 32)];

pub(super) fn build(lab: &Lab, plan: Plan) -> Result<Internet, LabError> {
    plan.check()?;
    let hosts = make_hosts(lab, &plan)?;
    let mut internet =
        Internet { plan, hosts, wires: Vec::new(), clients: Vec::new(), edges: Vec::new(), routers: Vec::new() };
    for line in &internet.plan.lines {
        let (first, second) = (internet.host(&line.first), internet.host(&line.second));
        // An interface is named for what it leads to.
        let wire = Wire::between(first, &line.second, second, &line.first, line.quality)?;
        for (host, interface, is_first) in [(first, &line.second, true), (second, &line.first, false)] {
            for (address, (_, bits)) in line.addresses(is_first).into_iter().zip(line.networks) {
                host.address(interface, address, bits)?;
            }
        }
        add_routes(line, second)?;
        internet.wires.push(wire);
    }
    internet.clients = clients(&internet);
    internet.edges = edges(&internet);
    Ok(internet)
}

fn make_hosts(lab: &Lab, plan: &Plan) -> Result<Vec<Namespace>, LabError> {
    let sites = plan.sites.iter().map(|site| site.name.clone());
    let routers = sites.chain(plan.provider_routers().map(|(name, _, _)| name)).chain([MANAGEMENT.to_owned()]);
    let mut hosts = Vec::new();
    for router in routers {
        let namespace = lab.namespace(&router)?;
        namespace.forward()?;
        for (key, value) in ROUTER_SYSCTLS {
            namespace.sysctl(key, value)?;
        }
        hosts.push(namespace);
    }
    let edges = plan.sites.iter().flat_map(|site| site.edges.clone());
    let clients = plan.clients.iter().map(|client| client.name.clone());
    for host in edges.chain(clients).chain([ORIGIN.to_owned()]) {
        hosts.push(lab.namespace(&host)?);
    }
    Ok(hosts)
}

/// What hosts need to know; routers learn by BGP.
fn add_routes(line: &Line, second: &Namespace) -> Result<(), LabError> {
    let gateways = line.addresses(true);
    let everything = [(IpAddr::from(Ipv4Addr::UNSPECIFIED), 0), (IpAddr::from(Ipv6Addr::UNSPECIFIED), 0)];
    let routes = match line.purpose {
        Purpose::Access | Purpose::Uplink => everything,
        Purpose::Management => MANAGEMENT_NETWORKS,
        Purpose::Backbone | Purpose::Peering | Purpose::Transit { .. } => return Ok(()),
    };
    routes.into_iter().zip(gateways).try_for_each(|((network, bits), gateway)| second.route(network, bits, gateway))
}

fn clients(internet: &Internet) -> Vec<ClientHost> {
    let host = |client: &super::plan::Client| ClientHost {
        name: client.name.clone(),
        region: client.region,
        provider: client.provider.clone(),
        namespace: internet.host(&client.name).clone(),
    };
    internet.plan.clients.iter().map(host).collect()
}

fn edges(internet: &Internet) -> Vec<EdgeHost> {
    let plan = &internet.plan;
    let line_to = |edge: &str, purpose: Purpose| {
        let found = plan.lines.iter().position(|line| line.second == edge && line.purpose == purpose)?;
        Some((plan.lines.get(found)?, internet.wires.get(found)?.clone()))
    };
    let of_site = |site: &super::plan::Site| {
        let host = |edge: &String| {
            let (uplink_line, uplink) = line_to(edge, Purpose::Uplink)?;
            let (management_line, management) = line_to(edge, Purpose::Management)?;
            Some(EdgeHost {
                name: edge.clone(),
                site: site.name.clone(),
                region: site.region,
                namespace: internet.host(edge).clone(),
                addresses: uplink_line.addresses(false),
                router_addresses: uplink_line.addresses(true),
                router_as: bird::as_number(plan, &site.name),
                management_addresses: management_line.addresses(false),
                uplink,
                management,
            })
        };
        site.edges.iter().filter_map(host).collect::<Vec<_>>()
    };
    plan.sites.iter().flat_map(of_site).collect()
}
