//! The kernel lane's program and the lanes above, over one table of answers: what the program gives is of now, whatever is
//! published or purged meanwhile, and is what the lanes say. Needs root.
#![cfg(feature = "kernel")]

mod support;

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
    time::{Duration, Instant},
};

use cache::Cache;
use config::{DefenceMode, Defences};
use edge::{
    Counters, Settings, Transport, filter_time,
    kernel::{Action, Answers, KernelFilters, Names, Program, layout as l},
    line::{Client, Context, OnDemand, Promoter, respond},
};
use filters::{Filters, NameHasher, Now};
use support::{
    NoNotify,
    frames::{Route, query},
    origin::{NoMisses, Origin, SlotWatcher},
};
use wire::{Message, Name, Rcode, Rtype};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
const SERVICE: &str = "192.0.2.53:53";
/// The number of the zone in the cache.
const ZONE: u64 = 5;
/// Answers of the program and of the lanes, each, after which it is well.
const ENOUGH: u64 = 1000;
/// However slow the machine is, something was seen by then.
const DEADLINE: Duration = Duration::from_secs(60);

/// The program and the lanes above, with no filters.
struct Node {
    program: Program,
    policy: &'static [AtomicU64],
    answers: Answers,
    zones: Zones,
    filters: Arc<Filters>,
    settings: Settings,
    cache: Cache,
}

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Program,
    Lane,
}

/// One thread that asks: what a lane has for itself, and its clocks, which are the machine's unless they stand still.
struct Asker<'n> {
    node: &'n Node,
    route: Route,
    lane: filters::Lane,
    counters: Counters,
    still: Cell<Option<(Now, Instant)>>,
}

impl Node {
    fn new() -> Node {
        let mut program = Program::load(64).unwrap();
        program.serve_at(SERVICE.parse().unwrap()).unwrap();
        let defences = Defences { mode: DefenceMode::Off, ..Defences::default() };
        let kernel = KernelFilters::new(&mut program, &defences, SEED).unwrap();
        let array = |name| program.array(name).unwrap();
        let (policy, generations) = (array("policy"), array("generations"));
        let answers = Answers::new(program.tags().unwrap(), array("slots"), array("texts"), generations);
        let names = Names::new(array("exists"), array("covers"), NameHasher::new(SEED));
        let zones = Zones::with_generations(generations).watched_by(Arc::new(names));
        let settings = Settings::default();
        let filter_clock_us = filter_time().us() - support::rig::monotonic_us();
        for (place, word) in [
            (l::POLICY_ON, 1),
            (l::POLICY_SILENT_US, i64::MAX as u64),
            (l::POLICY_FILTER_CLOCK_US, filter_clock_us),
            (l::POLICY_UDP_PAYLOAD_BYTES_MAX, u64::from(settings.udp_payload_bytes_max)),
        ] {
            policy[place].store(word, Relaxed);
        }
        let filters = Arc::clone(kernel.filters());
        Node { program, policy, answers, zones, filters, settings, cache: Cache::new(4 << 20) }
    }

    fn asker(&self) -> Asker<'_> {
        let route = Route::new("198.51.100.100:1053", SERVICE);
        let (lane, counters, still) = (self.filters.lane(), Counters::default(), Cell::new(None));
        Asker { node: self, route, lane, counters, still }
    }

    fn insert(&self, apex: &str, state: ZoneState) -> Arc<ZoneSlot> {
        let slot = Arc::new(ZoneSlot::new(name(apex)));
        slot.publish(state);
        self.zones.insert(&slot);
        slot
    }
}

