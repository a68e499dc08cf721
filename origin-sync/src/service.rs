//! The task that owns all zones: it takes events, asks each zone's machine, and starts attempts.
//!
//! ```text
//!   lane threads ─ NOTIFY ─▶ mailboxes + queue of ids ─┐
//!   Handle ─────── commands (bounded) ─────────────────┤
//!   timers (binary heap) ──────────────────────────────┼─▶ service ─▶ machine of the zone ─▶ lanes ─▶ attempt tasks
//!   attempt tasks ─ reports (bounded) ─────────────────┘      │
//!                                                             └─▶ board (status, counters)
//! ```
//!
//! An attempt task publishes a new copy itself, as soon as it is on disk; the service learns of it afterwards.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep_until;
use wire::{Name, NameBox};
use zones::Zones;

use crate::attempt::{Outcome, Report};
use crate::catalog::follow::Catalogs;
use crate::catalog::ledger::Ledger;
use crate::client::random_u64;
use crate::entry::Entry;
use crate::error::{Error, Side};
use crate::examine::Examinations;
use crate::lanes::{ATTEMPTS_MAX, Lanes};
use crate::machine::{self, Actions, Context, Event, Publish};
use crate::notify::Notifier;
use crate::on_demand::OnDemand;
use crate::peers::Outbox;
use crate::pool::Pool;
use crate::retransfer::{Retransfer, Retransferred, Waiters};
use crate::settings::{CatalogSettings, ZoneSettings};
use crate::status::Board;
use crate::store::Store;

/// Commands that may wait.
pub(crate) const COMMANDS_MAX: usize = 16;
/// NOTIFYs taken from the queue at once.
const WAKES_AT_ONCE: usize = 256;
/// The service looks around at least this often.
const IDLE_MAX: Duration = Duration::from_secs(1);
/// Timers that may be out of date beside two for each zone.
const TIMERS_FREE: usize = 64;
/// Large zones that are hashed or validated at one time, lest the lanes lack processors.
const CHECKS_MAX: usize = 2;
/// Compactions that run at one time.
const COMPACTIONS_MAX: usize = 1;

/// What the handle asks of the service.
pub(crate) enum Command {
    /// Work by a new configuration.
    Apply(Vec<Arc<ZoneSettings>>, Vec<Arc<CatalogSettings>>, oneshot::Sender<Applied>),
    /// Fetch a zone whole, if it is ours.
    Retransfer(Box<Name>, oneshot::Sender<Option<Retransfer>>),
    /// End.
    Stop(oneshot::Sender<()>),
}

/// What a new configuration changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Zones that are new.
    pub added: usize,
    /// Zones that are no longer configured; their files are gone.
    pub removed: usize,
    /// Zones that are configured differently.
    pub changed: usize,
}

/// The state that the task owns.
pub(crate) struct Service {
    pub(crate) parts: Parts,
    pub(crate) entries: HashMap<u64, Entry>,
    pub(crate) names: HashMap<NameBox, u64>,
    pub(crate) next_id: u64,
    pub(crate) lanes: Lanes,
    pub(crate) catalogs: Catalogs,
    pool: Arc<Pool>,
    timers: BinaryHeap<Reverse<(Duration, u64)>>,
    reports: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
    pub(crate) background: JoinSet<()>,
    /// Operators that wait for a zone's full transfer, by the zone.
    pub(crate) waiters: HashMap<u64, Waiters>,
    compactions: Arc<Semaphore>,
    /// Taken by attempts and by [`Examinations`] while a large zone is verified.
    pub(crate) checks: Arc<Semaphore>,
    pub(crate) examinations: Examinations,
}

/// The zone and the address of an attempt, and how it went.
type Ended = (u64, SocketAddr, Report);

/// What a service is made of.
pub(crate) struct Parts {
    pub(crate) started: Instant,
    pub(crate) zones: Arc<Zones>,
    pub(crate) store: Arc<Store>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) board: Arc<Board>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) woken: mpsc::Receiver<u64>,
    pub(crate) on_demand: Arc<OnDemand>,
    /// On-demand zones that somebody wants, and that may be fetched whole.
    pub(crate) demands: mpsc::Receiver<u64>,
}

