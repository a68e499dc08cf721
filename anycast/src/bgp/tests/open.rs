//! Headers and OPEN messages: RFC 4271 §6.1 and §6.2 and what extends them, each error by its bytes.

use super::support::{
    AS4, MP_IPV4, MP_IPV6, Script, message, mirrored, notification, open_body, sent, settings, usual,
};
use crate::bgp::{Action, ConnectionId, PeerSettings, PeerState};

/// What the router is told of bytes that it sends instead of an OPEN, and what people are told.
fn check(settings: PeerSettings, bytes: &[u8], expected: (u8, u8, &[u8]), said: &str) {
    let mut script = Script::new(settings);
    script.connect(1, false);
    let actions = script.hear(1, bytes);
    let (code, subcode, data) =
        notification(&actions).unwrap_or_else(|| panic!("{said}: no NOTIFICATION: {actions:?}"));
    assert_eq!((code, subcode, data.as_slice()), expected, "{said}");
    assert!(actions.contains(&Action::Close(ConnectionId(1))), "{said}");
    assert!(actions.contains(&Action::Problem(script.problem())), "{said}: {actions:?}");
    assert!(script.problem().contains(said), "{said}: {}", script.problem());
    assert_ne!(script.state(), PeerState::OpenSent);
    let status = script.peer.status().last_notification.unwrap();
    assert!(status.sent && status.notification.code == code && status.notification.subcode == subcode);
}

#[test]
fn rfc4271_6_1_message_header() {
    let mut marker = message(1, &usual());
    marker[7] = 0xfe;
    check(settings(), &marker, (1, 1, &[]), "Connection Not Synchronized");
    check(settings(), b"GET / HTTP/1.1", (1, 1, &[]), "Connection Not Synchronized");
    for length in [0, 18, 4097, 0xffff_u16] {
        let mut bytes = message(1, &usual());
        bytes[16..18].copy_from_slice(&length.to_be_bytes());
        check(settings(), &bytes, (1, 2, &length.to_be_bytes()), "Bad Message Length");
    }
    check(settings(), &message(1, &[4; 9]), (1, 2, &[0, 28]), "Bad Message Length");
    check(settings(), &message(2, &[0; 3]), (1, 2, &[0, 22]), "Bad Message Length");
    check(settings(), &message(3, &[6]), (1, 2, &[0, 20]), "Bad Message Length");
    check(settings(), &message(4, &[0]), (1, 2, &[0, 20]), "Bad Message Length");
    check(settings(), &message(0, &[]), (1, 3, &[0]), "Bad Message Type");
    check(settings(), &message(6, &[]), (1, 3, &[6]), "Bad Message Type");
    check(settings(), &message(255, &[]), (1, 3, &[255]), "Bad Message Type");
}

fn changed(index: usize, octets: &[u8]) -> Vec<u8> {
    let mut body = usual();
    body[index..index + octets.len()].copy_from_slice(octets);
    message(1, &body)
}

#[test]
fn rfc4271_6_2_open_message() {
    check(settings(), &changed(0, &[3]), (2, 1, &[0, 4]), "speaks BGP version 3");
    let other_as = open_body(&[MP_IPV4, &[65, 4, 0, 0, 0xfd, 0xe7]]);
    let said = "the router says it is AS 64999, the file says 64501";
    check(settings(), &message(1, &other_as), (2, 2, &[0, 0, 0xfd, 0xe7]), said);
    let mut two_octets = open_body(&[MP_IPV4]);
    two_octets[1..3].copy_from_slice(&64999_u16.to_be_bytes());
    check(settings(), &message(1, &two_octets), (2, 2, &[0, 0, 0xfd, 0xe7]), said);
    check(settings(), &changed(5, &[0, 0, 0, 0]), (2, 3, &[0, 0, 0, 0]), "BGP identifier 0.0.0.0");
    check(settings(), &changed(3, &[0, 1]), (2, 6, &[0, 1]), "hold time of 1 s");
    check(settings(), &changed(3, &[0, 2]), (2, 6, &[0, 2]), "hold time of 2 s");
    let authentication = [&usual()[..9], &[4, 1, 2, 0, 0]].concat();
    check(settings(), &message(1, &authentication), (2, 4, &[1]), "optional parameter of type 1");
}

#[test]
fn rfc4271_6_2_lengths_within_an_open() {
    let said = "malformed";
    check(settings(), &changed(9, &[0]), (2, 0, &[]), said);
    check(settings(), &changed(9, &[255]), (2, 0, &[]), said);
    check(settings(), &changed(11, &[200]), (2, 0, &[]), said);
    check(settings(), &changed(13, &[5]), (2, 0, &[]), said);
    let longer = [&usual()[..], &[0]].concat();
    check(settings(), &message(1, &longer), (2, 0, &[]), said);
}

#[test]
fn rfc5492_4_no_family_in_common() {
    let only_ipv6 = PeerSettings { ipv4: false, ..settings() };
    let said = "it speaks no family that is configured: ipv6";
    check(only_ipv6.clone(), &message(1, &open_body(&[MP_IPV4, AS4])), (2, 7, MP_IPV6), said);
    // Who names no family speaks IPv4 (RFC 4760 §8).
    check(only_ipv6, &message(1, &open_body(&[AS4])), (2, 7, MP_IPV6), said);
    // A family that is not known here, alone: AFI 25, SAFI 65 (VPLS).
    let unknown = open_body(&[&[1, 4, 0, 25, 0, 65], AS4]);
    let both = [MP_IPV4, MP_IPV6].concat();
    check(settings(), &message(1, &unknown), (2, 7, &both), "it speaks no family that is configured: ipv4, ipv6");
}

