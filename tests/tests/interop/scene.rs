//! What the scenarios share: an edge with a hidden origin, and around it one router of each maker, each with a session over
//! IPv4 and one over IPv6. All eight sessions go through a scenario side by side.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use parapet_lab::routers::{PeerSpec, Route, Router, RouterKind, RouterSpec};
use parapet_lab::{Edge, Lab, Named, Namespace, Network, Topology, ZoneSpec, until, zone_text};
use serde_json::Value;

/// Whatever is waited for comes within this time, also on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(45);
/// The edge's autonomous system.
pub(crate) const EDGE_AS: u32 = 65010;
/// What the edge announces.
pub(crate) const PREFIXES: [&str; 2] = ["192.0.2.0/24", "2001:db8:53::/48"];
/// What each router announces.
pub(crate) const OF_ROUTERS: [&str; 2] = ["198.51.100.0/24", "2001:db8:100::/48"];
/// The zone that it answers for, and with that the reason that it announces anything.
pub(crate) const ZONE: &str = "example.com";
const PASSWORD: &str = "a-long-secret";

/// What the sessions of a scenario are to be.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The routers.
    pub(crate) kinds: Vec<RouterKind>,
    /// Whether TCP MD5 protects the sessions.
    pub(crate) password: bool,
    /// Whether TTL security does.
    pub(crate) ttl_security: bool,
    /// BFD, where the router can.
    pub(crate) bfd: bool,
    /// Graceful restart, both sides.
    pub(crate) graceful_restart_s: Option<u16>,
    /// IPv4 routes with IPv6 next hops on the sessions over IPv6.
    pub(crate) extended_next_hop: bool,
    /// Who opens the sessions: both sides, unless one of them only waits.
    pub(crate) opens: Opens,
    /// More lines for `[node.edge.anycast]`.
    pub(crate) anycast: &'static str,
    /// More lines for the zone.
    pub(crate) zone: &'static str,
}

/// Who opens the sessions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opens {
    /// Both: connections collide. ExaBGP alone opens its own: a connection that it accepts while it is busy with the end
    /// of another it forgets, and holds open without a word.
    Both,
    /// The edge.
    Edge,
    /// The router.
    Router,
}

impl Plan {
    /// All routers, both sides open, nothing special.
    pub(crate) fn new() -> Plan {
        Plan {
            kinds: RouterKind::ALL.to_vec(),
            password: false,
            ttl_security: false,
            bfd: false,
            graceful_restart_s: None,
            extended_next_hop: false,
            opens: Opens::Both,
            anycast: "",
            zone: "",
        }
    }
}

impl Plan {
    fn edge_waits(&self, kind: RouterKind) -> bool {
        match self.opens {
            Opens::Both => kind == RouterKind::ExaBgp,
            Opens::Edge => false,
            Opens::Router => true,
        }
    }
}

/// A session between the edge and a router.
#[derive(Clone)]
pub(crate) struct Session {
    /// The router's place in the scene.
    router: usize,
    /// Its name in the network file, as in `bird6`.
    pub(crate) name: String,
    /// The router's address.
    pub(crate) remote: IpAddr,
    /// The edge's address.
    pub(crate) edge: IpAddr,
}

/// A running scenario.
pub(crate) struct Scene {
    pub(crate) edge: Edge,
    pub(crate) named: Named,
    pub(crate) routers: Vec<Box<dyn Router>>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) net: Network,
    _lab: Lab,
}

/// A router's name as a host.
pub(crate) fn host_name(kind: RouterKind) -> &'static str {
    match kind {
        RouterKind::Bird => "bird",
        RouterKind::Frr => "frr",
        RouterKind::GoBgp => "gobgp",
        RouterKind::ExaBgp => "exabgp",
    }
}

fn has_bfd(kind: RouterKind) -> bool {
    matches!(kind, RouterKind::Bird | RouterKind::Frr)
}

fn router_as(place: usize) -> u32 {
    64501 + u32::try_from(place).expect("a few routers")
}

/// The network: an origin, an edge, and a wire from the edge to each of `routers`.
pub(crate) fn network(lab: &Lab, routers: &[&str]) -> Network {
    let star = Topology::new("star", "an edge with an origin and routers around it").host("origin").host("edge");
    let mut topology = star.link("origin", "edge", 10);
    for (number, router) in (11..).zip(routers) {
        topology = topology.router(router).link(router, "edge", number);
    }
    lab.build(&topology).expect("a network")
}

/// The origin, with a small zone.
pub(crate) fn origin(net: &Network) -> Named {
    let zone = ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic();
    Named::at(net.host("origin")).notify(net.host("edge").v4()).zone(zone).start().expect("named")
}

