//! Once a second, beside the way of a query: learns what is normal, lets defences rest, and says what has changed.

use std::{collections::HashMap, sync::Arc};

use config::{DefenceMode, Filter};

use super::{
    Baseline, Names,
    cells::{self, CELLS, Cell, Switch},
    name_set,
    node::Rates,
    status::{NodeStatus, RateStatus, Status, SuffixStatus, ZoneStatus},
    suffix::{Borne, Figures},
};
use crate::{Defence, Event, LaneCounts, Now, Phase, Policy, Scope, ZoneNumber, counts::Totals};

/// A tick that comes sooner after the last one is left out.
const TICK_S_MIN: f64 = 0.2;
/// A defence rests when the rate has been below half of its threshold for so long.
const REST_S: f64 = 10.0;
/// Before this much traffic was seen, nobody knows which sources are new: nothing is armed by a node's or zone's rate.
const READY_S: f64 = 3.0;
/// A node that is asked less than this part of the least normal rate is idle: that says nothing of what is normal.
const IDLE_PART: f64 = 0.01;
/// More than this part of queries from sources never heard of, above so many times the least normal rate, is nothing to learn
/// from.
const STRANGERS_PART: f64 = 0.5;
const STRANGERS_FACTOR: f64 = 5.0;
/// Names that do not exist, or are not at hand, may be so many times what is normal.
const BORNE_FACTOR: f64 = 4.0;
/// As long as little is known of a zone, so many times as many random names are borne.
const YOUNG_FACTOR: u32 = 5;
/// An armed zone may ask its origin so many times as much as is normal.
const MISS_BUDGET_FACTOR: f64 = 2.0;
/// And at least so many questions a second.
const MISS_BUDGET_PER_S_MIN: f64 = 20.0;

/// What one zone's cell is normally asked.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ZoneBaselines {
    pub(crate) queries: Baseline,
    pub(crate) misses: Baseline,
    pub(crate) no_names: Baseline,
}

/// How far an armed defence is from resting, and whether its arming was told.
#[derive(Clone, Copy, Debug, Default)]
struct Watch {
    told: bool,
    quiet_s: f64,
}

/// What only the tick writes.
#[derive(Debug)]
pub(crate) struct Ticker {
    last: Option<(Now, Totals)>,
    pub(crate) node: Baseline,
    node_per_s: f64,
    first_seen_part: f64,
    seen_s: f64,
    miss: Watch,
    random_source: Watch,
    zones: Box<[ZoneTicker]>,
    suffixes: HashMap<u32, SuffixWatch>,
    /// Normal rates of cells that were set by hand.
    pub(crate) by_hand: HashMap<usize, f64>,
    generation_s: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct ZoneTicker {
    last: [u32; 3],
    per_s: [f64; 3],
    baselines: ZoneBaselines,
    miss: Watch,
    has_attacked: bool,
}

#[derive(Clone, Copy, Debug)]
struct SuffixWatch {
    watch: Watch,
    since: Now,
    figures: Figures,
    borne_per_s: u32,
}

impl Ticker {
    pub(crate) fn new() -> Ticker {
        Ticker {
            last: None,
            node: Baseline::default(),
            node_per_s: 0.0,
            first_seen_part: 0.0,
            seen_s: 0.0,
            miss: Watch::default(),
            random_source: Watch::default(),
            zones: vec![ZoneTicker::default(); CELLS].into_boxed_slice(),
            suffixes: HashMap::new(),
            by_hand: HashMap::new(),
            generation_s: 0,
        }
    }

    pub(crate) fn baselines(&self, zone: ZoneNumber) -> Option<&ZoneBaselines> {
        self.zones.get(cells::cell_of(zone)).map(|ticker| &ticker.baselines)
    }

    pub(crate) fn baselines_mut(&mut self, zone: ZoneNumber) -> Option<&mut ZoneBaselines> {
        self.zones.get_mut(cells::cell_of(zone)).map(|ticker| &mut ticker.baselines)
    }

    /// What counts as normal for the node.
    fn node_normal(&self, policy: &Policy) -> f64 {
        let defences = &policy.defences;
        match defences.normal_per_s {
            Some(by_hand) => f64::from(by_hand.max(1)),
            None => self.node.normal_per_s(f64::from(defences.normal_per_s_min)),
        }
    }

    /// Whether enough is known to arm anything by rates.
    fn is_ready(&self, policy: &Policy) -> bool {
        policy.defences.normal_per_s.is_some() || !self.node.is_young() || self.seen_s >= READY_S
    }

