//! The filters of the kernel lane's program and those of the lanes above say the same of the same queries, count the same and
//! leave the same words in their tables. Needs root.
//!
//! Each question of a trace is asked of both: of the program as a frame, with its clock standing still, and of `filters`
//! directly. Each has tables of its own, which are compared word by word.
#![cfg(feature = "kernel")]

mod support;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use config::{DefenceMode, Defences, Filter};
use edge::kernel::{Action, Answers, Entry, Fixups, KernelFilters, Program, Promise, Stamp, Told, key, layout as l};
use filters::{
    Asked, Effect, Filters, Found, Hashes, Kind, Lane, Memory, Now, Proof, Table, Verdict, View, ZoneNumber,
};
use nix::{sched, unistd::Pid};
use support::frames::{Route, query};
use wire::{Name, Rtype};

const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
const SERVERS: [&str; 2] = ["192.0.2.53:53", "[2001:db8::53]:53"];
/// Filter time at which traces begin: no table has a word of then, or of a moment before.
const START_US: u64 = 100_000 * SECOND_US;
const SECOND_US: u64 = 1_000_000;
const HEADER_TRUNCATED: u8 = 2;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// Tables that lie in the arrays of a program.
struct Arrays<'p>(&'p Program);

impl Memory for Arrays<'_> {
    fn take(&mut self, table: Table, _: usize) -> &'static mut [u8] {
        self.0.take_bytes(table.as_str()).unwrap()
    }
}

/// An answer that both know of.
#[derive(Clone, Debug)]
struct Answer {
    name: Name,
    qtype: Rtype,
    kind: Kind,
    ttl_s: u32,
    is_hit: bool,
    zone: u32,
    /// Of a referral.
    cut: Option<Name>,
    /// It is at hand.
    is_kept: bool,
}

impl Answer {
    fn found(&self) -> Found<'_> {
        Found {
            zone: Some((ZoneNumber(self.zone), apex_of(&self.name))),
            kind: self.kind,
            ttl_s: self.ttl_s,
            cut: self.cut.as_ref().map(Name::as_ref),
            is_hit: self.is_hit,
        }
    }
}

/// All names are in zones that have one label.
fn apex_of(name: &Name) -> wire::NameRef<'_> {
    let mut apex = name.as_ref();
    while let Some(parent) = apex.parent().filter(|parent| parent.as_bytes().len() > 1) {
        apex = parent;
    }
    apex
}

/// What became of a query: the verdict of the filters; none if it was left to the lanes above.
type Outcome = Option<Verdict>;

/// Both of them.
struct Both {
    program: Program,
    /// Its tables are those of the filters above.
    above_memory: Program,
    policy: &'static [AtomicU64],
    counters: &'static [AtomicU64],
    tables: KernelFilters,
    kernel: Arc<Filters>,
    kernel_lane: Lane,
    above: Arc<Filters>,
    lane: Lane,
    answers: Answers,
    now_us: u64,
    /// How often each thing happened, by the words that a failure is told with.
    outcomes: std::collections::BTreeMap<String, u64>,
    zone_queries: u64,
}

impl Both {
    fn new(defences: &Defences) -> Both {
        // What the program counts for each processor comes from one.
        let mut one = sched::CpuSet::new();
        one.set(sched::sched_getcpu().unwrap()).unwrap();
        sched::sched_setaffinity(Pid::from_raw(0), &one).unwrap();
        let (mut program, above_memory) = (Program::load(4096).unwrap(), Program::load(0).unwrap());
        SERVERS.iter().for_each(|server| program.serve_at(server.parse().unwrap()).unwrap());
        let (policy, counters) = (program.array("policy").unwrap(), program.array("counters").unwrap());
        let tables = KernelFilters::new(&mut program, defences, SEED).unwrap();
        let kernel = Arc::clone(tables.filters());
        let above = Arc::new(Filters::within(defences, SEED, &mut Arrays(&above_memory)).unwrap());
        let array = |name| program.array(name).unwrap();
        let answers = Answers::new(program.tags().unwrap(), array("slots"), array("texts"), array("generations"));
        let (kernel_lane, lane) = (kernel.lane(), above.lane());
        let mut both = Both {
            program,
            above_memory,
            policy,
            counters,
            tables,
            kernel,
            kernel_lane,
            above,
            lane,
            answers,
            now_us: START_US,
            outcomes: Default::default(),
            zone_queries: 0,
        };
        for (place, word) in [
            (l::POLICY_ON, 1),
            (l::POLICY_SILENT_US, i64::MAX as u64),
            (l::POLICY_UDP_PAYLOAD_BYTES_MAX, 1232),
            (l::POLICY_COOKIE_SECRETS, 1),
            (l::POLICY_COOKIE_SECRET_0, 11),
            (l::POLICY_COOKIE_SECRET_0 + 1, 12),
        ] {
            both.policy[place].store(word, Relaxed);
        }
        both.tick();
        both
    }

