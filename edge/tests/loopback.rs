//! The lanes over real sockets of the loopback interface, on ports that the kernel chooses.

mod support;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream, UdpSocket},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use edge::{DropReason, Edge, EdgeContext, Settings, Stats, bind};
use support::{DEADLINE, NoNotify, connect, prefixed, read_message};
use wire::{Class, Header, Name, Rcode, Rtype, Writer};

struct Running {
    edge: Edge,
    addresses: Vec<SocketAddr>,
    settings: Arc<ArcSwap<Settings>>,
    health: health::Reader,
}

/// An edge without zones on `listen`, that tells its name.
fn start(listen: &[&str], change: impl FnOnce(&mut Settings)) -> Running {
    let mut settings = Settings { id_server: Some("here".to_owned()), ..Settings::default() };
    change(&mut settings);
    let listen: Vec<SocketAddr> = listen.iter().map(|address| address.parse().unwrap()).collect();
    let sockets = bind(&listen, 1).expect("free ports");
    let addresses = sockets.addresses().to_vec();
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let (publisher, health) = health::channel("edge", Duration::from_secs(3), Instant::now());
    let context = EdgeContext {
        zones: Arc::new(zones::Zones::default()),
        settings: Arc::clone(&settings),
        notify: Arc::new(NoNotify),
        transfers: None,
        on_demand: None,
        filters: support::filters_but_for_loopback(),
        answers: None,
        deaths: None,
        health: publisher,
        kernel: None,
    };
    Running { edge: Edge::start(sockets, context).unwrap(), addresses, settings, health }
}

fn query(name: &str, rtype: Rtype, class: Class, id: u16) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(id);
    writer.question(name.parse::<Name>().unwrap().as_ref(), rtype, class).unwrap();
    let length = writer.finish();
    buffer[..length].to_vec()
}

fn identity(id: u16) -> Vec<u8> {
    query("id.server", Rtype::TXT, Class::CH, id)
}

fn check_identity(answer: &[u8], id: u16) {
    let header = Header::parse(answer).unwrap();
    assert_eq!((header.id, header.flags.rcode(), header.ancount), (id, Rcode::NOERROR, 1));
    assert!(answer.ends_with(b"\x04here"));
}

fn ask_udp(from: &str, to: SocketAddr) {
    let socket = UdpSocket::bind(from).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    // Connected: an answer from any other address would not be delivered.
    socket.connect(to).unwrap();
    for id in 0..5 {
        socket.send(&identity(id)).unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).expect("an answer from the address that was asked");
        check_identity(&answer[..length], id);
    }
}

/// Waits until the other side has closed the connection.
fn wait_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("still open: {error}"),
        }
    }
}

/// Waits until the counters are as `wanted` says.
fn wait_for(running: &Running, wanted: impl Fn(&Stats) -> bool) {
    let until = Instant::now() + DEADLINE;
    while !wanted(&running.edge.stats()) {
        assert!(Instant::now() < until, "{:?}", running.edge.stats());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn udp_over_ipv4_and_ipv6() {
    let running = start(&["127.0.0.1:0"], |_| ());
    ask_udp("127.0.0.1:0", running.addresses[0]);
    let running = start(&["[::1]:0"], |_| ());
    ask_udp("[::1]:0", running.addresses[0]);
}

#[test]
fn several_addresses_in_one_lane() {
    let running = start(&["127.0.0.1:0", "127.0.0.3:0", "[::1]:0"], |_| ());
    for _ in 0..3 {
        for &address in &running.addresses {
            ask_udp(if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }, address);
        }
    }
    assert_eq!(running.edge.stats().rcode(Rcode::NOERROR), 45);
}

#[test]
fn wildcard_addresses_answer_from_the_address_that_was_asked() {
    let running = start(&["0.0.0.0:0", "[::]:0"], |_| ());
    let [v4, v6] = running.addresses[..] else { panic!("two addresses") };
    for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        ask_udp("127.0.0.1:0", SocketAddr::new(ip.parse().unwrap(), v4.port()));
    }
    ask_udp("[::1]:0", SocketAddr::new("::1".parse().unwrap(), v6.port()));
}

