//! Which zones the service has: adding, changing and removing them as the configuration says.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::task::{block_in_place, spawn_blocking};
use wire::NameBox;
use zones::{ZoneSlot, ZoneState};

use crate::entry::Entry;
use crate::load::load_all;
use crate::machine::Event;
use crate::service::{Applied, Service, log_disk};
use crate::settings::{CatalogSettings, ZoneSettings};
use crate::store::ZoneStore;

/// Zones that the service knows no more.
#[derive(Default)]
struct Forgotten {
    stores: Vec<Arc<ZoneStore>>,
    names: HashSet<NameBox>,
    /// Their entries on the board, which whoever takes them out wipes; who comes anew under a name overwrites it.
    shown: Vec<Box<str>>,
    /// Those that were filled on demand, with the ids that their caches have.
    on_demand: HashMap<NameBox, u64>,
}

/// What changes in a zone's cache changes what its slot answers.
#[derive(Debug)]
struct SlotWatcher(Arc<ZoneSlot>);

impl cache::Watcher for SlotWatcher {
    fn begin_change(&self) {
        self.0.begin_change();
    }

    fn end_change(&self) {
        self.0.end_change();
    }
}

impl Service {
    /// Works by a new configuration.
    pub(crate) async fn apply(
        &mut self,
        settings: Vec<Arc<ZoneSettings>>,
        catalogs: Vec<Arc<CatalogSettings>>,
    ) -> Applied {
        let mut wanted: HashMap<NameBox, Arc<ZoneSettings>> = HashMap::new();
        for zone in settings.into_iter().chain(catalogs.iter().map(|catalog| Arc::clone(&catalog.zone))) {
            wanted.insert(zone.apex.clone(), zone);
        }
        let mut applied = Applied::default();
        self.catalogs.reserved = Arc::new(wanted.keys().cloned().collect());
        // Members of catalogs go when the catalogs' next plan says so.
        let stays = |name: &NameBox| wanted.contains_key(name) || self.catalogs.owners.contains_key(name);
        let gone: Vec<u64> = self.names.iter().filter(|(name, _)| !stays(name)).map(|(_, &id)| id).collect();
        applied.removed = gone.len();
        // A zone that is to be kept in another way begins anew.
        let other_way = |(name, id): &(&NameBox, &u64)| {
            let before = self.entries.get(id).map(|entry| entry.settings.way_of_keeping());
            wanted.get(*name).is_some_and(|zone| Some(zone.way_of_keeping()) != before)
        };
        let renewed: Vec<u64> = self.names.iter().filter(other_way).map(|(_, &id)| id).collect();
        applied.changed = renewed.len();
        let mut stores = self.take_out(gone);
        // What is kept in another way is answered as before until it is there in the new one.
        let Forgotten { stores: old, on_demand, .. } = self.forget(renewed);
        stores.extend(old);
        log_disk(spawn_blocking(move || stores.iter().map(|store| store.remove()).fold(Ok(()), Result::and)).await);
        let applied_anew = applied.changed;
        let mut added = Vec::new();
        for (name, zone) in wanted {
            match self.names.get(&name).copied() {
                None => added.push(zone),
                Some(id) => applied.changed += usize::from(self.change(id, zone)),
            }
        }
        applied.added = added.len() - applied_anew;
        if !added.is_empty() {
            // Reading them may take a while; nothing else is due that could not wait for it.
            block_in_place(|| self.add_after(added, &on_demand));
        }
        self.publish_targets();
        self.configure_catalogs(catalogs);
        applied
    }

