//! What is announced, octet by octet: attributes, next hops, withdrawals, packing, refreshes.

use std::sync::Arc;
use std::time::Duration;

use config::RouteAttributes;

use super::support::{
    AS4, ENHANCED_REFRESH, EXTENDED_NEXT_HOP, GRACEFUL, MP_IPV4, MP_IPV6, ROUTE_REFRESH, Script, adverts, message,
    open_body, sent, settings, usual,
};
use crate::adverts::{Adverts, Cause};
use crate::bgp::{Action, Event, PeerSettings};

const IPV4: &str = "192.0.2.0/24";
const IPV6: &str = "2001:db8:53::/48";
const END_OF_RIB_IPV4: &[u8] = &[0, 0, 0, 0];
const END_OF_RIB_IPV6: &[u8] = &[0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1];

/// The UPDATEs among the actions.
fn updates(actions: &[Action]) -> Vec<Vec<u8>> {
    sent(actions).into_iter().filter(|(kind, _)| *kind == 2).map(|(_, body)| body).collect()
}

/// The one UPDATE that a route leads to in a session that stands.
fn check(settings: PeerSettings, open: &[u8], prefix: &str, route: &RouteAttributes, expected: &[&[u8]]) {
    let (mut script, _) = Script::established(settings, open);
    let actions = script.handle(Event::Adverts(adverts(&[(prefix, route)])));
    let expected = expected.concat();
    assert_eq!(updates(&actions), [expected], "{prefix} {route:?}");
    assert_eq!(
        updates(&script.handle(Event::Adverts(adverts(&[(prefix, route)])))),
        Vec::<Vec<u8>>::new(),
        "only once"
    );
}

fn plain() -> RouteAttributes {
    RouteAttributes::default()
}

const ORIGIN: &[u8] = &[0x40, 1, 1, 0];
const OWN_PATH: &[u8] = &[0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xf2];
const OWN_NEXT_HOP: &[u8] = &[0x40, 3, 4, 10, 0, 0, 1];
const NLRI: &[u8] = &[24, 192, 0, 2];

#[test]
fn ipv4_in_the_fields_of_rfc4271() {
    check(settings(), &usual(), IPV4, &plain(), &[&[0, 0, 0, 20], ORIGIN, OWN_PATH, OWN_NEXT_HOP, NLRI]);
    let configured = PeerSettings { next_hop_ipv4: Some([10, 9, 9, 9].into()), ..settings() };
    let next_hop: &[u8] = &[0x40, 3, 4, 10, 9, 9, 9];
    check(configured, &usual(), IPV4, &plain(), &[&[0, 0, 0, 20], ORIGIN, OWN_PATH, next_hop, NLRI]);
}

#[test]
fn all_attributes_by_type() {
    let route = RouteAttributes {
        med: Some(1000),
        prepend: 2,
        communities: vec![0xffff_0000, 0xfdf2_0064],
        extended_communities: vec![[0, 2, 0xfd, 0xf2, 0, 0, 0, 1], [0x99, 1, 2, 3, 4, 5, 6, 7]],
        large_communities: vec![[65010, 1, 2]],
    };
    let expected: &[&[u8]] = &[
        &[0, 0, 0, 83],
        ORIGIN,
        &[0x40, 2, 14, 2, 3, 0, 0, 0xfd, 0xf2, 0, 0, 0xfd, 0xf2, 0, 0, 0xfd, 0xf2],
        OWN_NEXT_HOP,
        &[0x80, 4, 4, 0, 0, 3, 0xe8],
        &[0xc0, 8, 8, 0xff, 0xff, 0, 0, 0xfd, 0xf2, 0, 100],
        &[0xc0, 16, 16, 0, 2, 0xfd, 0xf2, 0, 0, 0, 1, 0x99, 1, 2, 3, 4, 5, 6, 7],
        &[0xc0, 32, 12, 0, 0, 0xfd, 0xf2, 0, 0, 0, 1, 0, 0, 0, 2],
        NLRI,
    ];
    let length: usize = expected[1..expected.len() - 1].iter().map(|part| part.len()).sum();
    let head = [&[0, 0][..], &u16::try_from(length).unwrap().to_be_bytes()].concat();
    let expected = [&[head.as_slice()], &expected[1..]].concat();
    check(settings(), &usual(), IPV4, &route, &expected);
}

