//! Talks to an origin: SOA queries over UDP and TCP, transfers over TCP. Every wait has a limit.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;
use wire::{Class, Message, Name, NameRef, Rtype, Section, rdata};

use crate::error::Error;
use crate::notify::unix_now_s;
use crate::settings::Upstream;
use crate::timers::SoaTimers;
use crate::transfer::{Answer, Interpreter, Limits, Progress, Sink, check_answer};
use crate::tsig::{Request, Verifier};

/// How long each SOA query over UDP waits for its answer.
const UDP_WAITS: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(2000)];
/// How long making a TCP connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// How long a SOA answer over TCP may take.
const SOA_TCP_WAIT: Duration = Duration::from_secs(5);
/// Datagrams that are not the answer, and are passed over, in one wait.
const STRAY_DATAGRAMS_MAX: usize = 64;
/// What is read from the system at once.
const READ_BUFFER_BYTES: usize = 128 * 1024;

/// How a request went over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
}

impl Transport {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// Time limits of a transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    /// The whole transfer.
    pub duration_max: Duration,
    /// Silence within it.
    pub idle_max: Duration,
}

/// What a complete transfer was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetched {
    /// What the answer was.
    pub answer: Answer,
    /// The serial that it leads to.
    pub serial: u32,
    /// Records received.
    pub records: u64,
    /// Bytes received.
    pub bytes: u64,
}

