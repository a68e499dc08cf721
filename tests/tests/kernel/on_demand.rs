//! Zones that are filled on demand: the kernel lane counts the TTLs of an origin's answer down as the sockets do, and when their
//! time is over it has nothing to say any more; and it keeps away what would be too much for the origin.

use std::time::{Duration, Instant};

use parapet_lab::scripted::Scripted;
use parapet_lab::{Edge, Rtype, dns, until};
use parapet_tests::ask;

use crate::message::Message;
use crate::scene::{Asked, Client, DEADLINE, Scene, metrics, required, samples};

const ZONE: &str = "od.test";
/// Answers live so long.
const TTL_S: u32 = 4;

/// With these items of the zone, and those of its `on_demand`, whatever follows them.
fn before_scripted(name: &str, zone: &str, on_demand: &str) -> (Scene, Scripted, Edge) {
    let scene = Scene::new(name);
    let origin = Scripted::start(scene.host("origin"), &[ZONE]).expect("a scripted origin");
    let zone = format!(
        "[origin.first]\naddresses = [\"{}\"]\n[zone.\"{ZONE}\"]\norigins = [\"first\"]\nmode = \"on-demand\"\n{zone}\n\
         [zone.\"{ZONE}\".on_demand]\n{on_demand}\n",
        origin.v4()
    );
    let edge = scene.build(&required(), &zone).start().expect("parapet");
    (scene, origin, edge)
}

fn asker(client: Client<'_>) -> dns::Client {
    dns::Client::new(client.namespace, client.server).expect("a client")
}

/// What an answer is of: the number of the question at the origin, or of its SOA; and the TTL that is left.
fn look(client: &mut dns::Client, name: &str) -> (Option<u32>, u32) {
    let reply = client.ask_once(name, Rtype::TXT, DEADLINE).unwrap_or_else(|| panic!("no answer to {name}"));
    let record = reply.answers.first().or(reply.authority.first());
    let record = record.unwrap_or_else(|| panic!("{name}: no record, RCODE {}", reply.rcode));
    (reply.texts().first().and_then(|text| text.parse().ok()), record.ttl_s)
}

/// The TTL is the same as by the sockets at the same time: asked before and after, they bound it. At its end the origin is asked
/// again, not sooner and not later.
#[test]
fn ttls_count_down_as_by_the_sockets() {
    let (scene, origin, edge) = before_scripted("kernel-ttl", "", "prefetch = false");
    origin.set_ttl_s(TTL_S);
    origin.set_negative_ttl_s(TTL_S);
    let (mut above, mut below) = (asker(scene.other()), asker(scene.client()));
    for name in ["www.od.test", "nx1.od.test", "empty.od.test", "alias.od.test"] {
        let before = Asked::of(&edge).answered;
        let (number, first) = look(&mut above, name);
        assert_eq!(first, TTL_S, "{name}");
        let begun = Instant::now();
        let mut ttls = Vec::new();
        while origin.count_of(name) == 1 {
            let earlier = look(&mut above, name);
            let between = look(&mut below, name);
            let later = look(&mut above, name);
            if origin.count_of(name) > 1 {
                break;
            }
            assert_eq!([earlier.0, between.0, later.0], [number; 3], "{name}");
            assert!(earlier.1 >= between.1 && between.1 >= later.1, "{name}: {earlier:?}, {between:?}, {later:?}");
            ttls.push(between.1);
            assert!(begun.elapsed() < DEADLINE, "{name}: {} s left after {:?}", later.1, begun.elapsed());
            std::thread::sleep(Duration::from_millis(5));
        }
        ttls.dedup();
        println!("{name}: {ttls:?}, {} answered by the kernel lane", Asked::of(&edge).answered - before);
        assert!(ttls.is_sorted_by(|a, b| a > b), "{name}: {ttls:?}");
        assert!(begun.elapsed() >= Duration::from_secs(u64::from(TTL_S) - 1), "{name}: asked again too soon");
        assert!(Asked::of(&edge).answered > before, "{name}: {:#}", Asked::of(&edge).all);
        assert_eq!(origin.count_of(name), 2, "{name}");
    }
}

