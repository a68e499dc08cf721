//! What the scenarios share: a network with an origin, an edge and a client, and looking at an edge from outside.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use parapet_lab::{Edge, EdgeBuilder, Lab, Named, NamedBuilder, Namespace, Network, TsigKey, dns, topologies, until};
use parapet_tests::compare::NAMED_OPTIONS;
use parapet_tests::{Answer, Question, ask};
use serde_json::Value;
use wire::{Name, Opcode, Rcode, Rtype};

/// Whatever is waited for comes within this time, also on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);
/// One answer comes within this time.
const ANSWER: Duration = Duration::from_secs(3);

/// A network with a hidden origin, edges and clients, and a key that origin and edges share.
pub(crate) struct Scene {
    pub(crate) key: TsigKey,
    pub(crate) net: Network,
    pub(crate) lab: Lab,
}

impl Scene {
    pub(crate) fn new(name: &str) -> Scene {
        let lab = Lab::new(name).expect("a lab");
        let net = lab.build(&topologies::hidden_origin()).expect("a network");
        let key = TsigKey::generate(&lab, "transfer").expect("a key");
        Scene { key, net, lab }
    }

    /// The origin with the scene's key, which notifies the first edge.
    pub(crate) fn origin(&self) -> NamedBuilder {
        Named::at(self.host("origin")).options(NAMED_OPTIONS).key(&self.key).notify(self.host("edge1").v4())
    }

    /// The first edge with the scene's key, in the short form.
    pub(crate) fn edge(&self) -> EdgeBuilder {
        Edge::at(self.host("edge1")).origin(self.host("origin").v4()).key(&self.key)
    }

    /// The first edge in the file form: `file` with `@LISTEN@`, `@STATE@`, `@ORIGIN@` and `@KEY@` filled in.
    pub(crate) fn edge_with_file(&self, file: &str) -> EdgeBuilder {
        let edge = Edge::at(self.host("edge1"));
        let text = self.fill_in(file, &edge);
        edge.file(&text, "edge1")
    }

    pub(crate) fn fill_in(&self, file: &str, edge: &EdgeBuilder) -> String {
        let state = edge.state_folder().expect("a state folder");
        file.replace("@LISTEN@", &format!("{}:53", self.host("edge1").v4()))
            .replace("@STATE@", &state.to_string_lossy())
            .replace("@ORIGIN@", &self.host("origin").v4().to_string())
            .replace("@KEY@", &self.key.file.to_string_lossy())
    }

    pub(crate) fn host(&self, name: &str) -> &Namespace {
        self.net.host(name)
    }

    pub(crate) fn client(&self) -> &Namespace {
        self.net.host("client1")
    }

    /// Asks as the client does, with DO.
    pub(crate) fn ask(&self, server: IpAddr, name: &str, rtype: Rtype) -> Answer {
        ask_from(self.client(), server, &question(name, rtype))
    }

    /// The same with another time to wait: an answer may have to come from an origin that has troubles.
    pub(crate) fn ask_patiently(&self, server: IpAddr, name: &str, rtype: Rtype, wait: Duration) -> Answer {
        ask_within(self.client(), server, &question(name, rtype), wait)
    }

    /// The client's program run to its end; gives what it wrote, whatever its status.
    pub(crate) fn client_runs(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.client().program(program).args(arguments).run().expect("a program that runs");
        output.stdout + &output.stderr
    }
}

/// A question with DO and room for much.
pub(crate) fn question(name: &str, rtype: Rtype) -> Question {
    let name = Name::from_str(name).expect("a name");
    Question { name, rtype, dnssec: true, udp_bytes_max: Some(4096) }
}

/// Asks `server` from a namespace, over TCP where UDP has no room.
pub(crate) fn ask_from(from: &Namespace, server: IpAddr, question: &Question) -> Answer {
    ask_within(from, server, question, ANSWER)
}

fn ask_within(from: &Namespace, server: IpAddr, question: &Question, wait: Duration) -> Answer {
    let server = SocketAddr::new(server, dns::PORT);
    let message = question.to_bytes(7);
    let bytes = from.enter(|| ask::exchange_udp(server, &message, wait)).expect("the client's namespace");
    let answer = Answer::parse(question, &bytes.unwrap_or_else(|error| panic!("{server}, asked {question}: {error}")));
    let answer = answer.unwrap_or_else(|why| panic!("{server}, asked {question}: {why}"));
    if !answer.tc {
        return answer;
    }
    let bytes = from.enter(|| ask::exchange_tcp(server, &message, wait)).expect("the client's namespace");
    Answer::parse(question, &bytes.expect("an answer over TCP")).expect("a well-formed answer")
}

/// What the edge says of one of its zones: `parapet zones --json`. An edge that has just been started is waited for.
pub(crate) fn status(edge: &Edge, zone: &str) -> Value {
    let output = until("parapet zones --json", DEADLINE, || edge.ask(&["zones", "--json"]).ok());
    let zones: Value = serde_json::from_str(&output.expect("the edge answers").stdout).expect("JSON");
    let name = format!("{}.", zone.trim_end_matches('.'));
    let found = zones.as_array().expect("a list of zones").iter().find(|entry| entry["zone"] == name.as_str());
    found.unwrap_or_else(|| panic!("no zone {name} in {zones}")).clone()
}

/// Waits until what the edge says of a zone is as wanted, and gives it.
pub(crate) fn wait_for_status(edge: &Edge, zone: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = until(what, DEADLINE, || {
        last = status(edge, zone);
        wanted(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|error| panic!("{error}; last: {last:#}"))
}

/// The errors that a zone's origins show.
pub(crate) fn errors(status: &Value) -> Vec<String> {
    let origins = status["origins"].as_array().expect("a list of origins");
    origins.iter().filter_map(|origin| origin["last_error"].as_str()).map(str::to_owned).collect()
}

/// Sends an unsigned NOTIFY (RFC 1996) for a zone and gives the answer's response code.
pub(crate) fn notify_from(from: &Namespace, edge: &Edge, zone: &str) -> Rcode {
    let mut message = question(zone, Rtype::SOA).to_bytes(9);
    // Opcode NOTIFY, AA.
    message[2] = (Opcode::NOTIFY.0 << 3) | 0x04;
    let server = SocketAddr::new(edge.v4(), dns::PORT);
    let answer = from.enter(|| ask::exchange_udp(server, &message, ANSWER)).expect("the namespace");
    wire::Header::parse(&answer.expect("an answer to a NOTIFY")).expect("a header").flags.rcode()
}
