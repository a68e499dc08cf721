//! The network file of all edges, made from the plan.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use super::{
    EdgeHost, Internet,
    plan::{OPERATOR_AS, SERVICE_ADDRESSES, SERVICE_PREFIXES},
};
use crate::{LabError, TsigKey, dns};

/// Where an edge's API listens, at its unicast address.
pub const API_PORT: u16 = 8053;
/// Where an edge hears from the others, at its unicast address.
pub const FLEET_PORT: u16 = 8179;
/// It opens nothing but a lab's edges.
const TOKEN: &str = "lab-lab-lab-lab-lab-lab-lab-lab-lab-lab";

/// What the file of an internet's edges is to say.
#[derive(Clone)]
#[must_use]
pub struct NetworkFile {
    zones: Vec<(String, String)>,
    nodes_min: u32,
    nodes: BTreeMap<String, String>,
    anycast: BTreeMap<String, String>,
}

impl Default for NetworkFile {
    fn default() -> NetworkFile {
        NetworkFile { zones: Vec::new(), nodes_min: 2, nodes: BTreeMap::new(), anycast: BTreeMap::new() }
    }
}

impl NetworkFile {
    /// Serve this zone of the origin; `items` are further lines of its table, as in `checks = ["www A"]`.
    pub fn zone(mut self, zone: &str, items: &str) -> NetworkFile {
        self.zones.push((zone.to_owned(), items.to_owned()));
        self
    }

    /// A node leaves for a soft reason only if at least so many others go on; otherwise 2.
    pub fn nodes_min(mut self, nodes_min: u32) -> NetworkFile {
        self.nodes_min = nodes_min;
        self
    }

    /// Further lines for `[node.NAME]`, as in `delay_s = 3600`.
    pub fn node_items(mut self, node: &str, items: &str) -> NetworkFile {
        self.nodes.entry(node.to_owned()).or_default().push_str(&format!("{items}\n"));
        self
    }

    /// Further lines for `[node.NAME.anycast]`, as in `drain_ms = 1000`.
    pub fn anycast_items(mut self, node: &str, items: &str) -> NetworkFile {
        self.anycast.entry(node.to_owned()).or_default().push_str(&format!("{items}\n"));
        self
    }

    /// The file. `transfer` is the key of the origin, `node` that of what nodes say to each other.
    pub fn text(&self, internet: &Internet, transfer: &TsigKey, node: &TsigKey) -> Result<String, LabError> {
        let token = internet.origin().lab().folder().join("token");
        std::fs::write(&token, TOKEN).map_err(LabError::io(format!("writing {}", token.display())))?;
        let mut text = format!(
            "[network]\nnode_key = \"node\"\n\n[key.node]\nkey_file = \"{}\"\n\n[key.transfer]\nkey_file = \"{}\"\n\n\
             [origin.bind]\naddresses = [\"{}\"]\nkey = \"transfer\"\n\n\
             [anycast.dns]\nprefixes = {SERVICE_PREFIXES:?}\naddresses = {SERVICE_ADDRESSES:?}\nnodes_min = {}\n",
            node.file.display(),
            transfer.file.display(),
            internet.origin().v4(),
            self.nodes_min,
        );
        for (zone, items) in &self.zones {
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(text, "\n[zone.\"{zone}\"]\norigins = [\"bind\"]\n{items}");
        }
        for edge in internet.edges() {
            self.node(edge, &token.to_string_lossy(), &mut text)?;
        }
        Ok(text)
    }

    fn node(&self, edge: &EdgeHost, token: &str, text: &mut String) -> Result<(), LabError> {
        let name = &edge.name;
        let further = |items: &BTreeMap<String, String>| items.get(name).cloned().unwrap_or_default();
        let [v4, _] = edge.addresses;
        let _ = write!(
            text,
            "\n[node.{name}]\nlisten = [\"0.0.0.0:{port}\", \"[::]:{port}\"]\nstate_dir = \"{state}\"\nworkers = 1\n\
             transfer_addresses = [\"{v4}\"]\nidentity.nsid = \"{name}\"\n{items}\
             [node.{name}.api]\nlisten = \"{v4}:{API_PORT}\"\ntoken_file = \"{token}\"\n\
             [node.{name}.anycast]\nservices = [\"dns\"]\nas = {OPERATOR_AS}\nrouter_id = \"{v4}\"\n\
             fleet = \"{v4}:{FLEET_PORT}\"\n{anycast}",
            port = dns::PORT,
            state = state_folder(edge)?.display(),
            items = further(&self.nodes),
            anycast = further(&self.anycast),
        );
        for (family, address) in ["ipv4", "ipv6"].into_iter().zip(edge.router_addresses) {
            let _ = write!(
                text,
                "[node.{name}.anycast.neighbour.{site}-{family}]\naddress = \"{address}\"\nas = {as_number}\n\
                 families = [\"{family}\"]\n\
                 [node.{name}.anycast.neighbour.{site}-{family}.bfd]\ninterval_ms = 50\nmultiplier = 3\n",
                site = edge.site,
                as_number = edge.router_as,
            );
        }
        Ok(())
    }
}

/// Where an edge keeps its state: in the folder that [`crate::Edge`] gives it.
fn state_folder(edge: &EdgeHost) -> Result<PathBuf, LabError> {
    crate::Edge::at(&edge.namespace).state_folder()
}
