//! Transfers need the right TSIG key, of any of the three algorithms; with a wrong one nothing changes, and
//! `parapet zones` says why.

use parapet_lab::{Edge, Named, TsigAlgorithm, TsigKey, ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

const ZONE: &str = "example.com";

fn zone() -> ZoneSpec {
    ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()
}

fn transfers_with(algorithm: TsigAlgorithm) {
    let mut scene = Scene::new("tsig");
    scene.key = TsigKey::generate_with(&scene.lab, "other", algorithm).expect("a key");
    let named = scene.origin().sign_notify().zone(zone()).start().expect("named");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
}

#[test]
fn sha256() {
    transfers_with(TsigAlgorithm::Sha256);
}

#[test]
fn sha384() {
    transfers_with(TsigAlgorithm::Sha384);
}

#[test]
fn sha512() {
    transfers_with(TsigAlgorithm::Sha512);
}

/// A zone that never came is answered with SERVFAIL, and the reason is shown.
fn never_comes(edge: &Edge, scene: &Scene, reason: &str) {
    let shown = wait_for_status(edge, ZONE, "an error", |zone| !errors(zone).is_empty());
    assert!(errors(&shown)[0].contains(reason), "wanted {reason:?}: {shown:#}");
    assert_eq!(shown["state"], "pending", "{shown:#}");
    assert_eq!(scene.ask(edge.v4(), ZONE, Rtype::SOA).rcode, Rcode::SERVFAIL);
}

#[test]
fn a_wrong_secret() {
    let scene = Scene::new("tsig-secret");
    let _named = scene.origin().zone(zone()).start().expect("named");
    let wrong = TsigKey::generate(&scene.lab, "transfer").expect("a key of the same name");
    let edge = Edge::at(scene.host("edge1")).origin(scene.host("origin").v4()).key(&wrong).zone(ZONE);
    never_comes(&edge.start().expect("parapet"), &scene, "BADSIG");
}

#[test]
fn an_unknown_key() {
    let scene = Scene::new("tsig-unknown");
    let _named = scene.origin().zone(zone()).start().expect("named");
    let wrong = TsigKey::generate(&scene.lab, "unheard-of").expect("another key");
    let edge = Edge::at(scene.host("edge1")).origin(scene.host("origin").v4()).key(&wrong).zone(ZONE);
    never_comes(&edge.start().expect("parapet"), &scene, "BADKEY");
}

#[test]
fn no_key_where_one_is_needed() {
    let scene = Scene::new("tsig-none");
    let _named = scene.origin().zone(zone()).start().expect("named");
    let edge = Edge::at(scene.host("edge1")).origin(scene.host("origin").v4()).zone(ZONE);
    never_comes(&edge.start().expect("parapet"), &scene, "REFUSED");
}

/// An edge that has the zone keeps it when the key goes wrong at the origin.
#[test]
fn a_key_that_goes_wrong_changes_nothing() {
    let scene = Scene::new("tsig-later");
    let named = scene.origin().zone(zone()).start().expect("named");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    named.stop().expect("named stops");
    let other = TsigKey::generate(&scene.lab, "transfer").expect("a key of the same name");
    let changed = zone_text::small(ZONE).replace("hostmaster 1 ", "hostmaster 5 ");
    let notify = scene.host("edge1").v4();
    let _named = Named::at(scene.host("origin")).key(&other).notify(notify).zone(ZoneSpec::text(ZONE, changed)).start();
    let shown =
        wait_for_status(&edge, ZONE, "an error", |zone| errors(zone).iter().any(|error| error.contains("BADSIG")));
    assert_eq!(shown["state"], "serving", "{shown:#}");
    assert_eq!(status(&edge, ZONE)["serial"], 1);
    assert_eq!(scene.ask(edge.v4(), ZONE, Rtype::SOA).rcode, Rcode::NOERROR);
}
