//! What other nodes may have of one zone: its copy while it is good, how long it stays so, and the way that it came.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use zones::{Zone, ZoneSlot, ZoneState};

use super::history::History;
use super::path::Path;

/// One zone as other nodes may have it. The service writes, lane threads read.
#[derive(Debug)]
pub(crate) struct Offer {
    slot: Arc<ZoneSlot>,
    history: Arc<History>,
    /// When the copy expires, in milliseconds since the service's start; 0 while that is not known.
    expires_ms: AtomicU64,
    /// None while nothing is known: there may be very many zones.
    path: ArcSwapOption<Path>,
}

/// A copy that may be given out.
pub(crate) struct Good {
    /// The copy.
    pub(crate) zone: Arc<Zone>,
    /// How long it is good for, rounded down: handed on in a circle, the time must run out.
    pub(crate) expires_in_s: u32,
}

/// Why there is no copy to give out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// None has arrived yet.
    NotReady,
    /// It has expired, whether or not clients still get answers from it.
    Expired,
}

impl Offer {
    /// The offer of a zone of which nothing is known yet.
    pub(crate) fn new(slot: Arc<ZoneSlot>, history: Arc<History>) -> Offer {
        Offer { slot, history, expires_ms: AtomicU64::new(0), path: ArcSwapOption::empty() }
    }

    /// Notes when the copy expires.
    pub(crate) fn set_expires(&self, expires: Option<Duration>) {
        let ms = expires.map_or(0, |expires| u64::try_from(expires.as_millis()).unwrap_or(u64::MAX));
        self.expires_ms.store(ms, Ordering::Release);
    }

    /// Notes the way by which the copy came, or was confirmed.
    pub(crate) fn set_path(&self, path: &Arc<Path>) {
        if self.path.load().as_ref() != Some(path) {
            self.path.store(Some(Arc::clone(path)));
        }
    }

    /// The way by which the copy came.
    pub(crate) fn path(&self) -> Arc<Path> {
        self.path.load_full().unwrap_or_default()
    }

    /// The copy, if it is good now.
    pub(crate) fn good(&self, now: Duration) -> Result<Good, Bad> {
        let zone = match &**self.slot.state() {
            ZoneState::Serving(zone) => Arc::clone(zone),
            ZoneState::Expired(_) => return Err(Bad::Expired),
            _ => return Err(Bad::NotReady),
        };
        let left = Duration::from_millis(self.expires_ms.load(Ordering::Acquire)).saturating_sub(now);
        match u32::try_from(left.as_secs()).unwrap_or(u32::MAX) {
            0 => Err(Bad::Expired),
            expires_in_s => Ok(Good { zone, expires_in_s }),
        }
    }

    /// The differences that lead from a serial to that of a copy, unless the copy itself is less.
    pub(crate) fn differences(&self, have: u32, zone: &Zone) -> Option<Vec<Arc<zones::Difference>>> {
        let differences = self.history.between(have, zone.serial())?;
        let bytes: usize = differences.iter().map(|difference| difference.heap_bytes()).sum();
        (bytes <= zone.heap_bytes()).then_some(differences)
    }
}
