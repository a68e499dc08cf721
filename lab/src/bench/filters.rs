//! `bench filters`: what a verdict costs, with all filters on, beside governor, which keeps one budget for each source and
//! does nothing else. Both are called in this process, on one thread, without a network: the one place where the lab runs
//! code of the house instead of a server.
//!
//! Queries come in batches of 64, as a lane has them; making them is not part of what is measured. The clock is made up:
//! it goes so fast that no source is above its budget, so that each verdict asks all filters and all tables. Each figure
//! of a case is the median of its batches, which what else runs on the machine moves least.

use std::{fs, hint::black_box, net::IpAddr, sync::Arc, time::Instant};

use config::Defences;
use filters::{Asked, Filters, Found, Gate, Hashes, Kind, Now, Proof, Verdict, View, ZoneNumber};
use governor::{Quota, RateLimiter, clock::FakeRelativeClock};
use wire::{Name, Rtype};

use super::{
    Options, progress,
    report::{Report, Samples, quantile},
};
use crate::subject::Subject;

/// The peer, as tables have it.
pub(crate) const PEER: &str = "governor";
/// A batch as a lane receives it.
const BATCH: usize = 64;
/// Names that are asked for, each as likely as another.
const NAMES: u64 = 10_000;
/// How long the answers hold.
const TTL_S: u32 = 300;
/// Queries a second of all sources together, and of one at most, on the clock that is made up.
const NODE_PER_S: u64 = 400_000;
const SOURCE_PER_S: u64 = 40;
/// Batches of a second with that load.
const TICK_ROUNDS: u64 = NODE_PER_S / BATCH as u64;
/// What is normal, so that the defence against random sources is armed or is not.
const NORMAL_HIGH: u32 = 10_000_000;
const NORMAL_LOW: u32 = 1000;
/// Verdicts before measuring begins, for each source, and at least and at most so many; then those that are measured.
const WARM_PER_SOURCE: u64 = 2;
const WARM_MIN: u64 = 1_000_000;
const WARM_MAX: u64 = 24_000_000;
const MEASURED: u64 = 4_000_000;
/// Any secret does.
const SEED: [u64; 2] = [0x5eed_0000_1234_5678, 0x5eed_ffff_8765_4321];

/// How many sources there are, and what is normal.
struct Case {
    name: &'static str,
    sources: u64,
    normal_per_s: u32,
}

const CASES: [Case; 4] = [
    Case { name: "1 source", sources: 1, normal_per_s: NORMAL_HIGH },
    Case { name: "10,000 sources", sources: 10_000, normal_per_s: NORMAL_HIGH },
    Case { name: "10,000,000 sources", sources: 10_000_000, normal_per_s: NORMAL_HIGH },
    Case { name: "the same, armed", sources: 10_000_000, normal_per_s: NORMAL_LOW },
];

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut samples = Samples::new("filters", &[Subject::Parapet]);
    let names: Vec<Name> = (0..NAMES).map(|n| format!("host-{n}.example.com").parse()).collect::<Result<_, _>>()?;
    for repeat in 1..=options.repeats() {
        for case in &CASES {
            progress(&format!("repeat {repeat} of {}: {}, filters", options.repeats(), case.name));
            Chain::new(case).measure(case, &names, &mut samples);
            progress(&format!("repeat {repeat} of {}: {}, {PEER}", options.repeats(), case.name));
            measure_peer(case, &mut samples);
        }
    }
    Ok(samples.finish())
}

/// The filters with their clock.
struct Chain {
    filters: Arc<Filters>,
    lane: filters::Lane,
    us: u64,
    step_us: u64,
    /// Batches since the last second that the filters were told of.
    rounds: u64,
    served: u64,
    apex: Name,
}

/// The time that a batch takes to arrive.
fn step_us(case: &Case) -> u64 {
    BATCH as u64 * 1_000_000 / (SOURCE_PER_S * case.sources).min(NODE_PER_S)
}

impl Chain {
    fn new(case: &Case) -> Chain {
        let defences = Defences { normal_per_s: Some(case.normal_per_s), ..Defences::default() };
        let filters = Arc::new(Filters::new(&defences, SEED));
        let lane = filters.lane();
        let apex =
            Name::root().prepend(b"com").and_then(|com| com.prepend(b"example")).unwrap_or_else(|_| Name::root());
        Chain { filters, lane, us: 1_000_000, step_us: step_us(case), rounds: TICK_ROUNDS, served: 0, apex }
    }

