//! Malformed messages of every kind end as RFC 4271 and RFC 7606 say: with this NOTIFICATION, or with a session that goes
//! on. They never end the daemon, nor another router's session.

use std::net::Ipv4Addr;

use parapet_lab::scripted_router::message::{
    AS_PATH, EXTENDED_LENGTH, KEEPALIVE, NEXT_HOP, NOTIFICATION, OPEN, OPTIONAL, ORIGIN, Open, ROUTE_REFRESH,
    TRANSITIVE, UPDATE, as_path, attribute, keepalive, mandatory, message, message_with_length, prefix, update,
};
use serde_json::Value;

use crate::scene::{DEADLINE, count, wait_for_neighbour};
use crate::scripted_scene::{OWN_AS, ScriptedScene, scripted};

const NEXT: Ipv4Addr = Ipv4Addr::new(10, 11, 0, 1);
/// Other path attribute type codes.
const MULTI_EXIT_DISC: u8 = 4;
const LOCAL_PREF: u8 = 5;
const ATOMIC_AGGREGATE: u8 = 6;
const AGGREGATOR: u8 = 7;
const COMMUNITIES: u8 = 8;
const ORIGINATOR_ID: u8 = 9;
const CLUSTER_LIST: u8 = 10;
const MP_REACH_NLRI: u8 = 14;
const MP_UNREACH_NLRI: u8 = 15;
const EXTENDED_COMMUNITIES: u8 = 16;
const LARGE_COMMUNITY: u8 = 32;

/// What is wrong, what is sent, and the codes that may answer it.
type Fatal = (&'static str, Vec<u8>, &'static [(u8, u8)]);

fn a_prefix() -> Vec<u8> {
    prefix([203, 0, 113, 0].into(), 24)
}

fn right() -> Vec<u8> {
    mandatory(&[OWN_AS], NEXT)
}

/// Instead of an OPEN.
fn opens() -> Vec<Fatal> {
    let open = Open::new(OWN_AS, [10, 0, 0, 1].into());
    let of = |change: &dyn Fn(&mut Open)| {
        let mut changed = open.clone();
        change(&mut changed);
        changed.to_bytes()
    };
    vec![
        ("another protocol", b"GET / HTTP/1.1\r\nHost: edge\r\n\r\n".to_vec(), &[(1, 1)]),
        ("a length of 0", message_with_length(OPEN, &[], 0), &[(1, 2)]),
        ("an OPEN without its fields", message(OPEN, &[4, 0, 1]), &[(1, 2)]),
        ("version 3", of(&|open| open.version = 3), &[(2, 1)]),
        ("another AS", of(&|open| open.local_as = 64999), &[(2, 2)]),
        ("AS 0", of(&|open| open.local_as = 0), &[(2, 2)]),
        ("identifier 0.0.0.0", of(&|open| open.router_id = Ipv4Addr::UNSPECIFIED), &[(2, 3)]),
        ("hold time 1", of(&|open| open.hold_time_s = 1), &[(2, 6)]),
        ("hold time 2", of(&|open| open.hold_time_s = 2), &[(2, 6)]),
        ("an unknown parameter", open.with_parameters(&[9, 1, 0]), &[(2, 4)]),
        ("a parameter that is cut off", open.with_parameters(&[2, 200, 1]), &[(2, 0)]),
        ("a capability that is cut off", open.with_parameters(&[2, 3, 1, 4, 0]), &[(2, 0)]),
        ("a KEEPALIVE before the OPEN", keepalive(), &[(5, 1)]),
        ("an UPDATE right after the OPEN", [open.to_bytes(), update(&[], &right(), &a_prefix())].concat(), &[(5, 2)]),
        ("an UPDATE before the OPEN", update(&[], &right(), &a_prefix()), &[(5, 1)]),
    ]
}

