//! The machine of one neighbour (RFC 4271 §8): up to two connections, all timers, what was announced and what came.

mod event;
mod settings;
mod status;

use std::time::Instant;

pub use event::{Action, ConnectionId, Event, NextHops, Shutdown, ShutdownCause};
pub use settings::PeerSettings;
pub use status::{LastNotification, PeerState, PeerStatus};

use super::routes::ReceivedRoute;
use crate::status::ReceivedStatus;

/// One neighbour.
#[derive(Debug)]
pub struct Peer {
    settings: PeerSettings,
    since: Instant,
}

impl Peer {
    /// Idle until [`Event::Start`].
    pub fn new(settings: PeerSettings, now: Instant) -> Self {
        Self { settings, since: now }
    }

    /// Takes one event. The actions are to be carried out in their order.
    #[expect(unused_variables)]
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Action> {
        Vec::new()
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// How it is.
    pub fn status(&self) -> PeerStatus {
        PeerStatus {
            state: PeerState::Idle,
            since: self.since,
            problem: None,
            last_notification: None,
            families: Vec::new(),
            capabilities: Vec::new(),
            hold_time_s: None,
            prefixes_announced: 0,
            updates_sent: 0,
            received: ReceivedStatus::default(),
            flaps: 0,
        }
    }

    /// Whether the neighbour has been sent all that the last adverts said; true when there is no session to tell.
    pub fn is_told(&self) -> bool {
        true
    }

    /// Routes that it sent and that were kept, by prefix.
    pub fn routes(&self) -> impl Iterator<Item = ReceivedRoute> + '_ {
        std::iter::empty()
    }

    /// What it was made with.
    pub fn settings(&self) -> &PeerSettings {
        &self.settings
    }
}
