//! The board that the service writes and everyone may read. Whoever reads takes the records and makes statuses of them
//! on its own time: the service never waits for that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Counts, ProblemLimits, ZoneRecord, ZoneStatus, problems};
use crate::catalog::CatalogStatus;
use crate::notify::unix_now_s;
use crate::on_demand::OnDemand;

/// What is known of every zone, and the counts over all of them.
#[derive(Debug)]
pub(crate) struct Board {
    started: Instant,
    zones: Mutex<BTreeMap<String, Arc<ZoneRecord>>>,
    counts: Mutex<Counts>,
    catalogs: Mutex<Vec<CatalogStatus>>,
}

impl Board {
    pub(crate) fn new(started: Instant) -> Board {
        Board { started, zones: Mutex::default(), counts: Mutex::default(), catalogs: Mutex::default() }
    }

    pub(crate) fn zones(&self) -> MutexGuard<'_, BTreeMap<String, Arc<ZoneRecord>>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_catalogs(&self, catalogs: Vec<CatalogStatus>) {
        *self.catalogs.lock().unwrap_or_else(PoisonError::into_inner) = catalogs;
    }

    pub(crate) fn catalogs(&self) -> Vec<CatalogStatus> {
        self.catalogs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of these zones that is on the board, and how it is filled.
    pub(crate) fn first_of(&self, names: impl Iterator<Item = String>) -> Option<(String, config::Mode)> {
        let zones = self.zones();
        names.into_iter().find_map(|name| zones.get(&name).map(|record| record.mode()).map(|mode| (name, mode)))
    }

    /// Puts up what is known of a zone now.
    pub(crate) fn put(&self, zone: &str, record: &Arc<ZoneRecord>) {
        let mut zones = self.zones();
        match zones.get_mut(zone) {
            Some(known) => *known = Arc::clone(record),
            None => drop(zones.insert(zone.to_owned(), Arc::clone(record))),
        }
    }

    /// Every zone's status; of zones without a problem only the state if `thin`, so that looking at very many zones every
    /// second takes no memory to speak of.
    pub(crate) fn status(&self, on_demand: &OnDemand, thin: bool) -> Vec<ZoneStatus> {
        let records: Vec<_> = self.zones().iter().map(|(zone, record)| (zone.clone(), Arc::clone(record))).collect();
        let (now, unix_s) = (self.started.elapsed(), unix_now_s());
        let limits = ProblemLimits::default();
        let mut questions = on_demand.all_status();
        let catalogs = self.catalogs();
        let status = |(zone, record): (String, Arc<ZoneRecord>)| {
            let mut status = record.status(zone, now, unix_s);
            status.as_catalog = catalogs.iter().find(|catalog| catalog.catalog == status.zone).cloned();
            status.on_demand = questions.remove(&status.zone);
            status.problems = problems(&status, &limits);
            if thin && status.problems.is_empty() {
                return ZoneStatus { state: status.state, ..ZoneStatus::default() };
            }
            status
        };
        records.into_iter().map(status).collect()
    }
}
