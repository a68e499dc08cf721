//! What the filters count: each lane for itself and without locks, summed by whoever asks.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use config::Filter;

use crate::names::ZoneCounts;

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

/// The counters of one lane, on cache lines of their own. One thread writes, others read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct LaneCounts {
    queries: AtomicU64,
    clean: AtomicU64,
    first_seen: AtomicU64,
    effects: [[AtomicU64; Effect::ALL.len()]; Filter::ALL.len()],
    pub(crate) zones: ZoneCounts,
}

fn add(counter: &AtomicU64, number: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
}

impl LaneCounts {
    pub(crate) fn add(&self, filter: Filter, effect: Effect) {
        if let Some(counter) = self.effects.get(filter as usize).and_then(|row| row.get(effect as usize)) {
            add(counter, 1);
        }
    }

    /// One more query was looked at.
    pub(crate) fn query(&self) {
        add(&self.queries, 1);
    }

    /// Its source may be unknown; else there is nothing against it.
    pub(crate) fn clean(&self) {
        add(&self.clean, 1);
    }

    /// Its source was never heard of before.
    pub(crate) fn first_seen(&self) {
        add(&self.first_seen, 1);
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
            queries: sum.queries + lane.queries.load(Ordering::Relaxed),
            clean: sum.clean + lane.clean.load(Ordering::Relaxed),
            first_seen: sum.first_seen + lane.first_seen.load(Ordering::Relaxed),
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
            counts.queries += load(&lane.queries);
            counts.first_seen += load(&lane.first_seen);
            let flat = lane.effects.iter().flatten();
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
