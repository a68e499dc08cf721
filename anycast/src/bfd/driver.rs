//! The thread of all BFD sessions: waits for packets and deadlines, and gives both to the sessions.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use tokio::sync::watch;

use super::handle::{Command, States, Statuses, Wanted, lock};
use super::packet::{Packet, State};
use super::session::{Event, Session};
use super::socket::{self, Arrived, Buffers, TTL};
use crate::BfdStatus;

/// Packets taken from a socket before deadlines are looked at again.
const PACKETS_MAX: usize = 64;
/// How long the thread rests when more came than it takes at once, or a socket fails: it has real-time priority, and a
/// flood must not make it keep a core from everything else.
const FLOOD_PAUSE: Duration = Duration::from_millis(1);
/// How often counters alone are published.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// What the thread waits for at most.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The sessions, their sockets, and where their states are published.
#[derive(Debug)]
pub(super) struct Driver {
    receivers: Vec<socket::Receiver>,
    peers: Vec<Peer>,
    woken: UnixStream,
    buffers: Buffers,
    states: Arc<States>,
    statuses: Arc<Statuses>,
    /// A session has changed since its status was published.
    changed: bool,
    /// A counter has.
    counted: bool,
    published: Instant,
    random: u64,
}

/// A neighbour.
#[derive(Debug)]
struct Peer {
    wanted: Wanted,
    session: Session,
    /// None when it could not be made; that is tried again.
    socket: Option<UdpSocket>,
    state: watch::Sender<State>,
    discarded: u64,
    /// Sending failed, and the log says so.
    failing: bool,
}

impl Driver {
    pub(super) fn new(
        receivers: Vec<socket::Receiver>,
        woken: UnixStream,
        states: Arc<States>,
        statuses: Arc<Statuses>,
        seed: u64,
    ) -> Self {
        Self {
            receivers,
            peers: Vec::new(),
            woken,
            buffers: Buffers::new(),
            states,
            statuses,
            changed: true,
            counted: false,
            published: Instant::now(),
            random: seed,
        }
    }

    /// Drives the sessions until there is something else to do. None: there will never be.
    pub(super) fn work(&mut self, todo: &Receiver<Command>) -> Option<Command> {
        loop {
            match todo.try_recv() {
                Ok(command) => return Some(command),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            self.wait();
            let rest = self.receive();
            self.tick();
            self.publish();
            if rest {
                thread::sleep(FLOOD_PAUSE);
            }
        }
    }

    /// Waits for a packet, a command or the next deadline.
    fn wait(&mut self) {
        let now = Instant::now();
        let publish = self.counted.then(|| self.published + PUBLISH_EVERY);
        let deadlines = self.peers.iter().filter_map(|peer| peer.session.next_deadline()).chain(publish);
        let timeout = deadlines.min().map_or(WAIT_MAX, |deadline| deadline.saturating_duration_since(now));
        let sockets = self.receivers.iter().map(|receiver| receiver.as_fd()).chain([self.woken.as_fd()]);
        let mut sockets: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::POLLIN)).collect();
        // A signal wakes it too; then it just looks again. It has no other way to fail.
        let _ = ppoll(&mut sockets, Some(timeout.min(WAIT_MAX).into()), None);
        // Commands are seen in their channel; the end of the stream shows there as well.
        let _ = self.woken.read(&mut [0; 64]);
    }

    /// Takes what has arrived, before any deadline is judged: after a pause of this process packets are there, and the
    /// other side is not to be blamed. Says whether to rest.
    fn receive(&mut self) -> bool {
        let mut rest = false;
        for index in 0..self.receivers.len() {
            let mut taken = 0;
            while let Some(receiver) = self.receivers.get(index)
                && taken < PACKETS_MAX
            {
                match receiver.receive(&mut self.buffers) {
                    Ok(Some(arrived)) => self.take(arrived),
                    Ok(None) => break,
                    Err(why) => {
                        tracing::debug!(%why, address = %receiver.address(), "receiving BFD packets failed");
                        rest = true;
                        break;
                    }
                }
                taken += 1;
            }
            rest |= taken == PACKETS_MAX;
        }
        rest
    }

    fn take(&mut self, arrived: Arrived) {
        let bytes = self.buffers.bytes.get(..arrived.length).unwrap_or_default();
        // Who is not on the link does not come far (RFC 5881 §5).
        let packet = if arrived.ttl == Some(TTL) { Packet::decode(bytes).ok() } else { None };
        let same_host = |peer: &&mut Peer| is_same_host(peer.wanted.remote, arrived.from);
        // RFC 5880 §6.8.6: by discriminator, or, for a first packet, by where it comes from (RFC 5881 §3).
        let Some(peer) = self.peers.iter_mut().find(same_host) else { return };
        let own = peer.session.discriminator();
        match packet.filter(|packet| [0, own].contains(&packet.your_discriminator)) {
            Some(packet) => self.changed |= peer.handle(Event::Received(packet)),
            None => {
                peer.discarded += 1;
                self.counted = true;
            }
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for peer in &mut self.peers {
            if peer.session.next_deadline().is_some_and(|deadline| deadline <= now) {
                self.changed |= peer.handle(Event::Tick);
            }
        }
    }

    /// Has these sessions and no others.
    pub(super) fn apply(&mut self, wanted: Vec<Wanted>) {
        self.peers.retain_mut(|peer| {
            let stays = wanted.iter().any(|wanted| peer.is_for(wanted));
            if !stays {
                peer.handle(Event::Disable);
            }
            stays
        });
        self.bind(&wanted);
        for wanted in wanted {
            match self.peers.iter_mut().find(|peer| peer.is_for(&wanted)) {
                Some(peer) if peer.session.settings() != wanted.settings => {
                    peer.wanted.settings = wanted.settings;
                    peer.handle(Event::Settings(wanted.settings));
                }
                Some(_) => {}
                None => self.add(wanted),
            }
        }
        self.publish_now();
    }

    fn add(&mut self, wanted: Wanted) {
        let discriminator = loop {
            let number = self.random();
            if number != 0 && self.peers.iter().all(|peer| peer.session.discriminator() != number) {
                break number;
            }
        };
        let seed = u64::from(self.random()) << 32 | u64::from(self.random());
        let session = Session::new(wanted.settings, discriminator, seed, Instant::now());
        let mut states = lock(&self.states);
        let state = states.entry(wanted.neighbour.clone()).or_insert_with(|| watch::Sender::new(State::AdminDown));
        let state = state.clone();
        drop(states);
        state.send_replace(session.state());
        self.peers.push(Peer { wanted, session, socket: None, state, discarded: 0, failing: false });
    }

    /// Binds the sockets that are missing, and closes those that nobody needs.
    fn bind(&mut self, wanted: &[Wanted]) {
        let addresses = Wanted::receivers(wanted);
        self.receivers.retain(|receiver| addresses.contains(&receiver.address()));
        for address in addresses {
            if self.receivers.iter().any(|receiver| receiver.address() == address) {
                continue;
            }
            match socket::Receiver::bind(address) {
                Ok(receiver) => self.receivers.push(receiver),
                Err(why) => tracing::error!(%why, %address, "cannot listen for BFD: sessions over it stay down"),
            }
        }
    }

    /// Tells all neighbours that the sessions are held down on purpose (RFC 5880 §6.8.16).
    pub(super) fn disable(&mut self) {
        for peer in &mut self.peers {
            peer.handle(Event::Disable);
        }
        self.publish_now();
    }

    /// Publishes what has changed; counters that any stranger can move, once in a while.
    fn publish(&mut self) {
        if self.changed || self.counted && self.published.elapsed() >= PUBLISH_EVERY {
            self.publish_now();
        }
    }

    fn publish_now(&mut self) {
        let statuses = self.peers.iter().map(|peer| (peer.wanted.neighbour.clone(), peer.status()));
        self.statuses.store(Arc::new(statuses.collect()));
        self.changed = false;
        self.counted = false;
        self.published = Instant::now();
    }

    fn random(&mut self) -> u32 {
        super::session::next_random(&mut self.random)
    }
}

