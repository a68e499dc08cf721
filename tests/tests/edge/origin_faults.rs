//! Origins that have no differences to give, or have lost them: the edge takes the whole zone, and goes on.

use crate::origins::{Differences, Kind, Origin, ZONE, version, version_at};
use crate::scene::{DEADLINE, Scene, errors, status};

/// Of the last transfer.
fn transferred_records(edge: &parapet_lab::Edge) -> u64 {
    let shown = status(edge, ZONE);
    shown["origins"][0]["last_transfer"]["records"].as_u64().unwrap_or_else(|| panic!("{shown:#}"))
}

/// The control of the scenarios below: an origin that has differences sends them, and they are few.
fn differences_are_taken(kind: Kind) {
    let scene = Scene::new("ixfr-kept");
    let origin = Origin::start(&scene, kind, Differences::Kept, &version(1));
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let whole = transferred_records(&edge);
    origin.change_to(2);
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    assert_eq!(version_at(&scene, &edge), "2");
    let shown = status(&edge, ZONE);
    assert_eq!(shown["origins"][0]["last_transfer"]["question"], "IXFR", "{shown:#}");
    assert!(transferred_records(&edge) < whole / 2, "{} of {whole} records for one change", transferred_records(&edge));
}

#[test]
fn differences_from_named() {
    differences_are_taken(Kind::Named);
}

#[test]
fn differences_from_knot() {
    differences_are_taken(Kind::Knot);
}

/// NSD 4.6 adds every RRset of the apex again in the differences that it makes (`create-ixfr`), whether it is there already
/// or not. They are not applied: a difference that does not fit is a sign of another base. The whole zone comes instead, and
/// the reason is shown.
#[test]
fn differences_from_nsd_that_do_not_fit() {
    let scene = Scene::new("ixfr-misfit");
    let origin = Origin::start(&scene, Kind::Nsd, Differences::Kept, &version(1));
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    origin.change_to(2);
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    assert_eq!(version_at(&scene, &edge), "2");
    let shown = status(&edge, ZONE);
    assert_eq!(shown["origins"][0]["last_transfer"]["question"], "AXFR", "{shown:#}");
    let why = shown["origins"][0]["last_fallback"].as_str().unwrap_or_else(|| panic!("{shown:#}"));
    assert!(why.contains("there already"), "{why}");
}

/// `provide-ixfr no`, `provide-ixfr: off`, an NSD without `store-ixfr`: each refuses in a way of its own.
fn the_whole_zone_is_taken(kind: Kind) {
    let scene = Scene::new("ixfr-refused");
    let origin = Origin::start(&scene, kind, Differences::NotOffered, &version(1));
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let whole = transferred_records(&edge);
    for serial in 2..=3 {
        origin.change_to(serial);
        edge.wait_for_zone(ZONE, serial, DEADLINE).expect("the change");
        assert_eq!(version_at(&scene, &edge), serial.to_string());
        assert!(transferred_records(&edge) > whole, "a whole zone");
        assert_eq!(errors(&status(&edge, ZONE)), Vec::<String>::new());
    }
}

#[test]
fn named_refuses_ixfr() {
    the_whole_zone_is_taken(Kind::Named);
}

#[test]
fn nsd_refuses_ixfr() {
    the_whole_zone_is_taken(Kind::Nsd);
}

#[test]
fn knot_refuses_ixfr() {
    the_whole_zone_is_taken(Kind::Knot);
}

/// The edge sleeps through changes whose differences the origin then loses; what it asks for on waking is not there any
/// more. Differences that come later are taken again.
fn a_lost_journal_costs_one_whole_transfer(kind: Kind) {
    let scene = Scene::new("journal-lost");
    let mut origin = Origin::start(&scene, kind, Differences::Kept, &version(1));
    let mut edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let whole = transferred_records(&edge);
    edge.stop().expect("parapet stops");
    for serial in 2..=4 {
        origin.change_to(serial);
    }
    origin.lose_differences();
    origin.wait_for_zone(ZONE, 4, DEADLINE).expect("the origin's own answer");
    edge.start_again().expect("parapet");
    edge.wait_for_zone(ZONE, 4, DEADLINE).expect("the zone as it is now");
    assert_eq!(version_at(&scene, &edge), "4");
    assert!(transferred_records(&edge) > whole, "a whole zone");

    origin.change_to(5);
    edge.wait_for_zone(ZONE, 5, DEADLINE).expect("the next change");
    assert_eq!(version_at(&scene, &edge), "5");
    // What is wrong with NSD's differences is told above.
    assert!(kind == Kind::Nsd || transferred_records(&edge) < whole / 2, "differences again, as before");
}

#[test]
fn the_journal_is_lost_at_named() {
    a_lost_journal_costs_one_whole_transfer(Kind::Named);
}

#[test]
fn the_journal_is_lost_at_nsd() {
    a_lost_journal_costs_one_whole_transfer(Kind::Nsd);
}

#[test]
fn the_journal_is_lost_at_knot() {
    a_lost_journal_costs_one_whole_transfer(Kind::Knot);
}
