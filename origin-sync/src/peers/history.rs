//! The last differences of each zone, kept in memory for nodes that are a little behind. The journal on disk is no place to
//! read them from: it ends with each new snapshot, and lane threads wait for no disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zones::Difference;

/// Memory for one zone's differences; whoever is further behind gets the whole zone.
const ZONE_BYTES_MAX: usize = 1 << 20;
/// Differences of one zone.
const ZONE_DIFFERENCES_MAX: usize = 1024;
/// Memory for those of all zones.
const ALL_BYTES_MAX: usize = 64 << 20;

/// What the histories of all zones share.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// Whether anything is kept: whether there is anybody to give it to.
    on: AtomicBool,
    bytes: AtomicUsize,
}

impl Keeping {
    /// Keeps differences from now on, or none.
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }
}

/// The last differences of one zone, each leading on from the one before.
#[derive(Debug, Default)]
pub(crate) struct History {
    keeping: Arc<Keeping>,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    differences: VecDeque<Arc<Difference>>,
    bytes: usize,
}

impl History {
    /// An empty one.
    pub(crate) fn new(keeping: Arc<Keeping>) -> History {
        History { keeping, list: Mutex::default() }
    }

    /// Adds differences that lead on from the zone's last version.
    pub(crate) fn push(&self, differences: &[Difference]) {
        let on = self.keeping.on.load(Ordering::Relaxed);
        let mut list = self.lock();
        if !on {
            self.forget(&mut list, 0);
            return;
        }
        for difference in differences {
            let follows = list.differences.back().is_none_or(|last| last.to_serial() == difference.from_serial());
            if !follows {
                self.forget(&mut list, 0);
            }
            let bytes = difference.heap_bytes();
            list.bytes += bytes;
            self.keeping.bytes.fetch_add(bytes, Ordering::Relaxed);
            list.differences.push_back(Arc::new(difference.clone()));
            // Where all zones together have too much, those that change make room.
            let crowded = self.keeping.bytes.load(Ordering::Relaxed) > ALL_BYTES_MAX;
            self.forget(&mut list, if crowded { 0 } else { ZONE_BYTES_MAX });
        }
    }

    /// Forgets all: the zone's next version does not follow by differences.
    pub(crate) fn clear(&self) {
        self.forget(&mut self.lock(), 0);
    }

    /// The differences that lead from one serial to another, if all are there.
    pub(crate) fn between(&self, from: u32, to: u32) -> Option<Vec<Arc<Difference>>> {
        let list = self.lock();
        let first = list.differences.iter().rposition(|difference| difference.from_serial() == Some(from))?;
        let from_first = || list.differences.iter().skip(first);
        let count = from_first().position(|difference| difference.to_serial() == Some(to))? + 1;
        Some(from_first().take(count).cloned().collect())
    }

    fn forget(&self, list: &mut List, bytes_max: usize) {
        while list.bytes > bytes_max || list.differences.len() > ZONE_DIFFERENCES_MAX {
            let Some(oldest) = list.differences.pop_front() else { break };
            let bytes = oldest.heap_bytes();
            list.bytes = list.bytes.saturating_sub(bytes);
            self.keeping.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use wire::{Name, Rtype};

    use super::*;

    fn difference(from: u32, to: u32, bytes: usize) -> Difference {
        let apex: Name = "example.".parse().unwrap();
        let soa = |serial: u32| [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat();
        let mut difference = Difference::new();
        difference.delete(apex.as_ref(), Rtype::SOA, 60, &soa(from)).unwrap();
        difference.add(apex.as_ref(), Rtype::SOA, 60, &soa(to)).unwrap();
        for _ in 0..bytes / 250 {
            difference.add(apex.as_ref(), Rtype(65_280), 60, &[0; 233]).unwrap();
        }
        difference
    }

    fn history() -> History {
        let keeping = Arc::new(Keeping::default());
        keeping.set(true);
        History::new(keeping)
    }

    fn serials(found: Option<Vec<Arc<Difference>>>) -> Option<Vec<(u32, u32)>> {
        Some(found?.iter().map(|d| (d.from_serial().unwrap(), d.to_serial().unwrap())).collect())
    }

    #[test]
    fn what_leads_from_one_serial_to_another() {
        let history = history();
        history.push(&[difference(u32::MAX, 1, 0), difference(1, 2, 0)]);
        history.push(&[difference(2, 5, 0)]);
        let check = |from, to, expected: Option<&[(u32, u32)]>| {
            assert_eq!(serials(history.between(from, to)).as_deref(), expected, "{from} to {to}");
        };
        check(1, 5, Some(&[(1, 2), (2, 5)]));
        check(u32::MAX, 2, Some(&[(u32::MAX, 1), (1, 2)]));
        check(1, 2, Some(&[(1, 2)]));
        check(0, 5, None);
        check(2, 4, None);
        check(5, 5, None);
        check(5, 1, None);
        history.push(&[difference(7, 8, 0)]);
        check(1, 5, None);
        check(7, 8, Some(&[(7, 8)]));
        history.clear();
        check(7, 8, None);
    }

    #[test]
    fn memory_is_bounded() {
        let history = history();
        let bytes = || history.keeping.bytes.load(Ordering::Relaxed);
        for serial in 0..40 {
            history.push(&[difference(serial, serial + 1, 100_000)]);
            assert!(bytes() <= ZONE_BYTES_MAX);
        }
        assert!(history.between(39, 40).is_some() && history.between(0, 40).is_none());
        assert!(bytes() > ZONE_BYTES_MAX / 2);
        history.push(&[difference(40, 41, 2 * ZONE_BYTES_MAX)]);
        assert_eq!((bytes(), history.between(40, 41)), (0, None));
        history.keeping.bytes.store(ALL_BYTES_MAX, Ordering::Relaxed);
        history.push(&[difference(41, 42, 0)]);
        assert_eq!((bytes(), history.between(41, 42)), (ALL_BYTES_MAX, None));
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let keeping = Arc::new(Keeping::default());
        let history = History::new(Arc::clone(&keeping));
        history.push(&[difference(1, 2, 0)]);
        assert_eq!(history.between(1, 2), None);
        keeping.set(true);
        history.push(&[difference(2, 3, 0)]);
        assert!(history.between(2, 3).is_some());
        drop(history);
        assert_eq!(keeping.bytes.load(Ordering::Relaxed), 0);
    }
}
