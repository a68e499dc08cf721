//! Recorded BGP, from 1999 to 2010, through the machine of a neighbour: every UPDATE says to it what it says to another
//! reader, and a full table costs no session.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anycast::bgp::{ConnectionId, Event, Framer, NextHops, Peer, PeerSettings, PeerState};
use bgpkit_parser::models::{AsnLength, AttrType, BgpUpdateMessage, Origin};
use bgpkit_parser::parser::bgp::messages::parse_bgp_update_message;
use ipnet::IpNet;
use parapet_tests::mrt::{self, Update};

const RECORDINGS: [(&str, &[u8]); 5] = [
    ("1999-12-14", include_bytes!("../data/bgp/updates.19991214.1621.gz")),
    ("2000-01-02", include_bytes!("../data/bgp/updates.20000102.2014.gz")),
    ("2000-11-04", include_bytes!("../data/bgp/updates.20001104.0124.gz")),
    ("2010-02-27 16:00", include_bytes!("../data/bgp/updates.20100227.1600.gz")),
    ("2010-02-27 16:10", include_bytes!("../data/bgp/updates.20100227.1610.gz")),
];
const TABLE: &[u8] = include_bytes!("../data/bgp/bview.20000111.0032.gz");
/// The one connection of the tests.
const CONNECTION: ConnectionId = ConnectionId(1);
const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const KEEPALIVE: u8 = 4;

/// A session with a router of AS 64501, and the bytes that come from it.
struct Session {
    peer: Peer,
    framer: Framer,
    now: Instant,
}

