//! Floods at a zone that is filled on demand: its origin is asked little more than usual, and for what clients really want.

use super::*;

fn warm() -> World {
    let mut world = World::on_demand(&Defences::default());
    world.run(100_000, 0, |_, _| unreachable!());
    world
}

#[test]
fn the_origin_of_a_zone_is_asked_little_more_than_usual() {
    for (times, known_sources) in [(25, true), (60, true), (100, false)] {
        let mut world = warm();
        let before = world.origin_asked;
        world.run(5000, 0, |_, _| unreachable!());
        let normal = world.origin_asked - before;
        let (before, real) = (world.origin_asked, world.real);
        let flood = world.run(5000, times * NORMAL_PER_S, |random, _| Query {
            source: if known_sources { resolver(random.below(1000) as u32) } else { random.source() },
            qname: name(&format!("{}.example.com", random.label())),
            qtype: Rtype::A,
        });
        let during = world.origin_asked - before;
        // Until it is armed everything passes: 50 ms of the flood at most twice.
        let unarmed = times * NORMAL_PER_S / 10;
        assert!(during < 3 * normal + unarmed, "{times} {known_sources}: {during}, {normal} before; {flood:?}");
        let (asked, served) = (world.real.asked - real.asked, world.real.served - real.served);
        assert!(served * 1000 >= asked * 985, "{times} {known_sources}: {served} of {asked} at first try");
        world.run(15_000, 0, |_, _| unreachable!());
        assert!(world.real.lost <= asked / 200, "{times} {known_sources}: {:?}", world.real);
        assert!(world.count(Defence::RandomName, Phase::Armed) >= 1);
        assert_eq!(world.suffixes(), [""; 0]);
    }
}

#[test]
fn misses_arm_for_node_and_zone_above_their_threshold_and_rest() {
    let mut world = warm();
    let names = world.names.clone();
    // Existing names from random sources: no random names, but more than 20 × normal.
    world.run(2000, 30 * NORMAL_PER_S, |random, n| Query {
        source: random.source(),
        qname: names[n as usize % NAMES],
        qtype: Rtype::A,
    });
    let scopes: Vec<_> =
        world.events.iter().filter(|event| event.defence == Defence::Miss).map(|it| &it.scope).collect();
    assert_eq!(scopes, [&crate::Scope::Node, &crate::Scope::Zone(ZONE)]);
    world.run(13_000, 0, |_, _| unreachable!());
    assert_eq!(world.count(Defence::Miss, Phase::Rested), 2, "{:?}", world.events);
    let status = world.filters.status(world.now());
    assert!(!status.node.miss_armed && !status.zones[0].miss_armed);
}

/// A cache that is empty asks for much, and that is no flood.
#[test]
fn a_cold_cache_is_filled() {
    let mut world = World::on_demand(&Defences::default());
    world.run(30_000, 0, |_, _| unreachable!());
    assert_eq!((world.real.served, world.events.len()), (world.real.asked, 0), "{:?}", world.events);
}
