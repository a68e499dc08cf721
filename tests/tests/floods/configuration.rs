//! A network file whose defences contradict themselves: the node does not start, and all that is wrong is said.

use parapet_lab::Edge;

use crate::scene::{DEADLINE, Scene};

#[test]
fn an_edge_does_not_start_with_defences_that_contradict_themselves() {
    let scene = Scene::new("floods-wrong");
    let defences = "miss_threshold = 60\nprefix_per_s = 10\nallow = [\"192.0.2.1/24\", \"198.51.100.0/24\"]\nblock = \
                    [\"198.51.100.0/24\"]\nslip = 11\nfilters.clients = \"on\"\nclient_per_s = 0";
    let builder = Edge::at(scene.host("edge"));
    let text = scene.file(&builder.state_folder().expect("a state folder").to_string_lossy(), defences);
    let edge = builder.file(&text, "edge").without_waiting().start().expect("a process");
    let status = edge.process().wait(DEADLINE).expect("an end");
    assert_eq!(status.code(), Some(2));
    let said = edge.process().output();
    for wanted in [
        "node.edge.defences.miss_threshold: found 60; expected less than random_source_threshold",
        "node.edge.defences.allow[0]: found \"192.0.2.1/24\"; expected no bits set behind the prefix length",
        "node.edge.defences.slip: found 11; expected a whole number from 0 to 10",
        "node.edge.defences.filters.clients: found an unknown name",
        "(did you mean \"client\"?)",
        "node.edge.defences.client_per_s: found 0; expected a whole number from 1",
    ] {
        assert!(said.contains(wanted), "{wanted}\nis not in\n{said}");
    }
}
