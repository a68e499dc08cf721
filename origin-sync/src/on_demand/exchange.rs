//! One question to one upstream: a datagram from a socket and port of its own, or a connection. Every wait has a limit.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;
use wire::Rcode;

use super::message::{Heard, Question, judge};
use super::zone::Transport;
use crate::connect::Connection;
use crate::error::Error;
use crate::notify::unix_now_s;
use crate::settings::Upstream;
use crate::tsig::Verifier;

/// Datagrams that are not the answer; more look like an attempt to guess the id, and the question goes over TCP.
const STRAY_DATAGRAMS_MAX: usize = 16;
/// The largest datagram that is read; questions announce less.
const DATAGRAM_BYTES_MAX: usize = 4096;
/// A connection takes a round trip of its own before the question's.
const TCP_WAIT_FACTOR: u32 = 2;

/// What is asked of whom, and how.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) upstream: Upstream,
    pub(crate) question: Question,
    pub(crate) transport: Transport,
    /// How long the answer to a datagram is waited for.
    pub(crate) wait: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Exchanged {
    /// A response, verified as far as header, question, cookie and TSIG go.
    Response(Response),
    /// Something that looks like the answer and is not quite it: ask over TCP.
    Doubtful(&'static str),
    /// No answer came, or the system says that nobody is there.
    Silent(Error),
    /// An answer that cannot be trusted or used, for a reason that another question will not mend.
    Unusable(Error, Duration),
    /// It was not even asked.
    Unasked(Error),
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) bytes: Vec<u8>,
    pub(crate) rcode: Rcode,
    pub(crate) truncated: bool,
    pub(crate) server_cookie: Option<Vec<u8>>,
    pub(crate) rtt: Duration,
}

impl Exchange {
    /// Asks, and waits.
    pub(crate) async fn run(&self) -> Exchanged {
        match self.transport {
            Transport::Udp => self.over_udp().await,
            Transport::Tcp => {
                let wait = self.wait * TCP_WAIT_FACTOR;
                match timeout(wait, self.over_tcp()).await {
                    Ok(exchanged) => exchanged,
                    Err(_) => Exchanged::Silent(Error::NoAnswer { question: self.question.qtype, after: wait }),
                }
            }
        }
    }

    async fn over_udp(&self) -> Exchanged {
        let question = self.question.qtype;
        let any = if self.upstream.address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let source: SocketAddr = self.upstream.source().unwrap_or(any);
        // The kernel draws the port at random.
        let socket = match UdpSocket::bind(source).await {
            Ok(socket) => socket,
            Err(error) => return Exchanged::Unasked(Error::SourceAddress { source_address: source, source: error }),
        };
        let (request, verifier) = match self.question.build(self.upstream.origin.key.as_ref(), unix_now_s()) {
            Ok(built) => built,
            Err(error) => return Exchanged::Unasked(error),
        };
        let started = Instant::now();
        let sent = match socket.connect(self.upstream.address).await {
            Ok(()) => socket.send(&request).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(source) = sent {
            return Exchanged::Silent(Error::Send { question, source });
        }
        let listened = timeout(self.wait, self.listen(&socket, &verifier, started)).await;
        listened.unwrap_or(Exchanged::Silent(Error::NoAnswer { question, after: self.wait }))
    }

    /// Passes over what is not the answer: anyone can send datagrams.
    async fn listen(&self, socket: &UdpSocket, verifier: &Verifier, started: Instant) -> Exchanged {
        let question = self.question.qtype;
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        for _ in 0..STRAY_DATAGRAMS_MAX {
            let length = match socket.recv(&mut buffer).await {
                Ok(length) => length,
                Err(source) => return Exchanged::Silent(Error::Receive { question, source }),
            };
            let message = buffer.get(..length).unwrap_or_default();
            if let Some(exchanged) = self.read(message, true, verifier.clone(), started.elapsed()) {
                return exchanged;
            }
        }
        Exchanged::Doubtful("too many datagrams that are not the answer")
    }

    async fn over_tcp(&self) -> Exchanged {
        let question = self.question.qtype;
        let started = Instant::now();
        let mut connection = match Connection::open(&self.upstream).await {
            Ok(connection) => connection,
            Err(error @ Error::SourceAddress { .. }) => return Exchanged::Unasked(error),
            Err(error @ Error::Tls { .. }) => return Exchanged::Unusable(error, started.elapsed()),
            Err(error) => return Exchanged::Silent(error),
        };
        let (request, verifier) = match self.question.build(self.upstream.origin.key.as_ref(), unix_now_s()) {
            Ok(built) => built,
            Err(error) => return Exchanged::Unasked(error),
        };
        if let Err(error) = connection.send(&self.upstream, &request, question).await {
            return Exchanged::Silent(error);
        }
        let mut message = Vec::new();
        if let Err(source) = connection.receive(&mut message).await {
            return Exchanged::Silent(Error::Receive { question, source });
        }
        // Half: connecting took the other.
        let rtt = started.elapsed() / 2;
        // Nobody else can write into the connection, so that the case says nothing.
        self.read(&message, false, verifier, rtt).unwrap_or(Exchanged::Doubtful("another message"))
    }

    /// What a message is to the question; `None` for what is to be passed over.
    fn read(&self, message: &[u8], forgeable: bool, mut verifier: Verifier, rtt: Duration) -> Option<Exchanged> {
        let heard = match judge(message, &self.question, forgeable) {
            Heard::Stray => return None,
            heard => heard,
        };
        // Signed with the key or not at all: a forged message must not even make us ask over TCP.
        let bytes = match verifier.check(message.to_vec(), self.question.qtype, unix_now_s()) {
            Ok(bytes) => bytes,
            Err(error @ Error::Refused { .. }) => return Some(Exchanged::Unusable(error, rtt)),
            Err(error) if forgeable => {
                tracing::debug!(address = %self.upstream.address, %error, "a datagram is passed over");
                return None;
            }
            Err(error) => return Some(Exchanged::Unusable(error, rtt)),
        };
        Some(match heard {
            Heard::Stray => return None,
            Heard::Doubtful(why) => Exchanged::Doubtful(why),
            Heard::Response { rcode, truncated, server_cookie } => {
                Exchanged::Response(Response { bytes, rcode, truncated, server_cookie, rtt })
            }
        })
    }
}
