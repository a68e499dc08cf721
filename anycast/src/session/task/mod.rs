//! The task that owns one neighbour: its machine, its connections, its timers.
//!
//! ```text
//!   listeners ─ accepted (bounded) ──────────┐
//!   Speaker ─── commands (bounded) ──────────┤                       ┌─▶ connections: send, close
//!   decision ── adverts (watch, last wins) ──┤                       ├─▶ an attempt to connect
//!   bfd ─────── state (watch, last wins) ────┼─▶ task ─▶ bgp::Peer ──┤
//!   sockets ─── bytes ─▶ Framer ─▶ messages ─┤  (owns)   (no I/O)    ├─▶ the log, one line a change
//!   clock ───── deadline ────────────────────┘                       └─▶ view (status, progress)
//! ```
//!
//! What comes from this node goes before what comes from the router: a router that floods cannot hold up a withdrawal.

mod actions;
mod sockets;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tracing::{debug, warn};

use super::connection::{Broken, Connection, READ_BYTES_MAX, Ready};
use super::link::Link;
use super::md5_drops::{Md5Counters, Md5Drops};
use super::view::View;
use super::words;
use crate::adverts::{Adverts, Cause};
use crate::bfd::State as BfdState;
use crate::bgp::{ConnectionId, Event, Peer, ReceivedRoute, Shutdown};

/// Commands that may wait.
pub(in crate::session) const COMMANDS_MAX: usize = 8;
/// Connections with one neighbour: the machine keeps two (RFC 4271 §6.8), and may be about to close others.
const CONNECTIONS_MAX: usize = 4;
/// A node that only waits for its router says so, and what it knows of the reason, after so long.
const WAITING_LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// A session is told of no routes for so long unless BFD watches it: BFD takes a second or two to come up, and whatever
/// befalls a node that is announced and not watched is noticed after the hold time only. A router that runs no BFD is told
/// then.
const BFD_WAIT_MAX: Duration = Duration::from_secs(3);
/// Without anything to do the task looks around so often.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// What the [`Speaker`](super::Speaker) asks of a task.
pub(in crate::session) enum Command {
    /// The routes that are kept.
    Routes(oneshot::Sender<Vec<ReceivedRoute>>),
    /// Follow this BFD session from now on.
    Bfd(Option<watch::Receiver<BfdState>>),
    /// End the sessions, and the task.
    Stop(Shutdown),
}

/// What a task is made of.
pub(in crate::session) struct Parts {
    pub(in crate::session) name: String,
    pub(in crate::session) link: Link,
    pub(in crate::session) peer: Peer,
    pub(in crate::session) view: Arc<View>,
    pub(in crate::session) commands: mpsc::Receiver<Command>,
    pub(in crate::session) accepted: mpsc::Receiver<TcpStream>,
    pub(in crate::session) adverts: watch::Receiver<Arc<Adverts>>,
    pub(in crate::session) bfd: Option<watch::Receiver<BfdState>>,
}

pub(in crate::session) struct Task {
    parts: Parts,
    /// A router that takes nothing for so long is given up.
    send_hold: Duration,
    connections: Vec<Connection>,
    /// The one that the session stands on.
    established: Option<ConnectionId>,
    next_connection: u64,
    connecting: Option<Connecting>,
    /// What has been dropped since the last connection: seen once it is a reason until there is one, lest the problem be
    /// another with each attempt.
    md5_drops: Md5Drops,
    /// A passive neighbour's: when to look next whether it has come, and the kernel's counters at the last look.
    waiting: Option<(Instant, Md5Counters)>,
    closing: JoinSet<()>,
    /// The routes to be announced.
    wanted: Arc<Adverts>,
    /// What the machine knows of them.
    told: Arc<Adverts>,
    bfd_up: bool,
    /// The session stands and waits for BFD, until then.
    bfd_awaited_until: Option<Instant>,
    buffer: Vec<u8>,
}

/// An attempt to connect.
struct Connecting {
    attempt: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
    md5_before: Md5Counters,
}

/// What woke the task.
enum Woken {
    Command(Option<Command>),
    Adverts,
    Bfd,
    Deadline,
    Accepted(TcpStream),
    Connected(io::Result<TcpStream>),
    Ready(ConnectionId, Ready),
}

/// Whether the task goes on.
enum Next {
    GoOn,
    End,
}

