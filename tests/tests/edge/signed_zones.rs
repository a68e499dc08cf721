//! Zones that `named` signs by itself (`dnssec-policy`) are at the edge as they are at the origin, proofs and all, and stay
//! so through dynamic updates.

use std::collections::BTreeSet;
use std::str::FromStr;

use parapet_lab::{Dnssec, Edge, Named, ZoneSpec, zone_text};
use parapet_tests::compare::{Case, Subject, World};
use parapet_tests::{Question, differences};
use wire::{Name, Rtype};

use crate::scene::{DEADLINE, Scene, ask_from, question};

const ZONES: [(&str, Option<Dnssec>); 4] = [
    ("plain.test", None),
    ("nsec.test", Some(Dnssec::Nsec)),
    ("nsec3.test", Some(Dnssec::Nsec3)),
    ("optout.test", Some(Dnssec::Nsec3OptOut)),
];

/// Updates one after the other: more names, fewer, another delegation, a type that appears and one that goes.
const UPDATES: [&str; 6] = [
    "update add new.@ 300 A 192.0.2.7\nupdate add a.b.c.new.@ 300 TXT \"below empty non-terminals\"",
    "update delete www.@ AAAA\nupdate add www.@ 300 A 192.0.2.81",
    "update add cut.@ 300 NS ns.cut.@\nupdate add ns.cut.@ 300 A 192.0.2.8",
    "update add cut.@ 300 DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "update delete a.b.c.new.@\nupdate add *.new.@ 300 TXT \"wildcard\"",
    "update delete new.@\nupdate delete *.new.@\nupdate delete cut.@ DS",
];

#[test]
fn an_edge_has_what_named_signs_and_follows_every_update() {
    let scene = Scene::new("signed");
    let mut named = scene.origin();
    let mut edge = scene.edge();
    for (zone, dnssec) in ZONES {
        let spec = ZoneSpec::text(zone, zone_text::small(zone)).dynamic();
        named = named.zone(dnssec.map_or(spec.clone(), |dnssec| spec.signed(dnssec)));
        edge = edge.zone(zone);
    }
    let named = named.start().expect("named");
    let edge = edge.start().expect("parapet");
    for (zone, dnssec) in ZONES {
        wait_until_signed(&scene, &named, zone, dnssec);
        check_equal(&scene, &named, &edge, zone);
    }
    for update in UPDATES {
        for (zone, _) in ZONES {
            named.update(zone, &update.replace('@', &format!("{zone}."))).expect("an update");
        }
        for (zone, _) in ZONES {
            check_equal(&scene, &named, &edge, zone);
        }
    }
}

/// The operator changes the policy of a zone that is served: from NSEC to NSEC3 and back, in differences all the way.
#[test]
fn an_edge_follows_from_nsec_to_nsec3_and_back() {
    const ZONE: &str = "nsec.test";
    let scene = Scene::new("policy");
    let spec = ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic().signed(Dnssec::Nsec);
    let named = scene.origin().zone(spec).start().expect("named");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    wait_until_signed(&scene, &named, ZONE, Some(Dnssec::Nsec));
    check_equal(&scene, &named, &edge, ZONE);
    let path = named.folder().join("named.conf");
    for (from, to, dnssec) in [("lab-nsec;", "lab-nsec3;", Dnssec::Nsec3), ("lab-nsec3;", "lab-nsec;", Dnssec::Nsec)] {
        let text = std::fs::read_to_string(&path).expect("named.conf");
        let changed = text.replace(&format!("dnssec-policy {from}"), &format!("dnssec-policy {to}"));
        assert_ne!(text, changed);
        std::fs::write(&path, changed).expect("writing named.conf");
        named.rndc(&["reconfig"]).expect("rndc reconfig");
        wait_until_signed(&scene, &named, ZONE, Some(dnssec));
        check_equal(&scene, &named, &edge, ZONE);
        named
            .update(ZONE, &format!("update add after-{}.{ZONE} 300 A 192.0.2.9", &to[..to.len() - 1]))
            .expect("an update");
        check_equal(&scene, &named, &edge, ZONE);
    }
}

