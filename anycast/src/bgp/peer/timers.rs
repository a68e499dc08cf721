//! Deadlines of a peer: attempts to connect, waits between them, hold times, keepalives.

use std::time::{Duration, Instant};

use super::connection::{OPEN_WAIT, Stage};
use super::event::{Action, ConnectionId};
use super::{Blame, Peer, PeerState};
use crate::bgp::notification::{HOLD_TIMER_EXPIRED, Notification};
use crate::bgp::write_message;

/// The longest wait after errors of the protocol (IdleHoldTimer, RFC 4271 §8.1.1).
pub(super) const IDLE_HOLD_MAX: Duration = Duration::from_secs(60);
/// An attempt to connect is not given up before this: whoever makes it knows sooner why nothing comes of it.
const ATTEMPT_MIN: Duration = Duration::from_secs(5);
/// After so many errors in a row, connections of the neighbour are refused too until the wait is over.
const FAILURES_DAMPED: u32 = 3;
/// A session that stood for so long was none that errors led to.
const RELIABLE: Duration = Duration::from_secs(30);

/// When what is due.
#[derive(Debug)]
pub(super) struct Timers {
    /// When the attempt that is under way is given up for another.
    pub(super) attempt_deadline: Option<Instant>,
    /// When the next attempt is made (ConnectRetryTimer and IdleHoldTimer).
    pub(super) retry_at: Option<Instant>,
    /// Until when connections of the neighbour are refused.
    damped_until: Option<Instant>,
    /// Errors of the protocol in a row.
    pub(super) failures: u32,
    /// Since when a session has stood.
    pub(super) established_at: Option<Instant>,
    jitter: u64,
}

impl Timers {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            attempt_deadline: None,
            retry_at: None,
            damped_until: None,
            failures: 0,
            established_at: None,
            // The generator stands still at 0.
            jitter: seed | 1,
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.jitter);
    }

    pub(super) fn is_damped(&self) -> bool {
        self.failures > 0 && self.retry_at.is_some()
    }

    pub(super) fn refuses_incoming(&self, now: Instant) -> bool {
        self.damped_until.is_some_and(|until| now < until)
    }

    /// The next number of an xorshift generator: good enough that peers do not move in step.
    pub(super) fn jitter(&mut self) -> u32 {
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        u32::try_from(self.jitter >> 32).unwrap_or_default()
    }

    /// Up to a quarter less (RFC 4271 §10).
    fn shorten(&mut self, wait: Duration) -> Duration {
        wait - wait / 4 * (self.jitter() % 256) / 256
    }
}

impl Peer {
    /// Plans the next attempt: after `connect_retry`, doubled for each error of the protocol in a row but the first.
    pub(super) fn retry_later(&mut self, blame: Blame, now: Instant) {
        if !self.is_started {
            return;
        }
        let stood = self.timers.established_at.take().map(|since| now.saturating_duration_since(since));
        if stood.is_some_and(|stood| stood >= RELIABLE) {
            self.timers.failures = 0;
        }
        let mut wait = self.settings.connect_retry;
        if blame == Blame::Protocol {
            self.timers.failures = self.timers.failures.saturating_add(1);
            let doublings = (self.timers.failures - 1).min(16);
            wait = wait.saturating_mul(1 << doublings).min(IDLE_HOLD_MAX.max(wait));
        }
        let at = now + self.timers.shorten(wait);
        if self.timers.failures >= FAILURES_DAMPED && blame == Blame::Protocol {
            self.timers.damped_until = Some(at);
        }
        if !self.settings.passive {
            let planned = self.timers.retry_at.filter(|_| blame == Blame::Nobody);
            self.timers.retry_at = Some(planned.unwrap_or(at));
        }
    }

    /// Whether an attempt makes sense: none is under way, and nothing stands that was opened here or is nearly up.
    pub(super) fn can_connect(&self) -> bool {
        let is_enough = |state: PeerState, incoming: bool| !incoming || state >= PeerState::OpenConfirm;
        self.is_started
            && !self.settings.passive
            && self.timers.attempt_deadline.is_none()
            && !self.connections.iter().any(|connection| is_enough(connection.state(), connection.incoming))
    }

    pub(super) fn connect_if_due(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.can_connect() && self.timers.retry_at.is_some_and(|at| at <= now) {
            self.timers.retry_at = None;
            self.timers.attempt_deadline = Some(now + self.settings.connect_retry.max(ATTEMPT_MIN));
            out.push(Action::Connect);
        }
    }

    /// All that is due.
    pub(super) fn tick(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.timers.attempt_deadline.is_some_and(|deadline| deadline <= now) {
            self.timers.attempt_deadline = None;
            if self.connections.is_empty() {
                self.set_vague_problem("no connection: the router does not answer".to_owned(), now, out);
            }
            // The next one takes its place.
            self.timers.retry_at = Some(now);
            if !self.can_connect() {
                out.push(Action::CancelConnect);
            }
        }
        for id in self.ids() {
            self.tick_connection(id, now, out);
        }
        self.tell_if_due(now, out);
        self.connect_if_due(now, out);
    }

    fn tick_connection(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let jitter = self.timers.jitter();
        let Some(connection) = self.get_mut(id) else { return };
        if is_due(connection.hold_deadline) {
            let problem = match connection.stage {
                Stage::OpenDelayed(_) | Stage::OpenSent => {
                    format!("the router accepts connections but sends no OPEN within {} s", OPEN_WAIT.as_secs())
                }
                Stage::KeepaliveDelayed { agreed, .. } | Stage::OpenConfirm(agreed) | Stage::Established(agreed) => {
                    format!("the router was silent for the hold time of {} s", agreed.hold_time_s)
                }
            };
            self.fail(id, Notification::new(HOLD_TIMER_EXPIRED, []), problem, Blame::Nobody, now, out);
        } else if is_due(connection.keepalive_deadline) && !connection.is_confirmed() {
            self.end_delay(id, now, out);
        } else if is_due(connection.keepalive_deadline) {
            connection.restart_keepalive(now, jitter);
            out.push(Action::Send(id, keepalive()));
        }
    }
}

pub(super) fn keepalive() -> Vec<u8> {
    write_message(&netgauze_bgp_pkt::BgpMessage::KeepAlive)
}
