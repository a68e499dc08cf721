//! A BGP peer that does as it is told, byte for byte: right, wrongly, or not at all. It waits for the speaker that is tested
//! to connect, in a namespace, and shows every message that comes.

pub mod message;

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use crate::{LabError, Namespace};
use message::{HEADER_BYTES, KEEPALIVE, NOTIFICATION, OPEN, Open, keepalive};

/// BGP's port.
const PORT: u16 = 179;
/// TTL of what it sends, as TTL security wants it (RFC 5082).
const TTL: u32 = 255;
/// Pause between two looks for a connection.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A listening one.
pub struct ScriptedRouter {
    listener: TcpListener,
}

/// A connection with the speaker.
pub struct Session {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its type, as [`message::UPDATE`].
    pub kind: u8,
    /// All after the header.
    pub body: Vec<u8>,
}

/// A NOTIFICATION that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// What follows.
    pub data: Vec<u8>,
}

impl ScriptedRouter {
    /// Wait for connections at `address`, which is of `namespace`.
    pub fn listen(namespace: &Namespace, address: IpAddr) -> Result<ScriptedRouter, LabError> {
        let doing = format!("listening at {address}:{PORT}");
        let bound = namespace.enter(|| {
            let listener = TcpListener::bind(SocketAddr::new(address, PORT))?;
            listener.set_nonblocking(true)?;
            // Connections have the TTL of the socket that they come from; of IPv6 the standard library has none.
            if address.is_ipv4() {
                listener.set_ttl(TTL)?;
            }
            Ok(listener)
        })?;
        Ok(ScriptedRouter { listener: bound.map_err(LabError::io(doing))? })
    }

    /// The next connection.
    pub fn accept(&self, deadline: Duration) -> Result<Session, LabError> {
        let stream = crate::until("a connection from the speaker", deadline, || match self.listener.accept() {
            Ok((stream, _)) => Some(Ok(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        })?;
        let ready = stream.and_then(|stream| {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LOOK_EVERY))?;
            stream.set_write_timeout(Some(deadline))?;
            Ok(stream)
        });
        let stream = ready.map_err(LabError::io("taking a connection from the speaker"))?;
        Ok(Session { stream, received: Vec::new() })
    }

    /// The next connection, made into an established session. Whatever goes wrong before is tried again.
    pub fn establish(&self, open: &Open, deadline: Duration) -> Result<Session, LabError> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let mut session = self.accept(left)?;
            match session.establish(open, left) {
                Ok(()) => return Ok(session),
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => {}
            }
        }
    }
}

impl Session {
    /// Send these bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), LabError> {
        self.stream.write_all(bytes).map_err(LabError::io("sending to the speaker"))
    }

    /// The next message; `None` where the speaker closed the connection.
    pub fn receive(&mut self, deadline: Duration) -> Result<Option<Message>, LabError> {
        let end = Instant::now() + deadline;
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend_from_slice(chunk.get(..count).unwrap_or_default()),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(LabError::Io { doing: "reading from the speaker".into(), source: error }),
            }
            if Instant::now() >= end {
                return Err(LabError::NotReady {
                    what: "a message of the speaker".into(),
                    waited: deadline,
                    details: String::new(),
                });
            }
        }
    }

    /// Send an OPEN, take the speaker's, exchange KEEPALIVEs.
    pub fn establish(&mut self, open: &Open, deadline: Duration) -> Result<(), LabError> {
        self.send(&open.to_bytes())?;
        self.expect(OPEN, deadline)?;
        self.send(&keepalive())?;
        self.expect(KEEPALIVE, deadline).map(|_| ())
    }

    /// The next message that is of this type; others are passed over, but for a NOTIFICATION, which is an error as the
    /// connection's end is.
    pub fn expect(&mut self, kind: u8, deadline: Duration) -> Result<Message, LabError> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.receive(left)? {
                Some(message) if message.kind == kind => return Ok(message),
                Some(message) if message.kind == NOTIFICATION => {
                    return Err(LabError::Invalid(format!("the speaker ended the session: {message:?}")));
                }
                Some(_) => {}
                None => return Err(LabError::Invalid("the speaker closed the connection".into())),
            }
        }
    }

    /// The NOTIFICATION that ends the session; what comes before it is passed over. `None` where the connection ends
    /// without one.
    pub fn notification(&mut self, deadline: Duration) -> Result<Option<Notification>, LabError> {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Some(message) = self.receive(left)? else { return Ok(None) };
            if message.kind != NOTIFICATION {
                continue;
            }
            let mut body = message.body.into_iter();
            let mut octet = || body.next().unwrap_or_default();
            let (code, subcode) = (octet(), octet());
            return Ok(Some(Notification { code, subcode, data: body.collect() }));
        }
    }

    fn take(&mut self) -> Option<Message> {
        let length = usize::from(u16::from_be_bytes(self.received.get(16..18)?.try_into().ok()?));
        let kind = *self.received.get(18)?;
        let body = self.received.get(HEADER_BYTES..length)?.to_vec();
        self.received.drain(..length);
        Some(Message { kind, body })
    }
}
