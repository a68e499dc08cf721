//! UPDATE messages: RFC 4271 §6.3 and RFC 7606 by their sections, each error by its bytes.

use super::support::{
    AS4, EXTENDED_NEXT_HOP, MP_IPV4, MP_IPV6, Script, message, notification, open_body, settings, usual,
};
use crate::bgp::{PeerSettings, PeerState, ReceivedRoute};

pub(super) const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
/// AS 64501 in four octets.
pub(super) const AS_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfb, 0xf5];
const NEXT_HOP: &[u8] = &[0x40, 3, 4, 10, 0, 0, 254];
const LOCAL_PREF: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
/// 192.0.2.0/24.
const NLRI: &[u8] = &[24, 192, 0, 2];
/// 198.51.100.0/24.
const OTHER: &[u8] = &[24, 198, 51, 100];
/// 2001:db8::/32 by way of 2001:db8::fe.
const MP_REACH: &[u8] =
    &[0x80, 14, 26, 0, 2, 1, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0, 32, 0x20, 1, 0xd, 0xb8];
const MP_UNREACH: &[u8] = &[0x80, 15, 8, 0, 2, 1, 32, 0x20, 1, 0xd, 0xb8];

/// The body of an UPDATE.
pub(super) fn update(withdrawn: &[u8], attributes: &[&[u8]], nlri: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&length(withdrawn), withdrawn, &length(&attributes), &attributes, nlri].concat()
}

/// What becomes of an UPDATE, where 192.0.2.0/24 and 2001:db8::/32 were announced before.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The routes are there, and so many attributes were left out.
    Taken { discarded: u64 },
    /// The routes are gone.
    Withdrawn,
    /// The session is gone, with this code, subcode and data.
    Reset(u8, u8, Vec<u8>),
}

fn outcome(settings: PeerSettings, open: &[u8], body: &[u8]) -> Outcome {
    let is_internal = settings.local_as == settings.remote_as;
    let (mut script, _) = Script::established(settings, open);
    let local_pref = if is_internal { LOCAL_PREF } else { &[] };
    let before = [
        update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, local_pref], &[NLRI, OTHER].concat()),
        update(&[], &[MP_REACH, ORIGIN, AS_PATH, local_pref], &[]),
    ];
    for body in before {
        assert_eq!(script.hear(1, &message(2, &body)), []);
    }
    let counted = script.peer.status().received;
    assert_eq!((counted.announced, counted.kept), (3, 3));
    let actions = script.hear(1, &message(2, body));
    if let Some((code, subcode, data)) = notification(&actions) {
        assert_ne!(script.state(), PeerState::Established);
        assert_eq!(script.peer.status().received.kept, 0, "routes go with the session");
        return Outcome::Reset(code, subcode, data);
    }
    assert_eq!(script.state(), PeerState::Established);
    let counted = script.peer.status().received;
    if counted.treated_as_withdraw > 0 {
        assert_eq!(counted.kept, 2, "the routes of the malformed message are gone");
        return Outcome::Withdrawn;
    }
    Outcome::Taken { discarded: counted.attributes_discarded }
}

/// One attribute in an UPDATE that is otherwise in order.
fn check(attribute: &[u8], expected: &Outcome) {
    let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, attribute], NLRI);
    assert_eq!(outcome(settings(), &usual(), &body), *expected, "{attribute:02x?}");
}

/// The same instead of the attribute of that type.
fn check_instead(attribute: &[u8], expected: &Outcome) {
    let others = [ORIGIN, AS_PATH, NEXT_HOP].into_iter().filter(|other| other[1] != attribute[1]);
    let attributes: Vec<_> = others.chain([attribute]).collect();
    assert_eq!(outcome(settings(), &usual(), &update(&[], &attributes, NLRI)), *expected, "{attribute:02x?}");
}

const TAKEN: Outcome = Outcome::Taken { discarded: 0 };
const DISCARDED: Outcome = Outcome::Taken { discarded: 1 };

