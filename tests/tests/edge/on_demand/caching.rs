//! What is kept and for how long: TTLs that count down, negative answers (RFC 2308), referrals, aliases that lead out of
//! the zone; one question for many clients; what is in demand is asked for before it expires.

use parapet_lab::Rtype;
use parapet_lab::scripted::{Behaviour, ELSEWHERE};
use std::time::Duration;
use wire::Rcode;

use super::{ZONE, ask_at_once, ask_once, ask_until, before_scripted, number, ttl_s};
use crate::scene::{Scene, question};

/// Nothing is asked for before it expires, so that questions at the origin can be counted.
const NO_PREFETCH: &str = "prefetch = false\n";

#[test]
fn an_answer_is_kept_for_its_ttl_and_counts_down() {
    let (scene, origin, edge) = before_scripted("od-ttl", NO_PREFETCH);
    origin.set_ttl_s(3);
    let name = "www.od.test";
    let first = ask_once(scene.client(), edge.v4(), name, Rtype::TXT);
    assert_eq!((first.aa, number(&first)), (true, 1));
    assert!(ttl_s(&first) <= 3, "{}", ttl_s(&first));
    let mut seen = vec![ttl_s(&first)];
    let second = ask_until(&scene, &edge, (name, Rtype::TXT), |reply| {
        let again = number(reply);
        if again == 1 {
            seen.push(ttl_s(reply));
        }
        (again != 1).then_some(again)
    });
    assert_eq!(second, 2, "no other question than the two");
    assert!(seen.is_sorted_by(|a, b| a >= b), "it only counts down: {seen:?}");
    assert!(seen.iter().any(|ttl_s| *ttl_s <= 1), "down to its end: {seen:?}");
    let asked = origin.asked();
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(3), "not before its time");
    assert_eq!(origin.count_of(name), 2);
}

#[test]
fn ttls_beyond_the_limit_are_cut() {
    let (scene, origin, edge) = before_scripted("od-ttl-max", "ttl_s_max = 60\nnegative_ttl_s_max = 20\n");
    origin.set_ttl_s(86_400);
    origin.set_negative_ttl_s(86_400);
    assert!(ttl_s(&ask_once(scene.client(), edge.v4(), "www.od.test", Rtype::TXT)) <= 60);
    assert!(ttl_s(&ask_once(scene.client(), edge.v4(), "nx.od.test", Rtype::TXT)) <= 20);
}

/// NXDOMAIN and no data are kept for the lesser of the SOA's TTL and its MINIMUM (RFC 2308 §5).
#[test]
fn negative_answers_are_kept_as_well() {
    let (scene, origin, edge) = before_scripted("od-negative", NO_PREFETCH);
    origin.set_negative_ttl_s(2);
    for (name, rcode) in [("nx1.od.test", 3), ("empty.od.test", 0)] {
        for _ in 0..5 {
            let reply = ask_once(scene.client(), edge.v4(), name, Rtype::A);
            assert_eq!((reply.rcode, reply.aa, reply.answers.len()), (rcode, true, 0), "{name}");
            assert_eq!(reply.authority.iter().map(|record| record.rtype).collect::<Vec<_>>(), [Rtype::SOA], "{name}");
            assert!(ttl_s(&reply) <= 2, "{name}");
        }
        assert_eq!(origin.count_of(name), 1, "{name}");
    }
    ask_until(&scene, &edge, ("nx1.od.test", Rtype::A), |_| (origin.count_of("nx1.od.test") == 2).then_some(()));
    let asked = origin.asked();
    let times: Vec<_> = asked.iter().filter(|asked| asked.name.eq_ignore_ascii_case("nx1.od.test")).collect();
    assert!(times[1].at - times[0].at >= Duration::from_secs(2), "not before its time");
}

/// As an authoritative server gives them: without AA, the name servers of the child and their addresses.
#[test]
fn referrals_are_passed_on() {
    let (scene, origin, edge) = before_scripted("od-referral", NO_PREFETCH);
    for name in ["www.cut1.od.test", "a.b.cut1.od.test"] {
        let wanted = scene.ask(origin.v4(), name, wire::Rtype::A);
        for _ in 0..2 {
            let answer = scene.ask(edge.v4(), name, wire::Rtype::A);
            assert!(answer.is_referral() && answer.rcode == Rcode::NOERROR, "{name}: {answer}");
            assert!(answer.authority.keys().eq(wanted.authority.keys()), "{name}: {answer}");
            assert!(answer.additional.keys().eq(wanted.additional.keys()), "{name}: {answer}");
        }
    }
}

