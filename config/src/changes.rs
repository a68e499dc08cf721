//! What differs between two configurations of one node, so that a reload touches only that.

use std::collections::BTreeMap;

use crate::model::{Config, Node, Zone};

/// What differs between a running configuration and a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Zones that are new.
    pub zones_added: Vec<String>,
    /// Zones that are gone.
    pub zones_removed: Vec<String>,
    /// Zones of which something differs, or something of their origins or those origins' keys.
    pub zones_changed: Vec<String>,
    /// Items of the node that differ.
    pub node: Vec<NodeChange>,
    /// Whether the cookie secrets, or whether they are required, differ.
    pub cookies: bool,
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
            node: node_changes(&old.node, &new.node),
            cookies: (&old.cookie_secrets, old.cookies_required) != (&new.cookie_secrets, new.cookies_required),
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

fn node_changes(old: &Node, new: &Node) -> Vec<NodeChange> {
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
        ("limits", old.limits != new.limits, false),
    ];
    let differs = items.into_iter().filter(|(_, differs, _)| *differs);
    differs.map(|(item, _, needs_restart)| NodeChange { item, needs_restart }).collect()
}
