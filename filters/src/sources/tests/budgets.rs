//! Budgets of clients and prefixes, repetition, lists.

use super::*;

/// What so many queries in one second get: served without a penalty, with one, not at all.
fn flood(bench: &mut Bench, from_s: f64, per_s: u32, source: impl Fn(u32) -> String) -> [u32; 3] {
    let mut counts = [0; 3];
    for n in 0..per_s {
        let admission = bench.at_s(from_s + f64::from(n) / f64::from(per_s)).ask(&source(n));
        counts[match (admission.verdict, admission.penalty) {
            (Verdict::Serve, 0) => 0,
            (Verdict::Serve, _) => 1,
            _ => 2,
        }] += 1;
    }
    counts
}

#[test]
fn a_client_within_its_budget_has_no_penalty() {
    let mut bench = Bench::new(|_| {});
    for second in 0..10 {
        assert_eq!(flood(&mut bench, f64::from(second), 200, |_| "192.0.2.1".into()), [200, 0, 0]);
    }
}

#[test]
fn a_client_above_its_budget_is_penalised_and_far_above_dropped() {
    let mut bench = Bench::new(|_| {});
    (0..5).for_each(|second| _ = flood(&mut bench, second.into(), 600, |_| "192.0.2.1".into()));
    let [fine, penalised, dropped] = flood(&mut bench, 5.0, 600, |_| "192.0.2.1".into());
    assert!(fine < 200 && penalised > 400 && dropped == 0, "{fine} {penalised} {dropped}");
    (6..9).for_each(|second| _ = flood(&mut bench, second.into(), 50_000, |_| "192.0.2.1".into()));
    let [fine, penalised, dropped] = flood(&mut bench, 9.0, 50_000, |_| "192.0.2.1".into());
    assert_eq!(fine, 0);
    assert!((780..820).contains(&penalised), "{penalised}");
    assert_eq!(penalised + dropped, 50_000);
    // What is dropped uses up nothing of the prefix: its neighbours are fine.
    assert_eq!(bench.ask("192.0.2.2").penalty, 0);
    // And it is well again when it stops for three seconds.
    assert_eq!(bench.at_s(13.0).ask("192.0.2.1").penalty, 0);
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_client() {
    let mut bench = Bench::new(|_| {});
    let counts = (0..5).map(|second| flood(&mut bench, second.into(), 5000, |n| format!("2001:db8::{n:x}"))).last();
    assert_eq!(counts.unwrap()[0], 0);
    assert_eq!(bench.ask("2001:db8:1::1").penalty, 0);
}

#[test]
fn a_prefix_above_its_budget_is_limited_and_the_known_good_in_it_are_not() {
    let mut bench = Bench::new(|defences| defences.known_good = vec!["192.0.2.250".parse().unwrap()]);
    let sources = |n: u32| format!("192.0.2.{}", n % 200);
    (0..5).for_each(|second| _ = flood(&mut bench, second.into(), 10_000, sources));
    let [fine, penalised, dropped] = flood(&mut bench, 5.0, 10_000, sources);
    assert_eq!(fine, 0);
    assert!((3900..4100).contains(&penalised), "{penalised}");
    assert!(dropped > 5000);
    assert_eq!(bench.ask("192.0.2.250").penalty, 0);
    let connected = bench.ask_with(address("192.0.2.249"), Proof::Stream, &bench.apex);
    assert_eq!((connected.verdict, connected.penalty), (Verdict::Serve, 0));
    assert_eq!(bench.ask("192.0.2.249").penalty, 0, "it has proved where it is");
}

#[test]
fn a_known_good_client_has_a_multiple_of_the_budget() {
    let mut bench = Bench::new(|defences| defences.known_good = vec!["192.0.2.0/24".parse().unwrap()]);
    for second in 0..5 {
        assert_eq!(flood(&mut bench, f64::from(second), 2000, |_| "192.0.2.1".into()), [2000, 0, 0]);
    }
    (5..9).for_each(|second| _ = flood(&mut bench, second.into(), 20_000, |_| "192.0.2.1".into()));
    assert_eq!(flood(&mut bench, 9.0, 20_000, |_| "192.0.2.1".into())[0], 0);
}

/// How many of so many exchanges in one second had the penalty of a repetition.
fn repeat(bench: &mut Bench, from_s: f64, proof: Proof, ttl_s: u32, number: u32) -> usize {
    let qname = name("www.example.com");
    let penalised = (0..number).filter(|n| {
        let bench = bench.at_s(from_s + f64::from(*n) / f64::from(number));
        let (admission, _) = bench.exchange(address("192.0.2.1"), proof, &qname, (Kind::Answer, ttl_s));
        assert!(admission.penalty == 0 || admission.worst == Some(Filter::Repetition));
        admission.penalty != 0
    });
    penalised.count()
}

#[test]
fn who_asks_for_what_it_has_is_penalised_above_ten_a_second() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(repeat(&mut bench, 0.0, Proof::None, 300, 10), 0);
    assert_eq!(repeat(&mut bench, 1.0, Proof::None, 300, 10), 0);
    assert!(repeat(&mut bench, 2.0, Proof::None, 300, 100) > 70);
    // Its next try over TCP may follow a truncated answer; other names are other questions.
    assert_eq!(repeat(&mut bench, 3.0, Proof::Stream, 300, 100), 0);
    let (admission, _) =
        bench.exchange(address("192.0.2.1"), Proof::None, &name("other.example.com"), (Kind::Answer, 300));
    assert_eq!(admission.penalty, 0);
}

