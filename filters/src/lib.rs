//! Is this query worth answering? Verdicts with reasons, so that real clients are answered while a flood lasts.
//!
//! ```text
//!            ┌── admit: by source and question ─┐            ┌── judge: by what was found ─┐
//! View ──────┤ blocked, query-of-death, malformed│── find ───┤ miss, random-name,           │──▶ serve, slip or drop
//!            │ client, prefix, repetition,       │            │ response-rate                │
//!            └ unknown-source ──────────────────┘            └──────────────────────────────┘
//!                       scores, not walls: what has a penalty is served while there is capacity
//! ```
//!
//! [`Filters`] holds all tables, taken once; a [`Lane`] is one thread's handle, a [`Gate`] its view for one batch of queries.
//! Once a second [`Filters::tick`] learns what is normal and arms what is needed. There is no clock here: the time is a
//! parameter everywhere. Nothing on the way of a query locks or allocates.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod chain;
mod counts;
mod event;
mod gate;
mod hash;
pub mod layout;
mod learned;
mod memory;
mod names;
mod now;
mod policy;
mod pressure;
mod quarantine;
mod sample;
mod score;
mod sources;
pub mod top;
mod verdict;
mod view;

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use config::Defences;
use crossbeam_queue::ArrayQueue;
use wire::NameRef;

pub use counts::{Counts, Effect, LaneCounts};
pub use event::{Defence, Event, Phase, Scope};
pub use gate::{Gate, Lane};
pub use hash::NameHasher;
pub use learned::{LEARNED_BYTES_MAX, LEARNED_SOURCES_MAX, LEARNED_ZONES_MAX, Learned, LearnedError, LearnedZone};
pub use memory::{Memory, MemoryError, Table};
pub use names::{Baseline, NodeStatus, NormalByHand, RateStatus, Status, SuffixStatus, ZoneStatus};
pub use now::Now;
pub use policy::Policy;
pub use pressure::Pressure;
pub use quarantine::{QUARANTINED_MAX, Quarantined, Quarantining, Width};
pub use sample::{SAMPLES_MAX, Sample, SampledName, Samples};
pub use sources::{Budget, Explanation, Judgement, KnownGood, Listed, ListedPrefix, SourceStanding, Why};
pub use verdict::{Admission, Verdict};
pub use view::{Asked, Found, Hashes, Kind, Proof, View, ZoneNumber};

use memory::Taker;
use names::Names;
use quarantine::Quarantine;
use sources::Sources;

/// All filters of a node with their memory, which is taken once.
#[derive(Debug)]
pub struct Filters {
    seed: [u64; 2],
    policy: ArcSwap<Policy>,
    /// The policy that who gives verdicts elsewhere goes by; none if there is nobody.
    told: ArcSwapOption<Policy>,
    sources: Sources,
    names: Names,
    quarantine: Quarantine,
    /// The counters of all lanes there have been.
    lanes: ArcSwap<Vec<Arc<LaneCounts>>>,
    samples: Samples,
}

impl Filters {
    /// Takes all memory. `seed` is random and known to nobody: it keeps attackers from choosing who shares a place with whom.
    pub fn new(defences: &Defences, seed: [u64; 2]) -> Filters {
        Filters::take(defences, seed, &mut Taker::own())
    }

    /// The same with tables in memory that is given. What is left there from before holds on if it was made with this seed,
    /// and the clock is the same.
    pub fn within(defences: &Defences, seed: [u64; 2], memory: &mut dyn Memory) -> Result<Filters, MemoryError> {
        let mut taker = Taker::of(memory);
        let filters = Filters::take(defences, seed, &mut taker);
        taker.finish().map(|()| filters)
    }

    fn take(defences: &Defences, seed: [u64; 2], taker: &mut Taker<'_>) -> Filters {
        Filters {
            seed,
            policy: ArcSwap::from_pointee(Policy::new(defences)),
            told: ArcSwapOption::empty(),
            sources: Sources::within(taker, seed),
            names: Names::within(taker, seed),
            quarantine: Quarantine::default(),
            lanes: ArcSwap::default(),
            samples: Arc::new(ArrayQueue::new(SAMPLES_MAX)),
        }
    }

    /// From the next batch on these defences hold; what was learned stays.
    pub fn apply(&self, defences: &Defences) {
        self.policy.store(Arc::new(Policy::new(defences)));
    }

    /// Who gives verdicts elsewhere goes by this policy from now on.
    pub fn tell(&self, policy: Arc<Policy>) {
        self.told.store(Some(policy));
    }

    /// Whether everybody goes by what was applied last.
    pub fn is_told(&self) -> bool {
        self.told.load().as_ref().is_none_or(|told| Arc::ptr_eq(told, &self.policy.load()))
    }

    /// What holds now.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// The handle of one more thread that answers.
    pub fn lane(self: &Arc<Self>) -> Lane {
        let counts = Arc::new(LaneCounts::default());
        self.lanes.rcu(|lanes| lanes.iter().chain([&counts]).cloned().collect::<Vec<_>>());
        Lane::new(Arc::clone(self), counts, Arc::clone(&self.samples))
    }

    /// Lanes that are elsewhere and count in this memory, of [`layout::LANE_COUNTS_BYTES`] and [`layout::LANE_ZONES_BYTES`]
    /// for each: from now on what they count is looked at as what others do. Says how many there are.
    pub fn add_foreign_lanes(&self, counts: &'static mut [u8], zones: &'static mut [u8]) -> Result<usize, MemoryError> {
        let counts = counts.chunks_mut(layout::LANE_COUNTS_BYTES);
        let mut zones = zones.chunks_mut(layout::LANE_ZONES_BYTES);
        let lanes = counts.map(|counts| LaneCounts::given(counts, zones.next().unwrap_or_default()).map(Arc::new));
        let foreign = lanes.collect::<Result<Vec<_>, _>>()?;
        self.lanes.rcu(|lanes| lanes.iter().chain(&foreign).cloned().collect::<Vec<_>>());
        Ok(foreign.len())
    }

