//! A router that sends a million routes costs bounded memory, and no session: its own neither.

use parapet_lab::scripted_router::message::{ROUTE_REFRESH, UPDATE, mandatory, message, prefix, update};

use crate::scene::{DEADLINE, count, wait_for_neighbour};
use crate::scripted_scene::{OWN_AS, ScriptedScene, scripted};

const ROUTES: u32 = 1 << 20;
/// In one UPDATE; four octets each, so that it stays below 4096.
const ROUTES_OF_UPDATE: u32 = 1000;
/// One octet kept of each route would be a million; what is kept of a thousand is a tenth of it.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// A prefix of 24 bits for each number.
fn nth(number: u32) -> Vec<u8> {
    let [_, a, b, c] = (number + (11 << 16)).to_be_bytes();
    prefix([a, b, c, 0].into(), 24)
}

#[test]
fn a_million_routes() {
    let scene = ScriptedScene::new("million", 1);
    let mut session = scene.establish(0);
    let before = scene.edge.process().own_bytes();
    let attributes = mandatory(&[OWN_AS, 65001, 65002], [10, 11, 0, 1].into());
    let mut peak = before;
    // Announced, announced again with another path, withdrawn.
    let others = mandatory(&[OWN_AS, 65003], [10, 11, 0, 1].into());
    for attributes in [Some(attributes), Some(others), None] {
        let mut first = 0;
        while first < ROUTES {
            let last = (first + ROUTES_OF_UPDATE).min(ROUTES);
            let prefixes: Vec<u8> = (first..last).flat_map(nth).collect();
            let message = match &attributes {
                Some(attributes) => update(&[], attributes, &prefixes),
                None => update(&prefixes, &[], &[]),
            };
            session.send(&message).expect("the session takes it");
            first = last;
        }
        peak = peak.max(scene.edge.process().own_bytes());
    }
    let sent = u64::from(ROUTES);
    let shown = wait_for_neighbour(&scene.edge, &scripted(0), "all of them counted", |neighbour| {
        count(&neighbour["received"]["withdrawn"]) >= sent
    });
    peak = peak.max(scene.edge.process().own_bytes());
    assert_eq!(count(&shown["received"]["announced"]), 2 * sent, "{shown:#}");
    assert_eq!(shown["state"], "established", "{shown:#}");
    assert_eq!(count(&shown["received"]["kept"]), 0, "{shown:#}");
    assert!(peak < before + GROWTH_BYTES_MAX, "from {before} to {peak} bytes");
    // It still speaks: asked again for its routes of IPv4, it sends them.
    session.send(&message(ROUTE_REFRESH, &[0, 1, 0, 1])).expect("the session takes it");
    session.expect(UPDATE, DEADLINE).expect("an UPDATE");
    scene.check_others();
}
