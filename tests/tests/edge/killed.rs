//! An edge that is killed (SIGKILL) in the middle of a transfer serves its last good state when it starts again with the
//! origin out of reach: the old zone or the new one, whole, never a mixture and never nothing.

use std::fmt::Write as _;
use std::time::Duration;

use parapet_lab::{ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene};

const ZONE: &str = "example.com";
/// Enough for a transfer that takes a while, few enough for a debug build on a busy machine.
const NAMES: u32 = 20_000;
/// How long after the change the edge is killed.
const MOMENTS_MS: [u64; 8] = [0, 10, 25, 50, 100, 200, 400, 800];

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
    let mut last = 1;
    for (serial, moment) in (2..).zip(MOMENTS_MS) {
        // Just started, it may not take orders yet.
        let replace = || named.replace_zone(ZONE, &version(serial)).ok();
        parapet_lab::until("a new zone at the origin", DEADLINE, replace).expect("rndc reload");
        // Not a wait in hope: the moment of the kill is what varies.
        std::thread::sleep(Duration::from_millis(moment));
        edge.kill().expect("parapet ends");
        named.kill().expect("named ends");
        edge.start_again().expect("parapet");
        let found = edge.wait_for_zone(ZONE, last, DEADLINE).expect("its last good state");
        assert!(
            found == last || (found <= serial && found > last),
            "serial {found} after {last}, {serial} at the origin"
        );
        for number in (0..NAMES).step_by(997) {
            let answer = scene.ask(edge.v4(), &format!("n{number}.{ZONE}"), Rtype::TXT);
            let texts: Vec<_> = answer.answer.values().flat_map(|(_, texts)| texts).cloned().collect();
            let text = found.to_string();
            let wanted = [&[text.len() as u8], text.as_bytes()].concat();
            assert_eq!((answer.rcode, texts), (Rcode::NOERROR, vec![wanted]), "n{number} in serial {found}");
        }
        // It notifies the edge as it starts.
        named.start_again().expect("named");
        edge.wait_for_zone(ZONE, serial, DEADLINE).expect("the new zone");
        last = serial;
    }
}