#[test]
fn rfc4271_5_1_within_an_as() {
    let internal = PeerSettings { remote_as: 65010, ..settings() };
    let mut open = open_body(&[MP_IPV4, &[65, 4, 0, 0, 0xfd, 0xf2]]);
    open[1..3].copy_from_slice(&65010_u16.to_be_bytes());
    let route = RouteAttributes { prepend: 3, med: Some(1), ..plain() };
    let med: &[u8] = &[0x80, 4, 4, 0, 0, 0, 1];
    let local_pref: &[u8] = &[0x40, 5, 4, 0, 0, 0, 100];
    let expected = [&[0, 0, 0, 28], ORIGIN, &[0x40, 2, 0], OWN_NEXT_HOP, med, local_pref, NLRI];
    check(internal, &open, IPV4, &route, &expected);
}

#[test]
fn rfc6793_4_2_2_routers_with_two_octets() {
    let open = open_body(&[MP_IPV4]);
    let short: &[u8] = &[0x40, 2, 4, 2, 1, 0xfd, 0xf2];
    check(settings(), &open, IPV4, &plain(), &[&[0, 0, 0, 18], ORIGIN, short, OWN_NEXT_HOP, NLRI]);
    let large = PeerSettings { local_as: 4_200_000_000, ..settings() };
    let route = RouteAttributes { prepend: 1, ..plain() };
    let path: &[u8] = &[0x40, 2, 6, 2, 2, 0x5b, 0xa0, 0x5b, 0xa0];
    let path4: &[u8] = &[0xc0, 17, 10, 2, 2, 0xfa, 0x56, 0xea, 0, 0xfa, 0x56, 0xea, 0];
    check(large, &open, IPV4, &route, &[&[0, 0, 0, 33], ORIGIN, path, OWN_NEXT_HOP, path4, NLRI]);
}

#[test]
fn rfc4271_4_3_paths_of_more_than_255() {
    let route = RouteAttributes { prepend: 255, ..plain() };
    let (mut script, _) = Script::established(settings(), &usual());
    let update = updates(&script.handle(Event::Adverts(adverts(&[(IPV4, &route)])))).remove(0);
    let own = [0, 0, 0xfd, 0xf2];
    let path = [&[0x50, 2, 4, 4, 2, 255][..], &own.repeat(255), &[2, 1], &own].concat();
    assert_eq!(update[8..8 + path.len()], path);
}

/// 2001:db8::1.
const OWN_IPV6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const NLRI_IPV6: &[u8] = &[48, 0x20, 1, 0xd, 0xb8, 0, 0x53];

#[test]
fn rfc7606_5_1_mp_reach_nlri_is_first() {
    let reach = [&[0x80, 14, 28, 0, 2, 1, 16][..], &OWN_IPV6, &[0], NLRI_IPV6].concat();
    check(settings(), &usual(), IPV6, &plain(), &[&[0, 0, 0, 44], &reach, ORIGIN, OWN_PATH]);
}

#[test]
fn rfc2545_3_a_link_local_address_beside() {
    let mut script = Script::new(settings());
    let event = Event::Connected {
        connection: crate::bgp::ConnectionId(1),
        incoming: false,
        local: "[2001:db8::7]:1000".parse().unwrap(),
        remote: "[2001:db8::8]:179".parse().unwrap(),
        next_hops: crate::bgp::NextHops { link_local: Some("fe80::7".parse().unwrap()), ..Default::default() },
    };
    script.handle(event);
    script.hear(1, &message(1, &usual()));
    script.hear(1, &message(4, &[]));
    let update = updates(&script.handle(Event::Adverts(adverts(&[(IPV6, &plain())])))).remove(0);
    let global = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let link_local = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let reach = [&[0x80, 14, 44, 0, 2, 1, 32][..], &global, &link_local, &[0], NLRI_IPV6].concat();
    assert_eq!(update[4..4 + reach.len()], reach);
    // IPv4 has no next hop on this interface.
    let actions = script.handle(Event::Adverts(adverts(&[(IPV4, &plain()), (IPV6, &plain())])));
    assert_eq!(updates(&actions), Vec::<Vec<u8>>::new());
    let said = "no ipv4 address of this node is known that the router could send to: 1 ipv4 prefixes are not announced; \
                next_hop_ipv4 says which";
    assert_eq!(script.problem(), said);
    assert!(actions.contains(&Action::Problem(said.into())));
    // It is over when there is nothing to announce.
    script.handle(Event::Adverts(adverts(&[(IPV6, &plain())])));
    assert_eq!(script.problem(), "");
}