/// Within an established session.
fn messages() -> Vec<Fatal> {
    let mut marker = keepalive();
    marker[3] = 0;
    let reach = |value: &[u8]| update(&[], &[right(), attribute(OPTIONAL, MP_REACH_NLRI, value)].concat(), &[]);
    let twice = [attribute(OPTIONAL, MP_UNREACH_NLRI, &[0, 2, 1]), attribute(OPTIONAL, MP_UNREACH_NLRI, &[0, 2, 1])];
    vec![
        ("a marker with a hole", marker, &[(1, 1)]),
        ("a length below the header's", message_with_length(KEEPALIVE, &[], 18), &[(1, 2)]),
        ("a length above the largest", message_with_length(UPDATE, &[0; 64], 4097), &[(1, 2)]),
        ("the largest length of all", message_with_length(UPDATE, &[0; 64], u16::MAX), &[(1, 2)]),
        ("a KEEPALIVE with something in it", message(KEEPALIVE, &[0]), &[(1, 2)]),
        ("an UPDATE that is too short", message(UPDATE, &[0, 0, 0]), &[(1, 2)]),
        ("a ROUTE-REFRESH that is too short", message(ROUTE_REFRESH, &[0, 1, 0]), &[(1, 2), (7, 1)]),
        ("type 0", message(0, &[]), &[(1, 3)]),
        ("type 99", message(99, &[1, 2, 3]), &[(1, 3)]),
        ("another OPEN", Open::new(OWN_AS, [10, 0, 0, 1].into()).to_bytes(), &[(5, 3)]),
        ("withdrawn routes beyond the end", message(UPDATE, &[0, 200, 24, 10, 0, 0, 0, 0]), &[(3, 1)]),
        ("attributes beyond the end", message(UPDATE, &[0, 0, 0, 200, 0x40, 1, 1, 0]), &[(3, 1)]),
        ("a prefix of 33 bits", update(&[], &right(), &[33, 10, 0, 0, 0, 0]), &[(3, 10)]),
        ("a prefix that is cut off", update(&[], &right(), &[24, 10, 0]), &[(3, 10)]),
        ("a withdrawn prefix of 33 bits", update(&[33, 10, 0, 0, 0, 0], &[], &[]), &[(3, 10), (3, 1)]),
        (
            "a well-known attribute that is not",
            update(&[], &[right(), attribute(TRANSITIVE, 200, &[1])].concat(), &a_prefix()),
            &[(3, 2)],
        ),
        (
            "IPv6 with a next hop of 5 octets",
            reach(&[0, 2, 1, 5, 1, 2, 3, 4, 5, 0, 32, 0x20, 1, 0xd, 0xb8]),
            &[(3, 9), (3, 1)],
        ),
        (
            "IPv6 with a prefix of 129 bits",
            reach(&[&[0, 2, 1, 16][..], &[0xfd; 16], &[0, 129], &[0xfd; 17]].concat()),
            &[(3, 9), (3, 10), (3, 1)],
        ),
        ("MP_REACH_NLRI that is cut off", reach(&[0, 2, 1]), &[(3, 9), (3, 1)]),
        (
            "MP_UNREACH_NLRI that is cut off",
            update(&[], &attribute(OPTIONAL, MP_UNREACH_NLRI, &[0, 2]), &[]),
            &[(3, 9), (3, 1)],
        ),
        ("MP_UNREACH_NLRI twice", update(&[], &twice.concat(), &[]), &[(3, 1)]),
    ]
}

/// What becomes of an UPDATE whose attributes are wrong, but not its prefixes (RFC 7606).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// Its prefixes are taken as withdrawn.
    TreatedAsWithdraw,
    /// The attribute counts as not there.
    AttributeDiscarded,
    /// It is right after all.
    Right,
}

