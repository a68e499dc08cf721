//! A NOTIFY that never arrives: the SOA timers find the change, whatever the origin is; and where a later NOTIFY arrives,
//! it brings everything that was missed.

use parapet_lab::faults::Fault;

use crate::origins::{Differences, Kind, Origin, ZONE, version, version_at};
use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

/// The zone's own REFRESH is an hour; this file asks every second.
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n";
const EVERY_SECOND: &str =
    "[zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\nretry_s_max = 1\n";

/// NOTIFY is the only thing that the origin sends to port 53 of the edge.
fn lose_notifies(scene: &Scene) -> Fault {
    let what = format!("ip daddr {} udp dport 53", scene.host("edge1").v4());
    Fault::lose_sent(scene.host("origin"), &what).expect("a fault")
}

fn the_timers_find_it(kind: Kind) {
    let scene = Scene::new("notify-lost");
    let origin = Origin::start(&scene, kind, Differences::Kept, &version(1));
    let edge = scene.edge_with_file(&format!("{FILE}{EVERY_SECOND}")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let _lost = lose_notifies(&scene);
    origin.change_to(2);
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change, without a NOTIFY");
    assert_eq!(version_at(&scene, &edge), "2");
    assert_eq!(errors(&status(&edge, ZONE)), Vec::<String>::new());
}

#[test]
fn the_timers_find_the_change_at_named() {
    the_timers_find_it(Kind::Named);
}

#[test]
fn the_timers_find_the_change_at_nsd() {
    the_timers_find_it(Kind::Nsd);
}

#[test]
fn the_timers_find_the_change_at_knot() {
    the_timers_find_it(Kind::Knot);
}

/// With an hour until the next look of its own, the edge knows nothing of two changes, and has both with the third.
#[test]
fn the_next_notify_brings_all_that_was_missed() {
    let scene = Scene::new("notify-later");
    let origin = Origin::start(&scene, Kind::Named, Differences::Kept, &version(1));
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let shown = wait_for_status(&edge, ZONE, "the next look is planned", |zone| !zone["next_attempt_in_s"].is_null());
    assert!(shown["next_attempt_in_s"].as_f64().is_some_and(|wait| wait > 600.0), "{shown:#}");

    let lost = lose_notifies(&scene);
    origin.change_to(2);
    origin.change_to(3);
    assert_eq!(status(&edge, ZONE)["serial"], 1, "nobody told it");
    lost.end().expect("packets pass again");
    origin.change_to(4);
    edge.wait_for_zone(ZONE, 4, DEADLINE).expect("all three changes");
    assert_eq!(version_at(&scene, &edge), "4");
    assert_eq!(status(&edge, ZONE)["origins"][0]["last_transfer"]["question"], "IXFR");
}