impl Asker<'_> {
    /// The answer of the program, or else of the lanes.
    fn ask(&self, text: &str) -> (Vec<u8>, By) {
        let message = query(text);
        match self.ask_program(&message) {
            Some(answer) => (answer, By::Program),
            None => (self.ask_lane(&message), By::Lane),
        }
    }

    fn ask_program(&self, message: &[u8]) -> Option<Vec<u8>> {
        let frame = self.route.carry(message);
        loop {
            let run = self.node.program.test_run(&frame, 1).unwrap();
            match run.action {
                Action::Send => return Some(self.route.open(&run.frame)),
                Action::Pass => return None,
                // Its slot was written to just then: a client asks again.
                Action::Drop => thread::yield_now(),
                Action::Other(other) => panic!("{other}"),
            }
        }
    }

    /// What a lane answers, and gives on.
    fn ask_lane(&self, message: &[u8]) -> Vec<u8> {
        let client = Client { peer: self.route.client, transport: Transport::Udp, idle: Duration::ZERO };
        let mut out = vec![0; usize::from(self.node.settings.udp_payload_bytes_max)];
        let (now, instant) = self.still.get().unwrap_or_else(|| (filter_time(), Instant::now()));
        let (epoch, zones) = (self.node.zones.epoch(), self.node.zones.load());
        let context = Context {
            zones: &zones,
            settings: &self.node.settings,
            notify: &NoNotify,
            transfers: None,
            on_demand: Some(OnDemand { cache: &self.node.cache, misses: &NoMisses, clock: &|| instant }),
            gate: &self.lane.gate(now),
            promoter: Some(Promoter { answers: &self.node.answers, epoch, now, filter_time: &|_| now }),
            counters: &self.counters,
            now_s: 0,
        };
        let bytes = respond(message, &client, &context, &mut out);
        out.truncate(bytes);
        out
    }

    /// From now on it is that moment, for the program too.
    fn stand_still(&self, now: Now, instant: Instant) {
        self.node.policy[l::POLICY_STILL_US].store(now.us(), Relaxed);
        self.still.set(Some((now, instant)));
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A zone of which every answer says its version: its serial. `odd` is there in odd versions alone.
fn version(apex: &str, number: u64) -> ZoneState {
    let at = |host: &str| name(&format!("{host}.{apex}"));
    let mut builder = ZoneBuilder::new(name(apex), Limits::NONE);
    let number = number as u32;
    let mut soa = [at("ns").as_bytes(), at("host").as_bytes()].concat();
    soa.extend([number, 3600, 600, 86_400, 300].iter().flat_map(|number| number.to_be_bytes()));
    builder.add(name(apex).as_ref(), Rtype::SOA, 3600, &soa).unwrap();
    builder.add(name(apex).as_ref(), Rtype::NS, 3600, at("ns").as_bytes()).unwrap();
    let text = [&[4], &number.to_be_bytes()[..]].concat();
    builder.add(at("www").as_ref(), Rtype::TXT, 60, &text).unwrap();
    builder.add(at("www").as_ref(), Rtype::TXT, 60, b"\x1cand something that is longer").unwrap();
    if number % 2 == 1 {
        builder.add(at("odd").as_ref(), Rtype::TXT, 60, &text).unwrap();
    }
    ZoneState::Serving(Arc::new(builder.finish().unwrap()))
}

/// The version that an answer is of: in the first TXT record, or the serial of the SOA.
fn version_of(answer: &[u8]) -> u64 {
    let message = Message::parse(answer).unwrap();
    let records: Vec<_> = message.records().map(Result::unwrap).collect();
    let texts = records.iter().filter(|record| record.rtype == Rtype::TXT).map(|record| record.rdata());
    let number = match texts.clone().find(|rdata| rdata.len() == 5) {
        Some(text) => *text.last_chunk().unwrap(),
        None => {
            let soa = records.iter().find(|record| record.rtype == Rtype::SOA).unwrap().rdata();
            *soa[soa.len() - 20..].first_chunk().unwrap()
        }
    };
    u64::from(u32::from_be_bytes(number))
}

/// Threads that ask while another publishes: whoever has seen a version, by whomever it was given, sees no older one, and
/// nobody an older one than had been published before the question. Says how many answers each gave.
fn check_while(node: &Node, questions: &[&str], publish: impl Fn(u64) + Sync) -> [u64; 2] {
    let (published, seen, stop) = (AtomicU64::new(1), AtomicU64::new(0), AtomicBool::new(false));
    let counts = [const { AtomicU64::new(0) }; 2];
    let enough = || counts.iter().all(|count| count.load(Relaxed) >= ENOUGH);
    publish(1);
    let read = || {
        let (asker, began) = (node.asker(), Instant::now());
        for number in 0.. {
            let question = questions[number % questions.len()];
            let least = published.load(SeqCst).max(seen.load(SeqCst));
            let (answer, by) = asker.ask(question);
            let version = version_of(&answer);
            assert!(version >= least, "{question}: version {version} by {by:?} after {least}");
            let exists = version % 2 == 1 || !question.starts_with("odd");
            let rcode = Message::parse(&answer).unwrap().header.flags.rcode();
            assert_eq!(rcode == Rcode::NXDOMAIN, !exists || question.starts_with("nothing"), "{question}: {version}");
            seen.fetch_max(version, SeqCst);
            counts[usize::from(by == By::Lane)].fetch_add(1, Relaxed);
            if enough() || stop.load(Relaxed) || began.elapsed() > DEADLINE {
                break;
            }
        }
        stop.store(true, Relaxed);
    };
    thread::scope(|scope| {
        let readers = [scope.spawn(read), scope.spawn(read)];
        for number in 2.. {
            publish(number);
            published.store(number, SeqCst);
            // Now and then for long enough that most is answered below.
            let rest = Duration::from_micros(if number % 4 == 0 { 2000 } else { number % 64 });
            thread::sleep(rest);
            if stop.load(Relaxed) {
                break;
            }
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    counts.map(|count| count.load(Relaxed))
}

#[test]
fn nothing_older_than_what_was_published_is_given() {
    let node = Node::new();
    let slot = node.insert("example.com", version("example.com", 0));
    let questions = ["www.example.com TXT", "odd.example.com TXT", "nothing.example.com TXT", "www.example.com A edns"];
    let [program, lane] = check_while(&node, &questions, |number| slot.publish(version("example.com", number)));
    assert!(program >= ENOUGH && lane >= ENOUGH, "{program} by the program, {lane} by the lanes");
}

#[test]
fn a_zone_that_comes_and_goes_takes_its_names_along() {
    let node = Node::new();
    node.insert("example.com", version("example.com", 0));
    let below = |number| {
        Arc::new({
            let slot = ZoneSlot::new(name("www.example.com"));
            slot.publish(version("www.example.com", number));
            slot
        })
    };
    // The zone comes and goes, and that above it is another each time.
    let publish = |number: u64| {
        let above = Arc::new(ZoneSlot::new(name("example.com")));
        above.publish(version("example.com", number));
        let slots = if number.is_multiple_of(3) { vec![above, below(number)] } else { vec![above] };
        node.zones.replace(slots);
    };
    let [program, lane] = check_while(&node, &["www.example.com TXT", "nothing.www.example.com TXT"], publish);
    assert!(program >= ENOUGH && lane >= ENOUGH, "{program} by the program, {lane} by the lanes");
}

/// A node whose zone is filled on demand, and what its origin says to a question at this version.
fn on_demand() -> (Node, impl Fn(&Node, &str, u64, Instant)) {
    let node = Node::new();
    let slot = node.insert("example.com", ZoneState::OnDemand { id: ZONE });
    node.cache.watch(ZONE, Arc::new(SlotWatcher(slot)));
    let origin = Mutex::new(Origin::new());
    let fill = move |node: &Node, question: &str, number: u64, now: Instant| {
        let ZoneState::Serving(zone) = version("example.com", number) else { unreachable!() };
        let answer = origin.lock().unwrap().answer(&zone, question, now);
        let ticket = node.cache.ticket(ZONE);
        node.cache.insert(ZONE, answer.qname(), answer.qtype(), Arc::clone(&answer), ticket);
    };
    (node, fill)
}

#[test]
fn nothing_older_than_what_is_in_the_cache_is_given() {
    let (node, fill) = on_demand();
    let question = "www.example.com TXT";
    let [program, lane] = check_while(&node, &[question], |number| fill(&node, question, number, Instant::now()));
    assert!(program >= ENOUGH && lane >= ENOUGH, "{program} by the program, {lane} by the lanes");
}

#[test]
fn what_is_purged_is_not_given_any_more() {
    let (node, fill) = on_demand();
    let asker = node.asker();
    for (number, question) in
        ["www.example.com TXT", "odd.example.com TXT", "nothing.example.com TXT"].iter().enumerate()
    {
        fill(&node, question, 1, Instant::now());
        assert_eq!([0, 1].map(|_| asker.ask(question).1), [By::Lane, By::Program], "{question}");
        // All of the zone are asked for again: there is one number for it.
        match number {
            0 => node.cache.purge(ZONE, name("www.example.com").as_ref(), false),
            1 => node.cache.purge(ZONE, name("other.example.com").as_ref(), false),
            _ => node.cache.forget_zone(ZONE),
        };
        assert_eq!(asker.ask_program(&query(question)), None, "{question}");
    }
}

/// To the microsecond at which a second is over, and to that at which the answer is to be fetched again.
#[test]
fn ttls_count_down_and_end_as_in_the_lanes() {
    let (node, fill) = on_demand();
    let asker = node.asker();
    let (begins_us, began) = (500_000 * 1_000_000 + 123_456, Instant::now());
    let stand_still = |age_us: u64| {
        asker.stand_still(Now::from_us(begins_us + age_us), began + Duration::from_micros(age_us));
    };
    let hows = ["", "edns", "do rd"];
    for (question, life_s) in [("www.example.com TXT", 60), ("nothing.example.com TXT", 300), ("example.com NS", 3600)]
    {
        fill(&node, question, 1, began);
        stand_still(1_700_001);
        ["", "do"].iter().for_each(|how| assert_eq!(asker.ask(&format!("{question} {how}")).1, By::Lane, "{question}"));
        let due_s = life_s - life_s / 10;
        let mut seconds = (2..due_s).step_by(7).chain([due_s - 1]).collect::<Vec<u64>>();
        seconds.dedup();
        for age_us in seconds.iter().flat_map(|second| [second * 1_000_000 - 1, second * 1_000_000]) {
            stand_still(age_us);
            for how in hows {
                let message = query(&format!("{question} {how}"));
                let given = asker.ask_program(&message).unwrap_or_else(|| panic!("{question} {how} after {age_us} µs"));
                assert_eq!(given, asker.ask_lane(&message), "{question} {how} after {age_us} µs");
            }
        }
        for (age_us, is_given) in [(due_s * 1_000_000 - 1, true), (due_s * 1_000_000, false)] {
            stand_still(age_us);
            for how in hows {
                let message = query(&format!("{question} {how}"));
                assert_eq!(asker.ask_program(&message).is_some(), is_given, "{question} {how} after {age_us} µs");
            }
        }
    }
}
