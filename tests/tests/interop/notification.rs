//! A session that is shut down by hand says so, with its operator's words (RFC 9003), in both directions.

use parapet_lab::routers::RouterKind;
use serde_json::Value;

use crate::scene::{DEADLINE, Plan, Scene, wait_for_neighbour};

const MESSAGE: &str = "line cards until 0600";
/// Cease / Administrative Shutdown (RFC 4486).
const SHUTDOWN: (u64, u64) = (6, 2);

fn last(neighbour: &Value) -> (u64, u64) {
    let of = |field: &str| neighbour["last_notification"][field].as_u64().unwrap_or_default();
    (of("code"), of("subcode"))
}

#[test]
fn routers_shut_down_with_a_message() {
    let scene = Scene::new("shutdown", &Plan::new());
    for session in &scene.sessions {
        scene.router(session).shut_down(session.edge, MESSAGE).expect("a shutdown");
    }
    for session in &scene.sessions {
        let shown = wait_for_neighbour(&scene.edge, &session.name, "an administrative shutdown", |neighbour| {
            last(neighbour) == SHUTDOWN && neighbour["last_notification"]["sent"] == false
        });
        let words = shown["last_notification"]["words"].as_str().unwrap_or_default();
        // GoBGP and ExaBGP have no way to say any.
        let says = matches!(scene.kind(session), RouterKind::Bird | RouterKind::Frr);
        assert!(words.contains(MESSAGE) || !says, "{shown:#}");
    }
    for session in &scene.sessions {
        scene.router(session).enable(session.edge).expect("a session again");
    }
    scene.wait_until_established();
    scene.wait_for_routes();
}

/// The edge that stops withdraws first and says goodbye to every router.
#[test]
fn an_edge_that_stops_says_so() {
    let scene = Scene::new("stop", &Plan { graceful_restart_s: Some(60), ..Plan::new() });
    let status = scene.edge.stop().expect("parapet ends");
    assert_eq!(status.code(), Some(0), "{}", scene.edge.process().output());
    // Also where graceful restart was agreed on: it was not an accident.
    for session in &scene.sessions {
        let gone =
            || (!scene.router(session).is_established(session.edge) && scene.routes(session).is_empty()).then_some(());
        let found = parapet_lab::until("the routes to go", DEADLINE, gone);
        found.unwrap_or_else(|error| panic!("{}: {error}: {:#?}", session.name, scene.routes(session)));
    }
}
