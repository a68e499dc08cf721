//! What the scenarios share: an edge between its origin and two clients. What the one sends meets the kernel lane, what the
//! other sends meets the sockets; both may ask for the same, and compare.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use parapet_lab::{Edge, EdgeBuilder, Lab, Named, Namespace, Network, Topology, TsigKey, ZoneSpec, dns, until};
use parapet_tests::compare::NAMED_OPTIONS;
use parapet_tests::{Question, ZoneFile, ask};
use serde_json::Value;

/// Whatever is waited for comes within this time, also on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// One answer comes within this time.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);
pub(crate) const ZONE: &str = "example.com";
/// The interface of the edge that the kernel lane is on.
pub(crate) const INTERFACE: &str = "client";

/// An interface of the edge that some scenarios add, and the number of its network; nobody minds that it is not there.
pub(crate) const TRUNK: &str = "trunk";
pub(crate) const TRUNK_NETWORK: u8 = 7;

/// The network with its key.
pub(crate) struct Scene {
    pub(crate) key: TsigKey,
    net: Network,
    /// The edge's name in its network file, which no other edge of this machine has.
    pub(crate) node: String,
    pub(crate) lab: Lab,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Scene {
        let lab = Lab::new(name).expect("a lab");
        let topology =
            Topology::new(name, "an edge between its origin, a client of its kernel lane and one of its sockets")
                .host("edge")
                .host("client")
                .host("other")
                .host("origin")
                .link("edge", "client", 1)
                .link("edge", "other", 2)
                .link("edge", "origin", 3);
        let net = lab.build(&topology).expect("a network");
        net.host("client").take_xdp("edge").expect("a wire that takes what programs send");
        let key = TsigKey::generate(&lab, "transfer").expect("a key");
        Scene { key, net, node: format!("{name}-{}", std::process::id()), lab }
    }

    pub(crate) fn host(&self, name: &str) -> &Namespace {
        self.net.host(name)
    }

    /// The client whose packets meet the kernel lane.
    pub(crate) fn client(&self) -> Client<'_> {
        Client { namespace: self.host("client"), server: server(1) }
    }

    /// The same over IPv6.
    pub(crate) fn client_v6(&self) -> Client<'_> {
        Client { namespace: self.host("client"), server: server_v6(1) }
    }

    /// The client whose packets meet the sockets.
    pub(crate) fn other(&self) -> Client<'_> {
        Client { namespace: self.host("other"), server: server(2) }
    }

    /// The same over IPv6.
    pub(crate) fn other_v6(&self) -> Client<'_> {
        Client { namespace: self.host("other"), server: server_v6(2) }
    }

    /// `named` with this zone, which changes by updates and is at the edge at once.
    pub(crate) fn origin(&self, text: impl Into<String>) -> Named {
        let named = Named::at(self.host("origin")).options(NAMED_OPTIONS).key(&self.key).notify(origin_side());
        named.zone(ZoneSpec::text(ZONE, text.into()).dynamic()).start().expect("named")
    }

    /// An edge with [`ZONE`], which has come, and these items in its `[node.NODE.lanes]`; `more` follows.
    pub(crate) fn edge(&self, lanes: &str, more: &str) -> Edge {
        let zone = format!("[zone.\"{ZONE}\"]\norigins = [\"bind\"]\n{more}");
        let edge = self.build(lanes, &zone).start().expect("parapet");
        edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
        edge
    }

    /// `named` with the zones of these files.
    pub(crate) fn origin_with_files(&self, zones: &[ZoneFile]) -> Named {
        let mut named = Named::at(self.host("origin")).options(NAMED_OPTIONS).key(&self.key).notify(origin_side());
        for zone in zones {
            named = named.zone(ZoneSpec::file(&zone.origin, &zone.path));
        }
        named.start().expect("named")
    }

    /// An edge with these zones, which have come, and room for so many answers in the kernel lane.
    pub(crate) fn edge_with_zones(&self, zones: &[ZoneFile], answers: u32) -> Edge {
        let texts = zones.iter().map(|zone| format!("[zone.\"{}\"]\norigins = [\"bind\"]\n", zone.origin));
        let limits = "[node.@NODE@.limits]\nudp_payload_bytes_max = 4096\n";
        let lanes = format!("{}\nkernel_answers = {answers}", required());
        let edge = self.build(&lanes, &(texts.collect::<String>() + limits)).start().expect("parapet");
        for zone in zones {
            edge.wait_for_zone(&zone.origin, 1, DEADLINE).expect("a zone at the edge");
        }
        edge
    }

    /// An edge to be started, with these items in its `[node.NODE.lanes]` and these zones and whatever else; `@NODE@`
    /// stands for the node's name.
    pub(crate) fn build(&self, lanes: &str, zones: &str) -> EdgeBuilder {
        let builder = Edge::at(self.host("edge"));
        let state = builder.state_folder().expect("a state folder");
        let node = &self.node;
        // What is added is listened at where it is there already.
        let has = |host: &Namespace, server: &SocketAddr| host.addresses().contains(&server.ip());
        let networks = [1, 2, 3, TRUNK_NETWORK];
        let listen: Vec<String> = networks
            .into_iter()
            .flat_map(|network| [server(network), server_v6(network)])
            .filter(|server| has(self.host("edge"), server))
            .map(|server| server.to_string())
            .collect();
        let text = format!(
            "[node.{node}]\nlisten = {listen:?}\nstate_dir = \"{}\"\nmetrics = \"{METRICS}\"\n\
             [node.{node}.lanes]\n{lanes}\n[key.transfer]\nkey_file = \"{}\"\n[origin.bind]\naddresses = [\"{}\"]\n\
             key = \"transfer\"\n{zones}\n",
            state.display(),
            self.key.file.display(),
            self.host("origin").v4(),
        );
        builder.file(&text.replace("@NODE@", node), node)
    }
}

