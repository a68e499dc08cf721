//! Talks to an origin: SOA queries over UDP and TCP, transfers over TCP; all of it over TLS where the origin is configured so.
//! Every wait has a limit.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;
use wire::{Class, Edns, Message, Name, NameRef, Rcode, Record, Rtype, Section, edns::option, rdata};

use crate::connect::{CONNECT_WAIT, Connection};
use crate::error::Error;
use crate::notify::unix_now_s;
use crate::peers::Path;
use crate::pool::Pool;
use crate::settings::Upstream;
use crate::timers::SoaTimers;
use crate::tls::{self, TlsFault};
use crate::transfer::{Answer, Interpreter, Limits, Progress, Sink, check_answer};
use crate::tsig::{Request, Verifier};

/// How long each SOA query over UDP waits for its answer.
const UDP_WAITS: [Duration; 2] = [Duration::from_millis(1000), Duration::from_millis(2000)];
/// How long a SOA answer over TCP or TLS may take.
const SOA_TCP_WAIT: Duration = Duration::from_secs(5);
/// How long the first message of an answer may take on a connection that was used before; then a new one is made. Some old
/// origins answer one question a connection and stay silent.
const REUSED_WAIT: Duration = Duration::from_millis(1500);
/// Datagrams that are not the answer, and are passed over, in one wait.
const STRAY_DATAGRAMS_MAX: usize = 64;

/// How a request went over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
    /// An encrypted connection (RFC 9103).
    Tls,
}

impl Transport {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
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
    /// How long the origin's own copy is good for, if it says so (RFC 7314).
    pub expire_s: Option<u32>,
}

/// An answer to a SOA query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SoaAnswer {
    /// The zone's timers.
    pub soa: SoaTimers,
    /// How long the origin's own copy is good for, if it says so (RFC 7314).
    pub expire_s: Option<u32>,
    /// The nodes that the copy came through.
    path: Arc<Path>,
}

/// What one attempt says to one upstream: a SOA query, perhaps a transfer after it, on one connection where it can be.
pub(crate) struct Session<'a> {
    upstream: &'a Upstream,
    apex: &'a Name,
    /// Open, with nothing unread.
    connection: Option<Connection>,
    /// Where connections come from and go to.
    pool: &'a Pool,
    /// Whether requests for transfers have EDNS; an origin older than that says FORMERR (RFC 6891 §7).
    edns: bool,
    /// The nodes that the upstream's copy came through, as it last said.
    path: Arc<Path>,
}

