//! What differs between two configurations of one node, so that a reload touches only that.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use crate::model::{Catalog, Config, Limits, Node, Service, Zone};

mod anycast;

/// What differs between a running configuration and a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Zones that are new.
    pub zones_added: Vec<String>,
    /// Zones that are gone.
    pub zones_removed: Vec<String>,
    /// Zones of which something differs, or something of their origins or those origins' keys.
    pub zones_changed: Vec<String>,
    /// Catalogs that are new, gone, or differ in something of their own, of their members' templates or their origins.
    pub catalogs: Vec<String>,
    /// Items of the node that differ.
    pub node: Vec<NodeChange>,
    /// Whether the cookie secrets, or whether they are required, differ.
    pub cookies: bool,
    /// Whether other nodes differ in how they are reached or take their zones from here.
    pub peers: bool,
    /// Whether the services that the node announces, or the other nodes that do, differ in what needs no restart.
    pub services: bool,
}

/// An item of a node that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeChange {
    /// The item's name in `[node.NAME]`.
    pub item: &'static str,
    /// Whether only a restart applies it: what was bound or given up at the start can't be had again.
    pub needs_restart: bool,
}

impl Changes {
    /// What `new` has that `old` hasn't, and the other way round.
    pub fn between(old: &Config, new: &Config) -> Self {
        let (before, after) = (zones_by_name(old), zones_by_name(new));
        let mut changes = Self {
            node: node_changes(&old.node, &new.node).chain(anycast::changes(old, new)).collect(),
            cookies: (&old.cookie_secrets, old.cookies_required) != (&new.cookie_secrets, new.cookies_required),
            catalogs: catalog_changes(old, new),
            services: (prefixes(old), &old.fleet) != (prefixes(new), &new.fleet),
            peers: (&old.downstream, &old.peers) != (&new.downstream, &new.peers) || !same_node_key(old, new),
            ..Self::default()
        };
        for zone in &new.zones {
            match before.get(zone.name.as_str()) {
                None => changes.zones_added.push(zone.name.clone()),
                Some(before) if *before != zone || !same_origins(old, new, &zone.origins) => {
                    changes.zones_changed.push(zone.name.clone());
                }
                Some(_) => {}
            }
        }
        let gone = old.zones.iter().filter(|zone| !after.contains_key(zone.name.as_str()));
        changes.zones_removed = gone.map(|zone| zone.name.clone()).collect();
        changes
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The node's items that only a restart applies.
    pub fn need_restart(&self) -> impl Iterator<Item = &'static str> {
        self.node.iter().filter(|change| change.needs_restart).map(|change| change.item)
    }
}

fn zones_by_name(config: &Config) -> BTreeMap<&str, &Zone> {
    config.zones.iter().map(|zone| (zone.name.as_str(), zone)).collect()
}

fn catalog_changes(old: &Config, new: &Config) -> Vec<String> {
    let by_name = |config: &Config| -> BTreeMap<String, Catalog> {
        config.catalogs.iter().map(|catalog| (catalog.name.clone(), catalog.clone())).collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let same_origins = |catalog: &Catalog| {
        let templates = std::iter::once(&catalog.template).chain(catalog.groups.values());
        let mut lists = templates.map(|zone| &zone.origins).chain([&catalog.origins]);
        lists.all(|origins| same_origins(old, new, origins))
    };
    let same = |name: &String| match (before.get(name), after.get(name)) {
        (Some(before), Some(after)) => before == after && same_origins(after),
        _ => false,
    };
    names.into_iter().filter(|name| !same(name)).cloned().collect()
}

fn same_node_key(old: &Config, new: &Config) -> bool {
    let key = |config: &Config| config.node_key.as_ref().and_then(|key| config.keys.get(key).cloned());
    key(old) == key(new)
}

/// Whether the origins mean the same in both, with the keys that they use.
fn same_origins(old: &Config, new: &Config, names: &[String]) -> bool {
    names.iter().all(|name| {
        let key = |config: &Config| {
            let origin = config.origins.get(name)?;
            origin.key.as_ref().and_then(|key| config.keys.get(key).cloned())
        };
        old.origins.get(name) == new.origins.get(name) && key(old) == key(new)
    })
}

fn node_changes(old: &Node, new: &Node) -> impl Iterator<Item = NodeChange> {
    let upstream = |node: &Node| (node.upstream.clone(), node.upstream_fallback);
    // The cache's table is made once.
    let other_limits = |limits: &Limits| Limits { cache_bytes_max: 0, ..limits.clone() };
    let items = [
        ("roles", old.roles != new.roles, true),
        ("listen", old.listen != new.listen, true),
        ("state_dir", old.state_dir != new.state_dir, true),
        ("control", old.control != new.control, true),
        ("metrics", old.metrics != new.metrics, true),
        ("workers", old.workers != new.workers, true),
        ("user", old.user != new.user, true),
        ("lanes", old.lanes != new.lanes, true),
        ("log", old.log != new.log, true),
        ("identity", old.identity != new.identity, false),
        ("limits", other_limits(&old.limits) != other_limits(&new.limits), false),
        ("limits.cache_bytes_max", old.limits.cache_bytes_max != new.limits.cache_bytes_max, true),
        ("api", old.api != new.api, true),
        ("upstream", upstream(old) != upstream(new), false),
        ("transfer_addresses", old.transfer_addresses != new.transfer_addresses, false),
        ("defences", old.defences != new.defences, false),
        ("delay_s", old.delay_s != new.delay_s, false),
    ];
    named(items)
}

fn named<const N: usize>(items: [(&'static str, bool, bool); N]) -> impl Iterator<Item = NodeChange> {
    let differs = items.into_iter().filter(|(_, differs, _)| *differs);
    differs.map(|(item, _, needs_restart)| NodeChange { item, needs_restart })
}

/// What a reload can change of the services.
fn prefixes(config: &Config) -> Vec<(&str, &[IpNet], u32)> {
    fn of(service: &Service) -> (&str, &[IpNet], u32) {
        (&service.name, &service.prefixes, service.nodes_min)
    }
    config.services.iter().map(of).collect()
}
