//! How a source becomes known good, how it stops to be, and how others learn of it.

use super::*;
use crate::{KnownGood, SourceStanding, Why};

const SOURCE: &str = "192.0.2.1";

fn bench() -> Bench {
    Bench::new(|defences| defences.known_good_after_s = 60)
}

impl Bench {
    fn standing(&self, source: &str) -> SourceStanding {
        self.filters.explain(address(source), self.now, self.unix_s()).standing
    }

    fn known(&self) -> Vec<KnownGood> {
        self.filters.known_good(self.now, self.unix_s())
    }
}

#[test]
fn good_behaviour_over_the_whole_time_makes_known_good() {
    let mut bench = bench();
    assert_eq!(bench.standing(SOURCE), SourceStanding::NeverSeen);
    bench.behave(SOURCE, 0..1);
    assert_eq!(bench.standing(SOURCE), SourceStanding::Watched);
    bench.behave(SOURCE, 1..52);
    assert_eq!(bench.standing(SOURCE), SourceStanding::Watched);
    bench.behave(SOURCE, 52..64);
    assert_eq!(bench.standing(SOURCE), SourceStanding::KnownGood);
    assert!(bench.ask(SOURCE).known_good);
    let known = bench.known();
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].address, known[0].why), (address(SOURCE), Why::Behaved));
    assert!((UNIX_S..UNIX_S + 64).contains(&known[0].since_unix_s), "{known:?}");
}

#[test]
fn much_in_a_short_time_does_not() {
    let mut bench = bench();
    for n in 0..5000 {
        bench.at_s(f64::from(n) / 150.0).converse(SOURCE);
    }
    assert_eq!(bench.standing(SOURCE), SourceStanding::Watched);
}

#[test]
fn seldom_but_again_and_again_does() {
    let mut bench = bench();
    (0..30).for_each(|n| _ = bench.at_s(f64::from(n) * 200.0).converse(SOURCE));
    assert_eq!(bench.standing(SOURCE), SourceStanding::KnownGood);
}

/// After ten minutes, ten times as long as good behaviour takes.
fn after_ten_minutes(kind: impl Fn(u32) -> Kind, ttl_s: u32) -> SourceStanding {
    let mut bench = bench();
    for n in 0..1200 {
        let exchanged = (kind(n), ttl_s);
        let bench = bench.at_s(f64::from(n) / 2.0);
        bench.exchange(address(SOURCE), Proof::None, &bench.apex, exchanged);
    }
    bench.standing(SOURCE)
}

#[test]
fn who_mostly_asks_for_what_is_not_there_stays_unknown() {
    assert_eq!(after_ten_minutes(|_| Kind::NoName, 0), SourceStanding::Watched);
    assert_eq!(after_ten_minutes(|n| [Kind::NoName, Kind::Answer][n as usize % 2], 0), SourceStanding::Watched);
    assert_eq!(after_ten_minutes(|_| Kind::Error, 0), SourceStanding::Watched);
    // A part of all that resolvers ask for is not there.
    let quarter = |n| if n % 4 == 0 { Kind::NoName } else { Kind::Answer };
    assert_eq!(after_ten_minutes(quarter, 0), SourceStanding::KnownGood);
}

#[test]
fn who_heeds_no_ttl_stays_unknown() {
    assert_eq!(after_ten_minutes(|_| Kind::Answer, 300), SourceStanding::Watched);
    assert_eq!(after_ten_minutes(|_| Kind::Answer, 0), SourceStanding::KnownGood);
}

#[test]
fn who_is_far_above_its_budget_stays_unknown() {
    let mut bench = bench();
    for n in 0..100_000 {
        bench.at_s(f64::from(n) / 1000.0).converse(SOURCE);
    }
    assert_eq!(bench.standing(SOURCE), SourceStanding::Watched);
}

