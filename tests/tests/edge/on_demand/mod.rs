//! Zones that the edge fills on demand: it has no copy, asks the origin when it is asked, and keeps the answer.

mod caching;
mod equal;
mod hostile;
mod modes;
mod orders;
mod stale;
mod storm;
mod synthesis;
mod whole;

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use parapet_lab::dns::{self, Reply};
use parapet_lab::scripted::Scripted;
use parapet_lab::{Edge, Namespace, Rtype};

use crate::scene::Scene;

/// The zone of most of these scenarios.
const ZONE: &str = "od.test";
/// Long enough for whatever an edge does for a client; it answers before that or never.
const PATIENCE: Duration = Duration::from_secs(8);

/// A network file for one on-demand zone with the scene's origin; `@MORE@` stands where more of `[zone.….on_demand]` may.
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[origin.first]\n\
    addresses = [\"@ORIGIN@\"]\n[zone.\"od.test\"]\norigins = [\"first\"]\nmode = \"on-demand\"\n\
    [zone.\"od.test\".on_demand]\n";

/// A scripted origin and an edge with [`ZONE`] on demand; `settings` are lines of `[zone.….on_demand]` and what follows.
fn before_scripted(name: &str, settings: &str) -> (Scene, Scripted, Edge) {
    let scene = Scene::new(name);
    let origin = Scripted::start(scene.host("origin"), &[ZONE]).expect("a scripted origin");
    let edge = scene.edge_with_file(&format!("{FILE}{settings}")).start().expect("parapet");
    (scene, origin, edge)
}

/// One question, once, with all the time that it may need.
fn ask_once(from: &Namespace, server: IpAddr, name: &str, rtype: Rtype) -> Reply {
    let mut client = dns::Client::new(from, (server, dns::PORT).into()).expect("a client");
    client.ask_once(name, rtype, PATIENCE).unwrap_or_else(|| panic!("no answer from {server} to {name} {rtype:?}"))
}

/// The number in the scripted origin's answer: which of its questions was answered with it.
fn number(reply: &Reply) -> u32 {
    let texts = reply.texts();
    let number = texts.first().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("RCODE {}, texts {texts:?}", reply.rcode))
}

/// Asks for the number at a name.
fn number_at(scene: &Scene, edge: &Edge, name: &str) -> u32 {
    number(&ask_once(scene.client(), edge.v4(), name, Rtype::TXT))
}

/// The TTL of the first record of the answer, or else of the authority section.
fn ttl_s(reply: &Reply) -> u32 {
    let record = reply.answers.first().or(reply.authority.first());
    record.unwrap_or_else(|| panic!("no record, RCODE {}", reply.rcode)).ttl_s
}

/// Extended DNS errors of the answer to a question with EDNS.
fn extended_errors(scene: &Scene, edge: &Edge, name: &str, rtype: wire::Rtype) -> (wire::Rcode, Vec<u16>) {
    let answer = scene.ask_patiently(edge.v4(), name, rtype, PATIENCE);
    (answer.rcode, answer.extended_errors)
}

/// The same question of many clients at once.
fn ask_at_once(scene: &Scene, edge: &Edge, name: &str, clients: usize) -> Vec<Reply> {
    let server = edge.v4();
    let from = scene.client();
    thread::scope(|scope| {
        let asking: Vec<_> =
            (0..clients).map(|_| scope.spawn(move || ask_once(from, server, name, Rtype::TXT))).collect();
        asking.into_iter().map(|thread| thread.join().expect("a client")).collect()
    })
}

/// Looks again and again, as fast as a busy client asks, until `found` has a value.
fn ask_until<T>(
    scene: &Scene,
    edge: &Edge,
    (name, rtype): (&str, Rtype),
    mut found: impl FnMut(&Reply) -> Option<T>,
) -> T {
    let begun = Instant::now();
    let mut last;
    loop {
        let reply = ask_once(scene.client(), edge.v4(), name, rtype);
        if let Some(value) = found(&reply) {
            return value;
        }
        last = format!("RCODE {}, {:?}", reply.rcode, reply.answers);
        assert!(begun.elapsed() < crate::scene::DEADLINE, "in vain; last answer to {name} {rtype:?}: {last}");
        thread::sleep(Duration::from_millis(20));
    }
}
