//! Origins as networks have them: with several addresses, one of which sends the NOTIFYs; and two for one zone, which do
//! not have the same serial.

use std::time::{Duration, Instant};

use parapet_lab::counters::Counters;
use parapet_lab::faults::Fault;
use parapet_lab::{Edge, Named, Rtype, ZoneSpec, dns, until};
use parapet_tests::compare::NAMED_OPTIONS;
use wire::Rcode;

use crate::origins::{Differences, Kind, Origin, ZONE, version, version_at};
use crate::scene::{DEADLINE, Scene, notify_from, status};

const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n@MORE@[zone.\"example.com\"]\norigins = [\"bind\"]\n";
/// The origin's other address, on the same wire.
const OTHER_ADDRESS: &str = "10.10.0.77";

/// The origin has two addresses and notifies from the one that the file does not name: the edge refuses, as it would
/// anybody, until `notify_from` has it.
#[test]
fn an_origin_notifies_from_another_address() {
    let scene = Scene::new("multi-homed");
    let host = scene.host("origin");
    host.address("router", OTHER_ADDRESS.parse().expect("an address"), 24).expect("a second address");
    let named = Named::at(host)
        .options(NAMED_OPTIONS)
        .options(&format!("notify-source {OTHER_ADDRESS};"))
        .key(&scene.key)
        .notify(scene.host("edge1").v4())
        .zone(ZoneSpec::text(ZONE, version(1)))
        .start()
        .expect("named");
    let source = vec![OTHER_ADDRESS.parse().expect("an address")];
    let arrivals = Counters::of_arrivals(scene.host("edge1"), &[("notifies", source)]).expect("counters");
    let edge = scene.edge_with_file(&FILE.replace("@MORE@", "")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let before = arrivals.packets("notifies").expect("counters");
    named.replace_zone(ZONE, &version(2)).expect("a change");
    let told = || (arrivals.packets("notifies").expect("counters") > before).then_some(());
    until("a NOTIFY from the other address", DEADLINE, told).expect("named notifies");
    // An answer to a question that came later: the NOTIFY has been dealt with.
    assert_eq!(version_at(&scene, &edge), "1");
    assert_eq!(status(&edge, ZONE)["serial"], 1, "a NOTIFY from an address that nobody named was heeded");
    edge.stop().expect("parapet stops");

    let file = FILE.replace("@MORE@", &format!("notify_from = [\"@ORIGIN@/32\", \"{OTHER_ADDRESS}/32\"]\n"));
    let edge = scene.edge_with_file(&file).start().expect("parapet");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change that it slept through");
    named.replace_zone(ZONE, &version(3)).expect("a change");
    edge.wait_for_zone(ZONE, 3, DEADLINE).expect("a change, by the NOTIFY from the other address");
    assert_eq!(version_at(&scene, &edge), "3");
    assert_eq!(notify_from(scene.client(), &edge, ZONE), Rcode::REFUSED, "a stranger is still one");
}

/// How long the edge is watched for going back to the older copy: several of its looks at both.
const WATCHED: Duration = Duration::from_millis(2_500);
const EVERY_SECOND: &str = "[zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\n\
    retry_s_max = 1\n";

/// An edge before two origins, the first of which is the one with the older zone.
fn two(scene: &Scene, timers: &str) -> Edge {
    let file = FILE.replace("@MORE@", "[origin.other]\naddresses = [\"@OTHER@\"]\nkey = \"transfer\"\n");
    let file =
        file.replace("[\"bind\"]", "[\"bind\", \"other\"]").replace("@OTHER@", &scene.host("edge3").v4().to_string());
    scene.edge_with_file(&format!("{file}{timers}")).start().expect("parapet")
}

/// Looks at the edge's serial again and again; it must never be another.
fn stays_at(scene: &Scene, edge: &Edge, serial: u32) {
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        let seen = dns::ask(scene.client(), edge.v4(), ZONE, Rtype::SOA).expect("an answer").serial();
        assert_eq!(seen, Some(serial), "after {:?}; {:#}", begun.elapsed(), status(edge, ZONE));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Both are asked; the newer wins and the edge stays with it, whatever the older one notifies; when the older one has
/// caught up, its next change counts.
fn the_newer_wins(older: Kind, newer: Kind) {
    let scene = Scene::new("two-serials");
    let first = Origin::start(&scene, older, Differences::Kept, &version(5));
    let edge = two(&scene, EVERY_SECOND);
    edge.wait_for_zone(ZONE, 5, DEADLINE).expect("the zone from the first origin");
    // It notifies as it starts: the edge hears of it, and otherwise finds it by looking.
    let second = Origin::start_at(&scene, scene.host("edge3"), newer, Differences::Kept, &version(9));
    edge.wait_for_zone(ZONE, 9, DEADLINE).expect("the newer zone of the second origin");
    first.change_to(6);
    stays_at(&scene, &edge, 9);
    assert_eq!(version_at(&scene, &edge), "9");
    first.change_to(12);
    edge.wait_for_zone(ZONE, 12, DEADLINE).expect("the first origin has overtaken the second");
    stays_at(&scene, &edge, 12);
    second.change_to(13);
    edge.wait_for_zone(ZONE, 13, DEADLINE).expect("and the second the first");
    assert_eq!(version_at(&scene, &edge), "13");
}

#[test]
fn of_two_nameds_the_newer_wins() {
    the_newer_wins(Kind::Named, Kind::Named);
}

#[test]
fn of_a_knot_and_an_nsd_the_newer_wins() {
    the_newer_wins(Kind::Knot, Kind::Nsd);
}

/// Without any NOTIFY of the second: the first origin answers that nothing is new, and the edge finds at the second what is.
#[test]
fn the_timers_find_what_only_the_second_origin_has() {
    let scene = Scene::new("two-timers");
    let host = scene.host("edge3");
    let what = format!("ip daddr {} udp dport 53", scene.host("edge1").v4());
    let _lost = Fault::lose_sent(host, &what).expect("a fault");
    let _first = Origin::start(&scene, Kind::Named, Differences::Kept, &version(5));
    let second = Origin::start_at(&scene, host, Kind::Named, Differences::Kept, &version(9));
    let edge = two(&scene, EVERY_SECOND);
    edge.wait_for_zone(ZONE, 9, DEADLINE).expect("the newer zone, with the start");
    second.change_to(10);
    edge.wait_for_zone(ZONE, 10, DEADLINE).expect("the change at the second origin");
    stays_at(&scene, &edge, 10);
}
