//! What attackers may try: random keys, collisions, clocks at their ends.

use std::collections::HashSet;

use super::*;
use crate::sources::key::Key;

/// Numbers that look random and are the same each time.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn random_address(state: &mut u64) -> IpAddr {
    let bits = random(state);
    if bits & 1 == 0 {
        IpAddr::from(((bits >> 32) as u32).to_be_bytes())
    } else {
        IpAddr::from((u128::from(bits) << 64).to_be_bytes())
    }
}

/// So many known-good sources, taken in at once.
fn make_known(bench: &Bench, number: u32) -> Vec<IpAddr> {
    let entry = |n: u32| crate::KnownGood {
        address: IpAddr::from((0xc612_0000 + n).to_be_bytes()),
        since_unix_s: UNIX_S,
        until_unix_s: UNIX_S + 30 * 86_400,
        why: crate::Why::Told,
    };
    let entries: Vec<_> = (0..number).map(entry).collect();
    bench.filters.import_known_good(&entries, bench.now, UNIX_S);
    entries.into_iter().map(|entry| entry.address).collect()
}

#[test]
fn random_sources_push_out_none_of_the_known_good_and_take_no_memory() {
    let mut bench = Bench::new(|_| {});
    make_known(&bench, 50_000);
    let memory_bytes = bench.filters.memory_bytes();
    let listed = |bench: &Bench| -> HashSet<IpAddr> {
        bench.filters.known_good(bench.now, UNIX_S).into_iter().map(|entry| entry.address).collect()
    };
    let before = listed(&bench);
    assert!(before.len() > 49_600, "{} of 50,000 found room", before.len());
    let mut state = 1;
    for n in 0..600_000 {
        let source = random_address(&mut state);
        bench.at_s(f64::from(n) / 400_000.0);
        // Twice each, so that every one of them gets a place.
        bench.ask_with(source, Proof::None, &bench.apex);
        bench.ask_with(source, Proof::None, &bench.apex);
    }
    assert_eq!(listed(&bench), before);
    assert_eq!(bench.filters.memory_bytes(), memory_bytes);
    assert!(bench.filters.sources.table.iter().count() > 400_000, "they were there");
}

#[test]
fn the_tables_take_less_than_their_part_of_the_memory() {
    let bench = Bench::new(|_| {});
    assert!(bench.filters.sources.memory_bytes() < 32 << 20, "{}", bench.filters.sources.memory_bytes());
}

#[test]
fn a_source_is_remembered_over_a_flood_until_its_next_try() {
    let mut bench = Bench::new(|_| {});
    let real: Vec<IpAddr> = (0..1000u32).map(|n| IpAddr::from((0xc633_6400 + n).to_be_bytes())).collect();
    real.iter().for_each(|source| _ = bench.ask_with(*source, Proof::None, &bench.apex));
    let mut state = 3;
    // The sources of 1.6 seconds at 400,000 a second.
    for _ in 0..640_000 {
        bench.ask_with(random_address(&mut state), Proof::None, &bench.apex);
    }
    let before = bench.filters.counts().first_seen;
    bench.at_s(1.6);
    real.iter().for_each(|source| _ = bench.ask_with(*source, Proof::None, &bench.apex));
    let forgotten = bench.filters.counts().first_seen - before;
    assert!(forgotten <= 5, "{forgotten} of 1000 were forgotten");
    // And of what was never there, hardly any is taken for known.
    let before = bench.filters.counts().first_seen;
    (0..10_000).for_each(|_| _ = bench.ask_with(random_address(&mut state), Proof::None, &bench.apex));
    let first = bench.filters.counts().first_seen - before;
    assert!(first >= 9_940, "{first} of 10,000 are new");
}

/// Addresses that all belong in one row of the table.
fn neighbours(bench: &Bench, number: usize) -> Vec<IpAddr> {
    let sources = &bench.filters.sources;
    let row = |address: &IpAddr| Key::of(*address).hash(&sources.hasher) >> 40 & ((1 << 18) - 1);
    let all = |n: u32| IpAddr::from(n.to_be_bytes());
    let wanted = row(&all(0x0a00_0000));
    (0x0a00_0000..).map(all).filter(|address| row(address) == wanted).take(number).collect()
}

