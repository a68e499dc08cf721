//! Edges as origins to each other: the hidden origin is asked once for three edges; what lies between, fails, lies or runs
//! in a circle is told and got round.

use std::fmt::Write as _;

use parapet_lab::{Dnssec, Edge, Knot, Named, NamedBuilder, Nsd, TsigKey, ZoneSpec, dns, until, zone_text};
use parapet_tests::Contents;
use serde_json::Value;
use wire::{Rcode, Rtype};

use crate::equal::{check_equal, wait_until_signed};
use crate::scene::{DEADLINE, Scene, errors, status, wait_for_status};

const ZONE: &str = "example.com";

/// A scene whose nodes share a key of their own.
struct Tree {
    scene: Scene,
    nodes: TsigKey,
}

impl Tree {
    fn new(name: &str) -> Tree {
        let scene = Scene::new(name);
        let nodes = TsigKey::generate(&scene.lab, "nodes").expect("a key");
        Tree { scene, nodes }
    }

    /// The origin, which notifies the first edge alone.
    fn origin(&self) -> Named {
        self.origin_builder().start().expect("named")
    }

    fn origin_builder(&self) -> NamedBuilder {
        self.scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic())
    }

    /// The network file: each node with the items of its own, and items of the zone.
    fn file(&self, nodes: &[(&str, &str)], zone: &str) -> String {
        let mut text = String::from("[network]\nnode_key = \"nodes\"\n");
        for (node, items) in nodes {
            let host = self.scene.host(node);
            let state = Edge::at(host).state_folder().expect("a state folder");
            let _ = writeln!(
                text,
                "[node.{node}]\nlisten = [\"{}:53\"]\nstate_dir = \"{}\"\n{items}",
                host.v4(),
                state.display()
            );
        }
        let (transfer, nodes) = (self.scene.key.file.display(), self.nodes.file.display());
        let _ = writeln!(text, "[key.transfer]\nkey_file = \"{transfer}\"\n[key.nodes]\nkey_file = \"{nodes}\"");
        let origin = self.scene.host("origin").v4();
        let _ = writeln!(text, "[origin.bind]\naddresses = [\"{origin}\"]\nkey = \"transfer\"");
        let _ = writeln!(text, "[zone.\"{ZONE}\"]\norigins = [\"bind\"]\n{zone}");
        text
    }

    fn start(&self, node: &str, file: &str) -> Edge {
        Edge::at(self.scene.host(node)).file(file, node).start().expect("parapet")
    }

    /// A zone as `dig` transfers it, with a key and from a host.
    fn dig(&self, from: &str, server: &str, zone: &str, key: &TsigKey) -> String {
        let (server, key) = (format!("@{}", self.scene.host(server).v4()), key.file.to_string_lossy());
        let program = self.scene.host(from).program("dig");
        let arguments = ["-k", &*key, &server, zone, "AXFR", "+noall", "+answer", "+comments"];
        let output = program.args(arguments).run().expect("dig");
        output.stdout + &output.stderr
    }
}

/// A chain from the origin by the first and the second edge to the third.
const CHAIN: [(&str, &str); 3] =
    [("edge1", ""), ("edge2", "upstream = [\"edge1\"]\n"), ("edge3", "upstream = [\"edge2\"]\n")];
/// The first edge is the upstream of both others.
const FAN: [(&str, &str); 3] =
    [("edge1", ""), ("edge2", "upstream = [\"edge1\"]\n"), ("edge3", "upstream = [\"edge1\"]\n")];

/// Whole transfers that an origin has begun, and transfers of differences.
fn transfers(named: &Named) -> (usize, usize) {
    let log = named.process().output();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    (count("AXFR started"), count("IXFR started"))
}

/// The entry of an origin in a zone's status.
fn origin<'v>(status: &'v Value, name: &str) -> &'v Value {
    let origins = status["origins"].as_array().expect("a list of origins");
    origins.iter().find(|origin| origin["origin"] == name).unwrap_or_else(|| panic!("no {name} in {status:#}"))
}

