//! What is up: published states with an expiry, so that a dead publisher reads as down.
//!
//! A service holds the [`Publisher`] and repeats its state before `lifetime` has passed; whoever acts on it (the BGP
//! speaker, the control socket) holds a [`Reader`] and decides what follows. Neither ever waits for the other, and no
//! clock is read here: `now` is a parameter.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;

/// What a service says of itself, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It does its whole job.
    Up,
    /// It works, but part of it does not: some zones have expired, some lanes are stuck.
    Degraded,
    /// It works and is about to stop: send nothing new.
    Draining,
    /// It does not work, says nothing any more, or has never said anything.
    Down,
}

impl State {
    /// The state as a metric's label and in the control socket's answers.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Degraded => "degraded",
            State::Draining => "draining",
            State::Down => "down",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a service says of itself, in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it is.
    pub state: State,
    /// Whether the node had rather not be asked, as long as enough others are: a zone that is stale, a probe that fails.
    /// What is not soft is certain: a state of [`State::Degraded`] is no reason to leave, one of [`State::Down`] always is.
    pub soft: bool,
    /// Why it is not [`State::Up`], in a line; empty when all is well.
    pub why: String,
}

impl Report {
    /// All is well.
    pub fn up() -> Report {
        State::Up.into()
    }

    /// Something that weighs no more than having too few others.
    pub fn soft(state: State, why: impl Into<String>) -> Report {
        Report { state, soft: true, why: why.into() }
    }

    /// Something certain.
    pub fn hard(state: State, why: impl Into<String>) -> Report {
        Report { state, soft: false, why: why.into() }
    }
}

impl From<State> for Report {
    fn from(state: State) -> Report {
        Report { state, soft: false, why: String::new() }
    }
}

/// What a reader finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The report: the last one, or that there is none.
    pub report: Report,
    /// Whether the publisher has fallen silent, is gone, or has not yet said anything; it reads as down, which is hard.
    pub silent: bool,
}

/// A report and its end, swapped together, so that a reader never sees one with another's words or expiry.
#[derive(Debug)]
struct Published {
    report: Report,
    expires: Duration,
}

#[derive(Debug)]
struct Cell {
    name: String,
    epoch: Instant,
    lifetime: Duration,
    /// `None` before the first and after the last publication.
    published: ArcSwapOption<Published>,
    /// Whether there ever was one.
    begun: AtomicBool,
}

/// Makes the two ends of one published state.
///
/// `name` is what the state is of, `now` becomes the epoch that the expiry counts from, and a state that is not
/// repeated within `lifetime` reads as [`State::Down`]. So does everything before the first publication.
pub fn channel(name: impl Into<String>, lifetime: Duration, now: Instant) -> (Publisher, Reader) {
    let cell = Arc::new(Cell {
        name: name.into(),
        epoch: now,
        lifetime,
        published: ArcSwapOption::empty(),
        begun: AtomicBool::new(false),
    });
    (Publisher { cell: Arc::clone(&cell) }, Reader { cell })
}

/// The end that the service holds. Dropping it reads as [`State::Down`] at once.
#[derive(Debug)]
pub struct Publisher {
    cell: Arc<Cell>,
}

impl Publisher {
    /// Says `state`, until `now` + the channel's lifetime.
    pub fn publish(&self, state: State, now: Instant) {
        self.publish_report(state.into(), now);
    }

    /// The same with all there is to say.
    pub fn publish_report(&self, report: Report, now: Instant) {
        let expires = now.saturating_duration_since(self.cell.epoch).saturating_add(self.cell.lifetime);
        self.cell.published.store(Some(Arc::new(Published { report, expires })));
        self.cell.begun.store(true, Ordering::Release);
    }

    /// How long a state lasts unless it is repeated.
    pub fn lifetime(&self) -> Duration {
        self.cell.lifetime
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.cell.published.store(None);
    }
}

/// The end that is read, by as many as want to.
#[derive(Clone, Debug)]
pub struct Reader {
    cell: Arc<Cell>,
}

impl Reader {
    /// What the state is of.
    pub fn name(&self) -> &str {
        &self.cell.name
    }

    /// The state at `now`: the last one published, or [`State::Down`] once it has expired.
    pub fn read(&self, now: Instant) -> State {
        self.with(now, |published| published.map_or(State::Down, |published| published.report.state))
    }

    /// The same in full.
    pub fn read_report(&self, now: Instant) -> Reading {
        self.with(now, |published| match published {
            Some(published) => Reading { report: published.report.clone(), silent: false },
            None => Reading { report: Report::hard(State::Down, self.silence()), silent: true },
        })
    }

