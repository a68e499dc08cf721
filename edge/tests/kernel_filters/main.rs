//! The filters of the kernel lane's program and those of the lanes above say the same of the same queries, count the same and
//! leave the same words in their tables. Needs root.
//!
//! Each question of a trace is asked of both: of the program as a frame, with its clock standing still, and of `filters`
//! directly. Each has tables of its own, which are compared word by word.
#![cfg(feature = "kernel")]

mod both;
mod misses;
#[path = "../support/mod.rs"]
mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use both::{Answer, Both, Client, Numbers, SECOND_US, apex_of};
use config::{DefenceMode, Defences, Filter};
use edge::kernel::layout as l;
use filters::{Effect, Kind, Now, Verdict};
use support::frames::query;
use wire::{Name, Rtype};

/// Names of each length that there is a key for, and the shortest.
fn names() -> Vec<Name> {
    let zones = ["a", "example", "zz"];
    let mut names: Vec<Name> = zones.iter().map(|zone| zone.parse().unwrap()).collect();
    for length in 1..=120 {
        let zone = zones[length % zones.len()];
        let (first, second) = ("x".repeat(length.min(60)), "W".repeat(length.saturating_sub(60)));
        let name: Name = format!("{first}.{second}.{zone}").replace("..", ".").parse().unwrap();
        if name.as_bytes().len() <= l::NAME_BYTES_MAX {
            names.push(name);
        }
    }
    names
}

/// Answers of all kinds; of those of names that do not exist some are of an origin.
fn answers() -> Vec<Answer> {
    let kinds = [Kind::Answer, Kind::NoData, Kind::Answer, Kind::NoName, Kind::Referral, Kind::Answer, Kind::Error];
    let names = names().into_iter().enumerate();
    let answers = names.map(|(n, name)| Answer {
        kind: kinds[n % kinds.len()],
        qtype: [Rtype::A, Rtype::AAAA, Rtype::MX][n % 3],
        ttl_s: [300, 1, 0, 86_400, u32::MAX, 5, 60][n / 2 % 7],
        is_hit: kinds[n % kinds.len()] == Kind::NoName && n % 2 == 0,
        zone: apex_of(&name).as_bytes()[0].into(),
        cut: (n % 2 == 0).then_some(name),
        is_kept: n % 9 != 8,
        name,
    });
    answers.collect()
}

fn v4(n: u64) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 | n as u32).into()
}

fn v6(n: u64) -> IpAddr {
    Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n) << 64 | 0x99).into()
}

/// Clients of both families, some with cookies, in few prefixes.
fn clients(number: u64) -> Vec<Client> {
    let clients = (0..number).map(|n| match n % 4 {
        0..3 => Client::new(v4(n * 37), n % 12 == 0),
        _ => Client::new(v6(n * 37), n % 24 == 3),
    });
    clients.collect()
}

/// Asks for this often, by any of these clients, after so many microseconds; a few clients and questions are met more often.
/// One in `rest` queries comes after a rest of up to `rest_s`.
struct Trace {
    numbers: Numbers,
    clients: Vec<Client>,
    answers: Vec<Answer>,
    pause_us: u64,
    rest: u64,
    rest_s: u64,
}

impl Trace {
    fn new(both: &Both, seed: u64, pause_us: u64) -> Trace {
        let answers = answers();
        answers.iter().filter(|answer| answer.is_kept).for_each(|answer| both.keep(answer));
        Trace { numbers: Numbers(seed), clients: clients(200), answers, pause_us, rest: 1000, rest_s: 2 }
    }

    fn run(&mut self, both: &mut Both, queries: usize) {
        let numbers = &mut self.numbers;
        for n in 0..queries {
            both.now_us += match numbers.one_in(self.rest) {
                true => numbers.below(self.rest_s * SECOND_US),
                false => numbers.below(self.pause_us),
            };
            let one_of = |few: u64, numbers: &mut Numbers, all: usize| {
                let bound = if numbers.one_in(2) { few } else { all as u64 };
                numbers.below(bound) as usize
            };
            let client = &mut self.clients[one_of(5, numbers, 200)];
            let answer = &self.answers[one_of(7, numbers, self.answers.len())];
            if both.ask(client, answer).is_none() && numbers.one_in(4) {
                // Nothing has changed: who is not answered whatever it asks is not answered now.
                let outcome = both.ask(client, &self.answers[0]);
                let certain =
                    [Filter::Blocked, Filter::Client, Filter::Prefix].map(|filter| Some(Verdict::Drop(filter)));
                assert!(!certain.contains(&outcome), "{outcome:?} for {client:?}");
            }
            if n % 1000 == 999 {
                both.tick();
                both.compare_samples();
            }
        }
    }
}

