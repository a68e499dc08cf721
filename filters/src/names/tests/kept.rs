//! What was learned outlives a restart, and what is set by hand counts for more.

use super::*;
use crate::{Learned, names::CELLS};

fn zones(world: &World) -> [(ZoneNumber, NameRef<'_>); 1] {
    [(ZONE, world.apex.as_ref())]
}

#[test]
fn baselines_and_known_good_sources_come_back_after_a_restart() {
    let before = World::warm(60);
    let unix_s = 1_800_000_060;
    let file = before.filters.learned(&zones(&before), before.now(), unix_s).encode();
    let learned = Learned::decode(&file).unwrap();
    assert_eq!((learned.zones.len(), learned.known_good.len()), (1, RESOLVERS as usize));

    let filters = Arc::new(Filters::new(&Defences::default(), [3, 4]));
    let mut after = World { lane: filters.lane(), filters, us: 5_000_000, ..World::new(&Defences::default()) };
    // Another process gives the zone another number.
    after.filters.learn(&learned, &zones(&after), after.now(), unix_s + 10);
    assert_eq!(
        after.filters.status(after.now()).node.queries.learned,
        before.filters.status(before.now()).node.queries.learned
    );

    let start_us = after.us;
    after.run(1000, 200_000, |random, _| Query {
        source: random.source(),
        qname: name("h1.example.com"),
        qtype: Rtype::A,
    });
    let armed_ms = (after.random_source_armed_us.unwrap() - start_us) / 1000;
    assert!(armed_ms <= 105, "armed after {armed_ms} ms, without seeing normal traffic first");
    assert_eq!(after.real.served, after.real.asked, "{:?}", after.real);
    let again = after.filters.learned(&zones(&after), after.now(), unix_s + 11);
    assert_eq!(again.zones[0].apex, learned.zones[0].apex);
    assert!((again.zones[0].queries.per_s - learned.zones[0].queries.per_s).abs() < 100.0);
}

#[test]
fn zones_that_are_not_here_are_left_out_and_those_that_share_a_cell_are_added() {
    let world = World::warm(20);
    let mut learned = world.filters.learned(&zones(&world), world.now(), 0);
    let mut other = learned.zones[0].clone();
    other.apex = wire::NameBox::from(&name("example.org"));
    learned
        .zones
        .extend([other.clone(), crate::LearnedZone { apex: wire::NameBox::from(&name("gone.test")), ..other }]);
    let (com, org) = (name("Example.com"), name("example.org"));
    let shared = [(ZoneNumber(7), com.as_ref()), (ZoneNumber(7 + CELLS as u32), org.as_ref())];
    let filters = Filters::new(&Defences::default(), [3, 4]);
    filters.learn(&learned, &shared, world.now(), 0);
    let again = filters.learned(&shared, world.now(), 0);
    assert_eq!(again.zones.len(), 2);
    assert_eq!(again.zones[0].queries, learned.zones[0].queries);
    assert_eq!(again.zones[1].no_names, learned.zones[1].no_names);
}

#[test]
fn a_normal_rate_that_was_set_by_hand_counts() {
    let mut world = World::new(&Defences { normal_per_s: Some(10_000), ..Defences::default() });
    world.filters.set_normal_by_hand(&vec![(ZONE, 300)]);
    world.run(20_000, 0, |_, _| unreachable!());
    let status = world.filters.status(world.now());
    assert_eq!((status.node.queries.normal_per_s, status.node.by_hand), (10_000.0, true));
    assert_eq!((status.zones[0].queries.normal_per_s, status.zones[0].by_hand), (300.0, true));
    let attack =
        |random: &mut Random, _| Query { source: random.source(), qname: name("h1.example.com"), qtype: Rtype::A };
    world.run(2000, 400_000, attack);
    assert_eq!(world.random_source_armed_us, None, "below fifty times what is normal by hand");
    world.run(500, 600_000, attack);
    assert!(world.random_source_armed_us.is_some());
}
