//! Which questions a turn has: what failed comes again at once, all else in its order.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use wire::{Name, NameRef, Rtype};
use zones::{ZoneState, ZoneTable};

use super::Check;

/// Zones that are asked for in a turn.
const ZONES_MAX: usize = 16;
/// Zones and checks that failed and are asked for again in a turn.
const AGAIN_MAX: usize = 16;
/// Checks of the configuration in a turn.
const CHECKS_MAX: usize = 16;
/// Zones that are passed over in a turn, for having no copy.
const PASSED_MAX: usize = 256;
/// A check in a zone without a copy is made no more often: its answer comes from the cache, or from the origin.
const ON_DEMAND_EVERY: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// The SOA record of a zone, which has a copy.
    Zone(Box<Name>),
    /// A check, by its place in the settings, and whether its answer has to come at once: its zone has a copy.
    Check(usize, bool),
    /// Anything that every server answers: there is no zone to ask for.
    Alive,
}

impl Subject {
    /// Whether an answer has to come at once.
    pub(super) fn is_prompt(&self) -> bool {
        !matches!(self, Subject::Check(_, false))
    }

    /// What is asked for.
    pub(super) fn question<'a>(&'a self, checks: &'a [Check]) -> Option<(NameRef<'a>, Rtype)> {
        match self {
            Subject::Zone(apex) => Some(((**apex).as_ref(), Rtype::SOA)),
            Subject::Check(index, _) => checks.get(*index).map(|check| (check.name.as_ref(), check.rtype)),
            Subject::Alive => None,
        }
    }
}

/// Where the turns have come to.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    zone: usize,
    check: usize,
    again: usize,
    on_demand: Option<Instant>,
}

impl Rotation {
    /// The questions of the next turn; at least one.
    pub(super) fn next(
        &mut self,
        table: &ZoneTable,
        checks: &[Check],
        failing: impl Iterator<Item = Subject> + Clone,
        now: Instant,
    ) -> Vec<(Subject, Question)> {
        let mut chosen = BTreeSet::new();
        let count = failing.clone().count();
        for subject in failing.cycle().skip(self.again.checked_rem(count).unwrap_or(0)).take(count.min(AGAIN_MAX)) {
            chosen.insert(subject);
        }
        self.again = self.again.wrapping_add(AGAIN_MAX);
        self.add_checks(table, checks, now, &mut chosen);
        self.add_zones(table, &mut chosen);
        if !chosen.iter().any(Subject::is_prompt) {
            chosen.insert(Subject::Alive);
        }
        let with_question = |subject: Subject| {
            let question = subject.question(checks).map(|(name, rtype)| (name.to_owned(), rtype));
            (subject, question)
        };
        chosen.into_iter().map(with_question).collect()
    }

    fn add_zones(&mut self, table: &ZoneTable, chosen: &mut BTreeSet<Subject>) {
        let slots = table.slots();
        let (mut passed, mut added) = (0, 0);
        while passed < PASSED_MAX.min(slots.len()) && added < ZONES_MAX {
            let Some(slot) = self.zone.checked_rem(slots.len()).and_then(|at| slots.get(at)) else { return };
            self.zone = self.zone.wrapping_add(1);
            passed += 1;
            if matches!(&**slot.state(), ZoneState::Serving(_)) {
                added += 1;
                chosen.insert(Subject::Zone(Box::new(slot.apex().to_owned())));
            }
        }
    }

    fn add_checks(&mut self, table: &ZoneTable, checks: &[Check], now: Instant, chosen: &mut BTreeSet<Subject>) {
        let on_demand = self.on_demand.is_none_or(|last| now.saturating_duration_since(last) >= ON_DEMAND_EVERY);
        if on_demand {
            self.on_demand = Some(now);
            let all = checks.iter().enumerate().filter(|(_, check)| place(table, check) == Place::OnDemand);
            chosen.extend(all.take(CHECKS_MAX).map(|(index, _)| Subject::Check(index, false)));
        }
        for _ in 0..checks.len().min(CHECKS_MAX) {
            let index = self.check.checked_rem(checks.len()).unwrap_or(0);
            self.check = self.check.wrapping_add(1);
            if checks.get(index).is_some_and(|check| place(table, check) == Place::Copy) {
                chosen.insert(Subject::Check(index, true));
            }
        }
    }
}

/// A name and a type, if it matters which.
pub(super) type Question = Option<(Name, Rtype)>;

/// Where the answer to a check comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The zone's copy.
    Copy,
    /// The cache, or the origin.
    OnDemand,
    /// There is no answer to expect: no such zone, no copy yet, or one that has expired, which others tell of.
    Nowhere,
}

/// Where the answer to a check comes from now.
pub(super) fn place(table: &ZoneTable, check: &Check) -> Place {
    match table.find(check.name.as_ref(), check.rtype).map(|slot| slot.state()) {
        Some(state) => match &**state {
            ZoneState::Serving(_) => Place::Copy,
            ZoneState::OnDemand { .. } => Place::OnDemand,
            ZoneState::Pending | ZoneState::Expired(_) => Place::Nowhere,
        },
        None => Place::Nowhere,
    }
}
