//! A transfer beyond its bounds is broken off: it changes nothing, and `parapet zones` says which bound it was.

use std::fmt::Write as _;

use parapet_lab::{ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

const ZONE: &str = "example.com";
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n\
    [zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\nretry_s_max = 1\n\
    [zone.\"example.com\".transfer]\n";

fn grown(serial: u32, names: u32) -> String {
    let mut text = zone_text::small(ZONE).replace("hostmaster 1 ", &format!("hostmaster {serial} "));
    for number in 0..names {
        let _ = writeln!(text, "n{number} TXT \"{}\"", "x".repeat(200));
    }
    text
}

fn stops_at(name: &str, limit: &str) {
    let scene = Scene::new("limits");
    let named = scene.origin().zone(ZoneSpec::text(ZONE, grown(1, 10))).start().expect("named");
    let edge = scene.edge_with_file(&format!("{FILE}{limit}\n")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone while it is small");
    named.replace_zone(ZONE, &grown(2, 2000)).expect("a larger zone");
    let shown = wait_for_status(&edge, ZONE, "an error", |zone| errors(zone).iter().any(|why| why.contains(name)));
    assert_eq!((&shown["state"], &shown["serial"]), (&"serving".into(), &1.into()), "{shown:#}");
    assert_eq!(scene.ask(edge.v4(), "n9.example.com", Rtype::TXT).rcode, Rcode::NOERROR);
    assert_eq!(scene.ask(edge.v4(), "n10.example.com", Rtype::TXT).rcode, Rcode::NXDOMAIN);
    named.replace_zone(ZONE, &grown(3, 11)).expect("a small zone again");
    edge.wait_for_zone(ZONE, 3, DEADLINE).expect("the zone that fits");
    assert_eq!(errors(&status(&edge, ZONE)), Vec::<String>::new());
}

#[test]
fn too_many_records() {
    stops_at("records_max", "records_max = 1000");
}

#[test]
fn too_many_bytes() {
    stops_at("bytes_max", "bytes_max = 100000");
}
