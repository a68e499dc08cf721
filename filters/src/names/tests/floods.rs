//! What is armed by which flood, and that the real clients beside it do not notice.

use super::*;

const TIMES: [u64; 4] = [25, 60, 100, 200];

fn armed_suffix(world: &World) -> Vec<String> {
    let armed = world.events.iter().filter(|event| event.phase == Phase::Armed);
    armed
        .filter_map(|event| match &event.scope {
            crate::Scope::Suffix(name) => Some(name.to_string()),
            _ => None,
        })
        .collect()
}

#[test]
fn normal_traffic_arms_nothing_and_is_served() {
    let world = World::warm(60);
    assert_eq!(world.events, []);
    assert_eq!((world.real.served, world.real.lost, world.real.penalised), (world.real.asked, 0, 0));
    let status = world.filters.status(world.now());
    assert!((1900.0..2100.0).contains(&status.node.queries.normal_per_s), "{status:?}");
    assert!((1900.0..2100.0).contains(&status.zones[0].queries.learned.per_s), "{status:?}");
    assert!((30.0..50.0).contains(&status.zones[0].no_names.per_s), "{status:?}");
    assert!(world.filters.names.memory_bytes() < 12 << 20);
}

#[test]
fn random_sources_arm_above_their_threshold_within_a_tenth_of_a_second() {
    for times in TIMES {
        let mut world = World::warm(20);
        let (start_us, names) = (world.us, world.names.clone());
        let flood = world.run(1500, times * NORMAL_PER_S, |random, n| Query {
            source: random.source(),
            qname: names[n as usize % NAMES],
            qtype: Rtype::A,
        });
        let after_ms = world.random_source_armed_us.map(|us| (us - start_us) / 1000);
        match times {
            ..50 => assert_eq!(after_ms, None, "{times}"),
            _ => {
                assert!(after_ms.is_some_and(|ms| ms <= 105), "{times}: {after_ms:?}");
                assert!(flood.served < flood.asked / 20, "{times}: {flood:?}");
            }
        }
        assert_eq!((world.real.lost, world.real.penalised), (0, 0), "{times}: {:?}", world.real);
        let memory = world.filters.memory_bytes();
        world.run(13_000, 0, |_, _| unreachable!());
        assert!(!world.filters.names.random_source_armed());
        assert_eq!(world.real.served, world.real.asked, "{times}: {:?}", world.real);
        let told = [Phase::Armed, Phase::Rested].map(|phase| world.count(Defence::RandomSource, phase));
        assert_eq!(told, if times < 50 { [0, 0] } else { [1, 1] }, "{times}");
        assert_eq!(world.filters.memory_bytes(), memory);
    }
}

#[test]
fn an_armed_defence_is_told_with_its_rate_and_what_is_normal() {
    let mut world = World::warm(20);
    world.run(2000, 200_000, |random, _| Query {
        source: random.source(),
        qname: name("h1.example.com"),
        qtype: Rtype::A,
    });
    let armed = world.events.iter().find(|event| event.defence == Defence::RandomSource).unwrap();
    assert!((150_000.0..210_000.0).contains(&armed.per_s), "{armed:?}");
    assert!((1900.0..2100.0).contains(&armed.normal_per_s), "{armed:?}");
}

#[test]
fn random_names_from_random_sources_are_found_and_existing_names_go_on() {
    for times in [1].into_iter().chain(TIMES) {
        let mut world = World::warm(20);
        let flood = world.run(2000, times * NORMAL_PER_S, |random, _| Query {
            source: random.source(),
            qname: name(&format!("{}.example.com", random.label())),
            qtype: Rtype::A,
        });
        assert_eq!(armed_suffix(&world), ["example.com."], "{times}");
        assert!(flood.served < flood.asked / 10, "{times}: {flood:?}");
        assert!(flood.slipped <= flood.asked / 2, "{times}: {flood:?}");
        assert_eq!(world.real.served, world.real.asked, "{times}: {:?}", world.real);
        let status = world.filters.status(world.now());
        if times < 50 {
            assert!((status.suffixes[0].failed_per_s / (times * NORMAL_PER_S) as f64 - 1.0).abs() < 0.1, "{status:?}");
        }
        world.run(15_000, 0, |_, _| unreachable!());
        assert_eq!(world.count(Defence::RandomName, Phase::Rested), 1, "{times}");
        assert_eq!(world.suffixes(), [""; 0]);
    }
}