    pub(crate) fn tick(&mut self, names: &Names, lanes: &[Arc<LaneCounts>], policy: &Policy, now: Now) -> Vec<Event> {
        let totals = Totals::sum(lanes);
        let Some((last, before)) = self.last else {
            self.last = Some((now, totals));
            (0..CELLS).zip(&mut self.zones).for_each(|(cell, zone)| zone.last = cells::sum(lanes, cell));
            self.publish(names, policy);
            return Vec::new();
        };
        let seconds = now.us().saturating_sub(last.us()) as f64 / 1e6;
        if seconds < TICK_S_MIN {
            return Vec::new();
        }
        self.last = Some((now, totals));
        let mut turn = Turn { names, policy, now, seconds, events: Vec::new() };
        let unusual = self.tick_node(&mut turn, before, totals);
        self.tick_suffixes(&mut turn);
        self.tick_zones(&mut turn, lanes, unusual);
        self.publish(names, policy);
        if now.s().saturating_sub(self.generation_s) >= name_set::GENERATION_S {
            names.existing.turn();
            names.failing.turn();
            self.generation_s = now.s();
        }
        turn.events
    }

    /// Says whether this second was unusual.
    fn tick_node(&mut self, turn: &mut Turn<'_>, before: Totals, totals: Totals) -> bool {
        let (policy, node) = (turn.policy, &turn.names.node);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / turn.seconds;
        let per_s = rate(totals.queries, before.queries);
        let (clean, first_seen) = (rate(totals.clean, before.clean), rate(totals.first_seen, before.first_seen));
        (self.node_per_s, self.first_seen_part) = (per_s, first_seen / per_s.max(1.0));
        node.judge(Rates { queries: per_s, clean, first_seen }, policy);
        let normal = self.node_normal(policy);
        let defences = &policy.defences;
        let mut watch = |watch, switch, defence, threshold: u32, filter| {
            let limit = normal * f64::from(threshold) / 2.0;
            let rests = per_s < limit || policy.mode(filter) == DefenceMode::Off;
            turn.watch(watch, switch, defence, || Scope::Node, (per_s, normal), rests);
        };
        watch(&mut self.miss, &node.miss, Defence::Miss, defences.miss_threshold, Filter::Miss);
        let threshold = defences.random_source_threshold;
        let random_source = (&mut self.random_source, &node.random_source);
        watch(random_source.0, random_source.1, Defence::RandomSource, threshold, Filter::UnknownSource);
        let least = f64::from(defences.normal_per_s_min);
        let strangers = self.first_seen_part > STRANGERS_PART && per_s > STRANGERS_FACTOR * least;
        let unusual = node.miss.is_armed() || node.random_source.is_armed() || strangers;
        if per_s >= least * IDLE_PART {
            self.seen_s += turn.seconds;
            self.node.learn(per_s, turn.seconds, least, unusual);
        }
        unusual
    }

    fn tick_suffixes(&mut self, turn: &mut Turn<'_>) {
        let random_names_per_s = turn.policy.defences.random_names_per_s;
        self.zones.iter_mut().for_each(|zone| zone.has_attacked = false);
        for attacked in turn.names.suffixes.attacked.list() {
            let Some(suffix) = turn.names.suffixes.find(attacked.key) else {
                turn.names.suffixes.attacked.remove(attacked.place);
                continue;
            };
            let cell = turn.names.cell(attacked.zone);
            let borne_per_s = cell.map_or(random_names_per_s, |cell| cell.names_borne_per_s(random_names_per_s));
            let figures = suffix.figures(turn.now, Borne::new(borne_per_s));
            let new = SuffixWatch { watch: Watch::default(), since: turn.now, figures, borne_per_s };
            let known = self.suffixes.entry(attacked.place).or_insert(new);
            (known.figures, known.borne_per_s) = (figures, borne_per_s);
            let rates = (f64::from(figures.fails), f64::from(borne_per_s));
            let (quiet, off) = (rates.0 < rates.1 / 2.0, turn.policy.mode(Filter::RandomName) == DefenceMode::Off);
            let scope = || Scope::Suffix(wire::NameBox::from(&attacked.name));
            turn.tell_armed(&mut known.watch, Defence::RandomName, scope, rates);
            if turn.has_rested(&mut known.watch, quiet, off) {
                suffix.rest();
                turn.names.suffixes.attacked.remove(attacked.place);
                self.suffixes.remove(&attacked.place);
                turn.event(Defence::RandomName, Phase::Rested, scope(), rates);
            } else if let Some(zone) = self.zones.get_mut(cells::cell_of(attacked.zone)) {
                zone.has_attacked = true;
            }
        }
    }

