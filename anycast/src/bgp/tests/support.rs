//! What the tests have in common: settings, adverts, numbers that look random.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::RouteAttributes;
use ipnet::IpNet;

use crate::adverts::{Adverts, Cause};
use crate::bgp::{Action, ConnectionId, Event, Framer, NextHops, Peer, PeerSettings, PeerState};

/// AS 65010 at 10.0.0.1 towards AS 64501.
pub(super) fn settings() -> PeerSettings {
    PeerSettings {
        local_as: 65010,
        router_id: [10, 0, 0, 1].into(),
        remote_as: 64501,
        passive: false,
        hold_time_s: 9,
        connect_retry: Duration::from_secs(1),
        ipv4: true,
        ipv6: true,
        extended_next_hop: false,
        next_hop_ipv4: None,
        next_hop_ipv6: None,
        graceful_restart_s: 0,
        routes_kept_max: 1000,
        jitter_seed: 1,
    }
}

/// The other end of [`settings`].
pub(super) fn mirrored() -> PeerSettings {
    PeerSettings { local_as: 64501, router_id: [10, 0, 0, 254].into(), remote_as: 65010, jitter_seed: 2, ..settings() }
}

pub(super) fn adverts(routes: &[(&str, &RouteAttributes)]) -> Arc<Adverts> {
    let shared: BTreeMap<IpNet, Arc<RouteAttributes>> =
        routes.iter().map(|&(prefix, route)| (prefix.parse().unwrap(), Arc::new(route.clone()))).collect();
    Arc::new(Adverts { routes: shared, cause: Cause::Health })
}

/// Numbers that look random, the same for the same seed (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// A message of a type, as it is on the wire.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).unwrap();
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

pub(super) const MP_IPV4: &[u8] = &[1, 4, 0, 1, 0, 1];
pub(super) const MP_IPV6: &[u8] = &[1, 4, 0, 2, 0, 1];
pub(super) const ROUTE_REFRESH: &[u8] = &[2, 0];
pub(super) const ENHANCED_REFRESH: &[u8] = &[70, 0];
/// IPv4 unicast with an IPv6 next hop.
pub(super) const EXTENDED_NEXT_HOP: &[u8] = &[5, 6, 0, 1, 0, 1, 0, 2];
/// Restart time 30 s, notifications too, both families.
pub(super) const GRACEFUL: &[u8] = &[64, 10, 0x40, 30, 0, 1, 1, 0x80, 0, 2, 1, 0x80];
/// AS 64501 in four octets.
pub(super) const AS4: &[u8] = &[65, 4, 0, 0, 0xfb, 0xf5];

/// The body of an OPEN of AS 64501, hold time 90 s, 10.0.0.254, with these capabilities.
pub(super) fn open_body(capabilities: &[&[u8]]) -> Vec<u8> {
    let capabilities = capabilities.concat();
    let length = u8::try_from(capabilities.len()).unwrap();
    let parameters = if length == 0 { vec![0] } else { [&[length + 2, 2, length][..], &capabilities].concat() };
    [&[4, 0xfb, 0xf5, 0, 90, 10, 0, 0, 254][..], &parameters].concat()
}

/// What a usual router offers.
pub(super) fn usual() -> Vec<u8> {
    open_body(&[MP_IPV4, MP_IPV6, ROUTE_REFRESH, ENHANCED_REFRESH, AS4])
}

/// A peer and the bytes that the test says the router sends on connections 1, 2, ….
pub(super) struct Script {
    pub(super) peer: Peer,
    pub(super) now: Instant,
    framers: BTreeMap<u64, Framer>,
}

impl Script {
    pub(super) fn new(settings: PeerSettings) -> Self {
        let now = Instant::now();
        let mut script = Self { peer: Peer::new(settings, now), now, framers: BTreeMap::new() };
        script.handle(Event::Start);
        script
    }

    pub(super) fn handle(&mut self, event: Event) -> Vec<Action> {
        self.peer.handle(event, self.now)
    }

    pub(super) fn after(&mut self, duration: Duration) -> Vec<Action> {
        self.now += duration;
        self.handle(Event::Tick)
    }

    pub(super) fn connect(&mut self, id: u64, incoming: bool) -> Vec<Action> {
        self.connect_over(id, incoming, ["10.0.0.1:40000", "10.0.0.254:179"])
    }

    pub(super) fn connect_over(&mut self, id: u64, incoming: bool, ends: [&str; 2]) -> Vec<Action> {
        let [local, remote] = ends.map(|end| end.parse().unwrap());
        let next_hops =
            NextHops { ipv4: Some([10, 0, 0, 1].into()), ipv6: Some("2001:db8::1".parse().unwrap()), link_local: None };
        self.handle(Event::Connected { connection: ConnectionId(id), incoming, local, remote, next_hops })
    }

    /// Bytes from the router.
    pub(super) fn hear(&mut self, id: u64, bytes: &[u8]) -> Vec<Action> {
        let framer = self.framers.entry(id).or_default();
        framer.push(bytes);
        let frames: Vec<_> = std::iter::from_fn(|| framer.next()).collect();
        let received = |frame| self.peer.handle(Event::Received(ConnectionId(id), frame), self.now);
        frames.into_iter().flat_map(received).collect()
    }

    /// A session on connection 1 with a router that sent this OPEN; and the actions that its KEEPALIVE led to.
    pub(super) fn established(settings: PeerSettings, open: &[u8]) -> (Self, Vec<Action>) {
        let mut script = Self::new(settings);
        script.connect(1, false);
        script.hear(1, &message(1, open));
        let actions = script.hear(1, &message(4, &[]));
        assert!(actions.contains(&Action::Established(ConnectionId(1))), "{actions:?}");
        (script, actions)
    }

    pub(super) fn state(&self) -> PeerState {
        self.peer.status().state
    }

    pub(super) fn problem(&self) -> String {
        self.peer.status().problem.unwrap_or_default()
    }
}

/// The messages among the actions, each its type and body.
pub(super) fn sent(actions: &[Action]) -> Vec<(u8, Vec<u8>)> {
    let message = |action: &Action| match action {
        Action::Send(_, bytes) => {
            let framer = &mut Framer::new();
            framer.push(bytes);
            let whole = framer.next().unwrap().0.unwrap();
            assert_eq!(whole, *bytes, "one message, and its length right");
            Some((bytes[18], bytes[19..].to_vec()))
        }
        _ => None,
    };
    actions.iter().filter_map(message).collect()
}

/// The NOTIFICATION among the actions: code, subcode, data.
pub(super) fn notification(actions: &[Action]) -> Option<(u8, u8, Vec<u8>)> {
    let (_, body) = sent(actions).into_iter().find(|(kind, _)| *kind == 3)?;
    Some((body[0], body[1], body[2..].to_vec()))
}
