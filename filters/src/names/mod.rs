//! What is known of names: what is normal for the node and its zones, where random names are asked for, and how many
//! answers of a kind went to whom.
//!
//! ```text
//! lane: counts ──▶ window, 50 ms ──▶ arms      tick, 1 s: baselines, rests, events
//!       NoName, miss ──▶ suffix ──▶ attacked?  answer ──▶ budget of prefix × kind × name
//! ```

mod attacked;
mod baseline;
mod budget;
mod cells;
mod name_set;
mod node;
mod path;
mod response;
mod status;
mod suffix;
#[cfg(test)]
mod tests;
mod tick;
mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use config::Defences;
use wire::NameRef;

pub(crate) use attacked::{ATTACKED_MAX, NAME_WORDS as ATTACKED_NAME_WORDS};
pub use baseline::Baseline;
pub(crate) use cells::{CELLS, ZoneCount, ZoneCounts};
pub(crate) use name_set::{EXISTING_WORDS, FAMILIAR_WORDS, RECENT_NAMES, RECENT_WORDS};
pub(crate) use response::{ANSWER_BUCKETS, PREFIX_BUCKETS, costs as response_costs};
pub use status::{NodeStatus, RateStatus, Status, SuffixStatus, ZoneStatus};
pub(crate) use suffix::{SETS as SUFFIX_SETS, WAYS as SUFFIX_WAYS};

use crate::{
    Admission, Event, Found, Kind, LaneCounts, LearnedZone, Now, Policy, Proof, View, ZoneNumber,
    counts::Totals,
    hash::Hasher,
    memory::{One, Shared, Table, Taker},
    verdict::Finding,
};
use cells::Cell;
use name_set::{Acquaintance, FailingNames, NameSet};
use node::{Node, Rates};
use response::Responses;
use suffix::{Borne, Failure, Suffixes};
use tick::Ticker;

/// What a name that does not exist is worth less, below an attacked suffix: it is answered while there is capacity.
const RANDOM_NAME_PENALTY: u8 = 30;
/// And one that was asked for a moment ago, or again and again before the attack: random names come once, real clients try
/// again. Whoever asks for each of his twice is still left out before those who ask for what there is.
pub(crate) const KNOWN_NAME_PENALTY: u8 = 5;
/// A miss below an attacked suffix costs so many times as much.
const ATTACKED_COST_FACTOR: u64 = 8;
/// What misses may come at once: the budget of a second; and so much of names that nobody has seen, which leaves the rest to
/// those that exist.
const MISS_BURST_US: u64 = 1_000_000;
const UNSEEN_BURST_US: u64 = MISS_BURST_US / 2;

/// All that is known of names.
#[derive(Debug)]
pub(crate) struct Names {
    hasher: Hasher,
    node: One<Node>,
    cells: Shared<Cell>,
    suffixes: Suffixes,
    existing: NameSet,
    failing: FailingNames,
    responses: Responses,
    /// Written by the tick, read for the operator; never touched on the way of a query.
    ticker: Mutex<Ticker>,
}

/// Normal rates that were set by hand: the zone, and queries a second.
pub type NormalByHand = Vec<(ZoneNumber, u32)>;

impl Names {
    pub(crate) fn within(taker: &mut Taker<'_>, seed: [u64; 2]) -> Names {
        let hasher = Hasher::of_names(seed);
        Names {
            hasher,
            node: taker.one(Table::Node),
            cells: taker.shared(Table::Cells, CELLS),
            suffixes: Suffixes::within(taker, hasher),
            existing: NameSet::of_existing(taker),
            failing: FailingNames::within(taker),
            responses: Responses::within(taker, hasher),
            ticker: Mutex::new(Ticker::new()),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.cells)
            + self.suffixes.memory_bytes()
            + self.existing.memory_bytes()
            + self.failing.memory_bytes()
            + self.responses.memory_bytes()
    }