    fn tick_zones(&mut self, turn: &mut Turn<'_>, lanes: &[Arc<LaneCounts>], unusual: bool) {
        let by_hand = &self.by_hand;
        for (number, (zone, cell)) in self.zones.iter_mut().zip(&*turn.names.cells).enumerate() {
            let sums = cells::sum(lanes, number);
            let rate = |now: u32, before: u32| f64::from(now.wrapping_sub(before)) / turn.seconds;
            let [queries, misses, no_names] = sums;
            let [old_queries, old_misses, old_no_names] = zone.last;
            zone.per_s = [rate(queries, old_queries), rate(misses, old_misses), rate(no_names, old_no_names)];
            zone.last = sums;
            if zone.per_s == [0.0; 3] && !cell.miss.is_armed() {
                continue;
            }
            zone.watch_misses(turn, cell, by_hand.get(&number).copied());
            zone.learn(turn, cell, unusual);
        }
    }

    /// Gives the lanes what they have to know.
    pub(crate) fn publish(&self, names: &Names, policy: &Policy) {
        let ready = self.is_ready(policy);
        names.node.set_normal(self.node_normal(policy), ready);
        for (number, (zone, cell)) in self.zones.iter().zip(&*names.cells).enumerate() {
            zone.publish(cell, policy, self.by_hand.get(&number).copied(), ready);
        }
    }

    pub(crate) fn status(&self, names: &Names, policy: &Policy, now: Now) -> Status {
        let node = NodeStatus {
            queries: RateStatus { per_s: self.node_per_s, normal_per_s: self.node_normal(policy), learned: self.node },
            by_hand: policy.defences.normal_per_s.is_some(),
            first_seen_part: self.first_seen_part,
            miss_armed: names.node.miss.is_armed(),
            random_source_armed: names.node.random_source.is_armed(),
        };
        let cells = self.zones.iter().zip(&*names.cells).enumerate();
        let mut zones: Vec<ZoneStatus> = cells
            .filter_map(|(number, (zone, cell))| {
                Some(zone.status(cell.zone()?, cell, policy, self.by_hand.get(&number).copied()))
            })
            .collect();
        zones.sort_by(|a, b| b.queries.per_s.total_cmp(&a.queries.per_s).then(a.zone.cmp(&b.zone)));
        Status { node, zones, suffixes: self.suffix_status(names, now) }
    }

    fn suffix_status(&self, names: &Names, now: Now) -> Vec<SuffixStatus> {
        let attacked = names.suffixes.attacked.list();
        let mut suffixes: Vec<SuffixStatus> = attacked
            .filter_map(|attacked| {
                let known = self.suffixes.get(&attacked.place)?;
                let (failed, found) = (f64::from(known.figures.fails), f64::from(known.figures.hits));
                Some(SuffixStatus {
                    name: attacked.name.to_string(),
                    zone: attacked.zone,
                    failed_per_s: failed,
                    distinct_per_s: known.figures.distinct,
                    found_per_s: found,
                    failed_part: failed / (failed + found).max(1.0),
                    borne_per_s: f64::from(known.borne_per_s),
                    attacked_s: now.s().saturating_sub(known.since.s()),
                })
            })
            .collect();
        suffixes.sort_by(|a, b| b.failed_per_s.total_cmp(&a.failed_per_s).then_with(|| a.name.cmp(&b.name)));
        suffixes
    }
}

impl ZoneTicker {
    fn normal(&self, policy: &Policy, by_hand: Option<f64>) -> f64 {
        by_hand.unwrap_or_else(|| self.baselines.queries.normal_per_s(f64::from(policy.defences.normal_per_s_min)))
    }

    /// Above these rates of queries and misses the zone is armed.
    fn limits(&self, policy: &Policy, by_hand: Option<f64>) -> [f64; 2] {
        let threshold = f64::from(policy.defences.miss_threshold);
        let least_misses = f64::from(policy.defences.normal_per_s_min) / threshold.max(1.0);
        [threshold * self.normal(policy, by_hand), threshold * self.baselines.misses.normal_per_s(least_misses)]
    }

    fn watch_misses(&mut self, turn: &mut Turn<'_>, cell: &Cell, by_hand: Option<f64>) {
        let ([limit, misses_limit], normal) = (self.limits(turn.policy, by_hand), self.normal(turn.policy, by_hand));
        let [per_s, misses_per_s, _] = self.per_s;
        let off = turn.policy.mode(Filter::Miss) == DefenceMode::Off;
        if misses_per_s > 0.0 {
            cell.judge([per_s, misses_per_s]);
        }
        let rests = (per_s < limit / 2.0 && misses_per_s < misses_limit / 2.0) || off;
        let zone = cell.zone().unwrap_or(ZoneNumber(0));
        turn.watch(&mut self.miss, &cell.miss, Defence::Miss, || Scope::Zone(zone), (per_s, normal), rests);
    }

