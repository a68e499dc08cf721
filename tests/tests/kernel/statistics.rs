//! What is counted is what clients saw, packet for packet, whether the kernel lane or the sockets answered, slipped or dropped.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::Duration;

use parapet_lab::{Edge, until, zone_text};
use parapet_tests::ask;
use serde_json::Value;
use wire::Rtype;

use crate::message::{DO, Message, option};
use crate::scene::{Asked, Client, DEADLINE, Scene, ZONE, metrics, required, samples};

/// Questions of each client.
const QUESTIONS: u16 = 3_000;
/// So many are sent before answers are taken: the receive buffer has room for them.
const BURST: u16 = 50;
/// No answer for so long after the last question: there are no more.
const QUIET: Duration = Duration::from_millis(500);
/// The TC bit, in the third octet of an answer.
const TC: u8 = 2;

/// What a client sent and got.
#[derive(Debug, Default)]
struct Seen {
    sent: u64,
    received: u64,
    bytes: u64,
    truncated: u64,
    by_rcode: BTreeMap<u8, u64>,
}

/// Names that exist and names that don't, types that are there and types that aren't, and now and then what is passed up.
fn question(number: u16) -> Message {
    let name = match number % 6 {
        0 | 1 => "www.example.com".to_owned(),
        2 => "mail.example.com".to_owned(),
        3 => format!("nowhere{}.example.com", number % 40),
        4 => "a.wild.example.com".to_owned(),
        _ => "sub.example.com".to_owned(),
    };
    let message = Message::new(&name, if number.is_multiple_of(7) { Rtype::TXT } else { Rtype::A });
    match number % 10 {
        0..=4 => message,
        5..=8 => message.opt(1232, DO, &[]),
        _ => message.opt(1232, 0, &option(65_001, b"?")),
    }
}

fn ask_many(client: Client<'_>) -> Seen {
    client.at(|| {
        let socket = ask::connected(client.server);
        let mut seen = Seen::default();
        for number in 0..QUESTIONS {
            socket.send(&question(number).to_bytes(number)).expect("a question that leaves");
            seen.sent += 1;
            if number.is_multiple_of(BURST) {
                take(&socket, &mut seen, Duration::from_millis(2));
            }
        }
        take(&socket, &mut seen, QUIET);
        seen
    })
}

fn take(socket: &UdpSocket, seen: &mut Seen, quiet: Duration) {
    socket.set_read_timeout(Some(quiet)).expect("a timeout");
    let mut buffer = [0; 4096];
    while let Ok(length) = socket.recv(&mut buffer) {
        seen.received += 1;
        seen.bytes += length as u64;
        seen.truncated += u64::from(buffer[2] & TC != 0);
        *seen.by_rcode.entry(buffer[3] & 15).or_default() += 1;
    }
}

/// Counters of the edge: of each name and labels that are told apart here.
fn counters(edge: &Edge) -> BTreeMap<&'static str, f64> {
    let text = metrics(edge);
    let sum = |begins: &str, contains: &[&str]| samples(&text, begins, contains).sum::<f64>();
    BTreeMap::from([
        ("IPv4", sum("parapet_queries_total", &["udp", "ipv4"])),
        ("IPv6", sum("parapet_queries_total", &["udp", "ipv6"])),
        ("dropped", sum("parapet_dropped_total", &[])),
        ("truncated", sum("parapet_responses_truncated_total", &[])),
        ("bytes", sum("parapet_response_bytes_total", &[])),
        ("NOERROR", sum("parapet_responses_total", &["\"NOERROR\""])),
        ("NXDOMAIN", sum("parapet_responses_total", &["\"NXDOMAIN\""])),
        ("all", sum("parapet_responses_total", &[])),
    ])
}