/// The alias is the answer; where it leads is for the client's resolver to find out.
#[test]
fn an_alias_out_of_the_zone_is_passed_on() {
    let (scene, origin, edge) = before_scripted("od-alias", NO_PREFETCH);
    for _ in 0..3 {
        let answer = scene.ask(edge.v4(), "alias.od.test", wire::Rtype::A);
        assert_eq!((answer.rcode, answer.aa, answer.answer.len()), (Rcode::NOERROR, true, 1), "{answer}");
        let (key, (_, targets)) = answer.answer.iter().next().expect("an alias");
        assert_eq!(key.rtype, wire::Rtype::CNAME);
        let text = String::from_utf8_lossy(targets.first().expect("a target")).replace(['\x06', '\x09', '\x07'], ".");
        assert!(text.contains(ELSEWHERE), "{text}");
    }
    assert_eq!(origin.count_of("alias.od.test"), 1, "one question for all");
    assert_eq!(origin.count_of(ELSEWHERE), 0, "not the edge's business");
}

/// Whatever a zone is filled by, its clients see an authoritative server: their case comes back, RA is not set, what is no
/// name of the zone is refused.
#[test]
fn it_looks_like_an_authoritative_server() {
    let (scene, _origin, edge) = before_scripted("od-looks", "");
    let mixed = scene.ask(edge.v4(), "wWw.Od.TeSt", wire::Rtype::A);
    assert_eq!((mixed.rcode, mixed.aa, mixed.ra, mixed.ad), (Rcode::NOERROR, true, false, false), "{mixed}");
    assert_eq!(scene.ask(edge.v4(), "www.elsewhere.example", wire::Rtype::A).rcode, Rcode::REFUSED);
    for kind in [wire::Rtype::AXFR, wire::Rtype::IXFR] {
        let answer = crate::scene::ask_from(scene.client(), edge.v4(), &question(ZONE, kind));
        assert!(answer.answer.is_empty() && answer.rcode != Rcode::NOERROR, "{kind}: {answer}");
    }
}

#[test]
fn many_clients_with_one_question_are_one_question_to_the_origin() {
    let (scene, origin, edge) = before_scripted("od-coalesced", "");
    origin.behave(Behaviour::Slow(Duration::from_millis(400)));
    let replies = ask_at_once(&scene, &edge, "busy.od.test", 40);
    assert!(replies.iter().all(|reply| reply.rcode == 0 && number(reply) == 1), "all have the same answer");
    assert_eq!(origin.count_of("busy.od.test"), 1);
}

/// The origin sees the second question before the first answer's TTL is over, though nobody had to wait for it.
#[test]
fn what_is_in_demand_is_asked_for_before_it_expires() {
    let ttl = Duration::from_secs(6);
    let (scene, origin, edge) = before_scripted("od-prefetch", "");
    origin.set_ttl_s(6);
    ask_until(&scene, &edge, ("hot.od.test", Rtype::TXT), |reply| (number(reply) > 1).then_some(()));
    let asked = origin.asked();
    assert!(asked[1].at - asked[0].at < ttl, "{:?} after the first question", asked[1].at - asked[0].at);
}

/// A name has many types, and each is a question of its own; DO and the payload size are none.
#[test]
fn one_entry_serves_clients_with_and_without_dnssec() {
    let (scene, origin, edge) = before_scripted("od-variants", "");
    let ask = |scene: &Scene, dnssec: bool, size: Option<u16>| {
        let question =
            parapet_tests::Question { dnssec, udp_bytes_max: size, ..question("www.od.test", wire::Rtype::A) };
        crate::scene::ask_from(scene.client(), edge.v4(), &question)
    };
    for (dnssec, size) in
        [(false, None), (false, Some(512)), (false, Some(4096)), (true, Some(1232)), (true, Some(4096))]
    {
        let answer = ask(&scene, dnssec, size);
        assert_eq!((answer.rcode, answer.answer.len(), answer.edns), (Rcode::NOERROR, 1, size.is_some()), "{answer}");
    }
    assert_eq!(origin.count_of("www.od.test"), 1);
    assert!(origin.asked()[0].dnssec, "asked once, with DO");
}
