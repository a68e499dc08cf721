//! The checked structs: what the rest of Parapet sees of the network file.

use std::collections::BTreeMap;
use std::fmt;

mod anycast;
mod catalog;
mod defences;
mod key;
mod lanes;
mod node;
mod origin;
mod transfer;
mod zone;

pub use anycast::{AddressFamily, Anycast, BfdSettings, FleetMember, Neighbour, RouteAttributes, Service, ZoneCheck};
pub use catalog::Catalog;
pub use defences::{DefenceMode, Defences, Filter};
pub use key::{Key, KeyAlgorithm};
pub use lanes::{KernelAttach, KernelCrash, KernelMode, Lanes};
pub use node::{Api, ApiTls, Downstream, Identity, Limits, LogFormat, Node, NodeApi, Roles};
pub use origin::{Origin, Tls};
pub use transfer::{DnssecPolicy, Timers, TransferLimits, TrustAnchor, Zonemd};
pub use zone::{Mode, OnDemand, OnExpire, Zone};

/// The whole network file, checked: every node, and what all nodes share.
#[derive(Clone, PartialEq)]
pub struct Network {
    /// The network's name, for people and labels.
    pub name: String,
    /// Every machine, by its node name.
    pub nodes: BTreeMap<String, Node>,
    /// TSIG keys, by the name the file gives them.
    pub keys: BTreeMap<String, Key>,
    /// Hidden primaries, by the name the file gives them.
    pub origins: BTreeMap<String, Origin>,
    /// Zones in the order of their names.
    pub zones: Vec<Zone>,
    /// Catalog zones in the order of their names.
    pub catalogs: Vec<Catalog>,
    /// Addresses that several nodes have in common, in the order of their names.
    pub services: Vec<Service>,
    /// The key of [`Network::keys`] that signs what nodes ask of each other.
    pub node_key: Option<String>,
    /// DNS cookie secrets (RFC 9018): the first makes new cookies, a second is still accepted. At most two.
    pub cookie_secrets: Vec<[u8; 16]>,
    /// Whether clients that speak cookies must show a valid one before they are answered over UDP.
    pub cookies_required: bool,
}

/// What one machine needs of the network file.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// The network's name.
    pub network: String,
    /// This machine.
    pub node: Node,
    /// TSIG keys, by the name the file gives them (which [`Origin::key`] uses).
    pub keys: BTreeMap<String, Key>,
    /// Hidden primaries, by the name the file gives them (which [`Zone::origins`] uses), and this node's upstream nodes
    /// by `node:NAME`.
    pub origins: BTreeMap<String, Origin>,
    /// Zones in the order of their names.
    pub zones: Vec<Zone>,
    /// Catalog zones in the order of their names.
    pub catalogs: Vec<Catalog>,
    /// The services that this machine announces, in the order of their names.
    pub services: Vec<Service>,
    /// All other nodes that announce one of these services and say to others how they are, in the order of their
    /// names.
    pub fleet: Vec<FleetMember>,
    /// The key of [`Config::keys`] that signs what nodes ask of each other.
    pub node_key: Option<String>,
    /// Nodes that take their zones from this one: they may transfer, and are notified.
    pub downstream: Vec<Downstream>,
    /// The APIs of all nodes that have one, this one's too.
    pub peers: Vec<NodeApi>,
    /// DNS cookie secrets (RFC 9018): the first makes new cookies, a second is still accepted. At most two; none means
    /// that the node makes up one for itself.
    pub cookie_secrets: Vec<[u8; 16]>,
    /// Whether clients that speak cookies must show a valid one before they are answered over UDP.
    pub cookies_required: bool,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("name", &self.name)
            .field("nodes", &self.nodes)
            .field("keys", &self.keys)
            .field("origins", &self.origins)
            .field("zones", &self.zones)
            .field("catalogs", &self.catalogs)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("network", &self.network)
            .field("node", &self.node)
            .field("keys", &self.keys)
            .field("origins", &self.origins)
            .field("zones", &self.zones)
            .field("catalogs", &self.catalogs)
            .field("services", &self.services)
            .finish_non_exhaustive()
    }
}
