//! The program and the filters of the lanes above, asked side by side.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use config::{Defences, Filter};
use edge::kernel::{Action, Answers, Entry, Fixups, KernelFilters, Program, Promise, Stamp, Told, key, layout as l};
use filters::{
    Asked, Effect, Filters, Found, Hashes, Kind, Lane, Memory, Now, Proof, Table, Verdict, View, ZoneNumber,
};
use nix::{sched, unistd::Pid};
use wire::{Name, Rtype};

use crate::support::frames::{Route, query};

pub(crate) const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
pub(crate) const SERVERS: [&str; 2] = ["192.0.2.53:53", "[2001:db8::53]:53"];
/// Filter time at which traces begin: no table has a word of then, or of a moment before.
pub(crate) const START_US: u64 = 100_000 * SECOND_US;
pub(crate) const SECOND_US: u64 = 1_000_000;
pub(crate) const HEADER_TRUNCATED: u8 = 2;

/// Numbers that look random and are the same each time.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    pub(crate) fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

/// Tables that lie in the arrays of a program.
pub(crate) struct Arrays<'p>(&'p Program);

impl Memory for Arrays<'_> {
    fn take(&mut self, table: Table, _: usize) -> &'static mut [u8] {
        self.0.take_bytes(table.as_str()).unwrap()
    }
}

/// An answer that both know of.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) name: Name,
    pub(crate) qtype: Rtype,
    pub(crate) kind: Kind,
    pub(crate) ttl_s: u32,
    pub(crate) is_hit: bool,
    pub(crate) zone: u32,
    /// Of a referral.
    pub(crate) cut: Option<Name>,
    /// It is at hand.
    pub(crate) is_kept: bool,
}

impl Answer {
    /// One that exists in the zone with this number, for clients to ask for.
    pub(crate) fn there(name: Name, zone: u32) -> Answer {
        let (qtype, kind, ttl_s) = (Rtype::A, Kind::Answer, 300);
        Answer { name, qtype, kind, ttl_s, is_hit: false, zone, cut: None, is_kept: true }
    }

    pub(crate) fn found(&self) -> Found<'_> {
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
pub(crate) fn apex_of(name: &Name) -> wire::NameRef<'_> {
    let mut apex = name.as_ref();
    while let Some(parent) = apex.parent().filter(|parent| parent.as_bytes().len() > 1) {
        apex = parent;
    }
    apex
}

/// What became of a query: the verdict of the filters; none if it was left to the lanes above.
pub(crate) type Outcome = Option<Verdict>;

/// Both of them.
pub(crate) struct Both {
    pub(crate) program: Program,
    /// Its tables are those of the filters above.
    pub(crate) above_memory: Program,
    pub(crate) policy: &'static [AtomicU64],
    pub(crate) counters: &'static [AtomicU64],
    pub(crate) tables: KernelFilters,
    pub(crate) kernel: Arc<Filters>,
    pub(crate) kernel_lane: Lane,
    pub(crate) above: Arc<Filters>,
    pub(crate) lane: Lane,
    pub(crate) answers: Answers,
    pub(crate) now_us: u64,
    /// How often each thing happened, by the words that a failure is told with.
    pub(crate) outcomes: std::collections::BTreeMap<String, u64>,
    pub(crate) zone_queries: u64,
}

impl Both {
    pub(crate) fn new(defences: &Defences) -> Both {
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
    pub(crate) fn apply(&mut self, defences: &Defences) {
        [&self.kernel, &self.above].into_iter().for_each(|filters| filters.apply(defences));
        self.tables.refresh(&mut self.program).unwrap();
    }

    pub(crate) fn tick(&mut self) {
        let now = Now::from_us(self.now_us);
        let (kernel, above) = (self.kernel.tick(now), self.above.tick(now));
        assert_eq!(kernel, above);
        self.note(&format!("{} events", kernel.len()), !kernel.is_empty());
    }

    /// Their windows turn, if it is time.
    pub(crate) fn turn(&self) {
        let now = Now::from_us(self.now_us);
        [&self.kernel_lane, &self.lane].into_iter().for_each(|lane| drop(lane.gate(now)));
    }

    pub(crate) fn note(&mut self, what: &str, happened: bool) {
        if happened {
            *self.outcomes.entry(what.to_owned()).or_default() += 1;
        }
    }

    /// Keeps an answer where the program finds it.
    pub(crate) fn keep(&self, answer: &Answer) {
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

    pub(crate) fn view<'a>(&self, source: IpAddr, proof: Proof, answer: &'a Answer) -> View<'a> {
        let asked = Some(Asked { qname: answer.name.as_ref(), qtype: answer.qtype });
        View { source: source.to_canonical(), proof, message: &[], asked, hashes: Hashes::default() }
    }

    /// The program's clock stands still at this time, and the windows of both turn.
    pub(crate) fn still(&self) {
        self.policy[l::POLICY_STILL_US].store(self.now_us, Relaxed);
        self.turn();
    }

    /// Asks both. What only the lanes above can say is not asked of them: nothing has changed.
    pub(crate) fn ask(&mut self, client: &mut Client, answer: &Answer) -> Outcome {
        self.still();
        let proof = client.proof(self.now_us);
        let ours = self.ask_program(client, answer);
        self.note(&format!("absent: {ours:?}"), !answer.is_kept);
        let above = ours.is_some().then(|| self.ask_above(client.address, proof, answer));
        assert_eq!(ours, above, "{answer:?} for {client:?}, {proof:?}, at {} us", self.now_us - START_US);
        self.note(&format!("{ours:?}"), true);
        ours
    }

