//! The small internet: who reaches whom, which way, and what happens when something breaks. Needs root, /dev/net/tun,
//! BIRD 2, named, and the parapet binary (cargo build --workspace).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use parapet_lab::{
    Lab, Namespace, ZoneSpec,
    internet::{Fault, Fleet, Internet, Region, ZONE},
    routers::Bird,
    until, zone_text,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const DEADLINE: Duration = Duration::from_secs(30);
/// An answer comes within this time, or it does not come.
const PATIENCE: Duration = Duration::from_millis(400);
const PORT: u16 = 7;

/// Answer every datagram to these addresses of a host with the host's name, until the test ends.
fn say_who_you_are(host: &Namespace, addresses: &[IpAddr]) -> Result {
    for address in addresses {
        // An address of IPv6 is there a moment after it was given: the kernel checks it in a thread of its own.
        let socket = until(format!("{address} to be there"), DEADLINE, || {
            host.enter(|| UdpSocket::bind((*address, PORT))).ok()?.ok()
        })?;
        let name = host.name().to_owned();
        thread::spawn(move || {
            let mut bytes = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut bytes) {
                let _ = socket.send_to(name.as_bytes(), from);
            }
        });
    }
    Ok(())
}

/// Ask from a new port who answers at an address, and how long that takes.
fn ask(host: &Namespace, address: IpAddr) -> Option<(String, Duration)> {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = host.enter(|| UdpSocket::bind((any, 0))).ok()?.ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    let begun = Instant::now();
    socket.send_to(b"who", SocketAddr::new(address, PORT)).ok()?;
    let mut bytes = [0; 64];
    let (length, _) = socket.recv_from(&mut bytes).ok()?;
    Some((String::from_utf8_lossy(bytes.get(..length)?).into_owned(), begun.elapsed()))
}

/// The internet with a BIRD at each edge that announces the service.
struct Announced {
    internet: Internet,
    speakers: Vec<Bird>,
    _lab: Lab,
}

impl Announced {
    fn new() -> Result<Announced> {
        let lab = Lab::new("internet")?;
        let mut internet = Internet::build(&lab)?;
        internet.start_routers()?;
        let mut speakers = Vec::new();
        for edge in internet.edges() {
            for (address, bits) in internet.service().into_iter().zip([32, 128]) {
                edge.namespace.address("lo", address, bits)?;
            }
            say_who_you_are(&edge.namespace, &internet.service())?;
            speakers.push(Bird::at(&edge.namespace).config(&internet.stand_in(&edge.name, &[])).start()?);
        }
        for edge in internet.edges() {
            internet.wait_for_route(&edge.name, true, DEADLINE)?;
        }
        Ok(Announced { internet, speakers, _lab: lab })
    }

    fn host(&self, name: &str) -> &Namespace {
        self.internet.host(name)
    }

    /// Wait until the service, over both families, is answered by one of `edges`.
    fn wait_until_reached(&self, client: &str, edges: &[&str]) -> Result {
        for address in self.internet.service() {
            until(format!("{client} to reach {edges:?} at {address}"), DEADLINE, || {
                let (who, _) = ask(self.host(client), address)?;
                edges.contains(&who.as_str()).then_some(())
            })?;
        }
        Ok(())
    }

    /// Who answers many questions of a client, all from ports of their own, each once, sorted.
    fn answering(&self, client: &str, address: IpAddr) -> Vec<String> {
        let mut names: Vec<String> = (0..24).filter_map(|_| Some(ask(self.host(client), address)?.0)).collect();
        names.sort();
        names.dedup();
        names
    }
}