fn updates() -> Vec<(&'static str, Vec<u8>, Kept)> {
    use Kept::{AttributeDiscarded, Right, TreatedAsWithdraw};
    let origin = attribute(TRANSITIVE, ORIGIN, &[0]);
    let path = as_path(&[OWN_AS]);
    let hop = attribute(TRANSITIVE, NEXT_HOP, &NEXT.octets());
    let of = |attributes: &[&[u8]]| update(&[], &attributes.concat(), &a_prefix());
    let and = |flags: u8, code: u8, value: &[u8]| of(&[&right(), &attribute(flags, code, value)]);
    let optional = OPTIONAL | TRANSITIVE;
    vec![
        ("nothing wrong", of(&[&right()]), Right),
        ("an unknown optional attribute", and(optional, 200, &[1, 2, 3]), Right),
        ("attributes in another order", of(&[&hop, &path, &origin]), Right),
        ("ORIGIN of 3", of(&[&attribute(TRANSITIVE, ORIGIN, &[3]), &path, &hop]), TreatedAsWithdraw),
        ("ORIGIN of two octets", of(&[&attribute(TRANSITIVE, ORIGIN, &[0, 0]), &path, &hop]), TreatedAsWithdraw),
        (
            "ORIGIN that calls itself optional",
            of(&[&attribute(optional, ORIGIN, &[0]), &path, &hop]),
            TreatedAsWithdraw,
        ),
        ("no ORIGIN", of(&[&path, &hop]), TreatedAsWithdraw),
        ("no AS_PATH", of(&[&origin, &hop]), TreatedAsWithdraw),
        ("no NEXT_HOP", of(&[&origin, &path]), TreatedAsWithdraw),
        (
            "a segment of type 9",
            of(&[&origin, &attribute(TRANSITIVE, AS_PATH, &[9, 1, 0, 0, 0, 1]), &hop]),
            TreatedAsWithdraw,
        ),
        (
            "a segment that is cut off",
            of(&[&origin, &attribute(TRANSITIVE, AS_PATH, &[2, 9, 0, 0, 0, 1]), &hop]),
            TreatedAsWithdraw,
        ),
        ("a segment of no AS", of(&[&origin, &attribute(TRANSITIVE, AS_PATH, &[2, 0]), &hop]), TreatedAsWithdraw),
        (
            "NEXT_HOP of 5 octets",
            of(&[&origin, &path, &attribute(TRANSITIVE, NEXT_HOP, &[10, 0, 0, 1, 1])]),
            TreatedAsWithdraw,
        ),
        ("MULTI_EXIT_DISC of 3 octets", and(OPTIONAL, MULTI_EXIT_DISC, &[0, 0, 1]), TreatedAsWithdraw),
        ("COMMUNITIES of 5 octets", and(optional, COMMUNITIES, &[0; 5]), TreatedAsWithdraw),
        ("extended communities of 7 octets", and(optional, EXTENDED_COMMUNITIES, &[0; 7]), TreatedAsWithdraw),
        ("large communities of 11 octets", and(optional, LARGE_COMMUNITY, &[0; 11]), TreatedAsWithdraw),
        (
            "an attribute that ends after the attributes do",
            of(&[&right(), &[OPTIONAL, MULTI_EXIT_DISC, 40, 0]]),
            TreatedAsWithdraw,
        ),
        ("an attribute of two octets", of(&[&right(), &[OPTIONAL, MULTI_EXIT_DISC]]), TreatedAsWithdraw),
        (
            "a long length that is cut off",
            of(&[&right(), &[optional | EXTENDED_LENGTH, COMMUNITIES, 0]]),
            TreatedAsWithdraw,
        ),
        ("LOCAL_PREF from outside", and(TRANSITIVE, LOCAL_PREF, &[0, 0, 0, 100]), AttributeDiscarded),
        ("ATOMIC_AGGREGATE with something in it", and(TRANSITIVE, ATOMIC_AGGREGATE, &[1]), AttributeDiscarded),
        ("AGGREGATOR of 7 octets", and(optional, AGGREGATOR, &[0; 7]), AttributeDiscarded),
        ("ORIGINATOR_ID from outside", and(OPTIONAL, ORIGINATOR_ID, &[10, 0, 0, 1]), AttributeDiscarded),
        ("CLUSTER_LIST from outside", and(OPTIONAL, CLUSTER_LIST, &[10, 0, 0, 1]), AttributeDiscarded),
        ("nothing wrong again", of(&[&right()]), Right),
    ]
}

