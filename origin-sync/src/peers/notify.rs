//! Tells the nodes downstream of new copies by NOTIFY (RFC 1996), each until it has acknowledged it or there is a newer one.
//!
//! ```text
//!   Queued ── sent ──▶ Flying ── acknowledged, refused ──▶ gone
//!     ▲                  │
//!     └── no answer, ────┘
//!         newer copy
//! ```
//!
//! One task, one socket for each address family. A node that answers has a window of NOTIFYs under way; one that is silent
//! is probed by one at a time, at growing intervals, and by every change that comes while none is under way.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use domain::base::Message as DomainMessage;
use domain::rdata::tsig::Time48;
use domain::tsig::{ClientTransaction, Key as DomainKey};
use tokio::net::UdpSocket;
use tokio::time::sleep_until;
use wire::{Class, Flags, Header, Opcode, Rcode, Rtype, Writer};

use super::offer::Offer;
use super::outbox::Outbox;
use super::request::SoaRecord;
use super::{Access, seal};
use crate::client::random_u64;
use crate::notify::unix_now_s;

/// NOTIFYs under way to one node that answers.
const WINDOW: usize = 64;
/// Zones of which one node has to be told yet, for all nodes together.
const PENDING_MAX: usize = 1 << 18;
/// How long an answer is waited for.
const ANSWER_WAIT: Duration = Duration::from_millis(700);
/// The first pause before a silent node is asked again; it doubles.
const SILENT_WAIT: Duration = Duration::from_millis(500);
/// The longest such pause.
const SILENT_WAIT_MAX: Duration = Duration::from_secs(60);
/// Waits without an answer after which a node counts as silent.
const SILENT_AFTER: u32 = 2;
/// The longest message that is sent or taken.
const MESSAGE_BYTES_MAX: usize = 1232;
/// The task looks around at least this often.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Runs until it is aborted.
pub(crate) async fn run(outbox: Arc<Outbox>, started: Instant) {
    let mut courier = Courier { access: Arc::default(), started, targets: Vec::new(), pending: 0, outbox };
    let sockets = Sockets::bind().await;
    let mut buffers = (vec![0; MESSAGE_BYTES_MAX], vec![0; MESSAGE_BYTES_MAX]);
    loop {
        courier.take_changes();
        let due = courier.send_due(&sockets, Instant::now()).await;
        tokio::select! {
            () = courier.outbox.wait() => {}
            (length, from) = Sockets::receive(&sockets.v4, &mut buffers.0) => courier.take(buffers.0.get(..length), from),
            (length, from) = Sockets::receive(&sockets.v6, &mut buffers.1) => courier.take(buffers.1.get(..length), from),
            () = sleep_until(due.into()) => {}
        }
    }
}

struct Courier {
    outbox: Arc<Outbox>,
    started: Instant,
    access: Arc<Access>,
    targets: Vec<Target>,
    /// Zones that wait at any target.
    pending: usize,
}

/// One node.
struct Target {
    node: Arc<str>,
    addresses: Vec<SocketAddr>,
    zones: HashMap<u64, Pending>,
    queue: VecDeque<u64>,
    flights: HashMap<u16, Flight>,
    /// Waits in a row that ended without any answer.
    silent: u32,
    /// Nothing is sent before.
    not_before: Instant,
}

/// One zone that a node has to be told of.
struct Pending {
    offer: Arc<Offer>,
    /// The NOTIFY that is under way; without one the zone is in the queue.
    flight: Option<u16>,
}

/// One NOTIFY under way.
struct Flight {
    zone: u64,
    address: SocketAddr,
    deadline: Instant,
    transaction: ClientTransaction<Arc<DomainKey>>,
}

