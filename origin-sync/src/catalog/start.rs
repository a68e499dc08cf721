//! The members of catalogs at a start: from the ledger and from the catalogs' copies on disk, before anything touches the
//! network.

use std::collections::HashSet;
use std::sync::Arc;

use wire::NameBox;

use crate::catalog::content;
use crate::catalog::follow::plan_from;
use crate::catalog::ledger::Entries;
use crate::catalog::plan::{Owners, Step};
use crate::service::Service;
use crate::settings::{CatalogSettings, ZoneSettings};

impl Service {
    /// Adds the zones of catalogs; the catalogs' own zones and those of the configuration are there.
    pub(crate) fn start_catalogs(&mut self, settings: Vec<Arc<CatalogSettings>>) {
        self.catalogs.settings = settings;
        if self.catalogs.settings.is_empty() {
            return;
        }
        let ledger = Arc::clone(&self.catalogs.ledger);
        let loaded = ledger.load(&mut |note| tracing::warn!("{note}"));
        let saved = loaded.unwrap_or_else(|error| {
            tracing::warn!(%error, "who has which zone could not be read; the catalogs are followed anew");
            Entries::default()
        });
        self.take_ledger(saved.clone());
        self.read_copies();
        let entries = self.carry_out_at_start();
        let catalogs = &self.catalogs;
        let members: Vec<Arc<ZoneSettings>> =
            catalogs.owners.iter().filter_map(|(zone, owner)| catalogs.member(zone, owner)).collect();
        self.add(members);
        if entries != saved {
            Service::note_catalogs(ledger.save(&entries));
        }
        self.publish_catalogs();
    }

    fn take_ledger(&mut self, saved: Entries) {
        let known: HashSet<&NameBox> = self.catalogs.settings.iter().map(|settings| &settings.zone.apex).collect();
        let owners = saved.owners.iter().filter(|(_, owner)| known.contains(&owner.catalog));
        self.catalogs.owners = Arc::new(owners.map(|(zone, owner)| (zone.clone(), owner.clone())).collect::<Owners>());
        for (name, content) in saved.contents.into_iter().filter(|(name, _)| known.contains(name)) {
            let state = self.catalogs.states.entry(name).or_default();
            (state.content, state.applied) = (Some(Arc::clone(&content)), Some(content));
        }
    }

    fn read_copies(&mut self) {
        for settings in self.catalogs.settings.clone() {
            let name = &settings.zone.apex;
            let copy = self.names.get(name).and_then(|id| self.entries.get(id)).and_then(|entry| entry.zone.clone());
            if let Some(copy) = copy {
                self.catalogs.take_content(name, content::parse(&copy, settings.members_max).map(Arc::new));
            }
        }
    }

    /// Brings the owners from the ledger to what the copies say, and removes the files of zones that go; gives what is to
    /// be in the ledger.
    fn carry_out_at_start(&mut self) -> Entries {
        let applied = self.catalogs.entries().contents;
        for state in self.catalogs.states.values_mut() {
            state.applied = state.content.clone();
        }
        let contents = self.catalogs.entries().contents;
        let plan = plan_from(&contents, &applied, &self.catalogs.owners, &self.catalogs.reserved);
        self.catalogs.take_clashes(contents.iter().map(|(name, _)| name.clone()).zip(plan.clashes));
        let owners = Arc::make_mut(&mut self.catalogs.owners);
        for step in plan.steps {
            match &step {
                Step::Remove(zone) | Step::Reset(zone, _) => {
                    Service::note_catalogs(self.parts.store.zone(zone.as_ref()).remove());
                }
                Step::Release(_) | Step::Add(..) | Step::Keep(..) => {}
            }
            match step {
                Step::Release(zone) | Step::Remove(zone) => drop(owners.remove(&zone)),
                Step::Reset(zone, owner) | Step::Add(zone, owner) | Step::Keep(zone, owner) => {
                    owners.insert(zone, owner);
                }
            }
        }
        self.catalogs.entries()
    }
}