impl Task {
    pub(in crate::session) fn new(mut parts: Parts) -> Self {
        let wanted = Arc::clone(&parts.adverts.borrow_and_update());
        let send_hold = Duration::from_secs(u64::from(parts.peer.settings().hold_time_s));
        Self {
            parts,
            send_hold,
            connections: Vec::new(),
            established: None,
            next_connection: 0,
            connecting: None,
            md5_drops: Md5Drops::None,
            waiting: None,
            closing: JoinSet::new(),
            wanted,
            told: Arc::new(Adverts::none(Cause::Starting)),
            bfd_up: false,
            bfd_awaited_until: None,
            buffer: vec![0; READ_BYTES_MAX],
        }
    }

    /// Runs until it is told to stop, or the speaker is gone.
    pub(in crate::session) async fn run(mut self) {
        self.take_bfd();
        self.tell();
        self.handle(Event::Start);
        self.look_for_waiting(Instant::now());
        loop {
            self.publish();
            let woken = self.wait().await;
            if let Next::End = self.take(woken).await {
                break;
            }
            self.tell();
        }
        self.connecting = None;
        self.publish();
        for connection in self.connections.drain(..) {
            self.closing.spawn(connection.close());
        }
        while self.closing.join_next().await.is_some() {}
    }

    async fn wait(&mut self) -> Woken {
        let deadline = self.deadline();
        let (connections, connecting) = (&self.connections, &mut self.connecting);
        let parts = &mut self.parts;
        tokio::select! {
            biased;
            command = parts.commands.recv() => Woken::Command(command),
            Ok(()) = parts.adverts.changed() => Woken::Adverts,
            () = changed(&mut parts.bfd) => Woken::Bfd,
            () = sleep_until(deadline.into()) => Woken::Deadline,
            Some(stream) = parts.accepted.recv() => Woken::Accepted(stream),
            connected = connected(connecting) => Woken::Connected(connected),
            (id, ready) = poll_fn(|context| poll_connections(connections, context)) => Woken::Ready(id, ready),
            Some(_) = self.closing.join_next() => Woken::Deadline,
        }
    }

    fn deadline(&self) -> Instant {
        let of_connection = |it: &Connection| it.stuck_until(self.send_hold).into_iter().chain(it.silent_until()).min();
        let of_connections = self.connections.iter().filter_map(of_connection);
        let idle = Instant::now() + IDLE_MAX;
        let look = self.waiting.map(|(at, _)| at);
        self.parts
            .peer
            .next_deadline()
            .into_iter()
            .chain(of_connections)
            .chain(look)
            .chain(self.bfd_awaited_until)
            .min()
            .map_or(idle, |it| it.min(idle))
    }

    async fn take(&mut self, woken: Woken) -> Next {
        match woken {
            Woken::Command(None) => return Next::End,
            Woken::Command(Some(Command::Stop(shutdown))) => {
                self.handle(Event::Stop(shutdown));
                return Next::End;
            }
            Woken::Command(Some(Command::Routes(answer))) => {
                let _ = answer.send(self.parts.peer.routes().collect());
            }
            Woken::Command(Some(Command::Bfd(bfd))) => {
                (self.parts.bfd, self.bfd_up) = (bfd, false);
                self.take_bfd();
            }
            Woken::Adverts => self.wanted = Arc::clone(&self.parts.adverts.borrow_and_update()),
            Woken::Bfd => self.take_bfd(),
            Woken::Deadline => self.take_deadline(),
            Woken::Accepted(stream) => self.take_accepted(stream),
            Woken::Connected(connected) => self.take_connected(connected),
            Woken::Ready(id, Ready::Write) => self.flush(id),
            Woken::Ready(id, Ready::Read) => {
                self.read(id);
                // A router that floods leaves time to the others of this thread.
                tokio::task::yield_now().await;
            }
        }
        Next::GoOn
    }

    /// Only a session that was up can say that the router is lost: until then, and where one side has shut BFD down by
    /// hand (RFC 5882 §4.2), BGP goes by its own timers.
    fn take_bfd(&mut self) {
        let Some(states) = &mut self.parts.bfd else { return };
        let state = *states.borrow_and_update();
        let was_up = std::mem::replace(&mut self.bfd_up, state == BfdState::Up);
        self.bfd_awaited_until = self.bfd_awaited_until.filter(|_| !self.bfd_up);
        match state {
            BfdState::Up => self.handle(Event::BfdUp),
            BfdState::Down if was_up => self.handle(Event::BfdDown),
            BfdState::Down | BfdState::Init | BfdState::AdminDown => {}
        }
    }

