//! The routers of the lab speak with each other. Needs root, BIRD 2, FRR, GoBGP and ExaBGP (`scripts/setup`).

use std::{net::IpAddr, time::Duration};

use parapet_lab::{
    Lab, Topology,
    routers::{Bird, PeerSpec, Router, RouterKind, RouterSpec},
    scripted_router::{
        ScriptedRouter,
        message::{Open, UPDATE, keepalive},
    },
    until,
};

/// Sessions come up within this time, also on a machine that has much else to do.
const DEADLINE: Duration = Duration::from_secs(40);

fn bird_config(own_as: u32, own: IpAddr, other_as: u32, other: IpAddr, routes: &str) -> String {
    format!(
        "router id {own};\nprotocol device {{ }}\nprotocol bfd {{ interface \"*\" {{ interval 50 ms; multiplier 3; }}; }}\n\
         protocol static {{ ipv4; {routes} }}\n\
         protocol bgp peer {{ local {own} as {own_as}; neighbor {other} as {other_as}; direct; bfd on; \
         connect retry time 1; connect delay time 1; error wait time 1,2; hold time 9;\n\
         ipv4 {{ import all; export all; }}; }}\n"
    )
}

#[test]
fn two_birds_exchange_routes_and_one_that_freezes_is_noticed_by_bfd() {
    let lab = Lab::new("birds").expect("a lab");
    let topology = Topology::new("pair", "two routers").router("r1").router("r2").link("r1", "r2", 1);
    let net = lab.build(&topology).expect("a network");
    let [r1, r2] = [net.host("r1"), net.host("r2")];
    let first = Bird::at(r1).config(&bird_config(64501, r1.v4(), 64502, r2.v4(), "")).start().expect("bird");
    let announced = "route 192.0.2.0/24 blackhole { bgp_community.add((64502, 7)); };";
    let config = bird_config(64502, r2.v4(), 64501, r1.v4(), announced);
    let mut second = Bird::at(r2).config(&config).start().expect("bird");

    let route = until("a route", DEADLINE, || first.routes("protocol peer").ok()?.into_iter().next()).expect("a route");
    assert_eq!((route.prefix.as_str(), route.best), ("192.0.2.0/24", true));
    assert_eq!(route.attribute("BGP.as_path"), Some("64502"));
    assert_eq!(route.attribute("BGP.community"), Some("(64502,7)"));
    assert!(first.is_established("peer"));
    until("BFD", DEADLINE, || first.bfd_state(r2.v4()).filter(|state| state == "Up")).expect("BFD comes up");

    second.freeze().expect("SIGSTOP");
    until("the end of the session", DEADLINE, || (!first.is_established("peer")).then_some(())).expect("BFD ends it");
    second.thaw().expect("SIGCONT");
    until("the session", DEADLINE, || first.is_established("peer").then_some(())).expect("it comes back");

    second.reconfigure(&config.replace("192.0.2.0/24", "198.51.100.0/24")).expect("another configuration");
    let prefixes = || first.routes("protocol peer").map(|routes| routes.into_iter().map(|route| route.prefix));
    let changed = || prefixes().is_ok_and(|found| found.eq(["198.51.100.0/24"])).then_some(());
    until("the other route", DEADLINE, changed).expect("the other route");
    assert!(second.reconfigure("nonsense").is_err(), "a configuration that is wrong");

    second.start_again().expect("it starts again with what it had last");
    until("the session", DEADLINE, || first.is_established("peer").then_some(())).expect("it comes back");
}

/// A BIRD stands in for an edge: it announces one prefix of each family with all the attributes that edges give.
fn edge_config(own: IpAddr, router: IpAddr) -> String {
    let attributes = "bgp_path.prepend(65010); bgp_med = 100; bgp_community.add((65010, 100)); \
                      bgp_large_community.add((65010, 1, 2)); bgp_ext_community.add((rt, 65010, 100));";
    format!(
        "router id 10.1.0.2;\nprotocol device {{ }}\nprotocol bfd {{ }}\n\
         protocol static {{ ipv4; route 192.0.2.0/24 blackhole; }}\n\
         protocol static {{ ipv6; route 2001:db8:53::/48 blackhole; }}\n\
         protocol bgp r1 {{ local {own} as 65010; neighbor {router} as 64501; direct; hold time 3;\n\
         connect retry time 1; connect delay time 1; error wait time 1,2; bfd {{ interval 50 ms; multiplier 3; }};\n\
         password \"secret\";\n\
         ipv4 {{ import all; export filter {{ {attributes} accept; }}; }};\n\
         ipv6 {{ import all; export filter {{ {attributes} accept; }}; }}; }}\n"
    )
}

