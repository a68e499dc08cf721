//! One turn's questions on their way: from several ports to each address, all at once, and one of them over TCP.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::fd::AsFd,
    time::{Duration, Instant},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};
use wire::{Class, Name, Rtype, Writer};

use super::{
    Target,
    own_questions::{OwnPort, OwnQuestions},
    rotation::{Question, Subject},
};

/// Ports that each address is asked from: which lane a question meets follows from its port.
pub(super) const PORTS: usize = 4;
/// How long answers over UDP may take.
const UDP_WAIT_MAX: Duration = Duration::from_millis(400);
/// How long a connection, and then an answer over it, may take.
const TCP_WAIT_MAX: Duration = Duration::from_millis(300);
/// The longest question: a header, a name, type and class.
const QUESTION_BYTES_MAX: usize = 512;
/// Room for an answer.
const ANSWER_BYTES_MAX: usize = 4096;

/// A question that was asked, and its answer.
#[derive(Debug)]
pub(super) struct Asked {
    /// What was asked.
    pub(super) subject: Subject,
    /// Its name and type.
    pub(super) question: Question,
    /// Which target, by its place.
    pub(super) target: usize,
    /// Its identifier.
    pub(super) id: u16,
    /// The answer.
    pub(super) answer: Option<Vec<u8>>,
}

/// A turn, done.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The questions over UDP.
    pub(super) asked: Vec<Asked>,
    /// For each target, how many of its ports got an answer to any question that had to be answered.
    pub(super) ports_answered: Vec<usize>,
    /// Why a target could not even be asked.
    pub(super) unreachable: Vec<Option<String>>,
    /// The question over TCP, and what went wrong with it.
    pub(super) tcp: Option<(Asked, Result<(), String>)>,
    /// How long the answers took, in order.
    times: Vec<Duration>,
}

impl Round {
    /// Asks, and waits for the answers.
    pub(super) fn ask(targets: &[Target], questions: &[(Subject, Question)], turn: usize, own: &OwnQuestions) -> Round {
        let mut round = Round {
            ports_answered: vec![0; targets.len()],
            unreachable: vec![None; targets.len()],
            ..Round::default()
        };
        let mut ports = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            for _ in 0..PORTS {
                match open(target.address, own) {
                    Ok((socket, own)) => {
                        ports.push(Port { socket, _own: own, target: index, asked: Vec::new(), answered: false });
                    }
                    Err(why) => round.unreachable[index] = Some(why.to_string()),
                }
            }
        }
        round.send(&mut ports, questions, turn);
        round.receive(&mut ports);
        for port in &ports {
            round.ports_answered[port.target] += usize::from(port.answered);
        }
        round.times.sort_unstable();
        let prompt: Vec<_> = questions.iter().filter(|(subject, _)| subject.is_prompt()).collect();
        if let (Some(target), Some((subject, question))) =
            (turn.checked_rem(targets.len()), turn.checked_rem(prompt.len()).map(|at| prompt[at]))
        {
            let id = turn as u16;
            let mut asked = Asked { subject: subject.clone(), question: *question, target, id, answer: None };
            let answer = ask_tcp(targets[target].address, &message(question, id), own);
            let outcome = answer.map(|answer| asked.answer = Some(answer)).map_err(|why| why.to_string());
            round.tcp = Some((asked, outcome));
        }
        round
    }

    /// The time within which nine of ten answers came.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.times.get(self.times.len().checked_sub(1)? * 9 / 10).copied()
    }

    /// Every port asks something that has to be answered; every question goes to another address each turn.
    fn send(&mut self, ports: &mut [Port<'_>], questions: &[(Subject, Question)], turn: usize) {
        if ports.is_empty() {
            return;
        }
        let prompt: Vec<usize> = (0..questions.len()).filter(|at| questions[*at].0.is_prompt()).collect();
        let late = (0..questions.len()).filter(|at| !questions[*at].0.is_prompt());
        let sends = prompt.len().max(ports.len());
        let plan = (0..sends).map(|at| prompt[at % prompt.len().max(1)]).chain(late);
        let count = ports.len();
        for (at, question) in plan.enumerate() {
            let (subject, question) = &questions[question];
            // Each turn begins at another port, so that each question comes to every address.
            let port = &mut ports[(at + turn) % count];
            let id = at as u16;
            let sent = port.socket.send(&message(question, id)).is_ok();
            let target = port.target;
            let asked = Asked { subject: subject.clone(), question: *question, target, id, answer: None };
            if sent {
                port.asked.push((self.asked.len(), Instant::now()));
            }
            self.asked.push(asked);
        }
    }

    fn receive(&mut self, ports: &mut [Port<'_>]) {
        let until = Instant::now() + UDP_WAIT_MAX;
        let mut buffer = [0; ANSWER_BYTES_MAX];
        loop {
            let waits = |port: &Port<'_>| {
                let open = |(at, _): &&(usize, Instant)| self.asked[*at].answer.is_none();
                port.asked.iter().filter(open).any(|(at, _)| self.asked[*at].subject.is_prompt())
            };
            let waiting: Vec<usize> = (0..ports.len()).filter(|at| waits(&ports[*at])).collect();
            let left = until.saturating_duration_since(Instant::now());
            if waiting.is_empty() || left.is_zero() {
                return;
            }
            let mut fds: Vec<PollFd<'_>> =
                waiting.iter().map(|at| PollFd::new(ports[*at].socket.as_fd(), PollFlags::POLLIN)).collect();
            let left_ms = u16::try_from(left.as_millis()).unwrap_or(u16::MAX).max(1);
            if poll(&mut fds, PollTimeout::from(left_ms)).is_err() {
                continue;
            }
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            for (at, _) in waiting.into_iter().zip(ready).filter(|(_, ready)| *ready) {
                self.take(&mut ports[at], &mut buffer);
            }
        }
    }

    /// Takes what a port has got.
    fn take(&mut self, port: &mut Port<'_>, buffer: &mut [u8]) {
        loop {
            match port.socket.recv(buffer) {
                Ok(length) => {
                    let bytes = &buffer[..length];
                    let same = |(at, _): &&(usize, Instant)| bytes.get(..2) == Some(&self.asked[*at].id.to_be_bytes());
                    let Some((at, sent)) = port.asked.iter().find(same).copied() else { continue };
                    if self.asked[at].subject.is_prompt() && self.asked[at].answer.is_none() {
                        port.answered = true;
                        self.times.push(sent.elapsed());
                    }
                    self.asked[at].answer = Some(bytes.to_vec());
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                // Nobody listens there (an ICMP error): no answer will come.
                Err(_) => {
                    port.asked.clear();
                    return;
                }
            }
        }
    }
}

/// A socket of its own, so a port of its own.
struct Port<'o> {
    socket: UdpSocket,
    _own: OwnPort<'o>,
    target: usize,
    /// What was asked from it, by its place, and when.
    asked: Vec<(usize, Instant)>,
    answered: bool,
}

