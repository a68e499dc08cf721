//! What the scenarios share: an edge between clients of every address and its origin, a client who asks all along, and
//! looking at the edge's defences from outside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parapet_lab::attack::{Attack, Facts, Pace, RunningAttack, Target};
use parapet_lab::{Edge, Lab, Named, Namespace, Network, Topology, TsigKey, ZoneSpec, dns, until};
use parapet_tests::{Question, ask};
use serde_json::Value;
use wire::Rtype;

/// Whatever is waited for comes within this time, also on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);
pub(crate) const ZONE: &str = "example.com";
/// Names `n0` to the last that exist.
const NAMES: u32 = 50;
/// Where attacks of one client come from.
pub(crate) const FLOODER: &str = "203.0.113.0/24";

/// The network with its origin.
pub(crate) struct Scene {
    net: Network,
    key: TsigKey,
    _origin: Named,
    _lab: Lab,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Scene {
        let lab = Lab::new(name).expect("a lab");
        let topology = Topology::new("floods", "an edge between those who attack it and its origin")
            .host("edge")
            .host("client")
            .host("origin")
            .link("edge", "client", 1)
            .link("edge", "origin", 2);
        let net = lab.build(&topology).expect("a network");
        let (edge, client) = (net.host("edge"), net.host("client"));
        // Sources are forged: nobody may ask whether the way back is the way they came.
        for (host, interface) in [(edge, "client"), (edge, "all"), (client, "edge"), (client, "all")] {
            host.sysctl(&format!("net/ipv4/conf/{interface}/rp_filter"), "0").expect("a setting");
        }
        client.own_prefix(Ipv4Addr::new(198, 18, 0, 0), 16).expect("addresses");
        edge.route(Ipv4Addr::UNSPECIFIED.into(), 0, client.v4()).expect("a route");
        let key = TsigKey::generate(&lab, "transfer").expect("a key");
        let mut text = parapet_lab::zone_text::head(ZONE);
        // Who asks for all of them in turn never asks within a TTL.
        (0..NAMES).for_each(|number| text += &format!("n{number} 2 A 192.0.2.{number}\n"));
        let origin = Named::at(net.host("origin")).key(&key).zone(ZoneSpec::text(ZONE, text)).start();
        let origin = origin.expect("named");
        Scene { net, key, _origin: origin, _lab: lab }
    }

    /// A running edge with the zone, and these items in its `[node.edge.defences]`.
    pub(crate) fn edge(&self, defences: &str) -> Edge {
        let builder = Edge::at(self.net.host("edge"));
        let state = builder.state_folder().expect("a state folder");
        let text = self.file(&state.to_string_lossy(), defences);
        let edge = builder.file(&text, "edge").start().expect("parapet");
        self.wait(&edge);
        edge
    }

    /// The same in the short form.
    pub(crate) fn short_edge(&self, arguments: &[&str]) -> Edge {
        let builder = Edge::at(self.net.host("edge")).origin(self.origin()).key(&self.key).zone(ZONE).args(arguments);
        let edge = builder.start().expect("parapet");
        self.wait(&edge);
        edge
    }

    /// Waits until an edge that has been started answers for the zone.
    pub(crate) fn wait(&self, edge: &Edge) {
        edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    }

    pub(crate) fn host(&self, name: &str) -> &Namespace {
        self.net.host(name)
    }

    pub(crate) fn file(&self, state: &str, defences: &str) -> String {
        let (listen, origin) = (self.server(), self.origin());
        format!(
            "[node.edge]\nlisten = [\"{listen}\"]\nstate_dir = \"{state}\"\nworkers = 1\n[key.transfer]\nkey_file = \
             \"{}\"\n[origin.bind]\naddresses = [\"{origin}\"]\nkey = \"transfer\"\n[zone.\"{ZONE}\"]\norigins = \
             [\"bind\"]\n[node.edge.defences]\n{defences}\n",
            self.key.file.display()
        )
    }

    fn origin(&self) -> IpAddr {
        self.net.host("origin").v4()
    }

    /// Where the edge answers clients.
    pub(crate) fn server(&self) -> SocketAddr {
        SocketAddr::new(self.net.host("edge").v4(), dns::PORT)
    }

    pub(crate) fn client(&self) -> &Namespace {
        self.net.host("client")
    }

    /// Begins an attack that goes on until it is stopped.
    pub(crate) fn attack(&self, attack: Attack, rate_per_s: u32) -> RunningAttack {
        let facts = Facts {
            zone: ZONE.to_owned(),
            names: (0..NAMES).map(|number| format!("n{number}.{ZONE}")).collect(),
            suffix: ZONE.to_owned(),
            ..Facts::default()
        };
        let IpAddr::V4(address) = self.server().ip() else { panic!("the edge has an IPv4 address") };
        let target = Target::across(self.client(), "edge", self.net.host("edge"), "client", address, facts);
        let pace = Pace { rate_per_s, lasts: Some(DEADLINE * 3), seed: 5, core: None };
        attack.start(&target.expect("a target"), &pace).expect("an attack")
    }

    /// A client that asks all along, and does not give up at once.
    pub(crate) fn witness(&self) -> Witness {
        Witness::start(self.client(), self.server())
    }

    /// One question as a client asks it from `source`; none if there is no answer at the first try.
    pub(crate) fn ask(&self, source: Ipv4Addr, name: &str) -> Option<Vec<u8>> {
        let asked = self.client().enter(|| {
            let socket = UdpSocket::bind((source, 0)).expect("an address of the client");
            ask_once(&socket, self.server(), name, Duration::from_secs(2))
        });
        asked.expect("the client's namespace")
    }
}

pub(crate) fn question(name: &str) -> Vec<u8> {
    let name = name.parse().expect("a name");
    Question { name, rtype: Rtype::A, dnssec: false, udp_bytes_max: None }.to_bytes(9)
}

