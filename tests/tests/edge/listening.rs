//! Answers leave from the address that was asked, also when the edge listens on the wildcard addresses; over UDP and TCP,
//! IPv4 and IPv6.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use parapet_lab::{ZoneSpec, zone_text};
use parapet_tests::ask;
use wire::Rtype;

use crate::scene::{DEADLINE, Scene, question};

const ZONE: &str = "example.com";

#[test]
fn wildcard_addresses_answer_from_the_address_that_was_asked() {
    let scene = Scene::new("listening");
    let _named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE))).start().expect("named");
    let host = scene.host("edge1");
    let before = host.addresses();
    let more = ["10.11.0.77", "10.11.0.78", "fd00:b::77", "fd00:b::78"];
    let more: [IpAddr; 4] = more.map(|text| text.parse().expect("an address"));
    let edge = scene.edge().zone(ZONE).listen(any("0.0.0.0")).listen(any("::")).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    // Addresses that come after the start count as well: the sockets are bound to none in particular.
    for address in more {
        host.address("router", address, if address.is_ipv4() { 24 } else { 64 }).expect("an address");
    }
    let message = question("www.example.com", Rtype::A).to_bytes(3);
    for address in before.into_iter().chain(more) {
        let server = SocketAddr::new(address, 53);
        // The client's socket is connected: an answer from another address would never arrive.
        let udp = scene.client().enter(|| ask::exchange_udp(server, &message, Duration::from_secs(5)));
        udp.expect("the client's namespace").unwrap_or_else(|error| panic!("{server} over UDP: {error}"));
        let tcp = scene.client().enter(|| ask::exchange_tcp(server, &message, Duration::from_secs(5)));
        tcp.expect("the client's namespace").unwrap_or_else(|error| panic!("{server} over TCP: {error}"));
    }
}

fn any(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), 53)
}
