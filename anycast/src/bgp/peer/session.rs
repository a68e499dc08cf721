//! An established session: what is told, and what is said of it.

use std::time::{Duration, Instant};

use super::announced::Styles;
use super::connection::Stage;
use super::event::{Action, ConnectionId};
use super::{Announced, Peer};
use crate::bgp::framer;
use crate::bgp::nlri::{Family, PerFamily};
use crate::bgp::open::Agreed;

/// Type of UPDATE messages (RFC 4271 §4.1).
const UPDATE: u8 = 2;

impl Peer {
    /// Both sides have accepted each other.
    pub(super) fn establish(&mut self, id: ConnectionId, agreed: Agreed, now: Instant, out: &mut Vec<Action>) {
        let jitter = self.timers.jitter();
        self.drop_late(now, out);
        let Some(connection) = self.get_mut(id) else { return };
        connection.stage = Stage::Established(agreed);
        connection.restart_hold(now);
        connection.restart_keepalive(now, jitter);
        self.timers.retry_at = None;
        self.timers.established_at = Some(now);
        self.has_been_up = true;
        let restart = Duration::from_secs(self.settings.graceful_restart_s.into());
        self.announced = Announced::new(agreed.graceful_restart.then_some(now + restart));
        self.routes.clear();
        (self.shown.problem, self.shown.problem_stays_until) = (None, None);
        out.push(Action::Established(id));
        self.tell(now, out);
    }

    /// Sends what the neighbour does not know yet.
    pub(super) fn tell(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some((id, agreed, styles)) = self.told() else { return };
        let messages = self.announced.tell(&self.adverts, &styles, agreed, now);
        self.send_all(id, messages, now, out);
        match self.what_cannot_be_told(&styles, agreed) {
            Some(problem) => self.set_problem(problem, out),
            None => self.shown.problem = None,
        }
    }

    /// Sends what is due without a change.
    pub(super) fn tell_if_due(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.announced.deadline().is_some_and(|deadline| deadline <= now) {
            self.refresh_if_due(now, out);
            self.tell(now, out);
        }
    }

    /// Sends what was asked for again.
    pub(super) fn refresh_if_due(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some((id, agreed, styles)) = self.told() else { return };
        let messages = self.announced.refresh(&self.adverts, &styles, agreed, now);
        self.send_all(id, messages, now, out);
    }

    /// The session, and how routes are written in it.
    fn told(&self) -> Option<(ConnectionId, Agreed, Styles)> {
        let connection = self.established()?;
        let style = |family| connection.style(family, &self.settings);
        let styles = PerFamily::new(style(Family::Ipv4), style(Family::Ipv6));
        Some((connection.id, connection.agreed()?, styles))
    }

    fn send_all(&mut self, id: ConnectionId, messages: Vec<Vec<u8>>, now: Instant, out: &mut Vec<Action>) {
        let is_update = |message: &&Vec<u8>| message.get(framer::HEADER_BYTES - 1) == Some(&UPDATE);
        let updates = messages.iter().filter(is_update).count();
        if updates > 0 {
            // An UPDATE is as good as a KEEPALIVE (RFC 4271 §8.2.2).
            let jitter = self.timers.jitter();
            if let Some(connection) = self.get_mut(id) {
                connection.restart_keepalive(now, jitter);
            }
        }
        self.shown.updates_sent += u64::try_from(updates).unwrap_or(u64::MAX);
        out.extend(messages.into_iter().map(|message| Action::Send(id, message)));
    }

    /// Why routes that are to be announced are not, though the session stands.
    fn what_cannot_be_told(&self, styles: &Styles, agreed: Agreed) -> Option<String> {
        for family in Family::ALL {
            let is_configured = PerFamily::new(self.settings.ipv4, self.settings.ipv6).get(family);
            let wanted = self.adverts.routes.keys().filter(|prefix| Family::of(prefix) == family).count();
            if wanted == 0 || !is_configured {
                continue;
            }
            let name = family.name();
            if !agreed.families.get(family) {
                return Some(format!("the router does not speak {name}: {wanted} {name} prefixes are not announced"));
            }
            if styles.get(family).is_none() {
                return Some(format!(
                    "no {name} address of this node is known that the router could send to: {wanted} {name} prefixes \
                     are not announced; next_hop_{name} says which"
                ));
            }
            if self.announced.prefixes_of(family) < wanted {
                return Some(format!("the attributes of {name} routes are too long for a message: not announced"));
            }
        }
        None
    }
}
