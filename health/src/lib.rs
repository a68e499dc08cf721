//! What is up: published states with an expiry, so that a dead publisher reads as down.
//!
//! A service holds the [`Publisher`] and repeats its state before `lifetime` has passed; whoever acts on it (the BGP
//! speaker, the control socket) holds a [`Reader`] and decides what follows. Neither ever waits for the other, and no
//! clock is read here: `now` is a parameter.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

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

    fn from_bits(bits: u64) -> State {
        match bits & STATE_MASK {
            0 => State::Up,
            1 => State::Degraded,
            2 => State::Draining,
            _ => State::Down,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// One word holds both, so that a reader never sees a new state with an old expiry:
//
//   63                                      2 1  0
//  +-----------------------------------------+----+
//  | expires, milliseconds after the epoch   |state|
//  +-----------------------------------------+----+
const STATE_BITS: u32 = 2;
const STATE_MASK: u64 = (1 << STATE_BITS) - 1;
const NEVER_PUBLISHED: u64 = State::Down as u64;

#[derive(Debug)]
struct Cell {
    name: String,
    epoch: Instant,
    lifetime: Duration,
    word: AtomicU64,
}

impl Cell {
    /// Milliseconds from the epoch to `now`; 0 for a `now` before it.
    fn since_epoch_ms(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX) & (u64::MAX >> STATE_BITS)
    }
}

/// Makes the two ends of one published state.
///
/// `name` is what the state is of, `now` becomes the epoch that the expiry counts from, and a state that is not
/// repeated within `lifetime` reads as [`State::Down`]. So does everything before the first publication.
pub fn channel(name: impl Into<String>, lifetime: Duration, now: Instant) -> (Publisher, Reader) {
    let cell = Arc::new(Cell { name: name.into(), epoch: now, lifetime, word: AtomicU64::new(NEVER_PUBLISHED) });
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
        let lifetime_ms = u64::try_from(self.cell.lifetime.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = self.cell.since_epoch_ms(now).saturating_add(lifetime_ms).min(u64::MAX >> STATE_BITS);
        self.cell.word.store((expires_ms << STATE_BITS) | state as u64, Ordering::Release);
    }

    /// How long a state lasts unless it is repeated.
    pub fn lifetime(&self) -> Duration {
        self.cell.lifetime
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.cell.word.store(NEVER_PUBLISHED, Ordering::Release);
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
        let word = self.cell.word.load(Ordering::Acquire);
        if self.cell.since_epoch_ms(now) < word >> STATE_BITS { State::from_bits(word) } else { State::Down }
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
