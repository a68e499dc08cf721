//! Zones that are filled on demand, before a real `named`: what it says, signed and over TCP, what it proves not to be
//! there, and zones that it gives away whole.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use cache::{CachedAnswer, Filled, Kind};
use support::bind::{More, Named, zone_text};
use support::{Edge, config, free_address, wait_for};
use wire::{Name, Rcode, Rtype};
use zones::ZoneState;

const ZONE: &str = "zone.test.";
/// How long an answer may take that is expected.
const SOON: Duration = Duration::from_secs(10);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn parts(origin: SocketAddr, origin_more: &str, on_demand: &str, zone_more: &str) -> String {
    format!(
        "[origin.named]\naddresses = [\"{origin}\"]\n{origin_more}\n\
         [zone.\"zone.test\"]\norigins = [\"named\"]\nmode = \"on-demand\"\n\
         [zone.\"zone.test\".on_demand]\n{on_demand}\n{zone_more}"
    )
}

fn named(folder: &Path, text: &str, options: &str) -> Named {
    let more = More { options: options.to_owned(), ..More::default() };
    Named::start_with(folder, free_address(), "zone.test", text, free_address(), &more)
}

fn edge(state: &Path, text: &str) -> Edge {
    Edge::start(&config(state, text))
}

fn id(edge: &Edge) -> Option<u64> {
    match **edge.zones.get(name(ZONE).as_ref()).unwrap().state() {
        ZoneState::OnDemand { id } => Some(id),
        _ => None,
    }
}

fn ask(edge: &Edge, qname: &str, qtype: Rtype) -> Arc<CachedAnswer> {
    let (done, filled) = channel();
    let told = move |answer| drop(done.send(answer));
    edge.sync().on_demand().ask(id(edge).unwrap(), name(qname).as_ref(), qtype, told);
    match filled.recv_timeout(SOON).expect("an answer") {
        Filled::Answer(answer) => answer,
        other => panic!("{qname}: {other:?}"),
    }
}

fn synthesised(edge: &Edge, qname: &str, qtype: Rtype) -> Option<Arc<CachedAnswer>> {
    let cache = edge.sync().on_demand().cache();
    cache.synthesise(id(edge).unwrap(), name(ZONE).as_ref(), name(qname).as_ref(), qtype, Instant::now())
}

/// What an authoritative server says, of every kind.
#[test]
fn answers_are_those_of_named() {
    let folder = tempfile::tempdir().unwrap();
    let long: String = (0..40).map(|n| format!("long IN TXT \"{}{n}\"\n", "x".repeat(60))).collect();
    let text = zone_text(
        1,
        &format!(
            "sub IN NS ns.sub\nns.sub IN A 192.0.2.53\ncname IN CNAME www\nout IN CNAME www.elsewhere.test.\n\
             dname IN DNAME elsewhere.test.\n*.wild IN A 192.0.2.3\n{long}"
        ),
    );
    let origin = named(folder.path(), &text, "");
    for key in ["", "key = \"transfer\""] {
        let state = tempfile::tempdir().unwrap();
        let edge = edge(state.path(), &parts(origin.address, key, "", ""));
        for (qname, qtype, kind, rcode) in [
            ("www.zone.test", Rtype::A, Kind::Found, Rcode::NOERROR),
            ("zone.test", Rtype::SOA, Kind::Found, Rcode::NOERROR),
            ("long.zone.test", Rtype::TXT, Kind::Found, Rcode::NOERROR),
            ("x.wild.zone.test", Rtype::A, Kind::Found, Rcode::NOERROR),
            ("cname.zone.test", Rtype::A, Kind::Found, Rcode::NOERROR),
            ("out.zone.test", Rtype::A, Kind::Alias, Rcode::NOERROR),
            ("x.dname.zone.test", Rtype::A, Kind::Alias, Rcode::NOERROR),
            ("www.zone.test", Rtype::MX, Kind::NoData, Rcode::NOERROR),
            ("nothing.zone.test", Rtype::A, Kind::NxDomain, Rcode::NXDOMAIN),
            ("host.sub.zone.test", Rtype::A, Kind::Referral, Rcode::NOERROR),
        ] {
            let answer = ask(&edge, qname, qtype);
            assert_eq!((answer.kind(), answer.rcode()), (kind, rcode), "{qname} {qtype}");
            assert_eq!(answer.is_authoritative(), kind != Kind::Referral, "{qname} {qtype}");
        }
        // The long one came over TCP, and the cookie that named gave was brought.
        let status = wait_for("the status", || {
            edge.sync().on_demand().status(id(&edge).unwrap()).filter(|status| status.upstreams[0].answered_total >= 11)
        });
        assert_eq!((status.upstreams[0].over_tcp_total, status.upstreams[0].doubtful_total), (1, 0));
        edge.stop();
    }
    // By a key that it does not know nothing is answered.
    let state = tempfile::tempdir().unwrap();
    let edge = edge(state.path(), &parts(origin.address, "key = \"wrong\"", "", ""));
    let (done, filled) = channel();
    let told = move |answer| drop(done.send(answer));
    edge.sync().on_demand().ask(id(&edge).unwrap(), name("www.zone.test").as_ref(), Rtype::A, told);
    assert!(matches!(filled.recv_timeout(SOON), Ok(Filled::Failed(_))));
    edge.stop();
}

