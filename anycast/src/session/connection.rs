//! One TCP connection of a session, as its neighbour's task has it: what is to be sent goes out at once as far as the
//! router takes it, the rest waits in a bounded buffer.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bgp::{ConnectionId, Framer};

/// Bytes that may wait until a router reads. The announcements of a node are some kilobytes; a router that lets more than
/// this pile up does not read.
pub(super) const UNSENT_BYTES_MAX: usize = 256 * 1024;
/// Bytes read at once.
pub(super) const READ_BYTES_MAX: usize = 32 * 1024;
/// A router that has not sent a byte so long after the connection was made is not heard.
pub(super) const SILENCE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a connection that is to be closed may take to send what it still has, and how long the router may take to
/// close its side after that.
const CLOSE_TIME_MAX: Duration = Duration::from_millis(500);

/// A connection, made by either side.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) framer: Framer,
    stream: TcpStream,
    unsent: VecDeque<u8>,
    /// Since when the router has taken nothing of what is unsent.
    stuck_since: Option<Instant>,
    /// Until when the router has to say something; none once it has.
    silent_until: Option<Instant>,
}

/// Why a connection is no good any more.
#[derive(Debug)]
pub(super) enum Broken {
    /// The router closed it.
    Closed,
    /// It closed or reset it before it said anything.
    ClosedUnheard,
    /// Nothing that it sends arrives.
    Unheard,
    /// The network or the router's kernel ended it.
    Io(io::Error),
    /// The router does not read.
    NotRead,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What a connection is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// There are bytes, or its end.
    Read,
    /// Unsent bytes can go.
    Write,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, stream: TcpStream, now: Instant) -> Self {
        Self {
            id,
            framer: Framer::new(),
            stream,
            unsent: VecDeque::new(),
            stuck_since: None,
            silent_until: Some(now + SILENCE_TIME_MAX),
        }
    }

    /// Sends bytes, or keeps them until the router reads.
    pub(super) fn send(&mut self, bytes: &[u8], now: Instant) -> Result<(), Broken> {
        if self.unsent.len() + bytes.len() > UNSENT_BYTES_MAX {
            return Err(Broken::NotRead);
        }
        self.unsent.extend(bytes);
        self.flush(now)
    }

    /// Sends of the unsent bytes as much as the router takes.
    pub(super) fn flush(&mut self, now: Instant) -> Result<(), Broken> {
        while !self.unsent.is_empty() {
            let (front, back) = self.unsent.as_slices();
            match self.stream.try_write_vectored(&[IoSlice::new(front), IoSlice::new(back)]) {
                Ok(0) => return Err(Broken::Closed),
                Ok(sent) => {
                    self.unsent.drain(..sent.min(self.unsent.len()));
                    self.stuck_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) if self.silent_until.is_some() => return Err(Broken::ClosedUnheard),
                Err(error) => return Err(error.into()),
            }
        }
        if !self.unsent.is_empty() {
            self.stuck_since.get_or_insert(now);
        }
        Ok(())
    }

    /// Whether all has been given to the kernel.
    pub(super) fn is_flushed(&self) -> bool {
        self.unsent.is_empty()
    }

    /// When the connection has to end for a router that says nothing at all.
    pub(super) fn silent_until(&self) -> Option<Instant> {
        self.silent_until
    }

    /// When the connection has to end for a router that does not read (RFC 9687).
    pub(super) fn stuck_until(&self, send_hold: Duration) -> Option<Instant> {
        self.stuck_since.map(|since| since + send_hold)
    }

    /// Gives the framer what is there to be read, as much as fits into `buffer`. Whether there was anything.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<bool, Broken> {
        match self.stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Ok(0) | Err(_) if self.silent_until.is_some() => Err(Broken::ClosedUnheard),
            Ok(0) => Err(Broken::Closed),
            Ok(bytes) => {
                self.silent_until = None;
                self.framer.push(buffer.get(..bytes).unwrap_or_default());
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until it can be read, or written where there is something to write.
    pub(super) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Ready> {
        // An error shows when the operation is tried.
        if !self.unsent.is_empty() && self.stream.poll_write_ready(context).is_ready() {
            return Poll::Ready(Ready::Write);
        }
        self.stream.poll_read_ready(context).map(|_| Ready::Read)
    }

    /// Sends the rest, says that there is no more, and waits for the router to close too: were it closed with bytes
    /// unread, the kernel would reset it, and the router might never see the NOTIFICATION.
    pub(super) async fn close(mut self) {
        let (front, back) = self.unsent.as_slices();
        let rest = [front, back].concat();
        let send = async {
            self.stream.write_all(&rest).await?;
            self.stream.shutdown().await
        };
        if !matches!(tokio::time::timeout(CLOSE_TIME_MAX, send).await, Ok(Ok(()))) {
            return;
        }
        let drain = async {
            let mut ignored = [0; 4096];
            while matches!(self.stream.read(&mut ignored).await, Ok(1..)) {}
        };
        let _ = tokio::time::timeout(CLOSE_TIME_MAX, drain).await;
    }
}