#[test]
fn floods_are_judged_as_above() {
    let budgets = Defences {
        client_per_s: 50,
        prefix_per_s: 50,
        responses_per_s: 10,
        known_good_factor: 1,
        ..Defences::default()
    };
    let mut both = Both::new(&budgets);
    Trace { rest: 4000, ..Trace::new(&both, 1, 50) }.run(&mut both, 6000);
    both.compare();
    let drops = ["Drop(Client)", "Drop(Prefix)", "Drop(ResponseRate)", "absent: Some(Drop(Client))"];
    both.assert_happened(&[&drops[..], &["Slip(ResponseRate)", "Some(Serve)", "absent: None", "samples"]].concat());
}

#[test]
fn what_is_learned_in_the_long_run_is_learned_as_above() {
    let defences = Defences { known_good_after_s: 600, known_good_lifetime_s: 86_400, ..Defences::default() };
    let mut both = Both::new(&defences);
    let mut trace = Trace { rest: 20, rest_s: 60, ..Trace::new(&both, 2, 100_000) };
    trace.run(&mut both, 4000);
    assert!(both.above.known_good_count(Now::from_us(both.now_us)) > 5, "some have behaved well");
    // A day, and the hour of a proof, are over now and then.
    let mut trace = Trace { rest: 100, rest_s: 2 * 86_400, ..trace };
    trace.run(&mut both, 2000);
    both.compare();
    both.assert_happened(&["Some(Serve)", "absent: None"]);
}

#[test]
fn whatever_the_operator_decides_holds_as_above() {
    let mut both = Both::new(&Defences::default());
    let mut trace = Trace::new(&both, 3, 200);
    let (mut numbers, modes) = (Numbers(4), [DefenceMode::Off, DefenceMode::Observe, DefenceMode::On]);
    for _ in 0..12 {
        let prefixes = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut one_of = |all: &[u32]| all[numbers.below(all.len() as u64) as usize];
        let mut defences = Defences {
            client_per_s: one_of(&[0, 20, 200, 1_000_000]),
            prefix_per_s: one_of(&[1, 50, 1000]),
            known_good_factor: one_of(&[0, 10]),
            ipv4_prefix: one_of(&[0, 20, 24, 32]) as u8,
            ipv6_prefix: one_of(&[0, 48, 56, 64]) as u8,
            repeats_per_s: one_of(&[0, 10, 50]),
            known_good_after_s: one_of(&[1, 10, 600]),
            responses_per_s: one_of(&[0, 5, 50, 10_000_000]),
            slip: one_of(&[0, 1, 2, 3]),
            ..Defences::default()
        };
        defences.filters = Filter::ALL.map(|_| modes[(one_of(&[0, 1, 2, 2, 2])) as usize]);
        if one_of(&[0, 1, 1]) > 0 {
            defences.allow =
                prefixes(&["10.0.0.0/30", "2001:db8::6f:0:0:0:0/64", "::/0"][..one_of(&[0, 2, 2, 3]) as usize]);
            defences.block = prefixes(&["10.0.1.0/24", "2001:db8:0:de::/64", "0.0.0.39/32"]);
            defences.known_good = prefixes(&["10.0.0.0/23", "2001:db8::/40"]);
        }
        both.apply(&defences);
        trace.run(&mut both, 800);
    }
    both.assert_happened(&["Drop(Blocked)", "absent: Some(Drop(Blocked))", "Some(Serve)"]);
    let counts = both.kernel.counts();
    for effect in Effect::ALL {
        let filters = Filter::ALL.into_iter().filter(|filter| counts.effect(*filter, effect) > 0).count();
        assert!(filters > 0, "{effect:?}: {counts:?}");
    }
    both.apply(&Defences { mode: DefenceMode::Off, ..Defences::default() });
    let counts = both.kernel.counts();
    trace.run(&mut both, 500);
    both.compare();
    assert_eq!(both.kernel.counts(), counts, "nothing is looked at");
}

