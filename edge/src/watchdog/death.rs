//! A message that killed who answered it: contained, kept away from then on, and reported.

use std::{
    any::Any,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};

use filters::{Filters, Quarantining};
use zones::Zones;

use super::desk::{Stage, Taken};
use crate::{clock::filter_time, stats::Transport};

/// Reports a second: of more, those in between are only counted. An attacker must not have us write without end.
const REPORTS_PER_S_MAX: u64 = 50;
const REPORT_INTERVAL_US: u64 = 1_000_000 / REPORTS_PER_S_MAX;
/// So many may come at once.
const REPORTS_AT_ONCE_US: u64 = 1_000_000;

/// How a message killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeathKind {
    /// The answering panicked.
    Panic,
    /// The answering did not end.
    Hang,
}

impl DeathKind {
    /// Both.
    pub const ALL: [DeathKind; 2] = [DeathKind::Panic, DeathKind::Hang];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            DeathKind::Panic => "panic",
            DeathKind::Hang => "hang",
        }
    }
}

/// A message that killed who answered it.
#[derive(Clone, Debug)]
pub struct Death {
    /// How.
    pub kind: DeathKind,
    /// The message; empty if it is not known which one it was.
    pub message: Vec<u8>,
    /// Whether it had been read: else it was reading it that killed.
    pub readable: bool,
    /// Who sent it, if that is known.
    pub source: Option<SocketAddr>,
    /// How it came.
    pub transport: Transport,
    /// The thread that it killed.
    pub lane: String,
    /// When.
    pub at: SystemTime,
    /// What the panic said; for a hang how long it has lasted.
    pub why: String,
    /// What is dropped from now on.
    pub quarantining: Quarantining,
}

/// Is told of deaths; implemented by whoever writes them down and raises the alarm.
pub trait DeathHandler: Send + Sync {
    /// A message killed who answered it; the edge has dealt with it. Called on a lane's thread: it must not wait.
    fn died(&self, death: Death);

    /// So many threads hang that the edge cannot go on: the process has to be started anew. Called once, and must not wait.
    fn given_up(&self, why: &str);
}

/// What all lanes do about deaths.
pub(crate) struct Deaths {
    filters: Arc<Filters>,
    zones: Arc<Zones>,
    handler: Option<Arc<dyn DeathHandler>>,
    /// By kind.
    counts: [AtomicU64; 2],
    replaced: AtomicU64,
    /// When the next report would be in time, on the filters' clock.
    report_due_us: AtomicU64,
}

impl Deaths {
    pub(crate) fn new(filters: Arc<Filters>, zones: Arc<Zones>, handler: Option<Arc<dyn DeathHandler>>) -> Deaths {
        let (counts, replaced, report_due_us) = Default::default();
        Deaths { filters, zones, handler, counts, replaced, report_due_us }
    }

    /// How many there have been.
    pub(crate) fn count(&self, kind: DeathKind) -> u64 {
        self.counts.get(kind as usize).map_or(0, |count| count.load(Relaxed))
    }

    /// Lanes whose thread was replaced.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced.load(Relaxed)
    }

    pub(crate) fn count_replaced(&self) {
        self.replaced.fetch_add(1, Relaxed);
    }

    /// Keeps the like of a message away from now on, and reports it.
    pub(crate) fn report(&self, kind: DeathKind, lane: &str, stage: Stage, taken: Option<Taken>, why: String) {
        if let Some(count) = self.counts.get(kind as usize) {
            count.fetch_add(1, Relaxed);
        }
        let reported = self.may_report(filter_time().us());
        if kind == DeathKind::Panic && !reported {
            return;
        }
        let readable = stage == Stage::Answering;
        let quarantining = taken.as_ref().map(|taken| {
            let zones = self.zones.load();
            let inside = |name: wire::NameRef<'_>| {
                zones.find(name, wire::Rtype::A).is_some_and(|slot| !slot.apex().eq_ignore_case(name))
            };
            self.filters.quarantine(&taken.message, readable, &inside, filter_time())
        });
        let death = Death {
            kind,
            readable,
            source: taken.as_ref().map(|taken| taken.peer),
            transport: taken.as_ref().map_or(Transport::Udp, |taken| taken.transport),
            message: taken.map_or(Vec::new(), |taken| taken.message),
            lane: lane.to_owned(),
            at: SystemTime::now(),
            why,
            quarantining: quarantining.unwrap_or_default(),
        };
        if let Some(handler) = &self.handler {
            // Whoever is told of a death must not be the next one to die of it.
            let _ = catch_unwind(AssertUnwindSafe(|| handler.died(death)));
        }
    }

    pub(crate) fn give_up(&self, why: &str) {
        if let Some(handler) = &self.handler {
            let _ = catch_unwind(AssertUnwindSafe(|| handler.given_up(why)));
        }
    }

    fn may_report(&self, now_us: u64) -> bool {
        let due = self.report_due_us.load(Relaxed).max(now_us);
        let in_time = due - now_us <= REPORTS_AT_ONCE_US;
        if in_time {
            self.report_due_us.store(due + REPORT_INTERVAL_US, Relaxed);
        }
        in_time
    }
}

/// Does something that a message may make panic. What it was given is to stay sound if it stops anywhere in between.
pub(crate) fn contain<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| words_of(&*payload))
}

/// Does something for each of so many messages. One that panics costs itself alone; `died` is told which.
#[inline]
pub(crate) fn contain_each(count: usize, mut work: impl FnMut(usize), mut died: impl FnMut(usize, String)) {
    let mut next = 0;
    while next < count {
        let done = contain(|| {
            while next < count {
                next += 1;
                work(next - 1);
            }
        });
        if let Err(why) = done {
            died(next - 1, why);
        }
    }
}

/// What a panic said.
fn words_of(payload: &(dyn Any + Send)) -> String {
    let words = payload.downcast_ref::<&str>().copied();
    let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    words.unwrap_or("it panicked without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_panics_costs_itself_alone() {
        let (mut done, mut died) = (Vec::new(), Vec::new());
        let work = |index: usize| {
            assert_ne!(index % 3, 0, "number {index}");
            done.push(index);
        };
        contain_each(8, work, |index, why| died.push((index, why)));
        assert_eq!(done, [1, 2, 4, 5, 7]);
        assert_eq!(died.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 3, 6]);
        assert!(died[1].1.contains("number 3"), "{}", died[1].1);
        contain_each(0, |_| panic!("of nothing"), |_, _| ());
    }

    #[test]
    fn reports_are_bounded_and_deaths_are_counted() {
        let filters = Arc::new(Filters::new(&config::Defences::default(), [1, 2]));
        let deaths = Deaths::new(filters, Arc::default(), None);
        let reported = (0..1000).filter(|_| deaths.may_report(7_000_000)).count() as u64;
        assert_eq!(reported, REPORTS_PER_S_MAX + 1);
        assert!(!deaths.may_report(7_010_000) && deaths.may_report(7_030_000));
        for _ in 0..200 {
            deaths.report(DeathKind::Panic, "udp-0", Stage::Answering, None, String::new());
        }
        assert_eq!((deaths.count(DeathKind::Panic), deaths.count(DeathKind::Hang)), (200, 0));
    }
}
