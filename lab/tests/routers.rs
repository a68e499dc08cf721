//! The routers of the lab speak with each other. Needs root, BIRD 2, FRR, GoBGP and ExaBGP (`scripts/setup`).

use std::{net::IpAddr, time::Duration};

use parapet_lab::{Lab, Topology, routers::Bird, until};

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