#[test]
fn a_burst_is_answered_whole() {
    const QUERIES: u16 = 500;
    let running = start(&["127.0.0.1:0"], |_| ());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.connect(running.addresses[0]).unwrap();
    let mut answered = [false; QUERIES as usize];
    // No more in flight than fits the smallest default receive buffer.
    for first in (0..QUERIES).step_by(100) {
        (first..first + 100).for_each(|id| assert_eq!(socket.send(&identity(id)).unwrap(), identity(id).len()));
        for _ in 0..100 {
            let mut answer = [0; 512];
            let length = socket.recv(&mut answer).unwrap();
            let id = Header::parse(&answer).unwrap().id;
            check_identity(&answer[..length], id);
            assert!(!std::mem::replace(&mut answered[usize::from(id)], true));
        }
    }
}

#[test]
fn new_settings_hold_at_once() {
    let running = start(&["127.0.0.1:0"], |_| ());
    ask_udp("127.0.0.1:0", running.addresses[0]);
    running.settings.store(Arc::new(Settings::default()));
    let mut stream = connect(running.addresses[0]);
    stream.write_all(&prefixed(&identity(7))).unwrap();
    assert_eq!(Header::parse(&read_message(&mut stream)).unwrap().flags.rcode(), Rcode::REFUSED);
}

#[test]
fn tcp_answers_pipelined_queries_in_order() {
    let running = start(&["127.0.0.1:0", "[::1]:0"], |_| ());
    for &address in &running.addresses {
        let mut stream = connect(address);
        let all: Vec<u8> = (0..1000).flat_map(|id| prefixed(&identity(id))).collect();
        let mut writer = stream.try_clone().unwrap();
        let sender = thread::spawn(move || {
            writer.write_all(&all).unwrap();
            // RFC 7766 §6.2.4: what was asked before the half-close is still answered.
            writer.shutdown(Shutdown::Write).unwrap();
        });
        for id in 0..1000 {
            check_identity(&read_message(&mut stream), id);
        }
        sender.join().unwrap();
        wait_closed(&mut stream);
    }
    wait_for(&running, |stats| stats.tcp_connections_open == 0 && stats.tcp_connections == 2);
}

#[test]
fn tcp_takes_messages_in_any_pieces() {
    let running = start(&["127.0.0.1:0"], |_| ());
    let mut stream = connect(running.addresses[0]);
    stream.set_nodelay(true).unwrap();
    for id in 0..3 {
        for byte in prefixed(&identity(id)) {
            stream.write_all(&[byte]).unwrap();
        }
        check_identity(&read_message(&mut stream), id);
    }
}

#[test]
fn each_client_has_only_so_many_connections() {
    let running = start(&["127.0.0.1:0"], |settings| settings.tcp.connections_per_client_max = 2);
    let mut open: Vec<TcpStream> = (0..2).map(|_| connect(running.addresses[0])).collect();
    for stream in &mut open {
        stream.write_all(&prefixed(&identity(1))).unwrap();
        check_identity(&read_message(stream), 1);
    }
    wait_closed(&mut connect(running.addresses[0]));
    assert_eq!(running.edge.stats().dropped_for(DropReason::TcpConnectionsPerClientMax), 1);
    drop(open.pop());
    wait_for(&running, |stats| stats.tcp_connections_open == 1);
    let mut again = connect(running.addresses[0]);
    again.write_all(&prefixed(&identity(2))).unwrap();
    check_identity(&read_message(&mut again), 2);
}

