//! Zones that are filled on demand: whoever has a question that the cache cannot answer asks here, and the origins are
//! asked, within limits.
//!
//! ```text
//!   lanes ── ask, prefetch (bounded, never waits) ──┐
//!   OriginSync ── zones (view, swapped whole) ──────┤
//!   purge, fill (bounded) ──────────────────────────┼─▶ task ─▶ questions (machine) ─▶ actions ─┬─▶ whoever waits
//!   timers of the machine ──────────────────────────┤                                           └─▶ try: a task with a
//!   tries (JoinSet, bounded) ── reports ────────────┘                                               socket of its own
//!                                                                                                    └─▶ cache
//! ```
//!
//! One task (`task`) owns the questions in flight, and a machine without I/O (`questions`) decides everything. A try
//! (`fill`, `exchange`, `message`) talks to one upstream, judges what comes back and brings it into the cache before
//! anyone is told. The cache is in memory alone: after a start every zone is cold.

mod budget;
pub(crate) mod denial;
mod endings;
mod exchange;
mod failures;
mod fill;
mod flight;
mod learner;
pub(crate) mod message;
mod publish;
mod questions;
mod reach;
mod status;
mod task;
mod tries;
mod zone;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use cache::{Cache, Failure, Filled};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;
use wire::{Name, NameRef, Rtype};

pub use reach::Health;
pub use status::{OnDemandStatus, OnDemandUpstream, PurgeOutcome, Refilled};

use crate::settings::ZoneSettings;
use crate::status::ZoneMode;
use budget::Purpose;
use questions::Key;
use task::Parts;
pub(crate) use task::Task;

/// Questions that may wait for the task.
const ASKS_MAX: usize = 4096;
/// Commands that may wait for the task.
const COMMANDS_MAX: usize = 16;
/// Zones that may wait to be fetched whole.
pub(crate) const DEMANDS_MAX: usize = 256;
/// Questions that a refill puts again.
const FILL_NAMES_MAX: usize = 10_000;
/// Those of them that are in flight at one time.
const FILL_AT_ONCE: usize = 32;
/// How long a refill may take.
const FILL_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long a refill waits for the budget.
const FILL_PAUSE: Duration = Duration::from_millis(50);

/// Who waits for an answer.
type Waiter = Box<dyn FnOnce(Filled) + Send>;

/// A question on its way to the task.
struct Asking {
    key: Key,
    purpose: Purpose,
    waiter: Option<Waiter>,
    /// Whether an answer that the cache has does not count.
    anew: bool,
}

enum Command {
    /// Questions that match are put anew: zone, name, and whether all below it match too.
    Purged(Vec<(u64, Name, bool)>, oneshot::Sender<()>),
}

/// The zones as the configuration has them.
type ZoneMap = HashMap<u64, Arc<ZoneSettings>>;

/// What the handle and the task share.
#[derive(Default)]
struct Shared {
    zones: ArcSwap<ZoneMap>,
    zones_changed: Notify,
    status: Mutex<HashMap<u64, OnDemandStatus>>,
}

impl Shared {
    fn status(&self) -> MutexGuard<'_, HashMap<u64, OnDemandStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the origins of on-demand zones what the cache does not know. From any thread.
pub struct OnDemand {
    cache: Arc<Cache>,
    shared: Arc<Shared>,
    asks: mpsc::Sender<Asking>,
    commands: mpsc::Sender<Command>,
}

impl std::fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnDemand").field("zones", &self.shared.zones.load().len()).finish_non_exhaustive()
    }
}

impl OnDemand {
    /// The handle, and the task to run. `demands` hears of zones that may now be fetched whole.
    pub(crate) fn new(cache: Arc<Cache>, started: Instant, demands: mpsc::Sender<u64>) -> (OnDemand, Task) {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let (commands, commanded) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::<Shared>::default();
        let parts =
            Parts { started, cache: Arc::clone(&cache), shared: Arc::clone(&shared), asked, commanded, demands };
        (OnDemand { cache, shared, asks, commands }, Task::new(parts))
    }

    /// Where the answers are.
    pub fn cache(&self) -> Arc<Cache> {
        Arc::clone(&self.cache)
    }

    /// Has a question answered by the origins of a zone, or by the cache if it knows the answer by now. `done` is called
    /// once: at once, or from another thread later. It never waits.
    pub fn ask(&self, zone: u64, qname: NameRef<'_>, qtype: Rtype, done: impl FnOnce(Filled) + Send + 'static) {
        let key = Key { zone, qname: qname.to_owned().to_ascii_lowercase(), qtype };
        self.send(Asking { key, purpose: Purpose::New, waiter: Some(Box::new(done)), anew: false });
    }

    /// Has an answer fetched again before its life is over. Nobody waits; nothing happens when there is no room.
    pub fn prefetch(&self, zone: u64, qname: NameRef<'_>, qtype: Rtype) {
        let key = Key { zone, qname: qname.to_owned().to_ascii_lowercase(), qtype };
        self.send(Asking { key, purpose: Purpose::Early, waiter: None, anew: true });
    }

    fn send(&self, asking: Asking) {
        let Err(full) = self.asks.try_send(asking) else { return };
        let Asking { key, waiter, .. } = full.into_inner();
        let Some(waiter) = waiter else { return };
        let known = self.cache.peek(key.zone, key.qname.as_ref(), key.qtype, Instant::now());
        waiter(known.map_or(Filled::Failed(Failure::OverBudget), Filled::Stale));
    }