/// A socket at the very address that it asks: what is not on this machine must not be answered by another.
fn open(to: SocketAddr, questions: &OwnQuestions) -> io::Result<(UdpSocket, OwnPort<'_>)> {
    let mut own = to;
    own.set_port(0);
    let socket = UdpSocket::bind(own)?;
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    let port = questions.open(socket.local_addr()?.port());
    Ok((socket, port))
}

/// The message that asks. Where any question will do, it is one for the server's name.
fn message(question: &Question, id: u16) -> Vec<u8> {
    let mut buffer = [0; QUESTION_BYTES_MAX];
    let alive;
    let (name, rtype, class) = match question {
        Some((name, rtype)) => (name.as_ref(), *rtype, Class::IN),
        None => {
            alive = "id.server".parse::<Name>().unwrap_or_else(|_| Name::root());
            (alive.as_ref(), Rtype::TXT, Class::CH)
        }
    };
    let Ok(mut writer) = Writer::new(&mut buffer, QUESTION_BYTES_MAX) else { return Vec::new() };
    writer.set_id(id);
    if writer.question(name, rtype, class).is_err() {
        return Vec::new();
    }
    let length = writer.finish();
    buffer[..length].to_vec()
}

fn ask_tcp(to: SocketAddr, message: &[u8], questions: &OwnQuestions) -> io::Result<Vec<u8>> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    let mut own = to;
    own.set_port(0);
    socket.bind(&own.into())?;
    socket.connect_timeout(&to.into(), TCP_WAIT_MAX)?;
    let mut stream = TcpStream::from(socket);
    let _port = questions.open(stream.local_addr()?.port());
    stream.set_read_timeout(Some(TCP_WAIT_MAX))?;
    stream.set_write_timeout(Some(TCP_WAIT_MAX))?;
    let mut bytes = (message.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    stream.write_all(&bytes)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length)).min(ANSWER_BYTES_MAX)];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}
