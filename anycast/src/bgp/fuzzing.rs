//! Ways in for the fuzz targets; no part of the interface.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::RouteAttributes;
use ipnet::IpNet;

use super::announce::{Style, withdraw};
use super::framer::{Framer, HEADER_BYTES, MARKER, MESSAGE_BYTES_MAX};
use super::nlri::{Family, PerFamily};
use super::notification::Notification;
use super::open::Open;
use super::peer::{Action, ConnectionId, Event, NextHops, Peer, PeerSettings, PeerState, Shutdown, ShutdownCause};
use super::update::{self, Session};
use crate::adverts::{Adverts, Cause};

/// Routes that the peer keeps.
const ROUTES_KEPT_MAX: usize = 8;

fn settings(flags: u8) -> PeerSettings {
    PeerSettings {
        local_as: if flags & 1 == 0 { 65010 } else { 4_200_000_000 },
        router_id: [10, 0, 0, 1].into(),
        remote_as: if flags & 2 == 0 { 64501 } else { 65010 },
        passive: flags & 4 != 0,
        hold_time_s: if flags & 8 == 0 { 3 } else { 90 },
        connect_retry: Duration::from_millis(100),
        ipv4: true,
        ipv6: flags & 16 == 0,
        extended_next_hop: flags & 32 != 0,
        next_hop_ipv4: None,
        next_hop_ipv6: None,
        graceful_restart_s: if flags & 64 == 0 { 0 } else { 30 },
        routes_kept_max: ROUTES_KEPT_MAX,
        jitter_seed: 1,
    }
}

