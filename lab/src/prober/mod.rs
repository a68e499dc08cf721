//! Asks a service all the time, from every region: so and so many queries a second at an even pace, whatever comes back,
//! as clients do that know nothing of each other. Who answered, how fast, and what was lost is kept as [`Record`]s.
//!
//! A region has one thread, which does nothing but ask and listen. What it could not do in time is in the record, too:
//! a figure is no better than the clock that it was taken with.

mod asker;
mod record;

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{LabError, Namespace, Rtype, until};
use asker::Asker;
use record::Store;

pub use record::{Gap, Lateness, Outcome, PROBES_KEPT_MAX, Probe, Record, Slice, quantile};

/// What is not answered after this time counts as lost.
pub const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// Two queries of a region are so far apart unless told otherwise: 200 a second.
pub const INTERVAL: Duration = Duration::from_millis(5);

/// Between two looks at what has been answered: looking costs time that the askers need.
const LOOK_PAUSE: Duration = Duration::from_millis(15);

/// A region: where it asks from, and whom.
#[derive(Clone)]
pub struct Region {
    /// Its name in the record.
    pub name: String,
    /// Where its clients are.
    pub namespace: Namespace,
    /// The service's addresses, asked in turn.
    pub addresses: Vec<IpAddr>,
}

/// What is asked, how often, and what is a good answer.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name.
    pub name: String,
    /// The type.
    pub rtype: Rtype,
    /// Between two queries of a region.
    pub interval: Duration,
    /// What is a good answer at the start.
    pub expected: Expected,
}

impl Question {
    /// The SOA of `zone`, 200 times a second; any serial will do.
    pub fn soa(zone: &str) -> Question {
        Question { name: zone.to_owned(), rtype: Rtype::SOA, interval: INTERVAL, expected: Expected::Anything }
    }
}

/// What is a good answer, beside that it is authoritative, NOERROR and has a record of the type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Any.
    Anything,
    /// The SOA has this serial or a later one; with an older one the answer is stale.
    SerialFrom(u32),
    /// This address is among the answers; without it the answer is stale.
    Address(IpAddr),
}

/// The threads that ask. Dropping it ends them.
pub struct Prober {
    begun: Instant,
    regions: Vec<Asking>,
    stop: Arc<AtomicBool>,
    expected: Arc<Mutex<Expected>>,
}

struct Asking {
    store: Arc<Mutex<Store>>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    /// Begin to ask from all of the regions.
    pub fn start(regions: &[Region], question: &Question) -> Result<Prober, LabError> {
        let begun = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let expected = Arc::new(Mutex::new(question.expected));
        let mut prober =
            Prober { begun, regions: Vec::new(), stop: Arc::clone(&stop), expected: Arc::clone(&expected) };
        for (number, region) in (0_u32..).zip(regions) {
            let store = Arc::new(Mutex::new(Store::new(region, question)));
            // Not all at the same moment.
            let first = begun + question.interval * number / regions.len().max(1) as u32;
            let asker = Asker::new(region, question, (begun, first), &store, &expected)?;
            let stop = Arc::clone(&stop);
            let name = format!("prober-{}", region.name);
            let thread = thread::Builder::new().name(name).spawn(move || asker.run(&stop));
            let thread = thread.map_err(LabError::io("starting a thread that asks"))?;
            prober.regions.push(Asking { store, thread: Some(thread) });
        }
        Ok(prober)
    }

    /// When it began: the zero of all times in the record.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The time of the record, in µs since the start.
    pub fn now_us(&self) -> u64 {
        record::micros(self.begun.elapsed())
    }

    /// From now on this is a good answer. What has been sent already is judged by what was good then.
    pub fn expect(&self, expected: Expected) {
        *lock(&self.expected) = expected;
    }

    /// What each region has asked since `from_us` and before `until_us`, as far as it is known now: see
    /// [`Prober::decided`]. Only the last [`PROBES_KEPT_MAX`] of a region are kept.
    pub fn records(&self, from_us: u64, until_us: u64) -> Vec<Record> {
        self.regions.iter().map(|region| lock(&region.store).between(from_us, until_us)).collect()
    }

    /// The same, waiting until all that was asked is answered or lost; that is at most [`ANSWER_WAIT`] after `until_us`.
    pub fn decided(&self, from_us: u64, until_us: u64) -> Result<Vec<Record>, LabError> {
        let left = Duration::from_micros(until_us.saturating_sub(self.now_us()));
        until("the outcome of all queries", left + 3 * ANSWER_WAIT, || {
            let records = self.records(from_us, until_us);
            let all = self.now_us() >= until_us && records.iter().all(Record::is_decided);
            all.then_some(records)
        })
    }

    /// Wait until each region has been answered well, without a loss, for `steady`; gives who answered the last of it,
    /// for each region.
    pub fn wait_until_answered(&self, steady: Duration, deadline: Duration) -> Result<Vec<Vec<String>>, LabError> {
        self.wait_for("answers to all regions", steady, deadline, |_| true)
    }

    /// The same, until `condition` holds for what was seen during that time, too.
    pub fn wait_for(
        &self,
        what: &str,
        steady: Duration,
        deadline: Duration,
        condition: impl Fn(&[Vec<String>]) -> bool,
    ) -> Result<Vec<Vec<String>>, LabError> {
        let steady_us = record::micros(steady);
        let mut last = Vec::new();
        until(what, deadline, || {
            let now = self.now_us();
            let records = self.records(now.saturating_sub(steady_us + 2 * record::FLIGHT_US_MAX), u64::MAX);
            last = records.iter().map(|record| record.last_steady(steady_us)).collect();
            let all: Option<Vec<Vec<String>>> = last.iter().cloned().collect();
            let found = all.filter(|seen| now >= steady_us && condition(seen));
            if found.is_none() {
                thread::sleep(LOOK_PAUSE);
            }
            found
        })
        .map_err(|error| match error {
            LabError::NotReady { what, waited, .. } => {
                LabError::NotReady { what, waited, details: format!("; last answered by {last:?}") }
            }
            other => other,
        })
    }

    /// End it, and give all that is kept.
    pub fn stop(mut self) -> Vec<Record> {
        self.end();
        self.records(0, u64::MAX)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for region in &mut self.regions {
            if let Some(thread) = region.thread.take() {
                // Its panic was printed; what it has recorded stays.
                let _ = thread.join();
            }
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