#[test]
fn rfc7606_3_c_attribute_flags() {
    for (attribute, expected) in [
        (&[0xc0, 1, 1, 0][..], Outcome::Withdrawn),
        (&[0x00, 1, 1, 0], Outcome::Withdrawn),
        (&[0x80, 1, 1, 0], Outcome::Withdrawn),
        // Partial and the unused bits are of no account.
        (&[0x6f, 1, 1, 0], TAKEN),
        (&[0x50, 1, 0, 1, 0], TAKEN),
    ] {
        check_instead(attribute, &expected);
    }
    check(&[0xc0, 4, 4, 0, 0, 0, 1], &Outcome::Withdrawn);
    check(&[0x80, 6, 0], &Outcome::Withdrawn);
    check(&[0x80, 8, 4, 0, 0, 0, 1], &Outcome::Withdrawn);
    let mut reach = MP_REACH.to_vec();
    reach[0] = 0xc0;
    let body = update(&[], &[&reach, ORIGIN, AS_PATH], &[]);
    assert_eq!(outcome(settings(), &usual(), &body), Outcome::Withdrawn, "the prefixes in it are found all the same");
}

#[test]
fn rfc7606_3_d_missing_mandatory_attributes() {
    for missing in 0..3 {
        let all = [ORIGIN, AS_PATH, NEXT_HOP];
        let attributes: Vec<_> = all.into_iter().enumerate().filter(|(index, _)| *index != missing).collect();
        let attributes: Vec<_> = attributes.into_iter().map(|(_, attribute)| attribute).collect();
        let body = update(&[], &attributes, NLRI);
        assert_eq!(outcome(settings(), &usual(), &body), Outcome::Withdrawn, "without {missing}");
    }
    // The next hop of multiprotocol routes stands elsewhere.
    assert_eq!(outcome(settings(), &usual(), &update(&[], &[MP_REACH, ORIGIN, AS_PATH], &[])), TAKEN);
    assert_eq!(outcome(settings(), &usual(), &update(&[], &[MP_REACH, ORIGIN], &[])), Outcome::Withdrawn);
    let (internal, open) = internal();
    assert_eq!(outcome(internal.clone(), &open, &update(&[], &[ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF], NLRI)), TAKEN);
    assert_eq!(outcome(internal, &open, &update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], NLRI)), Outcome::Withdrawn);
}

/// A neighbour in the same autonomous system, and its OPEN.
fn internal() -> (PeerSettings, Vec<u8>) {
    let mut open = open_body(&[MP_IPV4, MP_IPV6, &[65, 4, 0, 0, 0xfd, 0xf2]]);
    open[1..3].copy_from_slice(&65010_u16.to_be_bytes());
    (PeerSettings { remote_as: 65010, ..settings() }, open)
}

#[test]
fn rfc7606_3_g_attributes_twice() {
    check(ORIGIN, &DISCARDED);
    check(&[0x40, 1, 1, 99], &DISCARDED);
    check(NEXT_HOP, &DISCARDED);
    let twice = update(&[], &[MP_REACH, MP_REACH, ORIGIN, AS_PATH], &[]);
    assert_eq!(outcome(settings(), &usual(), &twice), Outcome::Reset(3, 1, vec![]));
    let twice = update(&[], &[MP_UNREACH, MP_UNREACH], &[]);
    assert_eq!(outcome(settings(), &usual(), &twice), Outcome::Reset(3, 1, vec![]));
}

#[test]
fn rfc7606_3_h_the_strongest_approach_wins() {
    // A malformed AGGREGATOR, then a malformed ORIGIN, then a malformed MP_REACH_NLRI.
    let aggregator: &[u8] = &[0xc0, 7, 1, 0];
    let body = update(&[], &[aggregator, AS_PATH, NEXT_HOP, &[0x40, 1, 1, 3]], NLRI);
    assert_eq!(outcome(settings(), &usual(), &body), Outcome::Withdrawn);
    let reach: &[u8] = &[0x80, 14, 4, 0, 2, 1, 0];
    let body = update(&[], &[aggregator, AS_PATH, NEXT_HOP, &[0x40, 1, 1, 3], reach], NLRI);
    assert_eq!(outcome(settings(), &usual(), &body), Outcome::Reset(3, 9, reach.to_vec()));
}