/// Reads the bytes as a stream of messages, and the same as bodies of OPEN, UPDATE and NOTIFICATION: no panic, and what
/// was withdrawn is read the same after it has been written again.
pub fn message(data: &[u8]) {
    let Some((&flags, bytes)) = data.split_first() else { return };
    let mut framer = Framer::new();
    for chunk in bytes.chunks(1 + usize::from(flags)) {
        framer.push(chunk);
        while let Some(frame) = framer.next() {
            assert!(
                frame.0.is_ok_and(|message| (HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(&message.len())) || {
                    framer.push(bytes);
                    framer.next().is_none()
                }
            );
        }
    }
    if let Ok(open) = Open::decode(bytes) {
        let _ = open.agree(&settings(flags)).map(|agreed| (agreed.family_names(true), agreed.capability_names()));
    }
    if let Some(notification) = Notification::decode(bytes) {
        assert!(!notification.words().chars().any(char::is_control), "safe to print");
    }
    let session = Session {
        four_octet_as: flags & 1 == 0,
        is_internal: flags & 2 != 0,
        families: PerFamily::new(true, flags & 16 == 0),
        extended_next_hop: flags & 32 != 0,
    };
    if let Ok(update) = update::decode(bytes, &session) {
        assert!(update.treated_as_withdraw.is_none() || update.announced.is_empty());
        write_again(&update.withdrawn);
    }
}

fn write_again(withdrawn: &[IpNet]) {
    let session = Session {
        four_octet_as: true,
        is_internal: false,
        families: PerFamily::new(true, true),
        extended_next_hop: false,
    };
    for family in Family::ALL {
        let style = Style {
            local_as: 1,
            is_internal: false,
            four_octet_as: true,
            next_hop: [10, 0, 0, 1].into(),
            link_local: None,
        };
        let prefixes: Vec<_> = withdrawn.iter().copied().filter(|prefix| Family::of(prefix) == family).collect();
        let mut read = Vec::new();
        for message in withdraw(family, &prefixes, &style) {
            assert!(message.len() <= MESSAGE_BYTES_MAX);
            let body = message.get(HEADER_BYTES..).unwrap_or_default();
            read.extend(update::decode(body, &session).map(|update| update.withdrawn).unwrap_or_default());
        }
        assert_eq!(read, prefixes);
    }
}

/// Has a peer live through any events at any times. Each step is three octets: a pause, what happens, and to which
/// connection; a message has its length in one octet more, and its type and body after that. Nothing is sent on what
/// was closed, a session that does not stand keeps no routes, and what is due is in the future.
pub fn peer(data: &[u8]) {
    let Some((&flags, mut bytes)) = data.split_first() else { return };
    let mut now = Instant::now();
    let mut peer = Peer::new(settings(flags), now);
    let mut closed = BTreeSet::new();
    let mut ids = 0;
    while let Some((&[pause, what, which], rest)) = bytes.split_first_chunk() {
        bytes = rest;
        now += Duration::from_millis(u64::from(pause) * 100);
        let id = ConnectionId(u64::from(which) % (ids + 1));
        let (event, rest) = event(what, id, ConnectionId(ids), bytes);
        bytes = rest;
        ids += u64::from(matches!(event, Event::Connected { .. }));
        let mut actions = peer.handle(event, now);
        actions.extend(peer.handle(Event::Tick, now));
        for action in actions {
            match action {
                Action::Send(id, message) => {
                    assert!(!closed.contains(&id), "sent after the end");
                    assert!(message.starts_with(&MARKER) && message.len() <= MESSAGE_BYTES_MAX);
                }
                Action::Close(id) => assert!(closed.insert(id), "closed twice"),
                _ => {}
            }
        }
        assert!(peer.next_deadline().is_none_or(|deadline| deadline > now), "nothing is due after a tick");
        let status = peer.status();
        let kept = peer.routes().count();
        assert!(kept <= if status.state == PeerState::Established { ROUTES_KEPT_MAX } else { 0 });
    }
}

fn event(what: u8, id: ConnectionId, next: ConnectionId, bytes: &[u8]) -> (Event, &[u8]) {
    let event = match what % 16 {
        0 => Event::Start,
        1 => Event::Stop(Shutdown { cause: ShutdownCause::AdministrativeReset, message: String::new() }),
        2 => Event::Stop(Shutdown { cause: ShutdownCause::AdministrativeShutdown, message: "é".repeat(what.into()) }),
        3 | 4 => Event::Connected {
            connection: next,
            incoming: what.is_multiple_of(2),
            local: ([10, 0, 0, 1], 1).into(),
            remote: ([10, 0, 0, 2], 179).into(),
            next_hops: NextHops { ipv6: Some(1.into()), ..NextHops::default() },
        },
        5 => Event::ConnectFailed(String::new()),
        6 => Event::Closed(id, String::new()),
        7 => Event::SendBlocked(id),
        8 => Event::BfdDown,
        9 => Event::Adverts(Arc::new(adverts(what))),
        _ => return received(id, bytes),
    };
    (event, bytes)
}

fn adverts(what: u8) -> Adverts {
    let route = Arc::new(RouteAttributes { prepend: what, med: Some(what.into()), ..RouteAttributes::default() });
    let net = |text: &str| text.parse::<IpNet>().ok();
    let prefixes = [net("192.0.2.0/24"), net("2001:db8:53::/48")].into_iter().flatten();
    Adverts { routes: prefixes.map(|prefix| (prefix, Arc::clone(&route))).collect(), cause: Cause::Health }
}

/// A message with a header that is right.
fn received(id: ConnectionId, bytes: &[u8]) -> (Event, &[u8]) {
    let Some((&length, rest)) = bytes.split_first() else { return (Event::Tick, bytes) };
    let (content, rest) = rest.split_at_checked(length.into()).unwrap_or((rest, &[]));
    let total = u16::try_from(HEADER_BYTES - 1 + content.len()).unwrap_or_default();
    let mut framer = Framer::new();
    framer.push(&[&MARKER, &total.to_be_bytes()[..], content].concat());
    (framer.next().map_or(Event::Tick, |frame| Event::Received(id, frame)), rest)
}
