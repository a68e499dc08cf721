//! A copy that no origin confirms expires (RFC 1035 §3.3.13): SERVFAIL with an extended DNS error, until the origin is
//! back, whatever its serial then is.

use parapet_lab::{ZoneSpec, until, zone_text};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

const ZONE: &str = "example.com";
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n\
    on_expire = \"@EXPIRE@\"\n[zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\n\
    retry_s_max = 1\nexpire_s_min = 1\nexpire_s_max = 3\n";

fn text(serial: u32) -> String {
    zone_text::small(ZONE).replace("hostmaster 1 ", &format!("hostmaster {serial} "))
}

#[test]
fn servfail_with_a_reason_until_the_origin_is_back_with_any_serial() {
    let scene = Scene::new("expiry");
    let mut named = scene.origin().zone(ZoneSpec::text(ZONE, text(100))).start().expect("named");
    let mut edge = scene.edge_with_file(&FILE.replace("@EXPIRE@", "servfail")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 100, DEADLINE).expect("the zone");

    named.stop().expect("named stops");
    let expired = || {
        let answer = scene.ask(edge.v4(), "www.example.com", Rtype::A);
        (answer.rcode == Rcode::SERVFAIL).then_some(answer)
    };
    let answer = until("SERVFAIL", DEADLINE, expired).expect("the zone expires");
    assert!(!answer.extended_errors.is_empty(), "no extended DNS error: {answer}");
    assert!(answer.answer.is_empty() && !answer.aa, "{answer}");
    assert_eq!(status(&edge, ZONE)["state"], "expired");

    // A start does not make an expired copy good again.
    edge.start_again().expect("parapet");
    wait_for_status(&edge, ZONE, "expired after a start", |zone| zone["state"] == "expired");
    assert_eq!(scene.ask(edge.v4(), ZONE, Rtype::SOA).rcode, Rcode::SERVFAIL);

    // The operator rebuilt the origin and began again with a low serial.
    let lower = named.folder().join("zones").join(format!("{ZONE}.zone"));
    std::fs::write(lower, text(7)).expect("writing a zone");
    named.start_again().expect("named");
    let serial = until("recovery", DEADLINE, || parapet_lab::dns::serial(scene.client(), edge.v4(), ZONE));
    assert_eq!(serial.expect("the zone is served again"), 7);
    assert_eq!(scene.ask(edge.v4(), "www.example.com", Rtype::A).rcode, Rcode::NOERROR);
}

#[test]
fn a_lower_serial_is_not_taken_before_the_copy_expires() {
    let scene = Scene::new("lower");
    let mut named = scene.origin().zone(ZoneSpec::text(ZONE, text(100))).start().expect("named");
    let file = FILE.replace("@EXPIRE@", "servfail").replace("expire_s_max = 3", "expire_s_max = 3600");
    let edge = scene.edge_with_file(&file).start().expect("parapet");
    edge.wait_for_zone(ZONE, 100, DEADLINE).expect("the zone");
    named.stop().expect("named stops");
    std::fs::write(named.folder().join("zones").join(format!("{ZONE}.zone")), text(7)).expect("writing a zone");
    named.start_again().expect("named");
    named.wait_for_zone(ZONE, 7, DEADLINE).expect("the zone at the origin");
    let shown = wait_for_status(&edge, ZONE, "the reason", |zone| errors(zone).iter().any(|why| why.contains("lower")));
    assert_eq!((&shown["state"], &shown["serial"]), (&"serving".into(), &100.into()), "{shown:#}");
}

#[test]
fn on_expire_serve_goes_on_answering() {
    let scene = Scene::new("serve");
    let named = scene.origin().zone(ZoneSpec::text(ZONE, text(100))).start().expect("named");
    let edge = scene.edge_with_file(&FILE.replace("@EXPIRE@", "serve")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 100, DEADLINE).expect("the zone");
    named.stop().expect("named stops");
    wait_for_status(&edge, ZONE, "past its expiry", |zone| zone["age_s"].as_f64().is_some_and(|age| age > 4.0));
    assert_eq!(scene.ask(edge.v4(), "www.example.com", Rtype::A).rcode, Rcode::NOERROR);
}