#[test]
fn the_origin_is_asked_once_for_three_edges() {
    let tree = Tree::new("tree");
    let named = tree.origin();
    let file = tree.file(&CHAIN, "");
    // At the same time: those below wait for those above.
    let edges: Vec<Edge> = ["edge1", "edge2", "edge3"].map(|node| tree.start(node, &file)).into();
    for edge in &edges {
        edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    }
    for round in 2..12 {
        named.update(ZONE, &format!("update add n{round}.{ZONE} 300 TXT \"{round}\"")).expect("an update");
        for edge in &edges {
            edge.wait_for_zone(ZONE, round, DEADLINE).expect("the change");
        }
    }
    // Those that compare transfer it too.
    let (whole, differences) = transfers(&named);
    for edge in &edges {
        check_equal(&tree.scene, &named, edge, ZONE);
    }
    assert_eq!(whole, 1, "whole transfers");
    assert!(differences <= 10, "{differences} transfers for 10 changes");
    let last = status(&edges[2], ZONE);
    let upstream = origin(&last, "node:edge2");
    assert_eq!((&upstream["last_transfer"]["question"], &upstream["key"]), (&"IXFR".into(), &"nodes.".into()));
    assert_eq!(origin(&last, "bind")["last_attempt_age_s"], Value::Null, "{last:#}");
}

/// Whole zones that `named` signs, of any kind, and the differences that its signing makes.
#[test]
fn signed_zones_arrive_as_they_are() {
    let tree = Tree::new("tree-signed");
    for (zone, dnssec) in [("nsec.example", Dnssec::Nsec), ("nsec3.example", Dnssec::Nsec3)] {
        let spec = ZoneSpec::text(zone, zone_text::small(zone)).signed(dnssec).dynamic();
        let named = tree.scene.origin().zone(spec).start().expect("named");
        wait_until_signed(&tree.scene, &named, zone, Some(dnssec));
        let file = tree.file(&CHAIN, "").replace(ZONE, zone);
        let edges: Vec<Edge> = ["edge1", "edge2", "edge3"].map(|node| tree.start(node, &file)).into();
        for edge in &edges {
            edge.wait_for_zone(zone, 1, DEADLINE).expect("the zone");
        }
        named.update(zone, &format!("update add new.{zone} 300 A 192.0.2.7")).expect("an update");
        for edge in &edges {
            check_equal(&tree.scene, &named, edge, zone);
            edge.kill().expect("parapet ends");
        }
        named.kill().expect("named ends");
    }
}

#[test]
fn an_upstream_that_is_gone_is_got_round() {
    let tree = Tree::new("tree-gone");
    let named = tree.origin();
    let file = tree.file(
        &FAN,
        "[zone.\"example.com\".timers]\nrefresh_s_min = 2\nrefresh_s_max = 2\n\
        retry_s_min = 1\nretry_s_max = 1\n",
    );
    let mut first = tree.start("edge1", &file);
    let second = tree.start("edge2", &file);
    second.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    assert_eq!(transfers(&named).0, 1);
    first.kill().expect("parapet ends");
    named.update(ZONE, "update add new.example.com 300 A 192.0.2.7").expect("an update");
    // Nobody tells it; its refresh timer finds it, at the origin itself.
    second.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    let shown = status(&second, ZONE);
    assert_eq!(origin(&shown, "bind")["last_result"], "updated", "{shown:#}");
    assert_eq!(origin(&shown, "node:edge1")["last_result"], "failed", "{shown:#}");
    // It comes back, and is asked again although the origin is there.
    first.start_again().expect("parapet");
    first.wait_for_zone(ZONE, 2, DEADLINE).expect("the change");
    wait_for_status(&second, ZONE, "the upstream to be asked again", |shown| {
        origin(shown, "node:edge1")["last_result"] == "up_to_date"
    });
}

#[test]
fn nobody_else_gets_anything() {
    let tree = Tree::new("tree-strangers");
    let named = tree.origin();
    let file = tree.file(&CHAIN, "");
    let first = tree.start("edge1", &file);
    first.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let whole =
        |from: &str, key: &TsigKey| tree.dig(from, "edge1", ZONE, key).lines().any(|line| line.contains("IN\tNS"));
    // The node below with the nodes' key, which is what both have to be.
    assert!(whole("edge2", &tree.nodes));
    for (from, key) in [
        ("edge3", &tree.nodes),
        ("client1", &tree.nodes),
        ("origin", &tree.nodes),
        ("edge2", &tree.scene.key),
        ("client1", &tree.scene.key),
    ] {
        let said = tree.dig(from, "edge1", ZONE, key);
        assert!(!whole(from, key) && said.contains("Transfer failed"), "{from} with {}: {said}", key.name);
    }
    let plain = tree.scene.ask(first.v4(), ZONE, Rtype::AXFR);
    assert_eq!(plain.rcode, Rcode::REFUSED);
    drop(named);
}