    fn measure(mut self, case: &Case, names: &[Name], samples: &mut Samples) {
        let mut numbers = Numbers::default();
        let mut batch = Vec::with_capacity(BATCH);
        let (warm, measured) = rounds(case);
        let mut nanoseconds = Vec::with_capacity(measured as usize);
        for round in 0..warm + measured {
            numbers.fill(case, names, &mut batch);
            self.turn_clock();
            if round == warm {
                self.served = 0;
            }
            let start = Instant::now();
            self.judge(&batch);
            if round >= warm {
                nanoseconds.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
            }
        }
        let name = Subject::Parapet.name();
        samples.add(name, case.name, "verdict", quantile(nanoseconds, 0.5), "ns");
        samples.add(name, case.name, "memory", mib(self.filters.memory_bytes() as f64), "MiB");
        let served = self.served as f64 / (measured * BATCH as u64) as f64;
        samples.add(name, case.name, "served", served * 100.0, "%");
    }

    /// Once a second the filters are told so, and somebody takes the samples; but not more often than a lane with such a
    /// load has a second, where the clock goes faster than that.
    fn turn_clock(&mut self) {
        let before = Now::from_us(self.us);
        self.us += self.step_us;
        let now = Now::from_us(self.us);
        self.rounds += 1;
        if now.s() != before.s() && self.rounds > TICK_ROUNDS {
            self.rounds = 0;
            self.filters.tick(now);
            while self.filters.samples().pop().is_some() {}
        }
    }

    /// As a lane does it: all of a batch touched, then admitted, then judged.
    fn judge(&mut self, batch: &[(IpAddr, Name)]) {
        let gate = self.lane.gate(Now::from_us(self.us));
        let mut views = [const { None }; BATCH];
        for (view, (source, qname)) in views.iter_mut().zip(batch) {
            let asked = Some(Asked { qname: qname.as_ref(), qtype: Rtype::A });
            let seen = View { source: *source, proof: Proof::None, message: &[], asked, hashes: Hashes::default() };
            gate.make_hashes(view.insert(seen));
        }
        gate.touch_all(views.iter().flatten());
        let served = views.iter().flatten().filter(|view| self.verdict(&gate, view) == Verdict::Serve).count();
        self.served += served as u64;
    }

    fn verdict(&self, gate: &Gate<'_>, view: &View<'_>) -> Verdict {
        let admission = gate.admit(view);
        if admission.verdict != Verdict::Serve {
            return admission.verdict;
        }
        let zone = Some((ZoneNumber(1), self.apex.as_ref()));
        gate.judge(view, &admission, &Found { zone, kind: Kind::Answer, ttl_s: TTL_S, cut: None, is_hit: false })
    }
}

/// governor with a budget for each source, and the same clock that is made up: reading one would be charged to it alone.
fn measure_peer(case: &Case, samples: &mut Samples) {
    let before_bytes = resident_bytes();
    let per_s = std::num::NonZeroU32::new(Defences::default().client_per_s).unwrap_or(std::num::NonZeroU32::MIN);
    let clock = FakeRelativeClock::default();
    let limiter = RateLimiter::dashmap_with_clock(Quota::per_second(per_s), clock.clone());
    let step = std::time::Duration::from_micros(step_us(case));
    let mut numbers = Numbers::default();
    let (warm, measured) = rounds(case);
    let mut nanoseconds = Vec::with_capacity(measured as usize);
    for round in 0..warm + measured {
        let sources: [IpAddr; BATCH] = std::array::from_fn(|_| numbers.next(case).0);
        clock.advance(step);
        let start = Instant::now();
        for source in &sources {
            let _ = black_box(limiter.check_key(source));
        }
        if round >= warm {
            nanoseconds.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
        }
    }
    samples.add(PEER, case.name, "verdict", quantile(nanoseconds, 0.5), "ns");
    samples.add(PEER, case.name, "memory", mib(resident_bytes() - before_bytes), "MiB");
}

/// Batches before measuring begins, and those that are measured.
fn rounds(case: &Case) -> (u64, u64) {
    let warm = (case.sources * WARM_PER_SOURCE).clamp(WARM_MIN, WARM_MAX);
    (warm / BATCH as u64, MEASURED / BATCH as u64)
}

/// Who asks for what: looks random, and is the same each time.
#[derive(Default)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, case: &Case) -> (IpAddr, u64) {
        self.0 += 1;
        let random = mix(self.0);
        let source = mix((1 << 40) | ((random >> 20) % case.sources)) as u32;
        (IpAddr::from(source.to_be_bytes()), mix(random) % NAMES)
    }

    fn fill(&mut self, case: &Case, names: &[Name], batch: &mut Vec<(IpAddr, Name)>) {
        batch.clear();
        batch.extend((0..BATCH).map(|_| {
            let (source, name) = self.next(case);
            (source, names[name as usize])
        }));
    }
}

/// Each number to another one that has nothing of it (SplitMix64, Steele et al. 2014).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// Memory of this process that is in use.
fn resident_bytes() -> f64 {
    const PAGE_BYTES: f64 = 4096.0;
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(f64::NAN) * PAGE_BYTES
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}