#[test]
fn random_sources_are_kept_away_as_above() {
    let mut both = Both::new(&Defences { normal_per_s: Some(20), ..Defences::default() });
    let mut trace = Trace::new(&both, 5, 100);
    trace.run(&mut both, 1000);
    let (mut numbers, flood) = (Numbers(6), 5000);
    for n in 0..flood {
        both.now_us += numbers.below(60);
        let mut client = match numbers.below(20) {
            0 => trace.clients[numbers.below(200) as usize].clone(),
            1..12 => Client::new(v4(1 << 20 | numbers.below(1 << 20)), false),
            _ => Client::new(v6(1 << 20 | numbers.below(1 << 12)), numbers.one_in(50)),
        };
        both.ask(&mut client, &trace.answers[numbers.below(20) as usize]);
        if n % 1000 == 999 {
            both.tick();
            both.compare_samples();
        }
    }
    both.compare();
    both.assert_happened(&[
        "Some(Drop(UnknownSource))",
        "Some(Slip(UnknownSource))",
        "absent: Some(Drop(UnknownSource))",
        "absent: Some(Slip(UnknownSource))",
        "Some(Serve)",
    ]);
    trace.run(&mut both, 1000);
    both.compare();
}

/// Messages that the program does not read: what the lanes above read in them, and whether they may have a cookie of ours.
fn unread(answer: &Answer, numbers: &mut Numbers) -> (Vec<u8>, bool, bool) {
    let query = |more: &str| query(&format!("{} {} {more}", answer.name, answer.qtype));
    match numbers.below(6) {
        // Cut off, longer than it says, or with a name that points at itself; without another record there is no cookie.
        0 => (query("")[..12 + numbers.below(answer.name.as_bytes().len() as u64 + 4) as usize].to_vec(), false, false),
        1 => ([query(""), vec![0; 1 + numbers.below(60) as usize]].concat(), false, false),
        2 => (b"\x12\x34\0\0\0\x01\0\0\0\0\0\x01\xc0\x0c\0\x01\0\x01".to_vec(), false, false),
        3 => (query("CH"), true, false),
        // Longer than anything that is looked at.
        4 => ([query(""), vec![0; 300]].concat(), false, true),
        _ => {
            let cookie = if numbers.one_in(2) { "cookie=010203040506070801000000000000000000000000000000" } else { "" };
            let message = query(&format!("option=3: {cookie}"));
            let may_be_proven = message.len() >= 51;
            (message, true, may_be_proven)
        }
    }
}

#[test]
fn what_is_not_read_is_dropped_for_its_source_alone() {
    let blocked = vec!["10.0.0.32/28".parse().unwrap(), "2001:db8:0:60::/60".parse().unwrap()];
    let mut defences = Defences {
        normal_per_s: Some(20),
        client_per_s: 20,
        prefix_per_s: 100,
        known_good_factor: 1,
        block: blocked,
        ..Defences::default()
    };
    // What is wrong with a message is only said above.
    defences.filters[Filter::Malformed as usize] = DefenceMode::Off;
    let mut both = Both::new(&defences);
    let mut trace = Trace::new(&both, 7, 2000);
    trace.run(&mut both, 1000);
    let mut numbers = Numbers(8);
    for n in 0..6000 {
        both.now_us += numbers.below(60);
        let mut client = match numbers.below(20) {
            0 => trace.clients[numbers.below(20) as usize].clone(),
            // One that asks far too much, and neighbours that do together.
            1..3 => trace.clients[2].clone(),
            3..6 => Client::new(v4(1 << 20 | numbers.below(1 << 8)), false),
            6..14 => Client::new(v4(1 << 20 | numbers.below(1 << 20)), false),
            _ => Client::new(v6(1 << 20 | numbers.below(1 << 12)), false),
        };
        let answer = &trace.answers[numbers.below(20) as usize];
        if numbers.one_in(3) {
            both.ask(&mut client, answer);
        } else {
            let (message, is_read_above, may_be_proven) = unread(answer, &mut numbers);
            let outcome = both.send_unread(&mut client, &message, is_read_above.then_some(answer));
            assert!(outcome.is_none() || !may_be_proven, "{message:?}");
        }
        if n % 1000 == 999 {
            both.tick();
            both.compare_tables();
        }
    }
    both.compare_tables();
    both.assert_happened(&[
        "unread: None",
        "unread: Some(Drop(Blocked))",
        "unread: Some(Drop(Client))",
        "unread: Some(Drop(Prefix))",
        "unread: Some(Drop(UnknownSource))",
    ]);
}
