//! What real routers sent: UPDATEs recorded between 1999 and 2010, a full table of 2000, and both with octets changed at
//! random. None of it costs memory or ends the daemon; what is whole costs no session.

use std::net::Ipv4Addr;

use parapet_lab::scripted_router::message::{Open, UPDATE, message};
use parapet_tests::{Random, mrt};

use crate::scene::{count, wait_for_neighbour};
use crate::scripted_scene::{OWN_AS, ScriptedScene, scripted};

/// See data/README.md.
const RECORDED: [&[u8]; 3] = [
    include_bytes!("../../data/bgp/updates.19991214.1621.gz"),
    include_bytes!("../../data/bgp/updates.20001104.0124.gz"),
    include_bytes!("../../data/bgp/updates.20100227.1600.gz"),
];
const TABLE: &[u8] = include_bytes!("../../data/bgp/bview.20000111.0032.gz");
/// The attributes of what is kept to be shown, buffers, and what the allocator holds back.
const GROWTH_BYTES_MAX: u64 = 16 << 20;
/// Sessions that are sent UPDATEs with octets changed, and how many each.
const SESSIONS: u8 = 30;
/// See [`SESSIONS`].
const MUTATIONS_OF_SESSION: usize = 200;
const SEED: u64 = 4271;

fn open(four_octet_as: bool) -> Open {
    Open { four_octet_as, ..Open::new(OWN_AS, Ipv4Addr::new(10, 0, 0, 1)) }
}

/// Sends them all over one session, and waits until all have been counted.
fn replay(scene: &ScriptedScene, updates: &[mrt::Update]) {
    for four_octet_as in [false, true] {
        let of_kind: Vec<&mrt::Update> =
            updates.iter().filter(|update| update.four_octet_as == four_octet_as).collect();
        if of_kind.is_empty() {
            continue;
        }
        let mut session = scene.establish_as(0, &open(four_octet_as));
        for update in &of_kind {
            session.send(&message(UPDATE, &update.body)).expect("the session takes it");
        }
        let shown = wait_for_neighbour(&scene.edge, &scripted(0), "all of them counted", |neighbour| {
            count(&neighbour["received"]["updates"]) >= of_kind.len() as u64
        });
        assert_eq!(shown["state"], "established", "{shown:#}");
        assert!(count(&shown["received"]["announced"]) > of_kind.len() as u64 / 4, "{shown:#}");
    }
}

#[test]
fn recorded_updates() {
    let scene = ScriptedScene::new("recorded", 1);
    let mut peak = 0;
    let before = scene.edge.process().own_bytes();
    for file in RECORDED {
        let updates = mrt::updates(file);
        assert!(updates.len() > 200, "{} updates", updates.len());
        replay(&scene, &updates);
        peak = peak.max(scene.edge.process().own_bytes());
    }
    assert!(peak < before + GROWTH_BYTES_MAX, "from {before} to {peak} bytes");
    scene.check_others();
}

#[test]
fn a_full_table() {
    let scene = ScriptedScene::new("table", 1);
    let table = mrt::table(TABLE);
    let before = scene.edge.process().own_bytes();
    replay(&scene, &table);
    let peak = scene.edge.process().own_bytes();
    assert!(peak < before + GROWTH_BYTES_MAX, "from {before} to {peak} bytes");
    scene.check_others();
}

/// Octets changed, cut off, repeated: whatever comes of it, the daemon and the other session go on, and the next session
/// comes up.
#[test]
fn mutated_updates() {
    let scene = ScriptedScene::new("mutated", SESSIONS);
    let recorded: Vec<mrt::Update> =
        mrt::updates(RECORDED[2]).into_iter().filter(|update| update.four_octet_as).collect();
    let before = scene.edge.process().own_bytes();
    let mut random = Random::new(SEED);
    for number in 0..SESSIONS {
        let mut session = scene.establish(number);
        // Until the other side closes.
        for _ in 0..MUTATIONS_OF_SESSION {
            let mut body = random.pick(&recorded).body.clone();
            for _ in 0..=random.below(3) {
                mutate(&mut body, &mut random);
            }
            if session.send(&message(UPDATE, &body)).is_err() {
                break;
            }
        }
    }
    // Most are so wrong in the end that the session goes; all come back.
    for number in 0..SESSIONS {
        wait_for_neighbour(&scene.edge, &scripted(number), "the end of the session", |shown| {
            shown["flaps"].as_u64().is_some_and(|flaps| flaps > 0)
        });
    }
    let mut session = scene.establish(0);
    session.send(&message(UPDATE, &recorded[0].body)).expect("a right one");
    wait_for_neighbour(&scene.edge, &scripted(0), "it counted", |shown| count(&shown["received"]["updates"]) == 1);
    let peak = scene.edge.process().own_bytes();
    assert!(peak < before + GROWTH_BYTES_MAX, "from {before} to {peak} bytes");
    scene.check_others();
}

fn mutate(body: &mut Vec<u8>, random: &mut Random) {
    if body.is_empty() {
        return;
    }
    let at = random.below(body.len());
    match random.below(8) {
        0 => body.truncate(at),
        1 => body.extend_from_within(at..),
        _ => body[at] = random.number() as u8,
    }
    // Longer than any message may be is another test.
    body.truncate(4000);
}