    /// Sends both a message that the program does not read. What it passes up the lanes above judge by its tables. `asked`:
    /// what they read in it.
    pub(crate) fn send_unread(&mut self, client: &mut Client, message: &[u8], asked: Option<&Answer>) -> Outcome {
        self.still();
        let ours = self.send_program(client, message);
        let asked = asked.map(|answer| Asked { qname: answer.name.as_ref(), qtype: answer.qtype });
        let view = View { source: client.address, proof: Proof::None, message, asked, hashes: Hashes::default() };
        let now = Now::from_us(self.now_us);
        let above = self.lane.gate(now).admit(&view).verdict;
        let by_ours = ours.unwrap_or_else(|| self.kernel_lane.gate(now).admit(&view).verdict);
        assert_eq!(by_ours, above, "{message:?} for {client:?}, at {} us", self.now_us - START_US);
        self.note(&format!("unread: {ours:?}"), true);
        ours
    }

    pub(crate) fn ask_program(&mut self, client: &mut Client, answer: &Answer) -> Outcome {
        let message = query(&format!("{} {} {}", answer.name, answer.qtype, client.option()));
        self.send_program(client, &message)
    }

    fn send_program(&mut self, client: &mut Client, message: &[u8]) -> Outcome {
        let counted = |place: usize| -> u64 {
            self.counters.chunks(l::COUNTER_WORDS).map(|words| words[place].load(Relaxed)).sum()
        };
        let before: Vec<u64> = (0..l::FILTERS).map(|filter| counted(l::COUNTER_FILTERED + filter)).collect();
        let route = client.route();
        let run = self.program.test_run(&route.carry(message), 1).unwrap();
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
    pub(crate) fn slipped_by(&self) -> Filter {
        let (ours, above) = (self.kernel.counts(), self.above.counts());
        let slipped = |filter: &Filter| ours.effect(*filter, Effect::Slipped) > above.effect(*filter, Effect::Slipped);
        Filter::ALL.into_iter().find(slipped).expect("a slip has a reason")
    }

    pub(crate) fn ask_above(&mut self, source: IpAddr, proof: Proof, answer: &Answer) -> Verdict {
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
    pub(crate) fn compare(&mut self) {
        self.compare_tables();
        self.compare_samples();
    }

    pub(crate) fn compare_tables(&self) {
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
    }

    pub(crate) fn zone_counts<'z>(&self, zones: &'z [AtomicU64]) -> impl Iterator<Item = [u32; 3]> + 'z {
        let halves = zones.iter().map(|word| word.load(Relaxed)).flat_map(|word| [word as u32, (word >> 32) as u32]);
        let halves: Vec<u32> = halves.collect();
        halves.as_chunks::<3>().0.to_vec().into_iter()
    }

    /// Those of the program, and of the filters above.
    pub(crate) fn take_samples(&mut self) -> [Vec<String>; 2] {
        self.tables.drain_samples();
        [&self.kernel, &self.above]
            .map(|filters| std::iter::from_fn(|| filters.samples().pop()).map(|sample| format!("{sample:?}")).collect())
    }

    pub(crate) fn compare_samples(&mut self) {
        let [ours, above] = self.take_samples();
        assert_eq!(ours.len(), above.len());
        ours.iter().zip(&above).for_each(|(ours, above)| assert_eq!(ours, above));
        *self.outcomes.entry("samples".to_owned()).or_default() += ours.len() as u64;
    }

    /// Something of this has happened.
    pub(crate) fn assert_happened(&self, what: &[&str]) {
        for what in what {
            assert!(self.outcomes.keys().any(|known| known.contains(what)), "{what}: {:?}", self.outcomes);
        }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// It sends cookies; the one that it was given last.
    pub(crate) has_cookie: bool,
    pub(crate) cookie: Option<[u8; 16]>,
}

impl Client {
    pub(crate) fn new(address: impl Into<IpAddr>, has_cookie: bool) -> Client {
        Client { address: address.into(), has_cookie, cookie: None }
    }

    pub(crate) fn route(&self) -> Route {
        let server = SERVERS[usize::from(self.address.is_ipv6())];
        Route::new(&SocketAddr::new(self.address, 1053).to_string(), server)
    }

    pub(crate) fn option(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match (self.has_cookie, self.cookie) {
            (false, _) => String::new(),
            (true, cookie) => format!("cookie=0102030405060708{}", cookie.map_or(String::new(), |it| hex(&it))),
        }
    }

    /// A cookie holds for an hour (RFC 9018 §4.3); its third word is its time.
    pub(crate) fn proof(&self, now_us: u64) -> Proof {
        let made_s = |cookie: [u8; 16]| u32::from_be_bytes([cookie[4], cookie[5], cookie[6], cookie[7]]);
        match self.cookie {
            Some(cookie) if (now_us / SECOND_US) as u32 - made_s(cookie) <= 3600 => Proof::Cookie,
            _ => Proof::None,
        }
    }

    pub(crate) fn take_cookie(&mut self, reply: &[u8]) {
        if self.has_cookie {
            self.cookie = reply.last_chunk::<16>().copied();
        }
    }
}
