//! Zones that `named` signs by itself (`dnssec-policy`) are at the edge as they are at the origin, proofs and all, and stay
//! so through dynamic updates.

use parapet_lab::{Dnssec, ZoneSpec, zone_text};

use crate::equal::{check_equal, wait_until_signed};
use crate::scene::Scene;

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
