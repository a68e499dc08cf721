//! An edge that is killed (SIGKILL) in the middle of a transfer serves its last good state when it starts again with the
//! origin out of reach: the old zone or the new one, whole, never a mixture and never nothing.

use std::fmt::Write as _;
use std::time::Duration;

use parapet_lab::{Edge, ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, status};

const ZONE: &str = "example.com";
/// Enough for a transfer that takes a while, few enough for a debug build on a busy machine.
const NAMES: u32 = 20_000;
/// When the edge is killed after the change, in tenths of the time that the first transfer took: before, during, while the
/// new copy goes to the disk, after.
const MOMENTS: [u32; 10] = [0, 4, 8, 12, 15, 18, 21, 24, 27, 30];

/// A zone whose every name says which version it is of.
fn version(serial: u32) -> String {
    let mut text = zone_text::head(ZONE).replace("hostmaster 1 ", &format!("hostmaster {serial} "));
    for number in 0..NAMES {
        let _ = writeln!(text, "n{number} TXT \"{serial}\"");
    }
    text
}

#[test]
fn killed_in_a_transfer_it_comes_back_with_one_whole_zone() {
    let scene = Scene::new("killed");
    let mut named = scene.origin().zone(ZoneSpec::text(ZONE, version(1))).start().expect("named");
    let mut edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let took_ms = status(&edge, ZONE)["origins"][0]["last_transfer"]["took_ms"].as_f64().expect("a transfer's time");
    let took = Duration::from_secs_f64(took_ms / 1000.0);
    let mut last = 1;
    for (serial, moment) in (2..).zip(MOMENTS) {
        // Just started, it may not take orders yet.
        let replace = || named.replace_zone(ZONE, &version(serial)).ok();
        parapet_lab::until("a new zone at the origin", DEADLINE, replace).expect("rndc reload");
        // Not a wait in hope: the moment of the kill is what varies.
        std::thread::sleep(took * moment / 10);
        edge.kill().expect("parapet ends");
        named.kill().expect("named ends");
        edge.start_again().expect("parapet");
        let found = edge.wait_for_zone(ZONE, last, DEADLINE).expect("its last good state");
        assert!(
            found == last || (found <= serial && found > last),
            "serial {found} after {last}, {serial} at the origin"
        );
        println!("killed after {:?}: serial {found} of {serial}", took * moment / 10);
        for number in (0..NAMES).step_by(997) {
            assert_eq!(text_at(&scene, &edge, &format!("n{number}")), found.to_string(), "n{number}");
        }
        // It notifies the edge as it starts.
        named.start_again().expect("named");
        // Its file must not change while it still reads it.
        named.wait_for_zone(ZONE, serial, DEADLINE).expect("the zone at the origin");
        edge.wait_for_zone(ZONE, serial, DEADLINE).expect("the new zone");
        last = serial;
    }
}

/// The one string of the one TXT record at a name.
fn text_at(scene: &Scene, edge: &Edge, name: &str) -> String {
    let answer = scene.ask(edge.v4(), &format!("{name}.{ZONE}"), Rtype::TXT);
    assert_eq!(answer.rcode, Rcode::NOERROR, "{name}");
    let texts: Vec<_> = answer.answer.values().flat_map(|(_, texts)| texts).collect();
    assert_eq!(texts.len(), 1, "{name}: {texts:?}");
    String::from_utf8_lossy(&texts[0][1..]).into_owned()
}

/// Kills while differences arrive one after the other. Update n makes serial n, says so at `latest`, and adds `n<n>`.
#[test]
fn killed_among_differences_it_comes_back_with_one_whole_zone() {
    let scene = Scene::new("killed-ixfr");
    let start = zone_text::small(ZONE) + "latest TXT \"1\"\n";
    let mut named = scene.origin().zone(ZoneSpec::text(ZONE, start).dynamic()).start().expect("named");
    let mut edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let mut serial = 1;
    for updates in [3, 1, 5, 2, 8, 4] {
        let known = edge.wait_for_zone(ZONE, serial, DEADLINE).expect("all changes so far");
        for _ in 0..updates {
            serial += 1;
            let lines = format!(
                "update delete latest.{ZONE} TXT\nupdate add latest.{ZONE} 300 TXT \"{serial}\"\n\
                 update add n{serial}.{ZONE} 300 TXT \"{serial}\""
            );
            named.update(ZONE, &lines).expect("an update");
        }
        edge.kill().expect("parapet ends");
        named.kill().expect("named ends");
        edge.start_again().expect("parapet");
        let found = edge.wait_for_zone(ZONE, known, DEADLINE).expect("its last good state");
        assert!(found <= serial, "serial {found}, the origin had {serial}");
        assert_eq!(text_at(&scene, &edge, "latest"), found.to_string());
        for number in 2..=serial {
            let there = scene.ask(edge.v4(), &format!("n{number}.{ZONE}"), Rtype::TXT).rcode == Rcode::NOERROR;
            assert_eq!(there, number <= found, "n{number} in serial {found}");
        }
        named.start_again().expect("named");
        named.wait_for_zone(ZONE, serial, DEADLINE).expect("the origin's zone");
    }
}
