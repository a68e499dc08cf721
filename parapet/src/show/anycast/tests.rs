//! One example of everything, and how it reads.

use anycast::bgp::ReceivedRoute;
use anycast::{
    AddressStatus, BfdStatus, CheckStatus, MemberStatus, NeighbourStatus, NotificationStatus, QuotaStatus,
    ReceivedStatus, RouteStatus, ServiceStatus, Status,
};

use super::super::style::Style;
use super::{fleet, node, routes, summary};

const NOW: f64 = 1_800_000_000.0;

fn check(name: &str, state: &str, soft: bool, why: &str) -> CheckStatus {
    CheckStatus { name: name.to_owned(), state: state.to_owned(), soft, why: why.to_owned() }
}

fn neighbour(name: &str, address: &str) -> NeighbourStatus {
    NeighbourStatus {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        remote_as: 64501,
        state: "established".to_owned(),
        since_unix_s: NOW - 312.0,
        problem: None,
        last_notification: None,
        families: vec!["ipv4".to_owned(), "ipv6".to_owned()],
        capabilities: Vec::new(),
        hold_time_s: Some(9),
        md5: true,
        ttl_security: true,
        prefixes_announced: 2,
        updates_sent: 5,
        received: ReceivedStatus { kept: 3, treated_as_withdraw: 1, ..ReceivedStatus::default() },
        flaps: 0,
        bfd: Some(BfdStatus {
            state: "up".to_owned(),
            diagnostic: "no diagnostic".to_owned(),
            remote_diagnostic: "no diagnostic".to_owned(),
            transmit_ms: 50.0,
            detection_ms: 150.0,
            flaps: 0,
            discarded: 0,
        }),
    }
}

/// A node with a stale zone that stays since too few others would be left, and one router that refuses it.
pub(crate) fn example() -> Status {
    let notification = NotificationStatus {
        sent: false,
        code: 2,
        subcode: 2,
        words: "OPEN Message Error, Bad Peer AS".to_owned(),
        at_unix_s: NOW - 17.0,
    };
    let refused = NeighbourStatus {
        state: "active".to_owned(),
        since_unix_s: NOW - 17.0,
        problem: Some("it expects another AS than 65010".to_owned()),
        last_notification: Some(notification),
        families: Vec::new(),
        hold_time_s: None,
        md5: false,
        prefixes_announced: 0,
        received: ReceivedStatus::default(),
        flaps: 1,
        bfd: None,
        ..neighbour("r2", "[2001:db8::fe]:179")
    };
    let member = |node: &str, state: &str, announces: &[&str], heard_s_ago: Option<f64>| MemberStatus {
        node: node.to_owned(),
        state: state.to_owned(),
        why: String::new(),
        announces: announces.iter().map(ToString::to_string).collect(),
        heard_s_ago,
    };
    Status {
        state: "degraded".to_owned(),
        why: vec!["zones: example.com. is stale".to_owned()],
        since_unix_s: NOW - 60.0,
        by_hand: None,
        checks: vec![check("answers", "up", false, ""), check("zones", "degraded", true, "example.com. is stale")],
        services: vec![ServiceStatus {
            name: "dns".to_owned(),
            prefixes: vec!["192.0.2.0/24".parse().unwrap(), "2001:db8:53::/48".parse().unwrap()],
            announced: true,
            route: Some(RouteStatus { med: Some(1000), prepend: 3, communities: vec!["65010:100".to_owned()] }),
            quota: Some(QuotaStatus { granted: false, remaining: 1, nodes_min: 2, asked_unix_s: NOW - 1.0 }),
        }],
        neighbours: vec![neighbour("r1", "10.0.0.254:179"), refused],
        addresses: vec![AddressStatus {
            address: "192.0.2.53".parse().unwrap(),
            present: true,
            ours: true,
            problem: None,
        }],
        fleet: vec![member("fra-1", "up", &["dns"], Some(0.5)), member("sin-1", "silent", &[], None)],
        transitions: 3,
    }
}

