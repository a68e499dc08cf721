//! An edge that is drained by hand: it announces that it is about to leave, leaves, and goes on answering. Nothing is lost,
//! neither then nor when it comes back.

use parapet_lab::failover::Case;

use crate::scene::{DEADLINE, FIRST, SECOND, Scene, check_nothing_lost};

#[test]
fn nothing_is_lost() {
    let mut scene = Scene::new("anycast-drained");
    for _ in 0..3 {
        let [leaving, back] = scene.befall(Case::Drain, |_| {});
        check_nothing_lost(&leaving);
        check_nothing_lost(&back);
        assert_eq!(leaving.answerers().into_keys().collect::<Vec<_>>(), [FIRST, SECOND]);
    }
}

#[test]
fn it_stays_drained_when_it_is_started_again() {
    let mut scene = Scene::new("anycast-drained-restart");
    scene.nodes[0].drain().expect("parapet drain");
    scene.pair.wait_for_routes(FIRST, false, DEADLINE).expect("no routes");
    scene.wait_until_answered_by(SECOND);
    let begin_us = scene.prober.now_us();
    scene.nodes[0].kill().expect("a kill");
    scene.nodes[0].start_again().expect("parapet");
    // It has its session, and has looked at its health, and is still drained.
    let status = scene.wait_for_status(0, "an established session", |status| {
        let neighbours = status["neighbours"].as_array().expect("neighbours");
        neighbours.iter().all(|neighbour| neighbour["state"] == "established") && status["state"] == "draining"
    });
    assert_eq!(status["by_hand"]["reason"], "planned", "{status:#}");
    scene.pair.wait_for_routes(FIRST, false, DEADLINE).expect("no routes");
    check_nothing_lost(&scene.record(begin_us, scene.prober.now_us()));
    scene.nodes[0].undrain().expect("parapet undrain");
    scene.wait_until_answered_by(FIRST);
    check_nothing_lost(&scene.record(begin_us, scene.prober.now_us()));
}
