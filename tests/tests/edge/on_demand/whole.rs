//! The first miss fetches the whole zone, where it is small and the origin allows it: from then on the origin is asked by
//! its SOA timers and its NOTIFYs alone.

use parapet_lab::{ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use super::ZONE;
use crate::scene::{DEADLINE, Scene, status, wait_for_status};

const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"od.test\"]\norigins = [\"bind\"]\n\
    mode = \"on-demand\"\n[zone.\"od.test\".on_demand]\n";

fn zone() -> ZoneSpec {
    ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()
}

#[test]
fn the_first_miss_fetches_the_whole_zone() {
    let scene = Scene::new("od-whole");
    let named = scene.origin().zone(zone()).start().expect("named");
    let edge = scene.edge_with_file(&format!("{FILE}whole_records_max = 1000\n")).start().expect("parapet");
    assert!(!named.process().output().contains("AXFR started"), "nobody has asked yet");
    assert_eq!(scene.ask(edge.v4(), "www.od.test", Rtype::A).rcode, Rcode::NOERROR);
    wait_for_status(&edge, ZONE, "a copy", |zone| zone["serial"] == 1 && zone["records"].as_u64() > Some(10));
    // The origin is not needed any more, for any name; nor does it go unheard.
    named.update(ZONE, "update add new.od.test 300 A 192.0.2.7").expect("an update");
    edge.wait_for_zone(ZONE, 2, DEADLINE).expect("the change, by NOTIFY");
    named.stop().expect("named stops");
    for (name, rcode) in
        [("new.od.test", Rcode::NOERROR), ("mail.od.test", Rcode::NOERROR), ("no.od.test", Rcode::NXDOMAIN)]
    {
        assert_eq!(scene.ask(edge.v4(), name, Rtype::A).rcode, rcode, "{name}");
    }
}

/// Refused or too large, it stays a cache, and every name is answered.
#[test]
fn it_stays_a_cache_where_the_whole_is_not_to_be_had() {
    let scene = Scene::new("od-not-whole");
    // The key that transfers need is not in the file.
    let named = scene.origin().zone(zone()).start().expect("named");
    let file = FILE.replace("key = \"transfer\"\n", "");
    let edge = scene.edge_with_file(&format!("{file}whole_records_max = 1000\n")).start().expect("parapet");
    for name in ["www.od.test", "mail.od.test", "ns1.od.test"] {
        assert_eq!(scene.ask(edge.v4(), name, Rtype::A).rcode, Rcode::NOERROR, "{name}");
    }
    parapet_lab::until("a transfer that is refused", DEADLINE, || {
        named.process().output().contains("zone transfer 'od.test/AXFR/IN' denied").then_some(())
    })
    .expect("it tried");
    assert_eq!(scene.ask(edge.v4(), "ns2.od.test", Rtype::A).rcode, Rcode::NOERROR);
    assert_eq!(status(&edge, ZONE)["records"], 0);
}

#[test]
fn it_stays_a_cache_where_the_whole_is_too_large() {
    let scene = Scene::new("od-too-large");
    let _named = scene.origin().zone(zone()).start().expect("named");
    let edge = scene.edge_with_file(&format!("{FILE}whole_records_max = 5\n")).start().expect("parapet");
    for name in ["www.od.test", "mail.od.test", "ns1.od.test"] {
        assert_eq!(scene.ask(edge.v4(), name, Rtype::A).rcode, Rcode::NOERROR, "{name}");
    }
    wait_for_status(&edge, ZONE, "the reason", |zone| !zone["last_error"].is_null());
    assert_eq!(scene.ask(edge.v4(), "ns2.od.test", Rtype::A).rcode, Rcode::NOERROR);
    assert_eq!(status(&edge, ZONE)["records"], 0);
}
