//! Faults of the network, by nftables and tc: packets that get lost, connections that are refused, wires that are slow.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::{LabError, Namespace};

/// Some packets of a host do not get through, as long as this lives.
pub struct Fault {
    namespace: Namespace,
    /// Its family and name; `None` once it was removed.
    table: Option<(&'static str, String)>,
}

impl Fault {
    /// What the host sends is lost where it matches, in the words of nft: `udp dport 53`.
    pub fn lose_sent(namespace: &Namespace, what: &str) -> Result<Fault, LabError> {
        Fault::begin(namespace, "output", what, "drop")
    }

    /// What comes for the host is lost where it matches.
    pub fn lose_received(namespace: &Namespace, what: &str) -> Result<Fault, LabError> {
        Fault::begin(namespace, "input", what, "drop")
    }

    /// TCP segments that come for the host are answered with a reset where they match: refused, and cut off.
    pub fn reset_received(namespace: &Namespace, what: &str) -> Result<Fault, LabError> {
        Fault::begin(namespace, "input", what, "reject with tcp reset")
    }

    /// Nothing passes an interface any more, in no direction, and nobody is told: the link stays up, and whoever sends
    /// succeeds, as when something fails in the middle of a long line.
    pub fn cut(namespace: &Namespace, interface: &str) -> Result<Fault, LabError> {
        let chain = |hook: &str| {
            format!("  chain {hook} {{ type filter hook {hook} device \"{interface}\" priority 0; policy drop; }}\n")
        };
        Fault::table(namespace, "netdev", &(chain("ingress") + &chain("egress")))
    }

    fn begin(namespace: &Namespace, hook: &str, what: &str, verdict: &str) -> Result<Fault, LabError> {
        let chain = format!(
            "  chain fault {{\n    type filter hook {hook} priority 0; policy accept;\n    {what} {verdict}\n  }}\n"
        );
        Fault::table(namespace, "inet", &chain)
    }

    fn table(namespace: &Namespace, family: &'static str, chains: &str) -> Result<Fault, LabError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let table = format!("parapet_fault_{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let rules = format!("table {family} {table} {{\n{chains}}}\n");
        namespace.program("nft").args(["-f", "-"]).input(rules).run()?.success()?;
        Ok(Fault { namespace: namespace.clone(), table: Some((family, table)) })
    }

    /// End it; dropping it does the same, and cannot say whether it worked.
    pub fn end(mut self) -> Result<(), LabError> {
        self.remove()
    }

    fn remove(&mut self) -> Result<(), LabError> {
        let Some((family, table)) = self.table.take() else { return Ok(()) };
        self.namespace.run("nft", &["delete", "table", family, &table]).map(|_| ())
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        // The namespace goes with the lab in any case.
        let _ = self.remove();
    }
}

/// Let what a host sends over `interface` pass at this rate only (a token bucket), from now on.
pub fn limit_rate(namespace: &Namespace, interface: &str, kbit_per_s: u32) -> Result<(), LabError> {
    let rate = format!("{kbit_per_s}kbit");
    let arguments =
        ["qdisc", "replace", "dev", interface, "root", "tbf", "rate", &rate, "burst", "16kb", "limit", "1mb"];
    namespace.run("tc", &arguments).map(|_| ())
}

/// Lift that limit.
pub fn unlimit_rate(namespace: &Namespace, interface: &str) -> Result<(), LabError> {
    namespace.run("tc", &["qdisc", "del", "dev", interface, "root"]).map(|_| ())
}