#[test]
fn idle_connections_make_room_when_they_are_scarce() {
    let running = start(&["127.0.0.1:0"], |settings| {
        settings.tcp.connections_max = 4;
        settings.tcp.idle = DEADLINE * 10;
    });
    let _open: Vec<TcpStream> = (0..4).map(|_| connect(running.addresses[0])).collect();
    // Until two of four are left, which is no pressure any more.
    wait_for(&running, |stats| stats.dropped_for(DropReason::TcpIdle) >= 2 && stats.tcp_connections_open <= 2);
    let mut stream = connect(running.addresses[0]);
    stream.write_all(&prefixed(&identity(1))).unwrap();
    check_identity(&read_message(&mut stream), 1);
}

#[test]
fn idle_connections_are_closed() {
    let running = start(&["127.0.0.1:0"], |settings| settings.tcp.idle = Duration::from_millis(50));
    let mut stream = connect(running.addresses[0]);
    stream.write_all(&prefixed(&identity(1))).unwrap();
    check_identity(&read_message(&mut stream), 1);
    wait_closed(&mut stream);
    wait_for(&running, |stats| stats.dropped_for(DropReason::TcpIdle) == 1 && stats.tcp_connections_open == 0);
}

#[test]
fn slow_writers_are_dropped() {
    let running = start(&["127.0.0.1:0"], |settings| settings.tcp.receive = Duration::from_millis(50));
    let mut stream = connect(running.addresses[0]);
    stream.write_all(&[0, 20, 1, 2, 3]).unwrap();
    wait_closed(&mut stream);
    wait_for(&running, |stats| stats.dropped_for(DropReason::TcpSlowWriter) == 1);
}

#[test]
fn slow_readers_are_dropped() {
    let running = start(&["127.0.0.1:0"], |settings| {
        settings.tcp.send = Duration::from_millis(50);
        settings.id_server = Some("x".repeat(255));
    });
    let mut stream = connect(running.addresses[0]);
    let all: Vec<u8> = (0..2000).flat_map(|id| prefixed(&identity(id))).collect();
    let until = Instant::now() + DEADLINE;
    // Asks and asks and never reads, until the other side has had enough.
    while stream.write_all(&all).is_ok() {
        assert!(Instant::now() < until);
    }
    wait_for(&running, |stats| stats.dropped_for(DropReason::TcpSlowReader) == 1 && stats.tcp_connections_open == 0);
}

#[test]
fn messages_longer_than_any_query_are_not_waited_for() {
    let running = start(&["127.0.0.1:0"], |_| ());
    let mut stream = connect(running.addresses[0]);
    stream.write_all(&[0xff, 0xff, 0]).unwrap();
    wait_closed(&mut stream);
    wait_for(&running, |stats| stats.dropped_for(DropReason::TcpTooLong) == 1);
}

#[test]
fn bytes_at_random_close_no_lane() {
    let running = start(&["127.0.0.1:0"], |_| ());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 1u64;
    for length in (0..1400).step_by(7) {
        let mut bytes = vec![0; length];
        for byte in &mut bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (state >> 56) as u8;
        }
        socket.send_to(&bytes, running.addresses[0]).unwrap();
        let mut stream = connect(running.addresses[0]);
        // The other side may have closed already.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        wait_closed(&mut stream);
    }
    ask_udp("127.0.0.1:0", running.addresses[0]);
}

#[test]
fn it_stops_in_time_and_leaves_its_ports() {
    let running = start(&["127.0.0.1:0", "[::1]:0"], |_| ());
    let mut stream = connect(running.addresses[0]);
    stream.write_all(&prefixed(&identity(1))).unwrap();
    check_identity(&read_message(&mut stream), 1);
    let until = Instant::now() + DEADLINE;
    while running.health.read(Instant::now()) != health::State::Up {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(5));
    }
    let began = Instant::now();
    running.edge.stop(DEADLINE);
    assert!(began.elapsed() < DEADLINE / 2, "an idle connection is not waited for");
    assert_eq!(running.health.read(Instant::now()), health::State::Down);
    wait_closed(&mut stream);
    bind(&running.addresses, 1).expect("the ports are free again");
}
