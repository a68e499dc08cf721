//! What the machine asks for, done.

use std::collections::VecDeque;
use std::time::Instant;

use tracing::{info, warn};

use super::{BFD_WAIT_MAX, Connecting, Task};
use crate::bgp::{Action, ConnectionId, Event};
use crate::session::connection::Broken;
use crate::session::md5_drops::Md5Counters;
use crate::session::words;

/// Connections that are being closed; further ones are closed without a farewell.
const CLOSING_MAX: usize = 8;

impl Task {
    /// Gives the machine an event, and does what it asks for; that may be followed by further events.
    pub(super) fn handle(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now = Instant::now();
            for action in self.parts.peer.handle(event, now) {
                events.extend(self.act(action, now));
            }
        }
    }

    fn act(&mut self, action: Action, now: Instant) -> Option<Event> {
        let name = &self.parts.name;
        match action {
            Action::Connect => self.connect(),
            Action::CancelConnect => self.connecting = None,
            Action::Send(id, bytes) => return self.send(id, &bytes, now),
            Action::Close(id) => self.close(id),
            Action::Established(id) => {
                self.established = Some(id);
                self.bfd_awaited_until = self.awaits_bfd().then(|| now + BFD_WAIT_MAX);
                info!(neighbour = %name, address = %self.parts.link.remote, "the BGP session is established");
            }
            Action::LeftEstablished(why) => {
                self.established = None;
                self.bfd_awaited_until = None;
                warn!(neighbour = %name, address = %self.parts.link.remote, "the BGP session is over: {why}");
            }
            Action::Problem(why) => warn!(neighbour = %name, "{why}"),
        }
        None
    }

    fn connect(&mut self) {
        let link = self.parts.link.clone();
        let attempt = Box::pin(async move { link.connect().await });
        self.connecting = Some(Connecting { attempt, md5_before: Md5Counters::now() });
    }

    fn send(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) -> Option<Event> {
        let connection = self.connections.iter_mut().find(|it| it.id == id)?;
        let broken = connection.send(bytes, now).err()?;
        // A NOTIFICATION that is there to be read says more than this. It is read with the next event of the socket,
        // which a broken connection has at once; only one that is stuck has none.
        if let Broken::NotRead = broken {
            self.remove(id);
            return Some(Event::Closed(id, words::broken(&self.parts.link, &broken)));
        }
        None
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(connection) = self.remove(id)
            && self.closing.len() < CLOSING_MAX
        {
            self.closing.spawn(connection.close());
        }
    }
}