fn shows_what_an_edge_announces(kind: RouterKind) {
    let lab = Lab::new("routers").expect("a lab");
    let topology = Topology::new("pair", "a router and an edge").router("r1").router("edge").link("r1", "edge", 1);
    let net = lab.build(&topology).expect("a network");
    let [at, edge_at] = [net.host("r1"), net.host("edge")];
    let with_bfd = matches!(kind, RouterKind::Bird | RouterKind::Frr);
    let peer = PeerSpec {
        password: Some("secret".into()),
        bfd_ms: with_bfd.then_some(50),
        ..PeerSpec::new(at.v4(), edge_at.v4(), 65010)
    };
    let spec = RouterSpec::new(64501, [10, 1, 0, 1].into()).peer(peer).announce("198.51.100.0/24");
    let mut router = kind.start(at, &spec).expect("a router");
    let config = edge_config(edge_at.v4(), at.v4());
    let config = if with_bfd { config } else { config.replace("bfd { interval 50 ms; multiplier 3; };", "") };
    let edge = Bird::at(edge_at).config(&config).start().expect("bird");

    let peer = edge_at.v4();
    let both = || router.routes(peer).ok().filter(|routes| routes.len() == 2);
    let routes = until("two routes", DEADLINE, both).unwrap_or_else(|error| {
        panic!("{error}; state {:?}, routes {:?}", router.state(peer), router.routes(peer));
    });
    for prefix in ["192.0.2.0/24", "2001:db8:53::/48"] {
        let route = routes.iter().find(|route| route.prefix == prefix).expect("the prefix");
        assert_eq!(route.as_path, [65010, 65010], "{route:?}");
        assert_eq!(route.med, Some(100), "{route:?}");
        assert_eq!(route.communities, ["65010:100"], "{route:?}");
        assert_eq!(route.large_communities, ["65010:1:2"], "{route:?}");
        assert_eq!(route.extended_communities, ["rt:65010:100"], "{route:?}");
    }
    assert!(router.is_established(peer), "{:?}", router.state(peer));
    let heard = || edge.routes("protocol r1").is_ok_and(|routes| !routes.is_empty()).then_some(());
    until("the router's own prefix", DEADLINE, heard).expect("the router's own prefix");
    if with_bfd {
        until("BFD", DEADLINE, || router.bfd_state(peer).filter(|state| state == "up")).expect("BFD comes up");
    }
    router.refresh(peer).expect("a refresh");
    router.shut_down(peer, "for the night").expect("a shutdown");
    let down = || (!edge.is_established("r1")).then_some(());
    until("the end of the session", DEADLINE, down).expect("the end of the session");
    router.enable(peer).expect("a session again");
    until("the session", DEADLINE, || router.is_established(peer).then_some(())).expect("it comes back");
    router.kill().expect("its end");
    router.start_again().expect("a start after it was killed");
    until("routes again", DEADLINE, both_of(&*router, peer)).expect("routes after a start");
    assert!(edge.process().is_running());
}

fn both_of(router: &dyn Router, peer: IpAddr) -> impl FnMut() -> Option<()> {
    move || router.routes(peer).is_ok_and(|routes| routes.len() == 2).then_some(())
}

#[test]
fn bird_shows_what_an_edge_announces() {
    shows_what_an_edge_announces(RouterKind::Bird);
}

#[test]
fn frr_shows_what_an_edge_announces() {
    shows_what_an_edge_announces(RouterKind::Frr);
}

#[test]
fn gobgp_shows_what_an_edge_announces() {
    shows_what_an_edge_announces(RouterKind::GoBgp);
}

#[test]
fn exabgp_shows_what_an_edge_announces() {
    shows_what_an_edge_announces(RouterKind::ExaBgp);
}

/// The router that does as it is told establishes a session, and sees what becomes of a message that is wrong.
#[test]
fn a_scripted_router_shows_what_a_speaker_says() {
    let lab = Lab::new("scripted-router").expect("a lab");
    let topology = Topology::new("pair", "a router and an edge").router("r1").router("edge").link("r1", "edge", 1);
    let net = lab.build(&topology).expect("a network");
    let [at, edge_at] = [net.host("r1"), net.host("edge")];
    let router = ScriptedRouter::listen(at, at.v4()).expect("a scripted router");
    let config = edge_config(edge_at.v4(), at.v4());
    let config = config.replace("bfd { interval 50 ms; multiplier 3; };", "").replace("password \"secret\";", "");
    let _edge = Bird::at(edge_at).config(&config).start().expect("bird");
    let open = Open::new(64501, [10, 1, 0, 1].into());
    let mut session = router.establish(&open, DEADLINE).expect("a session");
    session.expect(UPDATE, DEADLINE).expect("an UPDATE");
    let mut wrong = keepalive();
    wrong[0] = 0;
    session.send(&wrong).expect("a message without its marker");
    let notification = session.notification(DEADLINE).expect("an end").expect("a NOTIFICATION");
    assert_eq!((notification.code, notification.subcode), (1, 1), "Connection Not Synchronized");
}
