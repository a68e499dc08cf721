//! One example of everything, and how it reads.

use super::super::style::Style;
use super::{explain, fleet, known_good, node, summary};
use crate::control::defences::{
    ArmedStatus, BudgetStatus, DefencesStatus, Explained, FilterStatus, GoodSource, JudgementStatus, KnownGood,
    LearnedStatus, ListedStatus, NormalStatus, QuarantineStatus, SettingStatus, SuffixStatus, TopRates,
};
use crate::services::defences::orders::List;
use crate::services::defences::report::{EventSample, KeptEvent};

const NOW: f64 = 1_800_000_000.0;

pub(crate) fn armed() -> Vec<ArmedStatus> {
    vec![ArmedStatus {
        defence: "random-source".to_owned(),
        scope: "node".to_owned(),
        since_unix_s: NOW - 12.0,
        per_s: 410_000.0,
        normal_per_s: 2000.0,
    }]
}

fn filter(name: &str, mode: &str, armed: Option<bool>, effects: &[(&str, u64)]) -> FilterStatus {
    FilterStatus {
        filter: name.to_owned(),
        mode: mode.to_owned(),
        by: if mode == "on" { "default" } else { "order" }.to_owned(),
        armed,
        effects: effects.iter().map(|(effect, number)| ((*effect).to_owned(), *number)).collect(),
    }
}

fn listed(prefix: &str, list: Option<List>, by: &str, until_unix_s: Option<u64>, why: &str) -> ListedStatus {
    let since_unix_s = (by == "order").then_some(NOW as u64 - 60);
    ListedStatus { prefix: prefix.to_owned(), list, by: by.to_owned(), since_unix_s, until_unix_s, why: why.to_owned() }
}

/// A node in the middle of a flood of random names from random sources.
pub(crate) fn example() -> DefencesStatus {
    let sample = EventSample {
        source: "203.0.113.9".to_owned(),
        qname: Some("x7.shop.example.com.".to_owned()),
        qtype: Some("A".to_owned()),
        outcome: "dropped".to_owned(),
        filter: Some("unknown-source".to_owned()),
        penalty: 100,
    };
    DefencesStatus {
        node: "ams-1".to_owned(),
        mode: "on".to_owned(),
        mode_by: "default".to_owned(),
        filters: vec![
            filter("blocked", "on", None, &[("dropped", 7)]),
            filter("client", "observe", None, &[("would-penalise", 3), ("would-drop", 4)]),
            filter("unknown-source", "on", Some(true), &[("slipped", 1200), ("dropped", 4_000_000)]),
            filter("miss", "off", Some(false), &[]),
        ],
        armed: armed(),
        queries: 5_000_000,
        first_seen: 4_100_000,
        normal: NormalStatus {
            scope: "node".to_owned(),
            per_s: 410_000.0,
            normal_per_s: 2000.0,
            by_hand: true,
            misses_per_s: None,
            no_names_per_s: None,
            miss_from_per_s: 40_000.0,
            random_source_from_per_s: Some(100_000.0),
        },
        zones: vec![NormalStatus {
            scope: "example.com.".to_owned(),
            per_s: 1.25,
            normal_per_s: 1000.0,
            by_hand: false,
            misses_per_s: Some(0.0),
            no_names_per_s: Some(0.5),
            miss_from_per_s: 20_000.0,
            random_source_from_per_s: None,
        }],
        zones_left_out: 3,
        suffixes: vec![SuffixStatus {
            suffix: "shop.example.com.".to_owned(),
            failed_per_s: 390_000.0,
            distinct_per_s: 1400.0,
            borne_per_s: 100.0,
            found_per_s: 12.0,
            attacked_s: 11.0,
        }],
        lists: vec![
            listed("192.0.2.53", Some(List::Allow), "network", None, ""),
            listed("198.51.100.0/24", Some(List::Block), "order", Some(NOW as u64 + 540), "flood of the 3rd"),
        ],
        known_good_learned: 12_034,
        settings: vec![SettingStatus {
            item: "slip".to_owned(),
            value: 2.into(),
            by: "order".to_owned(),
            otherwise: Some(3.into()),
        }],
        quarantine: vec![QuarantineStatus {
            number: 1,
            like: "TXT of bad.example.com.".to_owned(),
            until_unix_s: NOW + 300.0,
            deaths: 2,
            dropped: 17,
        }],
        learned: LearnedStatus { loaded: true, refused: None, kept_unix_s: Some(NOW - 30.0), not_kept: None },
        problems: vec!["the orders are not kept over a restart: no space".to_owned()],
        memory_bytes: 40 << 20,
        events: vec![
            KeptEvent {
                unix_s: NOW - 12.0,
                defence: "random-source".to_owned(),
                phase: "armed".to_owned(),
                scope: "node".to_owned(),
                per_s: 410_000.0,
                normal_per_s: 2000.0,
                armed_s: None,
                samples: vec![sample],
            },
            KeptEvent {
                unix_s: NOW - 7200.0,
                defence: "client".to_owned(),
                phase: "rested".to_owned(),
                scope: "node".to_owned(),
                per_s: 0.0,
                normal_per_s: 0.0,
                armed_s: Some(61.0),
                samples: Vec::new(),
            },
        ],
    }
}

