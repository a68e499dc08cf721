//! BFD with the routers that have it, BIRD and FRR: it comes up, and who is frozen is gone long before the hold time.

use parapet_lab::routers::RouterKind;

use crate::scene::{DEADLINE, Plan, Scene, wait_for_neighbour};

/// Cease / BFD Down (RFC 9384).
const BFD_DOWN: (u64, u64) = (6, 10);

fn plan() -> Plan {
    Plan { kinds: vec![RouterKind::Bird, RouterKind::Frr], bfd: true, ..Plan::new() }
}

fn wait_until_bfd_is_up(scene: &Scene) {
    for session in &scene.sessions {
        wait_for_neighbour(&scene.edge, &session.name, "BFD", |neighbour| neighbour["bfd"]["state"] == "up");
        scene.wait(session, "BFD at the router", || {
            scene.router(session).bfd_state(session.edge).is_some_and(|state| state == "up")
        });
    }
}

#[test]
fn frozen_routers_are_gone_at_once() {
    let scene = Scene::new("bfd", &plan());
    wait_until_bfd_is_up(&scene);
    for session in &scene.sessions {
        let shown = wait_for_neighbour(&scene.edge, &session.name, "its intervals", |neighbour| {
            neighbour["bfd"]["detection_ms"].as_f64().is_some_and(|found| (100.0..=200.0).contains(&found))
        });
        assert!(shown["bfd"]["transmit_ms"].as_f64().is_some_and(|found| found <= 50.0), "{shown:#}");
    }
    for router in &scene.routers {
        router.freeze().expect("SIGSTOP");
    }
    for session in &scene.sessions {
        let shown = wait_for_neighbour(&scene.edge, &session.name, "the end of the session", |neighbour| {
            neighbour["flaps"].as_u64().is_some_and(|flaps| flaps > 0)
        });
        let of = |field: &str| shown["last_notification"][field].as_u64().unwrap_or_default();
        assert_eq!((of("code"), of("subcode")), BFD_DOWN, "not the hold timer: {shown:#}");
        assert_ne!(shown["bfd"]["state"], "up", "{shown:#}");
    }
    for router in &scene.routers {
        router.thaw().expect("SIGCONT");
    }
    scene.wait_until_established();
    wait_until_bfd_is_up(&scene);
    scene.wait_for_routes();
}

#[test]
fn a_frozen_edge_is_gone_at_once() {
    let scene = Scene::new("bfd-edge", &plan());
    wait_until_bfd_is_up(&scene);
    let signal = |which: &str| {
        let pid = scene.edge.process().pid().to_string();
        scene.net.host("edge").run("kill", &[which, &pid]).expect("a signal");
    };
    signal("-STOP");
    for session in &scene.sessions {
        let down = || scene.router(session).bfd_state(session.edge).is_none_or(|state| state != "up").then_some(());
        parapet_lab::until("BFD down at the router", DEADLINE, down)
            .unwrap_or_else(|why| panic!("{}: {why}", session.name));
        let gone = || scene.routes(session).is_empty().then_some(());
        parapet_lab::until("no routes", DEADLINE, gone).unwrap_or_else(|why| panic!("{}: {why}", session.name));
    }
    signal("-CONT");
    scene.wait_until_established();
    wait_until_bfd_is_up(&scene);
    scene.wait_for_routes();
}
