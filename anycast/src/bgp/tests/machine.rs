//! States, timers, collisions, ends: RFC 4271 §6.5 to §8 and what extends them.

use std::time::Duration;

use config::RouteAttributes;

use super::support::{
    AS4, GRACEFUL, MP_IPV4, MP_IPV6, Random, Script, adverts, message, notification, open_body, sent, settings, usual,
};
use super::update::{AS_PATH, ORIGIN, update};
use crate::bgp::{
    Action, ConnectionId, Event, NextHops, Notification, PeerSettings, PeerState, Shutdown, ShutdownCause,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn rfc4271_8_2_2_a_session_comes_up() {
    let mut script = Script::new(settings());
    assert_eq!(script.state(), PeerState::Connect);
    let actions = script.connect(1, false);
    assert_eq!(sent(&actions)[0].0, 1, "OPEN");
    assert_eq!(script.state(), PeerState::OpenSent);
    assert_eq!(sent(&script.hear(1, &message(1, &usual()))), [(4, vec![])], "KEEPALIVE");
    assert_eq!(script.state(), PeerState::OpenConfirm);
    let actions = script.hear(1, &message(4, &[]));
    assert_eq!(actions[0], Action::Established(ConnectionId(1)));
    assert_eq!(script.state(), PeerState::Established);
    assert_eq!(script.problem(), "");
}

#[test]
fn messages_arrive_octet_by_octet() {
    let mut script = Script::new(settings());
    script.connect(1, false);
    for octet in [message(1, &usual()), message(4, &[])].concat() {
        script.hear(1, &[octet]);
    }
    assert_eq!(script.state(), PeerState::Established);
}

#[test]
fn rfc4271_8_1_1_attempts_are_made_again() {
    let mut script = Script::new(settings());
    for attempt in 0..20 {
        let actions = script.handle(Event::ConnectFailed("connection refused".into()));
        let expected =
            if attempt == 0 { vec![Action::Problem("no connection: connection refused".into())] } else { vec![] };
        assert_eq!(actions, expected, "the same is said once");
        assert_eq!(script.state(), PeerState::Active);
        assert_eq!(script.after(Duration::from_millis(749)), []);
        assert_eq!(script.after(Duration::from_millis(251)), [Action::Connect], "no later than connect_retry");
    }
    // An attempt that nothing comes of is given up for another.
    let actions = script.after(Duration::from_secs(5));
    assert_eq!(actions, [Action::Problem("no connection: the router does not answer".into()), Action::Connect]);
}

/// What the router did not accept is said once, however often it closes connections for it; after a while the newer
/// reason counts.
#[test]
fn a_known_reason_stays_for_a_while() {
    let mut script = Script::new(settings());
    let is_news = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Problem(_)));
    for attempt in 0..4 {
        script.connect(2 * attempt, false);
        let actions = script.hear(2 * attempt, &message(3, &[2, 2]));
        assert_eq!(is_news(&actions), attempt == 0, "{actions:?}");
        script.connect(2 * attempt + 1, false);
        let actions = script.handle(Event::Closed(ConnectionId(2 * attempt + 1), "the router closed it".into()));
        assert!(!is_news(&actions), "{actions:?}");
        assert!(script.problem().contains("Bad Peer AS"), "{}", script.problem());
        script.after(SECOND);
    }
    script.after(90 * SECOND);
    script.handle(Event::ConnectFailed("no route".into()));
    assert!(script.problem().contains("no route"), "{}", script.problem());
}

#[test]
fn a_passive_neighbour_is_waited_for() {
    let mut script = Script::new(PeerSettings { passive: true, ..settings() });
    assert_eq!((script.state(), script.peer.next_deadline()), (PeerState::Active, None));
    assert_eq!(sent(&script.connect(1, true))[0].0, 1);
    script.hear(1, &message(1, &usual()));
    script.hear(1, &message(4, &[]));
    assert_eq!(script.state(), PeerState::Established);
    script.handle(Event::Closed(ConnectionId(1), "reset".into()));
    assert_eq!((script.state(), script.peer.next_deadline()), (PeerState::Active, None));
}

