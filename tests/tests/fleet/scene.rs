//! What the scenarios share: three edges that announce one service to a router, and their origin.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use parapet_lab::routers::{Bird, BirdRoute};
use parapet_lab::{Edge, Lab, Named, Network, TsigKey, ZoneSpec, topologies, until, zone_text};
use serde_json::Value;

/// Whatever is waited for comes within this time, also on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// The zone; its `www` has the address that is checked.
pub(crate) const ZONE: &str = "example.com";
/// The edges, in the order of their names.
pub(crate) const EDGES: [&str; 3] = ["edge1", "edge2", "edge3"];

/// Fields are dropped in this order.
pub(crate) struct Scene {
    pub(crate) edges: Vec<Edge>,
    pub(crate) router: Bird,
    pub(crate) origin: Named,
    _net: Network,
    _lab: Lab,
}

impl Scene {
    /// All edges announce. `third` is what the network file says of the third edge beside the rest.
    pub(crate) fn new(name: &str, third: &str) -> Scene {
        let lab = Lab::new(name).expect("a lab");
        let net = lab.build(&topologies::hidden_origin()).expect("a network");
        let key = TsigKey::generate(&lab, "transfer").expect("a key");
        let mut origin = Named::at(net.host("origin")).key(&key);
        // A third edge with settings of its own is late: nobody tells it, and it would look again in an hour.
        let told = if third.is_empty() { 3 } else { 2 };
        for edge in EDGES.into_iter().take(told) {
            origin = origin.notify(net.host(edge).v4());
        }
        let origin = origin.zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start().expect("named");
        origin.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone at its origin");
        let router = Bird::at(net.host("router")).config(&router_text(&net)).start().expect("BIRD");
        let file = network_file(&net, &key, third);
        let start = |name: &str| Edge::at(net.host(name)).file(&file, name).start().expect("parapet");
        let edges = EDGES.map(start).into();
        let scene = Scene { edges, router, origin, _net: net, _lab: lab };
        for edge in 0..EDGES.len() {
            scene.edges[edge].wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
            scene.wait_for_route(edge, "announced as one that is up", |route| route.is_some_and(|it| it.1 < 1000));
        }
        scene
    }

    /// Change the address of `www` at the origin.
    pub(crate) fn set_www(&self, address: &str) {
        let lines = format!("update delete www.{ZONE}. A\nupdate add www.{ZONE}. 300 A {address}");
        self.origin.update(ZONE, &lines).expect("an update");
    }

    /// The router's route by an edge: the route and its metric.
    pub(crate) fn route(&self, edge: usize) -> Option<(BirdRoute, u32)> {
        let routes = self.router.routes(&format!("protocol {}", EDGES[edge])).expect("BIRD's routes");
        let route = routes.into_iter().next()?;
        let metric = route.attribute("BGP.med").map_or(0, |metric| metric.parse().expect("a metric"));
        Some((route, metric))
    }

    /// Wait until the router's route by an edge is as wanted.
    pub(crate) fn wait_for_route(&self, edge: usize, what: &str, wanted: impl Fn(Option<(BirdRoute, u32)>) -> bool) {
        let what = format!("{}: {what}", EDGES[edge]);
        let found = until(what, DEADLINE, || wanted(self.route(edge)).then_some(()));
        found.unwrap_or_else(|error| panic!("{error}; {:#}", self.status(edge)));
    }

    /// The edges that the router has a route by.
    pub(crate) fn announcing(&self) -> Vec<usize> {
        (0..EDGES.len()).filter(|edge| self.route(*edge).is_some()).collect()
    }

    /// What an edge says of its part in anycast.
    pub(crate) fn status(&self, edge: usize) -> Value {
        let output = self.edges[edge].ask(&["anycast", "--json"]).expect("parapet anycast");
        serde_json::from_str(&output.stdout).expect("JSON")
    }
}

/// The router's addresses towards an edge; its first wire is the origin's.
fn gateway(net: &Network, edge: usize) -> IpAddr {
    let addresses: Vec<IpAddr> = net.host("router").addresses().into_iter().filter(IpAddr::is_ipv4).collect();
    addresses[edge + 1]
}

fn router_text(net: &Network) -> String {
    let mut text = String::from("router id 10.255.0.1;\nprotocol device { scan time 1; }\n");
    for (place, edge) in EDGES.into_iter().enumerate() {
        let (own, neighbour) = (gateway(net, place), net.host(edge).v4());
        let _ = writeln!(
            text,
            "protocol bgp {edge} {{ local {own} as 64501; neighbor {neighbour} as 65010; direct; passive on; \
             ttl security on; ipv4 {{ import all; export none; }}; }}"
        );
    }
    text
}

fn network_file(net: &Network, key: &TsigKey, third: &str) -> String {
    let mut text = format!(
        "[network]\nnode_key = \"transfer\"\n[key.transfer]\nkey_file = \"{}\"\n\
         [origin.bind]\naddresses = [\"{}\"]\nkey = \"transfer\"\n\
         [zone.\"{ZONE}\"]\norigins = [\"bind\"]\nchecks = [\"www A 192.0.2.80\"]\n\
         [anycast.dns]\nprefixes = [\"192.0.2.0/24\"]\naddresses = [\"192.0.2.53\"]\nnodes_min = 1\n",
        key.file.display(),
        net.host("origin").v4(),
    );
    for (place, edge) in EDGES.into_iter().enumerate() {
        let host = net.host(edge);
        let state = Edge::at(host).state_folder().expect("a state folder");
        let more = if place == 2 { third } else { "" };
        let _ = writeln!(
            text,
            "[node.{edge}]\nlisten = [\"0.0.0.0:53\"]\nstate_dir = \"{}\"\n{more}\n\
             [node.{edge}.anycast]\nservices = [\"dns\"]\nas = 65010\nrouter_id = \"{own}\"\nfleet = \"{own}:8179\"\n\
             hold_down_s_max = 1\n\
             [node.{edge}.anycast.neighbour.r1]\naddress = \"{}\"\nas = 64501\nfamilies = [\"ipv4\"]",
            state.display(),
            gateway(net, place),
            own = host.v4(),
        );
    }
    text
}
