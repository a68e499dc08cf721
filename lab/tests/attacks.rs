//! Attacks arrive as they were made, and what comes back is counted where it belongs. Needs root and nft (package nftables).

use std::{
    collections::BTreeSet,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

use parapet_lab::{
    Lab, LabError, Network, Rtype,
    attack::{Arrivals, Arrived, Attack, Facts, Pace, RunningAttack, Second, Target, VICTIM},
    topologies, until,
};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const DEADLINE: Duration = Duration::from_secs(20);

fn facts() -> Facts {
    Facts {
        zone: "example.com".to_owned(),
        names: (0..50).map(|number| format!("n{number}.example.com")).collect(),
        suffix: "example.com".to_owned(),
        signed: vec!["signed.example".to_owned()],
        large: vec![("large.example.com".to_owned(), Rtype::TXT)],
        resolvers: (1..=20).map(|host| Ipv4Addr::new(198, 18, 0, host)).collect(),
    }
}

/// A server whose way to everywhere leads to the attacker.
fn ground(lab: &Lab) -> Result<(Network, Target, UdpSocket), LabError> {
    let net = lab.build(&topologies::pair())?;
    let (server, client) = (net.host("server"), net.host("client"));
    server.route(Ipv4Addr::UNSPECIFIED.into(), 0, client.v4())?;
    let target = Target::across(client, "server", server, "client", SERVER, facts())?;
    let socket = server.enter(|| UdpSocket::bind((SERVER, 53)))?;
    let socket = socket.map_err(|source| LabError::Io { doing: "listening".to_owned(), source })?;
    let _ = socket.set_read_timeout(Some(Duration::from_millis(200)));
    Ok((net, target, socket))
}

fn pace(rate_per_s: u32, seconds: f64) -> Pace {
    Pace { rate_per_s, lasts: Some(Duration::from_secs_f64(seconds)), seed: 3, core: None }
}

/// Answer all that arrives, each with as many bytes, and with TC where told so, until `running` is over and a pause; gives
/// the sources and what was sent.
fn answer_all(socket: &UdpSocket, running: RunningAttack, truncated: bool) -> (Vec<SocketAddr>, Second) {
    let mut sources = Vec::new();
    while !running.is_over() {
        answer(socket, truncated, &mut sources);
    }
    answer(socket, truncated, &mut sources);
    (sources, running.wait().expect("an attack").total())
}

/// The same, until a pause.
fn answer(socket: &UdpSocket, truncated: bool, sources: &mut Vec<SocketAddr>) {
    let mut buffer = [0; 2048];
    while let Ok((bytes, from)) = socket.recv_from(&mut buffer) {
        if let Some(flags) = buffer.get_mut(2) {
            *flags = if truncated { 0x82 } else { 0x80 };
        }
        socket.send_to(&buffer[..bytes], from).expect("a way back");
        sources.push(from);
    }
}

/// Until as many answers have arrived as there are sources. Other tests flood, too, and the kernel's queues are one for all
/// namespaces: what may have been lost is sent again.
fn wait_for_answers(arrivals: &Arrivals, socket: &UdpSocket, sources: &[SocketAddr], truncated: bool) -> Arrived {
    let mut again = [0; 40];
    again[2] = if truncated { 0x82 } else { 0x80 };
    let mut looks = 0;
    let arrived = until("the answers", DEADLINE, || {
        let arrived = arrivals.read().ok()?;
        if arrived.all().packets >= sources.len() as u64 {
            return Some(arrived);
        }
        looks += 1;
        if looks > 10 {
            socket.send_to(&again, sources.first()?).ok()?;
        }
        None
    });
    assert!(!sources.is_empty());
    arrived.unwrap()
}

#[test]
fn random_sources_arrive_and_their_answers_are_counted() {
    let lab = Lab::new("attack-random").unwrap();
    let (_net, target, socket) = ground(&lab).unwrap();
    let arrivals = Arrivals::of(&target).unwrap();
    let running = Attack::RandomNames.start(&target, &pace(400, 0.5)).unwrap();
    let (sources, sent) = answer_all(&socket, running, false);
    assert!((1..=200).contains(&sent.packets) && sources.len() as u64 <= sent.packets);
    assert!(sources.iter().all(|from| from.is_ipv4() && (1024..32_768).contains(&from.port())));
    let arrived = wait_for_answers(&arrivals, &socket, &sources, false);
    assert_eq!((arrived.victim.packets, arrived.truncated.packets), (0, 0));
    // From the IP header on: as much as a query with its name.
    let each = arrived.attacked.bytes / arrived.attacked.packets;
    assert!((40..150).contains(&each), "{each} bytes each");
}

#[test]
fn a_victim_is_told_apart_and_so_are_truncated_answers() {
    let lab = Lab::new("attack-victim").unwrap();
    let (_net, target, socket) = ground(&lab).unwrap();
    let arrivals = Arrivals::of(&target).unwrap();
    let running = Attack::Reflection.start(&target, &pace(400, 0.25)).unwrap();
    let (sources, _) = answer_all(&socket, running, true);
    assert!(sources.iter().all(|from| from.ip() == IpAddr::V4(VICTIM)));
    let arrived = wait_for_answers(&arrivals, &socket, &sources, true);
    assert_eq!((arrived.attacked.packets, arrived.truncated.packets), (0, arrived.victim.packets));
    arrivals.remove().unwrap();
}

#[test]
fn answers_to_real_clients_are_left_alone_but_for_the_ports_of_attacks() {
    let lab = Lab::new("attack-resolvers").unwrap();
    let (net, target, socket) = ground(&lab).unwrap();
    let arrivals = Arrivals::of(&target).unwrap();
    let client = net.host("client");
    client.address("lo", Ipv4Addr::new(198, 18, 0, 1).into(), 32).unwrap();
    let running = Attack::Resolvers.start(&target, &pace(400, 0.25)).unwrap();
    let (sources, _) = answer_all(&socket, running, false);
    let before = wait_for_answers(&arrivals, &socket, &sources, false);
    // From the same address, by a port of a real client.
    let real = client.enter(|| UdpSocket::bind("198.18.0.1:40000")).unwrap().unwrap();
    real.set_read_timeout(Some(DEADLINE)).unwrap();
    real.send_to(b"a question", (SERVER, 53)).unwrap();
    let mut sources = Vec::new();
    until("its question", DEADLINE, || {
        answer(&socket, false, &mut sources);
        (!sources.is_empty()).then_some(())
    })
    .unwrap();
    let mut buffer = [0; 64];
    assert_eq!(real.recv(&mut buffer).unwrap(), 10);
    assert_eq!(arrivals.read().unwrap(), before);
}

#[test]
fn connections_come_from_many_addresses_with_queries_in_heaps() {
    let lab = Lab::new("attack-tcp").unwrap();
    let (net, target, _socket) = ground(&lab).unwrap();
    let listener = net.host("server").enter(|| TcpListener::bind((SERVER, 53))).unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    let endless = Pace { lasts: None, ..pace(2000, 0.0) };
    let running = Attack::Tcp.start(&target, &endless).unwrap();
    let (mut sources, mut accepted, mut queries) = (BTreeSet::new(), Vec::new(), 0);
    until("connections and queries", DEADLINE, || {
        while let Ok((stream, from)) = listener.accept() {
            stream.set_nonblocking(true).unwrap();
            accepted.push(stream);
            sources.insert(from.ip());
        }
        let mut buffer = [0; 4096];
        for mut stream in &accepted {
            let length = stream.read(&mut buffer).unwrap_or(0);
            // The length of the first query, and that it has one question.
            queries += usize::from(length >= 30 && buffer[0] == 0 && buffer[6..8] == [0, 1]);
        }
        (accepted.len() > 1200 && queries > 10).then_some(())
    })
    .unwrap();
    assert!(sources.iter().all(|source| source.to_string().starts_with("198.19.")));
    assert!(sources.len() > 1000);
    let sent = running.stop().unwrap().total();
    assert!(sent.connections > 1200 && sent.packets > 10, "{sent:?}");
}

#[test]
fn an_attack_on_an_interface_that_is_not_there_says_so() {
    let lab = Lab::new("attack-nowhere").unwrap();
    let (_net, mut target, _socket) = ground(&lab).unwrap();
    target.interface = "elsewhere".to_owned();
    let error = Attack::Client.start(&target, &pace(100, 1.0)).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("there is no interface elsewhere that is up"));
}
