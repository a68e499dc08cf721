//! One TCP connection of a peer, from its OPEN on.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::event::{ConnectionId, NextHops};
use super::settings::PeerSettings;
use super::status::PeerState;
use crate::bgp::announce::Style;
use crate::bgp::nlri::Family;
use crate::bgp::open::Agreed;

/// How long the neighbour's OPEN is waited for. RFC 4271 §8.2.2 suggests four minutes; a neighbour that has accepted a
/// connection and stays silent is as good as none.
pub(super) const OPEN_WAIT: Duration = Duration::from_secs(30);

/// How far a connection is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// OPEN is held back (see `collision`). What was agreed on, where theirs has come.
    OpenDelayed(Option<Agreed>),
    /// OPEN sent; theirs is waited for.
    OpenSent,
    /// OPEN exchanged; KEEPALIVE is held back (see `collision`), whether theirs is here or not.
    KeepaliveDelayed { agreed: Agreed, is_theirs_here: bool },
    /// OPEN exchanged; their KEEPALIVE is waited for.
    OpenConfirm(Agreed),
    /// Routes can be exchanged.
    Established(Agreed),
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    /// Whether the neighbour opened it.
    pub(super) incoming: bool,
    pub(super) local: IpAddr,
    pub(super) next_hops: NextHops,
    pub(super) stage: Stage,
    /// When the neighbour has been silent for too long.
    pub(super) hold_deadline: Option<Instant>,
    /// When the next KEEPALIVE leaves, or what is held back.
    pub(super) keepalive_deadline: Option<Instant>,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, incoming: bool, local: SocketAddr, next_hops: NextHops, now: Instant) -> Self {
        Self {
            id,
            incoming,
            local: local.ip().to_canonical(),
            next_hops,
            stage: Stage::OpenSent,
            hold_deadline: Some(now + OPEN_WAIT),
            keepalive_deadline: None,
        }
    }

    pub(super) fn state(&self) -> PeerState {
        match self.stage {
            Stage::OpenDelayed(_) => PeerState::Active,
            Stage::OpenSent => PeerState::OpenSent,
            Stage::KeepaliveDelayed { .. } | Stage::OpenConfirm(_) => PeerState::OpenConfirm,
            Stage::Established(_) => PeerState::Established,
        }
    }

    /// Whether KEEPALIVE has been sent: the neighbour may have a session on it.
    pub(super) fn is_confirmed(&self) -> bool {
        matches!(self.stage, Stage::OpenConfirm(_) | Stage::Established(_))
    }

    /// What was agreed on, once it was.
    pub(super) fn agreed(&self) -> Option<Agreed> {
        match self.stage {
            Stage::OpenDelayed(_) | Stage::OpenSent => None,
            Stage::KeepaliveDelayed { agreed, .. } | Stage::OpenConfirm(agreed) | Stage::Established(agreed) => {
                Some(agreed)
            }
        }
    }

    /// The neighbour is alive: the hold timer starts again.
    pub(super) fn restart_hold(&mut self, now: Instant) {
        if let Some(agreed) = self.agreed() {
            self.hold_deadline = (agreed.hold_time_s > 0).then(|| now + Duration::from_secs(agreed.hold_time_s.into()));
        }
    }

    /// Something that counts as a KEEPALIVE has left. A third of the hold time, less up to a quarter (RFC 4271 §10):
    /// `jitter` of 256.
    pub(super) fn restart_keepalive(&mut self, now: Instant, jitter: u32) {
        let hold_time_s = self.agreed().map_or(0, |agreed| agreed.hold_time_s);
        let interval = Duration::from_secs(hold_time_s.into()) / 3;
        self.keepalive_deadline = (hold_time_s > 0).then(|| now + interval - interval * (jitter % 256) / 1024);
    }

    /// IPv4 routes go with an IPv6 next hop (RFC 8950): it was agreed on, and the session itself is over IPv6.
    pub(super) fn is_ipv4_over_ipv6(&self, settings: &PeerSettings) -> bool {
        let is_agreed = self.agreed().is_some_and(|agreed| agreed.extended_next_hop);
        is_agreed && self.local.is_ipv6() && settings.next_hop_ipv4.is_none()
    }

    /// How routes of a family are written here; `None` where it was not agreed on, or nothing is known that they could
    /// lead to.
    pub(super) fn style(&self, family: Family, settings: &PeerSettings) -> Option<Style> {
        let agreed = self.agreed().filter(|agreed| agreed.families.get(family))?;
        let needs_ipv6 = family == Family::Ipv6 || self.is_ipv4_over_ipv6(settings);
        let (configured, found) = if needs_ipv6 {
            (settings.next_hop_ipv6.map(IpAddr::V6), self.next_hops.ipv6.map(IpAddr::V6))
        } else {
            (settings.next_hop_ipv4.map(IpAddr::V4), self.next_hops.ipv4.map(IpAddr::V4))
        };
        let own = Some(self.local).filter(|own| own.is_ipv6() == needs_ipv6 && !is_link_local(own));
        let next_hop = configured.or(own).or(found)?;
        Some(Style {
            local_as: settings.local_as,
            is_internal: settings.is_internal(),
            four_octet_as: agreed.four_octet_as,
            next_hop,
            link_local: self.next_hops.link_local.filter(|_| next_hop.is_ipv6() && settings.next_hop_ipv6.is_none()),
        })
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