/// Each of 2,000 resolvers, of which the real clients are some, stays below any limit of a source.
#[test]
fn random_names_through_resolvers_are_worth_less_and_existing_names_are_not() {
    for times in [25, 100] {
        let mut world = World::warm(20);
        world.know((0..2000).map(resolver));
        let flood = world.run(3000, times * NORMAL_PER_S, |random, _| Query {
            source: resolver(random.below(2000) as u32),
            qname: name(&format!("{}.sub.example.com", random.label())),
            qtype: Rtype::A,
        });
        assert_eq!(armed_suffix(&world), ["sub.example.com."], "{times}");
        let counted = world.filters.counts().effect(config::Filter::RandomName, crate::Effect::Penalised);
        assert!(counted > flood.asked * 9 / 10, "{times}: {counted} of {flood:?}");
        assert_eq!(world.random_source_armed_us, None, "known sources are no random ones");
        let real = world.real;
        assert_eq!((real.lost, real.penalised), (0, 0), "{times}: {real:?}");
        assert_eq!(real.served + real.later, real.asked, "{times}: {real:?}");
    }
}

#[test]
fn one_suffix_is_attacked_and_names_beside_it_are_not_touched() {
    let mut world = World::warm(20);
    let attack = |random: &mut Random, _| Query {
        source: random.source(),
        qname: name(&format!("a.b.{}.shop.example.com", random.label())),
        qtype: Rtype::A,
    };
    world.run(2000, 25 * NORMAL_PER_S, attack);
    let stranger = |qname: &str| Query { source: IpAddr::from([192, 0, 2, 77]), qname: name(qname), qtype: Rtype::A };
    for existing in ["h1.example.com", "typo1.example.com", "nothing.mail.example.com"] {
        let query = stranger(existing);
        assert_eq!(world.ask(&query, Proof::None), (Verdict::Serve, 0), "{existing}");
    }
    let below = stranger("nothing.shop.example.com");
    assert!((0..4).any(|_| world.ask(&below, Proof::None).0 != Verdict::Serve));
    assert_eq!(world.ask(&below, Proof::Stream).0, Verdict::Serve, "a proven source");
}

#[test]
fn nobody_is_reflected_at() {
    let victims: [fn(u64) -> IpAddr; 3] =
        [|_| IpAddr::from([203, 0, 113, 7]), |n| IpAddr::from([203, 0, 113, n as u8]), |n| ipv6(n % 4096)];
    for (victim, (one_name, per_s_max)) in
        victims.into_iter().flat_map(|victim| [(true, 50), (false, 1000)].map(|it| (victim, it)))
    {
        let mut world = World::warm(20);
        let names = world.names.clone();
        let flood = |world: &mut World, ms| {
            world.run(ms, 20_000, |_, n| Query {
                source: victim(n),
                qname: names[if one_name { 0 } else { n as usize % NAMES }],
                qtype: Rtype(255),
            })
        };
        flood(&mut world, 3000);
        let flood = flood(&mut world, 4000);
        assert!(flood.served <= 4 * per_s_max * 21 / 20, "{one_name}: {flood:?}");
        assert!(flood.slipped <= flood.asked / 2, "{one_name}: {flood:?}");
        assert_eq!(world.real.served, world.real.asked, "{one_name}: {:?}", world.real);
    }
}

#[test]
fn a_known_good_victim_gets_truncated_answers_alone() {
    let mut world = World::warm(20);
    let flood =
        world.run(4000, 1500, |_, _| Query { source: resolver(3), qname: name("h1.example.com"), qtype: Rtype(255) });
    assert!(flood.served <= 6 * 50 + 100, "{flood:?}");
    assert_eq!(world.real.lost, 0);
}

#[test]
fn slip_0_and_3_are_as_said() {
    for (slip, part) in [(0, 0.0), (1, 1.0), (3, 1.0 / 3.0)] {
        let mut world = World::new(&Defences { slip, ..Defences::default() });
        // The victim's /24 sends from all its addresses, so that no limit of a source is reached.
        let flood = world.run(4000, 900, |_, n| Query {
            source: IpAddr::from([203, 0, 113, n as u8]),
            qname: name("h1.example.com"),
            qtype: Rtype(255),
        });
        let withheld = (flood.slipped + flood.dropped) as f64;
        assert!((flood.slipped as f64 / withheld - part).abs() < 0.03, "{slip}: {flood:?}");
    }
}