/// A node whose key is not that of the others gets nothing from them, says so, and has the origin to go to.
#[test]
fn the_wrong_key_is_told() {
    let tree = Tree::new("tree-key");
    let _named = tree.origin();
    let file = tree.file(&CHAIN, "");
    let first = tree.start("edge1", &file);
    first.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let other = TsigKey::generate(&tree.scene.lab, "other").expect("a key");
    let (right, wrong) = (tree.nodes.file.to_string_lossy(), other.file.to_string_lossy());
    let second = tree.start("edge2", &file.replace(&*right, &wrong).replace("nodes", "other"));
    second.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone, from the origin");
    let shown = status(&second, ZONE);
    assert_eq!(origin(&shown, "node:edge1")["last_error_kind"], "tsig", "{shown:#}");
    assert!(errors(&shown).iter().any(|error| error.contains("BADKEY")), "{shown:#}");
}

/// What real secondaries make of an edge as their primary, and the programs that people use.
#[test]
fn other_secondaries_are_served_too() {
    let tree = Tree::new("tree-interop");
    let spec =
        ZoneSpec::text(ZONE, zone_text::small(ZONE) + &zone_text::flat(ZONE, 20_000)[zone_text::head(ZONE).len()..]);
    let named = tree.scene.origin().zone(spec.dynamic()).start().expect("named");
    let file = tree.file(&[FAN[0], FAN[1], ("edge3", "upstream = [\"edge1\"]\n")], "");
    let first = tree.start("edge1", &file);
    first.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");

    let theirs = Contents::read(ZONE, &tree.dig("edge1", "origin", ZONE, &tree.scene.key));
    let ours = Contents::read(ZONE, &tree.dig("edge2", "edge1", ZONE, &tree.nodes));
    assert!(ours.rrsets.len() > 20_000 && ours.rrsets == theirs.rrsets, "dig has another zone");
    let (server, key) = (format!("@{}", first.v4()), format!("hmac-sha256:nodes:{}", tree.nodes.secret));
    let kdig = |question: &str| {
        let arguments = [&*server, "-y", &key, ZONE, question, "+noall", "+answer"];
        tree.scene.host("edge2").program("kdig").args(arguments).run().expect("kdig").stdout
    };
    assert!(Contents::read(ZONE, &kdig("AXFR")).rrsets == theirs.rrsets, "kdig has another zone");

    let host = |node: &str| tree.scene.host(node);
    let knot = Knot::at(host("edge2")).origin(first.v4()).key(&tree.nodes).secondary(ZONE).start().expect("knotd");
    let nsd = Nsd::at(host("edge3")).origin(first.v4()).key(&tree.nodes).secondary(ZONE).start().expect("nsd");
    for serial in 1..5 {
        for server in [knot.v4(), nsd.v4()] {
            dns::wait_for_serial(tree.scene.client(), server, ZONE, serial, DEADLINE).expect("the serial");
            let answer = tree.scene.ask(server, &format!("n{serial}.{ZONE}"), Rtype::TXT);
            assert_eq!(answer.rcode, if serial == 1 { Rcode::NXDOMAIN } else { Rcode::NOERROR });
        }
        let next = serial + 1;
        named.update(ZONE, &format!("update add n{next}.{ZONE} 300 TXT \"{next}\"")).expect("an update");
    }
    // Differences, not the whole zone each time.
    let since = kdig("IXFR=1");
    assert!((8..40).contains(&since.lines().count()), "{since}");
}