    /// Tells the machine of the routes, unless they are held back until BFD watches the session.
    fn tell(&mut self) {
        let is_session_held = self.established.is_none() || self.bfd_awaited_until.is_some();
        let held = self.awaits_bfd() && is_session_held && !self.wanted.routes.is_empty();
        let adverts = match held {
            false => Arc::clone(&self.wanted),
            true if self.told.routes.is_empty() => return,
            true => Arc::new(Adverts::none(Cause::Starting)),
        };
        if !Arc::ptr_eq(&adverts, &self.told) {
            self.told = Arc::clone(&adverts);
            self.handle(Event::Adverts(adverts));
        }
    }

    fn awaits_bfd(&self) -> bool {
        self.parts.bfd.is_some() && !self.bfd_up
    }

    fn take_deadline(&mut self) {
        let now = Instant::now();
        self.bfd_awaited_until = self.bfd_awaited_until.filter(|until| *until > now);
        let due = |until: Option<Instant>| until.is_some_and(|until| until <= now);
        let ids: Vec<ConnectionId> = self.connections.iter().map(|it| it.id).collect();
        for id in ids {
            let Some(connection) = self.connections.iter().find(|it| it.id == id) else { continue };
            if due(connection.stuck_until(self.send_hold)) {
                self.handle(Event::SendBlocked(id));
            } else if due(connection.silent_until()) {
                self.lose(id, &Broken::Unheard);
            }
        }
        self.look_for_waiting(now);
        self.handle(Event::Tick);
    }

    fn take_accepted(&mut self, stream: TcpStream) {
        if self.connections.len() >= CONNECTIONS_MAX {
            debug!(neighbour = %self.parts.name, "closed one connection too many");
            return;
        }
        match self.parts.link.accept(&stream) {
            Ok(()) => self.add(stream, true),
            Err(error) => warn!(neighbour = %self.parts.name, %error, "cannot protect a connection of the router"),
        }
    }

    fn take_connected(&mut self, connected: io::Result<TcpStream>) {
        let md5_before = self.connecting.take().map(|connecting| connecting.md5_before).unwrap_or_default();
        match connected {
            Ok(stream) => self.add(stream, false),
            Err(error) => {
                self.note_md5_drops(md5_before);
                let problem = words::connect_problem(&self.parts.link, &error, self.md5_drops);
                self.handle(Event::ConnectFailed(problem));
            }
        }
    }

    /// Of a router that is only waited for nothing is heard when it has another password: its segments never arrive.
    fn look_for_waiting(&mut self, now: Instant) {
        let waits = self.parts.peer.settings().passive && self.connections.is_empty();
        match self.waiting {
            _ if !waits => self.waiting = None,
            Some((at, _)) if now < at => return,
            Some((_, before)) => {
                self.note_md5_drops(before);
                let problem = words::nobody_came(&self.parts.link, self.md5_drops);
                self.handle(Event::ConnectFailed(problem));
            }
            None => {}
        }
        self.waiting = waits.then(|| (now + WAITING_LOOK_INTERVAL, Md5Counters::now()));
    }

    fn note_md5_drops(&mut self, before: Md5Counters) {
        if self.md5_drops == Md5Drops::None {
            self.md5_drops = Md5Counters::now().since(before);
        }
    }

    fn publish(&mut self) {
        let flushed = |id: &ConnectionId| self.connections.iter().all(|it| it.id != *id || it.is_flushed());
        let told = self.established.as_ref().is_none_or(flushed);
        self.parts.view.publish(&self.parts.link, self.parts.peer.status());
        self.parts.view.publish_progress(&self.wanted, told);
    }
}

/// Waits for the attempt to connect, if there is one.
async fn connected(connecting: &mut Option<Connecting>) -> io::Result<TcpStream> {
    match connecting {
        Some(connecting) => connecting.attempt.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Waits for another state of the BFD session, if there is one.
async fn changed(bfd: &mut Option<watch::Receiver<BfdState>>) {
    let Some(states) = bfd else { return std::future::pending().await };
    if states.changed().await.is_err() {
        // There will be no other.
        *bfd = None;
    }
}

fn poll_connections(connections: &[Connection], context: &mut Context<'_>) -> Poll<(ConnectionId, Ready)> {
    for connection in connections {
        if let Poll::Ready(ready) = connection.poll_ready(context) {
            return Poll::Ready((connection.id, ready));
        }
    }
    Poll::Pending
}
