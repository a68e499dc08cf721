//! Carries out what catalogs say: one plan at a time, made beside the service, carried out in batches between its other
//! events.
//!
//! ```text
//! Idle ─ a new copy, a new configuration ─▶ Planning ─▶ Going ⇄ Removing (files) ─▶ Coming ─▶ Saving (ledger) ─▶ Idle
//! ```
//!
//! Owners change with each batch, so a plan may be dropped at any moment and made anew from where things stand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{block_in_place, spawn_blocking};
use wire::NameBox;
use zones::Zone;

use crate::catalog::content::{self, CatalogContent, CatalogError};
use crate::catalog::ledger::{Entries, Ledger};
use crate::catalog::plan::{Clashes, Listed, Owner, Owners, Plan, Step, plan};
use crate::catalog::status::CatalogStatus;
use crate::error::Error;
use crate::service::{Service, log_disk};
use crate::settings::{CatalogSettings, ZoneSettings};

/// Zones of a batch at least: each batch makes the tables of all zones anew.
const BATCH_ZONES_MIN: usize = 512;
/// A batch is one part of this many of all zones, where that is more.
const BATCH_PARTS: usize = 16;
/// Work beside the service whose end may wait to be heard: there is one piece at a time.
const DONE_MAX: usize = 1;

/// The catalogs of the service.
pub(crate) struct Catalogs {
    /// As configured, in their order.
    pub(crate) settings: Vec<Arc<CatalogSettings>>,
    pub(crate) states: HashMap<NameBox, State>,
    pub(crate) owners: Arc<Owners>,
    /// Names that no catalog may have: those of the configuration.
    pub(crate) reserved: Arc<HashSet<NameBox>>,
    pub(crate) ledger: Arc<Ledger>,
    /// Copies that have not been read yet.
    fresh: HashMap<NameBox, Arc<Zone>>,
    /// Whether the configuration changed after the plan at work was begun.
    stale: bool,
    work: Work,
    done: (mpsc::Sender<Done>, mpsc::Receiver<Done>),
}

/// What is known of a catalog.
#[derive(Default)]
pub(crate) struct State {
    /// What it said when it was last whole.
    pub(crate) content: Option<Arc<CatalogContent>>,
    /// The same as of the last plan that was carried out.
    pub(crate) applied: Option<Arc<CatalogContent>>,
    pub(crate) error: Option<CatalogError>,
    pub(crate) clashes: Clashes,
}

#[derive(Default)]
enum Work {
    #[default]
    Idle,
    Planning,
    /// What goes stands before what comes.
    Carrying(Steps),
    /// Files are removed.
    Removing(Steps),
    Saving,
}

/// What is left of a plan.
#[derive(Default)]
struct Steps {
    going: VecDeque<Step>,
    coming: VecDeque<Step>,
    /// What the catalogs said when the plan was made.
    contents: Vec<(NameBox, Arc<CatalogContent>)>,
}

/// The end of a piece of work beside the service.
pub(crate) enum Done {
    Planned(Box<Planned>),
    Removed,
    Saved,
}

/// A plan, and what it was made from.
pub(crate) struct Planned {
    read: Vec<(NameBox, Result<Arc<CatalogContent>, CatalogError>)>,
    contents: Vec<(NameBox, Arc<CatalogContent>)>,
    plan: Plan,
}

impl Catalogs {
    pub(crate) fn new(ledger: Ledger) -> Catalogs {
        Catalogs {
            settings: Vec::new(),
            states: HashMap::new(),
            owners: Arc::default(),
            reserved: Arc::default(),
            ledger: Arc::new(ledger),
            fresh: HashMap::new(),
            stale: false,
            work: Work::Idle,
            done: mpsc::channel(DONE_MAX),
        }
    }

    /// Whether a batch can be carried out now.
    pub(crate) fn has_batch(&self) -> bool {
        matches!(self.work, Work::Carrying(_))
    }

    /// The end of work beside the service, whenever there is one.
    pub(crate) async fn done(&mut self) -> Option<Done> {
        self.done.1.recv().await
    }

    /// What a zone is as its owner's member; `None` when its catalog is gone.
    pub(crate) fn member(&self, zone: &NameBox, owner: &Owner) -> Option<Arc<ZoneSettings>> {
        let settings = self.settings.iter().find(|settings| settings.zone.apex == owner.catalog)?;
        let member = self.states.get(&owner.catalog)?.content.as_ref()?.members.get(&owner.label)?;
        Some(Arc::new(settings.member(zone, &member.groups)))
    }