    pub(crate) fn change(&mut self, id: u64, settings: Arc<ZoneSettings>) -> bool {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| *entry.settings != *settings) else {
            return false;
        };
        if settings.is_on_demand() {
            self.parts.on_demand.configure(vec![(id, Arc::clone(&settings))], &[]);
        }
        // An attempt that waits is of the old configuration, and its upstream may be gone.
        let waiting = entry.attempt.filter(|_| entry.running.is_none());
        let event = entry.configure(settings);
        if let Some((_, address)) = waiting {
            entry.attempt = None;
            self.lanes.forget(address, id);
            self.event(id, Event::Withdrawn);
        }
        self.event(id, event);
        true
    }

    /// Adds zones: reads them from disk, publishes them, and makes their first attempts due.
    pub(crate) fn add(&mut self, settings: Vec<Arc<ZoneSettings>>) {
        self.add_after(settings, &HashMap::new());
    }

    /// The same where some were on-demand zones so far, under these ids: as caches they stand in for the copies until
    /// these have come.
    fn add_after(&mut self, settings: Vec<Arc<ZoneSettings>>, on_demand_before: &HashMap<NameBox, u64>) {
        let stand_in = |zone: &ZoneSettings| on_demand_before.get(&zone.apex).copied().filter(|_| !zone.is_on_demand());
        let slot = |(zone, id): (&Arc<ZoneSettings>, u64)| {
            let slot = Arc::new(ZoneSlot::new(zone.apex.to_name()));
            if let Some(id) = zone.is_on_demand().then_some(id).or_else(|| stand_in(zone)) {
                self.parts.on_demand.cache().watch(id, Arc::new(SlotWatcher(Arc::clone(&slot))));
                slot.publish(ZoneState::OnDemand { id });
            }
            slot
        };
        let slots: Vec<_> = settings.iter().zip(self.next_id..).map(slot).collect();
        // Before anyone can have a question for them.
        let on_demand = settings.iter().zip(self.next_id..).filter(|(zone, _)| zone.is_on_demand());
        self.parts.on_demand.configure(on_demand.map(|(zone, id)| (id, Arc::clone(zone))).collect(), &[]);
        // Nobody is answered from a catalog itself.
        let served: Vec<_> = settings
            .iter()
            .zip(&slots)
            .filter(|(zone, _)| !zone.is_catalog)
            .map(|(_, slot)| Arc::clone(slot))
            .collect();
        self.swap_table(&settings.iter().map(|zone| zone.apex.clone()).collect(), &served);
        let now = self.now();
        let entries = settings.into_iter().zip(slots).zip(self.next_id..).map(|((zone, slot), id)| {
            let store = Arc::new(self.parts.store.zone(zone.apex.as_ref()));
            let stand_in = stand_in(&zone);
            let mut entry = Entry::new(id, zone, slot, store, now);
            entry.stand_in = stand_in;
            entry
        });
        for (entry, event) in load_all(entries.collect(), now) {
            let id = entry.target.zone;
            self.next_id = self.next_id.max(id + 1);
            self.names.insert(entry.settings.apex.clone(), id);
            self.entries.insert(id, entry);
            self.event(id, event.unwrap_or(Event::Clock));
        }
        let standing_in: HashSet<u64> = self.entries.values().filter_map(|entry| entry.stand_in).collect();
        let over: Vec<u64> = on_demand_before.values().copied().filter(|id| !standing_in.contains(id)).collect();
        self.parts.on_demand.configure(Vec::new(), &over);
        self.publish_targets();
    }

    /// Takes zones out of the published table and puts slots in, in one swap.
    fn swap_table(&self, out: &HashSet<NameBox>, slots: &[Arc<ZoneSlot>]) {
        let old = self.parts.zones.load();
        let others = old.slots().iter().filter(|slot| !out.contains(slot.apex().as_bytes()));
        self.parts.zones.replace(others.chain(slots).cloned().collect());
    }

    /// Takes zones out: nothing more is done for them, and nobody is answered. Their files are the caller's to remove.
    pub(crate) fn take_out(&mut self, gone: Vec<u64>) -> Vec<Arc<ZoneStore>> {
        let Forgotten { stores, names, shown, on_demand } = self.forget(gone);
        self.swap_table(&names, &[]);
        let mut board = self.parts.board.zones();
        for name in &shown {
            board.remove(&**name);
        }
        drop(board);
        let on_demand: Vec<u64> = on_demand.into_values().collect();
        self.parts.on_demand.configure(Vec::new(), &on_demand);
        self.publish_targets();
        stores
    }

    /// Nothing more is done for these zones, but what is published and shown of them stays.
    fn forget(&mut self, zones: Vec<u64>) -> Forgotten {
        let mut forgotten = Forgotten::default();
        for id in zones {
            let Some(entry) = self.entries.remove(&id) else {
                continue;
            };
            match &entry.settings.config.catalog {
                None => tracing::info!(zone = %entry.settings.name, "no longer configured so; its files are removed"),
                Some(catalog) => tracing::debug!(zone = %entry.settings.name, %catalog, "no longer listed"),
            }
            self.names.remove(&entry.settings.apex);
            self.waiters.remove(&id);
            forgotten.names.insert(entry.settings.apex.clone());
            forgotten.shown.push(entry.settings.name.clone());
            match (entry.running, entry.attempt) {
                (Some(running), _) => running.abort(),
                (None, Some((_, address))) => self.lanes.forget(address, id),
                (None, None) => {}
            }
            let on_demand = entry.settings.is_on_demand().then_some(id).or(entry.stand_in);
            forgotten.on_demand.extend(on_demand.map(|id| (entry.settings.apex.clone(), id)));
            forgotten.stores.push(entry.store);
        }
        forgotten
    }

    pub(crate) fn publish_targets(&self) {
        self.parts.notifier.set_table(self.entries.values().map(|entry| Arc::clone(&entry.target)));
    }
}
