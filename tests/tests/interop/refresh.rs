//! A router that asks for the routes again (RFC 2918, RFC 7313) gets them again, without a flap.

use parapet_lab::routers::RouterKind;

use crate::scene::{Plan, Scene, count, neighbour, wait_for_neighbour};

/// GoBGP keeps what it received, and looks at that again instead of asking.
const WHO_ASK: [RouterKind; 3] = [RouterKind::Bird, RouterKind::Frr, RouterKind::ExaBgp];

#[test]
fn routes_are_sent_again() {
    let scene = Scene::new("refresh", &Plan { kinds: WHO_ASK.to_vec(), ..Plan::new() });
    let flaps = scene.flaps();
    let sent = |name: &str| count(&neighbour(&scene.edge, name)["updates_sent"]);
    for _ in 0..2 {
        let before: Vec<u64> = scene.sessions.iter().map(|session| sent(&session.name)).collect();
        for session in &scene.sessions {
            scene.router(session).refresh(session.edge).expect("a refresh");
        }
        for (session, before) in scene.sessions.iter().zip(before) {
            // One UPDATE a family at least.
            wait_for_neighbour(&scene.edge, &session.name, "the routes sent again", |neighbour| {
                count(&neighbour["updates_sent"]) >= before + 2
            });
        }
    }
    scene.wait_for_routes();
    assert_eq!(scene.flaps(), flaps);
}
