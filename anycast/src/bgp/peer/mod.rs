//! The machine of one neighbour (RFC 4271 §8): up to two connections, all timers, what was announced and what came.
//!
//! ```text
//!            Start                     TCP                 OPEN                    KEEPALIVE
//!     Idle ────────▶ Connect/Active ────────▶ OpenSent ────────▶ OpenConfirm ────────────────▶ Established
//!       ▲                  ▲ │ no TCP: again after               │ both ways at once: the           │
//!       │                  └─┘ connect_retry                     │ loser goes (§6.8)                │
//!       │                  ▲                                     ▼                                  ▼
//!       └── Stop           └──── anything else, hold time, BFD: NOTIFICATION, close, wait ──────────┘
//! ```
//!
//! Each connection has a stage of its own; what the peer as a whole is in is the furthest of them. The wait doubles
//! with each error of the protocol, up to [`IDLE_HOLD_MAX`]; a connection that merely breaks costs no more than
//! `connect_retry`.

mod announced;
mod collision;
mod connection;
mod event;
mod receive;
mod session;
mod settings;
mod status;
mod timers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use announced::Announced;
use connection::{Connection, Stage};
pub use event::{Action, ConnectionId, Event, NextHops, Shutdown, ShutdownCause};
pub use settings::PeerSettings;
pub use status::{LastNotification, PeerState, PeerStatus};
use timers::{IDLE_HOLD_MAX, Timers};

use super::notification::{
    ADMINISTRATIVE_RESET, ADMINISTRATIVE_SHUTDOWN, BFD_DOWN, CONNECTION_COLLISION, CONNECTION_REJECTED, Notification,
    OTHER_CONFIGURATION_CHANGE, PEER_DECONFIGURED, SEND_HOLD_TIMER_EXPIRED,
};
use super::open;
use super::routes::{ReceivedRoute, Routes};
use crate::adverts::{Adverts, Cause};

/// One neighbour.
#[derive(Debug)]
pub struct Peer {
    settings: PeerSettings,
    is_started: bool,
    /// A session has stood since the start: routers have nothing to keep from before any more.
    has_been_up: bool,
    /// At most one of each way on its way up, and one that is established.
    connections: Vec<Connection>,
    timers: Timers,
    adverts: Arc<Adverts>,
    announced: Announced,
    routes: Routes,
    shown: Shown,
}

/// What is only ever shown.
#[derive(Debug)]
struct Shown {
    state: PeerState,
    since: Instant,
    problem: Option<String>,
    /// Until when the problem is not replaced by one that says less: that a connection ended or came to nothing.
    problem_stays_until: Option<Instant>,
    last_notification: Option<LastNotification>,
    updates_sent: u64,
    flaps: u64,
}

/// What one side did not accept stays in the status until it can have happened again: meanwhile both sides close
/// connections for it, and each of the two would be logged as news in turn.
const PROBLEM_STAYS: Duration = Duration::from_secs(IDLE_HOLD_MAX.as_secs() * 3 / 2);

/// Whether the end of a connection makes the next attempt wait longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blame {
    /// It broke, or was ended on purpose.
    Nobody,
    /// One side did not accept what the other said: it will not do so in a second either.
    Protocol,
}

impl Peer {
    /// Idle until [`Event::Start`].
    pub fn new(settings: PeerSettings, now: Instant) -> Self {
        Self {
            is_started: false,
            has_been_up: false,
            connections: Vec::new(),
            timers: Timers::new(settings.jitter_seed),
            adverts: Arc::new(Adverts::none(Cause::Starting)),
            announced: Announced::default(),
            routes: Routes::new(settings.routes_kept_max, settings.local_as),
            shown: Shown {
                state: PeerState::Idle,
                since: now,
                problem: None,
                problem_stays_until: None,
                last_notification: None,
                updates_sent: 0,
                flaps: 0,
            },
            settings,
        }
    }

