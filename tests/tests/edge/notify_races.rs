//! NOTIFY at bad moments: while a transfer runs, and just before the transfer that it causes fails.

use std::fmt::Write as _;
use std::time::Instant;

use parapet_lab::faults::{self, Fault};
use parapet_lab::{dns, until};
use serde_json::Value;

use crate::origins::{Differences, Kind, Origin, ZONE, version, version_at};
use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

/// Refresh as the zone says it, an hour: what happens here happens without it.
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n@MORE@";

/// Records that make a transfer last for half a minute on the slow wire, which is made fast again before that.
const PADDING: u32 = 4_000;
const SLOW_KBIT_PER_S: u32 = 250;

fn padded(serial: u32) -> String {
    let mut text = version(serial);
    for number in 0..PADDING {
        let _ = writeln!(text, "padding{number} TXT \"{serial} {}\"", "x".repeat(150));
    }
    text
}

fn is_attempting(edge: &parapet_lab::Edge) -> bool {
    status(edge, ZONE)["attempting"] == Value::Bool(true)
}

/// A NOTIFY for serial 3 comes in the middle of the transfer of serial 2, on a slow wire; in the end there is 3, an hour
/// before the edge would have looked by itself.
fn the_later_serial_arrives(kind: Kind) {
    let scene = Scene::new("notify-busy");
    let origin = Origin::start(&scene, kind, Differences::NotOffered, &padded(1));
    let edge = scene.edge_with_file(&FILE.replace("@MORE@", "ixfr = false\n")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");

    faults::limit_rate(scene.host("origin"), "router", SLOW_KBIT_PER_S).expect("a slow wire");
    origin.replace(&padded(2));
    until("the transfer begins", DEADLINE, || is_attempting(&edge).then_some(())).expect("an attempt");
    origin.replace(&padded(3));
    origin.wait_for_zone(ZONE, 3, DEADLINE).expect("the origin's own answer");
    let shown = status(&edge, ZONE);
    assert_eq!((&shown["attempting"], &shown["serial"]), (&true.into(), &1.into()), "still at it: {shown:#}");
    faults::unlimit_rate(scene.host("origin"), "router").expect("a fast wire");
    let mut seen = Vec::new();
    until("serial 3 at the edge", DEADLINE, || {
        let serial = dns::serial(scene.client(), edge.v4(), ZONE)?;
        if seen.last() != Some(&serial) {
            seen.push(serial);
        }
        (serial == 3).then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}: {seen:?}; {:#}", status(&edge, ZONE)));
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(version_at(&scene, &edge), "3");
    wait_for_status(&edge, ZONE, "no error", |zone| errors(zone).is_empty());
}

#[test]
fn a_notify_while_a_transfer_from_named_runs() {
    the_later_serial_arrives(Kind::Named);
}

#[test]
fn a_notify_while_a_transfer_from_nsd_runs() {
    the_later_serial_arrives(Kind::Nsd);
}

#[test]
fn a_notify_while_a_transfer_from_knot_runs() {
    the_later_serial_arrives(Kind::Knot);
}

/// The origin notifies, and refuses connections; the edge says so, tries again by itself and succeeds, an hour before
/// REFRESH would have made it look.
fn the_retry_succeeds(kind: Kind) {
    let scene = Scene::new("notify-fails");
    let origin = Origin::start(&scene, kind, Differences::Kept, &version(1));
    let edge = scene.edge_with_file(&FILE.replace("@MORE@", "")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let refused = Fault::reset_received(scene.host("origin"), "tcp dport 53").expect("a fault");
    origin.change_to(2);
    let shown = wait_for_status(&edge, ZONE, "an error", |zone| !errors(zone).is_empty());
    assert_eq!((&shown["state"], &shown["serial"]), (&"serving".into(), &1.into()), "{shown:#}");
    assert_eq!(version_at(&scene, &edge), "1");
    let lifted = Instant::now();
    refused.end().expect("connections are taken again");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change, by a retry");
    assert!(lifted.elapsed().as_secs() < 3600, "REFRESH");
    assert_eq!(version_at(&scene, &edge), "2");
    assert_eq!(errors(&status(&edge, ZONE)), Vec::<String>::new());
}

#[test]
fn a_transfer_from_named_fails_after_notify_and_the_retry_succeeds() {
    the_retry_succeeds(Kind::Named);
}

#[test]
fn a_transfer_from_nsd_fails_after_notify_and_the_retry_succeeds() {
    the_retry_succeeds(Kind::Nsd);
}

#[test]
fn a_transfer_from_knot_fails_after_notify_and_the_retry_succeeds() {
    the_retry_succeeds(Kind::Knot);
}

/// Cut off in the middle: what has come so far is nothing, and the next attempt brings it all.
#[test]
fn a_transfer_that_breaks_off_in_the_middle_is_made_again() {
    let scene = Scene::new("notify-breaks");
    let origin = Origin::start(&scene, Kind::Named, Differences::NotOffered, &padded(1));
    let edge = scene.edge_with_file(&FILE.replace("@MORE@", "ixfr = false\n")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    faults::limit_rate(scene.host("origin"), "router", SLOW_KBIT_PER_S).expect("a slow wire");
    origin.replace(&padded(2));
    until("the transfer begins", DEADLINE, || is_attempting(&edge).then_some(())).expect("an attempt");
    let broken = Fault::reset_received(scene.host("origin"), "tcp dport 53").expect("a fault");
    wait_for_status(&edge, ZONE, "an error", |zone| !errors(zone).is_empty());
    assert_eq!(version_at(&scene, &edge), "1");
    broken.end().expect("connections are taken again");
    faults::unlimit_rate(scene.host("origin"), "router").expect("a fast wire");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change, by a retry");
    assert_eq!(version_at(&scene, &edge), "2");
}
