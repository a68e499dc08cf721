//! Sees to it that every lane has a thread that answers: one that hangs in a message, or has ended, is replaced.
//!
//! ```text
//! lane thread ── what it is at ──> Desk <── looks every 50 ms ── watchdog thread ──┬─> health: `edge`
//!      │ panics in a message: contained, reported            hangs: reported ──────┤
//!      └──────────────> Deaths: quarantine, report <─────────────────┘             └─> a new thread, a new desk
//! ```
//!
//! A thread that hangs cannot be ended from outside. It is told to end should it ever come back, gets what processor time
//! nobody else wants, and its sockets are served by its successor. Only so many may hang before the process has to go.

mod death;
mod desk;
mod thread_state;

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use health::{Report, State};
use rustix::process::{Pid, setpriority_process};
use tokio::sync::watch;

use crate::{clock::filter_time, stats::Counters, tcp::Phase};
pub use death::{Death, DeathHandler, DeathKind};
pub(crate) use death::{Deaths, contain, contain_each};
pub(crate) use desk::{Desk, Stage, Taken};
use thread_state::{Progress, ThreadTime};

/// How often the watchdog looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How often while the lanes stop.
const STOPPING_INTERVAL: Duration = Duration::from_millis(2);
/// A thread that is at the same message for so long hangs.
const HANG: Duration = Duration::from_millis(500);
/// From then on it is looked at how much processor time it gets: one that gets none does not hang.
const HANG_SUSPECTED: Duration = Duration::from_millis(200);
/// Nobody waits longer than this for processor time.
const STARVED_MAX: Duration = Duration::from_secs(5);
/// How often the edge says how it is.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);
/// A lane that has not come back to wait for queries for so long is stuck, though not in a message.
const SILENT_MAX: Duration = Duration::from_secs(2);
/// Threads that may hang at a time, and lanes that may be given new threads within [`REPLACED_WITHIN`].
const REPLACED_MAX: usize = 16;
const REPLACED_WITHIN: Duration = Duration::from_secs(600);
/// How long threads may take to end, beyond the grace of their connections.
const STOP_MARGIN: Duration = Duration::from_secs(2);
/// What hangs has the processor only when nobody else wants it.
const NICE_MAX: i32 = 19;

/// What a lane's thread does.
pub(crate) type Work = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// A lane: what makes the work of a thread of it, with the desk it sits at.
pub(crate) struct Lane {
    pub(crate) name: String,
    /// Called for its first thread and for every one that takes over.
    pub(crate) hire: Box<dyn Fn(Arc<Desk>) -> io::Result<Work> + Send>,
    /// Called with the desk of a thread that is lost.
    pub(crate) lose: Box<dyn Fn(&Desk) + Send>,
    /// Counts how often it comes back to wait, if it does so several times a second.
    pub(crate) wakes: Option<Arc<Counters>>,
}

/// A lane with its thread.
struct Post {
    lane: Lane,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// What it was at when that last changed.
    turn: u64,
    unchanged: Duration,
    suspected: Option<ThreadTime>,
    wakes: u64,
    silent: Duration,
}

/// The watchdog, before its thread runs.
pub(crate) struct Watchdog {
    posts: Vec<Post>,
    deaths: Arc<Deaths>,
    filters: Arc<filters::Filters>,
    health: health::Publisher,
    phase: watch::Receiver<Phase>,
    /// Threads that hang, or hung and have not ended yet.
    hung: Vec<JoinHandle<io::Result<()>>>,
    replaced: VecDeque<Instant>,
    given_up: Option<String>,
    /// Set while reading a batch hung somebody: from then on it is said which message is read.
    careful: bool,
}

impl Post {
    fn man(lane: Lane) -> io::Result<Post> {
        let (desk, thread) = lane.start(false)?;
        let (turn, unchanged, suspected, wakes, silent) = Default::default();
        Ok(Post { lane, desk, thread: Some(thread), turn, unchanged, suspected, wakes, silent })
    }

    fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Looks at the desk; says whether the thread hangs, and for how long it has.
    fn look(&mut self, passed: Duration) -> Option<Duration> {
        let wakes = self.lane.wakes.as_ref().map_or(0, |counters| counters.wakes());
        let silent = self.lane.wakes.is_some() && wakes == self.wakes;
        self.silent = if silent { self.silent + passed } else { Duration::ZERO };
        self.wakes = wakes;
        let (turn, stage) = self.desk.turn();
        if turn != self.turn || stage == Stage::Elsewhere {
            (self.turn, self.unchanged, self.suspected) = (turn, Duration::ZERO, None);
            return None;
        }
        self.unchanged += passed;
        if self.unchanged < HANG_SUSPECTED {
            return None;
        }
        let since = *self.suspected.get_or_insert_with(|| ThreadTime::read(self.desk.thread()));
        let hangs = self.unchanged >= STARVED_MAX
            || self.unchanged >= HANG && since.progress(self.desk.thread()) != Progress::Starved;
        // It may have come back just now.
        (hangs && self.desk.turn().0 == turn).then_some(self.unchanged)
    }
}

impl Lane {
    fn start(&self, careful: bool) -> io::Result<(Arc<Desk>, JoinHandle<io::Result<()>>)> {
        let desk = Arc::new(Desk::new(careful));
        let work = (self.hire)(Arc::clone(&desk))?;
        let own = Arc::clone(&desk);
        let thread = thread::Builder::new().name(self.name.clone()).spawn(move || {
            own.sit_down();
            let done = work();
            own.turn_to(Stage::Elsewhere);
            done
        })?;
        Ok((desk, thread))
    }
}

impl Watchdog {
    /// Gives every lane its thread.
    ///
    /// # Errors
    /// What the system says about the first thread that cannot be made. Those that were made go on: who calls stops them.
    pub(crate) fn new(
        lanes: Vec<Lane>,
        deaths: Arc<Deaths>,
        filters: Arc<filters::Filters>,
        health: health::Publisher,
        phase: watch::Receiver<Phase>,
    ) -> io::Result<Watchdog> {
        let posts = lanes.into_iter().map(Post::man).collect::<io::Result<Vec<_>>>()?;
        let (hung, replaced, given_up, careful) = Default::default();
        Ok(Watchdog { posts, deaths, filters, health, phase, hung, replaced, given_up, careful })
    }

    /// Watches until the edge is to stop, then waits for the threads to end.
    pub(crate) fn run(mut self) {
        let (mut looked, mut said) = (Instant::now(), None);
        loop {
            let stopping = match *self.phase.borrow() {
                Phase::Serving => None,
                Phase::Stopping(grace) => Some(grace),
            };
            if let Some(grace) = stopping {
                return self.see_off(grace);
            }
            let now = Instant::now();
            // If this thread itself could not run, or the whole process was stopped, the others could not either.
            let passed = (now - looked).min(2 * LOOK_INTERVAL);
            looked = now;
            for index in 0..self.posts.len() {
                self.look_at(index, passed);
            }
            if said.is_none_or(|said| now - said >= HEALTH_INTERVAL) {
                said = Some(now);
                self.health.publish_report(self.judge(), now);
            }
            thread::park_timeout(LOOK_INTERVAL);
        }
    }

    fn look_at(&mut self, index: usize, passed: Duration) {
        let Some(post) = self.posts.get_mut(index) else { return };
        if post.ended() {
            let ended = post.thread.take().map(JoinHandle::join);
            let why = match ended {
                None => None,
                Some(Ok(Ok(()))) => Some("it returned".to_owned()),
                Some(Ok(Err(error))) => Some(error.to_string()),
                Some(Err(_)) => Some("it panicked where nothing is contained".to_owned()),
            };
            if let Some(why) = why {
                tracing::error!(lane = post.lane.name, why, "a lane's thread has ended");
            }
            self.replace(index);
        } else if let Some(lasts) = post.look(passed) {
            let (name, stage) = (post.lane.name.clone(), post.desk.turn().1);
            let taken = post.desk.taken();
            post.desk.retire();
            renice(post.desk.thread());
            self.careful |= stage == Stage::ReadingBatch;
            let why = format!("it had not ended after {} ms", lasts.as_millis());
            // Before anybody takes over, who may be given the same message next.
            self.deaths.report(DeathKind::Hang, &name, stage, taken, why);
            if let Some(post) = self.posts.get_mut(index) {
                self.hung.extend(post.thread.take());
            }
            self.replace(index);
        }
    }

