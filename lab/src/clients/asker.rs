//! The thread of the real clients: asks when it is time, repeats what is not answered, goes over to TCP where an answer
//! was truncated.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io,
    net::SocketAddrV4,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        time::TimeSpec,
    },
};

use super::{
    micros,
    questions::{Mix, Question},
    record::{End, Record},
    resolver::{Heard, Resolver, Sent},
    sockets::Shared,
    stream::{Progress, Stream},
    zipf::Zipf,
};
use crate::random::Random;

/// Ports that questions are asked from.
const SOCKETS: usize = 128;
/// A resolver waits so long for an answer to its first datagram, its second, and so on; then it gives up.
pub(super) const WAITS: [Duration; 4] =
    [Duration::from_millis(400), Duration::from_millis(800), Duration::from_millis(1600), Duration::from_millis(1600)];
/// It waits so long for an answer over TCP.
pub(super) const STREAM_WAIT: Duration = Duration::from_millis(2000);
/// How busy the resolvers are: the first asks so much more than the last.
const BUSY_EXPONENT: f64 = 0.5;
/// Questions drawn for a resolver until it has to ask one.
const DRAWS_MAX: usize = 64;
/// It looks at least so often whether it is to end.
const LOOK_MAX: Duration = Duration::from_millis(20);
/// Events taken at one time, and datagrams from one socket.
const EVENTS_MAX: usize = 64;
const DATAGRAMS_MAX: usize = 256;
/// In what the kernel gives back with an event: it is a stream's, and the rest is the number of its question.
const IS_STREAM: u64 = 1 << 63;

/// What the thread is told.
pub(super) struct Common {
    pub(super) per_s: AtomicU32,
    pub(super) stop: AtomicBool,
}

/// A copy of these seconds of the record is wanted. The thread makes it itself: a lock that somebody of lower priority holds
/// would delay it.
pub(super) struct Wanted {
    pub(super) seconds: std::ops::Range<usize>,
    pub(super) to: mpsc::SyncSender<Record>,
}

/// What the thread owns.
pub(super) struct Asker {
    common: Arc<Common>,
    wanted: mpsc::Receiver<Wanted>,
    record: Record,
    server: SocketAddrV4,
    begun: Instant,
    random: Random,
    mix: Mix,
    busy: Zipf,
    resolvers: Vec<Resolver>,
    sockets: Vec<Shared>,
    ready: Epoll,
    /// Questions without an answer yet, by number.
    pending: HashMap<u64, Pending>,
    /// The question that a datagram with this id to this socket may be the answer to.
    by_id: HashMap<(usize, u16), u64>,
    streams: HashMap<u64, Stream>,
    /// When which question's which try is over.
    deadlines: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    next_number: u64,
}

struct Pending {
    resolver: usize,
    question: Question,
    sent: Sent,
    socket: usize,
    id: u16,
    /// When the first datagram was sent.
    first: Instant,
    /// The second of the record that it counts for.
    second: usize,
    /// Datagrams sent again.
    retries: usize,
    /// Grows with everything that is sent: a deadline of what was before is none.
    turn: u32,
}