/// What the kernel lane says of itself: `parapet status --json`.
pub(crate) struct Asked {
    /// Queries that it answered.
    pub(crate) answered: u64,
    /// All that there is.
    pub(crate) all: Value,
}

impl Asked {
    pub(crate) fn of(edge: &Edge) -> Asked {
        let all = status(edge)["kernel_lane"].clone();
        let answered = all["answered"].as_u64().unwrap_or_else(|| panic!("no kernel lane: {all:#}"));
        Asked { answered, all }
    }
}

/// `parapet status --json`.
pub(crate) fn status(edge: &Edge) -> Value {
    let output = until("parapet status --json", DEADLINE, || edge.ask(&["status", "--json"]).ok());
    serde_json::from_str(&output.expect("the edge answers").stdout).expect("JSON")
}

/// Where the edge's metrics are, in its own namespace.
pub(crate) const METRICS: &str = "127.0.0.1:9153";

/// The edge's metrics, as text.
pub(crate) fn metrics(edge: &Edge) -> String {
    let address: SocketAddr = METRICS.parse().expect("an address");
    let text = edge.namespace().enter(|| {
        let mut stream = TcpStream::connect_timeout(&address, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    });
    text.expect("the edge's namespace").expect("an answer over HTTP")
}

/// The numbers of the lines that begin so and have all this in their labels.
pub(crate) fn samples<'m>(metrics: &'m str, begins: &'m str, contains: &'m [&str]) -> impl Iterator<Item = f64> + 'm {
    let is_wanted = move |line: &&str| line.starts_with(begins) && contains.iter().all(|label| line.contains(label));
    metrics.lines().filter(is_wanted).filter_map(|line| line.rsplit(' ').next()?.parse().ok())
}

/// Items of `[node.NODE.lanes]`: nothing is left to the sockets that the kernel lane can do.
pub(crate) fn required() -> String {
    format!("kernel = \"required\"\nkernel_attach = \"native\"\ninterfaces = [\"{INTERFACE}\"]")
}

/// The edge's address on the wire with this number.
pub(crate) fn server(wire: u8) -> SocketAddr {
    SocketAddr::new([10, wire, 0, 1].into(), dns::PORT)
}

fn server_v6(wire: u8) -> SocketAddr {
    SocketAddr::new([0xfd00, wire.into(), 0, 0, 0, 0, 0, 1].into(), dns::PORT)
}

/// The address of the edge that its origin knows.
fn origin_side() -> IpAddr {
    [10, 3, 0, 1].into()
}

/// Who asks, and whom.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) server: SocketAddr,
}

impl Client<'_> {
    /// Work in its namespace.
    pub(crate) fn at<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.namespace.enter(work).expect("the client's namespace")
    }

    /// The answers to all questions, in their order; the ids are their numbers.
    pub(crate) fn ask_all(&self, questions: &[Question]) -> Vec<Vec<u8>> {
        self.at(|| ask::ask_all(self.server, questions))
    }

    /// The answer to a message.
    pub(crate) fn exchange(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.at(|| ask::exchange_udp(self.server, message, ANSWER).ok())
    }

    /// Sends all messages, which have ids of their own, and gives what came back in the order of the messages: for each an
    /// answer, or none. `answers` says how many there will be; a few moments later there are no more of them.
    pub(crate) fn exchange_all(&self, messages: &[Vec<u8>], answers: usize) -> Vec<Option<Vec<u8>>> {
        self.at(|| {
            let socket = ask::connected(self.server);
            let mut got = vec![None; messages.len()];
            for some in messages.chunks(BURST) {
                for message in some {
                    socket.send(message).expect("a message that leaves");
                }
                receive(&socket, messages, &mut got, Duration::from_millis(1));
            }
            let begun = Instant::now();
            while got.iter().flatten().count() < answers && begun.elapsed() < DEADLINE {
                receive(&socket, messages, &mut got, Duration::from_millis(50));
            }
            receive(&socket, messages, &mut got, AFTERWARDS);
            got
        })
    }
}

/// So many are sent before answers are taken: the receive buffers have room for them.
const BURST: usize = 32;
/// So long nothing more comes, when all has come.
const AFTERWARDS: Duration = Duration::from_millis(200);

/// Takes answers until none comes for so long.
fn receive(socket: &UdpSocket, messages: &[Vec<u8>], got: &mut [Option<Vec<u8>>], quiet: Duration) {
    socket.set_read_timeout(Some(quiet)).expect("a timeout");
    let mut buffer = [0; 4096];
    while let Ok(length) = socket.recv(&mut buffer) {
        let answer = buffer.get(..length).unwrap_or_default();
        let asked = messages.iter().position(|message| message.get(..2) == answer.get(..2));
        let place = asked.unwrap_or_else(|| panic!("an answer to nothing: {answer:02x?}"));
        assert!(got[place].is_none(), "two answers to {:02x?}", messages[place]);
        got[place] = Some(answer.to_vec());
    }
}
