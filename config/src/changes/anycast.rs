//! What differs in anycast: sockets and addresses stay as they were bound; neighbours, attributes and prefixes can change.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::NodeChange;
use crate::model::{Anycast, Config, Service};

/// The items of `[node.NAME.anycast]` that differ.
pub(super) fn changes(old: &Config, new: &Config) -> Vec<NodeChange> {
    match (&old.node.anycast, &new.node.anycast) {
        (None, None) => Vec::new(),
        (Some(before), Some(after)) => {
            let items = [
                ("anycast.as", before.local_as != after.local_as, true),
                ("anycast.router_id", before.router_id != after.router_id, true),
                ("anycast.listen", before.listen != after.listen, true),
                ("anycast.manage_addresses", before.manage_addresses != after.manage_addresses, true),
                ("anycast.fleet", before.fleet != after.fleet, true),
                ("anycast.services", addresses(old) != addresses(new), true),
                // All that can be applied under way.
                ("anycast", with_what_was_bound(after, before, true) != *before, false),
            ];
            super::named(items).collect()
        }
        (None, Some(_)) | (Some(_), None) => vec![NodeChange { item: "anycast", needs_restart: true }],
    }
}

impl Config {
    /// This configuration as far as it can be applied to anycast that runs by `current`: what was bound at the start
    /// stays as it was.
    pub fn keep_bound_anycast(&mut self, current: &Self) {
        let same_addresses = addresses(current) == addresses(self);
        self.node.anycast = match (&current.node.anycast, self.node.anycast.take()) {
            (Some(before), Some(after)) => Some(with_what_was_bound(&after, before, same_addresses)),
            (before, _) => before.clone(),
        };
        if self.node.anycast.is_none() || !same_addresses {
            self.services = current.services.iter().map(|service| with_addresses_of(service, &self.services)).collect();
        }
        if self.node.anycast.is_none() {
            self.fleet.clear();
        }
    }
}

/// What `after` says, but for what only a restart can change.
fn with_what_was_bound(after: &Anycast, before: &Anycast, same_addresses: bool) -> Anycast {
    Anycast {
        local_as: before.local_as,
        router_id: before.router_id,
        listen: before.listen.clone(),
        manage_addresses: before.manage_addresses,
        fleet: before.fleet,
        services: if same_addresses { after.services.clone() } else { before.services.clone() },
        ..after.clone()
    }
}

/// The service with the prefixes and the quota that `new` has for it, as long as its addresses stay within.
fn with_addresses_of(service: &Service, new: &[Service]) -> Service {
    let Some(after) = new.iter().find(|after| after.name == service.name) else { return service.clone() };
    let covered = |address: &IpAddr| after.prefixes.iter().any(|prefix| prefix.contains(address));
    if !service.addresses.iter().all(covered) {
        return service.clone();
    }
    Service { addresses: service.addresses.clone(), ..after.clone() }
}

/// The addresses of all services that the node announces.
fn addresses(config: &Config) -> BTreeSet<IpAddr> {
    config.services.iter().flat_map(|service| service.addresses.iter().copied()).collect()
}
