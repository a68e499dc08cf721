//! What a prober has seen, as plain data, and what follows from it.

use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Question, Region};

/// So many queries of a region are kept, ten minutes of them at the usual pace; older ones are forgotten.
pub const PROBES_KEPT_MAX: usize = 120_000;
/// So many answerers are told apart; further ones share one name.
const EDGES_MAX: usize = 64;
/// The name of an answerer that does not say who it is.
const NAMELESS: &str = "?";
/// An answer that is not there after this time is not just on a long way.
pub(super) const FLIGHT_US_MAX: u64 = 500_000;
/// So many delays of the sender are kept to take percentiles of.
const LATENESS_KEPT_MAX: usize = 4096;

/// What one region has asked and got.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// The region.
    pub region: String,
    /// The addresses that it asks in turn.
    pub addresses: Vec<IpAddr>,
    /// Between two queries.
    pub interval_us: u64,
    /// Who has answered, by NSID; outcomes point into it.
    pub edges: Vec<String>,
    /// The queries, in the order they were sent.
    pub probes: Vec<Probe>,
    /// How well the prober kept its own time.
    pub lateness: Lateness,
}

/// One query.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Probe {
    /// When it was sent, in µs since the prober's start.
    pub sent_us: u64,
    /// Which of [`Record::addresses`] it was sent to.
    pub address: u8,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a query. `edge` is the place of who answered in [`Record::edges`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is not known yet.
    Pending,
    /// A good answer.
    Answered {
        /// Who.
        edge: u16,
        /// How long after it was sent.
        after_us: u32,
    },
    /// A good answer as it was before: not what is expected now.
    Stale {
        /// Who.
        edge: u16,
        /// How long after it was sent.
        after_us: u32,
    },
    /// An answer that is none: an error, no authority, no record.
    Wrong {
        /// Who.
        edge: u16,
        /// How long after it was sent.
        after_us: u32,
    },
    /// Nothing came within [`super::ANSWER_WAIT`].
    Lost,
}

/// How late queries were sent: the prober's own fault, or the machine's.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lateness {
    /// Half of them were at most so late.
    pub median_us: u64,
    /// 99 of 100 were at most so late.
    pub p99_us: u64,
    /// The latest since the start.
    pub max_us: u64,
}

/// Consecutive queries without a good answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Gap {
    /// When the first of them was sent.
    pub from_us: u64,
    /// When the first one with a good answer after them was sent.
    pub until_us: u64,
    /// How many they are.
    pub probes: usize,
}

/// Part of a record's time, and who answered in it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Slice {
    /// Its start.
    pub from_us: u64,
    /// Good answers by who gave them.
    pub answered: BTreeMap<String, usize>,
    /// Queries without a good answer; those that are pending do not count.
    pub missed: usize,
    /// The median of the good answers' times.
    pub median_us: Option<u32>,
}

impl Outcome {
    /// Whether a good answer came.
    pub fn is_good(self) -> bool {
        matches!(self, Outcome::Answered { .. })
    }

    /// Whether it is known that none will.
    pub fn is_missed(self) -> bool {
        !matches!(self, Outcome::Answered { .. } | Outcome::Pending)
    }
}

impl Record {
    /// Who gave the good answer to a query.
    pub fn answered_by(&self, probe: &Probe) -> Option<&str> {
        match probe.outcome {
            Outcome::Answered { edge, .. } => self.edges.get(usize::from(edge)).map(String::as_str),
            _ => None,
        }
    }

    /// Whether nothing is pending.
    pub fn is_decided(&self) -> bool {
        self.probes.iter().all(|probe| probe.outcome != Outcome::Pending)
    }

    /// Queries without a good answer.
    pub fn missed(&self) -> usize {
        self.probes.iter().filter(|probe| probe.outcome.is_missed()).count()
    }