    /// Gives a lane a new thread, unless that has happened too often.
    fn replace(&mut self, index: usize) {
        let now = Instant::now();
        self.hung.retain(|thread| !thread.is_finished());
        while self.replaced.front().is_some_and(|at| now - *at > REPLACED_WITHIN) {
            self.replaced.pop_front();
        }
        if self.given_up.is_some() {
            return;
        }
        if self.replaced.len() >= REPLACED_MAX || self.hung.len() > REPLACED_MAX {
            let why = format!(
                "{} threads of lanes were replaced within {} s, {} threads hang: the process has to be started anew",
                self.replaced.len(),
                REPLACED_WITHIN.as_secs(),
                self.hung.len()
            );
            self.deaths.give_up(&why);
            self.health.publish_report(Report::hard(State::Down, why.as_str()), now);
            self.given_up = Some(why);
            return;
        }
        let Some(post) = self.posts.get_mut(index) else { return };
        self.replaced.push_back(now);
        (post.lane.lose)(&post.desk);
        match post.lane.start(self.careful) {
            Ok((desk, thread)) => {
                (post.desk, post.thread) = (desk, Some(thread));
                (post.turn, post.unchanged, post.suspected) = Default::default();
                self.deaths.count_replaced();
            }
            // It is tried again at the next look.
            Err(error) => tracing::error!(lane = post.lane.name, %error, "a lane gets no new thread"),
        }
    }

    /// How the lanes are.
    fn judge(&self) -> Report {
        if let Some(why) = &self.given_up {
            return Report::hard(State::Down, why.as_str());
        }
        let lanes = self.posts.len();
        let stuck = self.posts.iter().filter(|post| post.thread.is_none() || post.silent >= SILENT_MAX).count();
        let all = self.posts.iter().filter(|post| post.lane.wakes.is_some()).count();
        match stuck {
            0 => self.judge_deaths(),
            stuck if stuck < all => Report::soft(State::Degraded, format!("{stuck} of {lanes} lanes are stuck")),
            _ => Report::hard(State::Down, format!("{stuck} of {lanes} lanes are stuck")),
        }
    }

    /// Whether a query of death is kept away right now: the node answers, but somebody has to know.
    fn judge_deaths(&self) -> Report {
        let quarantined = self.filters.quarantined(filter_time());
        let [panics, hangs] = DeathKind::ALL.map(|kind| self.deaths.count(kind));
        match quarantined.last() {
            None => Report::up(),
            Some(last) => Report::hard(
                State::Degraded,
                format!("queries kill who answers them ({panics} panics, {hangs} hangs); dropped: {}", last.like),
            ),
        }
    }

    /// Waits for the threads to end; those that hang are left behind.
    fn see_off(mut self, grace: Duration) {
        let until = Instant::now() + grace + STOP_MARGIN;
        // Nobody is hired any more, and the sockets that were kept for that go.
        for post in &mut self.posts {
            post.lane.hire = Box::new(|_| Err(io::ErrorKind::Unsupported.into()));
        }
        let mut said: Option<Instant> = None;
        loop {
            let now = Instant::now();
            if said.is_none_or(|said| now - said >= HEALTH_INTERVAL) {
                said = Some(now);
                self.health.publish_report(Report::hard(State::Draining, "the edge stops"), now);
            }
            for post in &mut self.posts {
                if post.ended()
                    && let Some(thread) = post.thread.take()
                {
                    match thread.join() {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::error!(lane = post.lane.name, %error, "a lane ended"),
                        Err(_) => tracing::error!(lane = post.lane.name, "a lane panicked"),
                    }
                }
            }
            let mut left = self.posts.iter().filter(|post| post.thread.is_some());
            match left.next() {
                None => return,
                Some(post) if now >= until => {
                    post.desk.retire();
                    left.for_each(|post| post.desk.retire());
                    return tracing::error!("not all lanes ended in time: one hangs");
                }
                Some(_) => thread::sleep(STOPPING_INTERVAL),
            }
        }
    }
}

/// Leaves the processor to others.
fn renice(thread: i32) {
    let reniced = Pid::from_raw(thread).map(|thread| setpriority_process(Some(thread), NICE_MAX));
    if let Some(Err(error)) = reniced {
        tracing::warn!(%error, "the thread that hangs keeps its priority");
    }
}
