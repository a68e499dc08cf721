//! Floods and flash crowds through the whole chain, with a clock that is simulated.

mod floods;
mod kept;
mod on_demand;

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use config::Defences;
use wire::{Name, NameRef, Rtype};

use crate::{
    Asked, Defence, Event, Filters, Found, Hashes, Kind, KnownGood, Lane, Now, Phase, Proof, Verdict, View, Why,
    ZoneNumber,
};

const ZONE: ZoneNumber = ZoneNumber(5);
const NAMES: usize = 10_000;
const RESOLVERS: u32 = 1000;
const NORMAL_PER_S: u64 = 2000;
const STEP_US: u64 = 1000;
const TTL_S: u32 = 60;
/// A resolver asks again so many milliseconds after it first asked.
const RETRIES_MS: [u64; 3] = [400, 1200, 2800];

/// Numbers that look random and are the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, number: u64) -> u64 {
        self.next() % number
    }

    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A random name's label.
    fn label(&mut self) -> String {
        format!("{:x}", self.next())
    }

    /// Any unicast address but those of the resolvers.
    fn source(&mut self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + self.below(0xb000_0000) as u32))
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A resolver among the real clients: known good from the start.
fn resolver(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0xc612_0000 + n * 7))
}

#[derive(Clone, Copy)]
struct Query {
    source: IpAddr,
    qname: Name,
    qtype: Rtype,
}

/// What became of queries of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    asked: u64,
    served: u64,
    slipped: u64,
    dropped: u64,
    /// Came over TCP after a truncated answer, or again after silence, and were served then.
    later: u64,
    lost: u64,
    penalised: u64,
}

struct World {
    filters: Arc<Filters>,
    lane: Lane,
    us: u64,
    random: Random,
    names: Vec<Name>,
    apex: Name,
    /// Names at hand and until when, where the zone is filled on demand.
    at_hand: Option<HashMap<Vec<u8>, u64>>,
    origin_asked: u64,
    real: Tally,
    retries: VecDeque<(u64, Query, usize)>,
    events: Vec<Event>,
    random_source_armed_us: Option<u64>,
}

impl World {
    fn new(defences: &Defences) -> World {
        let filters = Arc::new(Filters::new(defences, [11, 13]));
        let lane = filters.lane();
        let mut world = World {
            filters,
            lane,
            us: 1_000_000_000,
            random: Random(1),
            names: (0..NAMES).map(|n| name(&format!("h{n}.example.com"))).collect(),
            apex: name("example.com"),
            at_hand: None,
            origin_asked: 0,
            real: Tally::default(),
            retries: VecDeque::new(),
            events: Vec::new(),
            random_source_armed_us: None,
        };
        world.know((0..RESOLVERS).map(resolver));
        world
    }

    /// The same with a zone that is filled on demand.
    fn on_demand(defences: &Defences) -> World {
        World { at_hand: Some(HashMap::new()), ..World::new(defences) }
    }

    /// A world that has seen normal traffic for so many seconds.
    fn warm(seconds: u64) -> World {
        let mut world = World::new(&Defences::default());
        world.run(seconds * 1000, 0, |_, _| unreachable!());
        world
    }

    fn know(&mut self, sources: impl Iterator<Item = IpAddr>) {
        let unix_s = 1_800_000_000;
        let (since_unix_s, until_unix_s) = (unix_s - 86_400, unix_s + 86_400);
        let known: Vec<KnownGood> =
            sources.map(|address| KnownGood { address, since_unix_s, until_unix_s, why: Why::Told }).collect();
        assert_eq!(self.filters.import_known_good(&known, self.now(), unix_s), known.len());
    }

    fn now(&self) -> Now {
        Now::from_us(self.us)
    }

    /// A name by Zipf's law, sometimes one that does not exist.
    fn real_query(&mut self) -> Query {
        let source = resolver(self.random.below(u64::from(RESOLVERS)) as u32);
        let rank = (NAMES as f64).powf(self.random.part()) as usize - 1;
        let qname = match self.random.below(50) {
            0 => name(&format!("typo{}.example.com", self.random.below(200))),
            _ => self.names[rank],
        };
        Query { source, qname, qtype: Rtype::A }
    }