    /// Forgets what the cache has of a name, and with `subtree` of all below it, in every zone that it touches. Returns
    /// when nothing that an origin said before can come out of the cache any more: questions under way are put anew.
    pub async fn purge(&self, name: NameRef<'_>, subtree: bool) -> Vec<PurgeOutcome> {
        let zones = self.shared.zones.load_full();
        let closest = zones
            .iter()
            .filter(|(_, zone)| name.is_within(zone.apex.as_ref()))
            .max_by_key(|(_, zone)| zone.apex.as_ref().label_count());
        // A name at a cut stands in the zone above too (NS, DS), with `subtree` all zones below go.
        let above = closest.filter(|(_, zone)| zone.apex.as_ref() == name).and_then(|_| {
            let above = name.parent()?;
            let outer = zones.iter().filter(|(_, zone)| above.is_within(zone.apex.as_ref()));
            outer.max_by_key(|(_, zone)| zone.apex.as_ref().label_count())
        });
        let below = zones.iter().filter(|(_, zone)| subtree && zone.apex.as_ref().is_within(name));
        let mut touched: Vec<_> = below.chain(closest).chain(above).collect();
        touched.sort_by_key(|(id, _)| **id);
        touched.dedup_by_key(|(id, _)| **id);
        let mut outcomes = Vec::new();
        for (id, zone) in &touched {
            let removed = self.cache.purge(**id, name, subtree);
            outcomes.push(PurgeOutcome { zone: zone.name.to_string(), mode: ZoneMode::OnDemand, removed });
        }
        let (done, finished) = oneshot::channel();
        let purged = touched.iter().map(|(id, _)| (**id, name.to_owned(), subtree)).collect();
        if self.commands.send(Command::Purged(purged, done)).await.is_ok() {
            let _ = finished.await;
        }
        outcomes
    }

    /// Fetches anew what the cache has of a zone, and what tells of the zone itself; `None` when it is no on-demand zone.
    pub async fn fill(&self, apex: NameRef<'_>) -> Option<Refilled> {
        let (id, zone) = {
            let zones = self.shared.zones.load();
            let (id, zone) = zones.iter().find(|(_, zone)| zone.apex.as_ref() == apex)?;
            (*id, Arc::clone(zone))
        };
        let mut names = self.cache.names(id, FILL_NAMES_MAX);
        for qtype in fill::APEX_TYPES {
            if !names.iter().any(|(name, known)| *known == qtype && name.as_ref() == apex) {
                names.push((zone.apex.to_name(), qtype));
            }
        }
        Some(self.fetch_all(id, names).await)
    }

    async fn fetch_all(&self, zone: u64, mut names: Vec<(Name, Rtype)>) -> Refilled {
        let started = Instant::now();
        let (asked, mut answered, mut failed) = (names.len() as u64, 0, 0);
        while !names.is_empty() && started.elapsed() < FILL_WAIT_MAX {
            let batch: Vec<_> = names.split_off(names.len().saturating_sub(FILL_AT_ONCE));
            let waiting: Vec<_> =
                batch.into_iter().map(|(qname, qtype)| (qname, qtype, self.anew(zone, qname, qtype))).collect();
            let mut over_budget = false;
            for (qname, qtype, answer) in waiting {
                match answer.await {
                    Ok(Filled::Answer(_)) => answered += 1,
                    Ok(Filled::Failed(Failure::OverBudget)) => {
                        names.push((qname, qtype));
                        over_budget = true;
                    }
                    _ => failed += 1,
                }
            }
            if over_budget {
                sleep(FILL_PAUSE).await;
            }
        }
        Refilled { asked, answered, failed, left: names.len() as u64 }
    }

    fn anew(&self, zone: u64, qname: Name, qtype: Rtype) -> oneshot::Receiver<Filled> {
        let (done, answer) = oneshot::channel();
        let waiter: Waiter = Box::new(move |filled| drop(done.send(filled)));
        let key = Key { zone, qname, qtype };
        let asking = Asking { key, purpose: Purpose::Early, waiter: Some(waiter), anew: true };
        if let Err(full) = self.asks.try_send(asking)
            && let Some(waiter) = full.into_inner().waiter
        {
            waiter(Filled::Failed(Failure::OverBudget));
        }
        answer
    }

    /// How a zone is.
    pub fn status(&self, zone: u64) -> Option<OnDemandStatus> {
        let mut status = self.shared.status().get(&zone).cloned()?;
        let usage = self.cache.usage(zone);
        (status.cache_entries, status.cache_bytes, status.cache_denials) = (usage.entries, usage.bytes, usage.denials);
        Some(status)
    }

    /// How all of them are, by their names.
    pub(crate) fn all_status(&self) -> HashMap<String, OnDemandStatus> {
        let zones = self.shared.zones.load();
        zones.iter().filter_map(|(&id, zone)| Some((zone.name.to_string(), self.status(id)?))).collect()
    }

    /// Adds zones, changes them and takes them out. What is added may be published afterwards.
    pub(crate) fn configure(&self, set: Vec<(u64, Arc<ZoneSettings>)>, gone: &[u64]) {
        if set.is_empty() && gone.is_empty() {
            return;
        }
        let mut zones = ZoneMap::clone(&self.shared.zones.load());
        gone.iter().for_each(|id| drop(zones.remove(id)));
        zones.extend(set);
        self.shared.zones.store(Arc::new(zones));
        self.shared.zones_changed.notify_one();
        for &id in gone {
            self.cache.forget_zone(id);
        }
    }
}
