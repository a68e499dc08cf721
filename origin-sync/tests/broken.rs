//! Broken transfers change nothing and say why: a scripted primary sends what no primary should.

mod support;

use std::path::Path;

use support::primary::{Asked, Primary, Reply, Rr, ZONE, a, ns, soa};
use support::{Edge, config, dump, wait_for};
use wire::{Rcode, Rtype};

fn settings(state: &Path, origin: std::net::SocketAddr, more: &str) -> config::Config {
    let parts = format!(
        "[origin.fake]\naddresses = [\"{origin}\"]\n[zone.\"zone.test\"]\norigins = [\"fake\"]\n\
         [zone.\"zone.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\njitter_percent = 0\n\
         [zone.\"zone.test\".transfer]\n{more}"
    );
    config(state, &parts)
}

/// The zone at serial 1 in one message.
fn first() -> Vec<Rr> {
    vec![soa(1), ns(), a("ns.zone.test", 1), a("www.zone.test", 2), soa(1)]
}

/// From serial 1 to 2.
fn change() -> Vec<Rr> {
    vec![soa(2), soa(1), a("www.zone.test", 2), soa(2), a("www.zone.test", 3), soa(2)]
}

/// A primary that has serial 1, and an edge that has it from there.
fn served(more: &str) -> (Primary, Edge, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(|asked| match asked.question {
        Rtype::AXFR => Reply::Messages(vec![asked.answer(&first())]),
        _ => Reply::Messages(vec![asked.answer(&[soa(1)])]),
    });
    let edge = Edge::start(&settings(state.path(), primary.address, more));
    edge.wait_for_serial(ZONE, 1);
    (primary, edge, state)
}

/// The primary claims serial 2 and answers IXFR and AXFR by a script; the edge must keep what it has, and say why. Then
/// the primary behaves, and the edge must recover by itself.
fn rejects(more: &str, reason: &str, script: impl Fn(&Asked) -> Reply + Send + 'static) {
    let (primary, edge, state) = served(more);
    let before = dump(&edge.zone(ZONE).unwrap());
    primary.follow(move |asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(&[soa(2)])]),
        _ => script(asked),
    });
    edge.notify(ZONE, 2);
    let status = edge.wait_for_error(ZONE, reason);
    assert_eq!(status.serial, Some(1), "{reason}");
    assert_eq!(dump(&edge.zone(ZONE).unwrap()), before, "{reason}");
    primary.follow(|asked| match asked.question {
        Rtype::IXFR => Reply::Messages(vec![asked.answer(&change())]),
        _ => Reply::Messages(vec![asked.answer(&[soa(2)])]),
    });
    edge.wait_for_serial(ZONE, 2);
    let after = dump(&edge.zone(ZONE).unwrap());
    edge.stop();
    let edge = Edge::start(&settings(state.path(), primary.address, more));
    assert_eq!(dump(&edge.zone(ZONE).unwrap()), after, "{reason}");
    edge.stop();
}

/// The same answer to AXFR, and NOTIMP to IXFR.
fn rejects_axfr(reason: &str, records: Vec<Rr>) {
    rejects("", reason, move |asked| match asked.question {
        Rtype::IXFR => Reply::Messages(vec![asked.error(Rcode::NOTIMP)]),
        _ => Reply::ThenClose(vec![asked.answer(&records)]),
    });
}

#[test]
fn cut_off_between_and_within_messages() {
    let records = [soa(2), soa(1), a("www.zone.test", 2), soa(2), a("www.zone.test", 3)];
    // After a SOA alone the whole zone is asked for: see `differences_that_are_of_no_use`.
    for length in (0..=records.len()).filter(|&length| length != 1) {
        let start = records[..length].to_vec();
        rejects(
            "",
            &format!("the IXFR answer was cut off after {length} messages and {length} records"),
            move |asked| {
                let message = |(index, rr): (usize, &Rr)| {
                    if index == 0 {
                        asked.answer(std::slice::from_ref(rr))
                    } else {
                        asked.further(std::slice::from_ref(rr))
                    }
                };
                Reply::ThenClose(start.iter().enumerate().map(message).collect())
            },
        );
    }
    rejects("", "the IXFR answer was cut off after 1 messages and 2 records", |asked| {
        Reply::ThenCut(vec![asked.answer(&[soa(2), soa(1)])], vec![0; 100])
    });
}

#[test]
fn no_soa_at_the_end() {
    rejects_axfr(
        "the AXFR answer was cut off after 1 messages and 3 records",
        vec![soa(2), ns(), a("ns.zone.test", 1)],
    );
    let another = vec![soa(2), ns(), soa(3)];
    rejects_axfr("the transfer began with serial 2 and ended with another SOA record (serial 3)", another);
}

#[test]
fn no_soa_at_the_beginning() {
    rejects_axfr("the AXFR answer has no SOA record of zone.test. where one must be", vec![ns(), soa(2)]);
}

#[test]
fn outside_the_zone() {
    let records = vec![soa(2), ns(), a("www.other.test", 9), soa(2)];
    rejects_axfr("the record www.other.test. A is outside the zone zone.test.", records);
}

#[test]
fn another_id() {
    rejects("", "the answer has the wrong id", |asked| {
        let mut message = asked.answer(&change());
        message[0] ^= 0x55;
        Reply::ThenClose(vec![message])
    });
}

#[test]
fn another_question() {
    rejects("", "the answer has the wrong question (expected zone.test. IXFR, found zone.test. IN AXFR)", |asked| {
        let other = Asked { question: Rtype::AXFR, ..asked.clone() };
        Reply::ThenClose(vec![other.answer(&change())])
    });
}

