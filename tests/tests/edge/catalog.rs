//! Catalog zones (RFC 9432): members appear, change group, move to another catalog and vanish with the catalogs that a real
//! `named` has; a broken catalog changes nothing; and a restart without the origin gives the same zones.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parapet_lab::{Edge, Named, Namespace, ZoneSpec, dns, until, zone_text};
use parapet_tests::ask;
use serde_json::Value;
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, question, status, wait_for_status};

const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"steady.test\"]\norigins = [\"bind\"]\n\
    [template.plain]\n[template.fetched]\nmode = \"pull\"\npull_interval_s = 60\n\
    [catalog.\"first.catalog\"]\norigins = [\"bind\"]\ntemplate = \"plain\"\n\
    [catalog.\"first.catalog\".group.fetched]\ntemplate = \"fetched\"\n\
    [catalog.\"second.catalog\"]\norigins = [\"bind\"]\ntemplate = \"plain\"\n";
const FIRST: &str = "first.catalog";
const SECOND: &str = "second.catalog";
/// A zone of the file.
const STEADY: &str = "steady.test";

/// A catalog zone with these lines.
fn catalog(name: &str, lines: &str) -> ZoneSpec {
    let head = format!("$ORIGIN {name}.\n$TTL 0\n@ SOA invalid. invalid. 1 3600 600 604800 0\n@ NS invalid.\n");
    ZoneSpec::text(name, format!("{head}version TXT \"2\"\n{lines}")).dynamic()
}

/// A `named` with both catalogs, the zone of the file, and `one.test`, `two.test`, `three.test`.
fn origin(scene: &Scene, first: &str) -> Named {
    let named = scene.origin().zone(catalog(FIRST, first)).zone(catalog(SECOND, ""));
    let zones = [STEADY, "one.test", "two.test", "three.test"];
    let named = zones.into_iter().fold(named, |named, zone| named.zone(ZoneSpec::text(zone, zone_text::small(zone))));
    named.start().expect("named")
}

fn rcode(scene: &Scene, edge: &Edge, zone: &str) -> Rcode {
    scene.ask(edge.v4(), zone, Rtype::SOA).rcode
}

fn wait_for_rcode(scene: &Scene, edge: &Edge, zone: &str, wanted: Rcode) {
    until(format!("{zone}: {wanted:?}"), DEADLINE, || (rcode(scene, edge, zone) == wanted).then_some(())).expect("it");
}

/// What becomes of a catalog's members, once it is as wanted.
fn wait_for_catalog(edge: &Edge, catalog: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let seen =
        wait_for_status(edge, catalog, what, |zone| zone["as_catalog"]["pending"] == 0 && wanted(&zone["as_catalog"]));
    seen["as_catalog"].clone()
}

/// How often the origin sent a zone whole.
fn transfers(named: &Named, zone: &str) -> usize {
    named.process().output().matches(&format!("({zone}): transfer of '{zone}/IN': AXFR started")).count()
}

#[test]
fn members_appear_change_group_and_vanish() {
    let scene = Scene::new("catalog-members");
    let named = origin(&scene, "a.zones PTR one.test.\n");
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone("one.test", 1, DEADLINE).expect("the first member");
    let shown = status(&edge, "one.test");
    assert_eq!((&shown["catalog"], &shown["mode"]), (&Value::from("first.catalog."), &Value::from("push")));
    assert_eq!(rcode(&scene, &edge, "two.test"), Rcode::REFUSED);
    // Nobody is answered from the catalog itself.
    for name in [FIRST, "a.zones.first.catalog", "version.first.catalog"] {
        assert_eq!(scene.ask(edge.v4(), name, Rtype::PTR).rcode, Rcode::REFUSED, "{name}");
    }

    named.update(FIRST, "update add b.zones.first.catalog 0 PTR two.test.").expect("an update");
    edge.wait_for_zone("two.test", 1, DEADLINE).expect("the second member");
    named.update(FIRST, "update add group.b.zones.first.catalog 0 TXT fetched").expect("an update");
    wait_for_status(&edge, "two.test", "its group's template", |zone| zone["mode"] == "pull");
    assert_eq!(transfers(&named, "two.test"), 1, "another group is no other zone");

    // A zone of the file is not the catalog's (§5.2).
    named.update(FIRST, "update add c.zones.first.catalog 0 PTR steady.test.").expect("an update");
    let seen = wait_for_catalog(&edge, FIRST, "a clash", |catalog| catalog["clashes"] == 1);
    assert_eq!((&seen["members"], &seen["owned"]), (&Value::from(3), &Value::from(2)));
    assert_eq!(status(&edge, STEADY)["catalog"], Value::Null);

    named
        .update(FIRST, "update delete a.zones.first.catalog PTR\nupdate delete c.zones.first.catalog PTR")
        .expect("gone");
    wait_for_rcode(&scene, &edge, "one.test", Rcode::REFUSED);
    wait_for_catalog(&edge, FIRST, "one member", |catalog| catalog["members"] == 1 && catalog["clashes"] == 0);
    let folders = edge.state().join("zones");
    until("its files to go", DEADLINE, || (!folders.join("one.test").exists()).then_some(())).expect("no files");
    assert!(folders.join("two.test").exists() && folders.join(STEADY).exists());
    assert_eq!(rcode(&scene, &edge, STEADY), Rcode::NOERROR);
}