#[test]
fn rfc8950_ipv4_over_ipv6() {
    let mut script = Script::new(PeerSettings { extended_next_hop: true, ..settings() });
    script.connect_over(1, true, ["[2001:db8::1]:179", "[2001:db8::8]:1000"]);
    script.hear(1, &message(1, &open_body(&[MP_IPV4, MP_IPV6, EXTENDED_NEXT_HOP, AS4])));
    script.hear(1, &message(4, &[]));
    assert_eq!(script.peer.status().families, ["ipv4 over ipv6", "ipv6"]);
    let reach = [&[0x80, 14, 25, 0, 1, 1, 16][..], &OWN_IPV6, &[0], NLRI].concat();
    let update = updates(&script.handle(Event::Adverts(adverts(&[(IPV4, &plain())])))).remove(0);
    assert_eq!(update, [&[0, 0, 0, 41][..], &reach, ORIGIN, OWN_PATH].concat());
    let unreach: &[u8] = &[0, 0, 0, 10, 0x80, 15, 7, 0, 1, 1, 24, 192, 0, 2];
    assert_eq!(updates(&script.handle(Event::Adverts(adverts(&[])))), [unreach]);
}

#[test]
fn withdrawals_are_first_and_of_both_families() {
    let (mut script, _) = Script::established(settings(), &usual());
    script.handle(Event::Adverts(adverts(&[(IPV4, &plain()), (IPV6, &plain())])));
    assert_eq!(script.peer.status().prefixes_announced, 2);
    let other = "198.51.100.0/24";
    let said = updates(&script.handle(Event::Adverts(adverts(&[(other, &plain())]))));
    let withdrawn_ipv4: &[u8] = &[0, 4, 24, 192, 0, 2, 0, 0];
    let withdrawn_ipv6 = [&[0, 0, 0, 13, 0x80, 15, 10, 0, 2, 1][..], NLRI_IPV6].concat();
    assert_eq!(said[..2], [withdrawn_ipv4.to_vec(), withdrawn_ipv6]);
    assert_eq!(said[2][24..], [24, 198, 51, 100]);
    assert_eq!(script.peer.status().prefixes_announced, 1);
}

#[test]
fn only_what_changes_is_sent() {
    let (mut script, _) = Script::established(settings(), &usual());
    let worse = RouteAttributes { med: Some(1000), ..plain() };
    let others = ["198.51.100.0/24", "203.0.113.0/24"];
    script.handle(Event::Adverts(adverts(&[(IPV4, &plain()), (others[0], &plain()), (others[1], &plain())])));
    let said =
        updates(&script.handle(Event::Adverts(adverts(&[(IPV4, &plain()), (others[0], &worse), (others[1], &worse)]))));
    assert_eq!(said.len(), 1, "what has the same attributes shares a message");
    assert!(said[0].ends_with(&[24, 198, 51, 100, 24, 203, 0, 113]));
    let sent_before = script.peer.status().updates_sent;
    for _ in 0..100 {
        assert_eq!(script.handle(Event::Tick), []);
    }
    assert_eq!(script.peer.status().updates_sent, sent_before);
}

#[test]
fn thousands_of_prefixes_fill_messages() {
    let (mut script, _) = Script::established(settings(), &usual());
    let prefixes: Vec<_> = (0..5000).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect();
    let route = plain();
    let all: Vec<_> = prefixes.iter().map(|prefix| (prefix.as_str(), &route)).collect();
    let said = updates(&script.handle(Event::Adverts(adverts(&all))));
    assert!(said.len() < 25, "{}", said.len());
    let mut count = 0;
    for body in &said {
        assert!(body.len() <= 4096 - 19);
        count += (body.len() - 24) / 4;
    }
    assert_eq!(count, 5000);
    let gone = updates(&script.handle(Event::Adverts(adverts(&[]))));
    assert!(gone.len() < 25);
}

#[test]
fn attributes_that_fill_a_message_are_not_sent() {
    let (mut script, _) = Script::established(settings(), &usual());
    script.handle(Event::Adverts(adverts(&[(IPV4, &plain())])));
    let large = RouteAttributes { large_communities: vec![[1, 2, 3]; 400], ..plain() };
    let actions = script.handle(Event::Adverts(adverts(&[(IPV4, &large)])));
    assert_eq!(updates(&actions), [[0, 4, 24, 192, 0, 2, 0, 0]], "what was announced before is withdrawn");
    assert!(script.problem().contains("too long for a message"), "{}", script.problem());
    assert_eq!(script.peer.status().prefixes_announced, 0);
}

