//! What the scenarios share: two edges behind a router that prefers the first, and a region that asks all the time.

use std::time::Duration;

use parapet_lab::failover::{Case, Node, Pair, Speaker, Tuning, ZONE, pair};
use parapet_lab::prober::{Probe, Prober, Question, Record};
use parapet_lab::{Lab, until};
use serde_json::Value;

/// Whatever is waited for comes within this time, also on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Clients are answered for so long without a loss before something happens, and after it.
const STEADY: Duration = Duration::from_millis(500);
/// Something that is noticed without a question to it is over within this time: many times what it takes.
pub(crate) const NOTICED: Duration = Duration::from_secs(5);
/// The edge that the router prefers, and the other.
pub(crate) const FIRST: &str = "edge1";
pub(crate) const SECOND: &str = "edge2";

/// Fields are dropped in this order.
pub(crate) struct Scene {
    pub(crate) prober: Prober,
    pub(crate) nodes: Vec<Node>,
    pub(crate) pair: Pair,
    pub(crate) tuning: Tuning,
    pub(crate) _lab: Lab,
}

impl Scene {
    /// Both edges announce, and the first answers.
    pub(crate) fn new(name: &str) -> Scene {
        let scene = Scene::with_edges(name, &[0, 1]);
        for edge in [FIRST, SECOND] {
            scene.pair.wait_for_routes(edge, true, DEADLINE).expect("routes");
        }
        // Routes wait for BFD, but not for ever.
        for node in 0..scene.nodes.len() {
            scene.wait_for_status(node, "BFD with the router", |status| {
                let neighbours = status["neighbours"].as_array().expect("neighbours");
                neighbours.iter().all(|neighbour| neighbour["bfd"]["state"] == "up")
            });
        }
        scene.wait_until_answered_by(FIRST);
        scene
    }

    /// Only these edges have been started.
    pub(crate) fn with_edges(name: &str, edges: &[usize]) -> Scene {
        let lab = Lab::new(name).expect("a lab");
        // Slower than in earnest, so that a machine that is busy with other tests does not look like a failure.
        let tuning = Tuning { bfd_interval_ms: 150, ..Tuning::default() };
        let pair = pair(&lab, &tuning).expect("a network");
        let start = |edge: &usize| Node::start(&pair.ground, *edge, Speaker::Parapet, &tuning).expect("an edge");
        let nodes = edges.iter().map(start).collect();
        let prober = Prober::start(&pair.ground.regions, &Question::soa(ZONE)).expect("a prober");
        Scene { prober, nodes, pair, tuning, _lab: lab }
    }

    /// Wait until this edge alone answers, and nothing is lost.
    pub(crate) fn wait_until_answered_by(&self, edge: &str) {
        let by_it = |seen: &[Vec<String>]| seen == [[edge]];
        self.prober.wait_for(&format!("answers by {edge}"), STEADY, DEADLINE, by_it).expect("answers");
    }

    /// Something befalls the first edge, the second takes over, and after the repair all is as before. Gives what clients
    /// saw until the second had taken over, and what they saw after that.
    pub(crate) fn befall(&mut self, case: Case, meanwhile: impl FnOnce(&mut Scene)) -> [Record; 2] {
        let begin_us = self.prober.now_us();
        let seat = self.pair.ground.seats[0].clone();
        let fallen = case.befall(&mut self.nodes[0], &seat).expect("a failure");
        meanwhile(self);
        self.wait_until_answered_by(SECOND);
        let taken_over_us = self.prober.now_us();
        // A frozen edge answers what has waited for it once it goes on; that is to be lost by then.
        let failing = self.record(begin_us, taken_over_us);
        fallen.repair(&mut self.nodes[0]).expect("a repair");
        self.wait_until_answered_by(FIRST);
        [failing, self.record(taken_over_us, self.prober.now_us())]
    }

    /// What clients saw, when all of it is decided.
    pub(crate) fn record(&self, from_us: u64, until_us: u64) -> Record {
        self.prober.decided(from_us, until_us).expect("a record").remove(0)
    }

    /// Change the zone at the origin.
    pub(crate) fn change_zone(&self, value: &str) {
        let name = format!("changed.{ZONE}");
        let lines = format!("update delete {name} TXT\nupdate add {name} 300 TXT \"{value}\"");
        self.pair.origin.update(ZONE, &lines).expect("an update");
    }

    /// What an edge says of its part in anycast.
    pub(crate) fn status(&self, node: usize) -> Value {
        let ask = || self.nodes[node].edge().ask(&["anycast", "--json"]).ok();
        let output = until("parapet anycast --json", DEADLINE, ask).expect("an answer");
        serde_json::from_str(&output.stdout).expect("JSON")
    }

    /// Wait until it is as wanted.
    pub(crate) fn wait_for_status(&self, node: usize, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let found = until(what, DEADLINE, || {
            last = self.status(node);
            wanted(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|error| panic!("{error}; last: {last:#}"))
    }
}

/// Clients asked by both families, the second edge answered both in the end, and it took no longer than this.
pub(crate) fn check_taken_over(record: &Record, within: Duration) {
    let unanswered = Duration::from_micros(record.disturbed_us());
    assert!(unanswered < within, "{} lost over {unanswered:?}", record.missed());
    for (address, place) in record.addresses.iter().zip(0..) {
        let good = |probe: &&Probe| probe.address == place && probe.outcome.is_good();
        let last = record.probes.iter().rfind(good);
        let by = last.and_then(|probe| record.answered_by(probe));
        assert_eq!(by, Some(SECOND), "{address}");
    }
}

/// Nothing was lost, and nothing was wrong or old.
pub(crate) fn check_nothing_lost(record: &Record) {
    let missed: Vec<_> = record.probes.iter().filter(|probe| !probe.outcome.is_good()).collect();
    assert!(missed.is_empty(), "{} of {}: {missed:?}", missed.len(), record.probes.len());
    assert!(!record.probes.is_empty());
}