#[test]
fn rfc4271_6_5_hold_timer() {
    let (mut script, _) = Script::established(settings(), &usual());
    for _ in 0..20 {
        script.after(Duration::from_secs(8));
        assert_eq!(script.state(), PeerState::Established);
        script.hear(1, &message(4, &[]));
    }
    let mut actions = script.after(Duration::from_millis(8999));
    assert_eq!(notification(&actions), None);
    actions = script.after(Duration::from_millis(1));
    assert_eq!(notification(&actions), Some((4, 0, vec![])));
    let why = "the router was silent for the hold time of 9 s".to_owned();
    assert!(actions.contains(&Action::LeftEstablished(why.clone())));
    assert_eq!(script.problem(), why);
    assert_eq!(script.peer.status().flaps, 1);
    assert_eq!(script.after(SECOND), [Action::Connect]);
}

#[test]
fn rfc4271_4_4_keepalives_leave_in_time() {
    for hold_time_s in [3, 9, 90] {
        let (mut script, _) = Script::established(PeerSettings { hold_time_s, ..settings() }, &usual());
        let interval = Duration::from_secs(hold_time_s.into()) / 3;
        for _ in 0..30 {
            let due = script.peer.next_deadline().unwrap() - script.now;
            assert!(due > interval * 3 / 4 && due <= interval, "{due:?} of {interval:?}");
            assert_eq!(sent(&script.after(due)), [(4, vec![])]);
            script.hear(1, &message(4, &[]));
        }
    }
}

#[test]
fn rfc4271_8_2_2_an_open_is_not_waited_for_forever() {
    let mut script = Script::new(settings());
    script.connect(1, false);
    let actions = script.after(Duration::from_secs(30));
    assert_eq!(notification(&actions), Some((4, 0, vec![])));
    assert_eq!(script.problem(), "the router accepts connections but sends no OPEN within 30 s");
}

#[test]
fn rfc6608_messages_in_the_wrong_state() {
    for (kind, body) in [(2, vec![0; 4]), (4, vec![]), (5, vec![0, 1, 0, 1])] {
        let mut script = Script::new(settings());
        script.connect(1, false);
        let actions = script.hear(1, &message(kind, &body));
        assert_eq!(notification(&actions), Some((5, 1, vec![kind])), "OpenSent, type {kind}");
    }
    for (kind, body) in [(1, usual()), (2, vec![0; 4]), (5, vec![0, 1, 0, 1])] {
        let mut script = Script::new(settings());
        script.connect(1, false);
        script.hear(1, &message(1, &usual()));
        let actions = script.hear(1, &message(kind, &body));
        assert_eq!(notification(&actions), Some((5, 2, vec![kind])), "OpenConfirm, type {kind}");
    }
    let (mut script, _) = Script::established(settings(), &usual());
    assert_eq!(notification(&script.hear(1, &message(1, &usual()))), Some((5, 3, vec![1])));
}

#[test]
fn rfc7313_5_route_refresh_of_a_wrong_length() {
    for body in [&[][..], &[0, 1, 0], &[0, 1, 0, 1, 0]] {
        let (mut script, _) = Script::established(settings(), &usual());
        let bytes = message(5, body);
        assert_eq!(notification(&script.hear(1, &bytes)), Some((7, 1, bytes.clone())));
    }
}

/// A notification of the router, and what people read of it.
fn check_received(body: &[u8], said: &str) {
    let (mut script, _) = Script::established(settings(), &usual());
    let actions = script.hear(1, &message(3, body));
    assert_eq!(sent(&actions), [], "none is answered (RFC 4271 §6.4)");
    assert!(actions.contains(&Action::Close(ConnectionId(1))));
    assert_eq!(script.problem(), format!("the router ended the session: {said}"));
    let last = script.peer.status().last_notification.unwrap();
    assert_eq!((last.sent, last.notification.code), (false, body[0]));
}

