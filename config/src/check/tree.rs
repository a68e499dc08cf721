//! The distribution tree: nodes that take their zones from nodes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, Entries, Tables};
use crate::model::Node;
use crate::reader::{Section, join};

impl Checker<'_, '_> {
    /// Reports what keeps nodes from taking their zones from each other.
    pub(super) fn check_tree(&mut self, tables: &Tables, shared: &Section, nodes: &BTreeMap<String, Node>) {
        if self.sink.incomplete {
            return;
        }
        let has_key = shared.found("node_key").is_some() || shared.is_unreadable("node_key");
        for (name, section) in &tables.nodes {
            let Some((first, at)) = section.texts("upstream").next() else {
                continue;
            };
            if !has_key {
                let path = join(&section.path, "upstream");
                let expected = "a key that nodes sign with: node_key = \"NAME\" in [network]";
                self.sink.error(at, &path, format_args!("{first:?} without a key"), expected);
            }
            self.check_reachable(section, nodes);
            if let Some(cycle) = find_cycle(name, &tables.nodes) {
                let path = join(&section.path, "upstream");
                self.sink.error(
                    at,
                    &path,
                    format_args!("a cycle: {}", cycle.join(" -> ")),
                    "a tree: zones must come from an origin",
                );
            }
            if nodes.get(name).is_some_and(|node| node.transfer_addresses.is_empty()) {
                let path = join(&section.path, "transfer_addresses");
                let expected =
                    "where its upstream nodes can notify it; without it, changes come when the SOA's timers say";
                self.sink.warning(section.position("transfer_addresses"), &path, "nothing", expected);
            }
        }
    }

    /// Reports upstream nodes of which nobody knows where they answer.
    fn check_reachable(&mut self, section: &Section, nodes: &BTreeMap<String, Node>) {
        for (index, (upstream, at)) in section.texts("upstream").enumerate() {
            if nodes.get(upstream).is_some_and(|node| node.transfer_addresses.is_empty()) {
                let path = format!("{}[{index}]", join(&section.path, "upstream"));
                let found = format!("{upstream:?}, which listens at wildcards alone");
                self.sink.error(at, &path, found, format_args!("transfer_addresses in [node.{upstream}]"));
            }
        }
    }
}

/// The way from a node back to itself, if there is one and the node is the first by name on it: each cycle is told once.
fn find_cycle<'t>(start: &'t str, nodes: &'t Entries) -> Option<Vec<&'t str>> {
    let mut seen = BTreeSet::new();
    let mut way = vec![(start, upstream_of(start, nodes))];
    while let Some((_, next)) = way.last_mut() {
        match next.pop() {
            Some(node) if node == start => {
                let names = way.iter().map(|(name, _)| *name).chain([start]);
                return Some(names.collect());
            }
            Some(node) if node > start && seen.insert(node) => way.push((node, upstream_of(node, nodes))),
            Some(_) => {}
            None => drop(way.pop()),
        }
    }
    None
}

/// A node's upstream nodes, the first last.
fn upstream_of<'t>(node: &str, nodes: &'t Entries) -> Vec<&'t str> {
    let mut names: Vec<_> =
        nodes.get(node).into_iter().flat_map(|section| section.texts("upstream")).map(|(name, _)| name).collect();
    names.reverse();
    names
}