impl Session {
    fn new(four_octet_as: bool, routes_kept_max: usize) -> Self {
        let settings = PeerSettings {
            local_as: 65010,
            router_id: Ipv4Addr::new(10, 0, 0, 1),
            remote_as: 64501,
            passive: false,
            hold_time_s: 90,
            connect_retry: Duration::from_secs(1),
            ipv4: true,
            ipv6: true,
            extended_next_hop: false,
            next_hop_ipv4: None,
            next_hop_ipv6: None,
            graceful_restart_s: 0,
            routes_kept_max,
            jitter_seed: 1,
        };
        let now = Instant::now();
        let mut session = Self { peer: Peer::new(settings, now), framer: Framer::new(), now };
        session.peer.handle(Event::Start, now);
        let (local, remote) = (([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 179).into());
        let connected =
            Event::Connected { connection: CONNECTION, incoming: false, local, remote, next_hops: NextHops::default() };
        session.peer.handle(connected, now);
        session.hear(OPEN, &open(four_octet_as));
        session.hear(KEEPALIVE, &[]);
        assert_eq!(session.peer.status().state, PeerState::Established);
        session
    }

    fn hear(&mut self, kind: u8, body: &[u8]) {
        let length = u16::try_from(19 + body.len()).unwrap();
        self.framer.push(&[&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat());
        let frame = self.framer.next().expect("a whole message");
        self.peer.handle(Event::Received(CONNECTION, frame), self.now);
    }
}

/// AS 64501, both families.
fn open(four_octet_as: bool) -> Vec<u8> {
    let mut capabilities = vec![1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1];
    if four_octet_as {
        capabilities.extend([65, 4, 0, 0, 0xfb, 0xf5]);
    }
    let length = u8::try_from(capabilities.len()).unwrap();
    [&[4, 0xfb, 0xf5, 0, 90, 10, 0, 0, 2, length + 2, 2, length][..], &capabilities].concat()
}

/// What is compared of a route.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    next_hop: IpAddr,
    origin: &'static str,
    as_path: String,
    med: Option<u32>,
    communities: Vec<String>,
}

/// What somebody else reads: prefixes withdrawn and announced.
fn read(update: &Update) -> (Vec<IpNet>, BTreeMap<IpNet, Route>) {
    let length = if update.four_octet_as { AsnLength::Bits32 } else { AsnLength::Bits16 };
    let message = parse_bgp_update_message(update.body.clone().into(), false, &length).expect("an UPDATE");
    let attributes = &message.attributes;
    let mut withdrawn: Vec<_> = message.withdrawn_prefixes.iter().map(|prefix| prefix.prefix.trunc()).collect();
    withdrawn.extend(
        attributes
            .get_unreachable_nlri()
            .into_iter()
            .flat_map(|nlri| nlri.prefixes.iter().map(|prefix| prefix.prefix.trunc())),
    );
    let mut announced = BTreeMap::new();
    for prefix in &message.announced_prefixes {
        announced.insert(prefix.prefix.trunc(), route(&message, attributes.next_hop()));
    }
    if let Some(nlri) = attributes.get_reachable_nlri() {
        for prefix in &nlri.prefixes {
            let next_hop = nlri.next_hop.map(|next_hop| next_hop.addr());
            announced.insert(prefix.prefix.trunc(), route(&message, next_hop));
        }
    }
    (withdrawn, announced)
}

fn route(message: &BgpUpdateMessage, next_hop: Option<IpAddr>) -> Route {
    let attributes = &message.attributes;
    assert!(attributes.has_attr(AttrType::ORIGIN));
    let path = attributes.effective_as_path().map(|path| path.to_string().replace(',', " ")).unwrap_or_default();
    let plain = |community: String| match community.as_str() {
        "no-export" => "65535:65281".to_owned(),
        "no-advertise" => "65535:65282".to_owned(),
        "no-export-sub-confed" => "65535:65283".to_owned(),
        _ => community,
    };
    Route {
        next_hop: next_hop.expect("a next hop"),
        origin: match attributes.origin() {
            Origin::IGP => "igp",
            Origin::EGP => "egp",
            Origin::INCOMPLETE => "incomplete",
        },
        as_path: path,
        med: attributes.multi_exit_discriminator(),
        communities: attributes.iter_communities().map(|community| plain(community.to_string())).collect(),
    }
}

fn kept(peer: &Peer) -> BTreeMap<IpNet, Route> {
    let route = |route: anycast::ReceivedRoute| {
        let origin = ["igp", "egp", "incomplete"].into_iter().find(|origin| *origin == route.origin).unwrap();
        let shown = Route {
            next_hop: route.next_hop,
            origin,
            as_path: route.as_path,
            med: route.med,
            communities: route.communities,
        };
        (route.prefix, shown)
    };
    peer.routes().map(route).collect()
}

/// One after the other; the table that comes of them is the same as by another reader.
fn check(name: &str, updates: &[Update]) {
    for four_octet_as in [false, true] {
        let mut session = Session::new(four_octet_as, usize::MAX);
        let mut expected = BTreeMap::new();
        let mut counts = [0, 0, 0];
        for (index, update) in updates.iter().filter(|update| update.four_octet_as == four_octet_as).enumerate() {
            let (withdrawn, announced) = read(update);
            session.hear(UPDATE, &update.body);
            counts = [counts[0] + 1, counts[1] + announced.len(), counts[2] + withdrawn.len()];
            withdrawn.iter().for_each(|prefix| drop(expected.remove(prefix)));
            expected.extend(announced);
            let status = session.peer.status();
            assert_eq!(status.state, PeerState::Established, "{name}, UPDATE {index}: {:?}", status.problem);
        }
        let received = session.peer.status().received;
        let counted = [received.updates, received.announced, received.withdrawn];
        assert_eq!(counted, counts.map(|count| u64::try_from(count).unwrap()), "{name}");
        assert_eq!(received.treated_as_withdraw, 0, "{name}");
        let kept = kept(&session.peer);
        for (prefix, route) in &expected {
            assert_eq!(kept.get(prefix), Some(route), "{name}: {prefix}");
        }
        assert_eq!(kept.len(), expected.len(), "{name}");
    }
}

#[test]
fn recorded_updates_are_read_as_another_reads_them() {
    for (name, file) in RECORDINGS {
        check(name, &mrt::updates(file));
    }
}

#[test]
fn a_full_table_is_read_as_another_reads_it() {
    check("table", &mrt::table(TABLE));
}

/// What a router that sends too much costs: what is kept, and not a route more.
#[test]
fn a_million_routes_are_counted() {
    const KEPT: usize = 1000;
    let mut session = Session::new(true, KEPT);
    let attributes = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfb, 0xf5, 0x40, 3, 4, 10, 0, 0, 2];
    for high in 0..1000_u32 {
        let prefixes = (0..1000).flat_map(|low| {
            let [a, b, c, d] = (0x0100_0000 + high * 1024 + low).to_be_bytes();
            [32, a, b, c, d]
        });
        let prefixes: Vec<u8> = prefixes.collect();
        for part in prefixes.chunks(5 * 500) {
            session.hear(UPDATE, &[&[0, 0, 0, 20][..], &attributes, part].concat());
        }
    }
    let status = session.peer.status();
    assert_eq!(status.state, PeerState::Established);
    let received = status.received;
    assert_eq!((received.announced, received.kept, received.not_kept), (1_000_000, 1000, 999_000));
    assert_eq!(session.peer.routes().count(), KEPT);
}
