//! Messages of the neighbour: what each means at each stage.

use std::time::Instant;

use super::collision::Collision;
use super::connection::{Connection, Stage};
use super::event::{Action, ConnectionId};
use super::{Blame, Peer};
use crate::bgp::framer::{Frame, HEADER_BYTES};
use crate::bgp::nlri::Family;
use crate::bgp::notification::{
    BAD_MESSAGE_LENGTH, BAD_MESSAGE_TYPE, BAD_PEER_AS, CONNECTION_COLLISION, CONNECTION_REJECTED, FSM_ERROR,
    HOLD_TIMER_EXPIRED, Notification, ROUTE_REFRESH_LENGTH, UNSUPPORTED_CAPABILITY,
};
use crate::bgp::open::{Agreed, Open};
use crate::bgp::update::{self, Session};

/// What a message is (RFC 4271 §4.1, RFC 2918 §3), with its body.
#[derive(Clone, Copy, Debug)]
enum Message<'a> {
    Open(&'a [u8]),
    Update(&'a [u8]),
    Notification(&'a [u8]),
    Keepalive,
    RouteRefresh(&'a [u8]),
}

impl<'a> Message<'a> {
    /// Type and length are checked (RFC 4271 §6.1).
    fn new(message: &'a [u8]) -> Result<Self, Notification> {
        let (&kind, body) = message.get(HEADER_BYTES - 1..).and_then(<[u8]>::split_first).unwrap_or((&0, &[]));
        let (is_allowed, parsed) = match kind {
            1 => (body.len() >= 10, Self::Open(body)),
            2 => (body.len() >= 4, Self::Update(body)),
            3 => (body.len() >= 2, Self::Notification(body)),
            4 => (body.is_empty(), Self::Keepalive),
            5 => (true, Self::RouteRefresh(body)),
            _ => return Err(Notification::new(BAD_MESSAGE_TYPE, [kind])),
        };
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        is_allowed.then_some(parsed).ok_or_else(|| Notification::new(BAD_MESSAGE_LENGTH, length.to_be_bytes()))
    }

    fn kind(self) -> u8 {
        match self {
            Self::Open(_) => 1,
            Self::Update(_) => 2,
            Self::Notification(_) => 3,
            Self::Keepalive => 4,
            Self::RouteRefresh(_) => 5,
        }
    }
}

impl Peer {
    /// One message, or what was to be one.
    pub(super) fn receive(&mut self, id: ConnectionId, frame: Frame, now: Instant, out: &mut Vec<Action>) {
        let Some(connection) = self.get_mut(id) else { return };
        connection.restart_hold(now);
        let stage = connection.stage;
        let message = match frame.0.as_deref().map_err(Clone::clone).and_then(Message::new) {
            Ok(message) => message,
            Err(notification) => {
                let problem = format!("the router sent what is no BGP message: {}", notification.words());
                return self.fail(id, notification, problem, Blame::Protocol, now, out);
            }
        };
        match (stage, message) {
            (_, Message::Notification(body)) => self.receive_notification(id, body, now, out),
            (Stage::OpenDelayed(None) | Stage::OpenSent, Message::Open(body)) => self.receive_open(id, body, now, out),
            (Stage::KeepaliveDelayed { agreed, .. }, Message::Keepalive) => {
                connection.stage = Stage::KeepaliveDelayed { agreed, is_theirs_here: true };
            }
            (Stage::OpenConfirm(agreed), Message::Keepalive) => self.establish(id, agreed, now, out),
            (Stage::Established(_), Message::Keepalive) => {}
            (Stage::Established(agreed), Message::Update(body)) => self.receive_update(id, agreed, body, now, out),
            (Stage::Established(_), Message::RouteRefresh(body)) => {
                self.receive_route_refresh(id, body, frame.0.as_deref().unwrap_or_default(), now, out);
            }
            (stage, unexpected) => self.refuse_unexpected(id, stage, unexpected, now, out),
        }
    }

    /// RFC 6608: the subcode says the state, the data what came.
    fn refuse_unexpected(
        &mut self,
        id: ConnectionId,
        stage: Stage,
        message: Message<'_>,
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let (subcode, state) = match stage {
            Stage::OpenDelayed(_) | Stage::OpenSent => (1, "OpenSent"),
            Stage::KeepaliveDelayed { .. } | Stage::OpenConfirm(_) => (2, "OpenConfirm"),
            Stage::Established(_) => (3, "Established"),
        };
        let problem = format!("the router sent a message of type {} in {state}", message.kind());
        let notification = Notification::new((FSM_ERROR, subcode), [message.kind()]);
        self.fail(id, notification, problem, Blame::Protocol, now, out);
    }

    fn receive_open(&mut self, id: ConnectionId, body: &[u8], now: Instant, out: &mut Vec<Action>) {
        let read = Open::decode(body).and_then(|open| Ok((open.agree(&self.settings)?, open)));
        let (agreed, open) = match read {
            Ok(read) => read,
            Err(refused) => {
                return self.fail(id, refused.notification, refused.problem, Blame::Protocol, now, out);
            }
        };
        match self.collide(id, &open, agreed, now, out) {
            Collision::Loses => self.drop_collided(id, now, out),
            Collision::Open => self.hold_back(id, agreed, now),
            Collision::Wins => {
                self.hold_back(id, agreed, now);
                self.go_on(id, now, out);
            }
        }
    }

    fn receive_notification(&mut self, id: ConnectionId, body: &[u8], now: Instant, out: &mut Vec<Action>) {
        let (Some(notification), Some(connection)) = (Notification::decode(body), self.remove(id)) else { return };
        let problem = explain(&notification, &connection, self.settings.local_as);
        let is_harmless = matches!(notification.code(), HOLD_TIMER_EXPIRED) || notification.code == 6;
        let blame = if is_harmless { Blame::Nobody } else { Blame::Protocol };
        out.push(Action::Close(id));
        self.note_notification(false, notification, now);
        self.after_end(&connection, problem, blame, now, out);
    }

    fn receive_update(&mut self, id: ConnectionId, agreed: Agreed, body: &[u8], now: Instant, out: &mut Vec<Action>) {
        let session = Session {
            four_octet_as: agreed.four_octet_as,
            is_internal: self.settings.is_internal(),
            families: agreed.families,
            extended_next_hop: agreed.extended_next_hop,
        };
        match update::decode(body, &session) {
            Ok(update) => self.routes.apply(&update),
            Err(notification) => {
                let problem = format!("the router sent an UPDATE that cannot be read: {}", notification.words());
                self.fail(id, notification, problem, Blame::Protocol, now, out);
            }
        }
    }

    /// RFC 2918 §4, RFC 7313 §5. Marks of the neighbour's own refreshes need nothing done: nothing was asked for.
    fn receive_route_refresh(
        &mut self,
        id: ConnectionId,
        body: &[u8],
        whole: &[u8],
        now: Instant,
        out: &mut Vec<Action>,
    ) {
        let &[afi1, afi2, subtype, safi] = body else {
            let problem = "the router sent a ROUTE-REFRESH of a wrong length".to_owned();
            return self.fail(id, Notification::new(ROUTE_REFRESH_LENGTH, whole), problem, Blame::Protocol, now, out);
        };
        if let (0, Some(family)) = (subtype, Family::from_afi_safi(u16::from_be_bytes([afi1, afi2]), safi)) {
            self.announced.request_refresh(family, now);
            self.refresh_if_due(now, out);
        }
    }
}

/// A NOTIFICATION of the neighbour as a sentence, with what to look at where that is known.
fn explain(notification: &Notification, connection: &Connection, local_as: u32) -> String {
    let words = notification.words();
    let hint = match notification.code() {
        BAD_PEER_AS => format!("; it does not expect AS {local_as} here"),
        UNSUPPORTED_CAPABILITY => "; look at the families on both sides".to_owned(),
        CONNECTION_REJECTED => "; it may not be configured for this node".to_owned(),
        CONNECTION_COLLISION if connection.agreed().is_none() => "; it has another connection".to_owned(),
        _ => String::new(),
    };
    format!("the router ended the session: {words}{hint}")
}