/// Without limits everything is answered; with narrow ones much is slipped and dropped. Either way the sums are the same.
#[test]
fn counters_are_what_clients_saw() {
    for (name, defences) in [("kernel-counted", "mode = \"off\""), ("kernel-limited", LIMITS)] {
        let scene = Scene::new(name);
        let _origin = scene.origin(zone_text::small(ZONE));
        let edge = scene.edge(&required(), &format!("[node.@NODE@.defences]\n{defences}\n"));
        // What is at hand below is what was asked for above.
        (0..120).for_each(|number| drop(scene.other().exchange(&question(number).to_bytes(number))));
        let (before, asked_before) = (counters(&edge), Asked::of(&edge));
        let seen = [scene.client(), scene.client_v6()].map(ask_many);
        let total = |what: fn(&Seen) -> u64| seen.iter().map(what).sum::<u64>() as f64;
        let of_rcode = |rcode: u8| seen.iter().map(|seen| seen.by_rcode.get(&rcode).copied().unwrap_or(0)).sum::<u64>();
        let wanted = BTreeMap::from([
            ("IPv4", seen[0].sent as f64),
            ("IPv6", seen[1].sent as f64),
            ("dropped", total(|seen| seen.sent - seen.received)),
            ("truncated", total(|seen| seen.truncated)),
            ("bytes", total(|seen| seen.bytes)),
            ("NOERROR", of_rcode(0) as f64),
            ("NXDOMAIN", of_rcode(3) as f64),
            ("all", total(|seen| seen.received)),
        ]);
        let mut last = BTreeMap::new();
        let counted = until("the counters to be those of the clients", DEADLINE, || {
            let after = counters(&edge);
            last = after.iter().map(|(name, number)| (*name, number - before[name])).collect();
            (last == wanted).then_some(())
        });
        counted.unwrap_or_else(|error| panic!("{name}: {error}: {last:#?}, clients saw {wanted:#?}"));
        let by_kernel = Asked::of(&edge).answered - asked_before.answered;
        println!("{name}: {wanted:?}, {by_kernel} answered by the kernel lane");
        assert!(by_kernel > 0, "{name}: {:#}", Asked::of(&edge).all);
        if defences == LIMITS {
            assert!(wanted["dropped"] > 0.0 && wanted["truncated"] > 0.0, "no limit was reached: {wanted:?}");
            let below = Asked::of(&edge).all["dropped"].as_u64();
            assert!(below.is_some_and(|dropped| dropped > 0), "nothing was dropped below: {:#}", Asked::of(&edge).all);
        }
    }
}

const LIMITS: &str = "client_per_s = 100\nresponses_per_s = 20";

/// Samples of what the kernel lane answers come to `parapet top`, with the weight that makes shares of them.
#[test]
fn the_kernel_lanes_queries_are_in_top() {
    let scene = Scene::new("kernel-top");
    let _origin = scene.origin(zone_text::small(ZONE));
    let edge = scene.edge(&required(), "[node.@NODE@.defences]\nmode = \"observe\"\n");
    let message = Message::new("www.example.com", Rtype::A).to_bytes(1);
    let has = |top: &Value, kind: &str, key: &str| {
        let rows = top[kind].as_array().expect("rows");
        rows.iter().any(|row| row["key"].as_str().is_some_and(|found| found.starts_with(key)))
    };
    let mut last = Value::Null;
    let before = Asked::of(&edge).answered;
    let found = until("the client, the name and the zone in top", DEADLINE, || {
        scene.client().at(|| {
            let socket = ask::connected(scene.client().server);
            (0..500).for_each(|_| drop(socket.send(&message)));
        });
        let output = edge.ask(&["top", "--json"]).expect("parapet top");
        last = serde_json::from_str(&output.stdout).expect("JSON");
        let all =
            has(&last, "sources", "10.1.0.2") && has(&last, "names", "www.example.com") && has(&last, "zones", ZONE);
        (all && Asked::of(&edge).answered > before).then_some(())
    });
    found.unwrap_or_else(|error| panic!("{error}: {last:#}"));
}