impl Courier {
    fn take_changes(&mut self) {
        let access = self.outbox.access();
        if !Arc::ptr_eq(&access, &self.access) {
            self.configure(access);
        }
        let changes = self.outbox.take();
        let now = Instant::now();
        for target in &mut self.targets {
            for (&zone, offer) in &changes {
                if self.pending >= PENDING_MAX && !target.zones.contains_key(&zone) {
                    self.outbox.counters.notifies_dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                self.pending += usize::from(target.changed(zone, offer, now));
            }
        }
    }

    /// Keeps what is the same for nodes that stay.
    fn configure(&mut self, access: Arc<Access>) {
        let mut old = std::mem::take(&mut self.targets);
        for (node, addresses) in access.downstream.iter().filter(|(_, addresses)| !addresses.is_empty()) {
            let known = old.iter().position(|target| target.node == *node && target.addresses == *addresses);
            let target = match known {
                Some(index) => old.swap_remove(index),
                None => Target::new(Arc::clone(node), addresses.clone()),
            };
            self.targets.push(target);
        }
        self.pending = self.targets.iter().map(|target| target.zones.len()).sum();
        self.access = access;
    }

    /// Sends what is due; when something will be next.
    async fn send_due(&mut self, sockets: &Sockets, now: Instant) -> Instant {
        let mut next = now + IDLE_MAX;
        let Some(key) = &self.access.key else { return next };
        for target in &mut self.targets {
            target.end_waits(now);
            while target.may_send(now) {
                let Some(zone) = target.queue.pop_front() else { break };
                let notify = target.zones.get(&zone).and_then(|pending| {
                    let good = pending.offer.good(self.started.elapsed()).ok()?;
                    write_notify(&good.zone, &target.flights, key.inner())
                });
                // A copy that is gone meanwhile is nothing to tell of.
                let Some((id, message, transaction)) = notify else {
                    self.pending -= usize::from(target.zones.remove(&zone).is_some());
                    continue;
                };
                let address = target.address();
                sockets.send(&message, address).await;
                self.outbox.counters.notifies_sent.fetch_add(1, Ordering::Relaxed);
                target.fly(zone, id, Flight { zone, address, deadline: now + ANSWER_WAIT, transaction });
            }
            next = next.min(target.due(now));
        }
        next
    }

    /// Takes an answer.
    fn take(&mut self, message: Option<&[u8]>, from: SocketAddr) {
        let Some((message, header)) = message.and_then(|message| Some((message, Header::parse(message).ok()?))) else {
            return;
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let target = self.targets.iter_mut().find_map(|target| {
            let flight = target.flights.get(&header.id).filter(|flight| flight.address == from)?;
            Some((judge(message, header, flight)?, target))
        });
        let Some((answer, target)) = target else { return };
        let counters = &self.outbox.counters;
        let counter = match answer {
            Answer::Acknowledged => &counters.notifies_acknowledged,
            Answer::Refused => &counters.notifies_refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.pending -= usize::from(target.land(header.id, Instant::now()));
    }
}

/// What a node answered.
enum Answer {
    Acknowledged,
    /// It has not that zone, say.
    Refused,
}

/// `None` for what is no answer to the NOTIFY. An error may come without a signature: the zone is unknown there, and so is
/// its key. Believing it costs no more than the node's next SOA query.
fn judge(message: &[u8], header: Header, flight: &Flight) -> Option<Answer> {
    if !header.flags.qr() || header.flags.opcode() != Opcode::NOTIFY {
        return None;
    }
    if header.flags.rcode() != Rcode::NOERROR {
        return Some(Answer::Refused);
    }
    let mut message = DomainMessage::from_octets(message.to_vec()).ok()?;
    flight.transaction.clone().answer(&mut message, Time48::from_u64(unix_now_s())).ok()?;
    Some(Answer::Acknowledged)
}

impl Target {
    fn new(node: Arc<str>, addresses: Vec<SocketAddr>) -> Target {
        let (zones, queue, flights) = (HashMap::new(), VecDeque::new(), HashMap::new());
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let addresses = addresses.into_iter().map(canonical).collect();
        Target { node, addresses, zones, queue, flights, silent: 0, not_before: Instant::now() }
    }

    /// Takes a zone that has changed; whether it was not waiting already.
    fn changed(&mut self, zone: u64, offer: &Arc<Offer>, now: Instant) -> bool {
        let new = match self.zones.get_mut(&zone) {
            None => {
                self.zones.insert(zone, Pending { offer: Arc::clone(offer), flight: None });
                self.queue.push_back(zone);
                true
            }
            Some(pending) => {
                if let Some(flight) = pending.flight.take() {
                    // What is under way tells of an older copy.
                    self.flights.remove(&flight);
                    self.queue.push_front(zone);
                }
                false
            }
        };
        if self.flights.is_empty() {
            self.not_before = self.not_before.min(now);
        }
        new
    }

    /// The address to send to: the next one after each wait without an answer.
    fn address(&self) -> SocketAddr {
        let index = self.silent as usize % self.addresses.len().max(1);
        self.addresses.get(index).copied().unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 0).into())
    }

    fn may_send(&self, now: Instant) -> bool {
        let window = if self.silent >= SILENT_AFTER { 1 } else { WINDOW };
        self.flights.len() < window && self.not_before <= now && !self.queue.is_empty()
    }

    fn fly(&mut self, zone: u64, id: u16, flight: Flight) {
        if let Some(pending) = self.zones.get_mut(&zone) {
            pending.flight = Some(id);
            self.flights.insert(id, flight);
        }
    }

    /// Puts back into the queue what has waited for its answer in vain.
    fn end_waits(&mut self, now: Instant) {
        let over: Vec<u16> = self.flights.iter().filter(|(_, f)| f.deadline <= now).map(|(&id, _)| id).collect();
        if over.is_empty() {
            return;
        }
        for id in over {
            if let Some(flight) = self.flights.remove(&id)
                && let Some(pending) = self.zones.get_mut(&flight.zone)
            {
                pending.flight = None;
                self.queue.push_back(flight.zone);
            }
        }
        self.silent = self.silent.saturating_add(1);
        if let Some(times) = self.silent.checked_sub(SILENT_AFTER) {
            let factor = 2u32.checked_pow(times).unwrap_or(u32::MAX);
            self.not_before = now + SILENT_WAIT.saturating_mul(factor).min(SILENT_WAIT_MAX);
        }
    }

    /// Ends a NOTIFY that was answered; whether its zone is done with.
    fn land(&mut self, id: u16, now: Instant) -> bool {
        self.silent = 0;
        self.not_before = now;
        self.flights.remove(&id).is_some_and(|flight| self.zones.remove(&flight.zone).is_some())
    }

    /// When there is something to do next.
    fn due(&self, now: Instant) -> Instant {
        let waits = self.flights.values().map(|flight| flight.deadline);
        let send = (!self.queue.is_empty() && self.flights.is_empty()).then_some(self.not_before);
        waits.chain(send).min().unwrap_or(now + IDLE_MAX)
    }
}

/// A NOTIFY with the copy's SOA record as the hint (RFC 1996 §3.7), signed; and its id.
fn write_notify(
    zone: &zones::Zone,
    flights: &HashMap<u16, Flight>,
    key: &Arc<DomainKey>,
) -> Option<(u16, Vec<u8>, ClientTransaction<Arc<DomainKey>>)> {
    let random = random_u64().ok()?;
    let ids = (0..4).map(|part| (random >> (16 * part)) as u16);
    let id = ids.into_iter().find(|id| !flights.contains_key(id))?;
    let mut out = vec![0; MESSAGE_BYTES_MAX];
    let mut writer = Writer::new(&mut out, MESSAGE_BYTES_MAX).ok()?;
    writer.set_id(id);
    writer.set_flags(Flags::default().with_opcode(Opcode::NOTIFY).with_aa(true));
    writer.question(zone.apex(), Rtype::SOA, Class::IN).ok()?;
    SoaRecord::of(zone)?.write(&mut writer, zone.apex()).ok()?;
    let length = writer.finish();
    let (length, transaction) = seal::sign_request(&mut out, length, Arc::clone(key), unix_now_s())?;
    out.truncate(length);
    Some((id, out, transaction))
}

/// The sockets that NOTIFYs leave from; one is missing where the system has not that family.
struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    async fn bind() -> Sockets {
        let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await;
        let v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).await;
        let told = |bound: io::Result<UdpSocket>| bound.inspect_err(|error| tracing::debug!(%error, "NOTIFY")).ok();
        Sockets { v4: told(v4), v6: told(v6) }
    }

    /// Sends a datagram, or loses it like the network would.
    async fn send(&self, message: &[u8], to: SocketAddr) {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let Some(socket) = socket else { return };
        if let Err(error) = socket.send_to(message, to).await {
            tracing::debug!(%to, %error, "NOTIFY");
        }
    }

    /// The next datagram that could be received.
    async fn receive(socket: &Option<UdpSocket>, buffer: &mut [u8]) -> (usize, SocketAddr) {
        let Some(socket) = socket else { return std::future::pending().await };
        loop {
            match socket.recv_from(buffer).await {
                Ok(received) => return received,
                // An ICMP error of an earlier datagram, say. Never in a row without a pause.
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
