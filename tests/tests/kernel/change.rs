//! No answer of an old snapshot leaves after one of the new: a zone is changed again and again while it is asked for by the
//! kernel lane and by the sockets, and no client ever sees it go back.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parapet_lab::zone_text;
use parapet_tests::{Answer, Question, ask};
use wire::{Rcode, Rtype};

use crate::scene::{Asked, Client, DEADLINE, Scene, ZONE, required};

/// Changes of the zone.
const CHANGES: u32 = 60;
/// Changes that a name lives.
const LIFE: u32 = 5;

/// A client's socket, used from any thread.
fn socket(client: Client<'_>) -> UdpSocket {
    let socket = client.at(|| ask::connected(client.server));
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    socket
}

/// Asks until there is an answer: a datagram may be lost while a place is written.
fn ask(socket: &UdpSocket, id: &mut u16, name: &str, rtype: Rtype) -> Answer {
    let name = format!("{name}.{ZONE}").parse().expect("a name");
    let question = Question { name, rtype, dnssec: false, udp_bytes_max: Some(1232) };
    for _ in 0..10 {
        *id = id.wrapping_add(1);
        socket.send(&question.to_bytes(*id)).expect("a question that leaves");
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            if buffer[..2] == id.to_be_bytes() {
                return Answer::parse(&question, &buffer[..length]).expect("a well-formed answer");
            }
        }
    }
    panic!("no answer to {question}");
}

/// The version that is served now.
fn version(socket: &UdpSocket, id: &mut u16) -> u32 {
    let answer = ask(socket, id, "version", Rtype::TXT);
    let texts: Vec<_> = answer.answer.values().flat_map(|(_, texts)| texts).collect();
    assert_eq!(texts.len(), 1, "{answer}");
    String::from_utf8_lossy(&texts[0][1..]).parse().expect("a number")
}

/// Asks both in turn until it is told to end: versions only rise, and with a version come and go the names that it has.
fn watch(clients: [Client<'_>; 2], ending: &AtomicBool) -> u64 {
    let sockets = clients.map(socket);
    let (mut seen, mut id, mut asked) = (1, 0, 0);
    while !ending.load(Ordering::Relaxed) {
        for socket in &sockets {
            let now = version(socket, &mut id);
            assert!(now >= seen, "version {now} after {seen} from {:?}", socket.peer_addr());
            seen = now;
            // Asked for before it is there, so that its absence is known below.
            ask(socket, &mut id, &format!("n{}", seen + 1), Rtype::A);
            let here = ask(socket, &mut id, &format!("n{seen}"), Rtype::A);
            let after = version(socket, &mut id);
            assert!(after >= seen, "version {after} after {seen} from {:?}", socket.peer_addr());
            let lives = after < seen + LIFE;
            assert!(!lives || here.rcode == Rcode::NOERROR, "n{seen} in version {seen} to {after}: {here}");
            if seen > LIFE {
                let gone = ask(socket, &mut id, &format!("n{}", seen - LIFE), Rtype::A);
                assert_eq!(gone.rcode, Rcode::NXDOMAIN, "n{} in version {seen}", seen - LIFE);
            }
            seen = after;
            asked += 4;
        }
    }
    asked
}

#[test]
fn no_client_sees_a_zone_go_back() {
    let scene = Scene::new("kernel-change");
    let named = scene.origin(zone_text::small(ZONE) + "version 300 TXT \"1\"\nn1 300 A 192.0.2.1\n");
    let edge = scene.edge(&required(), "");
    let ending = AtomicBool::new(false);
    let pairs =
        [[scene.client(), scene.other()], [scene.client(), scene.client_v6()], [scene.client_v6(), scene.other_v6()]];
    let before = Asked::of(&edge).answered;
    let asked: u64 = thread::scope(|scope| {
        let watching = pairs.map(|pair| {
            scope.spawn({
                let ending = &ending;
                move || watch(pair, ending)
            })
        });
        let changed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 2..=CHANGES {
                let mut lines = format!(
                    "update delete version.{ZONE} TXT\nupdate add version.{ZONE} 300 TXT \"{number}\"\n\
                     update add n{number}.{ZONE} 300 A 192.0.2.{number}"
                );
                if number > LIFE {
                    lines += &format!("\nupdate delete n{}.{ZONE} A", number - LIFE);
                }
                named.update(ZONE, &lines).expect("an update");
                if number % 10 == 0 {
                    // From time to time it comes to rest.
                    edge.wait_for_zone(ZONE, number, DEADLINE).expect("the change at the edge");
                }
            }
            edge.wait_for_zone(ZONE, CHANGES, DEADLINE).expect("the last change");
        }));
        ending.store(true, Ordering::Relaxed);
        let asked = watching.map(|thread| thread.join().expect("a client")).iter().sum();
        changed.expect("changes");
        asked
    });
    let by_kernel = Asked::of(&edge).answered - before;
    println!("{asked} questions, {by_kernel} answered by the kernel lane");
    assert!(by_kernel > 0, "{:#}", Asked::of(&edge).all);
    let mut id = 0;
    assert_eq!(version(&socket(scene.client()), &mut id), CHANGES);
}