    fn ticker(&self) -> MutexGuard<'_, Ticker> {
        self.ticker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, zone: ZoneNumber) -> Option<&Cell> {
        self.cells.get(cells::cell_of(zone))
    }

    /// Once a batch: arms what the last few dozen milliseconds call for.
    #[inline]
    pub(crate) fn watch(&self, lanes: &[Arc<LaneCounts>], policy: &Policy, now: Now) {
        let totals = || {
            let totals = Totals::sum(lanes);
            [totals.queries as u32, totals.clean as u32, totals.first_seen as u32]
        };
        if let Some([queries, clean, first_seen]) = self.node.window().turn(now, totals) {
            self.node.judge(Rates { queries, clean, first_seen }, policy);
        }
        self.failing.turn_full();
    }

    /// Arms the zones that the last few dozen milliseconds call for: for who has misses judged elsewhere, where nobody turns
    /// their windows.
    pub(crate) fn watch_misses(&self, lanes: &[Arc<LaneCounts>], now: Now) {
        let cells = self.cells.iter().enumerate().filter(|(_, cell)| cell.has_misses(now));
        cells.for_each(|(number, cell)| cell.turn(number, lanes, now));
    }

    /// Whether only known-good sources are served now.
    #[inline]
    pub(crate) fn random_source_armed(&self) -> bool {
        self.node.random_source.is_armed()
    }

    /// The answer is not at hand: its origin would have to be asked.
    pub(crate) fn miss(
        &self,
        view: &View<'_>,
        admission: &Admission,
        zone: (ZoneNumber, NameRef<'_>),
        (lanes, defences, now): (&[Arc<LaneCounts>], &Defences, Now),
    ) -> Finding {
        let (Some(cell), Some(asked)) = (self.cell(zone.0), view.asked) else { return Finding::Fine };
        cell.saw(zone.0);
        cell.saw_miss(zone.0, now);
        cell.turn(cells::cell_of(zone.0), lanes, now);
        let armed = cell.miss.is_armed() || self.node.miss.is_armed();
        if !armed && self.suffixes.attacked_above(zone.1, asked.qname).is_none() {
            return Finding::Fine;
        }
        let hash = view.qname_hash(&self.hasher);
        let cost_us = cell.miss_cost_us();
        let trusted = admission.known_good || view.proof != Proof::None;
        let within = if self.existing.has(hash) {
            !armed || cell.misses.take(cost_us, MISS_BURST_US, now)
        } else {
            let borne = Borne::new(cell.names_borne_per_s(defences.random_names_per_s));
            let attacked = self.suffixes.failed(zone, (asked.qname, hash), borne, now).attacked.is_some();
            match (trusted, attacked) {
                (false, _) => false,
                (true, false) => cell.misses.take(cost_us, UNSEEN_BURST_US, now),
                (true, true) => cell.attacked_misses.take(cost_us * ATTACKED_COST_FACTOR, UNSEEN_BURST_US, now),
            }
        };
        if within { Finding::Fine } else { Finding::Drop }
    }

    /// The hash of the name asked for.
    #[inline]
    pub(crate) fn hash(&self, view: &View<'_>) -> u64 {
        view.qname_hash(&self.hasher)
    }

    /// What stands for all answers that are alike.
    pub(crate) fn subject(&self, view: &View<'_>, found: &Found<'_>) -> u64 {
        self.responses.subject(view, found)
    }

    /// What was found is known, so many times: counts it for the zone's existing names and attacked suffixes.
    #[inline]
    pub(crate) fn found(&self, view: &View<'_>, found: &Found<'_>, times: u32, now: Now) {
        let (Some((zone, apex)), Some(asked)) = (found.zone, view.asked) else { return };
        let Some(cell) = self.cell(zone) else { return };
        cell.saw(zone);
        if matches!(found.kind, Kind::Answer | Kind::NoData | Kind::Referral) {
            if cell.is_on_demand(zone, now) {
                self.existing.add(view.qname_hash(&self.hasher));
            }
            self.suffixes.found(apex, asked.qname, times, now);
        }
    }

    /// Whether names below any suffix are attacked.
    pub(crate) fn is_attacked(&self) -> bool {
        !self.suffixes.attacked.is_none()
    }

    /// The name does not exist.
    pub(crate) fn random_name(
        &self,
        view: &View<'_>,
        admission: &Admission,
        found: &Found<'_>,
        defences: &Defences,
        now: Now,
    ) -> Finding {
        let (Some(zone), Some(asked)) = (found.zone, view.asked) else { return Finding::Fine };
        let Some(cell) = self.cell(zone.0) else { return Finding::Fine };
        if found.is_hit {
            return Finding::Fine;
        }
        let borne = Borne::new(cell.names_borne_per_s(defences.random_names_per_s));
        let hash = view.qname_hash(&self.hasher);
        let failure = self.suffixes.failed(zone, (asked.qname, hash), borne, now);
        if failure.attacked.is_none() {
            self.failing.learn(hash);
            return Finding::Fine;
        }
        let trusted = admission.known_good || view.proof != Proof::None;
        match (self.failing.meet(hash), failure) {
            (Acquaintance::Familiar, _) => Finding::Penalty(KNOWN_NAME_PENALTY),
            (Acquaintance::Recent, _) if trusted => Finding::Penalty(KNOWN_NAME_PENALTY),
            (Acquaintance::Unheard, _) if trusted => Finding::Penalty(RANDOM_NAME_PENALTY),
            (Acquaintance::Recent, _) if defences.slip > 0 => Finding::Slip,
            (_, Failure { nth, .. }) if nth.checked_rem(defences.slip) == Some(0) => Finding::Slip,
            _ => Finding::Drop,
        }
    }

    /// Brings near what the verdict on an answer will need.
    #[inline]
    pub(crate) fn touch(&self, view: &View<'_>) -> u64 {
        view.asked.map_or(0, |asked| self.responses.touch(&view.hashes, asked.qtype))
    }

    /// An answer that is about to go out over UDP to an unproven source.
    #[inline]
    pub(crate) fn response_rate(
        &self,
        view: &View<'_>,
        admission: &Admission,
        found: &Found<'_>,
        defences: &Defences,
        now: Now,
    ) -> Finding {
        self.responses.ask(view, admission.known_good, found, defences, now)
    }

    pub(crate) fn tick(&self, lanes: &[Arc<LaneCounts>], policy: &Policy, now: Now) -> Vec<Event> {
        self.ticker().tick(self, lanes, policy, now)
    }

    pub(crate) fn status(&self, policy: &Policy, now: Now) -> Status {
        self.ticker().status(self, policy, now)
    }

    pub(crate) fn set_normal_by_hand(&self, normal: &NormalByHand, policy: &Policy) {
        let mut ticker = self.ticker();
        ticker.by_hand.clear();
        for (zone, per_s) in normal {
            *ticker.by_hand.entry(cells::cell_of(*zone)).or_default() += f64::from((*per_s).max(1));
        }
        ticker.publish(self, policy);
    }

    /// What is normal for the node and for these zones. Zones that share a cell get the same part of it each.
    pub(crate) fn learned(&self, zones: &[(ZoneNumber, NameRef<'_>)]) -> (Baseline, Vec<LearnedZone>) {
        let ticker = self.ticker();
        let mut sharing = vec![0u32; CELLS];
        let cell_numbers = zones.iter().map(|(zone, _)| cells::cell_of(*zone));
        cell_numbers.for_each(|cell| sharing.get_mut(cell).into_iter().for_each(|number| *number += 1));
        let learned = zones.iter().filter_map(|(zone, apex)| {
            let baselines = ticker.baselines(*zone).filter(|known| known.queries.age_s > 0.0)?;
            let number = f64::from(sharing.get(cells::cell_of(*zone)).copied()?.max(1));
            let part = |whole: Baseline| Baseline { per_s: whole.per_s / number, age_s: whole.age_s };
            Some(LearnedZone {
                apex: wire::NameBox::new(*apex),
                queries: part(baselines.queries),
                misses: part(baselines.misses),
                no_names: part(baselines.no_names),
            })
        });
        (ticker.node, learned.collect())
    }

    /// Takes over what was learned before, for the node and for those of the zones that are here.
    pub(crate) fn learn(
        &self,
        node: Baseline,
        learned: &[LearnedZone],
        zones: &[(ZoneNumber, NameRef<'_>)],
        policy: &Policy,
    ) {
        let mut ticker = self.ticker();
        ticker.node = node;
        let known: std::collections::HashMap<&[u8], &LearnedZone> =
            learned.iter().map(|zone| (zone.apex.as_bytes(), zone)).collect();
        for (zone, apex) in zones {
            let apex = wire::NameBox::new(*apex);
            let Some(learned) = known.get(apex.as_bytes()) else { continue };
            let Some(baselines) = ticker.baselines_mut(*zone) else { continue };
            let add = |to: &mut Baseline, more: Baseline| {
                *to = Baseline { per_s: to.per_s + more.per_s, age_s: to.age_s.max(more.age_s) };
            };
            add(&mut baselines.queries, learned.queries);
            add(&mut baselines.misses, learned.misses);
            add(&mut baselines.no_names, learned.no_names);
        }
        ticker.publish(self, policy);
    }
}
