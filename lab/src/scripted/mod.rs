//! An origin that does as it is told: right, slowly, wrongly, not at all. It runs in threads of this process, over UDP and
//! TCP in a namespace, and remembers what it was asked.
//!
//! It answers for its zones by the first label of what is asked, so that a test chooses the kind of answer by the name:
//!
//! | first label | answer |
//! | --- | --- |
//! | `nx…` | NXDOMAIN with the SOA |
//! | `empty…` | no data, with the SOA |
//! | `alias…` | CNAME to [`ELSEWHERE`], which is in no zone of it |
//! | `cut…`, also above the name | a referral to `ns` below the cut, with its address |
//! | anything else | for A, AAAA and TXT the number of this question; otherwise no data |
//!
//! The number counts all questions since the start: an answer that comes again from a cache has the same one.

mod message;

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{LabError, Namespace, dns};

pub use message::{ELSEWHERE, FORGED};
use message::{Kind, Question};

/// Questions remembered; later ones are counted only.
const REMEMBERED_MAX: usize = 200_000;
/// Answers that wait for their time; more are not given.
const DELAYED_MAX: usize = 10_000;
/// How soon the threads see that they are to end, and delayed answers that they are due.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// A TCP connection that says nothing for so long is closed.
const IDLE: Duration = Duration::from_secs(10);
/// TCP connections at one time; more have to wait in the backlog.
const CONNECTIONS_MAX: u32 = 256;

/// What it does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answer.
    Right,
    /// Answer after this time.
    Slow(Duration),
    /// Answer with another id.
    WrongId,
    /// Answer another question.
    WrongQuestion,
    /// Answer with the question's name in lower case, whatever its case was.
    LostCase,
    /// Over UDP, answer that there is no room; over TCP, answer.
    Truncated,
    /// Answer as one who does not have the zone: without AA, with a referral to the root.
    Lame,
    /// REFUSED.
    Refused,
    /// SERVFAIL.
    Servfail,
    /// Nothing.
    Silent,
    /// Somebody else is faster: forged answers ([`FORGED`]) with other ids, and one with the right id from another port;
    /// then the right one. Over TCP, answer.
    Forged,
}

/// A question that came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The name, its case as it came.
    pub name: String,
    /// The type.
    pub rtype: dns::Rtype,
    /// The id.
    pub id: u16,
    /// Where it came from.
    pub from: SocketAddr,
    /// Whether it came over TCP.
    pub tcp: bool,
    /// The EDNS options in it; none without EDNS.
    pub options: Vec<u16>,
    /// Whether it asks for DNSSEC records.
    pub dnssec: bool,
    /// When it came.
    pub at: Instant,
}

/// A running one; it ends when it is dropped.
pub struct Scripted {
    namespace: Namespace,
    address: IpAddr,
    shared: Arc<Shared>,
}

struct Shared {
    zones: Vec<String>,
    ttl_s: AtomicU32,
    negative_ttl_s: AtomicU32,
    behaviour: Mutex<Behaviour>,
    count: AtomicU32,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicU32,
    ending: AtomicBool,
}

/// An answer that is sent when its time has come.
struct Delayed {
    due: Instant,
    to: SocketAddr,
    message: Vec<u8>,
}

impl Scripted {
    /// Start one on port 53 of the first IPv4 address of `namespace`, for these zones. TTLs are 300 s, those of negative
    /// answers 60 s.
    pub fn start(namespace: &Namespace, zones: &[&str]) -> Result<Scripted, LabError> {
        let address = namespace.v4();
        let at = SocketAddr::new(address, dns::PORT);
        let (udp, other, tcp) = namespace
            .enter(|| {
                let tcp = TcpListener::bind(at)?;
                tcp.set_nonblocking(true)?;
                Ok((UdpSocket::bind(at)?, UdpSocket::bind((address, 0))?, tcp))
            })?
            .map_err(LabError::io(format!("opening the scripted origin's sockets at {at}")))?;
        udp.set_read_timeout(Some(LOOK_EVERY)).map_err(LabError::io("setting a timeout"))?;
        let shared = Arc::new(Shared {
            zones: zones.iter().map(|zone| zone.trim_end_matches('.').to_ascii_lowercase()).collect(),
            ttl_s: AtomicU32::new(300),
            negative_ttl_s: AtomicU32::new(60),
            behaviour: Mutex::new(Behaviour::Right),
            count: AtomicU32::new(0),
            asked: Mutex::default(),
            connections: AtomicU32::new(0),
            ending: AtomicBool::new(false),
        });
        let over_udp = Arc::clone(&shared);
        thread::spawn(move || over_udp.serve_udp(&udp, &other));
        let over_tcp = Arc::clone(&shared);
        thread::spawn(move || over_tcp.serve_tcp(&tcp));
        Ok(Scripted { namespace: namespace.clone(), address, shared })
    }

    /// Its address.
    pub fn v4(&self) -> IpAddr {
        self.address
    }

    /// Where it runs.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Do this from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// The TTL of answers from now on.
    pub fn set_ttl_s(&self, ttl_s: u32) {
        self.shared.ttl_s.store(ttl_s, Ordering::SeqCst);
    }