    /// The status of all catalogs.
    pub(crate) fn status(&self) -> Vec<CatalogStatus> {
        let mut owned: HashMap<&NameBox, u64> = HashMap::new();
        self.owners.values().for_each(|owner| *owned.entry(&owner.catalog).or_default() += 1);
        let pending = match &self.work {
            Work::Carrying(steps) | Work::Removing(steps) => steps.going.len() + steps.coming.len(),
            Work::Idle | Work::Planning | Work::Saving => 0,
        };
        let one = |settings: &Arc<CatalogSettings>| {
            let name = &settings.zone.apex;
            let mut status = CatalogStatus { catalog: settings.zone.name.to_string(), ..CatalogStatus::default() };
            status.owned = owned.get(name).copied().unwrap_or(0);
            status.pending = pending as u64;
            if let Some(state) = self.states.get(name) {
                status.serial = state.content.as_ref().map(|content| content.serial);
                status.members = state.content.as_ref().map_or(0, |content| content.members.len() as u64);
                (status.clashes, status.clashes_told) = (state.clashes.count, state.clashes.told());
                status.last_error = state.error.as_ref().map(ToString::to_string);
                status.last_error_kind = state.error.as_ref().map(|error| error.label().to_owned());
            }
            status
        };
        self.settings.iter().map(one).collect()
    }

    /// What is to be in the ledger.
    pub(crate) fn entries(&self) -> Entries {
        let applied = |settings: &Arc<CatalogSettings>| {
            let name = &settings.zone.apex;
            Some((name.clone(), self.states.get(name)?.applied.clone()?))
        };
        let contents = self.settings.iter().filter_map(applied).collect();
        Entries { contents, owners: Arc::clone(&self.owners) }
    }

    /// Takes what reading a copy gave; tells of it.
    pub(crate) fn take_content(&mut self, name: &NameBox, read: Result<Arc<CatalogContent>, CatalogError>) {
        let state = self.states.entry(name.clone()).or_default();
        match read {
            Ok(content) => {
                if state.error.take().is_some() {
                    tracing::info!(catalog = %name, serial = content.serial, "the catalog is whole again");
                }
                state.content = Some(content);
            }
            Err(error) => {
                if state.error.as_ref() != Some(&error) {
                    tracing::error!(catalog = %name, %error, "the catalog is broken; its members stay what they are");
                }
                state.error = Some(error);
            }
        }
    }

    /// Takes what a plan found listed in vain; tells of it when it is new.
    pub(crate) fn take_clashes(&mut self, clashes: impl IntoIterator<Item = (NameBox, Clashes)>) {
        for (name, clashes) in clashes {
            let state = self.states.entry(name.clone()).or_default();
            if let Some(told) = clashes.told().filter(|_| clashes != state.clashes) {
                tracing::error!(catalog = %name, "{told}");
            }
            state.clashes = clashes;
        }
    }
}

/// Plans from what the catalogs say, in their order.
pub(crate) fn plan_from(
    contents: &[(NameBox, Arc<CatalogContent>)],
    applied: &[(NameBox, Arc<CatalogContent>)],
    owners: &Owners,
    reserved: &HashSet<NameBox>,
) -> Plan {
    let listed: Vec<Listed<'_>> = contents.iter().map(|(name, content)| Listed { name, content }).collect();
    let before = applied.iter().map(|(name, content)| (name, &**content)).collect();
    plan(&listed, &before, owners, &|zone| reserved.contains(zone))
}

impl Service {
    /// A catalog has a new copy.
    pub(crate) fn catalog_fetched(&mut self, name: &NameBox, copy: Arc<Zone>) {
        self.catalogs.fresh.insert(name.clone(), copy);
        self.plan_catalogs();
    }