/// Two files that disagree make a circle: it is named, and what nobody confirms any more expires in spite of it.
#[test]
fn a_circle_is_told_and_keeps_nothing_alive() {
    let tree = Tree::new("tree-loop");
    let named = tree.origin();
    let timers = "[zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\nretry_s_max = 1\n\
        expire_s_min = 8\nexpire_s_max = 8\n";
    // Each file for itself is a tree; together they are not: edge1 asks edge2, which asks edge3, which asks edge1.
    let ring = |node: &str, upstream: &str, downstream: &str| {
        let items = |name: &str| match name {
            _ if name == node => format!("upstream = [\"{upstream}\"]\n"),
            _ if name == downstream => format!("upstream = [\"{node}\"]\n"),
            _ => String::new(),
        };
        let nodes = ["edge1", "edge2", "edge3"].map(|name| (name, items(name)));
        tree.file(&nodes.each_ref().map(|(name, items)| (*name, items.as_str())), timers)
    };
    let start = |node: &str, upstream: &str, downstream: &str| tree.start(node, &ring(node, upstream, downstream));
    let edges = [start("edge1", "edge2", "edge3"), start("edge2", "edge3", "edge1"), start("edge3", "edge1", "edge2")];
    for edge in &edges {
        edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone, by way of the origin");
    }
    // The origin goes: from now on they have only each other.
    named.kill().expect("named ends");
    let named_in = |edge: &Edge| {
        let shown = status(edge, ZONE);
        let origins = shown["origins"].as_array().expect("a list of origins").clone();
        origins.iter().any(|origin| origin["last_error_kind"] == "loop").then(|| errors(&shown).join("; "))
    };
    let told = until("a loop to be told", DEADLINE, || edges.iter().find_map(named_in)).expect("a loop");
    assert!(told.contains("edge1") && told.contains("edge2") && told.contains("edge3"), "{told}");
    for edge in &edges {
        wait_for_status(edge, ZONE, "the copy to expire", |shown| shown["state"] == "expired");
        assert_eq!(tree.scene.ask(edge.v4(), ZONE, Rtype::SOA).rcode, Rcode::SERVFAIL);
    }
}

/// An edge without the origin keeps what it has to itself once it has expired, even where clients are still served.
#[test]
fn what_has_expired_is_not_handed_on() {
    let tree = Tree::new("tree-expired");
    let named = tree.origin();
    let timers = "on_expire = \"serve\"\n[zone.\"example.com\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\n\
        retry_s_min = 1\nretry_s_max = 1\nexpire_s_min = 4\nexpire_s_max = 4\n";
    let file = tree.file(&CHAIN, timers);
    let first = tree.start("edge1", &file);
    first.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    named.kill().expect("named ends");
    wait_for_status(&first, ZONE, "the copy to expire", |shown| shown["state"] == "stale");
    assert_eq!(tree.scene.ask(first.v4(), ZONE, Rtype::SOA).rcode, Rcode::NOERROR);
    let said = tree.dig("edge2", "edge1", ZONE, &tree.nodes);
    assert!(said.contains("SERVFAIL") || said.contains("Transfer failed"), "{said}");
    let second = tree.start("edge2", &file);
    wait_for_status(&second, ZONE, "the upstream to refuse it", |shown| {
        errors(shown).iter().any(|error| error.contains("SERVFAIL"))
    });
    assert_eq!(status(&second, ZONE)["state"], "pending");
}

/// A catalog and its members come the same way, those that are added later too.
#[test]
fn catalogs_and_their_members_come_by_the_tree() {
    let tree = Tree::new("tree-catalog");
    let lines = "$ORIGIN catalog.test.\n$TTL 0\n@ SOA invalid. invalid. 1 3600 600 604800 0\n@ NS invalid.\n\
        version TXT \"2\"\na.zones PTR one.test.\n";
    let member = |zone: &str| ZoneSpec::text(zone, zone_text::small(zone)).dynamic();
    let named = tree.origin_builder().zone(ZoneSpec::text("catalog.test", lines).dynamic());
    let named = named.zone(member("one.test")).zone(member("two.test")).start().expect("named");
    let catalog = "[template.plain]\n[catalog.\"catalog.test\"]\norigins = [\"bind\"]\ntemplate = \"plain\"\n";
    let file = tree.file(&CHAIN, catalog);
    let edges: Vec<Edge> = ["edge1", "edge2", "edge3"].map(|node| tree.start(node, &file)).into();
    let wait_for = |zone: &str, serial: u32| {
        for edge in &edges {
            edge.wait_for_zone(zone, serial, DEADLINE).expect("the member");
        }
    };
    wait_for("one.test", 1);
    named.update("catalog.test", "update add b.zones.catalog.test 0 PTR two.test.").expect("an update");
    wait_for("two.test", 1);
    named.update("two.test", "update add new.two.test 300 A 192.0.2.7").expect("an update");
    wait_for("two.test", 2);
    let log = named.process().output();
    for zone in ["catalog.test", "one.test", "two.test"] {
        let count = log.matches(&format!("({zone}): transfer of '{zone}/IN': AXFR started")).count();
        assert_eq!(count, 1, "whole transfers of {zone}");
    }
}
