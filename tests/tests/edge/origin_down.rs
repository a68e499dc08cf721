//! When the origin goes down, answers go on, `parapet zones` shows it, an edge that starts again serves what it has on
//! disk; and when the origin is back, its changes arrive.

use parapet_lab::{ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

const ZONE: &str = "example.com";
/// Timers short enough to see what the edge does when they run out.
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"example.com\"]\norigins = [\"bind\"]\n\
    [zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\nretry_s_max = 1\n";

#[test]
fn answers_go_on_and_changes_arrive_when_it_is_back() {
    let scene = Scene::new("down");
    let mut named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start().expect("named");
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    assert_eq!(errors(&status(&edge, ZONE)), Vec::<String>::new());

    named.stop().expect("named stops");
    let shown = wait_for_status(&edge, ZONE, "an error", |zone| !errors(zone).is_empty());
    assert_eq!((&shown["state"], &shown["serial"]), (&"serving".into(), &1.into()), "{shown:#}");
    let answer = scene.ask(edge.v4(), "www.example.com", Rtype::A);
    assert_eq!((answer.rcode, answer.aa), (Rcode::NOERROR, true));

    named.start_again().expect("named");
    named.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone at the origin");
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    wait_for_status(&edge, ZONE, "no error", |zone| errors(zone).is_empty());
}

/// Changes that come by IXFR are on disk as well: the edge starts with the last of them.
#[test]
fn an_edge_starts_from_its_disk_with_the_origin_gone() {
    let scene = Scene::new("restart");
    let named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start().expect("named");
    let mut edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    for serial in 2..=9 {
        named.update(ZONE, &format!("update add n{serial}.example.com 300 A 192.0.2.{serial}")).expect("an update");
        edge.wait_for_zone(ZONE, serial, DEADLINE).expect("the change");
    }
    named.kill().expect("named ends");
    for _ in 0..2 {
        edge.start_again().expect("parapet");
        assert_eq!(edge.wait_for_zone(ZONE, 9, DEADLINE).expect("the zone"), 9);
        for serial in 2..=9 {
            let answer = scene.ask(edge.v4(), &format!("n{serial}.example.com"), Rtype::A);
            assert_eq!((answer.rcode, answer.answer.len()), (Rcode::NOERROR, 1), "n{serial}");
        }
    }
    assert_eq!(status(&edge, ZONE)["state"], "serving");
}