#[test]
fn while_random_sources_ask_only_the_proven_are_learned() {
    let mut bench = bench();
    let (policy, apex) = (bench.filters.policy(), name("example.com"));
    let found = Found { zone: None, kind: Kind::Answer, ttl_s: 0, cut: None, is_hit: false };
    for n in 0..200 {
        bench.at_s(f64::from(n) / 2.0);
        for (source, proof) in [(SOURCE, Proof::None), ("192.0.2.2", Proof::Cookie)] {
            let view = view(address(source), proof, &apex);
            let admission = bench.lane.gate(bench.now).admit(&view);
            let learn = (&view, &admission, &found);
            bench.filters.sources.learn(learn, Verdict::Serve, (&policy, true), &bench.clock());
        }
    }
    assert_eq!(bench.standing(SOURCE), SourceStanding::Watched);
    assert_eq!(bench.standing("192.0.2.2"), SourceStanding::KnownGood);
}

#[test]
fn a_proof_holds_for_an_hour() {
    for (proof, why) in [(Proof::Stream, Why::Connected), (Proof::Cookie, Why::Cookie)] {
        let mut bench = bench();
        bench.at_s(1000.0);
        bench.ask_with(address(SOURCE), proof, &bench.apex);
        assert!(bench.at_s(1001.0).ask(SOURCE).known_good);
        assert_eq!(bench.known()[0].why, why);
        assert!((bench.unix_s() + 3500..bench.unix_s() + 3700).contains(&bench.known()[0].until_unix_s));
        assert!(bench.at_s(4500.0).ask(SOURCE).known_good);
        assert!(!bench.at_s(4800.0).ask(SOURCE).known_good);
        assert_eq!(bench.known(), []);
        // It is watched as before, and the same proof makes it good again.
        assert_eq!(bench.standing(SOURCE), SourceStanding::Watched);
        bench.ask_with(address(SOURCE), proof, &bench.apex);
        assert_eq!(bench.standing(SOURCE), SourceStanding::Proven);
    }
}

#[test]
fn a_proof_that_has_ended_does_not_come_back_when_its_time_wraps() {
    let mut bench = bench();
    bench.ask_with(address(SOURCE), Proof::Stream, &bench.apex);
    for second in 0..5 * 3600 {
        let now = bench.at_s(f64::from(second)).now;
        bench.filters.sources.tick(&bench.filters.policy(), now);
        assert_eq!(bench.standing(SOURCE) == SourceStanding::Proven, second < 3648, "{second}");
    }
}

#[test]
fn the_known_good_are_forgotten_when_they_are_silent_for_their_lifetime() {
    let mut bench = Bench::new(|defences| {
        (defences.known_good_after_s, defences.known_good_lifetime_s) = (60, 86_400);
    });
    bench.behave(SOURCE, 0..70);
    let sweep = |bench: &Bench| {
        (0..2048).for_each(|_| bench.filters.sources.tick(&bench.filters.policy(), bench.now));
    };
    for day in 1..10 {
        bench.at_s(f64::from(day) * 80_000.0);
        sweep(&bench);
        assert!(bench.is_known_good(SOURCE), "day {day}");
        bench.converse(SOURCE);
    }
    bench.at_s(9.0 * 80_000.0 + 90_000.0);
    sweep(&bench);
    assert_eq!(bench.standing(SOURCE), SourceStanding::SeenOnce);
}

#[test]
fn what_comes_from_its_address_does_not_make_a_known_good_source_less() {
    let mut bench = bench();
    bench.behave(SOURCE, 0..70);
    for n in 0..100_000 {
        let exchanged = (Kind::NoName, 300);
        let at = 70.0 + f64::from(n) / 10_000.0;
        let bench = bench.at_s(at);
        bench.exchange(address(SOURCE), Proof::None, &bench.apex, exchanged);
    }
    assert_eq!(bench.standing(SOURCE), SourceStanding::KnownGood);
    assert_eq!(bench.at_s(85.0).ask(SOURCE).penalty, 0);
}

