//! What a neighbour's task publishes of itself.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::link::Link;
use crate::adverts::Adverts;
use crate::bgp::{PeerState, PeerStatus};
use crate::status::{NeighbourStatus, NotificationStatus, ReceivedStatus};

/// The published view of one neighbour.
#[derive(Debug)]
pub(super) struct View {
    pub(super) status: ArcSwap<NeighbourStatus>,
    pub(super) progress: watch::Sender<Progress>,
}

/// How far the adverts have come.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// Those that the machine had last.
    pub(super) adverts: Arc<Adverts>,
    /// Whether the router has been told of them, or there is no session to tell.
    pub(super) told: bool,
}

impl View {
    /// Of a neighbour that nothing has happened with, or cannot: `problem` says why.
    pub(super) fn new(
        neighbour: &config::Neighbour,
        md5: bool,
        adverts: Arc<Adverts>,
        problem: Option<String>,
    ) -> Arc<Self> {
        let status = NeighbourStatus {
            name: neighbour.name.clone(),
            address: neighbour.address,
            remote_as: neighbour.remote_as,
            state: PeerState::Idle.as_str().into(),
            since_unix_s: unix_s(Instant::now()),
            problem,
            last_notification: None,
            families: Vec::new(),
            capabilities: Vec::new(),
            hold_time_s: None,
            md5,
            ttl_security: neighbour.ttl_security,
            prefixes_announced: 0,
            updates_sent: 0,
            received: ReceivedStatus::default(),
            flaps: 0,
            bfd: None,
        };
        let progress = watch::Sender::new(Progress { adverts, told: true });
        Arc::new(Self { status: ArcSwap::from_pointee(status), progress })
    }

    /// Publishes how the machine is.
    pub(super) fn publish(&self, link: &Link, peer: PeerStatus) {
        let before = self.status.load();
        let last_notification = peer.last_notification.map(|last| NotificationStatus {
            sent: last.sent,
            code: last.notification.code,
            subcode: last.notification.subcode,
            words: last.words,
            at_unix_s: unix_s(last.at),
        });
        self.status.store(Arc::new(NeighbourStatus {
            name: before.name.clone(),
            address: before.address,
            remote_as: before.remote_as,
            state: peer.state.as_str().into(),
            since_unix_s: unix_s(peer.since),
            problem: peer.problem,
            last_notification,
            families: peer.families,
            capabilities: peer.capabilities,
            hold_time_s: peer.hold_time_s,
            md5: link.has_password(),
            ttl_security: link.ttl_security(),
            prefixes_announced: peer.prefixes_announced,
            updates_sent: peer.updates_sent,
            received: peer.received,
            flaps: peer.flaps,
            bfd: None,
        }));
    }

    /// Publishes how far the adverts have come.
    pub(super) fn publish_progress(&self, adverts: &Arc<Adverts>, told: bool) {
        self.progress.send_if_modified(|progress| {
            let changed = progress.told != told || !Arc::ptr_eq(&progress.adverts, adverts);
            if changed {
                *progress = Progress { adverts: Arc::clone(adverts), told };
            }
            changed
        });
    }
}

/// A moment of the monotonic clock by the calendar.
fn unix_s(at: Instant) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(at.elapsed()).as_secs_f64()
}