#[test]
fn a_node_says_everything_of_its_defences() {
    let want = "\
mode        on (default)
armed       random-source (node) for 12s
queries     5000000 looked at, 4100000 of them from sources never heard of before
known good  12034 learned; 2 sources on lists
learned     known from before the start; kept 30s ago
memory      40.0 MiB, taken at the start
problem     the orders are not kept over a restart: no space

filter          mode     by       state  penalised  slipped  dropped  would penalise  would slip  would drop
blocked         on       default  looks          0        0        7               0           0           0
client          observe  order    looks          0        0        0               3           0           4
unknown-source  on       default  armed          0     1200  4000000               0           0           0
miss            off      order    -              0        0        0               0           0           0

rates            now  normal  how      misses  no name  miss arms at  random source at
node          410000    2000  by hand       -        -         40000            100000
example.com.     1.2    1000  learned       0      0.5         20000                 -
and 3 more zones; --json has them

random names below  failed  different  borne  found  for
shop.example.com.   390000       1400    100     12  11s

source           list   by       ends in  why
198.51.100.0/24  block  order      9m00s  flood of the 3rd
192.0.2.53       allow  network        -  -

query of death, kept away  number  deaths  dropped  ends in
TXT of bad.example.com.         1       2       17    5m00s

events, the last first
  12s ago: random-source armed (node): 410000 a second where 2000 are normal or borne
    203.0.113.9 x7.shop.example.com. A dropped (unknown-source)
  2h00m ago: client rested (node), after 1m01s: 0 a second

setting  value  by     without the order
slip     2      order  3
";
    let got = node::node(&example(), true, NOW, Style::Plain);
    assert_eq!(got, want, "\n{got}");
    let calm = DefencesStatus::default();
    let got = node::node(&calm, false, NOW, Style::Plain);
    assert!(got.contains("armed       nothing\n") && !got.contains("setting"), "{got}");
}

#[test]
fn the_summary_is_one_line() {
    assert_eq!(
        summary(&example(), NOW),
        "on (but client observe, miss off), armed: random-source (node) for 12s; 4000007 dropped, 1200 slipped, known \
         good: 12034; the orders are not kept over a restart: no space"
    );
}

#[test]
fn all_nodes_stand_beside_each_other() {
    let nodes = [("ams-1".to_owned(), Ok(example())), ("fra-1".to_owned(), Err("no connection".to_owned()))];
    let want = "\
node   mode     now  normal  slipped  dropped  known good  armed
ams-1  on    410000    2000     1200  4000007       12034  random-source (node) for 12s
fra-1  -          -       -        -        -           -  silent: no connection
";
    assert_eq!(fleet::defences(&nodes, NOW, Style::Plain), want);
}

#[test]
fn what_the_protocol_carries_comes_back_the_same() {
    let text = serde_json::to_string(&example()).unwrap();
    assert_eq!(serde_json::from_str::<DefencesStatus>(&text).unwrap(), example());
    let explained = flooding();
    let text = serde_json::to_string(&explained).unwrap();
    assert_eq!(serde_json::from_str::<Explained>(&text).unwrap(), explained);
}

/// A source that asks too much while random sources flood.
fn flooding() -> Explained {
    let budget = |filter: &str, of: &str, per_s, used, counted| BudgetStatus {
        filter: filter.to_owned(),
        of: of.to_owned(),
        per_s,
        used,
        counted,
    };
    let judgement = |filter: &str, mode: &str, finding: &str, penalty| JudgementStatus {
        filter: filter.to_owned(),
        mode: mode.to_owned(),
        finding: finding.to_owned(),
        penalty,
    };
    let rates =
        TopRates { per_s: 400.0, minute_per_s: 100.5, served_per_s: 12.0, slipped_per_s: 0.0, dropped_per_s: 388.0 };
    Explained {
        node: "ams-1".to_owned(),
        source: "192.0.2.66".parse().unwrap(),
        outcome: "slipped".to_owned(),
        filter: Some("unknown-source".to_owned()),
        penalty: 40,
        standing: "watched".to_owned(),
        good_why: None,
        good_since_unix_s: None,
        good_until_unix_s: None,
        good_periods: 3,
        good_periods_needed: 10,
        period_s: 60.0,
        lists: Vec::new(),
        budgets: vec![
            budget("client", "192.0.2.66", 200, 1.5, true),
            budget("prefix", "192.0.2.0/24", 1000, 0.25, true),
        ],
        random_source_armed: true,
        judgements: vec![
            judgement("blocked", "on", "fine", 0),
            judgement("client", "on", "penalty", 40),
            judgement("repetition", "observe", "penalty", 20),
            judgement("unknown-source", "on", "slip", 0),
        ],
        rates: Some(rates),
    }
}

