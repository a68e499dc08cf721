//! Who asks for what now, and what becomes of it: what the operator looks at during a flood. Made from samples of queries,
//! in bounded memory, over a sliding minute.
//!
//! Time is cut into slots, each with a summary of the heaviest sources, prefixes, names and so on; the minute is their sum.
//! Rates are those of what certainly came from the key: a source that is one of a million random ones is never said to
//! send what its predecessor in the table did.

mod summary;
mod table;

use std::collections::VecDeque;
use std::net::IpAddr;

use config::{Filter, Prefix};
use wire::Rtype;

use crate::{Now, Sample, Verdict, ZoneNumber};
use summary::{Summary, Tally};
pub use table::{Rates, Row, Table};

/// Length of a slot.
const SLOT_US: u64 = 2_000_000;
/// Slots that are kept: a minute.
const SLOTS_MAX: usize = 30;
/// Slots that count as now, with the one that is being filled.
const SLOTS_RECENT: u64 = 3;
/// Suffixes of one name that are counted.
const SUFFIXES_MAX: usize = 8;

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was answered.
    Served,
    /// It got a truncated answer.
    Slipped,
    /// It got none.
    Dropped,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 3] = [Outcome::Served, Outcome::Slipped, Outcome::Dropped];

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::Slipped => "slipped",
            Outcome::Dropped => "dropped",
        }
    }
}

/// The sliding minute.
#[derive(Debug)]
pub struct Top {
    ipv4_prefix: u8,
    ipv6_prefix: u8,
    /// The oldest first.
    slots: VecDeque<Slot>,
    /// When the first sample came.
    began: Option<Now>,
}

/// What came in one slot of time.
#[derive(Debug, Default)]
struct Slot {
    /// Number of the slot since time began.
    number: u64,
    all: Tally,
    sources: Summary<IpAddr>,
    prefixes: Summary<Prefix>,
    names: Summary<Vec<u8>>,
    suffixes: Summary<Vec<u8>>,
    zones: Summary<ZoneNumber>,
    types: Summary<u16>,
    reasons: Summary<(Filter, Outcome)>,
}

impl Top {
    /// Sources of a network of such a length count as one prefix.
    pub fn new(ipv4_prefix: u8, ipv6_prefix: u8) -> Top {
        Top { ipv4_prefix, ipv6_prefix, slots: VecDeque::new(), began: None }
    }

    /// From now on prefixes have these lengths.
    pub fn set_prefixes(&mut self, ipv4_prefix: u8, ipv6_prefix: u8) {
        (self.ipv4_prefix, self.ipv6_prefix) = (ipv4_prefix, ipv6_prefix);
    }

    /// Counts a sample, with as many queries as it stands for. Samples may come a little out of turn.
    pub fn add(&mut self, sample: &Sample) {
        let number = sample.at.us() / SLOT_US;
        self.began = Some(self.began.map_or(sample.at, |began| began.min(sample.at)));
        let prefix = self.prefix(sample.source);
        if let Some(slot) = self.slot(number) {
            slot.add(sample, prefix);
        }
    }

    /// The slot of that number; none if it is too old to be kept.
    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let at = self.slots.partition_point(|slot| slot.number < number);
        if self.slots.get(at).is_none_or(|slot| slot.number != number) {
            if at == 0 && self.slots.len() >= SLOTS_MAX {
                return None;
            }
            self.slots.insert(at, Slot { number, ..Slot::default() });
            if self.slots.len() > SLOTS_MAX {
                self.slots.pop_front();
                return self.slots.get_mut(at.saturating_sub(1));
            }
        }
        self.slots.get_mut(at)
    }

    fn prefix(&self, source: IpAddr) -> Option<Prefix> {
        let length = if source.is_ipv4() { self.ipv4_prefix } else { self.ipv6_prefix };
        Prefix::of(source, length)
    }

    /// What was seen in the minute before now, the heaviest first: at most `rows` of each.
    pub fn table(&mut self, now: Now, rows: usize) -> Table {
        let current = now.us() / SLOT_US;
        let oldest = (current + 1).saturating_sub(SLOTS_MAX as u64);
        while self.slots.front().is_some_and(|slot| slot.number < oldest) {
            self.slots.pop_front();
        }
        table::make(&self.slots, self.began, now, rows)
    }
}

impl Slot {
    fn add(&mut self, sample: &Sample, prefix: Option<Prefix>) {
        let weight = u64::from(sample.weight);
        let (outcome, reason) = match sample.verdict {
            Verdict::Serve => (Outcome::Served, sample.filter),
            Verdict::Slip(filter) => (Outcome::Slipped, Some(filter)),
            Verdict::Drop(filter) => (Outcome::Dropped, Some(filter)),
        };
        self.all.add(outcome, reason, weight);
        self.sources.add(&sample.source, outcome, reason, weight);
        if let Some(prefix) = prefix {
            self.prefixes.add(&prefix, outcome, reason, weight);
        }
        if let Some(zone) = sample.zone {
            self.zones.add(&zone, outcome, reason, weight);
        }
        if let Some(reason) = reason {
            self.reasons.add(&(reason, outcome), outcome, None, weight);
        }
        self.add_question(sample, outcome, reason, weight);
    }
}

impl Slot {
    fn add_question(&mut self, sample: &Sample, outcome: Outcome, reason: Option<Filter>, weight: u64) {
        if let Some(Rtype(number)) = sample.qtype {
            self.types.add(&number, outcome, reason, weight);
        }
        let Some(sampled) = &sample.qname else { return };
        let qname = sampled.name();
        // Of a long name its end alone was kept, which is a suffix of it.
        let first = if sampled.is_cut() {
            Some(qname)
        } else {
            self.names.add(qname.as_bytes(), outcome, reason, weight);
            qname.parent()
        };
        // The nearest to the root are those that many names share; the top-level domain and the root say nothing.
        let above = std::iter::successors(first, |name| name.parent());
        let skipped = first.map_or(0, |name| name.label_count().saturating_sub(1 + SUFFIXES_MAX));
        for suffix in above.skip(skipped).filter(|name| name.label_count() >= 2) {
            self.suffixes.add(suffix.as_bytes(), outcome, reason, weight);
        }
    }
}

#[cfg(test)]
mod tests;