#[test]
fn notifications_in_words() {
    check_received(&[6, 2], "Cease, Administrative Shutdown");
    check_received(&[6, 2, 4, b'b', b'y', b'e', b'!'], "Cease, Administrative Shutdown: \"bye!\"");
    check_received(&[6, 4, 0], "Cease, Administrative Reset");
    check_received(&[6, 9, 6, 2, 2, b'h', b'i'], "Cease, Hard Reset (Cease, Administrative Shutdown: \"hi\")");
    check_received(&[6, 9], "Cease, Hard Reset");
    check_received(&[6, 9, 6, 9, 6, 9], "Cease, Hard Reset");
    check_received(&[6, 5], "Cease, Connection Rejected; it may not be configured for this node");
    check_received(&[6, 10], "Cease, BFD Down");
    check_received(&[6, 99], "Cease, subcode 99");
    check_received(&[4, 0], "Hold Timer Expired");
    check_received(&[77, 3], "code 77, subcode 3");
    check_received(&[2, 2, 0, 1], "OPEN Message Error, Bad Peer AS; it does not expect AS 65010 here");
    check_received(&[2, 7], "OPEN Message Error, Unsupported Capability; look at the families on both sides");
}

#[test]
fn rfc9003_what_a_stranger_writes_is_made_harmless() {
    check_received(&[6, 2, 200, b'x'], "Cease, Administrative Shutdown: \"x\"");
    check_received(&[6, 2, 3, 0xff, 0xfe, b'x'], "Cease, Administrative Shutdown: \"\u{fffd}\u{fffd}x\"");
    check_received(
        b"\x06\x02\x0c\x1b[2Ja\nb\rc\x00d\"",
        "Cease, Administrative Shutdown: \"\u{fffd}[2Ja\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}\"",
    );
    let turned = [&[6, 2, 4][..], "\u{202e}x".as_bytes()].concat();
    check_received(&turned, "Cease, Administrative Shutdown: \"\u{fffd}x\"");
}

fn stop(script: &mut Script, cause: ShutdownCause, message: &str) -> Vec<Action> {
    script.handle(Event::Stop(Shutdown { cause, message: message.into() }))
}

#[test]
fn rfc4486_ends_on_purpose() {
    for (cause, expected) in [
        (ShutdownCause::AdministrativeShutdown, (6, 2, b"\x03now".to_vec())),
        (ShutdownCause::AdministrativeReset, (6, 4, b"\x03now".to_vec())),
        (ShutdownCause::PeerDeconfigured, (6, 3, vec![])),
        (ShutdownCause::OtherConfigurationChange, (6, 6, vec![])),
    ] {
        let (mut script, _) = Script::established(settings(), &usual());
        let actions = stop(&mut script, cause, "now");
        assert_eq!(notification(&actions), Some(expected));
        assert!(matches!(actions[..], [Action::Send(..), Action::Close(_), Action::LeftEstablished(_)]), "{actions:?}");
        assert_eq!((script.state(), script.peer.next_deadline()), (PeerState::Idle, None));
        // Whoever connects now is turned away.
        assert_eq!(notification(&script.connect(2, true)), Some((6, 5, vec![])));
        assert_eq!(script.handle(Event::Start), [Action::Connect]);
    }
}

#[test]
fn rfc9003_long_messages_are_cut_between_characters() {
    let (mut script, _) = Script::established(settings(), &usual());
    let (_, _, data) =
        notification(&stop(&mut script, ShutdownCause::AdministrativeShutdown, &"é".repeat(200))).unwrap();
    assert_eq!((data[0], data.len()), (254, 255));
    assert_eq!(std::str::from_utf8(&data[1..]).unwrap(), "é".repeat(127));
}

/// A session for which graceful restart was agreed on.
fn graceful() -> Script {
    let open = open_body(&[MP_IPV4, MP_IPV6, AS4, GRACEFUL]);
    Script::established(PeerSettings { graceful_restart_s: 30, ..settings() }, &open).0
}

#[test]
fn rfc8538_what_ends_on_purpose_keeps_no_routes() {
    let actions = stop(&mut graceful(), ShutdownCause::AdministrativeShutdown, "x");
    assert_eq!(notification(&actions), Some((6, 9, vec![6, 2, 1, b'x'])));
    let actions = stop(&mut graceful(), ShutdownCause::PeerDeconfigured, "");
    assert_eq!(notification(&actions), Some((6, 9, vec![6, 3])));
    let actions = graceful().handle(Event::BfdDown);
    assert_eq!(notification(&actions), Some((6, 9, vec![6, 10])));
}