    /// All times without a good answer. Where two edges share the load, answers of one part the losses at the other.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        let mut open: Option<Gap> = None;
        for probe in &self.probes {
            match (&mut open, probe.outcome.is_missed()) {
                (Some(gap), true) => {
                    gap.probes += 1;
                    gap.until_us = probe.sent_us + self.interval_us;
                }
                (Some(_), false) => {
                    gaps.extend(open.take().map(|gap| Gap { until_us: probe.sent_us, ..gap }));
                }
                (None, true) => {
                    let until_us = probe.sent_us + self.interval_us;
                    open = Some(Gap { from_us: probe.sent_us, until_us, probes: 1 });
                }
                (None, false) => {}
            }
        }
        gaps.extend(open);
        gaps
    }

    /// The longest time without a good answer.
    pub fn gap_us_max(&self) -> u64 {
        self.gaps().iter().map(|gap| gap.until_us - gap.from_us).max().unwrap_or(0)
    }

    /// The sum of the times without a good answer.
    pub fn gap_us_total(&self) -> u64 {
        self.gaps().iter().map(|gap| gap.until_us - gap.from_us).sum()
    }

    /// From the first query without a good answer to the first after which there is none any more.
    pub fn disturbed_us(&self) -> u64 {
        let gaps = self.gaps();
        gaps.last().zip(gaps.first()).map_or(0, |(last, first)| last.until_us - first.from_us)
    }

    /// Who has answered well and how often, over the whole record.
    pub fn answerers(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for by in self.probes.iter().filter_map(|probe| self.answered_by(probe)) {
            match counts.get_mut(by) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(by.to_owned(), 1);
                }
            }
        }
        counts
    }

    /// The catchment over time, in slices of this length; slices in which nothing was asked are there, too.
    pub fn slices(&self, slice_us: u64) -> Vec<Slice> {
        let slice_us = slice_us.max(1);
        let Some((first, last)) = self.probes.first().zip(self.probes.last()) else { return Vec::new() };
        let mut rest = self.probes.as_slice();
        let mut slices = Vec::new();
        let mut from_us = first.sent_us - first.sent_us % slice_us;
        while from_us <= last.sent_us {
            let (slice, tail) = rest.split_at(rest.partition_point(|probe| probe.sent_us < from_us + slice_us));
            let part = Record { probes: slice.to_vec(), ..self.without_probes() };
            slices.push(Slice {
                from_us,
                answered: part.answerers(),
                missed: part.missed(),
                median_us: part.latency_us(0.5),
            });
            rest = tail;
            from_us += slice_us;
        }
        slices
    }

    /// The time that this share of the good answers took at most.
    pub fn latency_us(&self, share: f64) -> Option<u32> {
        let mut times: Vec<u32> = self.probes.iter().filter_map(|probe| good_after(probe.outcome)).collect();
        times.sort_unstable();
        quantile(&times, share)
    }

    /// The same record of a part of its time.
    pub fn between(&self, from_us: u64, until_us: u64) -> Record {
        let inside = |probe: &&Probe| (from_us..until_us).contains(&probe.sent_us);
        Record { probes: self.probes.iter().filter(inside).copied().collect(), ..self.without_probes() }
    }

    /// Who answered during the `steady_us` before the last good answer; `None` if anything was missed in that time, or the
    /// record does not reach back so far.
    pub(super) fn last_steady(&self, steady_us: u64) -> Option<Vec<String>> {
        let last_us = self.probes.iter().rev().find(|probe| probe.outcome.is_good())?.sent_us;
        let from_us = last_us.checked_sub(steady_us)?;
        let (oldest_us, newest_us) = (self.probes.first()?.sent_us, self.probes.last()?.sent_us);
        if oldest_us > from_us + self.interval_us || newest_us - last_us > FLIGHT_US_MAX {
            return None;
        }
        let part = self.between(from_us, last_us + 1);
        let overdue = |probe: &Probe| probe.outcome == Outcome::Pending && probe.sent_us + FLIGHT_US_MAX < newest_us;
        let clean = part.missed() == 0 && !part.probes.iter().any(overdue);
        clean.then(|| part.answerers().into_keys().collect())
    }

    fn without_probes(&self) -> Record {
        Record {
            region: self.region.clone(),
            addresses: self.addresses.clone(),
            interval_us: self.interval_us,
            edges: self.edges.clone(),
            probes: Vec::new(),
            lateness: self.lateness,
        }
    }
}

fn good_after(outcome: Outcome) -> Option<u32> {
    match outcome {
        Outcome::Answered { after_us, .. } => Some(after_us),
        _ => None,
    }
}

/// The smallest of sorted values that at least this share of them does not exceed.
pub fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize - 1;
    sorted.get(rank.min(sorted.len().saturating_sub(1))).copied()
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// What a region's thread writes and others read.
pub(super) struct Store {
    /// Without probes.
    head: Record,
    probes: VecDeque<Probe>,
    /// The number of the first that is kept.
    first: u64,
    lateness: VecDeque<u64>,
    lateness_us_max: u64,
}

impl Store {
    pub(super) fn new(region: &Region, question: &Question) -> Store {
        let head = Record {
            region: region.name.clone(),
            addresses: region.addresses.clone(),
            interval_us: micros(question.interval),
            edges: Vec::new(),
            probes: Vec::new(),
            lateness: Lateness::default(),
        };
        Store { head, probes: VecDeque::new(), first: 0, lateness: VecDeque::new(), lateness_us_max: 0 }
    }

    /// A query was sent; gives its number.
    pub(super) fn sent(&mut self, sent_us: u64, address: u8, late_us: u64) -> u64 {
        if self.probes.len() >= PROBES_KEPT_MAX {
            self.probes.pop_front();
            self.first += 1;
        }
        if self.lateness.len() >= LATENESS_KEPT_MAX {
            self.lateness.pop_front();
        }
        self.lateness.push_back(late_us);
        self.lateness_us_max = self.lateness_us_max.max(late_us);
        self.probes.push_back(Probe { sent_us, address, outcome: Outcome::Pending });
        self.first + self.probes.len() as u64 - 1
    }

    /// What became of a query.
    pub(super) fn decide(&mut self, number: u64, outcome: Outcome) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(probe) = place.and_then(|place| self.probes.get_mut(place)) {
            probe.outcome = outcome;
        }
    }

    /// The place of an answerer among those that are known.
    pub(super) fn edge(&mut self, nsid: Option<&[u8]>) -> u16 {
        let name = nsid.map_or(NAMELESS.into(), String::from_utf8_lossy);
        let place = self.head.edges.iter().position(|edge| *edge == name).unwrap_or_else(|| {
            if self.head.edges.len() < EDGES_MAX {
                self.head.edges.push(name.into_owned());
            }
            self.head.edges.len() - 1
        });
        place as u16
    }

    pub(super) fn between(&self, from_us: u64, until_us: u64) -> Record {
        let start = self.probes.partition_point(|probe| probe.sent_us < from_us);
        let end = self.probes.partition_point(|probe| probe.sent_us < until_us).max(start);
        let mut late: Vec<u64> = self.lateness.iter().copied().collect();
        late.sort_unstable();
        let of = |share| quantile(&late, share).unwrap_or(0);
        let lateness = Lateness { median_us: of(0.5), p99_us: of(0.99), max_us: self.lateness_us_max };
        Record { probes: self.probes.range(start..end).copied().collect(), lateness, ..self.head.clone() }
    }
}

#[cfg(test)]
mod tests;
