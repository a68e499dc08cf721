//! Zones that have changed, on their way to the task that tells the nodes downstream. Nobody waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::offer::Offer;
use super::{Access, PeerCounters};

/// Zones whose change may wait for the task to take it.
const CHANGES_MAX: usize = 1 << 17;

/// The box.
#[derive(Debug)]
pub(crate) struct Outbox {
    on: AtomicBool,
    changes: Mutex<HashMap<u64, Arc<Offer>>>,
    access: ArcSwap<Access>,
    wake: Notify,
    pub(super) counters: Arc<PeerCounters>,
}

impl Outbox {
    pub(crate) fn new(counters: Arc<PeerCounters>) -> Outbox {
        let (on, changes, access) = (AtomicBool::new(false), Mutex::default(), ArcSwap::default());
        Outbox { on, changes, access, wake: Notify::new(), counters }
    }

    pub(super) fn set_access(&self, access: Arc<Access>) {
        self.on.store(!access.downstream.is_empty(), Ordering::Relaxed);
        self.access.store(access);
        self.wake.notify_one();
    }

    /// Says that a zone has a new copy.
    pub(crate) fn changed(&self, zone: u64, offer: &Arc<Offer>) {
        if !self.on.load(Ordering::Relaxed) {
            return;
        }
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.len() < CHANGES_MAX || changes.contains_key(&zone) {
            changes.insert(zone, Arc::clone(offer));
        } else {
            // The nodes' own SOA queries find it.
            self.counters.notifies_dropped.fetch_add(1, Ordering::Relaxed);
        }
        drop(changes);
        self.wake.notify_one();
    }

    /// Takes all changes.
    pub(super) fn take(&self) -> HashMap<u64, Arc<Offer>> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn access(&self) -> Arc<Access> {
        self.access.load_full()
    }

    /// Waits until something has changed since it was last waited for.
    pub(super) async fn wait(&self) {
        self.wake.notified().await;
    }
}
