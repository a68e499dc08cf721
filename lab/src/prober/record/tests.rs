//! Figures that follow from a record.

use super::*;

/// A query every 5 ms: `a`, `b` answered by that edge, `.` lost, `s` stale, `?` pending.
fn record(outcomes: &str) -> Record {
    let outcome = |letter| match letter {
        'a' => Outcome::Answered { edge: 0, after_us: 100 },
        'b' => Outcome::Answered { edge: 1, after_us: 300 },
        's' => Outcome::Stale { edge: 0, after_us: 100 },
        '.' => Outcome::Lost,
        _ => Outcome::Pending,
    };
    let probe = |(number, letter): (u64, char)| Probe { sent_us: number * 5000, address: 0, outcome: outcome(letter) };
    Record {
        region: "europe".to_owned(),
        addresses: vec![IpAddr::from([192, 0, 2, 53])],
        interval_us: 5000,
        edges: vec!["a".to_owned(), "b".to_owned()],
        probes: (0..).zip(outcomes.chars()).map(probe).collect(),
        lateness: Lateness::default(),
    }
}

#[test]
fn gaps_last_from_the_first_loss_to_the_next_answer() {
    let two = record("aa...ab.sb");
    assert_eq!((two.missed(), two.gap_us_max(), two.gap_us_total(), two.disturbed_us()), (5, 15_000, 25_000, 35_000));
    let none = record("aabb");
    assert_eq!((none.missed(), none.gap_us_max(), none.disturbed_us()), (0, 0, 0));
    let open = record("aa..");
    assert_eq!((open.missed(), open.gap_us_max()), (2, 10_000));
    assert_eq!(record("").gaps(), []);
}

#[test]
fn the_catchment_moves() {
    let slices = record("aaaa..bbbb").slices(10_000);
    let seen: Vec<_> = slices.iter().map(|slice| (slice.from_us, slice.missed, slice.answered.len())).collect();
    assert_eq!(seen, [(0, 0, 1), (10_000, 0, 1), (20_000, 2, 0), (30_000, 0, 1), (40_000, 0, 1)]);
    assert_eq!((slices[0].median_us, slices[2].median_us, slices[4].median_us), (Some(100), None, Some(300)));
    assert_eq!(record("aab").answerers(), BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
}

#[test]
fn steady_is_what_has_not_missed_anything() {
    assert_eq!(record("aaaaaaa??").last_steady(20_000), Some(vec!["a".to_owned()]));
    assert_eq!(record("aaaabbbbbb").last_steady(20_000), Some(vec!["b".to_owned()]));
    assert_eq!(record("aaaa.aa??").last_steady(20_000), None);
    assert_eq!(record("aaa").last_steady(20_000), None);
    // Nothing has come for long.
    assert_eq!(record(&("aaaaaaaaa".to_owned() + &"?".repeat(101))).last_steady(20_000), None);
}

#[test]
fn old_probes_are_forgotten_and_answers_to_them_ignored() {
    let region_record = record("");
    let mut store =
        Store { head: region_record, probes: VecDeque::new(), first: 0, lateness: VecDeque::new(), lateness_us_max: 0 };
    for number in 0..=PROBES_KEPT_MAX as u64 {
        assert_eq!(store.sent(number, 0, number % 100), number);
    }
    store.decide(0, Outcome::Lost);
    store.decide(PROBES_KEPT_MAX as u64, Outcome::Lost);
    let all = store.between(0, u64::MAX);
    assert_eq!((all.probes.len(), all.probes[0].sent_us, all.missed()), (PROBES_KEPT_MAX, 1, 1));
    assert_eq!((all.lateness.median_us, all.lateness.max_us), (50, 99));
    for number in 0..100 {
        store.edge(Some(format!("e{number}").as_bytes()));
    }
    assert_eq!(store.between(0, 0).edges.len(), EDGES_MAX);
}

#[test]
fn a_record_survives_json() {
    let before = record("a.sb?");
    let after: Record = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    assert_eq!(after, before);
}
