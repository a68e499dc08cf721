//! One machine's part of the network file: its own tables, and what the other machines are to it.

use crate::diagnostic::did_you_mean;
use crate::model::{Api, Config, Downstream, FleetMember, Mode, Network, Node, NodeApi, Origin, Service};
use crate::prefix::Prefix;

/// How the names of origins start that are nodes of the network themselves. No name in the file can.
pub const UPSTREAM_PREFIX: &str = "node:";

/// The node is not in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no [node.{name}] in the network file; it has {known}{hint}")]
pub struct UnknownNode {
    name: String,
    known: String,
    hint: String,
}

impl Network {
    /// What the machine with this node name needs.
    pub fn for_node(&self, name: &str) -> Result<Config, UnknownNode> {
        let Some(node) = self.nodes.get(name) else {
            let known: Vec<_> = self.nodes.keys().map(String::as_str).collect();
            return Err(UnknownNode {
                name: name.to_owned(),
                hint: did_you_mean(name, known.iter().copied()),
                known: if known.is_empty() { "no node at all".to_owned() } else { known.join(", ") },
            });
        };
        let mut config = Config {
            network: self.name.clone(),
            node: node.clone(),
            keys: self.keys.clone(),
            origins: self.origins.clone(),
            zones: self.zones.clone(),
            cookie_secrets: self.cookie_secrets.clone(),
            catalogs: self.catalogs.clone(),
            services: self.services_of(node),
            fleet: self.fleet_of(node),
            node_key: self.node_key.clone(),
            downstream: self.downstream(name),
            peers: self.apis(),
            cookies_required: self.cookies_required,
        };
        self.prepend_upstream(&mut config);
        Ok(config)
    }

    /// The APIs of all nodes that have one.
    pub fn apis(&self) -> Vec<NodeApi> {
        let api = |node: &Node| {
            let Api { url, token_file, ca_file, .. } = node.api.clone()?;
            Some(NodeApi { node: node.name.clone(), url, token_file, ca_file })
        };
        self.nodes.values().filter_map(api).collect()
    }

    /// The services that a node announces.
    fn services_of(&self, node: &Node) -> Vec<Service> {
        let announced = |service: &&Service| node.anycast.as_ref().is_some_and(|anycast| anycast.announces(service));
        self.services.iter().filter(announced).cloned().collect()
    }

    /// The other nodes that announce what this one does, and say how they are.
    fn fleet_of(&self, node: &Node) -> Vec<FleetMember> {
        let Some(own) = &node.anycast else { return Vec::new() };
        let others = self.nodes.values().filter(|other| other.name != node.name);
        let member = |other: &Node| {
            let anycast = other.anycast.as_ref()?;
            let shared = anycast.services.iter().any(|service| own.services.contains(service));
            let address = anycast.fleet.filter(|_| shared)?;
            Some(FleetMember { node: other.name.clone(), address, services: anycast.services.clone() })
        };
        others.filter_map(member).collect()
    }

    /// The nodes that name this one as upstream.
    fn downstream(&self, name: &str) -> Vec<Downstream> {
        let below = self.nodes.values().filter(|node| node.upstream.iter().any(|upstream| upstream == name));
        below.map(|node| Downstream { node: node.name.clone(), addresses: node.transfer_addresses.clone() }).collect()
    }

    /// Makes an origin of each upstream node, and puts it before what the zones and catalogs have.
    fn prepend_upstream(&self, config: &mut Config) {
        let upstream: Vec<&Node> = config.node.upstream.iter().filter_map(|name| self.nodes.get(name)).collect();
        if upstream.is_empty() {
            return;
        }
        let origins: Vec<Origin> = upstream.into_iter().map(|node| self.upstream_origin(node)).collect();
        let names: Vec<String> = origins.iter().map(|origin| origin.name.clone()).collect();
        config.origins.extend(origins.into_iter().map(|origin| (origin.name.clone(), origin)));
        let fallback = config.node.upstream_fallback;
        let prepend = |own: &mut Vec<String>| {
            let own_names = std::mem::take(own);
            *own = names.iter().cloned().chain(own_names.into_iter().filter(|_| fallback)).collect();
        };
        let templates = config.catalogs.iter_mut().flat_map(|catalog| {
            prepend(&mut catalog.origins);
            std::iter::once(&mut catalog.template).chain(catalog.groups.values_mut())
        });
        // Zones that are filled on demand are no copies that a node could pass on.
        for zone in config.zones.iter_mut().chain(templates).filter(|zone| zone.mode != Mode::OnDemand) {
            prepend(&mut zone.origins);
        }
    }

    fn upstream_origin(&self, node: &Node) -> Origin {
        Origin {
            name: format!("{UPSTREAM_PREFIX}{}", node.name),
            addresses: node.transfer_addresses.clone(),
            key: self.node_key.clone(),
            notify_from: node.transfer_addresses.iter().map(|address| Prefix::from(address.ip())).collect(),
            notify_key_required: self.node_key.is_some(),
            ..Origin::default()
        }
    }
}
