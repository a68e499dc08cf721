//! The zones, each in the cell of its number: what all lanes count of it, and what the tick decided of it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use super::{budget::OneBudget, window::Window};
use crate::{LaneCounts, Now, ZoneNumber, memory::Shared};

/// Zones have a cell by their number modulo this: on a node with more zones some share one.
pub(crate) const CELLS: usize = 4096;
/// A zone whose answers were fetched so short a time ago is filled on demand.
const ON_DEMAND_S: u64 = 60;

/// The cell of a zone.
pub(crate) fn cell_of(zone: ZoneNumber) -> usize {
    zone.0 as usize % CELLS
}

/// What one lane counts of the zones of a cell.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
pub(crate) struct ZoneCount {
    pub(crate) queries: AtomicU32,
    pub(crate) misses: AtomicU32,
    pub(crate) no_names: AtomicU32,
}

/// What one lane counts of all zones.
#[derive(Debug)]
pub(crate) struct ZoneCounts(pub(crate) Shared<ZoneCount>);

fn bump(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl ZoneCounts {
    fn get(&self, cell: usize) -> Option<&ZoneCount> {
        self.0.get(cell)
    }

    #[inline]
    pub(crate) fn query(&self, zone: ZoneNumber) {
        self.get(cell_of(zone)).into_iter().for_each(|count| bump(&count.queries));
    }

    #[inline]
    pub(crate) fn miss(&self, zone: ZoneNumber) {
        self.get(cell_of(zone)).into_iter().for_each(|count| bump(&count.misses));
    }

    #[inline]
    pub(crate) fn no_name(&self, zone: ZoneNumber) {
        self.get(cell_of(zone)).into_iter().for_each(|count| bump(&count.no_names));
    }
}

/// Queries, misses and names that do not exist of a cell, as all lanes counted them; they go round at 2³².
pub(crate) fn sum(lanes: &[Arc<LaneCounts>], cell: usize) -> [u32; 3] {
    let counts = lanes.iter().filter_map(|lane| lane.zones.get(cell));
    counts.fold([0; 3], |[queries, misses, no_names], count| {
        [
            queries.wrapping_add(count.queries.load(Relaxed)),
            misses.wrapping_add(count.misses.load(Relaxed)),
            no_names.wrapping_add(count.no_names.load(Relaxed)),
        ]
    })
}

/// A defence that is armed or rests.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(transparent)]
pub(crate) struct Switch {
    /// Queries a second when it was armed; 0: it rests.
    per_s: AtomicU32,
}

impl Switch {
    #[inline]
    pub(crate) fn is_armed(&self) -> bool {
        self.per_s.load(Relaxed) != 0
    }

    pub(crate) fn per_s(&self) -> u32 {
        self.per_s.load(Relaxed)
    }

    pub(crate) fn arm(&self, per_s: f64) {
        if !self.is_armed() {
            self.per_s.store((per_s as u32).max(1), Relaxed);
        }
    }

    pub(crate) fn rest(&self) {
        self.per_s.store(0, Relaxed);
    }
}

/// What a lane has to know of a zone, and what all lanes share.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
pub(crate) struct Cell {
    pub(crate) miss: Switch,
    /// Above so many queries a second it is armed; 0: nothing is known of the zone yet.
    pub(crate) queries_per_s_max: AtomicU32,
    /// The same of misses.
    pub(crate) misses_per_s_max: AtomicU32,
    /// While it is armed, so many misses a second may become questions to the origin; 0: not known yet.
    pub(crate) miss_budget_per_s: AtomicU32,
    /// So many distinct names a second may fail below one suffix; 0: not known yet.
    pub(crate) names_borne_per_s: AtomicU32,
    /// The last zone of the cell that was asked for, plus one.
    pub(crate) zone: AtomicU32,
    /// The last zone of the cell with a miss, plus one, and the second of that.
    on_demand: AtomicU64,
    window_start_us: AtomicU64,
    window_marks: [AtomicU32; 2],
    pub(crate) misses: OneBudget,
    /// The misses below its attacked suffixes.
    pub(crate) attacked_misses: OneBudget,
}

impl Cell {
    pub(crate) fn saw_miss(&self, zone: ZoneNumber, now: Now) {
        let new = u64::from(zone.0) << 32 | u64::from(now.s() as u32);
        if self.on_demand.load(Relaxed) != new {
            self.on_demand.store(new, Relaxed);
        }
    }

    /// Whether the zone is one whose answers are fetched.
    pub(crate) fn is_on_demand(&self, zone: ZoneNumber, now: Now) -> bool {
        self.has_misses(now) && (self.on_demand.load(Relaxed) >> 32) as u32 == zone.0
    }

    /// Whether there was a miss in the zone that had the last one, a short time ago.
    pub(crate) fn has_misses(&self, now: Now) -> bool {
        let known = self.on_demand.load(Relaxed);
        known != 0 && now.s().saturating_sub(known & u64::from(u32::MAX)) < ON_DEMAND_S
    }

    /// Arms the zone if its window is over and what was counted in it calls for that. The cell has this number.
    pub(crate) fn turn(&self, number: usize, lanes: &[Arc<LaneCounts>], now: Now) {
        let sums = || {
            let [queries, misses, _] = sum(lanes, number);
            [queries, misses]
        };
        let window = Window { start_us: &self.window_start_us, marks: &self.window_marks };
        if let Some(rates) = window.turn(now, sums) {
            self.judge(rates);
        }
    }

    /// What one miss costs of the budget.
    pub(crate) fn miss_cost_us(&self) -> u64 {
        1_000_000 / u64::from(self.miss_budget_per_s.load(Relaxed).max(1))
    }

    /// Arms the zone if these rates of queries and misses call for it.
    pub(crate) fn judge(&self, [queries_per_s, misses_per_s]: [f64; 2]) {
        let is_above = |per_s: f64, max: &AtomicU32| match max.load(Relaxed) {
            0 => false,
            max => per_s > f64::from(max),
        };
        if is_above(queries_per_s, &self.queries_per_s_max) || is_above(misses_per_s, &self.misses_per_s_max) {
            self.miss.arm(queries_per_s);
        }
    }

    pub(crate) fn saw(&self, zone: ZoneNumber) {
        let new = zone.0.wrapping_add(1);
        if self.zone.load(Relaxed) != new {
            self.zone.store(new, Relaxed);
        }
    }

    /// The last zone that was asked for, if any was.
    pub(crate) fn zone(&self) -> Option<ZoneNumber> {
        self.zone.load(Relaxed).checked_sub(1).map(ZoneNumber)
    }

    /// How many distinct names a second may fail below a suffix of the zone, where nothing is known: so many.
    pub(crate) fn names_borne_per_s(&self, unless_known: u32) -> u32 {
        match self.names_borne_per_s.load(Relaxed) {
            0 => unless_known,
            known => known,
        }
    }
}
