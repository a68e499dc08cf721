//! Two connections at once (RFC 4271 §6.8): which one stays, and what is held back until that is certain.
//!
//! §6.8 lets each side look when an OPEN arrives, at connections in OpenConfirm alone. The two do not look at the same time:
//! the router can end a connection for the other one's OPEN when its KEEPALIVE is already under way on it, and a session
//! stands here that is over at once. For that it takes a KEEPALIVE from here on the one that loses and an OPEN on the one
//! that wins; the later of the two is held back.
//!
//! | there is | and then | held back | until |
//! | --- | --- | --- | --- |
//! | one in OpenSent | OPEN comes on another that would lose | KEEPALIVE | the first wins or ends; [`KEEPALIVE_DELAY_MAX`] |
//! | one with KEEPALIVE sent | the router opens another | OPEN | the first ends; where the other would win, [`OPEN_DELAY_MAX`] |

use std::time::{Duration, Instant};

use super::Peer;
use super::connection::{Connection, Stage};
use super::event::{Action, ConnectionId};
use super::timers::keepalive;
use crate::bgp::open::{self, Agreed, Open};

/// A third of the hold time where that is less. A router answers an OPEN within milliseconds, but may be busy; one that
/// has forgotten a connection never does.
const KEEPALIVE_DELAY_MAX: Duration = Duration::from_secs(1);
/// Less than the other: of two speakers that hold back, one waits for the OPEN, the other for the KEEPALIVE.
const OPEN_DELAY_MAX: Duration = Duration::from_millis(300);

/// What comes of a connection on which an OPEN has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collision {
    /// It stays, others go.
    Wins,
    /// Another one decides.
    Open,
    /// It goes.
    Loses,
}

impl Peer {
    /// The one stays that was opened by the side with the higher identifier; where both are the same (RFC 6286 §2.3),
    /// with the higher AS number. An established one stays anyhow, unless graceful restart was agreed on: then the
    /// neighbour has started again (RFC 4724 §5). The losers are ended here, but not `id` itself.
    pub(super) fn collide(
        &mut self,
        id: ConnectionId,
        open: &Open,
        agreed: Agreed,
        now: Instant,
        out: &mut Vec<Action>,
    ) -> Collision {
        let local = (u32::from(self.settings.router_id), self.settings.local_as);
        let is_local_favoured = local > (u32::from(open.id), open.asn);
        let Some(connection) = self.get_mut(id) else { return Collision::Loses };
        let (incoming, is_delayed) = (connection.incoming, matches!(connection.stage, Stage::OpenDelayed(_)));
        let is_favoured = incoming != is_local_favoured;
        let mut collision = Collision::Wins;
        for other in self.ids().into_iter().filter(|&other| other != id) {
            let Some(stage) = self.get_mut(other).map(|connection| connection.stage) else { continue };
            match stage {
                Stage::OpenDelayed(_) => {}
                Stage::OpenSent if is_favoured => {}
                Stage::OpenSent => collision = Collision::Open,
                Stage::OpenConfirm(_) if is_favoured && is_delayed => collision = Collision::Open,
                Stage::KeepaliveDelayed { .. } | Stage::OpenConfirm(_) if is_favoured => {
                    self.drop_collided(other, now, out);
                }
                Stage::KeepaliveDelayed { .. } | Stage::OpenConfirm(_) => return Collision::Loses,
                Stage::Established(old) if old.graceful_restart && agreed.graceful_restart && incoming => {
                    self.end(other, |_| None, "the router started again".to_owned(), now, out);
                }
                Stage::Established(_) => return Collision::Loses,
            }
        }
        collision
    }

    /// Their OPEN has come: holds back what would be the answer.
    pub(super) fn hold_back(&mut self, id: ConnectionId, agreed: Agreed, now: Instant) {
        let Some(connection) = self.get_mut(id) else { return };
        let delay_max = if let Stage::OpenDelayed(_) = connection.stage {
            connection.stage = Stage::OpenDelayed(Some(agreed));
            OPEN_DELAY_MAX
        } else {
            connection.stage = Stage::KeepaliveDelayed { agreed, is_theirs_here: false };
            connection.restart_hold(now);
            let third = Duration::from_secs(agreed.hold_time_s.into()) / 3;
            if third.is_zero() { KEEPALIVE_DELAY_MAX } else { KEEPALIVE_DELAY_MAX.min(third) }
        };
        connection.keepalive_deadline = Some(now + delay_max);
    }

    /// Sends what was held back for connections that have ended.
    pub(super) fn send_held_back(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !self.connections.iter().any(Connection::is_confirmed) {
            self.ids().into_iter().for_each(|id| self.send_delayed_open(id, now, out));
        }
        if !self.connections.iter().any(|connection| matches!(connection.stage, Stage::OpenSent)) {
            self.ids().into_iter().for_each(|id| self.send_delayed_keepalive(id, now, out));
        }
    }

    /// Nothing has been decided in time: what there is of it goes by the identifiers.
    pub(super) fn end_delay(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let is_open_delayed = |connection: &Connection| matches!(connection.stage, Stage::OpenDelayed(_));
        if self.get_mut(id).is_some_and(|connection| is_open_delayed(connection)) {
            for other in self.ids().into_iter().filter(|&other| other != id) {
                self.drop_collided(other, now, out);
            }
        }
        self.go_on(id, now, out);
    }

    /// The connection stays: what was held back leaves.
    pub(super) fn go_on(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        self.send_delayed_open(id, now, out);
        self.send_delayed_keepalive(id, now, out);
    }

    /// Ends a connection that the neighbour opened and has sent an OPEN on: a session stands on another one now.
    pub(super) fn drop_late(&mut self, now: Instant, out: &mut Vec<Action>) {
        let is_late = |connection: &&Connection| matches!(connection.stage, Stage::OpenDelayed(Some(_)));
        if let Some(late) = self.connections.iter().find(is_late).map(|connection| connection.id) {
            self.drop_collided(late, now, out);
        }
    }

    fn send_delayed_open(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.get_mut(id) else { return };
        let Stage::OpenDelayed(agreed) = connection.stage else { return };
        connection.stage = Stage::OpenSent;
        out.push(Action::Send(id, open::encode(&self.settings, !self.has_been_up)));
        if let Some(agreed) = agreed {
            self.hold_back(id, agreed, now);
        }
    }

    fn send_delayed_keepalive(&mut self, id: ConnectionId, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.get_mut(id) else { return };
        let Stage::KeepaliveDelayed { agreed, is_theirs_here } = connection.stage else { return };
        connection.stage = Stage::OpenConfirm(agreed);
        let jitter = self.timers.jitter();
        if let Some(connection) = self.get_mut(id) {
            connection.restart_hold(now);
            connection.restart_keepalive(now, jitter);
        }
        out.push(Action::Send(id, keepalive()));
        // Another one would only collide with it.
        if self.timers.attempt_deadline.take().is_some() {
            out.push(Action::CancelConnect);
        }
        if is_theirs_here {
            self.establish(id, agreed, now, out);
        }
    }
}
