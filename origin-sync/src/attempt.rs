//! One attempt at one upstream: SOA, IXFR, AXFR as needed; then to disk; then published.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{block_in_place, spawn_blocking};
use wire::Rtype;
use zones::{Zone, ZoneSlot};

use crate::client::{Fetched, Session, TimeLimits, Transport};
use crate::copy::Copy;
use crate::error::{Advice, Error};
use crate::held::Release;
use crate::keep::{Keep, Made, SMALL_RECORDS_MAX};
use crate::machine::{self, Want};
use crate::peers::Path;
use crate::pool::Pool;
use crate::serial::{self, Order};
use crate::settings::{Upstream, ZoneSettings};
use crate::signatures::Checked;
use crate::store::{Compaction, ZoneStore};
use crate::transfer::Answer;
use crate::validate::TimesChange;

/// All that an attempt needs; it shares nothing else with the rest of the program.
pub(crate) struct Job {
    pub(crate) settings: Arc<ZoneSettings>,
    pub(crate) upstream: Upstream,
    pub(crate) attempt: machine::Attempt,
    /// Whether differences are asked for.
    pub(crate) differences: bool,
    pub(crate) base: Option<Arc<Zone>>,
    /// Whether that is known to pass what the next copy has to pass.
    pub(crate) base_checked: bool,
    /// Taken while a large zone is hashed, or its signatures are verified.
    pub(crate) checks: Arc<Semaphore>,
    pub(crate) slot: Arc<ZoneSlot>,
    pub(crate) store: Arc<ZoneStore>,
    pub(crate) pool: Arc<Pool>,
    /// What becomes of a new copy.
    pub(crate) then: Then,
}

/// What an attempt does with a new copy.
pub(crate) enum Then {
    /// It is published.
    Publish,
    /// It is held: the node's input is delayed.
    Hold,
    /// Nothing is fetched, since a copy is held already.
    Leave,
    /// Nothing is asked: a copy that was held is published.
    Release(Box<Made>, u64),
}

/// How an attempt went.
pub(crate) struct Report {
    pub(crate) took: Duration,
    /// The origin's serial, as far as the attempt got to know it.
    pub(crate) serial: Option<u32>,
    /// What was asked for last, and how.
    pub(crate) question: Rtype,
    pub(crate) transport: Transport,
    /// How long the origin's own copy is good for, as far as it said so (RFC 7314).
    pub(crate) expire_s: Option<u32>,
    /// The nodes that the origin's copy came through.
    pub(crate) path: Arc<Path>,
    /// What the last transfer brought.
    pub(crate) fetched: Option<Fetched>,
    /// Whether differences were given up for a whole transfer, and why.
    pub(crate) fallback: Option<Error>,
    pub(crate) outcome: Result<Outcome, Error>,
}

impl Report {
    /// For an attempt that did not come to its end.
    pub(crate) fn broken(error: &tokio::task::JoinError) -> Report {
        let outcome = Err(if error.is_cancelled() { Error::Removed } else { Error::Internal(error.to_string()) });
        Report { outcome, ..Report::new() }
    }

    fn new() -> Report {
        Report {
            took: Duration::ZERO,
            serial: None,
            question: Rtype::SOA,
            transport: Transport::Udp,
            expire_s: None,
            path: Arc::default(),
            fetched: None,
            fallback: None,
            outcome: Ok(Outcome::UpToDate),
        }
    }
}

/// What a successful attempt did.
pub(crate) enum Outcome {
    /// The origin has what we have.
    UpToDate,
    /// A new copy is on disk and published.
    Updated {
        zone: Arc<Zone>,
        whole: bool,
        compaction: Option<Compaction>,
        /// What was verified of it.
        checked: Checked,
        /// The signatures that came and went with differences.
        times: TimesChange,
    },
    /// A new copy is there and verified; it waits for its time.
    Held(Box<Made>),
}

impl Outcome {
    /// Whether a new copy came whole, rather than as differences.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Outcome::UpToDate => false,
            Outcome::Updated { whole, .. } => *whole,
            Outcome::Held(made) => made.is_whole(),
        }
    }
}

/// What the origin said.
enum Step {
    UpToDate,
    /// Nothing newer than a serial lower than ours.
    Lower(u32),
    Next(Outcome),
}

impl Job {
    /// Runs the attempt to its end.
    pub(crate) async fn run(mut self) -> Report {
        let started = Instant::now();
        let mut report = Report::new();
        report.outcome = match std::mem::replace(&mut self.then, Then::Publish) {
            Then::Release(made, confirmed_unix_s) => Release { keep: self.keep(), made, confirmed_unix_s }.run().await,
            then => {
                self.then = then;
                self.work(&mut report).await
            }
        };
        report.took = started.elapsed();
        report
    }