    /// A lane that is elsewhere has answered with this so many times since it was said last. Its verdicts are given and counted
    /// there; what is learned from answers about names is learned here.
    pub fn found_elsewhere(&self, view: &View<'_>, found: &Found<'_>, times: u32, now: Now) {
        self.names.found(view, found, times, now);
        self.quarantine.served(view, found, times);
    }

    /// Misses are judged elsewhere too, by what is armed here: to be called every few dozen milliseconds while there are some.
    pub fn missed_elsewhere(&self, now: Now) {
        self.names.watch_misses(&self.lanes(), now);
    }

    /// Whether [`Filters::found_elsewhere`] learns anything just now of answers that are no kept ones of an origin.
    pub fn learns_elsewhere(&self) -> bool {
        self.names.is_attacked() || self.quarantine.entries() > 0
    }

    /// What a verdict depends on, beside the tables, for who gives it elsewhere: 4 words of secret of the hasher of names,
    /// 4 of that of sources, whether all is off, of which families there are [listed prefixes](Filters::listed) (bit 0: IPv4,
    /// bit 1: IPv6), 16 for the modes of filters, the masks of prefixes, the costs of a query by client, known-good client,
    /// prefix and repetition, the length of a period and how many make a source known good, the costs of an answer by kind
    /// and prefix, what is slipped, how many random names are borne, 2 words of seed, and how much is quarantined.
    pub fn policy_words(&self) -> [u64; layout::POLICY_WORDS] {
        let ([n0, n1, n2, n3], [s0, s1, s2, s3]) = self.sources.secrets();
        let [a, b] = self.seed;
        self.policy.load().words([n0, n1, n2, n3, s0, s1, s2, s3], [a, b, self.quarantine.entries() as u64])
    }

    /// The lists of sources as prefixes, for who looks for the longest one that covers an address.
    pub fn listed(&self) -> Vec<ListedPrefix> {
        ListedPrefix::all(&self.policy.load().defences)
    }

    /// Samples of the queries of all lanes. Whoever shows them takes them from there.
    pub fn samples(&self) -> &Samples {
        &self.samples
    }

    /// What all lanes have counted.
    pub fn counts(&self) -> Counts {
        Counts::sum(self.lanes.load().iter().map(|lane| &**lane))
    }

    /// Bytes of all tables that lanes share. Each lane adds its counters.
    pub fn memory_bytes(&self) -> usize {
        self.sources.memory_bytes() + self.names.memory_bytes()
    }

    /// Once a second: learns what is normal, arms and rests defences. Says what has changed.
    pub fn tick(&self, now: Now) -> Vec<Event> {
        self.quarantine.tick(now);
        let policy = self.policy();
        self.sources.tick(&policy, now);
        self.names.tick(&self.lanes.load(), &policy, now)
    }

    /// What is normal, what is armed, and where random names are asked for, as of the last tick.
    pub fn status(&self, now: Now) -> Status {
        self.names.status(&self.policy(), now)
    }

    /// These zones' normal rates are set by hand, and those of all others learned. The node's is in [`Defences`].
    pub fn set_normal_by_hand(&self, normal: &NormalByHand) {
        self.names.set_normal_by_hand(normal, &self.policy());
    }

    /// What was learned of the node, of these zones (number and apex) and of sources, to be kept. `unix_s` is the Unix time
    /// at `now`.
    pub fn learned(&self, zones: &[(ZoneNumber, NameRef<'_>)], now: Now, unix_s: u64) -> Learned {
        let (node, zones) = self.names.learned(zones);
        Learned { saved_unix_s: unix_s, node, zones, known_good: self.known_good(now, unix_s) }
    }

    /// Takes over what was learned before; to be called once, before queries come. What it says of zones that are not here
    /// is left out. `unix_s` is the Unix time at `now`.
    pub fn learn(&self, learned: &Learned, zones: &[(ZoneNumber, NameRef<'_>)], now: Now, unix_s: u64) {
        self.names.learn(learned.node, &learned.zones, zones, &self.policy());
        self.import_known_good(&learned.known_good, now, unix_s);
    }

    /// The counters of all lanes.
    pub(crate) fn lanes(&self) -> arc_swap::Guard<Arc<Vec<Arc<LaneCounts>>>> {
        self.lanes.load()
    }

    /// A message killed who answered it: from now on its like is dropped for `quarantine_s`. Says what that is.
    ///
    /// `readable` is false where it killed who read it, so that it is not read here. `inside` says of a name whether it
    /// is below the apex of a zone of ours.
    pub fn quarantine(
        &self,
        message: &[u8],
        readable: bool,
        inside: &dyn Fn(NameRef<'_>) -> bool,
        now: Now,
    ) -> Quarantining {
        let lasts_us = u64::from(self.policy.load().defences.quarantine_s) * 1_000_000;
        self.quarantine.add(message, readable, inside, lasts_us, now)
    }

    /// What is dropped now since its like killed.
    pub fn quarantined(&self, now: Now) -> Vec<Quarantined> {
        self.quarantine.list(now)
    }

    /// Lets through again what has this number in [`Filters::quarantined`]. Says whether there was anything.
    pub fn release(&self, number: u32) -> bool {
        self.quarantine.release(number)
    }
}