    /// Takes one event. The actions are to be carried out in their order.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let out = &mut actions;
        match event {
            Event::Start => self.start(now, out),
            Event::Stop(shutdown) => self.stop(&shutdown, now, out),
            Event::Connected { connection, incoming, local, remote: _, next_hops } => {
                self.take_connection(Connection::new(connection, incoming, local, next_hops, now), now, out);
            }
            Event::ConnectFailed(why) => self.connect_failed(&why, now, out),
            Event::Closed(id, why) => self.closed(id, &why, now, out),
            Event::Received(id, frame) => self.receive(id, frame, now, out),
            Event::SendBlocked(id) => {
                let problem = "the router has taken nothing of what was sent for a hold time".to_owned();
                self.fail(id, Notification::new(SEND_HOLD_TIMER_EXPIRED, []), problem, Blame::Nobody, now, out);
            }
            Event::Tick => self.tick(now, out),
            Event::Adverts(adverts) => {
                self.adverts = adverts;
                self.tell(now, out);
            }
            Event::BfdUp => {}
            Event::BfdDown => self.bfd_down(now, out),
        }
        self.send_held_back(now, out);
        self.note_state(now);
        actions
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let connections =
            self.connections.iter().flat_map(|connection| [connection.hold_deadline, connection.keepalive_deadline]);
        let retry = self.timers.retry_at.filter(|_| self.can_connect());
        let due = self.announced.deadline();
        connections.chain([retry, self.timers.attempt_deadline, due]).flatten().min()
    }

    /// How it is.
    pub fn status(&self) -> PeerStatus {
        let furthest = self.connections.iter().max_by_key(|connection| connection.state());
        let agreed = furthest.and_then(|connection| Some((connection, connection.agreed()?)));
        PeerStatus {
            state: self.state(),
            since: self.shown.since,
            problem: self.shown.problem.clone(),
            last_notification: self.shown.last_notification.clone(),
            families: agreed
                .map(|(connection, agreed)| agreed.family_names(connection.is_ipv4_over_ipv6(&self.settings)))
                .unwrap_or_default(),
            capabilities: agreed.map(|(_, agreed)| agreed.capability_names()).unwrap_or_default(),
            hold_time_s: agreed.map(|(_, agreed)| agreed.hold_time_s),
            prefixes_announced: u64::try_from(self.announced.prefixes()).unwrap_or(u64::MAX),
            updates_sent: self.shown.updates_sent,
            received: self.routes.counts(),
            flaps: self.shown.flaps,
        }
    }

    /// Routes that it sent and that were kept, by prefix.
    pub fn routes(&self) -> impl Iterator<Item = ReceivedRoute> + '_ {
        self.routes.iter()
    }

    /// What it was made with.
    pub fn settings(&self) -> &PeerSettings {
        &self.settings
    }

    fn state(&self) -> PeerState {
        if let Some(furthest) = self.connections.iter().map(Connection::state).max() {
            return furthest;
        }
        match () {
            () if !self.is_started => PeerState::Idle,
            () if self.timers.attempt_deadline.is_some() => PeerState::Connect,
            () if self.timers.is_damped() => PeerState::Idle,
            () => PeerState::Active,
        }
    }

    fn note_state(&mut self, now: Instant) {
        let state = self.state();
        if state != self.shown.state {
            (self.shown.state, self.shown.since) = (state, now);
        }
    }

    fn start(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !self.is_started {
            self.is_started = true;
            self.timers.failures = 0;
            self.timers.retry_at = (!self.settings.passive).then_some(now);
            self.connect_if_due(now, out);
        }
    }

    fn stop(&mut self, shutdown: &Shutdown, now: Instant, out: &mut Vec<Action>) {
        self.is_started = false;
        if self.timers.attempt_deadline.is_some() {
            out.push(Action::CancelConnect);
        }
        self.timers.clear();
        for id in self.ids() {
            self.end(id, Self::farewell(shutdown), shutdown_words(shutdown.cause).to_owned(), now, out);
        }
        self.shown.problem = Some(shutdown_words(shutdown.cause).to_owned());
    }

    /// What is said on purpose.
    fn farewell(shutdown: &Shutdown) -> impl Fn(&Connection) -> Option<Notification> {
        move |connection| {
            let agreed = connection.agreed();
            let message = &shutdown.message;
            let (notification, is_final) = match shutdown.cause {
                ShutdownCause::AdministrativeShutdown => {
                    (Notification::with_message(ADMINISTRATIVE_SHUTDOWN, message), true)
                }
                ShutdownCause::PeerDeconfigured => (Notification::new(PEER_DECONFIGURED, []), true),
                ShutdownCause::OtherConfigurationChange => (Notification::new(OTHER_CONFIGURATION_CHANGE, []), false),
                ShutdownCause::AdministrativeReset => {
                    (Notification::with_message(ADMINISTRATIVE_RESET, message), false)
                }
            };
            let must_be_hard = is_final && agreed.is_some_and(|agreed| agreed.graceful_notification);
            Some(if must_be_hard { notification.into_hard_reset() } else { notification })
        }
    }

    /// A TCP connection stands: OPEN leaves on it, unless there is no use for it.
    fn take_connection(&mut self, mut connection: Connection, now: Instant, out: &mut Vec<Action>) {
        let id = connection.id;
        if !connection.incoming {
            self.timers.attempt_deadline = None;
        }
        let is_damped = connection.incoming && self.timers.refuses_incoming(now);
        if !self.is_started || is_damped {
            let notification = Notification::new(CONNECTION_REJECTED, []);
            out.extend([Action::Send(id, notification.encode()), Action::Close(id)]);
            return;
        }
        // A second one the same way: the neighbour has given up the first, or will not miss it.
        let same_way =
            |other: &Connection| other.incoming == connection.incoming && other.state() != PeerState::Established;
        if let Some(older) = self.connections.iter().find(|other| same_way(other)).map(|older| older.id) {
            self.drop_collided(older, now, out);
        }
        if connection.incoming && self.connections.iter().any(Connection::is_confirmed) {
            connection.stage = Stage::OpenDelayed(None);
        } else {
            out.push(Action::Send(id, open::encode(&self.settings, !self.has_been_up)));
        }
        self.connections.push(connection);
    }

    fn connect_failed(&mut self, why: &str, now: Instant, out: &mut Vec<Action>) {
        self.timers.attempt_deadline = None;
        if self.is_started {
            if self.connections.is_empty() {
                self.set_vague_problem(format!("no connection: {why}"), now, out);
            }
            self.retry_later(Blame::Nobody, now);
        }
    }

    fn closed(&mut self, id: ConnectionId, why: &str, now: Instant, out: &mut Vec<Action>) {
        if let Some(connection) = self.remove(id) {
            self.after_end(&connection, format!("the connection ended: {why}"), Blame::Nobody, now, out);
        }
    }

    fn bfd_down(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Some(id) = self.established().map(|connection| connection.id) {
            self.timers.failures = 0;
            let farewell = |connection: &Connection| {
                let notification = Notification::new(BFD_DOWN, []);
                let is_kept = connection.agreed().is_some_and(|agreed| agreed.graceful_notification);
                Some(if is_kept { notification.into_hard_reset() } else { notification })
            };
            self.end(id, farewell, "BFD lost the router".to_owned(), now, out);
            self.retry_later(Blame::Nobody, now);
        }
    }

    fn ids(&self) -> Vec<ConnectionId> {
        self.connections.iter().map(|connection| connection.id).collect()
    }

    fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.id == id)
    }

    fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        let index = self.connections.iter().position(|connection| connection.id == id)?;
        Some(self.connections.remove(index))
    }

    fn established(&self) -> Option<&Connection> {
        self.connections.iter().find(|connection| matches!(connection.stage, Stage::Established(_)))
    }

    /// Ends a connection for an error of which the neighbour is told.
    fn fail(
        &mut self,
        id: ConnectionId,
        notification: Notification,
        problem: String,
        blame: Blame,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Some(connection) = self.remove(id) {
            self.send_notification(id, notification, now, out);
            out.push(Action::Close(id));
            self.after_end(&connection, problem, blame, now, out);
        }
    }

    /// Ends a connection without another attempt to follow.
    fn end(
        &mut self,
        id: ConnectionId,
        farewell: impl Fn(&Connection) -> Option<Notification>,
        problem: String,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if let Some(connection) = self.remove(id) {
            if let Some(notification) = farewell(&connection) {
                self.send_notification(id, notification, now, out);
            }
            out.push(Action::Close(id));
            self.leave_if_established(&connection, problem, out);
        }
    }

    /// Ends a connection because there is a better one.
    fn drop_collided(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let collision = |_: &Connection| Some(Notification::new(CONNECTION_COLLISION, []));
        self.end(id, collision, "another connection took its place".to_owned(), now, out);
    }

    fn send_notification(&mut self, id: ConnectionId, notification: Notification, now: Instant, out: &mut Vec<Action>) {
        out.push(Action::Send(id, notification.encode()));
        self.note_notification(true, notification, now);
    }

    fn note_notification(&mut self, sent: bool, notification: Notification, now: Instant) {
        let words = notification.words();
        self.shown.last_notification = Some(LastNotification { sent, notification, words, at: now });
    }

    /// A connection has gone: what is shown, and when the next attempt is made.
    fn after_end(
        &mut self,
        connection: &Connection,
        problem: String,
        blame: Blame,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        if matches!(connection.stage, Stage::Established(_)) {
            self.leave_if_established(connection, problem, out);
        } else if blame == Blame::Protocol && self.established().is_none() {
            self.set_problem(problem, out);
            self.shown.problem_stays_until = Some(now + PROBLEM_STAYS);
        } else if self.connections.is_empty() {
            self.set_vague_problem(problem, now, out);
        }
        self.retry_later(blame, now);
    }

    fn leave_if_established(&mut self, connection: &Connection, problem: String, out: &mut Vec<Action>) {
        if matches!(connection.stage, Stage::Established(_)) {
            self.announced = Announced::default();
            self.routes.clear();
            self.shown.flaps += 1;
            self.shown.problem = Some(problem.clone());
            out.push(Action::LeftEstablished(problem));
        }
    }

    /// The same, unless more is known.
    pub(super) fn set_vague_problem(&mut self, problem: String, now: Instant, out: &mut Vec<Action>) {
        if self.shown.problem_stays_until.is_none_or(|until| until <= now) {
            self.set_problem(problem, out);
        }
    }

    /// Says what is wrong, once.
    fn set_problem(&mut self, problem: String, out: &mut Vec<Action>) {
        if self.shown.problem.as_ref() != Some(&problem) {
            out.push(Action::Problem(problem.clone()));
            self.shown.problem = Some(problem);
        }
    }
}

fn shutdown_words(cause: ShutdownCause) -> &'static str {
    match cause {
        ShutdownCause::AdministrativeShutdown => "this node shut the session down",
        ShutdownCause::AdministrativeReset => "this node reset the session",
        ShutdownCause::PeerDeconfigured => "the neighbour is not in the configuration any more",
        ShutdownCause::OtherConfigurationChange => "the configuration of the neighbour has changed",
    }
}
