//! Any bytes may come to any socket: the edge neither falls over nor grows, and goes on answering.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use parapet_lab::{Edge, ZoneSpec, zone_text};
use parapet_tests::{Random, ask};
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, question};

const ZONE: &str = "example.com";
const DATAGRAMS: usize = 60_000;
const CONNECTIONS: usize = 600;
/// Rounds that fill the buffers, before memory is measured.
const WARM_UP_ROUNDS: usize = 2;
/// What a connection's buffers take: how many of them are open at once depends on what else the machine does.
const CONNECTION_BYTES: u64 = 8 << 10;
/// What buffers and allocator may take on top; forty bytes kept of each datagram would be more.
const GROWTH_BYTES_MAX: u64 = (4 << 20) + CONNECTIONS as u64 * CONNECTION_BYTES;

/// Random bytes, or a question with some of its bytes changed, cut or repeated.
fn junk(random: &mut Random) -> Vec<u8> {
    let kinds = [Rtype::A, Rtype::ANY, Rtype::AXFR, Rtype::OPT, Rtype::TSIG, Rtype(0)];
    let mut message = match random.below(4) {
        0 => {
            let count = random.below(600);
            return random.bytes(count);
        }
        1 => question("www.example.com", *random.pick(&kinds)).to_bytes(random.number() as u16),
        2 => question("*.x.example.com", *random.pick(&kinds)).to_bytes(1),
        _ => question("example.com", Rtype::SOA).to_bytes(2),
    };
    for _ in 0..random.below(6) {
        match random.below(4) {
            0 => message.truncate(random.below(message.len() + 1)),
            1 => message.extend_from_within(..message.len() / 2),
            2 => message.extend(random.bytes(7)),
            _ if message.is_empty() => {}
            _ => {
                let at = random.below(message.len());
                message[at] = random.number() as u8;
            }
        }
    }
    message
}

fn over_udp(scene: &Scene, edge: &Edge, random: &mut Random) {
    let server = SocketAddr::new(edge.v4(), 53);
    scene
        .client()
        .enter(|| {
            let socket = ask::connected(server);
            for _ in 0..DATAGRAMS {
                let _ = socket.send(&junk(random));
            }
        })
        .expect("the client's namespace");
}

fn over_tcp(scene: &Scene, edge: &Edge, random: &mut Random) {
    let server = SocketAddr::new(edge.v4(), 53);
    scene
        .client()
        .enter(|| {
            let mut open = Vec::new();
            for _ in 0..CONNECTIONS {
                let Ok(mut stream) = TcpStream::connect_timeout(&server, Duration::from_secs(5)) else { continue };
                for _ in 0..random.below(5) {
                    let message = junk(random);
                    let _ = match random.below(3) {
                        // A length that promises more than comes, and bytes without any.
                        0 => stream.write_all(&[&[0xff, 0xff], &message[..]].concat()),
                        1 => stream.write_all(&message),
                        _ => ask::write_framed(&mut stream, &message),
                    };
                }
                // Some stay open and silent, their answers unread.
                if random.once_in(10) {
                    open.push(stream);
                }
            }
        })
        .expect("the client's namespace");
}

fn still_answers(scene: &Scene, edge: &Edge) {
    assert!(edge.process().is_running(), "parapet has ended:\n{}", edge.process().output());
    let message = question("www.example.com", Rtype::A).to_bytes(5);
    let server = SocketAddr::new(edge.v4(), 53);
    let answered = |answer: std::io::Result<Vec<u8>>| {
        answer.is_ok_and(|bytes| wire::Header::parse(&bytes).is_ok_and(|header| header.flags.rcode() == Rcode::NOERROR))
    };
    let client = scene.client();
    let udp =
        || answered(client.enter(|| ask::exchange_udp(server, &message, Duration::from_secs(1))).ok()?).then_some(());
    parapet_lab::until("an answer over UDP", DEADLINE, udp).expect("it goes on answering");
    let tcp =
        || answered(client.enter(|| ask::exchange_tcp(server, &message, Duration::from_secs(1))).ok()?).then_some(());
    parapet_lab::until("an answer over TCP", DEADLINE, tcp).expect("it goes on answering");
}

#[test]
fn no_panic_no_growth_and_answers_go_on() {
    let scene = Scene::new("bytes");
    let _named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE))).start().expect("named");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let mut random = Random::new(20_170_821);
    let mut rounds = |count: usize| {
        for _ in 0..count {
            over_udp(&scene, &edge, &mut random);
            over_tcp(&scene, &edge, &mut random);
            still_answers(&scene, &edge);
        }
        edge.process().own_bytes()
    };
    let before = rounds(WARM_UP_ROUNDS);
    let after = rounds(4);
    assert!(after < before + GROWTH_BYTES_MAX, "grew from {before} to {after} bytes");
    let output = edge.process().output();
    assert!(!output.contains("panicked"), "{output}");
}

/// The control socket takes one line; anything else is turned away.
#[test]
fn the_control_socket_takes_any_bytes_too() {
    let scene = Scene::new("control-bytes");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    let mut random = Random::new(7);
    for _ in 0..300 {
        let Ok(mut stream) = std::os::unix::net::UnixStream::connect(edge.control()) else { continue };
        let count = random.below(2000);
        let _ = stream.write_all(&random.bytes(count));
        let _ = stream.write_all(b"\n");
    }
    edge.ask(&["status", "--json"]).expect("parapet status goes on");
}
