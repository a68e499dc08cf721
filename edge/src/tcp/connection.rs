//! One TCP connection: messages in, answers out, in the order of the queries but for those that wait for an origin: they
//! are overtaken (RFC 7766 §6.2.1.1).
//!
//! Memory is bounded: [`QUERY_BYTES_MAX`] for what comes in, [`PENDING_BYTES`] and one answer for what goes out, and
//! [`WAITING_MAX`] queries that wait. A connection whose client does not take its answers is not read from, and one that
//! stays so is closed.

use std::{future, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    task::yield_now,
    time::{Instant, sleep_until, timeout_at},
};

use super::{Lane, Left, Parked, Phase, limits::Place};
use crate::{
    clock::filter_time,
    line::{Client, MessageStream, NextMessage},
    parking::{Completed, CompletedReceiver, CompletedSender},
    stats::{DropReason, Transport},
};

/// Longest query taken. The longest real ones (255 octets of name, EDNS options, TSIG) have under 1,000.
const QUERY_BYTES_MAX: usize = 8192;
/// Answers are sent once they have this many bytes, or there is no further query at hand.
const PENDING_BYTES: usize = 16 << 10;
/// Queries of one connection that may wait for their origins at a time; until one of them is answered, no more are taken.
const WAITING_MAX: usize = 64;
/// After more messages than these the next connection has its turn.
const MESSAGES_IN_TURN_MAX: usize = 8;
/// What a connection keeps for its next answers.
const PENDING_BYTES_KEPT: usize = 4 << 10;
const LENGTH_BYTES: usize = 2;
/// Longest idle time while connections are scarce.
const IDLE_UNDER_PRESSURE_MAX: Duration = Duration::from_millis(500);

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client was done, or the edge is stopping.
    Quietly,
    /// We gave it up.
    Dropped(DropReason),
}

/// What became of waiting for bytes.
enum Received {
    Bytes,
    /// A query that waited does so no longer.
    Completed(Completed),
    End(Ended),
}

/// The queries of a connection that wait. Most connections never have any.
#[derive(Default)]
struct Waiting {
    number: usize,
    channel: Option<(CompletedSender, CompletedReceiver)>,
}

impl Waiting {
    fn sender(&mut self) -> &CompletedSender {
        &self.channel.get_or_insert_with(mpsc::unbounded_channel).0
    }

    /// The next one to be answered. May be dropped at any time without losing one.
    async fn next(&mut self) -> Completed {
        match &mut self.channel {
            Some((_, receiver)) if self.number > 0 => match receiver.recv().await {
                Some(completed) => completed,
                // Not reached: a sender stands beside it.
                None => future::pending().await,
            },
            _ => future::pending().await,
        }
    }
}

pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    lane: Rc<Lane>,
    /// Where it is known how much it is worth.
    place: Arc<Place>,
    /// The part of a message, or the messages, that have arrived: `inbound[..filled]`.
    inbound: Box<[u8]>,
    filled: usize,
    pending: Vec<u8>,
    waiting: Waiting,
    /// The client will ask no more; what it asked is still answered (RFC 7766 §6.2.4).
    asked_all: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr, lane: Rc<Lane>, place: Arc<Place>) -> Self {
        let inbound = vec![0; LENGTH_BYTES + QUERY_BYTES_MAX].into();
        let waiting = Waiting::default();
        Connection { stream, peer, lane, place, inbound, filled: 0, pending: Vec::new(), waiting, asked_all: false }
    }

    /// Answers until the client is done, is too slow, or the edge stops.
    pub(super) async fn serve(mut self, mut phase: watch::Receiver<Phase>) -> Ended {
        // Answers are written whole; waiting to fill a segment would only delay them.
        let _ = self.stream.set_nodelay(true);
        let mut pressure = self.lane.connections.watch_pressure();
        loop {
            match self.receive(&mut phase, &mut pressure).await {
                Received::Bytes => {
                    if let Err(ended) = self.answer_all(&pressure).await {
                        return ended;
                    }
                }
                Received::Completed(completed) => {
                    self.answer_completed(completed);
                    if let Err(ended) = self.send().await {
                        return ended;
                    }
                }
                Received::End(ended) => return ended,
            }
        }
    }

    /// Waits for more bytes: as long as a client may be idle, or as long as the rest of a message may take. A client that
    /// waits itself, for the answer of an origin, is not idle.
    async fn receive(&mut self, phase: &mut watch::Receiver<Phase>, pressure: &mut watch::Receiver<bool>) -> Received {
        let since = Instant::now();
        let begun = self.filled > 0;
        loop {
            let waits = self.waiting.number > 0;
            if self.asked_all && !waits {
                return Received::End(Ended::Quietly);
            }
            let (wait, reason) = match begun {
                true => (self.lane.shared.settings.load().tcp.receive, DropReason::TcpSlowWriter),
                false => (self.idle(*pressure.borrow_and_update()), DropReason::TcpIdle),
            };
            // Its first message is due however scarce connections are.
            if !begun && *phase.borrow_and_update() != Phase::Serving && !waits {
                return Received::End(Ended::Quietly);
            }
            let deadline = since + wait;
            let Some(room) = self.inbound.get_mut(self.filled..).filter(|room| !room.is_empty()) else {
                return Received::End(Ended::Dropped(DropReason::TcpTooLong));
            };
            tokio::select! {
                completed = self.waiting.next(), if waits => return Received::Completed(completed),
                read = self.stream.read(room), if !self.asked_all => match read {
                    Ok(0) => self.asked_all = true,
                    Ok(bytes) => {
                        self.filled += bytes;
                        if self.has_message() || !begun {
                            return Received::Bytes;
                        }
                    }
                    Err(_) => return Received::End(Ended::Dropped(DropReason::TcpBroken)),
                },
                () = sleep_until(deadline), if begun || !waits => return Received::End(Ended::Dropped(reason)),
                _ = pressure.changed(), if !begun => {}
                _ = phase.changed(), if !begun => {}
            }
        }
    }

    fn client(&self, idle: Duration) -> Client {
        Client { peer: self.peer, transport: Transport::Tcp, idle }
    }

    /// How long the connection may be idle.
    fn idle(&self, pressure: bool) -> Duration {
        let idle = self.lane.shared.settings.load().tcp.idle;
        if pressure { idle.min(IDLE_UNDER_PRESSURE_MAX) } else { idle }
    }

    fn has_message(&self) -> bool {
        next_message(self.inbound.get(..self.filled).unwrap_or_default()).is_some()
    }

    /// Answers every message that has arrived whole.
    async fn answer_all(&mut self, pressure: &watch::Receiver<bool>) -> Result<(), Ended> {
        let idle = self.idle(*pressure.borrow());
        let client = self.client(idle);
        let (mut done, mut answered) = (0, 0);
        while let Some(message) = self.inbound.get(done..self.filled).and_then(next_message) {
            done += LENGTH_BYTES + message.len();
            answered += 1;
            match self.lane.respond(message, &client, &mut self.pending) {
                Left::Nothing => {}
                Left::Stream(stream) => {
                    let message = Box::<[u8]>::from(message);
                    self.send_stream(stream, &message).await?;
                }
                Left::Miss(zone, admission) => {
                    let sender = self.waiting.sender();
                    if self.lane.park(message, (zone, &admission), &client, sender, &mut self.pending) == Parked::Waits
                    {
                        self.waiting.number += 1;
                    }
                }
            }
            while self.waiting.number >= WAITING_MAX {
                self.send().await?;
                let completed = self.waiting.next().await;
                self.answer_completed(completed);
            }
            if self.pending.len() >= PENDING_BYTES {
                self.send().await?;
            }
        }
        self.inbound.copy_within(done..self.filled, 0);
        self.filled -= done;
        if answered > 0 {
            self.place.worked(filter_time().ms());
        }
        self.place.set_waits(self.waiting.number > 0);
        self.send().await?;
        if answered > MESSAGES_IN_TURN_MAX {
            // Others have their turn, however much this client has sent.
            yield_now().await;
        }
        self.pending.shrink_to(PENDING_BYTES_KEPT);
        match self.inbound.first_chunk::<LENGTH_BYTES>() {
            Some(length) if self.filled >= LENGTH_BYTES => match usize::from(u16::from_be_bytes(*length)) {
                0..=QUERY_BYTES_MAX => Ok(()),
                _ => Err(Ended::Dropped(DropReason::TcpTooLong)),
            },
            _ => Ok(()),
        }
    }

    /// Answers a query that waited, and all others that do so no longer, behind what is pending.
    fn answer_completed(&mut self, completed: Completed) {
        let client = self.client(self.idle(false));
        let mut next = Some(completed);
        while let Some(Completed { query, filled }) = next {
            self.waiting.number = self.waiting.number.saturating_sub(1);
            self.lane.respond_filled(&query.message, &client, &query.admission, &filled, &mut self.pending);
            let more = self.pending.len() < PENDING_BYTES;
            next = self.waiting.channel.as_mut().filter(|_| more).and_then(|(_, receiver)| receiver.try_recv().ok());
        }
        self.place.worked(filter_time().ms());
        self.place.set_waits(self.waiting.number > 0);
    }

    /// Sends the answers that are ready; a client has only so long to take them.
    pub(super) async fn send(&mut self) -> Result<(), Ended> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + self.lane.shared.settings.load().tcp.send;
        let sent = timeout_at(deadline, self.stream.write_all(&self.pending)).await;
        self.pending.clear();
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended::Dropped(DropReason::TcpBroken)),
            Err(_) => Err(Ended::Dropped(DropReason::TcpSlowReader)),
        }
    }
}

/// The first message of a stream, if all of it is there.
fn next_message(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    rest.get(..usize::from(u16::from_be_bytes(*length)))
}

impl Connection {
    /// Makes the next message of a transfer.
    pub(super) fn next_message(&mut self, stream: &mut dyn MessageStream, message: &[u8]) -> NextMessage {
        let client = self.client(Duration::ZERO);
        self.lane.next_message(stream, message, &client, &mut self.pending)
    }
}

#[cfg(test)]
mod tests {
    use super::next_message;

    #[test]
    fn a_message_is_there_when_all_of_it_is() {
        let stream = [0, 3, b'a', b'b', b'c', 0, 0, 0, 1];
        for length in 0..5 {
            assert_eq!(next_message(&stream[..length]), None);
        }
        assert_eq!(next_message(&stream), Some(&b"abc"[..]));
        assert_eq!(next_message(&stream[5..]), Some(&b""[..]));
        assert_eq!(next_message(&stream[7..]), None);
    }
}