impl Asker {
    /// In the namespace of the current thread.
    pub(super) fn new(
        resolvers: Vec<Resolver>,
        server: SocketAddrV4,
        common: &Arc<Common>,
        wanted: mpsc::Receiver<Wanted>,
        (begun, mut random): (Instant, Random),
    ) -> io::Result<Asker> {
        let sockets: Vec<Shared> = (0..SOCKETS).map(|_| Shared::open(&mut random)).collect::<Result<_, _>>()?;
        let ready = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (number, socket) in (0..).zip(&sockets) {
            ready.add(socket.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        }
        Ok(Asker {
            common: Arc::clone(common),
            wanted,
            record: Record::default(),
            server,
            begun,
            random,
            mix: Mix::new(),
            busy: Zipf::new(resolvers.len(), BUSY_EXPONENT),
            resolvers,
            sockets,
            ready,
            pending: HashMap::new(),
            by_id: HashMap::new(),
            streams: HashMap::new(),
            deadlines: BinaryHeap::new(),
            next_number: 0,
        })
    }

    /// Ask until told to stop, then wait for what is on its way.
    pub(super) fn run(mut self, real_time: bool) -> Record {
        self.record.real_time = real_time;
        let mut due = Instant::now();
        loop {
            let stopped = self.common.stop.load(Ordering::Relaxed);
            if stopped && self.pending.is_empty() {
                return self.record;
            }
            self.tell();
            let now = Instant::now();
            if stopped {
                due = now + LOOK_MAX;
            }
            if due <= now {
                self.ask(due);
                due += self.interval();
            }
            self.end_tries();
            let until = self.deadlines.peek().map_or(due, |Reverse((at, ..))| due.min(*at));
            self.listen(until.saturating_duration_since(Instant::now()).min(LOOK_MAX));
        }
    }

    fn tell(&self) {
        while let Ok(wanted) = self.wanted.try_recv() {
            // Whoever asked may have gone.
            let _ = wanted.to.try_send(self.record.part(wanted.seconds));
        }
    }

    /// The time to the next question: questions come independently of each other.
    fn interval(&mut self) -> Duration {
        let per_s = self.common.per_s.load(Ordering::Relaxed).max(1);
        let share = 1.0 - self.random.share();
        Duration::from_secs_f64(-share.ln() / f64::from(per_s))
    }

    fn ask(&mut self, due: Instant) {
        let now = Instant::now();
        let resolver = self.busy.draw(&mut self.random);
        let mut question = self.mix.draw(&mut self.random);
        for _ in 0..DRAWS_MAX {
            if self.resolvers.get(resolver).is_some_and(|resolver| resolver.needs(question, now)) {
                break;
            }
            question = self.mix.draw(&mut self.random);
        }
        let Some(asking) = self.resolvers.get(resolver) else { return };
        let sent = asking.query(question, 0, &mut self.random);
        let second = usize::try_from((now - self.begun).as_secs()).unwrap_or(usize::MAX);
        let number = self.next_number;
        self.next_number += 1;
        let pending = Pending { resolver, question, sent, socket: 0, id: 0, first: now, second, retries: 0, turn: 0 };
        self.pending.insert(number, pending);
        self.record.asked(second, micros(now.saturating_duration_since(due)));
        self.send(number);
    }

    /// Send a question's next datagram, with an id and from a port that an earlier one did not have.
    fn send(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        let Some(resolver) = self.resolvers.get(pending.resolver) else { return };
        self.by_id.remove(&(pending.socket, pending.id));
        (pending.socket, pending.id) = loop {
            let drawn = self.random.next();
            let place = ((drawn >> 16) as usize % self.sockets.len(), drawn as u16);
            if !self.by_id.contains_key(&place) {
                break place;
            }
        };
        self.by_id.insert((pending.socket, pending.id), number);
        pending.sent = resolver.query(pending.question, pending.id, &mut self.random);
        pending.turn += 1;
        if let Some(socket) = self.sockets.get(pending.socket) {
            // What cannot be sent is lost like what gets lost on its way.
            let _ = socket.send(&pending.sent.message, resolver.address, self.server);
        }
        let wait = WAITS.get(pending.retries).copied().unwrap_or_default();
        self.deadlines.push(Reverse((Instant::now() + wait, number, pending.turn)));
    }

    /// Those whose time is over are sent again, or given up.
    fn end_tries(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, number, turn))) = self.deadlines.peek().copied() {
            if at > now {
                return;
            }
            self.deadlines.pop();
            if self.pending.get(&number).is_some_and(|pending| pending.turn == turn) {
                self.retry(number);
            }
        }
    }

    fn retry(&mut self, number: u64) {
        self.streams.remove(&number);
        let Some(pending) = self.pending.get_mut(&number) else { return };
        pending.retries += 1;
        if pending.retries >= WAITS.len() {
            return self.end(number, false);
        }
        self.record.retried(pending.second);
        self.send(number);
    }

    fn end(&mut self, number: u64, answered: bool) {
        self.streams.remove(&number);
        let Some(pending) = self.pending.remove(&number) else { return };
        self.by_id.remove(&(pending.socket, pending.id));
        let after_us = micros(pending.first.elapsed());
        let end = match pending.retries {
            _ if !answered => End::Lost,
            0 => End::FirstTry { after_us },
            _ => End::WithRetries { after_us },
        };
        self.record.ended(pending.second, end);
    }

    fn listen(&mut self, wait: Duration) {
        let mut ready = [PollFd::new(self.ready.0.as_fd(), PollFlags::POLLIN)];
        // An interrupted wait is a short one.
        if ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None).unwrap_or(0) == 0 {
            return;
        }
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let found = self.ready.wait(&mut events, EpollTimeout::ZERO).unwrap_or(0);
        for event in events.iter().take(found) {
            match event.data() & IS_STREAM {
                0 => self.receive(event.data() as usize),
                _ => self.advance(event.data() & !IS_STREAM),
            }
        }
    }

    fn receive(&mut self, place: usize) {
        for _ in 0..DATAGRAMS_MAX {
            let Some(datagram) = self.sockets.get_mut(place).and_then(Shared::receive) else { return };
            let id = datagram.bytes.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes));
            let Some(&number) = id.and_then(|id| self.by_id.get(&(place, id))) else { continue };
            let Some(pending) = self.pending.get(&number) else { continue };
            let Some(resolver) = self.resolvers.get_mut(pending.resolver) else { continue };
            if datagram.from != self.server || datagram.to != resolver.address {
                continue;
            }
            let waited_us = micros(datagram.waited);
            let second = pending.second;
            let heard = resolver.hear(pending.question, &pending.sent, datagram.bytes, Instant::now());
            self.record.waited(second, waited_us);
            match heard {
                Heard::NotMine => {}
                Heard::Answered => self.end(number, true),
                Heard::Truncated => self.go_over_to_tcp(number),
                // The cookie is known now.
                Heard::BadCookie => self.send(number),
                Heard::Refused => self.record.refused(second),
            }
        }
    }

    fn go_over_to_tcp(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        let Some(resolver) = self.resolvers.get(pending.resolver) else { return };
        self.by_id.remove(&(pending.socket, pending.id));
        self.record.over_tcp(pending.second);
        pending.turn += 1;
        self.deadlines.push(Reverse((Instant::now() + STREAM_WAIT, number, pending.turn)));
        let Ok(stream) = Stream::connect(resolver.address, self.server, &pending.sent.message) else { return };
        let both = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        if self.ready.add(stream.as_fd(), EpollEvent::new(both, IS_STREAM | number)).is_ok() {
            self.streams.insert(number, stream);
        }
    }

    fn advance(&mut self, number: u64) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let answer = match stream.advance() {
            Progress::Waiting => return,
            Progress::Failed => {
                // Its deadline leads to the next try.
                self.streams.remove(&number);
                return;
            }
            Progress::Answer(answer) => answer,
        };
        self.streams.remove(&number);
        let Some(pending) = self.pending.get(&number) else { return };
        let Some(resolver) = self.resolvers.get_mut(pending.resolver) else { return };
        match resolver.hear(pending.question, &pending.sent, &answer, Instant::now()) {
            Heard::Answered => self.end(number, true),
            Heard::BadCookie => self.send(number),
            Heard::NotMine | Heard::Refused | Heard::Truncated => self.record.refused(pending.second),
        }
    }
}