#[test]
fn rfc7606_4_attribute_lengths() {
    // The last attribute is longer than what is left of them; the prefixes are found by the total length.
    for tail in [&[0x80, 4, 5, 0, 0, 0, 1][..], &[0x80], &[0x80, 4], &[0x90, 4, 0], &[0xd0, 8, 0xff, 0xff, 0]] {
        check(tail, &Outcome::Withdrawn);
    }
    // The fields themselves do not fit the message.
    for body in
        [&[0, 5, 0, 0][..], &[0, 0, 0, 1], &[0xff, 0xff, 0, 0], &[0, 1, 0, 0], &[0, 0, 0xff, 0xff, 24, 192, 0, 2]]
    {
        let expected = Outcome::Reset(3, 1, vec![]);
        assert_eq!(outcome(settings(), &usual(), body), expected, "{body:02x?}");
    }
}

#[test]
fn rfc7606_5_2_errors_in_an_update_without_routes() {
    let origin: &[u8] = &[0x40, 1, 1, 7];
    let body = update(&[], &[origin, AS_PATH], &[]);
    assert_eq!(outcome(settings(), &usual(), &body), Outcome::Reset(3, 6, origin.to_vec()));
    let body = update(OTHER, &[AS_PATH, &[0x80, 4]], &[]);
    assert_eq!(outcome(settings(), &usual(), &body), Outcome::Reset(3, 1, vec![]));
    // An attribute that is merely left out ends nothing.
    let body = update(&[], &[ORIGIN, AS_PATH, &[0xc0, 7, 1, 0]], &[]);
    assert_eq!(outcome(settings(), &usual(), &body), DISCARDED);
    // Nor do attributes without routes.
    assert_eq!(outcome(settings(), &usual(), &update(&[], &[ORIGIN, AS_PATH], &[])), TAKEN);
}

#[test]
fn rfc7606_5_3_prefixes_that_cannot_be_told_apart() {
    for nlri in [&[33, 1, 2, 3, 4, 5][..], &[24, 192, 0], &[255], &[8]] {
        let body = update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], nlri);
        assert_eq!(outcome(settings(), &usual(), &body), Outcome::Reset(3, 10, vec![]), "{nlri:02x?}");
        let body = update(nlri, &[], &[]);
        assert_eq!(outcome(settings(), &usual(), &body), Outcome::Reset(3, 10, vec![]), "{nlri:02x?} withdrawn");
    }
    for nlri in [&[129][..], &[64, 0x20, 1]] {
        let length = u8::try_from(3 + nlri.len()).unwrap();
        let unreach = [&[0x80, 15, length, 0, 2, 1][..], nlri].concat();
        let expected = Outcome::Reset(3, 9, unreach.clone());
        assert_eq!(outcome(settings(), &usual(), &update(&[], &[&unreach], &[])), expected, "{nlri:02x?}");
        let value = [&MP_REACH[3..24], nlri].concat();
        let reach = [&[0x80, 14, u8::try_from(value.len()).unwrap()][..], &value].concat();
        let expected = Outcome::Reset(3, 9, reach.clone());
        assert_eq!(outcome(settings(), &usual(), &update(&[], &[&reach, ORIGIN, AS_PATH], &[])), expected);
    }
}

