//! The servers that are compared, each in a namespace of its own with the same zones, and the zones.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use parapet_lab::{Edge, Knot, Lab, Named, Network, Nsd, Topology, ZoneSpec};
use parapet_tests::compare::{self, Asked, Subject};
use parapet_tests::{Answer, Question, ZoneFile, ask};

/// All zones are at the edge within this time.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Running servers; they end with the lab, which is dropped last.
pub(crate) struct Setting {
    net: Network,
    named: Named,
    nsd: Nsd,
    knot: Knot,
    parapet: Edge,
    _lab: Lab,
}

/// A lab with a host for each server and a client.
pub(crate) fn build(name: &str) -> (Lab, Network) {
    let lab = Lab::new(name).expect("a lab");
    let mut topology = Topology::new(name, "servers that are compared, and who asks them").router("router");
    for (number, host) in (10..).zip(["named", "nsd", "knot", "parapet", "client"]) {
        topology = topology.host(host).link("router", host, number);
    }
    let net = lab.build(&topology).expect("a network");
    (lab, net)
}

/// The rich zone unsigned and signed in every way, and its children.
pub(crate) fn rich_zones(lab: &Lab, net: &Network) -> Vec<ZoneFile> {
    parapet_tests::rich_zones(net.host("client"), lab.folder())
}

fn network_file(net: &Network, state: &Path, zones: &[ZoneFile]) -> String {
    let mut text = format!(
        "[node.edge]\nlisten = [\"{}:53\"]\nstate_dir = \"{}\"\n\n[node.edge.limits]\nudp_payload_bytes_max = 4096\n\n\
         [origin.named]\naddresses = [\"{}\"]\n",
        net.host("parapet").v4(),
        state.display(),
        net.host("named").v4(),
    );
    for zone in zones {
        text += &format!("\n[zone.\"{}\"]\norigins = [\"named\"]\n", zone.origin);
    }
    text
}

/// Starts the peers with `zones`.
pub(crate) fn start(lab: Lab, net: Network, zones: &[ZoneFile]) -> Setting {
    let spec = |zone: &ZoneFile| ZoneSpec::file(&zone.origin, &zone.path);
    let mut named = Named::at(net.host("named")).options(compare::NAMED_OPTIONS);
    let mut nsd = Nsd::at(net.host("nsd"))
        .option("ipv4-edns-size: 4096")
        .option("rrl-ratelimit: 0")
        .option("minimal-responses: no");
    let mut knot = Knot::at(net.host("knot")).option("udp-max-payload: 4096");
    for zone in zones {
        named = named.zone(spec(zone));
        nsd = nsd.zone(spec(zone));
        knot = knot.zone(spec(zone));
    }
    let named = named.start().expect("named");
    let nsd = nsd.start().expect("nsd");
    let knot = knot.start().expect("knot");
    let parapet = Edge::at(net.host("parapet"));
    let text = network_file(&net, &parapet.state_folder().expect("a state folder"), zones);
    let parapet = parapet.file(&text, "edge").start().expect("parapet");
    for zone in zones {
        parapet.wait_for_zone(&zone.origin, 1, ARRIVAL).expect("a zone at the edge");
    }
    Setting { _lab: lab, net, named, nsd, knot, parapet }
}

impl Setting {
    /// The answers of Parapet, and those of each peer, in the order of the questions.
    pub(crate) fn ask_everyone(&self, questions: &[Question]) -> (Vec<Asked>, Vec<(Subject, Vec<Asked>)>) {
        let servers = [
            (Subject::Parapet, self.parapet.v4()),
            (Subject::Named, self.named.v4()),
            (Subject::Nsd, self.nsd.v4()),
            (Subject::Knot, self.knot.v4()),
        ];
        let mut all = self.at_client(|| {
            thread::scope(|scope| {
                let asking = servers.map(|(subject, address)| {
                    (subject, scope.spawn(move || compare::ask_everything(at_port(address), questions)))
                });
                asking.map(|(subject, thread)| (subject, thread.join().expect("a thread that asks"))).to_vec()
            })
        });
        let answers = all.drain(..).map(|(subject, answers)| {
            let answers = answers.unwrap_or_else(|errors| {
                panic!(
                    "{} answers of {subject:?} are not well formed: {:#?}",
                    errors.len(),
                    &errors[..errors.len().min(10)]
                )
            });
            (subject, answers)
        });
        let mut answers = answers.collect::<Vec<_>>();
        let (_, ours) = answers.remove(0);
        (ours, answers)
    }

    /// Parapet's answers over UDP and over TCP.
    pub(crate) fn ask_udp_and_tcp(&self, questions: &[Question]) -> (Vec<Answer>, Vec<Answer>) {
        let parapet = at_port(self.parapet.v4());
        let parse = |(question, bytes): (&Question, Vec<u8>)| {
            Answer::parse(question, &bytes).unwrap_or_else(|why| panic!("{question}: {why}"))
        };
        self.at_client(|| {
            let udp = questions.iter().zip(ask::ask_all(parapet, questions)).map(parse).collect();
            (udp, questions.iter().zip(ask::ask_all_tcp(parapet, questions)).map(parse).collect())
        })
    }

    fn at_client<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.net.host("client").enter(work).expect("the client's namespace")
    }
}

fn at_port(address: IpAddr) -> SocketAddr {
    SocketAddr::new(address, parapet_lab::dns::PORT)
}