impl Peer {
    /// Whether this is the session that is wanted, whatever its intervals.
    fn is_for(&self, wanted: &Wanted) -> bool {
        let Wanted { neighbour, remote, source, settings: _ } = &self.wanted;
        (neighbour, remote, source) == (&wanted.neighbour, &wanted.remote, &wanted.source)
    }

    /// Gives an event to the session, and does what comes of it. Says whether its status has changed.
    fn handle(&mut self, event: Event) -> bool {
        let before = (self.session.state(), self.session.remote_diagnostic());
        let intervals = (self.session.transmit_interval(), self.session.detection_time());
        let packet = self.session.handle(event, Instant::now());
        let state = self.session.state();
        // The sessions hear of it before the packet leaves: they are what is waited for.
        if state != before.0 {
            self.state.send_replace(state);
            self.log(before.0);
        }
        if let Some(packet) = packet {
            self.send(&packet);
        }
        let after = (self.session.transmit_interval(), self.session.detection_time());
        before != (state, self.session.remote_diagnostic()) || intervals != after
    }

    fn log(&self, before: State) {
        let neighbour = self.wanted.neighbour.as_str();
        let (state, diagnostic) = (self.session.state().as_str(), self.session.diagnostic().as_str());
        if before == State::Up {
            tracing::warn!(neighbour, state, diagnostic, "the BFD session has left up");
        } else {
            tracing::info!(neighbour, state, "the BFD session has a new state");
        }
    }

    fn send(&mut self, packet: &Packet) {
        match self.try_send(packet) {
            Ok(()) => self.failing = false,
            // The send buffer is full: as good as lost on the link.
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            Err(why) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(neighbour = self.wanted.neighbour, %why, "BFD packets cannot be sent");
                }
            }
        }
    }

    fn try_send(&mut self, packet: &Packet) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => {
                let source = self.wanted.source.unwrap_or_else(|| socket::wildcard(self.wanted.remote.ip()));
                let mut random = u64::from(self.session.discriminator());
                none.insert(socket::sender(source, || super::session::next_random(&mut random))?)
            }
        };
        socket.send_to(&packet.encode(), self.wanted.remote).map(drop)
    }

    fn status(&self) -> BfdStatus {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        BfdStatus {
            state: self.session.state().as_str().into(),
            diagnostic: self.session.diagnostic().as_str().into(),
            remote_diagnostic: self.session.remote_diagnostic().as_str().into(),
            transmit_ms: ms(self.session.transmit_interval()),
            detection_ms: ms(self.session.detection_time()),
            flaps: self.session.flaps(),
            discarded: self.discarded,
        }
    }
}

/// Whether a packet comes from there, whatever its port; a link-local address is one only together with its link.
fn is_same_host(remote: SocketAddr, from: SocketAddr) -> bool {
    match (remote, from) {
        (SocketAddr::V6(remote), SocketAddr::V6(from)) if remote.ip().is_unicast_link_local() => {
            remote.ip() == from.ip() && [0, from.scope_id()].contains(&remote.scope_id())
        }
        _ => IpAddr::eq(&remote.ip(), &from.ip()),
    }
}
