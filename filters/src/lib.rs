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
mod learned;
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

use arc_swap::ArcSwap;
use config::Defences;
use crossbeam_queue::ArrayQueue;
use wire::NameRef;

pub use counts::{Counts, Effect, LaneCounts};
pub use event::{Defence, Event, Phase, Scope};
pub use gate::{Gate, Lane};
pub use hash::NameHasher;
pub use learned::{LEARNED_BYTES_MAX, LEARNED_SOURCES_MAX, LEARNED_ZONES_MAX, Learned, LearnedError, LearnedZone};
pub use names::{Baseline, NodeStatus, NormalByHand, RateStatus, Status, SuffixStatus, ZoneStatus};
pub use now::Now;
pub use policy::Policy;
pub use pressure::Pressure;
pub use quarantine::{QUARANTINED_MAX, Quarantined, Quarantining, Width};
pub use sample::{SAMPLES_MAX, Sample, SampledName, Samples};
pub use sources::{Budget, Explanation, Judgement, KnownGood, Listed, SourceStanding, Why};
pub use verdict::{Admission, Verdict};
pub use view::{Asked, Found, Hashes, Kind, Proof, View, ZoneNumber};

use names::Names;
use quarantine::Quarantine;
use sources::Sources;

/// All filters of a node with their memory, which is taken once.
#[derive(Debug)]
pub struct Filters {
    policy: ArcSwap<Policy>,
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
        Filters {
            policy: ArcSwap::from_pointee(Policy::new(defences)),
            sources: Sources::new(seed),
            names: Names::new(seed),
            quarantine: Quarantine::default(),
            lanes: ArcSwap::default(),
            samples: Arc::new(ArrayQueue::new(SAMPLES_MAX)),
        }
    }

    /// From the next batch on these defences hold; what was learned stays.
    pub fn apply(&self, defences: &Defences) {
        self.policy.store(Arc::new(Policy::new(defences)));
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
