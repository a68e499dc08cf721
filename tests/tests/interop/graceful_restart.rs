//! Graceful restart (RFC 4724) where the configuration has it: a daemon that dies keeps its routes at the routers until it is
//! back, one that is not well does not.

use parapet_lab::routers::RouterKind;

use crate::scene::{DEADLINE, Plan, Scene, Session, ZONE, status};

/// Longer than any test takes: what goes earlier went for another reason.
const RESTART_S: u16 = 120;

fn with_restart() -> Plan {
    Plan { graceful_restart_s: Some(RESTART_S), ..Plan::new() }
}

/// Waits until the routers have noticed that the edge is gone, and tells whether they all still have (or have no more)
/// what it announced.
fn wait_for_loss(scene: &Scene, keeps: impl Fn(&Session) -> bool) {
    for session in &scene.sessions {
        let lost = || (!scene.router(session).is_established(session.edge)).then_some(());
        parapet_lab::until("the router to notice", DEADLINE, lost)
            .unwrap_or_else(|why| panic!("{}: {why}", session.name));
    }
    for session in &scene.sessions {
        let expected = if keeps(session) { 2 } else { 0 };
        let settled = || (scene.routes(session).len() == expected).then_some(());
        parapet_lab::until(format!("{expected} routes"), DEADLINE, settled)
            .unwrap_or_else(|why| panic!("{}: {why}: {:#?}", session.name, scene.routes(session)));
    }
}

#[test]
fn routes_of_a_killed_edge_are_kept_until_it_is_back() {
    let mut scene = Scene::new("restart-kept", &with_restart());
    scene.edge.kill().expect("SIGKILL");
    // ExaBGP has no table, so there is nothing to keep.
    wait_for_loss(&scene, |session| session_kind(&scene, session) != RouterKind::ExaBgp);
    scene.edge.start_again().expect("parapet");
    scene.wait_until_established();
    scene.wait_for_routes();
}

fn session_kind(scene: &Scene, session: &Session) -> RouterKind {
    scene.kind(session)
}

#[test]
fn without_it_routes_of_a_killed_edge_go() {
    let mut scene = Scene::new("restart-off", &Plan::new());
    scene.edge.kill().expect("SIGKILL");
    wait_for_loss(&scene, |_| false);
    scene.edge.start_again().expect("parapet");
    scene.wait_until_established();
    scene.wait_for_routes();
}

#[test]
fn routers_restart_and_get_all_routes_again() {
    let mut scene = Scene::new("restart-routers", &with_restart());
    for router in &mut scene.routers {
        router.kill().expect("SIGKILL");
        router.start_again().expect("a router");
    }
    scene.wait_until_established();
    scene.wait_for_routes();
}

/// The routes of an edge that does not answer rightly are withdrawn at once, and stay away although the sessions have
/// graceful restart.
#[test]
fn what_health_withdraws_is_not_kept() {
    let plan = Plan { zone: "checks = [\"www A 192.0.2.80\"]", ..with_restart() };
    let mut scene = Scene::new("restart-health", &plan);
    // Where both ends connect at once, a router with graceful restart may begin anew: that was before.
    let flaps = scene.flaps();
    scene.named.update(ZONE, &format!("update delete www.{ZONE} A")).expect("an update");
    scene.wait_for_no_routes();
    assert_eq!(status(&scene.edge)["state"], "down", "{:#}", status(&scene.edge));
    assert_eq!(scene.flaps(), flaps, "the sessions stand");
    // Killed now and started again, it is still not well.
    scene.edge.kill().expect("SIGKILL");
    wait_for_loss(&scene, |_| false);
    scene.edge.start_again().expect("parapet");
    scene.wait_until_established();
    for session in &scene.sessions {
        assert!(scene.routes(session).is_empty(), "{}: {:#?}", session.name, scene.routes(session));
    }
    scene.named.update(ZONE, &format!("update add www.{ZONE} 300 A 192.0.2.80")).expect("an update");
    scene.wait_for_routes();
}
