//! The sliding minute as rows with rates, the heaviest first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use config::{Filter, Prefix};
use wire::{Name, NameRef, Rtype};

use super::summary::{Summary, Tally};
use super::{Outcome, SLOT_US, SLOTS_RECENT, Slot};
use crate::{Now, ZoneNumber};

/// A suffix is not shown beside one below it that has so many percent of its queries: the deeper one says more.
const OF_CHILD_PERCENT: u64 = 90;

/// Queries a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Over the last few seconds.
    pub per_s: f64,
    /// Over the last minute.
    pub minute_per_s: f64,
    /// Answered, over the last few seconds; the same goes for what follows.
    pub served_per_s: f64,
    /// Given a truncated answer.
    pub slipped_per_s: f64,
    /// Given none.
    pub dropped_per_s: f64,
}

/// One of the heaviest.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<K> {
    /// What it is.
    pub key: K,
    /// How much.
    pub rates: Rates,
    /// The filter that most of its queries met, if any did.
    pub reason: Option<Filter>,
}

/// Who asks for what now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// All together.
    pub all: Rates,
    /// By their address.
    pub sources: Vec<Row<IpAddr>>,
    /// By their network.
    pub prefixes: Vec<Row<Prefix>>,
    /// By the name asked for.
    pub names: Vec<Row<Name>>,
    /// By a name above those asked for: the deepest that have most of them.
    pub suffixes: Vec<Row<Name>>,
    /// By zone.
    pub zones: Vec<Row<ZoneNumber>>,
    /// By the type asked for.
    pub types: Vec<Row<Rtype>>,
    /// By the filter that they met, and what became of them.
    pub reasons: Vec<Row<(Filter, Outcome)>>,
}

/// What came within both spans.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    minute: Tally,
    recent: Tally,
}

/// How long the spans are.
#[derive(Clone, Copy, Debug)]
struct Spans {
    first_recent: u64,
    recent_s: f64,
    minute_s: f64,
}

impl Spans {
    fn new(slots: &VecDeque<Slot>, began: Option<Now>, now: Now) -> Spans {
        let first_recent = (now.us() / SLOT_US + 1).saturating_sub(SLOTS_RECENT);
        let oldest = slots.front().map_or(first_recent, |slot| slot.number);
        let began_us = began.map_or(0, Now::us);
        // Before the first sample nobody counted. What has just begun is not magnified.
        let seconds = |number: u64| {
            let us = now.us().saturating_sub((number * SLOT_US).max(began_us));
            us.max(SLOT_US / 2) as f64 / 1_000_000.0
        };
        Spans { first_recent, recent_s: seconds(first_recent), minute_s: seconds(oldest.min(first_recent)) }
    }

    fn rates(&self, sum: &Sum) -> Rates {
        let recent = |outcome: Outcome| {
            sum.recent.outcomes.get(outcome as usize).copied().unwrap_or_default() as f64 / self.recent_s
        };
        Rates {
            per_s: sum.recent.sum() as f64 / self.recent_s,
            minute_per_s: sum.minute.sum() as f64 / self.minute_s,
            served_per_s: recent(Outcome::Served),
            slipped_per_s: recent(Outcome::Slipped),
            dropped_per_s: recent(Outcome::Dropped),
        }
    }

    fn add(&self, sum: &mut Sum, number: u64, tally: &Tally) {
        sum.minute.merge(tally);
        if number >= self.first_recent {
            sum.recent.merge(tally);
        }
    }

    fn sum<K: Ord + Clone>(&self, slots: &VecDeque<Slot>, of: fn(&Slot) -> &Summary<K>) -> BTreeMap<K, Sum> {
        let mut sums = BTreeMap::<K, Sum>::new();
        for slot in slots {
            for (key, tally) in of(slot).iter() {
                self.add(sums.entry(key.clone()).or_default(), slot.number, tally);
            }
        }
        sums
    }

    /// The heaviest now first; among those that are as heavy now, the heaviest of the minute.
    fn rows<K: Ord + Clone>(&self, sums: BTreeMap<K, Sum>, rows: usize) -> Vec<Row<K>> {
        let mut sums: Vec<(K, Sum)> = sums.into_iter().collect();
        sums.sort_by_key(|(_, sum)| Reverse((sum.recent.sum(), sum.minute.sum())));
        sums.truncate(rows);
        let row = |(key, sum): (K, Sum)| {
            let reason = sum.recent.reason.or(sum.minute.reason);
            Row { key, rates: self.rates(&sum), reason }
        };
        sums.into_iter().map(row).collect()
    }
}

pub(super) fn make(slots: &VecDeque<Slot>, began: Option<Now>, now: Now, rows: usize) -> Table {
    let spans = Spans::new(slots, began, now);
    let mut all = Sum::default();
    slots.iter().for_each(|slot| spans.add(&mut all, slot.number, &slot.all));
    let mut suffixes = spans.sum(slots, |slot| &slot.suffixes);
    keep_deepest(&mut suffixes);
    let types = spans.rows(spans.sum(slots, |slot| &slot.types), rows);
    let typed = |row: Row<u16>| Row { key: Rtype(row.key), rates: row.rates, reason: row.reason };
    Table {
        all: spans.rates(&all),
        sources: spans.rows(spans.sum(slots, |slot| &slot.sources), rows),
        prefixes: spans.rows(spans.sum(slots, |slot| &slot.prefixes), rows),
        names: named(spans.rows(spans.sum(slots, |slot| &slot.names), rows)),
        suffixes: named(spans.rows(suffixes, rows)),
        zones: spans.rows(spans.sum(slots, |slot| &slot.zones), rows),
        types: types.into_iter().map(typed).collect(),
        reasons: spans.rows(spans.sum(slots, |slot| &slot.reasons), rows),
    }
}

/// Leaves out what one suffix below has nearly all of.
fn keep_deepest(suffixes: &mut BTreeMap<Vec<u8>, Sum>) {
    let weight = |sum: &Sum| sum.minute.sum();
    let above = |name: &[u8]| NameRef::parse(name).ok()?.parent().map(|parent| parent.as_bytes().to_vec());
    let mut heaviest_child = BTreeMap::<Vec<u8>, u64>::new();
    for (name, sum) in suffixes.iter() {
        if let Some(parent) = above(name) {
            let child = heaviest_child.entry(parent).or_default();
            *child = weight(sum).max(*child);
        }
    }
    suffixes.retain(|name, sum| {
        let child = heaviest_child.get(name).copied().unwrap_or(0);
        child.saturating_mul(100) < weight(sum).saturating_mul(OF_CHILD_PERCENT)
    });
}

fn named(rows: Vec<Row<Vec<u8>>>) -> Vec<Row<Name>> {
    let name = |row: Row<Vec<u8>>| {
        let key = NameRef::parse(&row.key).ok()?.to_owned();
        Some(Row { key, rates: row.rates, reason: row.reason })
    };
    rows.into_iter().filter_map(name).collect()
}