#[test]
fn a_source_is_explained_in_sentences() {
    let want = "\
192.0.2.66 gets a truncated answer by the filter unknown-source, and a real one when it asks again over TCP.

now        It asks 400 a second: 12 are answered, 0 slipped, 388 dropped; 100 a second over the last minute.
who        It is not known to be good: it has behaved well in 3 periods of 1m00s, and needs 7 more.
budget     client: 200 a second for 192.0.2.66: it sends more than that.
budget     prefix: 1000 a second for 192.0.2.0/24: 25 % of its bursts is used.
why        It asks more than one source may (client): a penalty of 40.
why        It asks again and again for what it was told, within the TTL (repetition): a penalty of 20, were the filter not to observe alone.
why        It is not known to be good while random sources flood (unknown-source): a truncated answer.
why        Random sources flood this node now: known-good sources alone are answered over UDP.
why        This is about the source. What it asks for counts too: names below an attacked suffix, what is not at hand, answers that could be reflected (`parapet defences`).
what to do Answer it whatever it does, for a time: parapet allow 192.0.2.66 --for 1h
what to do Trust it as a known resolver: parapet known-good add 192.0.2.66
";
    let got = explain::explain(&flooding(), NOW);
    assert_eq!(got, want, "\n{got}");
}

#[test]
fn lists_and_good_behaviour_are_told_with_who_says_so() {
    let mut explained = flooding();
    explained.outcome = "served".to_owned();
    explained.filter = None;
    explained.penalty = 0;
    explained.standing = "known-good".to_owned();
    explained.good_why = Some("behaved".to_owned());
    explained.good_since_unix_s = Some(NOW as u64 - 7200);
    explained.good_until_unix_s = Some(NOW as u64 + 86_400);
    explained.judgements.clear();
    explained.random_source_armed = false;
    explained.rates = None;
    let told = |explained: &Explained, want: &[&str]| {
        let got = explain::explain(explained, NOW);
        want.iter().for_each(|want| assert!(got.contains(want), "{want}\n{got}"));
    };
    told(
        &explained,
        &[
            "192.0.2.66 is answered, also while there is more than the node can answer.\n",
            "who        It is known to be good.\n",
            "who        It behaved well; that counts since 2h00m, and for 1d00h more unless it is heard of.\n",
            "why        No filter has anything against it.\n",
            "what to do Answer it no more, for a time: parapet block 192.0.2.66 --for 10m\n",
        ],
    );
    explained.lists = vec![listed("192.0.2.0/24", Some(List::Allow), "order", Some(NOW as u64 + 60), "monitoring")];
    told(
        &explained,
        &[
            "192.0.2.66 is answered whatever it does.\n",
            "listed     192.0.2.0/24 is never limited by an order, for 1m00s more (monitoring).\n",
            "what to do Take the order back: parapet allow --remove 192.0.2.0/24\n",
        ],
    );
    explained.lists = vec![listed("192.0.2.66", Some(List::Block), "file", None, "")];
    explained.outcome = "dropped".to_owned();
    explained.filter = Some("blocked".to_owned());
    told(
        &explained,
        &["192.0.2.66 gets no answer by the filter blocked.\n", "is never answered by the network file.\n"],
    );
    let nodes = [("ams-1".to_owned(), Ok(explained)), ("fra-1".to_owned(), Err("no connection".to_owned()))];
    let want = "\
node   outcome  by       penalty  per s  standing
ams-1  dropped  blocked        0      -  known-good
fra-1  -        -              -      -  silent: no connection
";
    assert_eq!(fleet::explained(&nodes), want);
}

#[test]
fn the_known_good_are_listed_the_latest_first() {
    let good = |address: &str, ago: u64, why: &str| GoodSource {
        address: address.parse().unwrap(),
        since_unix_s: NOW as u64 - ago,
        until_unix_s: NOW as u64 + 3600,
        why: why.to_owned(),
    };
    let known = KnownGood {
        listed: vec![listed("203.0.113.0/24", Some(List::KnownGood), "file", None, "")],
        learned: vec![good("192.0.2.1", 86_400, "behaved"), good("2001:db8::", 20, "connected")],
    };
    let want = "\
2 learned, 1 listed by hand

source      why              for  unless heard of, until in
2001:db8::  came over TCP    20s                      1h00m
192.0.2.1   behaved well   1d00h                      1h00m

source          list        by    ends in  why
203.0.113.0/24  known-good  file        -  -
";
    let got = known_good::text(&known, NOW);
    assert_eq!(got, want, "\n{got}");
}