    /// Takes the catalogs of a new configuration, whose own zones are there. The plan at work, if any, is dropped.
    pub(crate) fn configure_catalogs(&mut self, settings: Vec<Arc<CatalogSettings>>) {
        let catalogs = &mut self.catalogs;
        if settings.is_empty() && catalogs.settings.is_empty() {
            return;
        }
        let old = std::mem::replace(&mut catalogs.settings, settings);
        catalogs.states.retain(|name, _| catalogs.settings.iter().any(|settings| settings.zone.apex == *name));
        for settings in &catalogs.settings {
            let name = &settings.zone.apex;
            if old.contains(settings) {
                continue;
            }
            // All its members are looked at again.
            catalogs.states.entry(name.clone()).or_default().applied = None;
            let copy = self.names.get(name).and_then(|id| self.entries.get(id)).and_then(|entry| entry.zone.clone());
            catalogs.fresh.extend(copy.map(|copy| (name.clone(), copy)));
        }
        if let Work::Carrying(_) = self.catalogs.work {
            self.catalogs.work = Work::Idle;
        }
        if let Work::Removing(steps) = &mut self.catalogs.work {
            *steps = Steps::default();
        }
        self.catalogs.stale = true;
        self.plan_catalogs();
    }

    /// Makes a plan beside the service; if one is at work, it is made after that.
    fn plan_catalogs(&mut self) {
        let catalogs = &mut self.catalogs;
        if !matches!(catalogs.work, Work::Idle) {
            return;
        }
        catalogs.work = Work::Planning;
        catalogs.stale = false;
        let fresh: Vec<_> = catalogs.fresh.drain().collect();
        let settings = catalogs.settings.clone();
        let known = |which: fn(&State) -> &Option<Arc<CatalogContent>>| -> HashMap<NameBox, Arc<CatalogContent>> {
            let states = catalogs.states.iter();
            states.filter_map(|(name, state)| Some((name.clone(), which(state).clone()?))).collect()
        };
        let (mut contents, applied) = (known(|state| &state.content), known(|state| &state.applied));
        let (owners, reserved) = (Arc::clone(&catalogs.owners), Arc::clone(&catalogs.reserved));
        let done = catalogs.done.0.clone();
        self.background.spawn(async move {
            let work = spawn_blocking(move || {
                let mut read = Vec::new();
                for settings in &settings {
                    let Some((name, copy)) = fresh.iter().find(|(name, _)| *name == settings.zone.apex) else {
                        continue;
                    };
                    let content = content::parse(copy, settings.members_max).map(Arc::new);
                    if let Ok(content) = &content {
                        contents.insert(name.clone(), Arc::clone(content));
                    }
                    read.push((name.clone(), content));
                }
                let in_order = |known: &HashMap<NameBox, Arc<CatalogContent>>| -> Vec<_> {
                    let names = settings.iter().map(|settings| &settings.zone.apex);
                    names.filter_map(|name| Some((name.clone(), Arc::clone(known.get(name)?)))).collect()
                };
                let contents = in_order(&contents);
                let plan = plan_from(&contents, &in_order(&applied), &owners, &reserved);
                // The service changes owners in place once nobody else has them.
                drop(owners);
                Planned { read, contents, plan }
            });
            if let Ok(planned) = work.await {
                let _ = done.send(Done::Planned(Box::new(planned))).await;
            }
        });
    }

    /// Takes the end of work beside the service.
    pub(crate) fn catalogs_done(&mut self, done: Done) {
        match done {
            Done::Planned(planned) => self.carry_out(*planned),
            Done::Removed => {
                if let Work::Removing(steps) = std::mem::take(&mut self.catalogs.work) {
                    self.catalogs.work = Work::Carrying(steps);
                }
            }
            Done::Saved => {
                self.catalogs.work = Work::Idle;
                if self.catalogs.stale || !self.catalogs.fresh.is_empty() {
                    self.plan_catalogs();
                }
            }
        }
        self.publish_catalogs();
    }

    fn carry_out(&mut self, planned: Planned) {
        let Planned { read, contents, plan } = planned;
        for (name, content) in read {
            // It may have left the configuration meanwhile.
            if self.catalogs.settings.iter().any(|settings| settings.zone.apex == name) {
                self.catalogs.take_content(&name, content);
            }
        }
        if self.catalogs.stale {
            self.catalogs.work = Work::Idle;
            return self.plan_catalogs();
        }
        let names: Vec<NameBox> = contents.iter().map(|(name, _)| name.clone()).collect();
        self.catalogs.take_clashes(names.into_iter().zip(plan.clashes));
        let is_going = |step: &Step| matches!(step, Step::Release(_) | Step::Remove(_) | Step::Reset(..));
        let (going, coming): (VecDeque<_>, VecDeque<_>) = plan.steps.into_iter().partition(is_going);
        if !going.is_empty() || !coming.is_empty() {
            tracing::info!(going = going.len(), coming = coming.len(), "the catalogs' zones change");
        }
        self.catalogs.work = Work::Carrying(Steps { going, coming, contents });
    }