#[test]
fn rfc7606_7_attributes_one_by_one() {
    let withdrawn = Outcome::Withdrawn;
    for (attribute, expected) in [
        (&[0x40, 1, 0][..], &withdrawn), // §7.1 ORIGIN
        (&[0x40, 1, 2, 0, 0], &withdrawn),
        (&[0x40, 1, 1, 3], &withdrawn),
        (&[0x40, 1, 1, 2], &TAKEN),
        (&[0x40, 2, 0], &TAKEN), // §7.2 AS_PATH
        (&[0x40, 2, 1, 2], &withdrawn),
        (&[0x40, 2, 2, 2, 0], &withdrawn),
        (&[0x40, 2, 6, 5, 1, 0, 0, 0, 1], &withdrawn),
        (&[0x40, 2, 6, 0, 1, 0, 0, 0, 1], &withdrawn),
        (&[0x40, 2, 6, 2, 2, 0, 0, 0, 1], &withdrawn),
        (&[0x40, 2, 7, 2, 1, 0, 0, 0, 1, 2], &withdrawn),
        (&[0x40, 2, 6, 3, 1, 0, 0, 0, 1], &withdrawn), // RFC 5065 §5: a confederation's
        (&[0x40, 3, 0], &withdrawn),                   // §7.3 NEXT_HOP
        (&[0x40, 3, 3, 10, 0, 0], &withdrawn),
        (&[0x40, 3, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &withdrawn),
        (&[0x40, 3, 4, 0, 0, 0, 0], &withdrawn),
        (&[0x40, 3, 4, 224, 0, 0, 1], &withdrawn),
        (&[0x80, 4, 0], &withdrawn), // §7.4 MULTI_EXIT_DISC
        (&[0x80, 4, 3, 0, 0, 1], &withdrawn),
        (&[0x80, 4, 4, 0, 0, 0, 1], &TAKEN),
        (&[0x40, 5, 4, 0, 0, 0, 1], &DISCARDED), // §7.5 LOCAL_PREF from outside
        (&[0x40, 5, 1, 0], &DISCARDED),
        (&[0x40, 6, 0], &TAKEN), // §7.6 ATOMIC_AGGREGATE
        (&[0x40, 6, 1, 0], &DISCARDED),
        (&[0xc0, 7, 8, 0, 0, 0, 1, 10, 0, 0, 1], &TAKEN), // §7.7 AGGREGATOR
        (&[0xc0, 7, 6, 0, 1, 10, 0, 0, 1], &DISCARDED),
        (&[0xc0, 7, 0], &DISCARDED),
        (&[0xc0, 8, 4, 0xff, 0xff, 0, 0], &TAKEN), // §7.8 COMMUNITIES
        (&[0xc0, 8, 0], &withdrawn),
        (&[0xc0, 8, 5, 0, 0, 0, 0, 0], &withdrawn),
        (&[0x80, 9, 4, 0, 0, 0, 1], &DISCARDED), // §7.9 ORIGINATOR_ID from outside
        (&[0x80, 9, 0], &DISCARDED),
        (&[0x80, 10, 3, 0, 0, 1], &DISCARDED), // §7.10 CLUSTER_LIST from outside
        (&[0x80, 24, 0], &withdrawn),          // §7.13
        (&[0xc0, 16, 8, 0, 2, 0, 1, 0, 0, 0, 1], &TAKEN), // §7.14 extended communities
        (&[0xc0, 16, 8, 0x7f, 0x7f, 0, 1, 0, 0, 0, 1], &TAKEN),
        (&[0xc0, 16, 0], &withdrawn),
        (&[0xc0, 16, 7, 0, 2, 0, 1, 0, 0, 0], &withdrawn),
        (&[0xc0, 25, 19, 0, 2, 0, 1, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 2, 0, 1, 0], &withdrawn), // §7.15
        (&[0xc0, 128, 0], &withdrawn),                                                          // §7.16
        (&[0xc0, 17, 6, 2, 1, 0, 0, 0, 1], &DISCARDED), // RFC 6793 §6: from who has four octets
        (&[0xc0, 17, 1, 2], &DISCARDED),
        (&[0xc0, 18, 3, 0, 0, 0], &DISCARDED),
        (&[0xc0, 32, 12, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3], &TAKEN), // RFC 8092 §6
        (&[0xc0, 32, 0], &withdrawn),
        (&[0xc0, 32, 11, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], &withdrawn),
        (&[0xc0, 35, 3, 0, 0, 1], &withdrawn), // RFC 9234 §5
        (&[0x80, 26, 1, 1], &DISCARDED),       // RFC 7311 §3.2
        (&[0xc0, 40, 1, 1], &DISCARDED),       // RFC 8669 §6
        (&[0xc0, 99, 0], &TAKEN),              // nobody knows it: §3 says nothing, it is passed over
        (&[0x80, 99, 3, 1, 2, 3], &TAKEN),
    ] {
        check_instead(attribute, expected);
    }
    let well_known: &[u8] = &[0x40, 99, 1, 0];
    check(well_known, &Outcome::Reset(3, 2, well_known.to_vec())); // RFC 4271 §6.3
}

#[test]
fn rfc7606_7_5_attributes_within_an_as() {
    for (attribute, expected) in [
        (&[0x40, 5, 3, 0, 0, 1][..], Outcome::Withdrawn),
        (&[0x40, 5, 4, 0, 0, 0, 1], TAKEN),
        (&[0x80, 9, 4, 0, 0, 0, 1], TAKEN),
        (&[0x80, 9, 3, 0, 0, 1], Outcome::Withdrawn),
        (&[0x80, 10, 8, 0, 0, 0, 1, 0, 0, 0, 2], TAKEN),
        (&[0x80, 10, 7, 0, 0, 0, 1, 0, 0, 0], Outcome::Withdrawn),
        (&[0x80, 10, 0], Outcome::Withdrawn),
    ] {
        let (internal, open) = internal();
        let all = [ORIGIN, AS_PATH, NEXT_HOP, LOCAL_PREF].into_iter().filter(|other| other[1] != attribute[1]);
        let attributes: Vec<_> = all.chain([attribute]).collect();
        let body = update(&[], &attributes, NLRI);
        assert_eq!(outcome(internal, &open, &body), expected, "{attribute:02x?}");
    }
}

#[test]
fn rfc7606_7_11_next_hop_of_a_wrong_length() {
    for length in [0, 5, 15, 17, 24, 31] {
        let value = [&[0, 2, 1, length][..], &vec![1; length.into()], &[0, 32, 0x20, 1, 0xd, 0xb8]].concat();
        let reach = [&[0x80, 14, u8::try_from(value.len()).unwrap()][..], &value].concat();
        let body = update(&[], &[&reach, ORIGIN, AS_PATH], &[]);
        assert_eq!(outcome(settings(), &usual(), &body), Outcome::Reset(3, 9, reach.clone()), "{length}");
    }
    // One of the other family does not hide the prefixes; IPv4 routes over IPv6 only where both want it (RFC 8950).
    let value = [&[0, 2, 1, 4][..], &[10, 0, 0, 254], &[0, 32, 0x20, 1, 0xd, 0xb8]].concat();
    let reach = [&[0x80, 14, u8::try_from(value.len()).unwrap()][..], &value].concat();
    assert_eq!(outcome(settings(), &usual(), &update(&[], &[&reach, ORIGIN, AS_PATH], &[])), Outcome::Withdrawn);
    let value = [&[0, 1, 1, 16][..], &[0x20; 16], &[0, 24, 192, 0, 2]].concat();
    let reach = [&[0x80, 14, u8::try_from(value.len()).unwrap()][..], &value].concat();
    let body = update(&[], &[&reach, ORIGIN, AS_PATH], &[]);
    let open = open_body(&[MP_IPV4, MP_IPV6, EXTENDED_NEXT_HOP, AS4]);
    assert_eq!(outcome(settings(), &open, &body), Outcome::Withdrawn);
    assert_eq!(outcome(PeerSettings { extended_next_hop: true, ..settings() }, &open, &body), TAKEN);
}

#[test]
fn rfc4760_routes_of_families_that_were_not_agreed_on() {
    let vpn: &[u8] = &[0x80, 14, 9, 0, 1, 128, 4, 1, 2, 3, 4, 0];
    let body = update(&[], &[vpn, ORIGIN, AS_PATH], &[]);
    assert_eq!(outcome(settings(), &usual(), &body), TAKEN);
    let unknown: &[u8] = &[0x80, 15, 4, 0x99, 0x99, 7, 255];
    assert_eq!(outcome(settings(), &usual(), &update(&[], &[unknown], &[])), TAKEN);
}

#[test]
fn routes_are_shown_as_they_came() {
    let (mut script, _) = Script::established(settings(), &usual());
    let path: &[u8] = &[0x40, 2, 20, 2, 2, 0, 0, 0xfb, 0xf5, 0, 0, 0xfd, 0xf2, 1, 2, 0, 0, 0, 1, 0xfa, 0x56, 0xea, 0];
    let communities: &[u8] = &[0xc0, 8, 8, 0xfb, 0xf5, 0, 7, 0xff, 0xff, 0, 0];
    let extended: &[u8] = &[0xc0, 16, 24, 0, 2, 0, 1, 0, 0, 0, 2, 1, 3, 10, 0, 0, 1, 0, 3, 0x80, 6, 0, 0, 0, 0, 0, 0];
    let large: &[u8] = &[0xc0, 32, 12, 0, 0, 0xfb, 0xf5, 0, 0, 0, 2, 0, 0, 0, 3];
    let med: &[u8] = &[0x80, 4, 4, 0, 0, 0, 5];
    let attributes = [ORIGIN, path, NEXT_HOP, med, communities, extended, large];
    script.hear(1, &message(2, &update(&[], &attributes, &[25, 192, 0, 2, 255])));
    let expected = ReceivedRoute {
        prefix: "192.0.2.128/25".parse().unwrap(),
        next_hop: [10, 0, 0, 254].into(),
        origin: "igp".into(),
        as_path: "64501 65010 {1 4200000000}".into(),
        own_as: true,
        med: Some(5),
        local_pref: None,
        communities: ["64501:7", "65535:0", "rt:1:2", "soo:10.0.0.1:3", "0x8006000000000000", "64501:2:3"]
            .map(str::to_owned)
            .to_vec(),
    };
    let expected = ReceivedRoute { as_path: "64501 65010 {1 4200000000}".into(), ..expected };
    let routes: Vec<_> = script.peer.routes().collect();
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0], expected);
}