#[test]
fn rfc4724_5_a_router_that_starts_again_takes_the_place_of_its_session() {
    let mut script = graceful();
    assert_eq!(script.connect(2, true), [], "OPEN is held back");
    assert_eq!(script.state(), PeerState::Established, "a connection alone ends nothing");
    let actions = script.hear(2, &message(1, &open_body(&[MP_IPV4, MP_IPV6, AS4, GRACEFUL])));
    assert!(matches!(actions[..2], [Action::Close(ConnectionId(1)), Action::LeftEstablished(_)]), "{actions:?}");
    assert_eq!(sent(&actions).iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [1, 4]);
    script.hear(2, &message(4, &[]));
    assert_eq!(script.state(), PeerState::Established);
}

#[test]
fn rfc9384_bfd_down() {
    let (mut script, _) = Script::established(settings(), &usual());
    let actions = script.handle(Event::BfdDown);
    assert_eq!(notification(&actions), Some((6, 10, vec![])));
    assert_eq!(script.problem(), "BFD lost the router");
    assert_eq!(script.handle(Event::BfdDown), []);
    assert_eq!(script.after(SECOND), [Action::Connect]);
}

#[test]
fn rfc9687_send_hold_timer() {
    let (mut script, _) = Script::established(settings(), &usual());
    assert_eq!(notification(&script.handle(Event::SendBlocked(ConnectionId(1)))), Some((8, 0, vec![])));
}

#[test]
fn rfc4271_6_8_collisions() {
    // The router's identifier is higher: what it opened stays, whichever OPEN is first.
    for order in [[1, 2], [2, 1]] {
        let mut script = Script::new(settings());
        script.connect(1, false);
        script.connect(2, true);
        script.hear(order[0], &message(1, &usual()));
        let actions = script.hear(order[1], &message(1, &usual()));
        assert_eq!(notification(&actions), Some((6, 7, vec![])), "{order:?}");
        assert!(actions.contains(&Action::Close(ConnectionId(1))), "{order:?}: {actions:?}");
        script.hear(2, &message(4, &[]));
        assert_eq!(script.state(), PeerState::Established);
    }
    // This node's is higher.
    for order in [[1, 2], [2, 1]] {
        let mut script = Script::new(PeerSettings { router_id: [10, 0, 1, 0].into(), ..settings() });
        script.connect(1, false);
        script.connect(2, true);
        script.hear(order[0], &message(1, &usual()));
        let actions = script.hear(order[1], &message(1, &usual()));
        assert!(actions.contains(&Action::Close(ConnectionId(2))), "{order:?}: {actions:?}");
    }
    // RFC 6286 §2.3: the same; the higher AS, this node's, decides.
    let mut script = Script::new(PeerSettings { router_id: [10, 0, 0, 254].into(), ..settings() });
    script.connect(1, false);
    script.connect(2, true);
    script.hear(1, &message(1, &usual()));
    assert!(script.hear(2, &message(1, &usual())).contains(&Action::Close(ConnectionId(2))));
    // An established session stays.
    let (mut script, _) = Script::established(settings(), &usual());
    script.connect(2, true);
    let actions = script.hear(2, &message(1, &usual()));
    assert_eq!((notification(&actions), script.state()), (Some((6, 7, vec![])), PeerState::Established));
}

#[test]
fn a_connection_that_the_router_replaces_is_forgotten() {
    let mut script = Script::new(settings());
    script.connect(1, true);
    let actions = script.connect(2, true);
    assert!(actions.contains(&Action::Close(ConnectionId(1))));
    script.hear(2, &message(1, &usual()));
    script.hear(2, &message(4, &[]));
    assert_eq!(script.state(), PeerState::Established);
}

#[test]
fn rfc4271_8_1_1_waits_grow_with_errors_up_to_a_bound() {
    let mut script = Script::new(settings());
    let wrong_as = open_body(&[MP_IPV4, &[65, 4, 0, 0, 0, 1]]);
    for (attempt, longest_s) in [1, 2, 4, 8, 16, 32, 60, 60, 60].into_iter().enumerate() {
        let id = u64::try_from(attempt).unwrap();
        script.connect(id, false);
        script.hear(id, &message(1, &wrong_as));
        assert_eq!(script.state(), PeerState::Idle);
        let wait = script.peer.next_deadline().unwrap() - script.now;
        let longest = Duration::from_secs(longest_s);
        assert!(wait > longest * 3 / 4 - SECOND / 100 && wait <= longest, "{wait:?} of {longest:?}");
        // From the third on the router's own attempts are refused as well.
        if attempt >= 2 {
            assert_eq!(notification(&script.connect(1000, true)), Some((6, 5, vec![])));
        }
        assert_eq!(script.after(wait), [Action::Connect]);
    }
    assert_eq!(script.problem(), "the router says it is AS 1, the file says 64501");
}