    /// The operator decides anew.
    fn apply(&mut self, defences: &Defences) {
        [&self.kernel, &self.above].into_iter().for_each(|filters| filters.apply(defences));
        self.tables.refresh(&mut self.program).unwrap();
    }

    fn tick(&mut self) {
        let now = Now::from_us(self.now_us);
        let (kernel, above) = (self.kernel.tick(now), self.above.tick(now));
        assert_eq!(kernel, above);
        self.note(&format!("{} events", kernel.len()), !kernel.is_empty());
    }

    /// Their windows turn, if it is time.
    fn turn(&self) {
        let now = Now::from_us(self.now_us);
        [&self.kernel_lane, &self.lane].into_iter().for_each(|lane| drop(lane.gate(now)));
    }

    fn note(&mut self, what: &str, happened: bool) {
        if happened {
            *self.outcomes.entry(what.to_owned()).or_default() += 1;
        }
    }

    /// Keeps an answer where the program finds it.
    fn keep(&self, answer: &Answer) {
        self.turn();
        let gate = self.lane.gate(Now::from_us(self.now_us));
        let view = self.view(IpAddr::V4(Ipv4Addr::LOCALHOST), Proof::None, answer);
        let subject = gate.subject(&view, &answer.found());
        let key = key(gate.name_hash(&view), answer.qtype.0, false);
        let entry = Entry {
            name: answer.name.as_bytes(),
            qtype: answer.qtype.0,
            dnssec_ok: false,
            stamp: Stamp { epoch: 0, zone: answer.zone, generation: 0 },
            apex_bytes: apex_of(&answer.name).as_bytes().len() as u8,
            told: Told { kind: answer.kind, ttl_s: answer.ttl_s, is_hit: answer.is_hit, subject },
            flags: 0x8400,
            counts: [1, 0, 0],
            body: b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\xc0\x00\x02\x01",
            fixups: Fixups::None,
        };
        let place = self.answers.find_place(key, Promise::Some, self.now_us).expect("a place");
        assert!(self.answers.put(place, &entry, self.now_us));
    }