impl<'a> Session<'a> {
    /// A session in which nothing has been said yet.
    pub(crate) fn new(upstream: &'a Upstream, apex: &'a Name, pool: &'a Pool) -> Session<'a> {
        Session { upstream, apex, connection: None, pool, edns: true, path: Arc::default() }
    }

    /// The nodes that the upstream's copy came through, as it last said.
    pub(crate) fn path(&self) -> Arc<Path> {
        Arc::clone(&self.path)
    }

    /// What transfers go over.
    pub(crate) fn transport(&self) -> Transport {
        if self.upstream.origin.tls.is_some() { Transport::Tls } else { Transport::Tcp }
    }

    /// Asks for the zone's SOA: over UDP, and over TCP when that gives no answer or a truncated one; over TLS alone where
    /// that is configured.
    ///
    /// # Errors
    /// Why there is no answer to act on.
    pub(crate) async fn query_soa(&mut self) -> Result<(SoaAnswer, Transport), Error> {
        let waits = if self.transport() == Transport::Tls { &[][..] } else { &UDP_WAITS };
        for wait in waits {
            match soa_over_udp(self.upstream, self.apex, *wait).await {
                Ok(Some(soa)) => {
                    self.path = Arc::clone(&soa.path);
                    return Ok((soa, Transport::Udp));
                }
                // Truncated.
                Ok(None) => break,
                Err(Error::NoAnswer { .. }) => {}
                // Nobody listens on UDP, or no datagrams pass: TCP may still.
                Err(Error::Receive { .. } | Error::Send { .. }) => break,
                Err(error) => return Err(error),
            }
        }
        let soa = self.soa_over_connection().await?;
        self.path = Arc::clone(&soa.path);
        Ok((soa, self.transport()))
    }

    async fn soa_over_connection(&mut self) -> Result<SoaAnswer, Error> {
        let (question, upstream) = (Rtype::SOA, self.upstream);
        let mut connection = Connection::open(upstream).await?;
        let (id, request, verifier) = self.request(question, None)?;
        let mut message = Vec::new();
        let exchange = async {
            connection.send(upstream, &request, question).await?;
            let received = connection.receive(&mut message).await;
            received.map_err(|source| self.cannot_receive(source, question))
        };
        let silent = |_| Error::NoAnswer { question, after: CONNECT_WAIT + SOA_TCP_WAIT };
        timeout(SOA_TCP_WAIT, exchange).await.map_err(silent)??;
        let soa = read_soa(&message, id, (upstream, self.apex), verifier)?.ok_or(Error::Truncated { question })?;
        self.connection = Some(connection);
        Ok(soa)
    }

    /// Fetches the whole zone, or the differences since `have`, into `sink`.
    ///
    /// # Errors
    /// Why the transfer is to be thrown away, with all that is in `sink`.
    pub(crate) async fn fetch(
        &mut self,
        question: (Rtype, Option<u32>),
        limits: Limits,
        times: TimeLimits,
        sink: &mut impl Sink,
    ) -> Result<Fetched, Error> {
        let mut begun = false;
        if let Some(reused) = self.connection.take().or_else(|| self.pool.take(self.upstream)) {
            let wait = TimeLimits { idle_max: times.idle_max.min(REUSED_WAIT), ..times };
            let fetched = self.fetch_over(reused, question, limits, (wait, times), sink, &mut begun).await;
            match &fetched {
                _ if begun => return fetched,
                Err(Error::NoAnswer { .. }) => self.pool.answers_once(self.upstream.address),
                // It had been closed, or some origins hang up after an answer.
                Err(Error::Send { .. } | Error::Receive { .. } | Error::CutOff { .. } | Error::Tls { .. }) => {}
                Err(Error::Refused { rcode: Rcode::FORMERR, .. }) if self.edns => self.edns = false,
                _ => return fetched,
            }
        }
        let connection = Connection::open(self.upstream).await?;
        let fetched = self.fetch_over(connection, question, limits, (times, times), sink, &mut begun).await;
        match &fetched {
            Err(Error::Refused { rcode: Rcode::FORMERR, .. }) if self.edns && !begun => self.edns = false,
            _ => return fetched,
        }
        let connection = Connection::open(self.upstream).await?;
        self.fetch_over(connection, question, limits, (times, times), sink, &mut begun).await
    }

    /// Fetches over one connection; other times hold until the first message and after it.
    async fn fetch_over(
        &mut self,
        mut connection: Connection,
        (question, have): (Rtype, Option<u32>),
        limits: Limits,
        (first, times): (TimeLimits, TimeLimits),
        sink: &mut impl Sink,
        begun: &mut bool,
    ) -> Result<Fetched, Error> {
        let started = Instant::now();
        let (id, request, mut verifier) = self.request(question, have)?;
        connection.send(self.upstream, &request, question).await?;
        let mut interpreter = Interpreter::new(*self.apex, id, question, have, limits);
        let mut message = Vec::new();
        let malformed = |source| Error::Malformed { question, source };
        loop {
            let times = if *begun { times } else { first };
            self.wait_for_message(&mut connection, &mut message, question, &interpreter, (started, times)).await?;
            let length = message.len();
            check_id(&message, id, question)?;
            message = verifier.check(message, question, unix_now_s())?;
            debug_assert_eq!(message.len(), length);
            if !*begun {
                self.path = read_path(&Message::parse(&message).map_err(malformed)?, self.upstream)?;
            }
            let progress = interpreter.message(&message, sink)?;
            *begun = true;
            if let Progress::Done(answer) = progress {
                verifier.done()?;
                self.connection = Some(connection);
                let (serial, records, bytes) = (interpreter.serial(), interpreter.records(), interpreter.bytes());
                return Ok(Fetched { answer, serial, records, bytes, expire_s: interpreter.expire_s() });
            }
        }
    }

    async fn wait_for_message(
        &self,
        connection: &mut Connection,
        message: &mut Vec<u8>,
        question: Rtype,
        interpreter: &Interpreter,
        (started, times): (Instant, TimeLimits),
    ) -> Result<(), Error> {
        let records = interpreter.records();
        let left = times.duration_max.saturating_sub(started.elapsed());
        let begun = records > 0;
        match timeout(left.min(times.idle_max), connection.receive(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is_end(&error) && (begun || self.transport() == Transport::Tcp) => {
                Err(interpreter.cut_off())
            }
            Ok(Err(source)) => Err(self.cannot_receive(source, question)),
            Err(_) if left <= times.idle_max => Err(Error::TooSlow { question, after: times.duration_max, records }),
            Err(_) if records == 0 => Err(Error::NoAnswer { question, after: times.idle_max }),
            Err(_) => Err(Error::Idle { question, after: times.idle_max, records }),
        }
    }

    /// A server that wants a certificate says so only after the handshake is done on our side (RFC 8446 §4.4.2.4), or hangs
    /// up without a word.
    fn cannot_receive(&self, source: io::Error, question: Rtype) -> Error {
        let address = self.upstream.address;
        if is_end(&source) && self.transport() == Transport::Tls {
            return Error::Tls { address, fault: TlsFault::RefusedUs("it hung up instead of an answer".into()) };
        }
        tls::or_else(source, address, |source| Error::Receive { question, source })
    }

    fn request(&self, question: Rtype, have: Option<u32>) -> Result<(u16, Vec<u8>, Verifier), Error> {
        request(self.upstream, self.apex, (question, have), self.edns)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put(self.upstream, connection);
        }
    }
}

async fn soa_over_udp(upstream: &Upstream, apex: &Name, wait: Duration) -> Result<Option<SoaAnswer>, Error> {
    let question = Rtype::SOA;
    let any = if upstream.address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let source: SocketAddr = upstream.source().unwrap_or(any);
    let socket = UdpSocket::bind(source)
        .await
        .map_err(|error| Error::SourceAddress { source_address: source, source: error })?;
    socket.connect(upstream.address).await.map_err(|source| Error::Send { question, source })?;
    let (id, request, verifier) = request(upstream, apex, (question, None), true)?;
    socket.send(&request).await.map_err(|source| Error::Send { question, source })?;
    let mut rejected = None;
    let listen = async {
        let mut buffer = vec![0; 4096];
        for _ in 0..STRAY_DATAGRAMS_MAX {
            let length = socket.recv(&mut buffer).await.map_err(|source| Error::Receive { question, source })?;
            // Anyone can send datagrams: what is not the answer is passed over, and told only if nothing better comes.
            match read_soa(buffer.get(..length).unwrap_or_default(), id, (upstream, apex), verifier.clone()) {
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

/// Reads the nodes that an upstream's copy came through: none where it is an origin.
///
/// # Errors
/// [`Error::Loop`] when we are among them.
fn read_path(message: &Message<'_>, upstream: &Upstream) -> Result<Arc<Path>, Error> {
    let Some(node) = upstream.origin.node() else { return Ok(Path::from_origin()) };
    let path = Path::of_answer(message, node);
    if path.has(&upstream.origin.own_node) || path.is_full() {
        return Err(Error::Loop { path: path.to_string() });
    }
    Ok(Arc::new(path))
}

/// Reads the answer to a SOA query; `None` when it was truncated.
fn read_soa(
    bytes: &[u8],
    id: u16,
    (upstream, apex): (&Upstream, &Name),
    mut verifier: Verifier,
) -> Result<Option<SoaAnswer>, Error> {
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
    let (mut found, mut expire_s) = (None, None);
    for record in message.records() {
        let record = record.map_err(malformed)?;
        expire_s = expire_s.or(expire_option(&record));
        let fits = record.section == Section::Answer && record.rtype == Rtype::SOA && record.class == Class::IN;
        if found.is_none() && fits && record.owner().map_err(malformed)?.as_ref().eq_ignore_case(apex.as_ref()) {
            let mut bytes = Vec::with_capacity(64);
            record.decompress_rdata(&mut bytes).map_err(malformed)?;
            let soa = rdata::Soa::parse(&bytes).map_err(malformed)?;
            let (serial, refresh_s, retry_s, expire_s) = (soa.serial, soa.refresh, soa.retry, soa.expire);
            found = Some(SoaTimers { serial, refresh_s, retry_s, expire_s });
        }
    }
    let soa = found.ok_or_else(|| Error::NoSoa { question, apex: Box::new(*apex) })?;
    let path = read_path(&message, upstream)?;
    Ok(Some(SoaAnswer { soa, expire_s, path }))
}

/// Whether the other side hung up.
fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// What an OPT record says about how long the origin's own copy is good for (RFC 7314 §2), in seconds.
pub(crate) fn expire_option(record: &Record<'_>) -> Option<u32> {
    if record.rtype != Rtype::OPT || record.section != Section::Additional {
        return None;
    }
    let edns = Edns::from_record(record.class.0, record.ttl, record.rdata()).ok()?;
    Some(u32::from_be_bytes(edns.option(option::EXPIRE)?.try_into().ok()?))
}

/// A wrong id is told as such, and not as a wrong signature.
fn check_id(message: &[u8], id: u16, question: Rtype) -> Result<(), Error> {
    let found = wire::Header::parse(message).map_err(|source| Error::Malformed { question, source })?.id;
    if found == id {
        return Ok(());
    }
    Err(Error::NotTheAnswer { what: "id", expected: id.to_string(), found: found.to_string() })
}

fn request(
    upstream: &Upstream,
    apex: &Name,
    (question, have): (Rtype, Option<u32>),
    edns: bool,
) -> Result<(u16, Vec<u8>, Verifier), Error> {
    let id = random_u64()? as u16;
    let apex: NameRef<'_> = apex.as_ref();
    let path = upstream.origin.node().is_some();
    let request = Request { id, apex, question, have, edns, path };
    let (bytes, verifier) = request.build(upstream.origin.key.as_ref(), unix_now_s())?;
    Ok((id, bytes, verifier))
}

/// Randomness from the system: ids that nobody can guess.
pub(crate) fn random_u64() -> Result<u64, Error> {
    getrandom::u64().map_err(|error| Error::Random(error.to_string()))
}