#[test]
fn rfc4724_2_end_of_rib_after_the_first_routes() {
    let mut script = Script::new(settings());
    script.handle(Event::Adverts(adverts(&[(IPV4, &plain())])));
    script.connect(1, false);
    script.hear(1, &message(1, &usual()));
    let said = updates(&script.hear(1, &message(4, &[])));
    assert_eq!(said.len(), 3);
    assert!(said[0].ends_with(NLRI));
    assert_eq!(said[1..], [END_OF_RIB_IPV4, END_OF_RIB_IPV6]);
    let said = updates(&script.handle(Event::Adverts(adverts(&[]))));
    assert_eq!(said.len(), 1, "once in a session");
}

#[test]
fn rfc4724_4_2_end_of_rib_waits_until_a_node_that_restarts_can_answer() {
    let open = open_body(&[MP_IPV4, MP_IPV6, AS4, GRACEFUL]);
    let graceful = PeerSettings { graceful_restart_s: 30, ..settings() };
    let (mut script, actions) = Script::established(graceful, &open);
    assert_eq!(updates(&actions), Vec::<Vec<u8>>::new(), "routes of before shall stay");
    assert_eq!(script.peer.status().capabilities, ["4-byte-as", "graceful-restart", "graceful-restart-notification"]);
    // Health says no: then they go.
    let none = Arc::new(Adverts::none(Cause::Health));
    assert_eq!(updates(&script.handle(Event::Adverts(none))), [END_OF_RIB_IPV4, END_OF_RIB_IPV6]);
}

#[test]
fn rfc4724_4_2_end_of_rib_does_not_wait_for_longer_than_a_restart_takes() {
    let open = open_body(&[MP_IPV4, MP_IPV6, AS4, GRACEFUL]);
    let (mut script, _) = Script::established(PeerSettings { graceful_restart_s: 5, ..settings() }, &open);
    assert_eq!(updates(&script.after(Duration::from_millis(4999))), Vec::<Vec<u8>>::new());
    assert_eq!(updates(&script.after(Duration::from_millis(1))), [END_OF_RIB_IPV4, END_OF_RIB_IPV6]);
    assert_eq!(updates(&script.after(Duration::from_millis(1))), Vec::<Vec<u8>>::new());
}

#[test]
fn rfc2918_4_routes_are_sent_again() {
    for (capability, is_enhanced) in [(ROUTE_REFRESH, false), (ENHANCED_REFRESH, true)] {
        let (mut script, _) = Script::established(settings(), &open_body(&[MP_IPV4, MP_IPV6, AS4, capability]));
        let announced = script.handle(Event::Adverts(adverts(&[(IPV4, &plain()), (IPV6, &plain())])));
        let request = message(5, &[0, 1, 0, 1]);
        let said = sent(&script.hear(1, &request));
        let update = sent(&announced).remove(0);
        let expected = if is_enhanced {
            vec![(5, vec![0, 1, 1, 1]), update, (5, vec![0, 1, 2, 1])] // RFC 7313 §4
        } else {
            vec![update]
        };
        assert_eq!(said, expected);
        // Whoever asks all the time is answered once a second.
        for _ in 0..100 {
            assert_eq!(sent(&script.hear(1, &request)), []);
        }
        assert_eq!(sent(&script.after(Duration::from_millis(999))), []);
        assert_eq!(sent(&script.after(Duration::from_millis(1))), expected);
        assert!(script.after(Duration::from_millis(500)).is_empty());
        // The other family, one that was not agreed on, and marks of the router's own.
        assert_eq!(sent(&script.hear(1, &message(5, &[0, 2, 0, 1]))).len(), expected.len());
        for other in [[0, 1, 0, 128], [0, 25, 0, 65], [0, 1, 1, 1], [0, 1, 2, 1], [0, 1, 77, 1]] {
            assert_eq!(sent(&script.hear(1, &message(5, &other))), [], "{other:?}");
        }
    }
}

#[test]
fn a_family_that_the_router_does_not_speak() {
    let (mut script, _) = Script::established(settings(), &open_body(&[MP_IPV4, AS4]));
    let actions = script.handle(Event::Adverts(adverts(&[(IPV4, &plain()), (IPV6, &plain())])));
    assert_eq!(updates(&actions).len(), 1);
    assert_eq!(script.problem(), "the router does not speak ipv6: 1 ipv6 prefixes are not announced");
    assert_eq!(script.peer.status().families, ["ipv4"]);
}