#[test]
fn a_node_says_everything_of_its_part() {
    let want = "\
state          degraded for 1m00s
why            zones: example.com. is stale
transitions    3 since the start

health   state     leaves          why
answers  up        -
zones    degraded  if others stay  example.com. is stale

service  announced   med  prepend  communities  prefixes
dns      yes        1000        3  65010:100    192.0.2.0/24, 2001:db8:53::/48
  quota: may not leave: 1 others go on, 2 must

neighbour  address                AS  state          for  families    hold  out  in  flaps  BFD         secured
r1         10.0.0.254:179      64501  established  5m12s  ipv4, ipv6    9s    2   3      0  up, 150 ms  MD5, TTL
  malformed (RFC 7606): 1 UPDATEs treated as withdrawals, 0 attributes discarded
r2         [2001:db8::fe]:179  64501  active         17s  -              -    0   0      1  -           TTL
  problem: it expects another AS than 65010
  last NOTIFICATION: received 17s ago, 2/2: OPEN Message Error, Bad Peer AS

address     on lo
192.0.2.53  yes, put there by this node

other node  state   announces  heard     why
fra-1       up      dns        0.5s ago
sin-1       silent  -          never
";
    let got = node::node(&example(), NOW, Style::Plain);
    assert_eq!(got, want, "\n{got}");
}

#[test]
fn a_drain_by_hand_is_told_with_its_reason() {
    let by_hand = anycast::ByHand { since_unix_s: NOW - 3.0, reason: "kernel update".to_owned() };
    let drained = Status { state: "draining".to_owned(), by_hand: Some(by_hand), ..example() };
    let got = node::node(&drained, NOW, Style::Plain);
    assert!(got.contains("drained        by hand 3.0s ago (kernel update); `parapet undrain` ends it\n"), "{got}");
}

#[test]
fn the_summary_is_one_line() {
    assert_eq!(
        summary(&example()),
        "degraded, dns announced, 1 of 2 sessions established: zones: example.com. is stale"
    );
    let nothing = Status { state: "up".to_owned(), why: Vec::new(), services: Vec::new(), ..example() };
    assert_eq!(summary(&nothing), "up, nothing announced, 1 of 2 sessions established");
}

#[test]
fn all_nodes_stand_beside_each_other() {
    let mut gone = example();
    gone.state = "draining".to_owned();
    gone.why = Vec::new();
    gone.services[0].announced = false;
    let nodes = [
        ("ams-1".to_owned(), Ok(Some(Box::new(example())))),
        ("fra-1".to_owned(), Ok(Some(Box::new(gone)))),
        ("nyc-1".to_owned(), Ok(None)),
        ("sin-1".to_owned(), Err("no answer from https://192.0.2.4: no connection".to_owned())),
    ];
    let got = fleet::table(&nodes, NOW, Style::Plain);
    let want = "\
node   state       for  announces  sessions  BFD  why
ams-1  degraded  1m00s  dns             1/2  1/1  zones: example.com. is stale
fra-1  draining  1m00s  -               1/2  1/1
nyc-1  -             -  -                 -    -  this node announces nothing: it has no [node.NAME.anycast]
sin-1  silent        -  -                 -    -  no answer from https://192.0.2.4: no connection

dns: 1 of 2 nodes announce it
";
    assert_eq!(got, want, "\n{got}");
}

#[test]
fn routes_are_a_table() {
    let route = ReceivedRoute {
        prefix: "203.0.113.0/24".parse().unwrap(),
        next_hop: "10.0.0.254".parse().unwrap(),
        origin: "igp".to_owned(),
        as_path: "64501 64502".to_owned(),
        own_as: false,
        med: None,
        local_pref: Some(100),
        communities: vec!["64501:1".to_owned()],
    };
    let want = "\
prefix          next hop    origin  AS path      med  local pref  communities
203.0.113.0/24  10.0.0.254  igp     64501 64502    -         100  64501:1
";
    assert_eq!(routes::table(&[route]), want);
    assert_eq!(routes::table(&[]), "it has sent no route that is kept\n");
}
