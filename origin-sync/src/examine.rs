//! Looks at copies in the background, one at a time: those from disk after a start, and those that came whole. It counts
//! when their signatures die, and verifies what was never verified. Nothing waits for it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use zones::Zone;

use crate::entry::Entry;
use crate::error::Error;
use crate::keep::dnssec_check;
use crate::notify::unix_now_s;
use crate::service::Service;
use crate::settings::ZoneSettings;
use crate::signatures::{Checked, Examined};
use crate::status::CheckResult;
use crate::validate::SignatureTimes;

/// How often the service looks whether signatures come near their end.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The zone of an examination, and what it found unless it was cut short.
type Ended = (u64, Option<Examined>);

/// Zones that wait to be examined, and the one that is.
pub(crate) struct Examinations {
    waiting: VecDeque<u64>,
    queued: HashSet<u64>,
    running: bool,
    results: (mpsc::Sender<Ended>, mpsc::Receiver<Ended>),
    looked: Instant,
}

impl Examinations {
    pub(crate) fn new() -> Examinations {
        let (waiting, queued, running) = (VecDeque::new(), HashSet::new(), false);
        Examinations { waiting, queued, running, results: mpsc::channel(1), looked: Instant::now() }
    }

    /// Queues a zone if its copy should be looked at.
    pub(crate) fn want(&mut self, zone: u64, entry: &Entry) {
        let validate = entry.settings.config.dnssec.validate;
        let wants = entry.zone.as_ref().is_some_and(|copy| entry.signatures.wants(copy, validate));
        if wants && self.queued.insert(zone) {
            self.waiting.push_back(zone);
        }
    }

    /// Waits for the end of the one that runs.
    pub(crate) async fn ended(&mut self) -> Option<Ended> {
        self.results.1.recv().await
    }
}

impl Service {
    /// Starts the next examination, unless one runs.
    pub(crate) fn start_examination(&mut self) {
        while !self.examinations.running
            && let Some(zone) = self.examinations.waiting.pop_front()
        {
            self.examinations.queued.remove(&zone);
            let Some(entry) = self.entries.get_mut(&zone) else {
                continue;
            };
            let validate = entry.settings.config.dnssec.validate;
            let Some(copy) = entry.zone.clone().filter(|copy| entry.signatures.wants(copy, validate)) else {
                continue;
            };
            let validate = validate && entry.signatures.checked().dnssec.is_none();
            entry.signatures.begin();
            self.examinations.running = true;
            let (settings, results) = (Arc::clone(&entry.settings), self.examinations.results.0.clone());
            let checks = Arc::clone(&self.checks);
            tokio::spawn(async move {
                let _permit = checks.acquire().await;
                let examined = spawn_blocking(move || examine(&copy, &settings, validate)).await.ok();
                let _ = results.send((zone, examined)).await;
            });
        }
    }

    /// Takes what an examination found.
    pub(crate) fn examined(&mut self, zone: u64, examined: Option<Examined>) {
        self.examinations.running = false;
        let now = self.now();
        let Some(entry) = self.entries.get_mut(&zone) else {
            return;
        };
        let (Some(examined), Some(copy)) = (examined, &entry.zone) else {
            return;
        };
        if let Some(error) = &examined.error {
            let (zone, serial) = (&entry.settings.name, examined.serial);
            tracing::error!(%zone, serial, %error, "the copy that is served does not pass; it is kept, being the last one");
        }
        entry.signatures.end(examined, copy.serial());
        self.examinations.want(zone, entry);
        entry.refresh_record(now);
        self.parts.board.put(&entry.settings.name, &entry.record);
        tell_of_dying(entry);
    }

    /// Tells of signatures that come near their end, every so often.
    pub(crate) fn look_at_signatures(&mut self) {
        if self.examinations.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.examinations.looked = Instant::now();
        self.entries.values_mut().for_each(tell_of_dying);
    }
}

fn tell_of_dying(entry: &mut Entry) {
    let now_unix_s = unix_now_s();
    let margin_s = entry.settings.config.dnssec.expiry_margin_s;
    let zone = &entry.settings.name;
    match entry.signatures.dying(now_unix_s, margin_s).map(|first| first.checked_sub(now_unix_s)) {
        Some(Some(left_s)) => {
            tracing::warn!(%zone, left_s, "a signature will expire soon: the origin does not sign anew")
        }
        Some(None) => tracing::error!(%zone, "a signature has expired: validating resolvers answer SERVFAIL"),
        None => {}
    }
}

fn examine(zone: &Zone, settings: &ZoneSettings, validate: bool) -> Examined {
    let times = SignatureTimes::of(zone);
    let outcome = validate.then(|| dnssec_check(settings).whole(zone).map_err(Error::from));
    let dnssec = outcome.as_ref().map(|outcome| match outcome {
        Ok(()) => CheckResult::Verified,
        Err(_) => CheckResult::Broken,
    });
    let error = outcome.and_then(Result::err).map(|error| Arc::from(error.to_string()));
    let checked = dnssec.map(|dnssec| Checked { zonemd: None, dnssec: Some(dnssec) });
    Examined { serial: zone.serial(), times, checked, error }
}