fn ask_once(socket: &UdpSocket, server: SocketAddr, name: &str, wait: Duration) -> Option<Vec<u8>> {
    socket.set_read_timeout(Some(wait)).expect("a timeout");
    socket.send_to(&question(name), server).expect("a query that leaves");
    let mut buffer = [0; 4096];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

/// Asks ten times a second, over UDP with two more tries and then over TCP, and counts what stays without an answer.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: JoinHandle<Vec<String>>,
}

impl Witness {
    fn start(namespace: &Namespace, server: SocketAddr) -> Witness {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count, namespace) = (Arc::clone(&stop), Arc::clone(&asked), namespace.clone());
        let thread = thread::spawn(move || {
            let all = namespace.enter(|| {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
                let mut lost = Vec::new();
                for number in 0.. {
                    if stopped.load(Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("n{}.{ZONE}", number % u64::from(NAMES));
                    if !is_answered(&socket, server, &name) {
                        lost.push(name);
                    }
                    count.store(number + 1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(100));
                }
                lost
            });
            all.expect("the client's namespace")
        });
        Witness { stop, asked, thread }
    }

    /// Waits until it has asked so many more questions.
    pub(crate) fn goes_on(&self, more: u64) {
        let from = self.asked.load(Ordering::Relaxed);
        until("the client to go on", DEADLINE * 2, || {
            (self.asked.load(Ordering::Relaxed) >= from + more).then_some(())
        })
        .expect("a client that goes on");
    }

    /// Ends it: all that it asked was answered.
    pub(crate) fn was_answered(self) {
        self.stop.store(true, Ordering::Relaxed);
        let lost = self.thread.join().expect("a client");
        assert!(
            lost.is_empty(),
            "{} of {} without an answer: {lost:?}",
            lost.len(),
            self.asked.load(Ordering::Relaxed)
        );
    }
}

/// As a resolver does it: three tries, and TCP where the answer is truncated or does not come.
fn is_answered(socket: &UdpSocket, server: SocketAddr, name: &str) -> bool {
    for wait_ms in [500, 1000, 2000] {
        match ask_once(socket, server, name, Duration::from_millis(wait_ms)) {
            Some(answer) if answer.get(2).is_some_and(|flags| flags & 2 != 0) => break,
            Some(answer) => return answer.get(3).is_some_and(|flags| flags & 15 == 0),
            None => {}
        }
    }
    ask::exchange_tcp(server, &question(name), Duration::from_secs(5)).is_ok()
}

/// What the edge says of its defences: `parapet defences --json`.
pub(crate) fn defences(edge: &Edge) -> Value {
    let output = until("parapet defences --json", DEADLINE, || edge.ask(&["defences", "--json"]).ok());
    serde_json::from_str(&output.expect("the edge answers").stdout).expect("JSON")
}

/// How many queries a filter did something to.
pub(crate) fn effect(defences: &Value, filter: &str, effect: &str) -> u64 {
    let filters = defences["filters"].as_array().expect("a list of filters");
    let found = filters.iter().find(|entry| entry["filter"] == filter);
    let found = found.unwrap_or_else(|| panic!("no filter {filter} in {defences:#}"));
    found["effects"][effect].as_u64().unwrap_or(0)
}

/// Waits until the defences are as wanted, and gives them.
pub(crate) fn wait_for(edge: &Edge, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = until(what, DEADLINE, || {
        last = defences(edge);
        wanted(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|error| panic!("{error}; last: {last:#}"))
}

/// The kept events of a defence in the edge's state folder, the oldest first.
pub(crate) fn events(edge: &Edge, defence: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(edge.state().join("defence-events.jsonl")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(|event: &Value| event["defence"] == defence).collect()
}

/// Waits until a defence has come to a phase, and gives that event.
pub(crate) fn wait_for_event(edge: &Edge, defence: &str, phase: &str, after: usize) -> Value {
    let found = until(format!("{defence} {phase}"), DEADLINE, || {
        events(edge, defence).into_iter().skip(after).find(|event| event["phase"] == phase)
    });
    found.unwrap_or_else(|error| panic!("{error}; events: {:#?}", events(edge, defence)))
}

/// Puts another text in place of the edge's network file, as editors do it.
pub(crate) fn rewrite(edge: &Edge, change: impl Fn(&str) -> String) {
    let path = edge.folder().join("network.toml");
    let text = std::fs::read_to_string(&path).expect("the network file");
    let new = path.with_extension("new");
    std::fs::write(&new, change(&text)).expect("writing a file");
    std::fs::rename(&new, &path).expect("putting it in place");
}

/// So many queries of one source within a moment, one after the other; how many were answered.
pub(crate) fn burst(scene: &Scene, source: Ipv4Addr, queries: u32) -> usize {
    let answered = scene.client().enter(|| {
        let socket = UdpSocket::bind((source, 0)).expect("an address of the client");
        let (mut answered, mut buffer) = (0, [0; 4096]);
        // There is room for few answers: they are taken as they come.
        socket.set_nonblocking(true).expect("a socket that does not wait");
        for number in 0..queries {
            // Whoever is limited by repetition is another test's.
            let name = format!("n{}.{ZONE}", number % NAMES);
            socket.send_to(&question(&name), scene.server()).expect("a query that leaves");
            thread::sleep(Duration::from_micros(200));
            while socket.recv_from(&mut buffer).is_ok() {
                answered += 1;
            }
        }
        socket.set_nonblocking(false).expect("a socket that waits");
        socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let begun = Instant::now();
        while begun.elapsed() < DEADLINE && socket.recv_from(&mut buffer).is_ok() {
            answered += 1;
        }
        answered
    });
    answered.expect("the client's namespace")
}