    /// Real traffic beside `attack_per_s` queries, for so many milliseconds. Says what became of the attack.
    fn run(&mut self, ms: u64, attack_per_s: u64, mut attack: impl FnMut(&mut Random, u64) -> Query) -> Tally {
        let mut tally = Tally::default();
        let (mut real_due, mut attack_due, mut number) = (0, 0, 0);
        for _ in 0..ms {
            self.us += STEP_US;
            real_due += NORMAL_PER_S;
            attack_due += attack_per_s;
            while let Some((at, query, nth)) = self.retries.front().copied().filter(|(at, ..)| *at <= self.us) {
                self.retries.pop_front();
                self.ask_as_resolver(query, nth, at);
            }
            while attack_due >= 1000 {
                attack_due -= 1000;
                let query = attack(&mut self.random, number);
                number += 1;
                let (verdict, penalty) = self.ask(&query, Proof::None);
                tally.count(verdict, penalty);
            }
            while real_due >= 1000 {
                real_due -= 1000;
                let query = self.real_query();
                self.real.asked += 1;
                self.ask_as_resolver(query, 0, self.us);
            }
            self.look();
        }
        tally
    }

    /// Once a step: whether something was armed; once a second: the tick.
    fn look(&mut self) {
        if self.random_source_armed_us.is_none() && self.filters.names.random_source_armed() {
            self.random_source_armed_us = Some(self.us);
        }
        if self.us.is_multiple_of(1_000_000) {
            self.events.extend(self.filters.tick(self.now()));
        }
    }

    fn ask_as_resolver(&mut self, query: Query, nth: usize, at: u64) {
        let (verdict, penalty) = self.ask(&query, Proof::None);
        self.real.penalised += u64::from(penalty > 0);
        let served = match verdict {
            Verdict::Serve => true,
            Verdict::Slip(_) => self.ask(&query, Proof::Stream).0 == Verdict::Serve,
            Verdict::Drop(_) => false,
        };
        match (served, RETRIES_MS.get(nth)) {
            (true, _) if nth == 0 && verdict == Verdict::Serve => self.real.served += 1,
            (true, _) => self.real.later += 1,
            (false, None) => self.real.lost += 1,
            (false, Some(ms)) => {
                let first = at - nth.checked_sub(1).map_or(0, |before| RETRIES_MS[before] * 1000);
                let place = self.retries.partition_point(|(other, ..)| *other <= first + ms * 1000);
                self.retries.insert(place, (first + ms * 1000, query, nth + 1));
            }
        }
    }

    /// The whole chain: a verdict and the penalty.
    fn ask(&mut self, query: &Query, proof: Proof) -> (Verdict, u8) {
        let gate = self.lane.gate(Now::from_us(self.us));
        let asked = Asked { qname: query.qname.as_ref(), qtype: query.qtype };
        let mut view =
            View { source: query.source, proof, message: &[0; 40], asked: Some(asked), hashes: Hashes::default() };
        gate.make_hashes(&mut view);
        gate.touch_all([&view].into_iter());
        let admission = gate.admit(&view);
        if admission.verdict != Verdict::Serve {
            return (admission.verdict, admission.penalty);
        }
        let kind = match exists(query.qname.as_ref()) {
            true => Kind::Answer,
            false => Kind::NoName,
        };
        let mut is_hit = false;
        if let Some(at_hand) = &mut self.at_hand {
            let known = at_hand.entry(query.qname.as_bytes().to_ascii_lowercase()).or_default();
            is_hit = *known > self.us;
            if !is_hit {
                let verdict = gate.judge_miss(&view, &admission, (ZONE, self.apex.as_ref()));
                if verdict != Verdict::Serve {
                    return (verdict, admission.penalty);
                }
                self.origin_asked += 1;
                *known = self.us + u64::from(TTL_S) * 1_000_000;
            }
        }
        let found = Found { zone: Some((ZONE, self.apex.as_ref())), kind, ttl_s: TTL_S, cut: None, is_hit };
        (gate.judge(&view, &admission, &found), admission.penalty)
    }

    fn count(&self, defence: Defence, phase: Phase) -> usize {
        self.events.iter().filter(|event| (event.defence, event.phase) == (defence, phase)).count()
    }

    fn suffixes(&self) -> Vec<String> {
        self.filters.status(self.now()).suffixes.into_iter().map(|suffix| suffix.name).collect()
    }
}

impl Tally {
    fn count(&mut self, verdict: Verdict, penalty: u8) {
        self.asked += 1;
        self.penalised += u64::from(penalty > 0);
        match verdict {
            Verdict::Serve => self.served += 1,
            Verdict::Slip(_) => self.slipped += 1,
            Verdict::Drop(_) => self.dropped += 1,
        }
    }
}

fn exists(qname: NameRef<'_>) -> bool {
    let label = qname.labels().next().unwrap_or_default();
    qname.label_count() == 3 && label.split_first().is_some_and(|(h, n)| *h == b'h' && n.iter().all(u8::is_ascii_digit))
}

fn ipv6(bits: u64) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bits) << 32))
}