    fn learn(&mut self, turn: &Turn<'_>, cell: &Cell, unusual: bool) {
        let [queries, misses, no_names] = self.per_s;
        let defences = &turn.policy.defences;
        let least = f64::from(defences.normal_per_s_min);
        let armed = cell.miss.is_armed();
        self.baselines.queries.learn(queries, turn.seconds, least, unusual || armed);
        let least_misses = least / f64::from(defences.miss_threshold.max(1));
        self.baselines.misses.learn(misses, turn.seconds, least_misses, unusual || armed);
        let least_names = f64::from(defences.random_names_per_s) / BORNE_FACTOR;
        let attacked = self.has_attacked || unusual;
        self.baselines.no_names.learn(no_names, turn.seconds, least_names, attacked);
    }

    fn publish(&self, cell: &Cell, policy: &Policy, by_hand: Option<f64>, ready: bool) {
        use std::sync::atomic::Ordering::Relaxed;
        let defences = &policy.defences;
        let [limit, misses_limit] = self.limits(policy, by_hand);
        let may_arm = ready && policy.mode(Filter::Miss) != DefenceMode::Off;
        let known = |known: bool, limit: f64| if known && may_arm { (limit as u32).max(1) } else { 0 };
        let young = self.baselines.queries.is_young();
        cell.queries_per_s_max.store(known(by_hand.is_some() || !young, limit), Relaxed);
        cell.misses_per_s_max.store(known(!self.baselines.misses.is_young(), misses_limit), Relaxed);
        let budget = (MISS_BUDGET_FACTOR * self.baselines.misses.per_s).max(MISS_BUDGET_PER_S_MIN);
        cell.miss_budget_per_s.store(budget as u32, Relaxed);
        let borne = match self.baselines.no_names.is_young() {
            true => defences.random_names_per_s.saturating_mul(YOUNG_FACTOR),
            false => defences.random_names_per_s.max((BORNE_FACTOR * self.baselines.no_names.per_s) as u32),
        };
        cell.names_borne_per_s.store(borne.max(1), Relaxed);
    }

    fn status(&self, zone: ZoneNumber, cell: &Cell, policy: &Policy, by_hand: Option<f64>) -> ZoneStatus {
        let [queries, misses, no_names] = self.per_s;
        let learned =
            |per_s: f64, baseline: Baseline| RateStatus { per_s, normal_per_s: baseline.per_s, learned: baseline };
        let normal_per_s = self.normal(policy, by_hand);
        ZoneStatus {
            zone,
            queries: RateStatus { per_s: queries, normal_per_s, learned: self.baselines.queries },
            by_hand: by_hand.is_some(),
            misses: learned(misses, self.baselines.misses),
            no_names: learned(no_names, self.baselines.no_names),
            miss_armed: cell.miss.is_armed(),
        }
    }
}

/// One tick under way.
struct Turn<'t> {
    names: &'t Names,
    policy: &'t Policy,
    now: Now,
    seconds: f64,
    events: Vec<Event>,
}

impl Turn<'_> {
    fn event(&mut self, defence: Defence, phase: Phase, scope: Scope, (per_s, normal_per_s): (f64, f64)) {
        self.events.push(Event { defence, phase, scope, per_s, normal_per_s });
    }

    fn tell_armed(&mut self, watch: &mut Watch, defence: Defence, scope: impl Fn() -> Scope, rates: (f64, f64)) {
        if !watch.told {
            *watch = Watch { told: true, quiet_s: 0.0 };
            self.event(defence, Phase::Armed, scope(), rates);
        }
    }

    /// Whether it has been quiet for long enough, or was turned off.
    fn has_rested(&self, watch: &mut Watch, quiet: bool, off: bool) -> bool {
        watch.quiet_s = if quiet { watch.quiet_s + self.seconds } else { 0.0 };
        off || watch.quiet_s >= REST_S
    }

    /// Tells that a switch was armed, and lets it rest after a quiet time.
    fn watch(
        &mut self,
        watch: &mut Watch,
        switch: &Switch,
        defence: Defence,
        scope: impl Fn() -> Scope,
        (per_s, normal_per_s): (f64, f64),
        quiet: bool,
    ) {
        if !switch.is_armed() {
            return;
        }
        self.tell_armed(watch, defence, &scope, (f64::from(switch.per_s()).max(per_s), normal_per_s));
        if self.has_rested(watch, quiet, false) {
            switch.rest();
            *watch = Watch::default();
            self.event(defence, Phase::Rested, scope(), (per_s, normal_per_s));
        }
    }
}
