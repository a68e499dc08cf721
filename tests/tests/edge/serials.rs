//! A serial that goes backwards at the origin: the zone goes on being served, `parapet zones` says what is wrong, and the
//! operator's word cures it.

use parapet_lab::Edge;

use crate::origins::{Differences, Kind, Origin, ZONE, version, version_at};
use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n\
    [zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\nretry_s_max = 1\n";

/// The origin was rebuilt and has begun again.
fn go_back(origin: &mut Origin, serial: u32) {
    origin.stop();
    let path = origin.folder().join("zones").join(format!("{ZONE}.zone"));
    std::fs::write(path, version(serial)).expect("writing a zone");
    origin.start_again();
    origin.wait_for_zone(ZONE, serial, DEADLINE).expect("the origin's own answer");
}

/// The edge says that the origin's serial is lower than its own, and serves what it has.
fn complains(scene: &Scene, edge: &Edge, serial: u32) {
    let shown = wait_for_status(edge, ZONE, "the reason", |zone| errors(zone).iter().any(|why| why.contains("lower")));
    assert_eq!((&shown["state"], &shown["serial"]), (&"serving".into(), &serial.into()), "{shown:#}");
    assert_eq!(version_at(scene, edge), serial.to_string());
}

fn served_on_until_it_is_filled_again(kind: Kind) {
    let scene = Scene::new("backwards");
    let mut origin = Origin::start(&scene, kind, Differences::NotOffered, &version(100));
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 100, DEADLINE).expect("the zone");
    go_back(&mut origin, 7);
    complains(&scene, &edge, 100);

    edge.ask(&["fill", ZONE]).expect("parapet fill");
    let shown = wait_for_status(&edge, ZONE, "the origin's serial", |zone| zone["serial"] == 7);
    assert_eq!(version_at(&scene, &edge), "7");
    assert_eq!(shown["state"], "serving");
    wait_for_status(&edge, ZONE, "no error", |zone| errors(zone).is_empty());
    // From here on all is as before: what is newer than 7 is newer.
    origin.change_to(8);
    edge.wait_for_zone(ZONE, 8, DEADLINE).expect("the next change");
    assert_eq!(version_at(&scene, &edge), "8");
}

#[test]
fn the_serial_goes_backwards_at_named() {
    served_on_until_it_is_filled_again(Kind::Named);
}

#[test]
fn the_serial_goes_backwards_at_nsd() {
    served_on_until_it_is_filled_again(Kind::Nsd);
}

#[test]
fn the_serial_goes_backwards_at_knot() {
    served_on_until_it_is_filled_again(Kind::Knot);
}

/// RFC 1982: from just below 2^32 the next serial is a small one, and newer.
#[test]
fn a_serial_that_wraps_around_goes_forwards() {
    let scene = Scene::new("wraps");
    let text = |serial: u32| version(3).replace("hostmaster 3 ", &format!("hostmaster {serial} "));
    let origin = Origin::start(&scene, Kind::Named, Differences::Kept, &text(2_100_000_000));
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 2_100_000_000, DEADLINE).expect("the zone");
    for serial in [4_200_000_000, u32::MAX, 5] {
        origin.replace(&text(serial));
        edge.wait_for_zone(ZONE, serial, DEADLINE).expect("the change");
        wait_for_status(&edge, ZONE, "the serial", |zone| zone["serial"] == serial);
    }
    assert_eq!(errors(&status(&edge, ZONE)), Vec::<String>::new());
}