impl Service {
    /// A service with these zones, read from disk and published.
    pub(crate) fn new(
        parts: Parts,
        settings: Vec<Arc<ZoneSettings>>,
        catalogs: Vec<Arc<CatalogSettings>>,
        ledger: Ledger,
    ) -> Service {
        let mut service = Service {
            parts,
            entries: HashMap::new(),
            names: HashMap::new(),
            next_id: 0,
            timers: BinaryHeap::new(),
            lanes: Lanes::default(),
            catalogs: Catalogs::new(ledger),
            pool: Arc::default(),
            reports: mpsc::channel(ATTEMPTS_MAX),
            background: JoinSet::new(),
            waiters: HashMap::new(),
            compactions: Arc::new(Semaphore::new(COMPACTIONS_MAX)),
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            examinations: Examinations::new(),
        };
        let own: Vec<_> =
            settings.into_iter().chain(catalogs.iter().map(|catalog| Arc::clone(&catalog.zone))).collect();
        service.catalogs.reserved = Arc::new(own.iter().map(|zone| zone.apex.clone()).collect());
        service.add(own);
        service.start_catalogs(catalogs);
        service
    }

    /// Runs until it is told to stop, or its handle is gone.
    pub(crate) async fn run(mut self) {
        let mut wakes = Vec::with_capacity(WAKES_AT_ONCE);
        let mut ended = Vec::with_capacity(ATTEMPTS_MAX);
        let stopped = loop {
            self.start_attempts();
            self.start_examination();
            let due = Instant::now() + self.wait();
            tokio::select! {
                biased;
                command = self.parts.commands.recv() => match command {
                    None => break None,
                    Some(Command::Stop(done)) => break Some(done),
                    Some(Command::Retransfer(zone, answer)) => {
                        let _ = answer.send(self.retransfer(&zone));
                    }
                    Some(Command::Apply(settings, catalogs, answer)) => {
                        let applied = self.apply(settings, catalogs).await;
                        let _ = answer.send(applied);
                    }
                },
                _ = self.reports.1.recv_many(&mut ended, ATTEMPTS_MAX) => {
                    ended.drain(..).for_each(|(zone, address, report)| self.ended(zone, address, report));
                }
                _ = self.parts.woken.recv_many(&mut wakes, WAKES_AT_ONCE) => self.take_notices(&mut wakes),
                Some(zone) = self.parts.demands.recv() => self.event(zone, Event::Demand),
                Some((zone, examined)) = self.examinations.ended() => self.examined(zone, examined),
                Some(done) = self.catalogs.done() => self.catalogs_done(done),
                () = std::future::ready(()), if self.catalogs.has_batch() => {}
                () = sleep_until(due.into()) => {}
                Some(_) = self.background.join_next(), if !self.background.is_empty() => {}
            }
            self.run_timers();
            self.next_batch();
        };
        self.shut_down().await;
        if let Some(done) = stopped {
            let _ = done.send(());
        }
    }

    async fn shut_down(&mut self) {
        for entry in self.entries.values() {
            if let Some(running) = &entry.running {
                running.abort();
            }
        }
        // Disk work that has begun is finished; a kill here would do no harm either.
        while self.background.join_next().await.is_some() {}
    }

    pub(crate) fn now(&self) -> Duration {
        self.parts.started.elapsed()
    }

    /// The time until a timer is due.
    fn wait(&self) -> Duration {
        let due = self.timers.peek().map_or(IDLE_MAX, |Reverse((due, _))| due.saturating_sub(self.now()));
        due.min(IDLE_MAX)
    }

    fn run_timers(&mut self) {
        self.pool.sweep();
        if self.parts.notifier.take_overflow() {
            let mut all: Vec<u64> = self.entries.keys().copied().collect();
            self.take_notices(&mut all);
        }
        self.look_at_signatures();
        let now = self.now();
        while let Some(&Reverse((due, zone))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            if let Some(entry) = self.entries.get_mut(&zone).filter(|entry| entry.timer == Some(due)) {
                entry.timer = None;
                self.event(zone, Event::Clock);
            }
        }
    }

    fn take_notices(&mut self, woken: &mut Vec<u64>) {
        let now = self.now();
        for zone in woken.drain(..) {
            let Some(entry) = self.entries.get_mut(&zone) else {
                continue;
            };
            if let Some(notice) = entry.target.mailbox.take().filter(|&notice| entry.machine.heeds(notice)) {
                tracing::debug!(zone = %entry.settings.name, serial = notice.serial, "NOTIFY");
                entry.heard(notice, now);
                self.event(zone, Event::Notify(notice));
            }
        }
    }