/// The addresses of the wire between the edge and a router, by family: the router's, the edge's.
pub(crate) fn wire(router: &Namespace) -> [(IpAddr, IpAddr); 2] {
    let other = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            IpAddr::from([a, b, c, 2])
        }
        IpAddr::V6(address) => {
            let [a, b, c, d, e, f, g, _] = address.segments();
            IpAddr::from([a, b, c, d, e, f, g, 2])
        }
    };
    [router.v4(), router.v6()].map(|address| (address, other(address)))
}

/// The part of a network file that all scenarios have: origin, zone, service, and the node with its anycast table open
/// for more.
pub(crate) fn file_head(net: &Network, state: &str, listen: &[IpAddr], anycast: &str, zone: &str) -> String {
    let listen: Vec<String> = listen.iter().map(|address| format!("{:?}", at_bgp_port(*address))).collect();
    format!(
        "[origin.named]\naddresses = [\"{origin}\"]\n[zone.\"{ZONE}\"]\norigins = [\"named\"]\n{zone}\n\
         [anycast.dns]\nprefixes = [\"{}\", \"{}\"]\naddresses = [\"192.0.2.53\", \"2001:db8:53::53\"]\nnodes_min = 0\n\
         [node.edge]\nlisten = [\"0.0.0.0:53\", \"[::]:53\"]\nstate_dir = \"{state}\"\n\
         user = \"nobody\"\n\
         [node.edge.anycast]\nservices = [\"dns\"]\nas = {EDGE_AS}\nrouter_id = \"10.0.0.99\"\nlisten = [{}]\n\
         check_interval_ms = 50\nrise = 1\nfall = 1\nhold_down_s_max = 0\ngraceful_shutdown_ms = 0\ndrain_ms = 200\n{anycast}\n\
         [node.edge.anycast.up]\nmed = 50\nprepend = 1\ncommunities = [\"65010:100\"]\n\
         large_communities = [\"65010:1:2\"]\nextended_communities = [\"rt:65010:100\"]\n",
        PREFIXES[0],
        PREFIXES[1],
        listen.join(", "),
        origin = net.host("origin").v4(),
    )
}

fn at_bgp_port(address: IpAddr) -> String {
    std::net::SocketAddr::new(address, 179).to_string()
}

impl Scene {
    /// Everything started and all sessions up, each router with both prefixes.
    pub(crate) fn new(name: &str, plan: &Plan) -> Scene {
        let scene = Scene::start(name, plan);
        scene.wait_until_established();
        scene.wait_for_routes();
        scene
    }

    /// Everything started.
    pub(crate) fn start(name: &str, plan: &Plan) -> Scene {
        let lab = Lab::new(name).expect("a lab");
        let names: Vec<&str> = plan.kinds.iter().map(|kind| host_name(*kind)).collect();
        let net = network(&lab, &names);
        let mut sessions = Vec::new();
        for (router, name) in names.iter().enumerate() {
            for (remote, edge) in wire(net.host(name)) {
                let family = if remote.is_ipv4() { 4 } else { 6 };
                sessions.push(Session { router, name: format!("{name}{family}"), remote, edge });
            }
        }
        let named = origin(&net);
        let routers = plan.kinds.iter().enumerate().map(|(place, kind)| {
            let spec = router_spec(plan, place, &sessions);
            kind.start(net.host(host_name(*kind)), &spec).unwrap_or_else(|error| panic!("{kind:?}: {error}"))
        });
        let routers = routers.collect();
        let builder = Edge::at(net.host("edge"));
        let state = builder.state_folder().expect("a state folder");
        let file = network_file(&lab, &net, plan, &sessions, &state.to_string_lossy());
        let edge = builder.file(&file, "edge").start().expect("parapet");
        Scene { edge, named, routers, sessions, net, _lab: lab }
    }

    /// The router of a session.
    pub(crate) fn router(&self, session: &Session) -> &dyn Router {
        &*self.routers[session.router]
    }

    /// Who made it.
    pub(crate) fn kind(&self, session: &Session) -> RouterKind {
        self.router(session).kind()
    }

    /// What a router has from the edge over a session.
    pub(crate) fn routes(&self, session: &Session) -> Vec<Route> {
        self.router(session).routes(session.edge).unwrap_or_default()
    }

    /// Waits until every session stands, at both ends.
    pub(crate) fn wait_until_established(&self) {
        for session in &self.sessions {
            wait_for_neighbour(&self.edge, &session.name, "an established session", |neighbour| {
                neighbour["state"] == "established"
            });
            self.wait(session, "established at the router", || self.router(session).is_established(session.edge));
        }
    }

    /// Waits until every router has both prefixes over both sessions.
    pub(crate) fn wait_for_routes(&self) {
        for session in &self.sessions {
            self.wait(session, "both prefixes", || self.routes(session).len() == PREFIXES.len());
        }
    }

    /// Waits until no router has any of them.
    pub(crate) fn wait_for_no_routes(&self) {
        for session in &self.sessions {
            self.wait(session, "no prefixes", || self.routes(session).is_empty());
        }
    }

