//! Two drivers against each other over the loopback interface: each with an address of its own, as port 3784 is fixed.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use config::{Anycast, BfdSettings, Neighbour};
use tokio::sync::watch;

use super::{Handle, State, bind, start};
use crate::BfdStatus;

const DEADLINE: Duration = Duration::from_secs(20);

/// A configuration with one neighbour, `other`.
fn config(own: &str, other: &str, interval_ms: u32) -> Anycast {
    let neighbour = Neighbour {
        name: "other".into(),
        address: SocketAddr::new(other.parse().expect("an address"), 179),
        source: Some(own.parse().expect("an address")),
        remote_as: 65000,
        passive: false,
        password_file: None,
        hops_max: 1,
        ttl_security: true,
        hold_time_s: 9,
        connect_retry_ms: 1000,
        ipv4: true,
        ipv6: true,
        extended_next_hop: false,
        next_hop_ipv4: None,
        next_hop_ipv6: None,
        graceful_restart_s: 0,
        bfd: Some(BfdSettings { interval_ms, multiplier: 3 }),
        routes_kept_max: 0,
    };
    Anycast {
        services: Vec::new(),
        local_as: 65001,
        router_id: [192, 0, 2, 1].into(),
        listen: Vec::new(),
        manage_addresses: false,
        check_interval_ms: 200,
        rise: 3,
        fall: 3,
        hold_down_s_max: 60,
        graceful_shutdown_ms: 0,
        drain_ms: 0,
        fleet: None,
        up: config::RouteAttributes::default(),
        degraded: config::RouteAttributes::default(),
        neighbours: vec![neighbour],
    }
}

fn run(config: &Anycast) -> Handle {
    start(bind(config).expect("free addresses"), config).expect("a thread")
}

fn wait(watch: &mut watch::Receiver<State>, wanted: State) {
    let until = Instant::now() + DEADLINE;
    while *watch.borrow_and_update() != wanted {
        assert!(Instant::now() < until, "{wanted:?} is not reached; it is {:?}", *watch.borrow());
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait_for(handle: &Handle, wanted: impl Fn(&BfdStatus) -> bool) {
    let until = Instant::now() + DEADLINE;
    while !handle.status("other").is_some_and(|status| wanted(&status)) {
        assert!(Instant::now() < until, "{:?}", handle.status("other"));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Addresses of one test: tests in other processes use others.
fn pair(number: u8) -> (String, String) {
    let [a, b] = (std::process::id() as u16).to_be_bytes();
    (format!("127.{a}.{b}.{number}"), format!("127.{a}.{b}.{}", number + 1))
}

#[test]
fn two_drivers_come_up_follow_changes_and_say_goodbye() {
    let (one, two) = pair(1);
    let first = run(&config(&one, &two, 50));
    let second = run(&config(&two, &one, 50));
    let (mut at_first, mut at_second) = (first.watch("other"), second.watch("other"));
    wait(&mut at_first, State::Up);
    wait(&mut at_second, State::Up);
    wait_for(&first, |status| status.transmit_ms == 50.0);
    let status = first.status("other").expect("a session");
    assert_eq!((status.state.as_str(), status.detection_ms, status.flaps), ("up", 150.0, 0));
    assert_eq!(first.status("nobody"), None);
    assert_eq!(*first.watch("nobody").borrow(), State::AdminDown);

    second.apply(&config(&two, &one, 80));
    wait_for(&first, |status| status.detection_ms == 240.0);
    assert_eq!(*at_first.borrow(), State::Up);

    second.stop();
    wait(&mut at_first, State::AdminDown);
    wait_for(&first, |status| status.remote_diagnostic == "held down by an administrator");
    // Stopping what has stopped does no harm, and the addresses are free again.
    second.stop();
    let second = run(&config(&two, &one, 50));
    wait(&mut at_first, State::Up);
    // Without the session there is nobody to be up with.
    let mut none = config(&two, &one, 50);
    none.neighbours.clear();
    second.apply(&none);
    wait(&mut at_first, State::AdminDown);
    second.apply(&config(&two, &one, 50));
    wait(&mut at_first, State::Up);
    // As when its process dies.
    drop(second);
    wait(&mut at_first, State::AdminDown);
}

/// RFC 5881 §5: TTL 255 or nothing. And what is no packet, or of nobody, is counted and changes nothing.
#[test]
fn strangers_and_those_from_afar_are_not_heard() {
    let (own, other) = pair(11);
    let handle = run(&config(&own, &other, 50));
    let socket = UdpSocket::bind((other.parse::<IpAddr>().expect("an address"), 0)).expect("a socket");
    let down = [0x20, 0x40, 3, 24, 0, 0, 0, 9, 0, 0, 0, 0, 0, 15, 66, 64, 0, 15, 66, 64, 0, 0, 0, 0];
    let mut not_ours = down;
    not_ours[11] = 1;
    let send = |ttl: u32, bytes: &[u8]| {
        socket.set_ttl(ttl).expect("a TTL");
        socket.send_to(bytes, (own.as_str(), 3784)).expect("sent");
    };
    send(254, &down);
    send(64, &down);
    send(255, &down[..23]);
    send(255, &[]);
    send(255, &not_ours);
    wait_for(&handle, |status| status.discarded == 5);
    assert_eq!(*handle.watch("other").borrow(), State::Down);
    send(255, &down);
    wait(&mut handle.watch("other"), State::Init);
    // Nothing more comes: three seconds of silence at one packet a second.
    wait(&mut handle.watch("other"), State::Down);
    assert_eq!(handle.status("other").map(|status| status.discarded), Some(5));
}

/// Over IPv6 there is one loopback address only: the session is with itself, which tests the sockets all the same.
#[test]
fn hop_limits_are_read_over_ipv6() {
    let handle = run(&config("::1", "::1", 50));
    wait(&mut handle.watch("other"), State::Up);
    assert_eq!(handle.status("other").map(|status| status.discarded), Some(0));
}