#[test]
fn rfc6793_4_2_3_paths_of_routers_with_two_octets() {
    let (mut script, _) = Script::established(settings(), &open_body(&[MP_IPV4]));
    // 64501 AS_TRANS 3, and what the latter two really are.
    let path: &[u8] = &[0x40, 2, 8, 2, 3, 0xfb, 0xf5, 0x5b, 0xa0, 0, 3];
    let path4: &[u8] = &[0xc0, 17, 10, 2, 2, 0, 3, 0xd, 0x40, 0, 0, 0, 3];
    script.hear(1, &message(2, &update(&[], &[ORIGIN, path, NEXT_HOP, path4], NLRI)));
    assert_eq!(script.peer.routes().next().unwrap().as_path, "64501 200000 3");
    // A malformed AS4_PATH is left out; a longer one than AS_PATH is too.
    for bad in [
        &[0xc0, 17, 6, 2, 2, 0, 3, 0xd, 0x40][..],
        &[0xc0, 17, 18, 2, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1],
    ] {
        script.hear(1, &message(2, &update(&[], &[ORIGIN, path, NEXT_HOP, bad], NLRI)));
        assert_eq!(script.peer.routes().next().unwrap().as_path, "64501 23456 3");
    }
}

#[test]
fn routes_beyond_the_limit_are_counted() {
    let (mut script, _) = Script::established(PeerSettings { routes_kept_max: 10, ..settings() }, &usual());
    for third in 0..100 {
        let nlri: Vec<u8> = (0..100).flat_map(|fourth| [32, 10, 1, third, fourth]).collect();
        assert_eq!(script.hear(1, &message(2, &update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], &nlri))), []);
    }
    let counted = script.peer.status().received;
    assert_eq!((counted.updates, counted.announced, counted.kept, counted.not_kept), (100, 10_000, 10, 9_990));
    // One that is kept may change, and its place becomes free.
    script.hear(1, &message(2, &update(&[32, 10, 1, 0, 0], &[ORIGIN, AS_PATH, NEXT_HOP], &[32, 10, 1, 0, 1])));
    script.hear(1, &message(2, &update(&[], &[ORIGIN, AS_PATH, NEXT_HOP], NLRI)));
    let counted = script.peer.status().received;
    assert_eq!((counted.withdrawn, counted.kept, counted.not_kept), (1, 10, 9_990));
    assert!(script.peer.routes().any(|route| route.prefix.to_string() == "192.0.2.0/24"));
}
