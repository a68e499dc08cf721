//! Zones that are pulled: a full copy, fetched every so often, from whatever origin, without any NOTIFY; one that comes is
//! heeded all the same.

use parapet_lab::faults::Fault;

use crate::origins::{Differences, Kind, Origin, ZONE, version, version_at};
use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n\
    mode = \"pull\"\npull_interval_s = @INTERVAL@\n";

/// The zone's own REFRESH is an hour; the interval is a second.
fn every_second(kind: Kind) {
    let scene = Scene::new("pull");
    let origin = Origin::start(&scene, kind, Differences::Kept, &version(1));
    let what = format!("ip daddr {} udp dport 53", scene.host("edge1").v4());
    let _lost = Fault::lose_sent(scene.host("origin"), &what).expect("a fault");
    let mut edge = scene.edge_with_file(&FILE.replace("@INTERVAL@", "1")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    for serial in 2..=3 {
        origin.change_to(serial);
        edge.wait_for_zone(ZONE, serial, DEADLINE).expect("the change, without a NOTIFY");
        assert_eq!(version_at(&scene, &edge), serial.to_string());
    }
    let shown = status(&edge, ZONE);
    assert_eq!((&shown["mode"], &shown["state"]), (&"pull".into(), &"serving".into()), "{shown:#}");

    // The origin goes away and comes back; so does the edge, which has its copy.
    origin.stop();
    wait_for_status(&edge, ZONE, "an error", |zone| !errors(zone).is_empty());
    edge.start_again().expect("parapet");
    edge.wait_for_zone(ZONE, 3, DEADLINE).expect("the copy on disk");
    let mut origin = origin;
    origin.start_again();
    origin.wait_for_zone(ZONE, 3, DEADLINE).expect("the origin's own answer");
    origin.change_to(4);
    edge.wait_for_zone(ZONE, 4, DEADLINE).expect("the change, without a NOTIFY");
}

#[test]
fn from_named() {
    every_second(Kind::Named);
}

#[test]
fn from_nsd() {
    every_second(Kind::Nsd);
}

#[test]
fn from_knot() {
    every_second(Kind::Knot);
}

/// An interval of an hour, and a NOTIFY: nobody waits for the hour.
#[test]
fn a_notify_is_heeded() {
    let scene = Scene::new("pull-notify");
    let origin = Origin::start(&scene, Kind::Named, Differences::Kept, &version(1));
    let edge = scene.edge_with_file(&FILE.replace("@INTERVAL@", "3600")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    origin.change_to(2);
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    assert_eq!(version_at(&scene, &edge), "2");
}