/// Asks an upstream for the zone's SOA: over UDP, and over TCP when that gives no answer or a truncated one.
///
/// # Errors
/// Why there is no answer to act on.
pub(crate) async fn query_soa(upstream: &Upstream, apex: &Name) -> Result<(SoaTimers, Transport), Error> {
    for wait in UDP_WAITS {
        match soa_over_udp(upstream, apex, wait).await {
            Ok(Some(soa)) => return Ok((soa, Transport::Udp)),
            // Truncated.
            Ok(None) => break,
            Err(Error::NoAnswer { .. }) => {}
            // Nobody listens on UDP, or no datagrams pass: TCP may still.
            Err(Error::Receive { .. } | Error::Send { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    let wait = CONNECT_WAIT + SOA_TCP_WAIT;
    let answered = timeout(wait, soa_over_tcp(upstream, apex)).await;
    let soa = answered.map_err(|_| Error::NoAnswer { question: Rtype::SOA, after: wait })??;
    Ok((soa, Transport::Tcp))
}

async fn soa_over_udp(upstream: &Upstream, apex: &Name, wait: Duration) -> Result<Option<SoaTimers>, Error> {
    let question = Rtype::SOA;
    let any = if upstream.address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let source: SocketAddr = upstream.source().unwrap_or(any);
    let socket = UdpSocket::bind(source)
        .await
        .map_err(|error| Error::SourceAddress { source_address: source, source: error })?;
    socket.connect(upstream.address).await.map_err(|source| Error::Send { question, source })?;
    let (id, request, verifier) = request(upstream, apex, question, None)?;
    socket.send(&request).await.map_err(|source| Error::Send { question, source })?;
    let mut rejected = None;
    let listen = async {
        let mut buffer = vec![0; 4096];
        for _ in 0..STRAY_DATAGRAMS_MAX {
            let length = socket.recv(&mut buffer).await.map_err(|source| Error::Receive { question, source })?;
            // Anyone can send datagrams: what is not the answer is passed over, and told only if nothing better comes.
            match read_soa(buffer.get(..length).unwrap_or_default(), id, apex, verifier.clone()) {
                Err(error @ (Error::Tsig { .. } | Error::NotTheAnswer { .. } | Error::Malformed { .. })) => {
                    rejected = Some(error)
                }
                outcome => return outcome,
            }
        }
        Err(Error::NoAnswer { question, after: wait })
    };
    match timeout(wait, listen).await {
        Ok(outcome) => outcome,
        Err(_) => Err(rejected.unwrap_or(Error::NoAnswer { question, after: wait })),
    }
}

async fn soa_over_tcp(upstream: &Upstream, apex: &Name) -> Result<SoaTimers, Error> {
    let question = Rtype::SOA;
    let mut stream = connect(upstream).await?;
    let (id, request, verifier) = request(upstream, apex, question, None)?;
    send(&mut stream, &request, question).await?;
    let mut reader = BufReader::new(stream);
    let mut message = Vec::new();
    receive(&mut reader, &mut message).await.map_err(|source| Error::Receive { question, source })?;
    read_soa(&message, id, apex, verifier)?.ok_or(Error::Truncated { question })
}

/// Reads the answer to a SOA query; `None` when it was truncated.
fn read_soa(bytes: &[u8], id: u16, apex: &Name, mut verifier: Verifier) -> Result<Option<SoaTimers>, Error> {
    let question = Rtype::SOA;
    let malformed = |source| Error::Malformed { question, source };
    let message = Message::parse(bytes).map_err(malformed)?;
    if message.header.id != id {
        let (expected, found) = (id.to_string(), message.header.id.to_string());
        return Err(Error::NotTheAnswer { what: "id", expected, found });
    }
    let verified = verifier.check(bytes.to_vec(), question, unix_now_s())?;
    let message = Message::parse(&verified).map_err(malformed)?;
    check_answer(&message, id, apex.as_ref(), question, true)?;
    if message.header.flags.tc() {
        return Ok(None);
    }
    if !message.header.flags.aa() {
        let (expected, found) = ("an authoritative answer".into(), "another".into());
        return Err(Error::NotTheAnswer { what: "AA flag", expected, found });
    }
    for record in message.records() {
        let record = record.map_err(malformed)?;
        let fits = record.section == Section::Answer && record.rtype == Rtype::SOA && record.class == Class::IN;
        if fits && record.owner().map_err(malformed)?.as_ref().eq_ignore_case(apex.as_ref()) {
            let mut bytes = Vec::with_capacity(64);
            record.decompress_rdata(&mut bytes).map_err(malformed)?;
            let soa = rdata::Soa::parse(&bytes).map_err(malformed)?;
            let (serial, refresh_s, retry_s, expire_s) = (soa.serial, soa.refresh, soa.retry, soa.expire);
            return Ok(Some(SoaTimers { serial, refresh_s, retry_s, expire_s }));
        }
    }
    Err(Error::NoSoa { question, apex: Box::new(*apex) })
}

/// Fetches the whole zone, or the differences since `have`, into `sink`.
///
/// # Errors
/// Why the transfer is to be thrown away, with all that is in `sink`.
pub(crate) async fn fetch(
    upstream: &Upstream,
    apex: &Name,
    (question, have): (Rtype, Option<u32>),
    limits: Limits,
    times: TimeLimits,
    sink: &mut impl Sink,
) -> Result<Fetched, Error> {
    let started = Instant::now();
    let mut stream = connect(upstream).await?;
    let (id, request, mut verifier) = request(upstream, apex, question, have)?;
    send(&mut stream, &request, question).await?;
    let mut reader = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
    let mut interpreter = Interpreter::new(*apex, id, question, have, limits);
    let mut message = Vec::new();
    loop {
        wait_for_message(&mut reader, &mut message, question, &interpreter, (started, times)).await?;
        let length = message.len();
        check_id(&message, id, question)?;
        message = verifier.check(message, question, unix_now_s())?;
        debug_assert_eq!(message.len(), length);
        if let Progress::Done(answer) = interpreter.message(&message, sink)? {
            verifier.done()?;
            let (serial, records, bytes) = (interpreter.serial(), interpreter.records(), interpreter.bytes());
            return Ok(Fetched { answer, serial, records, bytes });
        }
    }
}

/// A wrong id is told as such, and not as a wrong signature.
fn check_id(message: &[u8], id: u16, question: Rtype) -> Result<(), Error> {
    let found = wire::Header::parse(message).map_err(|source| Error::Malformed { question, source })?.id;
    if found == id {
        return Ok(());
    }
    Err(Error::NotTheAnswer { what: "id", expected: id.to_string(), found: found.to_string() })
}

async fn wait_for_message(
    reader: &mut BufReader<TcpStream>,
    message: &mut Vec<u8>,
    question: Rtype,
    interpreter: &Interpreter,
    (started, times): (Instant, TimeLimits),
) -> Result<(), Error> {
    let records = interpreter.records();
    let left = times.duration_max.saturating_sub(started.elapsed());
    match timeout(left.min(times.idle_max), receive(reader, message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(interpreter.cut_off()),
        Ok(Err(source)) => Err(Error::Receive { question, source }),
        Err(_) if left <= times.idle_max => Err(Error::TooSlow { question, after: times.duration_max, records }),
        Err(_) if records == 0 => Err(Error::NoAnswer { question, after: times.idle_max }),
        Err(_) => Err(Error::Idle { question, after: times.idle_max, records }),
    }
}

fn request(
    upstream: &Upstream,
    apex: &Name,
    question: Rtype,
    have: Option<u32>,
) -> Result<(u16, Vec<u8>, Verifier), Error> {
    let id = random_u64()? as u16;
    let apex: NameRef<'_> = apex.as_ref();
    let (bytes, verifier) = Request { id, apex, question, have }.build(upstream.origin.key.as_ref(), unix_now_s())?;
    Ok((id, bytes, verifier))
}

async fn connect(upstream: &Upstream) -> Result<TcpStream, Error> {
    let address = upstream.address;
    let failed = |source| Error::Connect { address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    if let Some(source_address) = upstream.source() {
        socket.bind(source_address).map_err(|source| Error::SourceAddress { source_address, source })?;
    }
    let stream = match timeout(CONNECT_WAIT, socket.connect(address)).await {
        Ok(connected) => connected.map_err(failed)?,
        Err(_) => return Err(failed(std::io::ErrorKind::TimedOut.into())),
    };
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

async fn send(stream: &mut TcpStream, request: &[u8], question: Rtype) -> Result<(), Error> {
    let mut framed = Vec::with_capacity(request.len() + 2);
    framed.extend_from_slice(&u16::try_from(request.len()).unwrap_or(u16::MAX).to_be_bytes());
    framed.extend_from_slice(request);
    stream.write_all(&framed).await.map_err(|source| Error::Send { question, source })
}

async fn receive(reader: &mut BufReader<TcpStream>, message: &mut Vec<u8>) -> std::io::Result<()> {
    let length = usize::from(reader.read_u16().await?);
    message.resize(length, 0);
    reader.read_exact(message).await?;
    Ok(())
}

/// Randomness from the system: ids that nobody can guess.
pub(crate) fn random_u64() -> Result<u64, Error> {
    getrandom::u64().map_err(|error| Error::Random(error.to_string()))
}