#[test]
fn rfc6286_2_2_an_identifier_twice_within_an_as() {
    let internal = PeerSettings { remote_as: 65010, ..settings() };
    let open = [&[4, 0xfd, 0xf2, 0, 90, 10, 0, 0, 1][..], &[8, 2, 6], &[65, 4, 0, 0, 0xfd, 0xf2]].concat();
    check(internal, &message(1, &open), (2, 3, &[10, 0, 0, 1]), "BGP identifier 10.0.0.1");
    // Between autonomous systems it is allowed.
    let external = PeerSettings { router_id: [10, 0, 0, 254].into(), ..settings() };
    Script::established(external, &usual());
}

#[test]
fn rfc5492_3_what_is_not_understood_is_ignored() {
    let capabilities: &[&[u8]] = &[
        &[1, 4, 0, 25, 0, 65],        // a family that nobody here knows, before those that are
        &[1, 4, 0x99, 0x99, 0, 0x99], // one that nobody at all knows
        &[1, 2, 0, 1],                // too short
        MP_IPV4,
        &[8, 8, 0, 1, 0, 1, 0, 2, 0, 1], // multiple labels
        &[73, 4, 2, b'r', b'1', 0],      // a host name
        &[69, 4, 0, 1, 1, 3],            // paths of its own
        &[6, 0],                         // longer messages
        &[200, 3, 1, 2, 3],
        MP_IPV6,
        AS4,
    ];
    let (script, _) = Script::established(settings(), &open_body(capabilities));
    let status = script.peer.status();
    assert_eq!(status.families, ["ipv4", "ipv6"]);
    assert_eq!(status.capabilities, ["4-byte-as"]);
    assert_eq!(status.hold_time_s, Some(9));
}

#[test]
fn rfc5492_4_capabilities_spread_over_parameters() {
    let spread = [&usual()[..9], &[14, 2, 6], MP_IPV6, &[2, 4], &[2, 0, 70, 0]].concat();
    let (script, _) = Script::established(settings(), &spread);
    assert_eq!(script.peer.status().families, ["ipv6"]);
    assert_eq!(script.peer.status().capabilities, ["route-refresh", "enhanced-route-refresh"]);
}

#[test]
fn rfc9072_extended_lengths() {
    let long = [&[200, 250][..], &[0; 250], MP_IPV6, AS4].concat();
    let length = u16::try_from(long.len()).unwrap();
    let parameters = [&[2][..], &length.to_be_bytes(), &long].concat();
    let total = u16::try_from(parameters.len()).unwrap().to_be_bytes();
    let extended = [&usual()[..9], &[255, 255], &total, &parameters].concat();
    let (script, _) = Script::established(settings(), &extended);
    assert_eq!(script.peer.status().families, ["ipv6"]);
    let mut wrong = extended;
    wrong[12] ^= 1;
    check(settings(), &message(1, &wrong), (2, 0, &[]), "malformed");
}

#[test]
fn what_is_offered() {
    let first = |settings| {
        let mut script = Script::new(settings);
        sent(&script.connect(1, false)).remove(0)
    };
    let (kind, body) = first(settings());
    assert_eq!(kind, 1);
    let capabilities = [MP_IPV4, MP_IPV6, &[2, 0], &[65, 4, 0, 0, 0xfd, 0xf2], &[70, 0]].concat();
    assert_eq!(body, [&[4, 0xfd, 0xf2, 0, 9, 10, 0, 0, 1, 24, 2, 22][..], &capabilities].concat());

    let all = PeerSettings { extended_next_hop: true, graceful_restart_s: 30, local_as: 4_200_000_000, ..settings() };
    let (_, body) = first(all);
    assert_eq!(body[1..3], 23456_u16.to_be_bytes(), "AS_TRANS (RFC 6793 §4.2.2)");
    let graceful = [64, 10, 0xc0, 30, 0, 1, 1, 0x80, 0, 2, 1, 0x80];
    let four_octets = [&[65, 4][..], &4_200_000_000_u32.to_be_bytes()].concat();
    let capabilities =
        [MP_IPV4, MP_IPV6, &[2, 0], &[5, 6, 0, 1, 0, 1, 0, 2], &graceful, &four_octets, &[70, 0]].concat();
    assert_eq!(body[12..], capabilities);

    let (_, body) = first(PeerSettings { ipv4: false, ..mirrored() });
    assert_eq!(body[12..18], *MP_IPV6);
}

#[test]
fn rfc4271_4_2_hold_times() {
    for (offered, expected) in [(0_u16, 0), (3, 3), (8, 8), (9, 9), (90, 9), (65535, 9)] {
        let mut body = usual();
        body[3..5].copy_from_slice(&offered.to_be_bytes());
        let (script, _) = Script::established(settings(), &body);
        assert_eq!(script.peer.status().hold_time_s, Some(expected), "{offered}");
        assert_eq!(script.peer.next_deadline().is_none(), expected == 0, "without a hold time nothing is ever due");
    }
}