#[test]
fn another_node_takes_the_known_good_in() {
    let mut bench = bench();
    bench.behave(SOURCE, 0..70);
    bench.behave("2001:db8:1:2::53", 0..70);
    bench.ask_with(address("192.0.2.9"), Proof::Stream, &bench.apex);
    let known = bench.known();
    assert_eq!(known.len(), 3);
    let json = serde_json::to_string(&known).unwrap();
    assert_eq!(serde_json::from_str::<Vec<KnownGood>>(&json).unwrap(), known);

    let other = Bench::new(|_| {});
    assert_eq!(other.filters.import_known_good(&known, other.now, bench.unix_s()), 2);
    assert!(other.ask(SOURCE).known_good && other.ask("2001:db8:1:2::1").known_good);
    assert!(!other.ask("192.0.2.9").known_good, "what holds for an hour is not passed on");
    let mut passed_on = other.filters.known_good(other.now, bench.unix_s());
    assert!(passed_on.iter().all(|entry| entry.why == Why::Told));
    passed_on.sort_by_key(|entry| entry.address);
    assert_eq!(
        passed_on.iter().map(|entry| entry.address).collect::<Vec<_>>(),
        [address(SOURCE), address("2001:db8:1:2::")]
    );
    // Times survive to a quarter of an hour or so.
    for (before, after) in known.iter().filter(|entry| entry.why.is_lasting()).zip(&passed_on) {
        assert!(before.since_unix_s.abs_diff(after.since_unix_s) <= 1024, "{before:?} {after:?}");
        assert!(before.until_unix_s.abs_diff(after.until_unix_s) <= 2048, "{before:?} {after:?}");
    }
}

#[test]
fn what_is_over_or_nonsense_is_not_taken_in() {
    let bench = bench();
    let entry =
        |since_unix_s, until_unix_s, why| KnownGood { address: address(SOURCE), since_unix_s, until_unix_s, why };
    let take = |entry| bench.filters.import_known_good(&[entry], bench.now, UNIX_S);
    assert_eq!(take(entry(0, UNIX_S, Why::Behaved)), 0);
    assert_eq!(take(entry(UNIX_S, 0, Why::Told)), 0);
    assert_eq!(take(entry(UNIX_S, u64::MAX, Why::Connected)), 0);
    assert_eq!(bench.known(), []);
    // From the future and for ever: taken for now, and for the lifetime at most.
    assert_eq!(take(entry(u64::MAX, u64::MAX, Why::Told)), 1);
    let known = bench.known();
    assert_eq!(known[0].since_unix_s, UNIX_S);
    assert!(known[0].until_unix_s <= UNIX_S + 30 * 86_400);
}

#[test]
fn an_order_makes_it_unknown_again() {
    let mut bench = bench();
    bench.behave(SOURCE, 0..70);
    bench.filters.forget_source(address(SOURCE));
    assert_eq!(bench.known(), []);
    assert_eq!(bench.standing(SOURCE), SourceStanding::SeenOnce);
    bench.filters.forget_source(address("192.0.2.77"));
}

#[test]
fn the_list_of_the_operator_needs_no_learning() {
    let bench = Bench::new(|defences| defences.known_good = vec!["2001:db8::/32".parse().unwrap()]);
    assert!(bench.ask("2001:db8::1").known_good);
    assert_eq!(bench.standing("2001:db8::2"), SourceStanding::KnownGood);
    assert!(!bench.ask("2001:db9::1").known_good);
}

#[test]
fn above_capacity_those_that_are_known_come_first() {
    let mut bench = Bench::new(|defences| defences.known_good = vec![address("192.0.2.1").into()]);
    let stranger = "198.51.100.7";
    assert_eq!(bench.at_s(1.0).ask(stranger).penalty, 0, "with capacity for all nobody is worth less");
    // A backlog that lasts for long.
    for ms in 0..50_u64 {
        let now = Now::from_us(2_000_000 + ms * 1000);
        (0..64).for_each(|_| bench.lane.pressure().bore(1));
        bench.lane.pressure().turn(true, || 90, || now);
    }
    bench.at_s(2.05);
    assert_eq!(bench.ask("192.0.2.1").verdict, Verdict::Serve);
    assert_eq!(bench.ask(stranger).verdict, Verdict::Drop(Filter::UnknownSource));
    let proven = bench.ask_with(address(stranger), Proof::Stream, &bench.apex);
    assert_eq!(proven.verdict, Verdict::Serve, "a proof makes it known");
}