    async fn work(&self, report: &mut Report) -> Result<Outcome, Error> {
        let have = self.base.as_ref().map(|zone| zone.serial());
        let apex = self.settings.apex.to_name();
        let session = &mut Session::new(&self.upstream, &apex, &self.pool);
        let want = if matches!(self.then, Then::Leave) { Want::Check } else { self.attempt.want };
        let step = match (want, have) {
            (Want::Whole, _) | (_, None) => self.fetch_whole(session, report).await?,
            (Want::Differences, Some(have)) => self.fetch_newer(have, session, report).await?,
            (Want::Check | Want::Release, Some(have)) => {
                let (answer, transport) = session.query_soa().await?;
                let theirs = answer.soa.serial;
                (report.serial, report.transport, report.expire_s) = (Some(theirs), transport, answer.expire_s);
                match serial::compare(theirs, have) {
                    Order::Same => Step::UpToDate,
                    Order::Newer if matches!(self.then, Then::Leave) => Step::UpToDate,
                    Order::Newer => self.fetch_newer(have, session, report).await?,
                    Order::Older => Step::Lower(theirs),
                }
            }
        };
        report.path = session.path();
        match step {
            Step::UpToDate => Ok(Outcome::UpToDate),
            Step::Next(outcome) => Ok(outcome),
            Step::Lower(_) if self.attempt.any_serial && matches!(self.then, Then::Leave) => Ok(Outcome::UpToDate),
            Step::Lower(_) if self.attempt.any_serial => match self.fetch_whole(session, report).await? {
                Step::Next(outcome) => {
                    report.path = session.path();
                    Ok(outcome)
                }
                _ => Err(Error::NoSoa { question: Rtype::AXFR, apex: Box::new(self.settings.apex.to_name()) }),
            },
            Step::Lower(theirs) => Err(Error::LowerSerial { ours: have.unwrap_or_default(), theirs }),
        }
    }

    /// Differences if they are wanted and of use, else the whole zone.
    async fn fetch_newer(&self, have: u32, session: &mut Session<'_>, report: &mut Report) -> Result<Step, Error> {
        if !self.differences {
            return self.fetch_whole(session, report).await;
        }
        match self.fetch((Rtype::IXFR, Some(have)), session, report).await {
            Err(error) if error.advice(Rtype::IXFR) == Advice::FetchWhole => {
                report.fallback = Some(error);
                self.fetch_whole(session, report).await
            }
            outcome => outcome,
        }
    }

    async fn fetch_whole(&self, session: &mut Session<'_>, report: &mut Report) -> Result<Step, Error> {
        self.fetch((Rtype::AXFR, None), session, report).await
    }

    async fn fetch(
        &self,
        (question, have): (Rtype, Option<u32>),
        session: &mut Session<'_>,
        report: &mut Report,
    ) -> Result<Step, Error> {
        (report.question, report.transport) = (question, session.transport());
        let times = TimeLimits { duration_max: self.settings.duration_max(), idle_max: self.settings.idle_max() };
        let limits = self.settings.limits();
        let mut copy = Copy::new(self.settings.apex.to_name(), question, limits);
        let fetched = session.fetch((question, have), limits, times, &mut copy).await?;
        (report.serial, report.fetched) = (Some(fetched.serial), Some(fetched));
        report.expire_s = fetched.expire_s.or(report.expire_s);
        if let Answer::NothingNewer { serial } = fetched.answer {
            return Ok(if Some(serial) == have { Step::UpToDate } else { Step::Lower(serial) });
        }
        // An AXFR may bring a lower serial than that of a copy which is still good.
        if let Some(ours) = self.base.as_ref().map(|zone| zone.serial())
            && !self.attempt.any_serial
            && serial::compare(fetched.serial, ours) == Order::Older
        {
            return Ok(Step::Lower(fetched.serial));
        }
        let (keep, expire_s, hold) = (self.keep(), report.expire_s, matches!(self.then, Then::Hold));
        let make = move || {
            let made = keep.make(copy)?;
            if hold {
                return Ok(Outcome::Held(Box::new(made)));
            }
            let confirmed_unix_s = keep.settings.confirmed_unix_s(made.zone(), expire_s);
            keep.publish(made, confirmed_unix_s)
        };
        let records = fetched.records.max(self.base.as_ref().map_or(0, |base| base.record_count()));
        let heavy = records > SMALL_RECORDS_MAX && self.keep().checks_all(fetched.answer == Answer::Whole);
        let _permit = if heavy { self.checks.acquire().await.ok() } else { None };
        if fetched.answer == Answer::Differences && !heavy {
            // Here and now: another thread's waking up would be the greater part of the delay.
            return block_in_place(make).map(Step::Next);
        }
        let work = spawn_blocking(make);
        work.await.map_err(|error| Error::Internal(error.to_string()))?.map(Step::Next)
    }

    fn keep(&self) -> Keep {
        Keep {
            base: self.base.clone(),
            slot: Arc::clone(&self.slot),
            store: Arc::clone(&self.store),
            settings: Arc::clone(&self.settings),
            base_checked: self.base_checked,
        }
    }
}