    /// Gives an event to a zone's machine, and does what it says.
    pub(crate) fn event(&mut self, zone: u64, event: Event) {
        let now = self.now();
        let random = random_u64().unwrap_or(zone);
        let Some(entry) = self.entries.get_mut(&zone) else {
            return;
        };
        let (lanes, upstreams) = (&self.lanes, Arc::clone(&entry.settings));
        let avoid = |upstream: usize| upstreams.upstreams.get(upstream).is_some_and(|u| lanes.avoids(u.address, now));
        let updated = matches!(event, Event::Ended(machine::Ended::Updated(..) | machine::Ended::Released(_)));
        let Actions { attempt, publish } = entry.machine.handle(event, &Context { now, random, avoid: &avoid });
        if let Some(publish) = publish {
            match publish {
                Publish::Serving => {
                    tracing::debug!(zone = %entry.settings.name, "serving");
                    if entry.settings.is_on_demand() {
                        self.parts.on_demand.cache().purge_zone(zone);
                    }
                }
                Publish::Expired => {
                    tracing::warn!(zone = %entry.settings.name, "expired: no origin was reached in time")
                }
            }
            entry.publish(publish);
            if let Some(stand_in) = entry.stand_in.take() {
                self.parts.on_demand.configure(Vec::new(), &[stand_in]);
            }
        }
        entry.target.offer.set_expires(entry.machine.expires());
        if updated || publish == Some(Publish::Serving) {
            self.parts.outbox.changed(zone, &entry.target.offer);
        }
        if let Some(attempt) = attempt
            && let Some(upstream) = entry.settings.upstreams.get(attempt.upstream)
        {
            entry.attempt = Some((attempt, upstream.address));
            self.lanes.queue(upstream.address, zone, attempt.urgent);
        }
        let release = entry.release_due();
        let due = entry.machine.due().into_iter().chain(release).min();
        if let Some(due) = due.filter(|_| due != entry.timer) {
            self.timers.push(Reverse((due, zone)));
        }
        entry.timer = due;
        self.examinations.want(zone, entry);
        entry.refresh_record(now);
        self.parts.board.put(&entry.settings.name, &entry.record);
        self.tidy_timers();
        if release.is_some_and(|release| release <= now) {
            // It begins an attempt, so it comes here once.
            self.event(zone, Event::Release);
        }
    }

    /// Drops timers that no zone waits for any more, once they are the greater part.
    fn tidy_timers(&mut self) {
        if self.timers.len() > TIMERS_FREE + 2 * self.entries.len() {
            let timer = |(&zone, entry): (&u64, &Entry)| entry.timer.map(|due| Reverse((due, zone)));
            self.timers = self.entries.iter().filter_map(timer).collect();
        }
    }

    fn start_attempts(&mut self) {
        for zone in self.lanes.start() {
            let Some(entry) = self.entries.get_mut(&zone) else {
                continue;
            };
            let (Some(job), Some((attempt, address))) = (entry.job(&self.checks, &self.pool), entry.attempt) else {
                continue;
            };
            tracing::debug!(zone = %entry.settings.name, %address, want = ?attempt.want, "attempt");
            let reports = self.reports.0.clone();
            let work = tokio::spawn(job.run());
            entry.running = Some(work.abort_handle());
            tokio::spawn(async move {
                let report = work.await.unwrap_or_else(|error| Report::broken(&error));
                let _ = reports.send((zone, address, report)).await;
            });
        }
        self.parts.board.counts().attempts_running = self.lanes.running() as u64;
    }

    fn ended(&mut self, zone: u64, address: SocketAddr, mut report: Report) {
        let now = self.now();
        self.lanes.ended(address);
        if self.entries.get(&zone).is_some_and(Entry::is_releasing) {
            return self.released(zone, report);
        }
        let reached = !report.outcome.as_ref().is_err_and(|error| error.side() == Side::Network);
        self.lanes.note(address, reached, now);
        self.count(&report);
        let Some(entry) = self.entries.get_mut(&zone) else {
            return;
        };
        log(&entry.settings.name, address, &report, entry.record.last_error_at(address));
        let forced = entry.machine.is_forced();
        let event = entry.ended(&mut report, address, now);
        if let Ok(Outcome::UpToDate) = report.outcome
            && let Some((serial, confirmed_unix_s)) = entry.wants_note(now, report.expire_s)
        {
            let store = Arc::clone(&entry.store);
            self.background.spawn(async move {
                log_disk(spawn_blocking(move || store.note_refreshed(serial, confirmed_unix_s)).await);
            });
        }
        self.conclude(zone, event, &mut report);
        if forced {
            self.tell_waiters(zone, &report);
        }
    }