/// Everybody asks for the same few names: known resolvers and new ones, each once in the TTL for each name.
#[test]
fn a_flash_crowd_loses_nobody() {
    for times in [50, 100] {
        let mut world = World::warm(20);
        let names: Vec<Name> = world.names[..20].to_vec();
        let (ttl_us, rise_ms) = (5_000_000, 3000);
        let mut asked = HashMap::new();
        let (mut crowd, mut waiting) = (Tally::default(), VecDeque::new());
        for ms in 0..4000u64 {
            let us = world.us;
            let mut queries = Vec::new();
            while waiting.front().is_some_and(|(at, _): &(u64, Query)| *at <= us) {
                queries.extend(waiting.pop_front().map(|(_, query)| query));
            }
            let due = times * NORMAL_PER_S * ms.min(rise_ms) / rise_ms / 1000;
            for _ in 0..due * 2 {
                // Some resolvers have many more clients than others; a third of the clients have a known one.
                let part = world.random.part() * world.random.part();
                let source = match world.random.below(3) {
                    0 => resolver((part * f64::from(RESOLVERS)) as u32),
                    _ => IpAddr::V4(Ipv4Addr::from_bits(0x1800_0000 + (part * 200_000.0) as u32 * 257)),
                };
                let number = world.random.below(20) as usize;
                let last = asked.entry((source, number)).or_insert(0);
                if us >= *last + ttl_us && queries.len() < due as usize {
                    *last = us;
                    queries.push(Query { source, qname: names[number], qtype: Rtype::A });
                }
            }
            for query in queries {
                let (verdict, penalty) = world.ask(&query, Proof::None);
                crowd.count(verdict, penalty);
                match verdict {
                    Verdict::Serve => {}
                    Verdict::Slip(_) => assert_eq!(world.ask(&query, Proof::Stream).0, Verdict::Serve),
                    Verdict::Drop(_) => waiting.push_back((us + 400_000, query)),
                }
            }
            world.run(1, 0, |_, _| unreachable!());
        }
        eprintln!(
            "{times} {crowd:?} {:?} {:?}",
            world.filters.counts().first_seen,
            world.filters.status(world.now()).node
        );
        assert_eq!(world.random_source_armed_us, None, "{times}");
        assert_eq!(crowd.served, crowd.asked, "{times}: {crowd:?}");
        assert_eq!(world.real.served, world.real.asked, "{times}: {:?}", world.real);
        assert_eq!(world.suffixes(), [""; 0]);
    }
}

#[test]
fn who_only_observes_withholds_nothing() {
    let mut world = World::new(&Defences { mode: config::DefenceMode::Observe, ..Defences::default() });
    world.run(20_000, 0, |_, _| unreachable!());
    let flood = world.run(2000, 200_000, |random, _| Query {
        source: random.source(),
        qname: name(&format!("{}.example.com", random.label())),
        qtype: Rtype::A,
    });
    assert_eq!(flood.served, flood.asked);
    let counts = world.filters.counts();
    let would = counts.effect(config::Filter::UnknownSource, crate::Effect::WouldDrop);
    assert!(would > flood.asked * 8 / 10, "{would} of {flood:?}");
    assert_eq!(world.count(Defence::RandomSource, Phase::Armed), 1);
    assert_eq!(world.count(Defence::RandomName, Phase::Armed), 1);
}

#[test]
fn what_is_off_arms_nothing() {
    let mut world = World::new(&Defences { mode: config::DefenceMode::Off, ..Defences::default() });
    world.run(5000, 0, |_, _| unreachable!());
    let flood = world.run(2000, 200_000, |random, _| Query { source: random.source(), ..Query::some() });
    assert_eq!((flood.served, world.events.len()), (flood.asked, 0));
}

/// A node that was never asked before is flooded at once: it learns nothing from that.
#[test]
fn a_flood_in_the_first_seconds_of_a_node_does_not_become_normal() {
    let mut world = World::new(&Defences::default());
    let flood = world.run(20_000, 100_000, |random, _| Query { source: random.source(), ..Query::some() });
    assert!(world.random_source_armed_us.is_some());
    assert!(flood.served < flood.asked / 3, "{flood:?}");
    assert_eq!(world.real.lost, 0);
    let normal = world.filters.status(world.now()).node.queries.normal_per_s;
    assert!((1000.0..5000.0).contains(&normal), "{normal}");
}

impl Query {
    fn some() -> Query {
        Query { source: resolver(1), qname: name("h1.example.com"), qtype: Rtype::A }
    }
}