#[test]
fn an_answer_that_holds_for_no_time_may_be_asked_for_again() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(repeat(&mut bench, 0.0, Proof::None, 0, 100), 0);
    // Three seconds apart, an answer that holds for one is none any more.
    let late = (0..30).map(|n| repeat(&mut bench, 10.0 + 3.0 * f64::from(n), Proof::None, 1, 1)).sum::<usize>();
    assert_eq!(late, 0);
}

#[test]
fn another_case_is_the_same_question_and_another_type_is_not() {
    let bench = Bench::new(|_| {});
    let sources = &bench.filters.sources;
    let question = |text: &str, qtype: u16| {
        let qname = name(text);
        let mut view = view(address("192.0.2.1"), Proof::None, &qname);
        let asked = Asked { qtype: Rtype(qtype), ..view.asked.unwrap() };
        let before = sources.question(7, &view, &asked);
        sources.make_hashes(&mut view, &bench.filters.policy());
        sources.touch(&view);
        assert_eq!(sources.question(7, &view, &asked), before, "touching makes no difference");
        before
    };
    assert_eq!(question("www.example.com", 1), question("WwW.eXaMple.CoM", 1));
    // A and HTTPS are 64 apart.
    assert_ne!(question("www.example.com", 1), question("www.example.com", 65));
    assert_ne!(question("www.example.com", 1), question("ww.example.com", 1));
}

#[test]
fn the_allowed_are_exempt_and_the_blocked_get_nothing() {
    let bench = Bench::new(|defences| {
        defences.allow = vec!["192.0.2.0/25".parse().unwrap(), "2001:db8:a::/48".parse().unwrap()];
        defences.block = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
    });
    for _ in 0..10_000 {
        assert_eq!(bench.ask("192.0.2.1"), Admission::EXEMPT);
        assert_eq!(bench.ask("2001:db8:a::1"), Admission::EXEMPT);
        assert_eq!(bench.ask("192.0.2.128").verdict, Verdict::Drop(Filter::Blocked));
        assert_eq!(bench.ask("2001:db8:b::1").verdict, Verdict::Drop(Filter::Blocked));
    }
    assert_eq!(bench.filters.sources.table.iter().count(), 0, "nothing is learned of either");
}

#[test]
fn observing_serves_all_and_counts_what_would_have_been() {
    let mut bench = Bench::new(|defences| defences.mode = DefenceMode::Observe);
    for second in 0..4 {
        assert_eq!(flood(&mut bench, second.into(), 10_000, |_| "192.0.2.1".into()), [10_000, 0, 0]);
    }
    let counts = bench.filters.counts();
    assert!(counts.effect(Filter::Client, crate::Effect::WouldDrop) > 30_000);
    assert_eq!(counts.effect(Filter::Client, crate::Effect::Dropped), 0);
}

#[test]
fn truncated_answers_for_unknown_sources_have_a_budget() {
    let mut bench = Bench::new(|_| {});
    bench.at_s(1.0).ask("192.0.2.1");
    let sources = &bench.filters.sources;
    let (apex, policy) = (name("example.com"), bench.filters.policy());
    let counts = crate::LaneCounts::default();
    let look = |source| sources.look_up(&view(address(source), Proof::None, &apex), &policy, &counts, &bench.clock());
    use crate::verdict::Finding;
    assert_eq!(sources.unknown(&look("192.0.2.9"), bench.now), Finding::Drop, "never seen");
    let slips = (0..20_000).filter(|_| sources.unknown(&look("192.0.2.1"), bench.now) == Finding::Slip).count();
    assert_eq!(slips, 5000);
    let later = Now::from_us(bench.now.us() + 500_000);
    let slips = (0..20_000).filter(|_| sources.unknown(&look("192.0.2.1"), later) == Finding::Slip).count();
    assert_eq!(slips, 2500);
}

#[test]
fn an_explanation_says_what_the_chain_would_do() {
    let mut bench = Bench::new(|_| {});
    (0..4).for_each(|second| _ = flood(&mut bench, second.into(), 600, |_| "192.0.2.1".into()));
    let explain = |bench: &Bench| bench.filters.explain(address("192.0.2.1"), bench.now, bench.unix_s());
    let before = explain(&bench);
    assert_eq!(before, explain(&bench), "looking changes nothing");
    let admission = bench.ask("192.0.2.1");
    assert_eq!((before.penalty, before.verdict), (admission.penalty, "serve"));
    let client = &before.budgets[0];
    assert_eq!((client.filter, client.of.as_str(), client.per_s), ("client", "192.0.2.1", 200));
    assert!((0.9..1.2).contains(&client.used), "{client:?}");
    assert_eq!(before.budgets[1].of, "192.0.2.0/24");
    (4..8).for_each(|second| _ = flood(&mut bench, second.into(), 50_000, |_| "192.0.2.1".into()));
    let after = explain(&bench);
    assert_eq!((after.verdict, after.penalty), ("drop", 100));
    assert_eq!(bench.ask("192.0.2.1").verdict, Verdict::Drop(Filter::Client));
    let of = |source: &str| bench.filters.explain(address(source), bench.now, bench.unix_s());
    assert_eq!(of("2001:db8:1:2ff::1").budgets[0].of, "2001:db8:1:2ff::/64");
    assert_eq!(of("2001:db8:1:2ff::1").budgets[1].of, "2001:db8:1:200::/56");
    serde_json::to_string(&after).unwrap();
}