#[test]
fn openings_that_cannot_go_on_are_told_why() {
    let cases = opens();
    let scene = ScriptedScene::new("openings", u8::try_from(cases.len()).expect("some dozens"));
    for (number, (what, bytes, expected)) in (0..).zip(cases) {
        let mut session = scene.routers[usize::from(number)].accept(DEADLINE).expect("a connection");
        // The other side may have closed by then.
        let _ = session.send(&bytes);
        check(what, session.notification(DEADLINE), expected);
        check_shown(&scene, number, what, expected);
    }
    scene.check_others();
}

#[test]
fn messages_that_cannot_go_on_are_told_why() {
    let cases = messages();
    let count = u8::try_from(cases.len()).expect("some dozens");
    let scene = ScriptedScene::new("messages", count + 1);
    for (number, (what, bytes, expected)) in (0..).zip(cases) {
        let mut session = scene.establish(number);
        let _ = session.send(&bytes);
        check(what, session.notification(DEADLINE), expected);
        check_shown(&scene, number, what, expected);
    }
    // A NOTIFICATION is not answered, however wrong it is.
    let mut session = scene.establish(count);
    session.send(&message(NOTIFICATION, &[6, 99, 250, 1])).expect("sending");
    assert_eq!(session.notification(DEADLINE).expect("the end"), None);
    scene.check_others();
}

fn check_shown(scene: &ScriptedScene, number: u8, what: &str, expected: &[(u8, u8)]) {
    let shown = wait_for_neighbour(&scene.edge, &scripted(number), what, |neighbour| {
        let last = &neighbour["last_notification"];
        expected.iter().any(|(code, subcode)| last["code"] == *code && last["subcode"] == *subcode)
    });
    assert_eq!(shown["last_notification"]["sent"], true, "{what}: {shown:#}");
    assert!(shown["problem"].is_string(), "{what}: {shown:#}");
}

fn check(
    what: &str,
    found: Result<Option<parapet_lab::scripted_router::Notification>, parapet_lab::LabError>,
    expected: &[(u8, u8)],
) {
    let found = found.unwrap_or_else(|error| panic!("{what}: {error}"));
    let codes = found.as_ref().map(|found| (found.code, found.subcode));
    assert!(codes.is_some_and(|codes| expected.contains(&codes)), "{what}: {expected:?}, not {found:?}");
}

#[test]
fn wrong_attributes_cost_the_route_and_not_the_session() {
    let scene = ScriptedScene::new("kept", 1);
    let mut session = scene.establish(0);
    let mut counts = [0; 3];
    for (what, bytes, kept) in updates() {
        session.send(&bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
        counts[0] += 1;
        counts[1] += u64::from(kept == Kept::TreatedAsWithdraw);
        counts[2] += u64::from(kept == Kept::AttributeDiscarded);
        let received = |neighbour: &Value| {
            let of = |field: &str| count(&neighbour["received"][field]);
            [of("updates"), of("treated_as_withdraw"), of("attributes_discarded")]
        };
        let shown =
            wait_for_neighbour(&scene.edge, &scripted(0), what, |neighbour| received(neighbour)[0] >= counts[0]);
        assert_eq!(received(&shown), counts, "{what}: {shown:#}");
        assert_eq!(shown["state"], "established", "{what}: {shown:#}");
        // Treated as withdrawn, the prefix is not there any more.
        let there = u64::from(kept != Kept::TreatedAsWithdraw);
        assert_eq!(count(&shown["received"]["kept"]), there, "{what}: {shown:#}");
    }
    scene.check_others();
}
