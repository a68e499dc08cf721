//! Who falls silent is gone when the hold time has passed: a frozen router to the edge, the frozen edge to its routers.
//! Nothing else can notice it, for there is no BFD.

use crate::scene::{Plan, Scene, wait_for_neighbour};

/// Hold Timer Expired (RFC 4271 §4.5).
const HOLD_TIMER_EXPIRED: u64 = 4;

#[test]
fn frozen_routers_and_a_frozen_edge() {
    let scene = Scene::new("hold", &Plan::new());
    for router in &scene.routers {
        router.freeze().expect("SIGSTOP");
    }
    for session in &scene.sessions {
        let shown = wait_for_neighbour(&scene.edge, &session.name, "the end of the session", |neighbour| {
            neighbour["last_notification"]["code"].as_u64() == Some(HOLD_TIMER_EXPIRED)
        });
        assert_eq!(shown["last_notification"]["sent"], true, "{shown:#}");
        assert_ne!(shown["state"], "established", "{shown:#}");
        assert_eq!(shown["flaps"], 1, "{shown:#}");
        let problem = shown["problem"].as_str().unwrap_or_default().to_lowercase();
        assert!(problem.contains("hold"), "it says why: {shown:#}");
    }
    for router in &scene.routers {
        router.thaw().expect("SIGCONT");
    }
    scene.wait_until_established();
    scene.wait_for_routes();

    let signal = |which: &str| {
        let pid = scene.edge.process().pid().to_string();
        scene.net.host("edge").run("kill", &[which, &pid]).expect("a signal");
    };
    signal("-STOP");
    for session in &scene.sessions {
        let left = || !scene.router(session).is_established(session.edge) && scene.routes(session).is_empty();
        let found =
            parapet_lab::until("the router to give the edge up", crate::scene::DEADLINE, || left().then_some(()));
        found.unwrap_or_else(|error| panic!("{}: {error}", session.name));
    }
    signal("-CONT");
    scene.wait_until_established();
    scene.wait_for_routes();
}