    /// Carries out the next batch, if there is one now.
    pub(crate) fn next_batch(&mut self) {
        if !self.catalogs.has_batch() {
            return;
        }
        let Work::Carrying(mut steps) = std::mem::take(&mut self.catalogs.work) else {
            return;
        };
        let size = BATCH_ZONES_MIN.max(self.entries.len() / BATCH_PARTS);
        if !steps.going.is_empty() {
            let batch = steps.going.drain(..size.min(steps.going.len())).collect();
            self.take_out_batch(batch, &mut steps.coming);
            self.catalogs.work = Work::Removing(steps);
        } else if !steps.coming.is_empty() {
            let batch = steps.coming.drain(..size.min(steps.coming.len())).collect();
            block_in_place(|| self.put_in_batch(batch));
            self.catalogs.work = Work::Carrying(steps);
        } else {
            for (name, content) in steps.contents {
                if let Some(state) = self.catalogs.states.get_mut(&name) {
                    state.applied = Some(content);
                }
            }
            self.save_ledger();
        }
        self.publish_catalogs();
    }

    /// Takes zones out; what is only reset comes back with what comes.
    fn take_out_batch(&mut self, batch: Vec<Step>, coming: &mut VecDeque<Step>) {
        let owners = Arc::make_mut(&mut self.catalogs.owners);
        let mut gone = Vec::new();
        for step in batch {
            match step {
                Step::Release(zone) => drop(owners.remove(&zone)),
                Step::Remove(zone) => {
                    owners.remove(&zone);
                    gone.extend(self.names.get(&zone));
                }
                Step::Reset(zone, owner) => {
                    owners.remove(&zone);
                    gone.extend(self.names.get(&zone));
                    coming.push_back(Step::Add(zone, owner));
                }
                Step::Add(..) | Step::Keep(..) => {}
            }
        }
        let stores = self.take_out(gone);
        let done = self.catalogs.done.0.clone();
        self.background.spawn(async move {
            log_disk(spawn_blocking(move || stores.iter().map(|store| store.remove()).fold(Ok(()), Result::and)).await);
            let _ = done.send(Done::Removed).await;
        });
    }

    fn put_in_batch(&mut self, batch: Vec<Step>) {
        let (mut added, mut kept) = (Vec::new(), Vec::new());
        let catalogs = &mut self.catalogs;
        for step in batch {
            let (Step::Add(zone, owner) | Step::Keep(zone, owner)) = step else { continue };
            let Some(settings) = catalogs.member(&zone, &owner) else { continue };
            Arc::make_mut(&mut catalogs.owners).insert(zone.clone(), owner);
            match self.names.get(&zone) {
                None => added.push(settings),
                Some(&id) => kept.push((id, settings)),
            }
        }
        let mut changed = 0;
        let mut renewed = Vec::new();
        for (id, settings) in kept {
            let before = self.entries.get(&id).map(|entry| entry.settings.way_of_keeping());
            if before == Some(settings.way_of_keeping()) {
                changed += usize::from(self.change(id, settings));
            } else {
                // A zone that is to be kept in another way begins anew.
                renewed.push(id);
                added.push(settings);
            }
        }
        if !renewed.is_empty() {
            let removed = self.take_out(renewed).iter().map(|store| store.remove()).fold(Ok(()), Result::and);
            log_disk(Ok(removed));
        }
        if !added.is_empty() {
            self.add(added);
        } else if changed > 0 {
            self.publish_targets();
        }
    }

    fn save_ledger(&mut self) {
        self.catalogs.work = Work::Saving;
        let (ledger, entries) = (Arc::clone(&self.catalogs.ledger), self.catalogs.entries());
        let done = self.catalogs.done.0.clone();
        self.background.spawn(async move {
            log_disk(spawn_blocking(move || ledger.save(&entries)).await);
            let _ = done.send(Done::Saved).await;
        });
    }

    pub(crate) fn publish_catalogs(&self) {
        self.parts.board.set_catalogs(self.catalogs.status());
    }

    /// What work beside the service could not read or write, at the start.
    pub(crate) fn note_catalogs(outcome: Result<(), Error>) {
        log_disk(Ok(outcome));
    }
}
