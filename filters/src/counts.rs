//! What the filters count: each lane for itself and without locks, summed by whoever asks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use config::Filter;
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use crate::{
    memory::{MemoryError, One, Shared},
    names::{CELLS, ZoneCount, ZoneCounts},
};

/// What a filter did to a query, or would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It was given a penalty, and served all the same as far as this filter is concerned.
    Penalised,
    /// It got a truncated answer.
    Slipped,
    /// It got none.
    Dropped,
    /// The filter only observes: it would have been given a penalty.
    WouldPenalise,
    /// It would have got a truncated answer.
    WouldSlip,
    /// It would have got none.
    WouldDrop,
}

impl Effect {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Effect; 6] = [
        Effect::Penalised,
        Effect::Slipped,
        Effect::Dropped,
        Effect::WouldPenalise,
        Effect::WouldSlip,
        Effect::WouldDrop,
    ];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Penalised => "penalised",
            Effect::Slipped => "slipped",
            Effect::Dropped => "dropped",
            Effect::WouldPenalise => "would-penalise",
            Effect::WouldSlip => "would-slip",
            Effect::WouldDrop => "would-drop",
        }
    }
}

/// The counters of one lane. One thread writes, others read.
#[derive(Debug)]
pub struct LaneCounts {
    tallies: One<Tallies>,
    pub(crate) zones: ZoneCounts,
}

/// What it counts of the node, on cache lines of their own.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(128))]
struct Tallies {
    queries: AtomicU64,
    clean: AtomicU64,
    first_seen: AtomicU64,
    effects: [[AtomicU64; Effect::ALL.len()]; Filter::ALL.len()],
    zeros: [AtomicU64; 11],
}

pub(crate) const TALLIES_BYTES: usize = size_of::<Tallies>();
pub(crate) const ZONES_BYTES: usize = CELLS * size_of::<ZoneCount>();

impl Default for LaneCounts {
    fn default() -> Self {
        LaneCounts { tallies: One::own(), zones: ZoneCounts(Shared::own(CELLS)) }
    }
}

fn add(counter: &AtomicU64, number: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
}

impl LaneCounts {
    /// Those of a lane that counts in memory from outside.
    pub(crate) fn given(tallies: &'static mut [u8], zones: &'static mut [u8]) -> Result<LaneCounts, MemoryError> {
        let zones = ZoneCounts(Shared::given(zones, CELLS, "the counts of zones")?);
        Ok(LaneCounts { tallies: One::given(tallies, "the counts of a lane")?, zones })
    }

    pub(crate) fn add(&self, filter: Filter, effect: Effect) {
        if let Some(counter) = self.tallies.effects.get(filter as usize).and_then(|row| row.get(effect as usize)) {
            add(counter, 1);
        }
    }

    /// One more query was looked at.
    pub(crate) fn query(&self) {
        add(&self.tallies.queries, 1);
    }

    /// Its source may be unknown; else there is nothing against it.
    pub(crate) fn clean(&self) {
        add(&self.tallies.clean, 1);
    }

    /// Its source was never heard of before.
    pub(crate) fn first_seen(&self) {
        add(&self.tallies.first_seen, 1);
    }
}

/// How much all lanes were asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) queries: u64,
    pub(crate) clean: u64,
    pub(crate) first_seen: u64,
}

impl Totals {
    pub(crate) fn sum(lanes: &[Arc<LaneCounts>]) -> Totals {
        lanes.iter().fold(Totals::default(), |sum, lane| Totals {
            queries: sum.queries + lane.tallies.queries.load(Ordering::Relaxed),
            clean: sum.clean + lane.tallies.clean.load(Ordering::Relaxed),
            first_seen: sum.first_seen + lane.tallies.first_seen.load(Ordering::Relaxed),
        })
    }
}

/// The sum of all lanes' counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queries looked at.
    pub queries: u64,
    /// Those among them whose source was never heard of before.
    pub first_seen: u64,
    effects: [[u64; Effect::ALL.len()]; Filter::ALL.len()],
}

impl Counts {
    pub(crate) fn sum<'a>(lanes: impl IntoIterator<Item = &'a LaneCounts>) -> Counts {
        let mut counts = Counts::default();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for lane in lanes {
            counts.queries += load(&lane.tallies.queries);
            counts.first_seen += load(&lane.tallies.first_seen);
            let flat = lane.tallies.effects.iter().flatten();
            counts.effects.iter_mut().flatten().zip(flat).for_each(|(sum, counter)| *sum += load(counter));
        }
        counts
    }

    /// All counters by filter and effect, in the order of the chain.
    pub fn effects(&self) -> impl Iterator<Item = (Filter, Effect, u64)> + '_ {
        let rows = Filter::ALL.into_iter().zip(&self.effects);
        rows.flat_map(|(filter, row)| Effect::ALL.into_iter().zip(row).map(move |(effect, &n)| (filter, effect, n)))
    }

    /// How often this filter had this effect.
    pub fn effect(&self, filter: Filter, effect: Effect) -> u64 {
        self.effects.get(filter as usize).and_then(|row| row.get(effect as usize)).copied().unwrap_or_default()
    }
}
