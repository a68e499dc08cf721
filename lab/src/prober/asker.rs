//! One region's thread: asks when it is time, listens until then.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};

use super::{ANSWER_WAIT, Expected, Outcome, Question, Region, lock, record::Store, record::micros};
use crate::{LabError, dns};

/// Ports that a region asks each address from in turn: enough for routers with several equal ways to use them all.
const PORTS: usize = 8;
/// It looks at least so often whether it is to end.
const LOOK_MAX: Duration = Duration::from_millis(50);

/// What the thread owns.
pub(super) struct Asker {
    sockets: Vec<Socket>,
    question: Question,
    begun: Instant,
    first: Instant,
    /// Queries so far, sent or not.
    asked: u64,
    /// Those that have no answer yet, by time; [`ANSWER_WAIT`] bounds them.
    pending: VecDeque<Pending>,
    store: Arc<Mutex<Store>>,
    expected: Arc<Mutex<Expected>>,
}

struct Socket {
    socket: UdpSocket,
    server: SocketAddr,
    /// The server's place among the region's addresses.
    address: u8,
}

struct Pending {
    id: u16,
    /// Which socket it left by.
    socket: usize,
    sent: Instant,
    number: u64,
    expected: Expected,
    decided: bool,
}

impl Asker {
    /// `begun` is the zero of the record's time, `first` when the first query is due.
    pub(super) fn new(
        region: &Region,
        question: &Question,
        (begun, first): (Instant, Instant),
        store: &Arc<Mutex<Store>>,
        expected: &Arc<Mutex<Expected>>,
    ) -> Result<Asker, LabError> {
        if dns::encode_query(0, &question.name, question.rtype).is_none() {
            return Err(LabError::Invalid(format!("{:?} is no name", question.name)));
        }
        if region.addresses.is_empty() {
            return Err(LabError::Invalid(format!("region {} has nobody to ask", region.name)));
        }
        let addresses = (0_u8..).zip(&region.addresses);
        // Addresses alternate first, ports then.
        let every = (0..PORTS).flat_map(|_| addresses.clone().map(|(place, address)| (place, *address)));
        let open = || every.map(|(place, address)| Socket::open(place, address)).collect::<Result<_, _>>();
        let sockets = region.namespace.enter(open)?.map_err(LabError::io("opening a socket to ask from"))?;
        Ok(Asker {
            sockets,
            question: question.clone(),
            begun,
            first,
            asked: 0,
            pending: VecDeque::new(),
            store: Arc::clone(store),
            expected: Arc::clone(expected),
        })
    }

    /// Ask until told to stop.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let due = self.due();
            let now = Instant::now();
            if now >= due {
                self.ask(due);
            } else {
                self.listen((due - now).min(LOOK_MAX));
            }
            self.give_up();
        }
        // What is on its way may still come.
        let end = Instant::now() + ANSWER_WAIT;
        while Instant::now() < end && !self.pending.is_empty() {
            self.listen(LOOK_MAX);
            self.give_up();
        }
    }

    /// When the next query is to be sent. It does not follow from when the last one was.
    fn due(&self) -> Instant {
        let interval_ns = u64::try_from(self.question.interval.as_nanos()).unwrap_or(u64::MAX);
        self.first + Duration::from_nanos(interval_ns.saturating_mul(self.asked))
    }

    fn ask(&mut self, due: Instant) {
        let place = (self.asked % self.sockets.len() as u64) as usize;
        let id = (self.asked & 0xffff) as u16;
        self.asked += 1;
        let Some(query) = dns::encode_query_for_nsid(id, &self.question.name, self.question.rtype) else { return };
        let Some(socket) = self.sockets.get(place) else { return };
        let expected = *lock(&self.expected);
        let sent = Instant::now();
        // Where there is no way to the service, nothing leaves: a query without an answer like others.
        let _ = socket.socket.send_to(&query, socket.server);
        let late_us = micros(sent.saturating_duration_since(due));
        let number = lock(&self.store).sent(micros(sent - self.begun), socket.address, late_us);
        self.pending.push_back(Pending { id, socket: place, sent, number, expected, decided: false });
    }

    fn listen(&mut self, wait: Duration) {
        let mut ready: Vec<PollFd> =
            self.sockets.iter().map(|socket| PollFd::new(socket.socket.as_fd(), PollFlags::POLLIN)).collect();
        // An interrupted wait is a short one.
        let found = ppoll(&mut ready, Some(TimeSpec::from_duration(wait)), None).unwrap_or(0);
        if found == 0 {
            return;
        }
        let places: Vec<usize> =
            (0..).zip(&ready).filter(|(_, socket)| socket.any() == Some(true)).map(|(place, _)| place).collect();
        for place in places {
            self.receive(place);
        }
    }

    fn receive(&mut self, place: usize) {
        let mut buffer = [0; 2048];
        loop {
            let Some(socket) = self.sockets.get(place) else { return };
            match socket.socket.recv_from(&mut buffer) {
                Ok((length, from)) if from == socket.server => {
                    let now = Instant::now();
                    self.answered(place, buffer.get(..length).unwrap_or_default(), now);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn answered(&mut self, place: usize, message: &[u8], now: Instant) {
        let Some(id) = message.first_chunk().map(|id| u16::from_be_bytes(*id)) else { return };
        let found = self.pending.iter_mut().find(|pending| pending.id == id && pending.socket == place);
        let Some(pending) = found.filter(|pending| !pending.decided) else { return };
        let elapsed = now.saturating_duration_since(pending.sent);
        let Some(reply) = dns::decode_reply(message, id, elapsed) else { return };
        pending.decided = true;
        let (number, expected) = (pending.number, pending.expected);
        let after_us = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
        let mut store = lock(&self.store);
        let edge = store.edge(reply.nsid());
        let good =
            reply.aa && reply.rcode == 0 && reply.answers.iter().any(|record| record.rtype == self.question.rtype);
        let outcome = match (good, is_current(&reply, expected)) {
            (false, _) => Outcome::Wrong { edge, after_us },
            (true, false) => Outcome::Stale { edge, after_us },
            (true, true) => Outcome::Answered { edge, after_us },
        };
        store.decide(number, outcome);
    }

    /// What has waited for too long is lost.
    fn give_up(&mut self) {
        let now = Instant::now();
        while let Some(oldest) = self.pending.front() {
            if !oldest.decided {
                if now.saturating_duration_since(oldest.sent) < ANSWER_WAIT {
                    return;
                }
                lock(&self.store).decide(oldest.number, Outcome::Lost);
            }
            self.pending.pop_front();
        }
    }
}

impl Socket {
    /// Unconnected: a router that says "unreachable" must not keep the next query from being sent.
    fn open(place: u8, server: IpAddr) -> std::io::Result<Socket> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Socket { socket, server: (server, dns::PORT).into(), address: place })
    }
}

/// Serials as RFC 1982 compares them.
fn is_current(reply: &dns::Reply, expected: Expected) -> bool {
    match expected {
        Expected::Anything => true,
        Expected::SerialFrom(wanted) => reply.serial().is_some_and(|serial| serial.wrapping_sub(wanted) < 1 << 31),
        Expected::Address(wanted) => {
            let octets = match wanted {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            reply.answers.iter().any(|record| record.rdata == octets)
        }
    }
}
