//! Anycast services: their prefixes, the addresses within, and that no two share one.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Checker, Entries};
use crate::model::Service;
use crate::reader::{Section, join};
use crate::value::Value;

impl Checker<'_, '_> {
    pub(super) fn services(&mut self, sections: &Entries) -> Vec<Service> {
        let mut prefixes: BTreeMap<IpNet, &str> = BTreeMap::new();
        let mut addresses: BTreeMap<IpAddr, &str> = BTreeMap::new();
        let mut services = Vec::new();
        for (name, section) in sections {
            let service = self.service(name, section);
            for (item, found, at) in twins(section, &service, name, &mut prefixes, &mut addresses) {
                self.sink.error(at, &item, found, "each once: who would tell which service a query was for?");
            }
            services.push(service);
        }
        services
    }

    fn service(&mut self, name: &str, section: &Section) -> Service {
        let prefixes: Vec<IpNet> = section.prefixes("prefixes").iter().map(|prefix| prefix.net()).collect();
        let addresses = section.addresses("addresses");
        for (index, found) in section.list("prefixes").iter().enumerate() {
            if prefixes.get(index).is_some_and(|prefix| prefix.prefix_len() == 0) {
                let path = format!("{}[{index}]", join(&section.path, "prefixes"));
                let at = found.at.unwrap_or(section.at);
                self.sink.error(at, &path, "the default route", "the prefix that the addresses are in");
            }
        }
        for (index, (address, at)) in addresses.iter().enumerate() {
            let path = format!("{}[{index}]", join(&section.path, "addresses"));
            if !is_of_a_machine(*address) {
                let expected = "an address that can be routed to a machine";
                self.sink.error(*at, &path, format_args!("\"{address}\""), expected);
            } else if !prefixes.is_empty() && !prefixes.iter().any(|prefix| prefix.contains(address)) {
                let all: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
                let expected = format!("an address within {}", all.join(", "));
                self.sink.error(*at, &path, format_args!("\"{address}\""), expected);
            }
        }
        Service {
            name: name.to_owned(),
            prefixes,
            addresses: addresses.into_iter().map(|(address, _)| address).collect(),
            nodes_min: section.number("nodes_min"),
        }
    }
}

/// Whether an address can be one of a machine, or of several.
pub(super) fn is_of_a_machine(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.to_ipv4_mapped().is_some(),
    };
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || link_local)
}

/// Prefixes and addresses that another service has, or that stand there twice.
fn twins<'s>(
    section: &Section,
    service: &Service,
    name: &'s str,
    prefixes: &mut BTreeMap<IpNet, &'s str>,
    addresses: &mut BTreeMap<IpAddr, &'s str>,
) -> Vec<(String, String, usize)> {
    let mut twins = Vec::new();
    let at = |item: &str, index: usize| {
        section.list(item).get(index).and_then(|found| found.at).unwrap_or_else(|| section.position(item))
    };
    let mut tell = |item: &str, index: usize, what: String, other: Option<&str>| {
        if let Some(other) = other {
            let of = if other == name { String::new() } else { format!(", which [anycast.{other}] has") };
            twins.push((
                format!("{}[{index}]", join(&section.path, item)),
                format!("{what:?} again{of}"),
                at(item, index),
            ));
        }
    };
    for (index, prefix) in service.prefixes.iter().enumerate() {
        tell("prefixes", index, prefix.to_string(), prefixes.insert(*prefix, name));
    }
    for (index, address) in service.addresses.iter().enumerate() {
        tell("addresses", index, address.to_string(), addresses.insert(*address, name));
    }
    twins
}

impl Section {
    /// The addresses of a list, each with where it stands.
    pub(super) fn addresses(&self, name: &str) -> Vec<(IpAddr, usize)> {
        let address = |found: &crate::value::Found| match found.value {
            Value::Ip(address) => Some((address, found.at.unwrap_or(self.at))),
            _ => None,
        };
        self.list(name).iter().filter_map(address).collect()
    }
}