/// `named` signs in the background: the zone is ready when its chain of denial is, which comes last.
fn wait_until_signed(scene: &Scene, named: &Named, zone: &str, dnssec: Option<Dnssec>) {
    let denial = match dnssec {
        None => return,
        Some(Dnssec::Nsec) => Rtype::NSEC,
        Some(Dnssec::Nsec3 | Dnssec::Nsec3OptOut) => Rtype::NSEC3,
    };
    let missing = format!("nowhere.{zone}");
    parapet_lab::until(format!("{zone} signed"), DEADLINE, || {
        let answer = scene.ask(named.v4(), &missing, Rtype::A);
        answer.authority.keys().any(|key| key.rtype == denial).then_some(())
    })
    .expect("a signed zone");
}

/// Waits for the origin's serial and compares every RRset of the origin's zone, and some names that it does not have.
fn check_equal(scene: &Scene, named: &Named, edge: &Edge, zone: &str) {
    // Signing goes on in steps of its own: compare when both have the same serial before and after.
    parapet_lab::until(format!("{zone} at the edge"), DEADLINE, || {
        let serial = |server| parapet_lab::dns::serial(scene.client(), server, zone);
        let before = serial(named.v4())?;
        if serial(edge.v4())? != before {
            return None;
        }
        let difference = first_difference(scene, named, edge, zone);
        if serial(named.v4())? != before {
            return None;
        }
        if let Some(difference) = difference {
            panic!("{zone} with serial {before}: {difference}");
        }
        Some(())
    })
    .expect("the same zone at origin and edge");
}

fn first_difference(scene: &Scene, named: &Named, edge: &Edge, zone: &str) -> Option<String> {
    let (rrsets, world) = transfer(scene, named, zone);
    let missing = ["nowhere", "x.www", "b.c.new", "any.new", "deep.x.wild", "nowhere.cut"];
    let missing = missing.iter().map(|name| question(&format!("{name}.{zone}"), Rtype::A));
    let present = rrsets.into_iter().map(|(name, rtype)| Question { name, rtype, ..question(".", rtype) });
    for question in present.chain(missing) {
        let ours = ask_from(scene.client(), edge.v4(), &question);
        let theirs = ask_from(scene.client(), named.v4(), &question);
        let case = Case { question: &question, ours: &ours, peer: Subject::Named, theirs: &theirs, world: &world };
        let unlisted = case.differing().into_iter().find(|facet| differences::listed(&case, *facet).is_none());
        if let Some(facet) = unlisted {
            return Some(case.describe(facet));
        }
    }
    None
}

/// The origin's zone as `dig` transfers it: owners with their types, and the cuts.
fn transfer(scene: &Scene, named: &Named, zone: &str) -> (BTreeSet<(Name, Rtype)>, World) {
    let key = scene.key.file.to_string_lossy();
    let server = format!("@{}", named.v4());
    let text = scene.client_runs("dig", &["-k", &key, &server, zone, "AXFR", "+noall", "+answer"]);
    let rrsets: BTreeSet<(Name, Rtype)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            Some((Name::from_str(fields.next()?).ok()?, Rtype::from_str(fields.nth(2)?).ok()?))
        })
        .filter(|(_, rtype)| !matches!(*rtype, Rtype::RRSIG | Rtype::TSIG | Rtype::NSEC3))
        .collect();
    assert!(rrsets.len() > 15, "dig shows: {text}");
    let apex = Name::from_str(zone).expect("an apex");
    let cuts =
        rrsets.iter().filter(|(name, rtype)| *rtype == Rtype::NS && *name != apex).map(|(name, _)| *name).collect();
    let world = World { apexes: BTreeSet::from([apex]), cuts };
    (rrsets, world)
}
