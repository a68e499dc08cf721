//! An edge that has nothing to answer with yet, because it cannot reach the origin, is not announced.

use parapet_lab::failover::{Node, Speaker};
use parapet_lab::faults::Fault;

use crate::scene::{DEADLINE, FIRST, SECOND, Scene, check_nothing_lost};

#[test]
fn it_announces_only_what_it_can_answer() {
    let mut scene = Scene::with_edges("anycast-restarted", &[1]);
    scene.wait_until_answered_by(SECOND);
    let begin_us = scene.prober.now_us();
    let seat = scene.pair.ground.seats[0].clone();
    let cut = Fault::cut(&seat.host, &seat.origin_interface).expect("a cut");
    let node = Node::start_without_waiting(&scene.pair.ground, 0, Speaker::Parapet, &scene.tuning).expect("parapet");
    scene.nodes.insert(0, node);
    let status = scene.wait_for_status(0, "sessions and a look at its health", |status| {
        let neighbours = status["neighbours"].as_array().expect("neighbours");
        let said = status["checks"].as_array().expect("checks").iter().any(|check| check["why"] != "");
        neighbours.iter().all(|neighbour| neighbour["state"] == "established") && said
    });
    assert_ne!(status["state"], "up", "{status:#}");
    assert_eq!(status["services"][0]["announced"], false, "{status:#}");
    scene.pair.wait_for_routes(FIRST, false, DEADLINE).expect("no routes");
    cut.end().expect("an end to it");
    scene.wait_until_answered_by(FIRST);
    check_nothing_lost(&scene.record(begin_us, scene.prober.now_us()));
}