    fn with<R>(&self, now: Instant, read: impl FnOnce(Option<&Published>) -> R) -> R {
        let published = self.cell.published.load();
        let since_epoch = now.saturating_duration_since(self.cell.epoch);
        read(published.as_deref().filter(|published| since_epoch < published.expires))
    }

    fn silence(&self) -> String {
        if !self.cell.begun.load(Ordering::Acquire) {
            return "has not yet said anything".to_owned();
        }
        if self.cell.published.load().is_none() {
            return "has ended".to_owned();
        }
        format!("has said nothing for {} ms", self.cell.lifetime.as_millis())
    }
}

/// The worst of several states: what a node is as a whole. Nothing to read is [`State::Down`].
pub fn worst<'a>(readers: impl IntoIterator<Item = &'a Reader>, now: Instant) -> State {
    readers.into_iter().map(|reader| reader.read(now)).max().unwrap_or(State::Down)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(3);

    /// Publishes each (at milliseconds, state), then reads at `read_ms`.
    fn check(published: &[(u64, State)], read_ms: u64, expected: State) {
        let epoch = Instant::now();
        let (publisher, reader) = channel("edge", LIFETIME, epoch);
        for &(at_ms, state) in published {
            publisher.publish(state, epoch + Duration::from_millis(at_ms));
        }
        assert_eq!(reader.read(epoch + Duration::from_millis(read_ms)), expected, "{published:?} at {read_ms}");
    }

    #[test]
    fn a_state_lasts_for_its_lifetime() {
        check(&[], 0, State::Down);
        check(&[(0, State::Up)], 0, State::Up);
        check(&[(0, State::Up)], 2_999, State::Up);
        check(&[(0, State::Up)], 3_000, State::Down);
        check(&[(0, State::Up), (2_000, State::Up)], 4_999, State::Up);
        check(&[(0, State::Up), (2_000, State::Degraded)], 2_000, State::Degraded);
        check(&[(1_000, State::Draining)], 3_999, State::Draining);
        check(&[(1_000, State::Down)], 1_000, State::Down);
    }

    #[test]
    fn a_dropped_publisher_is_down_at_once() {
        let epoch = Instant::now();
        let (publisher, reader) = channel("edge", LIFETIME, epoch);
        publisher.publish(State::Up, epoch);
        assert_eq!(reader.read(epoch), State::Up);
        drop(publisher);
        assert_eq!(reader.read(epoch), State::Down);
    }

    #[test]
    fn a_report_comes_with_its_words() {
        let epoch = Instant::now();
        let (publisher, reader) = channel("answers", LIFETIME, epoch);
        let read = |at| reader.read_report(epoch + at);
        let silent = |why: &str| Reading { report: Report::hard(State::Down, why), silent: true };
        assert_eq!(read(Duration::ZERO), silent("has not yet said anything"));
        let report = Report::soft(State::Down, "www.example.com. has the wrong address");
        publisher.publish_report(report.clone(), epoch);
        assert_eq!(read(LIFETIME - Duration::from_nanos(1)), Reading { report, silent: false });
        assert_eq!(read(LIFETIME), silent("has said nothing for 3000 ms"));
        publisher.publish(State::Up, epoch + LIFETIME);
        assert_eq!(read(LIFETIME), Reading { report: Report::up(), silent: false });
        drop(publisher);
        assert_eq!(read(LIFETIME), silent("has ended"));
    }

    #[test]
    fn the_worst_of_several_counts() {
        let epoch = Instant::now();
        let (first, first_reader) = channel("udp", LIFETIME, epoch);
        let (second, second_reader) = channel("tcp", LIFETIME, epoch);
        assert_eq!(worst([], epoch), State::Down);
        first.publish(State::Up, epoch);
        assert_eq!(worst([&first_reader, &second_reader], epoch), State::Down);
        second.publish(State::Degraded, epoch);
        assert_eq!(worst([&first_reader, &second_reader], epoch), State::Degraded);
        assert_eq!((first_reader.name(), second_reader.name()), ("udp", "tcp"));
    }

    #[test]
    fn times_at_the_ends_of_the_range_do_no_harm() {
        let epoch = Instant::now() + Duration::from_secs(60);
        let (publisher, reader) = channel("edge", Duration::MAX, epoch);
        publisher.publish(State::Up, epoch - Duration::from_secs(30));
        assert_eq!(reader.read(epoch - Duration::from_secs(30)), State::Up);
        assert_eq!(reader.read(epoch + Duration::from_secs(1 << 30)), State::Up);
    }
}