    /// Goes on from an attempt's end; of a new copy the rest of the work is done.
    pub(crate) fn conclude(&mut self, zone: u64, event: Event, report: &mut Report) {
        let Some(entry) = self.entries.get(&zone) else {
            return;
        };
        let (store, settings, copy) = (Arc::clone(&entry.store), Arc::clone(&entry.settings), entry.zone.clone());
        self.event(zone, event);
        let (Ok(Outcome::Updated { compaction, .. }), Some(copy)) = (&mut report.outcome, copy) else {
            return;
        };
        if let Some(compaction) = compaction.take() {
            let permits = Arc::clone(&self.compactions);
            let (copy, confirmed_unix_s) = (Arc::clone(&copy), settings.confirmed_unix_s(&copy, report.expire_s));
            self.background.spawn(async move {
                let _permit = permits.acquire_owned().await;
                let work = spawn_blocking(move || store.compact(&compaction, &copy, confirmed_unix_s));
                log_disk(work.await);
            });
        }
        if settings.is_catalog {
            self.catalog_fetched(&settings.apex, copy);
        }
    }

    fn count(&self, report: &Report) {
        let mut counts = self.parts.board.counts();
        match &report.outcome {
            Ok(Outcome::UpToDate) => counts.up_to_date_total += 1,
            Ok(fetched) => {
                let whole = fetched.is_whole();
                if whole {
                    counts.axfr_total += 1
                } else {
                    counts.ixfr_total += 1
                }
                let question = if whole { "axfr" } else { "ixfr" };
                *counts.transfers_total.entry((question, report.transport)).or_default() += 1;
                counts.transfer_bytes_total += report.fetched.map_or(0, |fetched| fetched.bytes);
                counts.transfer_records_total += report.fetched.map_or(0, |fetched| fetched.records);
            }
            Err(error) => *counts.failures_total.entry(error.label()).or_default() += 1,
        }
        counts.fallback_total += u64::from(report.fallback.is_some());
    }

    fn retransfer(&mut self, zone: &Name) -> Option<Retransfer> {
        let &id = self.names.get(&NameBox::from(zone))?;
        // Of a zone that is a cache alone there is nothing to transfer.
        self.entries.get(&id).filter(|entry| entry.settings.may_be_whole())?;
        let transfer = self.waiters.entry(id).or_default().join();
        self.event(id, Event::Retransfer);
        Some(transfer)
    }

    /// Tells operators how the full transfer that they wait for ended, unless another origin is asked next.
    fn tell_waiters(&mut self, zone: u64, report: &Report) {
        let Some(entry) = self.entries.get(&zone) else {
            return;
        };
        let outcome = match (&report.outcome, &entry.zone) {
            (Ok(_), Some(zone)) => Ok(Retransferred { serial: zone.serial(), records: zone.record_count() }),
            (Err(error), _) if entry.attempt.is_none() => Err(error.to_string()),
            _ => return,
        };
        if let Some(mut waiters) = self.waiters.remove(&zone) {
            waiters.tell(&outcome);
        }
    }
}

/// Tells of an attempt; a failure that repeats the one before is told quietly.
fn log(zone: &str, address: SocketAddr, report: &Report, before: Option<&str>) {
    let took_ms = report.took.as_secs_f64() * 1000.0;
    if let Some(why) = &report.fallback {
        tracing::warn!(%zone, %address, %why, "differences were of no use; fetched the whole zone");
    }
    match &report.outcome {
        Ok(Outcome::UpToDate) => tracing::debug!(%zone, %address, "up to date"),
        Ok(Outcome::Held(made)) => {
            let (serial, question) = (made.zone().serial(), report.question);
            tracing::info!(%zone, %address, serial, %question, took_ms, "transferred; held, since the node's input is delayed");
        }
        Ok(Outcome::Updated { zone: copy, .. }) => {
            let (bytes, records) = report.fetched.map_or((0, 0), |fetched| (fetched.bytes, fetched.records));
            let (serial, question) = (copy.serial(), report.question);
            tracing::info!(%zone, %address, serial, %question, bytes, records, took_ms, "transferred");
        }
        Err(error) if before == Some(&error.to_string()) => {
            tracing::debug!(%zone, %address, %error, "attempt failed again")
        }
        Err(error) => tracing::warn!(%zone, %address, %error, side = ?error.side(), took_ms, "attempt failed"),
    }
}

pub(crate) fn log_disk(outcome: Result<Result<(), Error>, tokio::task::JoinError>) {
    match outcome {
        Ok(Ok(()) | Err(Error::Removed)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "state folder"),
        Err(error) => tracing::warn!(%error, "state folder"),
    }
}