    /// The TTL of negative answers from now on: that of the SOA, and its MINIMUM (RFC 2308).
    pub fn set_negative_ttl_s(&self, ttl_s: u32) {
        self.shared.negative_ttl_s.store(ttl_s, Ordering::SeqCst);
    }

    /// Questions since the start.
    pub fn count(&self) -> u32 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// The questions since the start, in their order.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// How often this name was asked for, whatever the type and the case.
    pub fn count_of(&self, name: &str) -> usize {
        let name = name.trim_end_matches('.');
        lock(&self.shared.asked).iter().filter(|asked| asked.name.eq_ignore_ascii_case(name)).count()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    fn serve_udp(&self, socket: &UdpSocket, other: &UdpSocket) {
        let mut delayed: VecDeque<Delayed> = VecDeque::new();
        let mut buffer = vec![0; 65_535];
        while !self.is_ending() {
            if let Ok((length, from)) = socket.recv_from(&mut buffer)
                && let Some(question) = buffer.get(..length).and_then(Question::parse)
            {
                let number = self.remember(&question, from, false);
                self.answer_udp(&question, number, from, (socket, other), &mut delayed);
            }
            while delayed.front().is_some_and(|answer| answer.due <= Instant::now()) {
                let Some(answer) = delayed.pop_front() else { break };
                let _ = socket.send_to(&answer.message, answer.to);
            }
        }
    }

    fn answer_udp(
        &self,
        question: &Question,
        number: u32,
        from: SocketAddr,
        (socket, other): (&UdpSocket, &UdpSocket),
        delayed: &mut VecDeque<Delayed>,
    ) {
        let behaviour = *lock(&self.behaviour);
        let send = |message: &[u8]| {
            let _ = socket.send_to(message, from);
        };
        match behaviour {
            Behaviour::Silent => {}
            Behaviour::Slow(time) => {
                if delayed.len() < DELAYED_MAX {
                    let message = self.answer(question, Kind::Right, number);
                    delayed.push_back(Delayed { due: Instant::now() + time, to: from, message });
                }
            }
            Behaviour::Forged => {
                let forged = self.answer(question, Kind::Forged, number);
                let _ = other.send_to(&forged, from);
                for step in 1..=3_u16 {
                    send(&message::with_id(&forged, question.id.wrapping_add(step)));
                }
                send(&self.answer(question, Kind::Right, number));
            }
            Behaviour::Truncated => send(&self.answer(question, Kind::Truncated, number)),
            _ => send(&self.answer(question, kind(behaviour), number)),
        }
    }

    fn answer(&self, question: &Question, kind: Kind, number: u32) -> Vec<u8> {
        let times = (self.ttl_s.load(Ordering::SeqCst), self.negative_ttl_s.load(Ordering::SeqCst));
        message::answer(question, kind, number, &self.zones, times)
    }

    /// Count a question and keep it; its number.
    fn remember(&self, question: &Question, from: SocketAddr, tcp: bool) -> u32 {
        let mut asked = lock(&self.asked);
        if asked.len() < REMEMBERED_MAX {
            asked.push(Asked {
                name: question.labels.join("."),
                rtype: question.rtype,
                id: question.id,
                from,
                tcp,
                options: question.options.clone(),
                dnssec: question.dnssec,
                at: Instant::now(),
            });
        }
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn serve_tcp(self: &Arc<Shared>, listener: &TcpListener) {
        while !self.is_ending() {
            let full = self.connections.load(Ordering::SeqCst) >= CONNECTIONS_MAX;
            match listener.accept() {
                Ok((stream, from)) if !full => {
                    let shared = Arc::clone(self);
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    thread::spawn(move || {
                        // The other side closes when it has had enough.
                        let _ = shared.serve_stream(stream, from);
                        shared.connections.fetch_sub(1, Ordering::SeqCst);
                    });
                }
                _ => thread::sleep(LOOK_EVERY),
            }
        }
    }

    fn serve_stream(&self, mut stream: TcpStream, from: SocketAddr) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(IDLE))?;
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message)?;
            if self.is_ending() {
                return Ok(());
            }
            let Some(question) = Question::parse(&message) else { return Ok(()) };
            let number = self.remember(&question, from, true);
            let behaviour = *lock(&self.behaviour);
            match behaviour {
                Behaviour::Silent => continue,
                Behaviour::Slow(time) => thread::sleep(time),
                _ => {}
            }
            let answer = self.answer(&question, kind(behaviour), number);
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat())?;
        }
    }
}

/// The message that a behaviour sends, where it sends one.
fn kind(behaviour: Behaviour) -> Kind {
    match behaviour {
        Behaviour::WrongId => Kind::WrongId,
        Behaviour::WrongQuestion => Kind::WrongQuestion,
        Behaviour::LostCase => Kind::LostCase,
        Behaviour::Lame => Kind::Lame,
        Behaviour::Refused => Kind::Refused,
        Behaviour::Servfail => Kind::Servfail,
        // Over TCP nobody can be faster, and there is room.
        Behaviour::Right | Behaviour::Slow(_) | Behaviour::Silent | Behaviour::Truncated | Behaviour::Forged => {
            Kind::Right
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
