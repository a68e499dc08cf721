//! 50,000 distinct names at one on-demand zone, as fast as a client can ask: the origin sees its budget and no more; names
//! that are cached go on being answered, and so does another zone.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parapet_lab::scripted::Scripted;
use parapet_lab::{Named, Rtype, ZoneSpec, dns, zone_text};
use parapet_tests::ask;

use super::{FILE, ZONE, number_at};
use crate::scene::{DEADLINE, Scene};

const NAMES: u32 = 50_000;
const BUDGET_PER_S: u32 = 100;
/// Names that are in the cache when the storm begins.
const CACHED: u32 = 100;
const PUSHED: &str = "pushed.test";
/// What the storm's client may have sent before it reads answers again.
const BURST: u32 = 50;

/// Sends all names; gives how many were answered, with whatever, by the time that nothing came any more.
fn storm(scene: &Scene, server: SocketAddr) -> u32 {
    let asking = || {
        let socket = ask::connected(server);
        socket.set_nonblocking(true).expect("a socket");
        let mut buffer = [0; 1500];
        let mut answered = 0;
        for number in 0..NAMES {
            let query = dns::encode_query(number as u16, &format!("s{number}.{ZONE}"), Rtype::A).expect("a query");
            let _ = socket.send(&query);
            if number % BURST == 0 {
                while socket.recv(&mut buffer).is_ok() {
                    answered += 1;
                }
            }
        }
        socket.set_nonblocking(false).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a timeout");
        while socket.recv(&mut buffer).is_ok() {
            answered += 1;
        }
        answered
    };
    scene.host("client2").enter(asking).expect("the client's namespace")
}

/// Asks for cached names and for the pushed zone until told to end; a question may be lost in the crowd and asked again,
/// as clients do, but each is answered, and well. Gives how many.
fn ask_on(scene: &Scene, server: SocketAddr, end: &AtomicBool, asked: &AtomicU32) {
    let mut client = dns::Client::new(scene.client(), server).expect("a client");
    let mut number = 0;
    while !end.load(Ordering::SeqCst) {
        let cached = format!("c{}.{ZONE}", number % CACHED);
        for (name, rtype) in [(&*cached, Rtype::TXT), ("www.pushed.test", Rtype::A)] {
            let reply = client.ask(name, rtype).unwrap_or_else(|error| panic!("{name}, in the storm: {error}"));
            assert_eq!((reply.rcode, reply.answers.len()), (0, 1), "{name}, in the storm");
            asked.fetch_add(1, Ordering::SeqCst);
        }
        number += 1;
    }
}

#[test]
fn the_origin_sees_its_budget_and_others_are_answered() {
    let scene = Scene::new("od-storm");
    let origin = Scripted::start(scene.host("origin"), &[ZONE]).expect("a scripted origin");
    let pushed = Named::at(scene.host("edge3")).notify(scene.host("edge1").v4());
    let _named = pushed.zone(ZoneSpec::text(PUSHED, zone_text::small(PUSHED))).start().expect("named");
    let file = format!(
        "{FILE}misses_per_s_max = {BUDGET_PER_S}\n[origin.second]\naddresses = [\"{}\"]\n[zone.\"{PUSHED}\"]\n\
         origins = [\"second\"]\n",
        scene.host("edge3").v4()
    );
    let edge = scene.edge_with_file(&file).start().expect("parapet");
    edge.wait_for_zone(PUSHED, 1, DEADLINE).expect("the pushed zone");
    for number in 0..CACHED {
        // Asked again where this alone is beyond the budget.
        let name = format!("c{number}.{ZONE}");
        super::ask_until(&scene, &edge, (&name, Rtype::TXT), |reply| (reply.rcode == 0).then_some(()));
    }
    assert!(number_at(&scene, &edge, "c0.od.test") > 0);

    let server = SocketAddr::new(edge.v4(), dns::PORT);
    let (end, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    let before = origin.count();
    let begun = Instant::now();
    let answered = thread::scope(|scope| {
        let others = scope.spawn(|| ask_on(&scene, server, &end, &asked));
        let answered = storm(&scene, server);
        end.store(true, Ordering::SeqCst);
        others.join().expect("the others are answered");
        answered
    });
    let took = begun.elapsed();
    let seen = origin.count() - before;
    println!(
        "{NAMES} names in {took:?}: {answered} answered, {seen} seen by the origin, {} other questions answered",
        asked.load(Ordering::SeqCst)
    );
    // A bucket may be full at the beginning: a second's worth on top.
    let budget = BUDGET_PER_S * (took.as_secs_f64().ceil() as u32 + 1);
    assert!(seen <= budget, "{seen} questions to the origin in {took:?}, its budget is {budget}");
    assert!(seen > 0, "the budget is there to be used");
    assert!(asked.load(Ordering::SeqCst) > 20, "others were asked for all the while");
    // Those in the storm are told something, all but what the sockets could not hold.
    assert!(answered > NAMES / 4, "{answered}");
    let stats = crate::scene::status(&edge, ZONE);
    assert_eq!(stats["zone"], "od.test.");
}
