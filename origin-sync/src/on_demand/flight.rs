//! One question in flight: who waits for it, and which upstreams were asked.

use std::time::Duration;

use super::budget::Purpose;
use super::questions::Key;
use super::zone::Transport;

/// How an upstream did with this question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// It was asked and has not answered, so many times.
    pub(super) silent: u8,
    /// It is being asked.
    pub(super) asked: bool,
    /// It answered what is of no use.
    pub(super) unfit: bool,
    /// It wanted a cookie.
    pub(super) cookie: bool,
}

/// A question in flight; `W` is who waits, `A` an answer.
#[derive(Debug)]
pub(super) struct Flight<W, A> {
    pub(super) key: Key,
    pub(super) purpose: Purpose,
    pub(super) waiters: Vec<W>,
    /// What may be given when the origins are slow or fail.
    pub(super) stale: Option<A>,
    /// When those who wait have waited long enough.
    pub(super) wait_due: Option<Duration>,
    /// Waiters were given the stale answer: whoever comes now does not wait either.
    pub(super) stale_given: bool,
    /// When another upstream is asked as well.
    pub(super) hedge_due: Option<Duration>,
    /// When it is given up.
    pub(super) deadline: Duration,
    pub(super) marks: Vec<Mark>,
    /// Tries that have not ended.
    pub(super) running: u32,
    /// Tries so far.
    pub(super) tries: u32,
    /// Somebody answered, although not with an answer.
    pub(super) heard: bool,
    /// An error that may be passed on.
    pub(super) error: Option<A>,
    /// Counts beginnings: what was asked before the last one is not its answer.
    pub(super) round: u32,
}

impl<W, A> Flight<W, A> {
    pub(super) fn new(key: Key, purpose: Purpose, upstreams: usize, deadline: Duration) -> Flight<W, A> {
        Flight {
            key,
            purpose,
            waiters: Vec::new(),
            stale: None,
            wait_due: None,
            stale_given: false,
            hedge_due: None,
            deadline,
            marks: vec![Mark::default(); upstreams],
            running: 0,
            tries: 0,
            heard: false,
            error: None,
            round: 0,
        }
    }

    /// Begins anew: what was asked before counts no more.
    pub(super) fn restart(&mut self, upstreams: usize, deadline: Duration) {
        self.marks = vec![Mark::default(); upstreams];
        (self.stale, self.stale_given, self.hedge_due) = (None, false, None);
        (self.running, self.tries, self.heard, self.error) = (0, 0, false, None);
        self.deadline = deadline;
        self.round += 1;
    }

    /// When the clock has something to do for it.
    pub(super) fn due(&self) -> Duration {
        self.wait_due.into_iter().chain(self.hedge_due).fold(self.deadline, Duration::min)
    }

    /// Whether an upstream may be asked (again).
    pub(super) fn may_ask(&self, upstream: usize, again: bool) -> bool {
        self.marks.get(upstream).is_some_and(|mark| !mark.asked && !mark.unfit && (mark.silent > 0) == again)
    }
}

/// A try that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) flight: u64,
    pub(super) round: u32,
    pub(super) zone: u64,
    pub(super) epoch: u32,
    pub(super) upstream: usize,
    pub(super) way: super::zone::Way,
    pub(super) transport: Transport,
    pub(super) sent: Duration,
}