#[test]
fn members_move_by_coo_with_their_data_or_without() {
    let scene = Scene::new("catalog-coo");
    let named = origin(&scene, "a.zones PTR one.test.\nb.zones PTR two.test.\nc.zones PTR three.test.\n");
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    for zone in ["one.test", "two.test", "three.test"] {
        edge.wait_for_zone(zone, 1, DEADLINE).expect("a member");
    }
    // Without coo another catalog gets nothing.
    named.update(SECOND, "update add a.zones.second.catalog 0 PTR one.test.").expect("an update");
    wait_for_catalog(&edge, SECOND, "a clash", |catalog| catalog["clashes"] == 1 && catalog["owned"] == 0);
    assert_eq!(status(&edge, "one.test")["catalog"], "first.catalog.");
    let offers = ["a", "b"].map(|label| format!("update add coo.{label}.zones.first.catalog 0 PTR second.catalog."));
    named.update(FIRST, &offers.join("\n")).expect("an update");
    wait_for_status(&edge, "one.test", "the hand-over", |zone| zone["catalog"] == "second.catalog.");
    assert_eq!(transfers(&named, "one.test"), 1, "its label is the same, its data stays");
    // Another label: its data goes (§4.3.1, §5.6).
    named.update(SECOND, "update add x.zones.second.catalog 0 PTR two.test.").expect("an update");
    until("a new transfer", DEADLINE, || (transfers(&named, "two.test") == 2).then_some(())).expect("a reset");
    edge.wait_for_zone("two.test", 1, DEADLINE).expect("the zone again");
    assert_eq!(status(&edge, "two.test")["catalog"], "second.catalog.");
    // The old catalog lets go of what is not its own any more.
    let lines = "update delete a.zones.first.catalog PTR\nupdate delete b.zones.first.catalog PTR";
    named.update(FIRST, lines).expect("an update");
    wait_for_catalog(&edge, FIRST, "one member", |catalog| catalog["members"] == 1 && catalog["owned"] == 1);
    for zone in ["one.test", "two.test", "three.test"] {
        assert_eq!(rcode(&scene, &edge, zone), Rcode::NOERROR, "{zone}");
    }
    assert_eq!(transfers(&named, "one.test"), 1);
    // A new label in the same catalog (§5.4).
    let lines = "update delete c.zones.first.catalog PTR\nupdate add d.zones.first.catalog 0 PTR three.test.";
    named.update(FIRST, lines).expect("an update");
    until("a new transfer", DEADLINE, || (transfers(&named, "three.test") == 2).then_some(())).expect("a reset");
    edge.wait_for_zone("three.test", 1, DEADLINE).expect("the zone again");
}

#[test]
fn a_broken_catalog_changes_nothing_and_a_restart_gives_the_same() {
    let scene = Scene::new("catalog-broken");
    let mut named = origin(&scene, "a.zones PTR one.test.\n");
    let mut edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone("one.test", 1, DEADLINE).expect("the first member");
    named.update(SECOND, "update add a.zones.second.catalog 0 PTR one.test.").expect("an update");
    wait_for_catalog(&edge, SECOND, "a clash", |catalog| catalog["clashes"] == 1);

    // At once: another schema, a member more, a member less.
    let lines = "update delete version.first.catalog TXT\nupdate add version.first.catalog 0 TXT 3\n\
                 update add b.zones.first.catalog 0 PTR two.test.\nupdate delete a.zones.first.catalog PTR";
    named.update(FIRST, lines).expect("an update");
    let broken = |catalog: &Value| catalog["last_error_kind"] == "unknown-version";
    let seen = wait_for_catalog(&edge, FIRST, "the error", broken);
    assert_eq!((&seen["members"], &seen["serial"]), (&Value::from(1), &Value::from(1)));
    let shown = status(&edge, FIRST);
    assert_eq!((&shown["serial"], &shown["problems"][0]["kind"]), (&Value::from(2), &Value::from("catalog_broken")));
    let same = |edge: &Edge| {
        assert_eq!(rcode(&scene, edge, "one.test"), Rcode::NOERROR);
        assert_eq!(status(edge, "one.test")["catalog"], "first.catalog.");
        assert_eq!(rcode(&scene, edge, "two.test"), Rcode::REFUSED);
        assert_eq!(rcode(&scene, edge, FIRST), Rcode::REFUSED);
    };
    same(&edge);

    // The origin is gone, and the edge is killed: from the disk it has what it had.
    named.kill().expect("named ends");
    edge.kill().expect("parapet ends");
    edge.start_again().expect("parapet");
    edge.wait_for_zone("one.test", 1, DEADLINE).expect("the member, from the disk");
    same(&edge);
    wait_for_catalog(&edge, FIRST, "the error, still", broken);

    named.start_again().expect("named");
    named.wait_for_zone(FIRST, 2, DEADLINE).expect("the catalog at the origin");
    let lines = "update delete version.first.catalog TXT\nupdate add version.first.catalog 0 TXT 2";
    named.update(FIRST, lines).expect("an update");
    edge.wait_for_zone("two.test", 1, DEADLINE).expect("the member that came meanwhile");
    // The one that went is free for the other catalog that lists it.
    wait_for_catalog(&edge, FIRST, "no error", |catalog| catalog["last_error"] == Value::Null);
    wait_for_catalog(&edge, SECOND, "the zone", |catalog| catalog["owned"] == 1 && catalog["clashes"] == 0);
    edge.wait_for_zone("one.test", 1, DEADLINE).expect("the zone again");
    assert_eq!(status(&edge, "one.test")["catalog"], "second.catalog.");
}