#[test]
fn each_client_reaches_the_edge_of_its_region_and_another_when_that_is_cut_off() -> Result {
    let net = Announced::new()?;
    for (client, edges) in [
        ("europe-2", &["fra-1"][..]),
        ("europe-1", &["ams-1", "ams-2"]),
        ("america-1", &["nyc-1"]),
        ("america-2", &["sjc-1"]),
        ("asia-1", &["sin-1"]),
        ("asia-2", &["sin-1"]),
    ] {
        net.wait_until_reached(client, edges)?;
    }
    // 6 ms from asia-1 to its provider, 3 ms from there to the house; nothing is faster than its wires.
    let [v4, _] = net.internet.service();
    let times: Vec<Duration> = (0..5).filter_map(|_| Some(ask(net.host("asia-1"), v4)?.1)).collect();
    assert!(!times.is_empty() && times.iter().all(|time| *time >= Duration::from_millis(18)), "{times:?}");

    let uplink = &net.internet.edge("sin-1").uplink;
    uplink.cut();
    // BFD notices, or the hold time does; the way to America takes 65 ms more.
    net.internet.wait_for_route("sin-1", false, DEADLINE)?;
    net.wait_until_reached("asia-1", &["sjc-1"])?;
    uplink.restore();
    net.internet.wait_for_route("sin-1", true, DEADLINE)?;
    net.wait_until_reached("asia-1", &["sin-1"])
}

#[test]
fn two_edges_of_one_site_share_its_packets_and_graceful_shutdown_empties_one() -> Result {
    let net = Announced::new()?;
    let both = ["ams-1", "ams-2"];
    for address in net.internet.service() {
        until(format!("both edges to answer at {address}"), DEADLINE, || {
            (net.answering("europe-1", address) == both).then_some(())
        })?;
    }
    // RFC 8326: the router goes on knowing the route, and prefers any other.
    let [first, ..] = &net.speakers[..] else { return Err("no speakers".into()) };
    first.reconfigure(&net.internet.stand_in("ams-1", &[(65535, 0)]))?;
    let router = net.internet.router("ams");
    until("the router to put ams-1 last", DEADLINE, || {
        let routes = router.routes("for 192.0.2.0/24 protocol ams_1_ipv4").ok()?;
        routes.iter().any(|route| route.attribute("BGP.local_pref") == Some("0")).then_some(())
    })?;
    let [v4, _] = net.internet.service();
    until("ams-1 to be left alone", DEADLINE, || (net.answering("europe-1", v4) == ["ams-2"]).then_some(()))?;
    Ok(())
}

#[test]
fn the_origin_is_reached_by_edges_and_by_nobody_else() -> Result {
    let lab = Lab::new("internet")?;
    let mut internet = Internet::build(&lab)?;
    internet.start_routers()?;
    let origin = internet.origin();
    say_who_you_are(origin, &[origin.v4(), origin.v6()])?;
    for address in [origin.v4(), origin.v6()] {
        for edge in internet.edges() {
            until(format!("{} to reach {address}", edge.name), DEADLINE, || ask(&edge.namespace, address))?;
        }
        for client in internet.clients() {
            assert_eq!(ask(&client.namespace, address), None, "{} reaches {address}", client.name);
        }
    }
    // Beside the service each edge can be reached by itself.
    let edge = internet.edge("ams-2");
    say_who_you_are(&edge.namespace, &edge.addresses)?;
    for region in Region::ALL {
        let client = internet.client(region);
        for address in edge.addresses {
            until(format!("{} to reach {address}", client.name), DEADLINE, || ask(&client.namespace, address))?;
        }
    }
    Ok(())
}

#[test]
fn every_fault_takes_an_edge_out_and_its_repair_brings_it_back() -> Result {
    let lab = Lab::new("internet")?;
    let mut internet = Internet::build(&lab)?;
    internet.start_routers()?;
    // Stale after two seconds without the origin, which is asked every second.
    let items = format!(
        "fresh_s_max = 2\n[zone.\"{ZONE}\".timers]\nrefresh_s_min = 1\nrefresh_s_max = 1\nretry_s_min = 1\n\
         retry_s_max = 1\n"
    );
    let mut fleet = Fleet::of(&lab, &internet)
        .zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic(), &items)
        .file(|file| file.anycast_items("nyc-1", "hold_down_s_max = 1\ndrain_ms = 300"))
        .start()?;
    for edge in internet.edges() {
        internet.wait_for_route(&edge.name, true, DEADLINE)?;
    }
    for fault in Fault::ALL {
        let context = |error| format!("{fault}: {error}");
        fleet.strike("nyc-1", fault).map_err(context)?;
        internet.wait_for_route("nyc-1", false, DEADLINE).map_err(context)?;
        fleet.repair("nyc-1", fault).map_err(context)?;
        internet.wait_for_route("nyc-1", true, DEADLINE).map_err(context)?;
    }
    Ok(())
}