/// RFC 8198: one question about a gap, and every other name in it is denied without the origin.
#[test]
fn what_a_signed_zone_proves_is_learnt_if_its_keys_are_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let text = zone_text(1, "alpha IN A 192.0.2.10\nomega IN A 192.0.2.11\n");
    let origin = named(folder.path(), &text, "dnssec-policy default;\n");
    let wait_until_signed = |edge: &Edge| {
        wait_for("named has signed", || {
            edge.runtime.block_on(edge.sync().on_demand().purge(name(ZONE).as_ref(), true));
            let answer = ask(edge, "www.zone.test", Rtype::A);
            let is_signed = answer.rrsets().any(|rrset| rrset.rtype == Rtype::RRSIG);
            is_signed.then_some(())
        });
    };
    let anchor = format!("20326 13 2 {}", "00".repeat(32));
    let strange = format!("[zone.\"zone.test\".dnssec]\ntrust_anchors = [\"{anchor}\"]\n");
    for (on_demand, more, learns) in [("", "", true), ("synthesise = false", "", false), ("", &*strange, false)] {
        let state = tempfile::tempdir().unwrap();
        let edge = edge(state.path(), &parts(origin.address, "", on_demand, more));
        wait_until_signed(&edge);
        // The first answer has the keys fetched; one that follows is verified by them.
        let mut number = 0;
        let mut learnt = || {
            number += 1;
            assert_eq!(ask(&edge, &format!("b{number}.zone.test"), Rtype::A).kind(), Kind::NxDomain);
            synthesised(&edge, "between.zone.test", Rtype::A)
        };
        if !learns {
            (0..20).for_each(|_| assert!(learnt().is_none()));
            assert!(synthesised(&edge, "between.zone.test", Rtype::A).is_none());
            edge.stop();
            continue;
        }
        let denied = wait_for("the gap is known", learnt);
        assert_eq!((denied.kind(), denied.rcode(), denied.is_synthesised()), (Kind::NxDomain, Rcode::NXDOMAIN, true));
        let nodata = wait_for("the bitmap is known", || {
            ask(&edge, "alpha.zone.test", Rtype::MX);
            synthesised(&edge, "alpha.zone.test", Rtype::TXT)
        });
        assert_eq!((nodata.kind(), nodata.rcode()), (Kind::NoData, Rcode::NOERROR));
        assert!(synthesised(&edge, "alpha.zone.test", Rtype::A).is_none());
        wait_for("it is counted", || {
            let status = edge.sync().on_demand().status(id(&edge).unwrap()).unwrap();
            (status.denials_learnt_total > 0 && status.cache_denials > 0).then_some(())
        });
        // A purge forgets that, too.
        edge.runtime.block_on(edge.sync().on_demand().purge(name(ZONE).as_ref(), true));
        assert!(synthesised(&edge, "between.zone.test", Rtype::A).is_none());
        edge.stop();
    }
}

#[test]
fn the_first_miss_may_fetch_the_whole_zone() {
    let folder = tempfile::tempdir().unwrap();
    let origin = named(folder.path(), &zone_text(7, ""), "");
    let state = tempfile::tempdir().unwrap();
    let text = parts(origin.address, "key = \"transfer\"", "whole_records_max = 100", "");
    let edge = Edge::start(&config(state.path(), &text));
    assert!(id(&edge).is_some());
    let status = edge.status(ZONE);
    assert_eq!((status.state, status.attempting), (origin_sync::ZoneCondition::OnDemand, false));
    assert_eq!(ask(&edge, "www.zone.test", Rtype::A).kind(), Kind::Found);
    edge.wait_for_serial(ZONE, 7);
    // It is served a moment before the status says so.
    wait_for("the status", || (edge.status(ZONE).state == origin_sync::ZoneCondition::Serving).then_some(()));
    // From now on it is kept like a copy.
    origin.update("update add new.zone.test 300 A 192.0.2.9");
    edge.notify(ZONE, 8);
    edge.wait_for_serial(ZONE, 8);
    edge.stop();
    // And it is there after a start.
    let edge = Edge::start(&config(state.path(), &text));
    assert_eq!(edge.serial(ZONE), Some(8));
    edge.stop();
}

#[test]
fn a_zone_that_is_refused_or_too_large_stays_a_cache() {
    let folder = tempfile::tempdir().unwrap();
    let origin = named(folder.path(), &zone_text(7, ""), "");
    for (key, max, why) in [("", 100, "REFUSED"), ("key = \"transfer\"", 3, "more than 3 records")] {
        let state = tempfile::tempdir().unwrap();
        let on_demand = format!("whole_records_max = {max}");
        let edge = edge(state.path(), &parts(origin.address, key, &on_demand, ""));
        ask(&edge, "www.zone.test", Rtype::A);
        let status = edge.wait_for_error(ZONE, why);
        assert_eq!(status.state, origin_sync::ZoneCondition::OnDemand);
        wait_for("it is left at that", || {
            let status = edge.status(ZONE);
            (!status.attempting && status.next_attempt_in_s.is_none() && status.failures == 0).then_some(())
        });
        assert_eq!(ask(&edge, "ns1.zone.test", Rtype::A).kind(), Kind::Found);
        assert!(id(&edge).is_some());
        edge.stop();
    }
}