#[test]
fn refused_and_silent() {
    rejects("", "the origin answered AXFR with REFUSED", |asked| Reply::ThenClose(vec![asked.error(Rcode::REFUSED)]));
    rejects("idle_s_max = 1", "no answer to the IXFR request within 1000 ms", |_| Reply::ThenSilence(vec![]));
    rejects("idle_s_max = 1", "the origin fell silent for 1 s after 2 records of the IXFR answer", |asked| {
        Reply::ThenSilence(vec![asked.answer(&[soa(2), soa(1)])])
    });
    rejects("idle_s_max = 3\nduration_s_max = 1", "the IXFR answer was not complete after 1 s (2 records)", |asked| {
        Reply::ThenSilence(vec![asked.answer(&[soa(2), soa(1)])])
    });
}

#[test]
fn too_much() {
    rejects("records_max = 10", "more than 10 records", |asked| {
        let mut records = vec![soa(2), ns()];
        records.extend((0..20).map(|n| a(&format!("n{n}.zone.test"), n)));
        match asked.question {
            Rtype::IXFR => Reply::Messages(vec![asked.error(Rcode::NOTIMP)]),
            _ => Reply::ThenClose(vec![asked.answer(&records)]),
        }
    });
    rejects("bytes_max = 2000", "more than 2000 bytes", |asked| {
        let mut records = vec![soa(2), ns()];
        records.extend((0..100).map(|n| a(&format!("n{n}.zone.test"), n)));
        Reply::ThenClose(vec![asked.answer(&records)])
    });
}

#[test]
fn a_lower_serial_before_expiry() {
    let (primary, edge, _state) = served("");
    primary.follow(|asked| match asked.question {
        Rtype::AXFR => panic!("nothing must be fetched"),
        _ => Reply::Messages(vec![asked.answer(&[soa(0)])]),
    });
    edge.notify(ZONE, 2);
    let status = edge.wait_for_error(ZONE, "the origin has serial 0, lower than our 1");
    assert_eq!((status.serial, status.origins[0].serial), (Some(1), Some(0)));
    edge.stop();
}

/// Differences that don't fit are given up for the whole zone at once, and the status says so.
fn falls_back(reason: &str, script: impl Fn(&Asked) -> Reply + Send + 'static) {
    let (primary, edge, _state) = served("");
    primary.follow(move |asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(&[soa(2)])]),
        Rtype::AXFR => Reply::Messages(vec![asked.answer(&[soa(2), ns(), a("new.zone.test", 4), soa(2)])]),
        _ => script(asked),
    });
    edge.notify(ZONE, 2);
    edge.wait_for_serial(ZONE, 2);
    wait_for("the status", || (edge.status(ZONE).serial == Some(2)).then_some(()));
    let origin = &edge.status(ZONE).origins[0];
    assert_eq!(origin.last_transfer.as_ref().unwrap().question, "AXFR");
    let fallback = origin.last_fallback.clone().unwrap();
    assert!(fallback.contains(reason), "{fallback}");
    assert_eq!(edge.zone(ZONE).unwrap().record_count(), 3);
    edge.stop();
}

#[test]
fn differences_that_are_of_no_use() {
    for rcode in [Rcode::NOTIMP, Rcode::FORMERR, Rcode::REFUSED, Rcode::SERVFAIL] {
        falls_back(&format!("the origin answered IXFR with {rcode}"), move |asked| {
            Reply::Messages(vec![asked.error(rcode)])
        });
    }
    falls_back("the differences are out of sequence: expected serial 1, found 0", |asked| {
        Reply::Messages(vec![asked.answer(&[soa(2), soa(0), soa(2), soa(2)])])
    });
    falls_back("deletes not-there.zone.test. A, which is not there", |asked| {
        Reply::Messages(vec![asked.answer(&[soa(2), soa(1), a("not-there.zone.test", 1), soa(2), soa(2)])])
    });
    falls_back("adds www.zone.test. A, which is there already", |asked| {
        Reply::Messages(vec![asked.answer(&[soa(2), soa(1), soa(2), a("www.zone.test", 2), soa(2)])])
    });
    falls_back("the IXFR answer was cut off after 1 messages and 1 records", |asked| {
        Reply::ThenClose(vec![asked.answer(&[soa(2)])])
    });
    falls_back("records follow the end of the IXFR answer", |asked| {
        let mut records = change();
        records.push(ns());
        Reply::Messages(vec![asked.answer(&records)])
    });
}

#[test]
fn the_whole_zone_in_answer_to_ixfr() {
    let (primary, edge, _state) = served("");
    primary.follow(|asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(&[soa(7)])]),
        Rtype::AXFR => panic!("it was here already"),
        _ => Reply::Messages(vec![asked.answer(&[soa(7)]), asked.further(&[ns()]), asked.further(&[soa(7)])]),
    });
    edge.notify(ZONE, 7);
    edge.wait_for_serial(ZONE, 7);
    assert_eq!(edge.zone(ZONE).unwrap().record_count(), 2);
    edge.stop();
}

#[test]
fn an_origin_that_hangs_up_on_ixfr_is_asked_for_the_whole_zone() {
    let (primary, edge, _state) = served("");
    primary.follow(|asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(&[soa(2)])]),
        Rtype::IXFR => Reply::ThenClose(vec![]),
        _ => Reply::Messages(vec![asked.answer(&[soa(2), ns(), soa(2)])]),
    });
    edge.notify(ZONE, 2);
    edge.wait_for_serial(ZONE, 2);
    edge.stop();
}