    /// Waits for something about a session; shows both ends of it where it does not come.
    pub(crate) fn wait(&self, session: &Session, what: &str, condition: impl Fn() -> bool) {
        let found = until(what, DEADLINE, || condition().then_some(()));
        found.unwrap_or_else(|error| {
            panic!(
                "{}: {error}; the router: {:?}, {:#?}; the edge: {:#}",
                session.name,
                self.router(session).state(session.edge),
                self.routes(session),
                neighbour(&self.edge, &session.name),
            )
        });
    }

    /// How often each session has left `established`, in the order of the sessions.
    pub(crate) fn flaps(&self) -> Vec<u64> {
        self.sessions.iter().map(|session| count(&neighbour(&self.edge, &session.name)["flaps"])).collect()
    }
}

fn router_spec(plan: &Plan, place: usize, sessions: &[Session]) -> RouterSpec {
    let [a, b] = [10, u8::try_from(place + 1).expect("a few routers")];
    let mut spec = RouterSpec::new(router_as(place), [a, 0, 0, b].into());
    for session in sessions.iter().filter(|session| session.router == place) {
        spec = spec.peer(PeerSpec {
            passive: plan.opens == Opens::Edge,
            password: plan.password.then(|| PASSWORD.to_owned()),
            ttl_security: plan.ttl_security,
            extended_next_hop: plan.extended_next_hop && session.remote.is_ipv6(),
            graceful_restart_s: plan.graceful_restart_s,
            bfd_ms: (plan.bfd && has_bfd(plan.kinds[place])).then_some(50),
            ..PeerSpec::new(session.remote, session.edge, EDGE_AS)
        });
    }
    OF_ROUTERS.into_iter().fold(spec, RouterSpec::announce)
}

/// A file with a password, for its owner alone.
pub(crate) fn secret_file(lab: &Lab, password: &str) -> PathBuf {
    let path = lab.folder().join("password");
    std::fs::write(&path, format!("{password}\n")).expect("writing a file");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("permissions");
    path
}

fn network_file(lab: &Lab, net: &Network, plan: &Plan, sessions: &[Session], state: &str) -> String {
    let password_file = secret_file(lab, PASSWORD);
    let listen: Vec<IpAddr> = match plan.opens {
        Opens::Edge => Vec::new(),
        Opens::Both | Opens::Router => sessions.iter().map(|session| session.edge).collect(),
    };
    let mut file = file_head(net, state, &listen, plan.anycast, plan.zone);
    for session in sessions {
        let name = &session.name;
        let _ = write!(
            file,
            "[node.edge.anycast.neighbour.{name}]\naddress = \"{}\"\nas = {}\npassive = {}\nttl_security = {}\n\
             hold_time_s = 3\nconnect_retry_ms = 200\nextended_next_hop = {}\ngraceful_restart_s = {}\n",
            session.remote,
            router_as(session.router),
            plan.edge_waits(plan.kinds[session.router]),
            plan.ttl_security,
            plan.extended_next_hop && session.remote.is_ipv6(),
            plan.graceful_restart_s.unwrap_or(0),
        );
        if plan.password {
            let _ = writeln!(file, "password_file = {:?}", password_file.to_string_lossy());
        }
        if plan.bfd && has_bfd(plan.kinds[session.router]) {
            let _ = writeln!(file, "[node.edge.anycast.neighbour.{name}.bfd]\ninterval_ms = 50\nmultiplier = 3");
        }
    }
    file
}

/// Whether a route's next hop is the edge's address on the session. ExaBGP shows the link-local one beside it instead.
pub(crate) fn next_hop_is_right(scene: &Scene, session: &Session, route: &Route) -> bool {
    let is_link_local = route.next_hop.starts_with("fe80:");
    route.next_hop == session.edge.to_string() || scene.kind(session) == RouterKind::ExaBgp && is_link_local
}

/// What the edge says of its part in anycast: `parapet anycast --json`.
pub(crate) fn status(edge: &Edge) -> Value {
    let output = until("parapet anycast --json", DEADLINE, || edge.ask(&["anycast", "--json"]).ok());
    serde_json::from_str(&output.expect("the edge answers").stdout).expect("JSON")
}

/// What it says of one neighbour.
pub(crate) fn neighbour(edge: &Edge, name: &str) -> Value {
    let status = status(edge);
    let neighbours = status["neighbours"].as_array().cloned().unwrap_or_default();
    let found = neighbours.into_iter().find(|neighbour| neighbour["name"] == name);
    found.unwrap_or_else(|| panic!("no neighbour {name} in {status:#}"))
}

/// Waits until what it says of a neighbour is as wanted, and gives it.
pub(crate) fn wait_for_neighbour(edge: &Edge, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = until(format!("{name}: {what}"), DEADLINE, || {
        last = neighbour(edge, name);
        wanted(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|error| panic!("{error}; last: {last:#}"))
}

/// A number of the status.
pub(crate) fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}
