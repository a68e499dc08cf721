//! Packet counters in a namespace, by nftables: how many packets came in from where.

use std::net::IpAddr;

use crate::{LabError, Namespace};

/// The table that holds the lab's counters.
const TABLE: &str = "parapet_lab";

/// Counters of the packets that reach a host.
pub struct Counters {
    namespace: Namespace,
}

impl Counters {
    /// Count, from now on, the packets of any kind but neighbour discovery that arrive at `namespace`, by the source
    /// they come from: a label and its addresses for each counter. Needs `nft`.
    pub fn of_arrivals(namespace: &Namespace, sources: &[(&str, Vec<IpAddr>)]) -> Result<Counters, LabError> {
        let mut rules = String::new();
        let mut counters = String::new();
        for (label, addresses) in sources {
            counters.push_str(&format!("  counter {label} {{ }}\n"));
            for address in addresses {
                let family = if address.is_ipv4() { "ip" } else { "ip6" };
                rules.push_str(&format!("    {family} saddr {address} counter name {label}\n"));
            }
        }
        let table = format!(
            "table inet {TABLE} {{\n{counters}  chain arrivals {{\n    \
             type filter hook prerouting priority -300; policy accept;\n{rules}  }}\n}}\n"
        );
        namespace.program("nft").args(["-f", "-"]).input(table).run()?.success()?;
        Ok(Counters { namespace: namespace.clone() })
    }

    /// Packets counted so far under each label, sorted by label.
    pub fn read(&self) -> Result<Vec<(String, u64)>, LabError> {
        let output = self.namespace.run("nft", &["-j", "list", "counters"])?;
        let listed: serde_json::Value = serde_json::from_str(&output.stdout)
            .map_err(|error| LabError::Invalid(format!("reading nft's counters: {error}")))?;
        let entries = listed.get("nftables").and_then(|list| list.as_array()).cloned().unwrap_or_default();
        let mut counters: Vec<(String, u64)> = entries
            .iter()
            .filter_map(|entry| entry.get("counter"))
            .filter_map(|counter| Some((counter.get("name")?.as_str()?.to_owned(), counter.get("packets")?.as_u64()?)))
            .collect();
        counters.sort();
        Ok(counters)
    }

    /// Packets counted under one label.
    pub fn packets(&self, label: &str) -> Result<u64, LabError> {
        let counters = self.read()?;
        let found = counters.into_iter().find(|(name, _)| name == label).map(|(_, packets)| packets);
        found.ok_or_else(|| LabError::Invalid(format!("there is no counter {label}")))
    }
}
