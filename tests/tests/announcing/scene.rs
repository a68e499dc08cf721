//! What the scenarios share: a node and a router on one wire, and looking at the node from outside.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::time::Duration;

use parapet_lab::{Edge, EdgeBuilder, Lab, Namespace, until};
use serde_json::Value;

/// Whatever is waited for comes within this time, also on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// A node and a router. The origin that the node's file names is not there, and nothing here needs it.
pub(crate) struct Scene {
    pub(crate) node: Namespace,
    pub(crate) router: Namespace,
    _lab: Lab,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Scene {
        let lab = Lab::new(name).expect("a lab");
        let [node, router] = ["node", "router"].map(|name| lab.namespace(name).expect("a namespace"));
        node.wire("up0", &router, "down0").expect("a wire");
        for (namespace, interface, host) in [(&node, "up0", 1), (&router, "down0", 2)] {
            for (address, bits) in [(format!("10.99.0.{host}"), 24), (format!("fd00:99::{host}"), 64)] {
                namespace.address(interface, address.parse().expect("an address"), bits).expect("an address");
            }
        }
        Scene { node, router, _lab: lab }
    }

    /// The node with these lines in its file: of itself, of `[node.n.anycast]` and tables below it, and the addresses of
    /// its service.
    pub(crate) fn edge(&self, of_node: &str, of_anycast: &str, addresses: &[&str]) -> EdgeBuilder {
        let edge = Edge::at(&self.node);
        let state = edge.state_folder().expect("a state folder");
        let text = format!(
            "[anycast.dns]\nprefixes = [\"192.0.2.0/24\", \"2001:db8:53::/48\"]\naddresses = {addresses:?}\n\
             [origin.o]\naddresses = [\"10.99.0.99\"]\n[zone.\"example.com\"]\norigins = [\"o\"]\n\
             [node.n]\nlisten = [\"0.0.0.0:53\", \"[::]:53\"]\nstate_dir = {state:?}\n{of_node}\n\
             [node.n.anycast]\nservices = [\"dns\"]\nas = 65010\nrouter_id = \"10.99.0.1\"\n{of_anycast}\n"
        );
        edge.file(&text, "n")
    }

    /// The addresses on the node's `lo` that a machine does not have by itself.
    pub(crate) fn on_lo(&self) -> BTreeSet<String> {
        let listed = self.node.run("ip", &["-j", "address", "show", "dev", "lo"]).expect("ip address");
        let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
        let addresses = listed[0]["addr_info"].as_array().expect("addresses").iter();
        let addresses =
            addresses.map(|address| (address["local"].as_str().expect("an address"), &address["prefixlen"]));
        let own = addresses.filter(|(address, _)| !address.parse::<IpAddr>().expect("an address").is_loopback());
        own.map(|(address, bits)| format!("{address}/{bits}")).collect()
    }

    pub(crate) fn wait_for_lo(&self, wanted: &[&str]) {
        let wanted: BTreeSet<String> = wanted.iter().map(|address| (*address).to_owned()).collect();
        let mut last = BTreeSet::new();
        let found = until("the addresses on lo", DEADLINE, || {
            last = self.on_lo();
            (last == wanted).then_some(())
        });
        found.unwrap_or_else(|error| panic!("{error}: {last:?} instead of {wanted:?}"));
    }
}

/// `parapet anycast --json`, once it is as wanted.
pub(crate) fn wait_for_status(edge: &Edge, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = String::new();
    let found = until(what, DEADLINE, || {
        last = edge.ask(&["anycast", "--json"]).ok()?.stdout;
        serde_json::from_str(&last).ok().filter(&wanted)
    });
    found.unwrap_or_else(|error| panic!("{error}; last: {last}"))
}

/// The process that keeps the node's addresses.
pub(crate) fn keeper(edge: &Edge) -> u32 {
    let pid = edge.process().pid();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the threads of parapet");
    let children: String =
        threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok()).collect();
    children.trim().parse().unwrap_or_else(|_| panic!("one child: {children:?}"))
}

/// A line of a process's status.
pub(crate) fn status_line(pid: u32, line: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let found = text.lines().find_map(|found| found.strip_prefix(line));
    found.unwrap_or_else(|| panic!("no {line} in {text}")).trim().to_owned()
}
