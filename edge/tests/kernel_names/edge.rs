//! The program, and the lanes above with the zones that both answer from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use cache::Cache;
use config::{DefenceMode, Defences};
use edge::{
    Counters, Settings, Transport, filter_time,
    kernel::{Action, Answers, Names, Program, layout as l},
    line::{Client, Context, OnDemand, Promoter, respond},
};
use filters::{Filters, Memory, NameHasher, Now, Table};
use wire::{Name, Rtype};
use zones::{Limits, Zone, ZoneBuilder, ZoneSlot, ZoneState, Zones};

use crate::support::{NoNotify, frames::Route, origin::NoMisses};

pub(crate) const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];
pub(crate) const SERVICE: &str = "192.0.2.53:53";
pub(crate) const NXDOMAIN: u8 = 3;

/// Tables that lie in the arrays of a program.
pub(crate) struct Arrays<'p>(&'p Program);

impl Memory for Arrays<'_> {
    fn take(&mut self, table: Table, _: usize) -> &'static mut [u8] {
        self.0.take_bytes(table.as_str()).unwrap()
    }
}

/// The program, and the lanes above with the zones that both answer from.
pub(crate) struct Edge {
    pub(crate) program: Program,
    pub(crate) policy: &'static [AtomicU64],
    pub(crate) names: Arc<Names>,
    pub(crate) zones: Zones,
    pub(crate) answers: Answers,
    pub(crate) filters: Arc<Filters>,
    pub(crate) settings: Settings,
    pub(crate) counters: Counters,
    pub(crate) route: Route,
    pub(crate) cache: Cache,
}

impl Edge {
    pub(crate) fn new(mode: DefenceMode) -> Edge {
        let mut program = Program::load(4096).unwrap();
        program.serve_at(SERVICE.parse().unwrap()).unwrap();
        let array = |name| program.array(name).unwrap();
        let (policy, generations) = (array("policy"), array("generations"));
        // The node as a whole is never armed.
        let defences = Defences { mode, normal_per_s: Some(1_000_000), ..Defences::default() };
        let filters = Arc::new(Filters::within(&defences, SEED, &mut Arrays(&program)).unwrap());
        let names = Arc::new(Names::new(array("exists"), array("covers"), NameHasher::new(SEED)));
        let zones = Zones::with_generations(generations).watched_by(Arc::clone(&names) as _);
        let answers = Answers::new(program.tags().unwrap(), array("slots"), array("texts"), generations);
        let policy_words = filters.policy_words();
        let words =
            [(l::POLICY_ON, 1), (l::POLICY_SILENT_US, i64::MAX as u64), (l::POLICY_UDP_PAYLOAD_BYTES_MAX, 1232)];
        let filter_words = policy_words.iter().enumerate().map(|(n, word)| (l::POLICY_FILTERS + n, *word));
        words.into_iter().chain(filter_words).for_each(|(place, word)| policy[place].store(word, Relaxed));
        let (settings, counters) = (Settings::default(), Counters::default());
        let route = Route::new("198.51.100.7:4242", SERVICE);
        let cache = Cache::new(4 << 20).names_watched_by(Arc::clone(&names) as _);
        Edge { program, policy, names, zones, answers, filters, settings, counters, route, cache }
    }

    /// What the lanes above answer, which gives it to the program as well.
    pub(crate) fn ask_lanes(&self, route: &Route, message: &[u8]) -> Vec<u8> {
        let client = Client { peer: route.client, transport: Transport::Udp, idle: Duration::from_secs(10) };
        let mut out = vec![0; usize::from(self.settings.udp_payload_bytes_max)];
        let now = self.now();
        let epoch = self.zones.epoch();
        let (lane, zones) = (self.filters.lane(), self.zones.load());
        let promoter = Promoter { answers: &self.answers, epoch, now, filter_time: &|_| now };
        let context = Context {
            zones: &zones,
            settings: &self.settings,
            notify: &NoNotify,
            transfers: None,
            on_demand: Some(OnDemand { cache: &self.cache, misses: &NoMisses, clock: &Instant::now }),
            gate: &lane.gate(now),
            promoter: Some(promoter),
            counters: &self.counters,
            now_s: 0,
        };
        let bytes = respond(message, &client, &context, &mut out);
        out.truncate(bytes);
        out
    }

    pub(crate) fn now(&self) -> Now {
        match self.policy[l::POLICY_STILL_US].load(Relaxed) {
            0 => filter_time(),
            still => Now::from_us(still),
        }
    }

    /// What the program answers, if it does; an empty answer where it drops.
    pub(crate) fn ask_program(&self, route: &Route, message: &[u8]) -> Option<Vec<u8>> {
        let run = self.program.test_run(&route.carry(message), 1).unwrap();
        match run.action {
            Action::Send => Some(route.open(&run.frame)),
            Action::Drop => Some(Vec::new()),
            Action::Pass => None,
            other => panic!("{other:?}"),
        }
    }

    /// How many packets were passed up.
    pub(crate) fn passed(&self) -> u64 {
        let counters = self.program.array("counters").unwrap();
        let passed =
            |words: &[AtomicU64]| words[l::COUNTER_PASSED..][..l::PASSES].iter().map(|n| n.load(Relaxed)).sum::<u64>();
        counters.chunks(l::COUNTER_WORDS).map(passed).sum()
    }

    pub(crate) fn serve(&self, zone: Zone) -> Arc<ZoneSlot> {
        let slot = Arc::new(ZoneSlot::new(zone.apex().to_owned()));
        self.zones.insert(&slot);
        slot.publish(ZoneState::Serving(Arc::new(zone)));
        slot
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn soa(mname: &str, rname: &str, serial: u32) -> Vec<u8> {
    let mut soa = [name(mname).as_bytes(), name(rname).as_bytes()].concat();
    soa.extend([serial, 3600, 600, 86_400, 300].iter().flat_map(|number| number.to_be_bytes()));
    soa
}

/// A zone of its SOA record and others.
pub(crate) fn zone_of(apex: &str, [mname, rname]: [&str; 2], records: &[(String, Rtype, Vec<u8>)]) -> Zone {
    let mut builder = ZoneBuilder::new(name(apex), Limits::NONE);
    builder.add(name(apex).as_ref(), Rtype::SOA, 3600, &soa(mname, rname, 1)).unwrap();
    for (owner, rtype, rdata) in records {
        builder.add(name(owner).as_ref(), *rtype, 300, rdata).unwrap();
    }
    builder.finish().unwrap()
}

/// A signed zone: its signatures would convince nobody, but they are there.
pub(crate) fn signed_zone() -> Zone {
    let signature = |covered: Rtype| {
        let apex = name("example");
        let rrsig = [&covered.0.to_be_bytes()[..], &[13, 1], &[0; 12], &[0, 7], apex.as_bytes(), &[9; 64]].concat();
        ("example".to_owned(), Rtype::RRSIG, rrsig)
    };
    let nsec = [name("example").as_bytes(), &[0, 1, 0x22]].concat();
    let records = [("example".to_owned(), Rtype::NSEC, nsec), signature(Rtype::SOA), signature(Rtype::NSEC)];
    zone_of("example", ["ns.elsewhere", "root.elsewhere"], &records)
}