    fn view<'a>(&self, source: IpAddr, proof: Proof, answer: &'a Answer) -> View<'a> {
        let asked = Some(Asked { qname: answer.name.as_ref(), qtype: answer.qtype });
        View { source: source.to_canonical(), proof, message: &[], asked, hashes: Hashes::default() }
    }

    /// Asks both. What only the lanes above can say is not asked of them: nothing has changed.
    fn ask(&mut self, client: &mut Client, answer: &Answer) -> Outcome {
        self.policy[l::POLICY_STILL_US].store(self.now_us, Relaxed);
        self.turn();
        let proof = client.proof(self.now_us);
        let ours = self.ask_program(client, answer);
        self.note(&format!("absent: {ours:?}"), !answer.is_kept);
        let above = ours.is_some().then(|| self.ask_above(client.address, proof, answer));
        assert_eq!(ours, above, "{answer:?} for {client:?}, {proof:?}, at {} us", self.now_us - START_US);
        self.note(&format!("{ours:?}"), true);
        ours
    }

    fn ask_program(&mut self, client: &mut Client, answer: &Answer) -> Outcome {
        let message = query(&format!("{} {} {}", answer.name, answer.qtype, client.option()));
        let counted = |place: usize| -> u64 {
            self.counters.chunks(l::COUNTER_WORDS).map(|words| words[place].load(Relaxed)).sum()
        };
        let before: Vec<u64> = (0..l::FILTERS).map(|filter| counted(l::COUNTER_FILTERED + filter)).collect();
        let route = client.route();
        let run = self.program.test_run(&route.carry(&message), 1).unwrap();
        match run.action {
            Action::Pass => None,
            Action::Drop => {
                let by = (0..l::FILTERS).find(|filter| counted(l::COUNTER_FILTERED + filter) > before[*filter]);
                Some(Verdict::Drop(Filter::ALL[by.expect("a drop has a reason")]))
            }
            Action::Send => {
                let reply = route.open(&run.frame);
                if reply[2] & HEADER_TRUNCATED != 0 {
                    return Some(Verdict::Slip(self.slipped_by()));
                }
                client.take_cookie(&reply);
                Some(Verdict::Serve)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Who slipped is not counted but by the filters: the only one of theirs that is one ahead.
    fn slipped_by(&self) -> Filter {
        let (ours, above) = (self.kernel.counts(), self.above.counts());
        let slipped = |filter: &Filter| ours.effect(*filter, Effect::Slipped) > above.effect(*filter, Effect::Slipped);
        Filter::ALL.into_iter().find(slipped).expect("a slip has a reason")
    }

    fn ask_above(&mut self, source: IpAddr, proof: Proof, answer: &Answer) -> Verdict {
        let gate = self.lane.gate(Now::from_us(self.now_us));
        let mut view = self.view(source, proof, answer);
        gate.make_hashes(&mut view);
        let admission = gate.admit(&view);
        if admission.verdict != Verdict::Serve {
            return admission.verdict;
        }
        let verdict = gate.judge(&view, &admission, &answer.found());
        self.zone_queries += u64::from(!admission.exempt);
        verdict
    }

    /// All that both have counted, sampled and learned is the same.
    fn compare(&mut self) {
        assert_eq!(self.kernel.counts(), self.above.counts());
        let zones = self.program.array("lane_zones").unwrap();
        let queries: u64 = self.zone_counts(zones).map(|[queries, ..]| u64::from(queries)).sum();
        assert_eq!(queries, self.zone_queries);
        for table in Table::ALL {
            // What names the lanes saw in a zone they note there; the daemon does that for the program (kernel_hits).
            if matches!(table, Table::Cells) {
                continue;
            }
            let [ours, above] =
                [&self.program, &self.above_memory].map(|program| program.array(table.as_str()).unwrap());
            assert_eq!(ours.len(), above.len());
            let differs = ours.iter().zip(above).position(|(a, b)| a.load(Relaxed) != b.load(Relaxed));
            if let Some(at) = differs {
                let words = [ours, above].map(|words| words[at].load(Relaxed));
                panic!("{table:?} differs at word {at}: {:#x} instead of {:#x}", words[0], words[1]);
            }
        }
        self.compare_samples();
    }

    fn zone_counts<'z>(&self, zones: &'z [AtomicU64]) -> impl Iterator<Item = [u32; 3]> + 'z {
        let halves = zones.iter().map(|word| word.load(Relaxed)).flat_map(|word| [word as u32, (word >> 32) as u32]);
        let halves: Vec<u32> = halves.collect();
        halves.as_chunks::<3>().0.to_vec().into_iter()
    }

    fn compare_samples(&mut self) {
        self.tables.drain_samples();
        let drain = |filters: &Filters| -> Vec<String> {
            std::iter::from_fn(|| filters.samples().pop()).map(|sample| format!("{sample:?}")).collect()
        };
        let (ours, above) = (drain(&self.kernel), drain(&self.above));
        assert_eq!(ours.len(), above.len());
        ours.iter().zip(&above).for_each(|(ours, above)| assert_eq!(ours, above));
        *self.outcomes.entry("samples".to_owned()).or_default() += ours.len() as u64;
    }

    /// Something of this has happened.
    fn assert_happened(&self, what: &[&str]) {
        for what in what {
            assert!(self.outcomes.keys().any(|known| known.contains(what)), "{what}: {:?}", self.outcomes);
        }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
struct Client {
    address: IpAddr,
    /// It sends cookies; the one that it was given last.
    has_cookie: bool,
    cookie: Option<[u8; 16]>,
}

impl Client {
    fn new(address: impl Into<IpAddr>, has_cookie: bool) -> Client {
        Client { address: address.into(), has_cookie, cookie: None }
    }

    fn route(&self) -> Route {
        let server = SERVERS[usize::from(self.address.is_ipv6())];
        Route::new(&SocketAddr::new(self.address, 1053).to_string(), server)
    }

    fn option(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match (self.has_cookie, self.cookie) {
            (false, _) => String::new(),
            (true, cookie) => format!("cookie=0102030405060708{}", cookie.map_or(String::new(), |it| hex(&it))),
        }
    }

    /// A cookie holds for an hour (RFC 9018 §4.3); its third word is its time.
    fn proof(&self, now_us: u64) -> Proof {
        let made_s = |cookie: [u8; 16]| u32::from_be_bytes([cookie[4], cookie[5], cookie[6], cookie[7]]);
        match self.cookie {
            Some(cookie) if (now_us / SECOND_US) as u32 - made_s(cookie) <= 3600 => Proof::Cookie,
            _ => Proof::None,
        }
    }

    fn take_cookie(&mut self, reply: &[u8]) {
        if self.has_cookie {
            self.cookie = reply.last_chunk::<16>().copied();
        }
    }
}

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