/// Zones in the catalog that loads while questions are asked.
const MANY: u32 = 5_000;
/// They are all served within this time, on two busy cores and with a debug build.
const LOADED_DEADLINE: Duration = Duration::from_secs(60);
/// An answer that takes longer than this is a lost one.
const LOST: Duration = Duration::from_secs(2);

/// Asks one question after the other until it is told to stop; how many, and the longest wait for an answer. A question
/// without an answer ends it.
fn keep_asking(from: &Namespace, server: IpAddr, stop: &AtomicBool) -> Result<(u32, Duration), String> {
    let message = question("www.steady.test", Rtype::A).to_bytes(7);
    let (mut asked, mut longest) = (0, Duration::ZERO);
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let answer = from.enter(|| ask::exchange_udp(SocketAddr::new(server, dns::PORT), &message, LOST));
        let answer =
            answer.map_err(|error| error.to_string())?.map_err(|error| format!("question {asked}: {error}"))?;
        let header = wire::Header::parse(&answer).map_err(|error| error.to_string())?;
        if header.flags.rcode() != Rcode::NOERROR || header.ancount == 0 {
            return Err(format!("question {asked}: {header:?}"));
        }
        asked += 1;
        longest = longest.max(start.elapsed());
        thread::sleep(Duration::from_millis(1));
    }
    Ok((asked, longest))
}

#[test]
fn five_thousand_zones_load_while_questions_are_answered() {
    let scene = Scene::new("catalog-many");
    let file = scene.lab.folder().join("member.zone");
    std::fs::write(&file, "$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 604800 300\n@ NS ns1\nns1 A 192.0.2.1\n")
        .expect("a file");
    let mut lines = String::new();
    let mut named = scene.origin().without_waiting();
    for number in 0..MANY {
        let _ = writeln!(lines, "m{number}.zones PTR z{number}.many.test.");
        named = named.zone(ZoneSpec::file(&format!("z{number}.many.test"), &file));
    }
    // The catalog is empty at first, and gets all its members at once.
    let named = named.zone(ZoneSpec::text(STEADY, zone_text::small(STEADY))).zone(catalog(FIRST, ""));
    let named = named.zone(catalog(SECOND, "")).start().expect("named");
    named.wait_for_zone(SECOND, 1, DEADLINE).expect("all zones at the origin");
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone(STEADY, 1, DEADLINE).expect("the zone of the file");
    wait_for_catalog(&edge, FIRST, "an empty catalog", |catalog| catalog["serial"] == 1);

    let stop = Arc::new(AtomicBool::new(false));
    let asker = {
        let (from, server, stop) = (scene.client().clone(), edge.v4(), Arc::clone(&stop));
        thread::spawn(move || keep_asking(&from, server, &stop))
    };
    let start = Instant::now();
    let full = format!(
        "$ORIGIN {FIRST}.\n$TTL 0\n@ SOA invalid. invalid. 2 3600 600 604800 0\n@ NS invalid.\nversion TXT \"2\"\n{lines}"
    );
    named.replace_zone(FIRST, &full).expect("the catalog with all its members");
    let mut next = 0;
    until(format!("all of {MANY} zones (z{next} is missing)"), LOADED_DEADLINE, || {
        while next < MANY && rcode(&scene, &edge, &format!("z{next}.many.test")) == Rcode::NOERROR {
            next += 1;
        }
        (next == MANY).then_some(())
    })
    .unwrap_or_else(|error| panic!("{error}: z{next}; {:#}", status(&edge, FIRST)));
    println!("{MANY} zones after {:?}", start.elapsed());
    stop.store(true, Ordering::Relaxed);
    let (asked, longest) = asker.join().expect("a thread that ends").expect("no question lost");
    println!("{asked} questions meanwhile, the longest wait {longest:?}");
    assert!(asked > 0);
    let seen = wait_for_catalog(&edge, FIRST, "all members", |catalog| catalog["owned"] == MANY);
    assert_eq!((&seen["clashes"], &seen["last_error"]), (&Value::from(0), &Value::Null));
}