/// What the kernel lane has of an answer, nobody gets any more once a purge is acknowledged.
#[test]
fn what_is_purged_is_gone_below_too() {
    let (scene, origin, edge) = before_scripted("kernel-purge", "", "prefetch = false");
    let (mut above, mut below) = (asker(scene.other()), asker(scene.client()));
    let name = "www.od.test";
    for round in 1..=20 {
        let number = look(&mut above, name).0;
        let before = Asked::of(&edge).answered;
        assert_eq!(look(&mut below, name).0, number, "round {round}");
        assert_eq!(look(&mut below, name).0, number, "round {round}");
        parapet_lab::until("an answer by the kernel lane", DEADLINE, || {
            (Asked::of(&edge).answered > before).then_some(())
        })
        .unwrap_or_else(|error| panic!("round {round}: {error}: {:#}", Asked::of(&edge).all));
        edge.ask(&["purge", name]).expect("a purge");
        let another = look(&mut below, name).0;
        assert!(another > number, "round {round}: {another:?} after {number:?} was purged");
    }
    assert_eq!(origin.count_of(name), 21, "once a round, and after the last");
}

/// Asked for so often that it is fetched before its end, an answer is renewed though the kernel lane gives it.
#[test]
fn what_is_in_demand_is_fetched_before_it_ends() {
    let (scene, origin, edge) = before_scripted("kernel-prefetch", "", "");
    // With half a second to go nobody fetches ahead: the least TTL for it is a setting.
    origin.set_ttl_s(20);
    let mut below = asker(scene.client());
    let name = "hot.od.test";
    let first = look(&mut below, name).0;
    let begun = Instant::now();
    let mut least = u32::MAX;
    loop {
        let (number, ttl_s) = look(&mut below, name);
        if number != first {
            break;
        }
        least = least.min(ttl_s);
        assert!(begun.elapsed() < DEADLINE, "never renewed");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(least > 0, "it was renewed before its end");
    assert_eq!(origin.count_of(name), 2);
    assert!(Asked::of(&edge).answered > 0, "{:#}", Asked::of(&edge).all);
}

/// Questions for names that nobody knows.
const RANDOM_NAMES: u16 = 6000;
/// So many are sent at once, this long after those before.
const BURST: u16 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// Of a flood of names that the origin would have to be asked for hardly any reaches the sockets; what is at hand is answered to
/// the same client.
#[test]
fn a_flood_of_misses_ends_below() {
    // The node as a whole is not armed, and the client may ask for as much as it likes.
    let defences = "[node.@NODE@.defences]\nnormal_per_s = 1000000\nclient_per_s = 1000000\nprefix_per_s = 1000000";
    let settings = format!("prefetch = false\n{defences}");
    let (scene, origin, edge) = before_scripted("kernel-misses", "normal_per_s = 10", &settings);
    origin.set_ttl_s(3600);
    look(&mut asker(scene.other()), "www.od.test");
    let of_misses = || samples(&metrics(&edge), "parapet_dropped_total", &["\"miss\""]).sum::<f64>() as u64;
    let below = || Asked::of(&edge).all["dropped"].as_u64().expect("a number");
    assert_eq!((of_misses(), below()), (0, 0));
    scene.client().at(|| {
        let socket = ask::connected(scene.client().server);
        for number in 0..RANDOM_NAMES {
            let label = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
            let message = Message::new(&format!("{label:x}.{ZONE}"), wire::Rtype::A).to_bytes(number);
            socket.send(&message).expect("a question that leaves");
            if number.is_multiple_of(BURST) {
                std::thread::sleep(PAUSE);
            }
        }
    });
    let mut last = (0, 0);
    let dropped = until("the kernel lane to drop them, for the same reason as the sockets do", DEADLINE, || {
        last = (below(), of_misses());
        (last.0 > u64::from(RANDOM_NAMES) * 8 / 10 && last.1 >= last.0).then_some(())
    });
    dropped.unwrap_or_else(|error| panic!("{error}: {last:?}, {:#}", Asked::of(&edge).all));
    println!("{last:?} dropped below and in all, {} asked of the origin", origin.count() - 1);
    assert!(origin.count() < u32::from(RANDOM_NAMES) / 5, "{} questions to the origin", origin.count());
    assert_eq!(look(&mut asker(scene.client()), "www.od.test").0, Some(1), "what is at hand is answered");
}
