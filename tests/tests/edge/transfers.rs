//! How a zone travels: as differences or whole, from the address that the file says, in as many messages as it takes, on a
//! NOTIFY that has to be signed.

use std::fmt::Write as _;

use parapet_lab::{ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, notify_from, status};

const ZONE: &str = "example.com";
const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n@MORE@[zone.\"example.com\"]\norigins = [\"bind\"]\n";

fn zone() -> ZoneSpec {
    ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()
}

/// `AXFR` or `IXFR`: what the last transfer was.
fn last_question(edge: &parapet_lab::Edge) -> String {
    let shown = status(edge, ZONE);
    shown["origins"][0]["last_transfer"]["question"].as_str().unwrap_or_else(|| panic!("{shown:#}")).to_owned()
}

#[test]
fn first_whole_then_differences() {
    let scene = Scene::new("ixfr");
    let named = scene.origin().zone(zone()).start().expect("named");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    assert_eq!(last_question(&edge), "AXFR");
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    assert_eq!(last_question(&edge), "IXFR");
}

#[test]
fn always_whole_where_the_file_says_so() {
    let scene = Scene::new("axfr");
    let named = scene.origin().zone(zone()).start().expect("named");
    let edge = scene.edge_with_file(&(FILE.replace("@MORE@", "") + "ixfr = false\n")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    assert_eq!(last_question(&edge), "AXFR");
}

#[test]
fn from_the_source_address_that_the_file_says() {
    let scene = Scene::new("source");
    let source = "10.11.0.88";
    scene.host("edge1").address("router", source.parse().expect("an address"), 24).expect("a second address");
    let named = scene.origin().zone(zone()).start().expect("named");
    let file = FILE.replace("@MORE@", &format!("source_v4 = \"{source}\"\n"));
    let edge = scene.edge_with_file(&file).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let log = named.process().output();
    let line = log.lines().find(|line| line.contains("AXFR started")).expect("named says who transfers");
    assert!(line.contains(&format!(" {source}#")), "{line}");
}

#[test]
fn a_notify_has_to_be_signed_where_the_file_says_so() {
    let scene = Scene::new("notify-key");
    let mut named = scene.origin().zone(zone()).start().expect("named");
    let file = FILE.replace("@MORE@", "notify_key_required = true\n");
    let edge = scene.edge_with_file(&file).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    // This named does not sign; and so does not who speaks from its address.
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    assert_ne!(notify_from(scene.host("origin"), &edge, ZONE), Rcode::NOERROR);
    assert_eq!(status(&edge, ZONE)["serial"], 1, "an unsigned NOTIFY was taken");

    let path = named.folder().join("named.conf");
    let text = std::fs::read_to_string(&path).expect("named.conf");
    let target = scene.host("edge1").v4();
    let signed =
        text.replace(&format!("also-notify {{ {target} ; }}"), &format!("also-notify {{ {target} key transfer; }}"));
    assert_ne!(text, signed);
    std::fs::write(&path, signed).expect("writing named.conf");
    named.start_again().expect("named");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change, after a signed NOTIFY");
}

/// More differences than one message holds, records added and taken away again, and at the end nothing left over.
#[test]
fn differences_of_many_messages() {
    const NAMES: u32 = 4_000;
    /// An update is one message.
    const NAMES_PER_UPDATE: u32 = 500;
    let scene = Scene::new("large-ixfr");
    let named = scene.origin().zone(zone()).start().expect("named");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let records = status(&edge, ZONE)["records"].clone();
    let mut serial = 1;
    for action in ["add", "delete"] {
        // The edge is away while the changes pile up, and takes them all at once.
        edge.kill().expect("parapet ends");
        for from in (0..NAMES).step_by(NAMES_PER_UPDATE as usize) {
            let mut lines = String::new();
            for number in from..from + NAMES_PER_UPDATE {
                let _ = writeln!(lines, "update {action} n{number}.{ZONE} 300 TXT \"{}\"", "x".repeat(40));
            }
            named.update(ZONE, lines.trim_end()).expect("an update");
            serial += 1;
        }
        let mut again = scene.edge().zone(ZONE).start().expect("parapet");
        again.wait_for_zone(ZONE, serial, DEADLINE).expect("all changes");
        assert_eq!(last_question(&again), "IXFR");
        let rcode = if action == "add" { Rcode::NOERROR } else { Rcode::NXDOMAIN };
        for number in (0..NAMES).step_by(371) {
            assert_eq!(scene.ask(again.v4(), &format!("n{number}.{ZONE}"), Rtype::TXT).rcode, rcode, "n{number}");
        }
        if action == "delete" {
            assert_eq!(status(&again, ZONE)["records"], records);
        }
        again.start_again().expect("parapet");
        assert_eq!(again.wait_for_zone(ZONE, serial, DEADLINE).expect("the same from the disk"), serial);
        again.kill().expect("parapet ends");
    }
}