#[test]
fn a_session_that_breaks_comes_back_soon() {
    let mut script = Script::new(settings());
    for id in 0..50 {
        script.connect(id, false);
        script.hear(id, &message(1, &usual()));
        script.hear(id, &message(4, &[]));
        assert_eq!(script.state(), PeerState::Established);
        script.handle(Event::Closed(ConnectionId(id), "connection reset".into()));
        assert_eq!(script.problem(), "the connection ended: connection reset");
        assert_eq!(script.after(SECOND), [Action::Connect]);
    }
    assert_eq!(script.peer.status().flaps, 50);
}

#[test]
fn a_router_that_resets_all_the_time_costs_one_connection_each() {
    let (mut script, _) = Script::established(settings(), &usual());
    script.connect(2, true);
    script.connect(3, true);
    script.connect(4, true);
    let actions = script.connect(5, true);
    assert!(actions.contains(&Action::Close(ConnectionId(4))));
    assert_eq!(script.state(), PeerState::Established);
}

/// Any event at any time.
fn random_event(random: &mut Random, ids: u64) -> Event {
    let id = ConnectionId(random.next() % (ids + 1));
    let bytes = random_message(random);
    let mut framer = crate::bgp::Framer::new();
    framer.push(&bytes);
    match random.below(16) {
        0 => Event::Start,
        1 => {
            Event::Stop(Shutdown { cause: ShutdownCause::AdministrativeReset, message: "é".repeat(random.below(300)) })
        }
        2 | 3 => Event::Connected {
            connection: ConnectionId(ids),
            incoming: random.one_in(2),
            local: "10.0.0.1:1".parse().unwrap(),
            remote: "10.0.0.254:2".parse().unwrap(),
            next_hops: NextHops::default(),
        },
        4 => Event::ConnectFailed("no".into()),
        5 => Event::Closed(id, "gone".into()),
        6 => Event::SendBlocked(id),
        7 => Event::BfdDown,
        8 => Event::BfdUp,
        9 if random.one_in(2) => Event::Adverts(adverts(&[])),
        9 => Event::Adverts(adverts(&[("192.0.2.0/24", &RouteAttributes::default())])),
        10 => Event::Tick,
        _ => framer.next().map_or(Event::Tick, |frame| Event::Received(id, frame)),
    }
}

fn random_message(random: &mut Random) -> Vec<u8> {
    let update = update(&[], &[ORIGIN, AS_PATH, &[0x40, 3, 4, 10, 0, 0, 254]], &[24, 192, 0, 2]);
    let mut bytes = match random.below(5) {
        0 | 1 => message(1, &usual()),
        2 => message(2, &update),
        3 => message(4, &[]),
        _ => message(5, &[0, 1, 0, 1]),
    };
    for _ in 0..random.below(3) {
        let index = 18 + random.below(bytes.len() - 18);
        bytes[index] = u8::try_from(random.below(256)).unwrap();
    }
    bytes
}

#[test]
fn any_events_in_any_order() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut script = Script::new(settings());
        let mut ids = 0;
        let mut closed = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let event = random_event(&mut random, ids);
            ids += u64::from(matches!(event, Event::Connected { .. }));
            script.now += Duration::from_millis(random.next() % 2000);
            let actions = script.handle(event);
            assert!(actions.len() < 64);
            for action in actions {
                match action {
                    Action::Send(id, bytes) => {
                        assert!(!closed.contains(&id), "seed {seed}: sent after the end");
                        assert!(bytes.len() <= 4096);
                    }
                    Action::Close(id) => assert!(closed.insert(id), "seed {seed}: closed twice"),
                    _ => {}
                }
            }
            let status = script.peer.status();
            let is_up = status.state == PeerState::Established;
            assert!(is_up || status.received.kept == 0 && status.prefixes_announced == 0, "seed {seed}");
        }
    }
}

#[test]
fn notifications_are_whole_messages() {
    let notification = Notification::new((2, 2), vec![7; 5000]);
    assert!(notification.encode().len() <= 4096);
}