#[test]
fn in_one_row_the_known_good_stay_and_others_find_a_place_still() {
    let bench = Bench::new(|_| {});
    let sources = neighbours(&bench, 8);
    let entry = |address: &IpAddr, until_unix_s| crate::KnownGood {
        address: *address,
        since_unix_s: UNIX_S,
        until_unix_s,
        why: crate::Why::Behaved,
    };
    let soon = UNIX_S + 10 * 86_400;
    let take = |entry| bench.filters.import_known_good(&[entry], bench.now, UNIX_S);
    assert_eq!(take(entry(&sources[0], soon)), 1);
    assert_eq!(take(entry(&sources[1], soon + 86_400)), 1);
    assert_eq!(take(entry(&sources[2], soon)), 0, "two are there that were heard of no longer ago");
    assert_eq!(take(entry(&sources[3], soon + 2 * 86_400)), 1, "the one that was silent for longest makes room");
    let good = |bench: &Bench| -> HashSet<IpAddr> {
        bench.filters.known_good(bench.now, UNIX_S).into_iter().map(|entry| entry.address).collect()
    };
    let want = HashSet::from([sources[1], sources[3]]);
    assert_eq!(good(&bench), want);
    // Unknown sources share the third place; a proven one keeps it against them.
    for source in &sources[4..] {
        bench.ask_with(*source, Proof::None, &bench.apex);
        bench.ask_with(*source, Proof::None, &bench.apex);
        assert_eq!(bench.filters.explain(*source, bench.now, UNIX_S).standing, crate::SourceStanding::Watched);
    }
    bench.ask_with(sources[0], Proof::Stream, &bench.apex);
    for source in &sources[4..] {
        (0..3).for_each(|_| _ = bench.ask_with(*source, Proof::None, &bench.apex));
    }
    assert!(bench.ask_with(sources[0], Proof::None, &bench.apex).known_good);
    assert_eq!(good(&bench), want.into_iter().chain([sources[0]]).collect());
}

#[test]
fn who_has_behaved_for_long_is_pushed_out_last() {
    let mut bench = Bench::new(|defences| defences.known_good_after_s = 60);
    let sources = neighbours(&bench, 100);
    let patient = sources[0].to_string();
    bench.behave(&patient, 0..30);
    for source in &sources[1..] {
        bench.ask_with(*source, Proof::None, &bench.apex);
        bench.ask_with(*source, Proof::None, &bench.apex);
    }
    bench.behave(&patient, 30..70);
    assert!(bench.is_known_good(&patient));
}

#[test]
fn the_clock_may_stand_anywhere() {
    let ends = [0, 1, 1 << 28, (1 << 30) - 1, 1 << 32, (1 << 44) - 1, u64::MAX / 2, u64::MAX - 1, u64::MAX];
    for us in ends {
        let mut bench = Bench::new(|defences| defences.known_good_after_s = 1);
        bench.now = Now::from_us(us);
        for _ in 0..20 {
            let exchanged = (Kind::Answer, u32::MAX);
            let (admission, verdict) = bench.exchange(address("192.0.2.1"), Proof::None, &bench.apex, exchanged);
            assert_eq!((admission.verdict, verdict), (Verdict::Serve, Verdict::Serve), "{us}");
        }
        make_known(&bench, 10);
        bench.filters.tick(bench.now);
        bench.filters.explain(address("192.0.2.1"), bench.now, u64::MAX);
        assert_eq!(bench.filters.known_good(bench.now, u64::MAX).len(), 10);
        assert_eq!(bench.filters.known_good(bench.now, 0).len(), 10);
    }
}

#[test]
fn a_clock_that_jumps_far_ahead_leaves_budgets_empty() {
    let mut bench = Bench::new(|_| {});
    (0..10_000).for_each(|_| _ = bench.ask("192.0.2.1"));
    assert_ne!(bench.ask("192.0.2.1").verdict, Verdict::Serve);
    for us in [10u64 * 365 * 86_400 * 1_000_000, u64::MAX] {
        bench.now = Now::from_us(us);
        assert_eq!(bench.ask("192.0.2.1").penalty, 0, "{us}");
    }
}

#[test]
fn touching_changes_nothing() {
    let bench = Bench::new(|_| {});
    let apex = name("example.com");
    let (gate, mut view) = (bench.lane.gate(bench.now), view(address("192.0.2.1"), Proof::None, &apex));
    gate.make_hashes(&mut view);
    (0..1000).for_each(|_| gate.touch_all([&view].into_iter()));
    assert_eq!(bench.filters.counts(), crate::Counts::default());
    assert_eq!(bench.filters.explain(address("192.0.2.1"), bench.now, 0).standing, crate::SourceStanding::NeverSeen);
}
