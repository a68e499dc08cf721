//! A network of fleets in one process: datagrams are lost, late, doubled, in any order; the network falls apart and is whole
//! again; nodes wish to leave at any time, fail, and start anew. What must hold is looked at after every step.

use std::collections::BTreeSet;

use super::*;

const STEP: Duration = Duration::from_millis(5);

/// A generator whose every run is the same.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.below(number) == 0
    }
}

struct Node {
    fleet: Fleet,
    announces: bool,
    /// It would leave.
    wishes: bool,
    /// It neither hears nor speaks nor decides: stopped, or too busy.
    frozen: bool,
    side: u64,
}

struct World {
    nodes: Vec<Node>,
    now: Instant,
    chance: Chance,
    /// When it arrives, to whom, from whom, the bytes.
    wire: Vec<(Instant, usize, usize, Vec<u8>)>,
    nodes_min: u32,
    loss_percent: u64,
    delay_ms_max: u64,
    left: u32,
}

fn address(node: usize) -> SocketAddr {
    format!("10.0.0.{}:8179", node + 1).parse().unwrap()
}

fn name(node: usize) -> String {
    format!("node-{node:02}")
}

fn members(nodes: usize) -> Vec<FleetMember> {
    let member = |node| FleetMember { node: name(node), address: address(node), services: vec!["dns".to_owned()] };
    (0..nodes).map(member).collect()
}

impl World {
    fn new(nodes: usize, nodes_min: u32, seed: u64) -> World {
        let mut world = World {
            nodes: Vec::new(),
            now: Instant::now(),
            chance: Chance(seed | 1),
            wire: Vec::new(),
            nodes_min,
            loss_percent: 0,
            delay_ms_max: 20,
            left: 0,
        };
        for node in 0..nodes {
            let fleet = world.fleet(node, nodes);
            world.nodes.push(Node { fleet, announces: true, wishes: false, frozen: false, side: 0 });
        }
        world
    }

    fn fleet(&mut self, node: usize, nodes: usize) -> Fleet {
        let mut chance = Chance(self.chance.next() | 1);
        let seal = Some(Seal::new(b"secret"));
        let mut fleet = Fleet::new("net", &name(node), seal, Box::new(move || chance.next()), self.now);
        let service =
            Service { name: "dns".to_owned(), prefixes: Vec::new(), addresses: Vec::new(), nodes_min: self.nodes_min };
        fleet.apply(&members(nodes), &[&service]);
        fleet
    }

    /// The process ends and another starts in its place, which has not yet announced anything.
    fn restart(&mut self, node: usize) {
        let fleet = self.fleet(node, self.nodes.len());
        self.nodes[node].fleet = fleet;
        self.nodes[node].announces = false;
    }

    fn announcing(&self) -> usize {
        self.nodes.iter().filter(|node| node.announces).count()
    }

    fn step(&mut self) {
        self.now += STEP;
        let now = self.now;
        let (due, later) = self.wire.drain(..).partition(|(at, ..)| *at <= now);
        self.wire = later;
        let due: Vec<(Instant, usize, usize, Vec<u8>)> = due;
        for (_, to, from, bytes) in due {
            if !self.nodes[to].frozen && self.nodes[to].side == self.nodes[from].side {
                let _ = self.nodes[to].fleet.receive(address(from), &bytes, now);
                self.decide(to);
            }
        }
        for node in 0..self.nodes.len() {
            if !self.nodes[node].frozen {
                self.decide(node);
                self.send(node);
            }
        }
    }

    /// As the task does it: follow, act, follow.
    fn decide(&mut self, index: usize) {
        let now = self.now;
        let others = self.announcing() - usize::from(self.nodes[index].announces);
        let node = &mut self.nodes[index];
        node.tell(now);
        if node.announces && node.wishes && node.fleet.others("dns", now) == Others::Granted {
            // What all of this is for.
            assert!(others >= self.nodes_min as usize, "{} leaves and {others} are left", name(index));
            node.announces = false;
            self.left += 1;
            node.tell(now);
        }
    }

    fn send(&mut self, index: usize) {
        let now = self.now;
        for (to, bytes) in self.nodes[index].fleet.outgoing(now) {
            let to = (0..self.nodes.len()).find(|node| address(*node) == to).unwrap();
            for _ in 0..if self.chance.one_in(20) { 2 } else { 1 } {
                if self.chance.below(100) >= self.loss_percent {
                    let delay = Duration::from_millis(self.chance.below(self.delay_ms_max + 1));
                    self.wire.push((now + delay, to, index, bytes.clone()));
                }
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }
}

impl Node {
    fn tell(&mut self, now: Instant) {
        let own = OwnService { announces: self.announces, well: self.announces && !self.wishes, wishes: self.wishes };
        let services = BTreeMap::from([("dns".to_owned(), own)]);
        self.fleet.set_own(Own { state: "up".to_owned(), why: String::new(), services }, now);
    }
}

#[test]
fn nodes_hear_each_other_and_say_so() {
    let mut world = World::new(3, 1, 1);
    world.run(Duration::from_secs(1));
    for node in &world.nodes {
        let status = node.fleet.status(world.now);
        assert_eq!(status.len(), 2);
        assert!(status.iter().all(|member| member.state == "up" && member.announces == ["dns"]), "{status:?}");
        assert_eq!(node.fleet.standing_in("dns", world.now), 2);
    }
    world.nodes[0].frozen = true;
    world.run(SILENT_AFTER);
    let status = world.nodes[1].fleet.status(world.now);
    assert_eq!((status[0].state.as_str(), status[0].announces.len(), status[1].state.as_str()), ("silent", 0, "up"));
    assert_eq!(world.nodes[1].fleet.standing_in("dns", world.now), 1);
    assert_eq!(world.nodes[1].fleet.others("dns", world.now), Others::Enough);
}

#[test]
fn who_would_leave_does_so_only_in_favour_of_enough_that_are_well() {
    for (nodes, nodes_min, well) in
        [(2, 1, 1), (3, 1, 1), (5, 2, 2), (8, 3, 5), (4, 0, 0), (3, 2, 1), (3, 1, 0), (3, 3, 2)]
    {
        let mut world = World::new(nodes, nodes_min, 7);
        world.run(Duration::from_secs(1));
        world.nodes.iter_mut().skip(well).for_each(|node| node.wishes = true);
        world.run(Duration::from_secs(20));
        let expected = if well >= nodes_min as usize { well } else { nodes };
        assert_eq!(world.announcing(), expected, "{nodes} nodes, {well} are well, {nodes_min} must stay");
    }
}

#[test]
fn who_left_learns_that_the_others_are_no_better() {
    let mut world = World::new(3, 1, 23);
    world.run(Duration::from_secs(1));
    for node in 0..2 {
        world.nodes[node].wishes = true;
        world.run(Duration::from_secs(10));
        assert!(!world.nodes[node].announces);
        assert_eq!(world.nodes[0].fleet.others("dns", world.now), Others::Enough);
    }
    // The zone has gone stale everywhere, one node after the other.
    world.nodes[2].wishes = true;
    world.run(Duration::from_secs(10));
    assert!(world.nodes[2].announces);
    for node in &world.nodes {
        assert_eq!(node.fleet.others("dns", world.now), Others::TooFew);
    }
}

#[test]
fn who_is_well_is_enough_for_all_others_to_go() {
    // The last is the one with delayed input; it counts like any other.
    let mut world = World::new(5, 1, 9);
    world.run(Duration::from_secs(1));
    world.nodes.iter_mut().take(4).for_each(|node| node.wishes = true);
    let began = world.now;
    while world.announcing() > 1 {
        world.step();
        assert!(world.now - began < Duration::from_secs(20), "{} still announce", world.announcing());
    }
    assert!(world.nodes[4].announces);
}

#[test]
fn a_lonely_node_goes_on() {
    let mut world = World::new(1, 1, 3);
    world.nodes[0].wishes = true;
    world.run(Duration::from_secs(10));
    assert!(world.nodes[0].announces);
    assert_eq!(world.nodes[0].fleet.others("dns", world.now), Others::TooFew);
    let status = world.nodes[0].fleet.quota_status("dns", |_| 1.0).unwrap();
    assert_eq!((status.granted, status.remaining, status.nodes_min), (false, 0, 1));
}

#[test]
fn a_part_of_the_network_that_hears_too_few_keeps_announcing() {
    let mut world = World::new(4, 2, 5);
    world.run(Duration::from_secs(1));
    world.nodes[0].side = 1;
    world.nodes[1].side = 1;
    for node in [0, 2] {
        world.nodes[node].wishes = true;
    }
    world.run(Duration::from_secs(20));
    assert_eq!(world.announcing(), 4, "on either side one is well, and two must stay");
    world.nodes.iter_mut().for_each(|node| node.side = 0);
    world.run(Duration::from_secs(20));
    assert_eq!(world.announcing(), 2);
}

#[test]
fn whatever_the_network_does_never_too_many_leave() {
    for seed in 1..25 {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let nodes = 2 + chance.below(6) as usize;
        let nodes_min = chance.below(nodes as u64) as u32;
        let mut world = World::new(nodes, nodes_min, chance.next());
        world.loss_percent = chance.below(60);
        world.delay_ms_max = [5, 100, 700, 4000][chance.below(4) as usize];
        for _ in 0..6_000 {
            world.step();
            let node = chance.below(nodes as u64) as usize;
            match chance.below(400) {
                0..8 => world.nodes[node].wishes ^= true,
                // Back, for whatever reason.
                8..14 => world.nodes[node].announces = true,
                // Stops at any place, for a while.
                14 => world.nodes[node].frozen = true,
                15..18 => world.nodes[node].frozen = false,
                18 => world.nodes[node].side = chance.below(2),
                19..21 => world.nodes.iter_mut().for_each(|node| node.side = 0),
                _ => {}
            }
        }
        // Whole again and in good order: whoever wishes to leave may, as far as that goes.
        world.wire.clear();
        (world.loss_percent, world.delay_ms_max) = (0, 20);
        for (place, node) in world.nodes.iter_mut().enumerate() {
            (node.frozen, node.side, node.wishes, node.announces) = (false, 0, place >= nodes_min as usize, true);
        }
        world.run(Duration::from_secs(20));
        assert_eq!(world.announcing(), nodes_min as usize, "seed {seed}: {nodes} nodes");
    }
}

#[test]
fn a_process_that_starts_anew_is_heard_and_nothing_of_the_one_before_is() {
    let mut world = World::new(2, 1, 11);
    let mut said: Vec<Vec<u8>> = Vec::new();
    for _ in 0..400 {
        world.step();
        said.extend(world.wire.iter().filter(|(_, to, ..)| *to == 1).map(|(.., bytes)| bytes.clone()));
    }
    for round in 0..5 {
        world.restart(0);
        world.run(Duration::from_millis(300));
        let status = world.nodes[1].fleet.status(world.now);
        assert!(status[0].heard_s_ago.unwrap() < 0.3 && status[0].announces.is_empty(), "round {round}: {status:?}");
        for bytes in &said {
            assert_eq!(world.nodes[1].fleet.receive(address(0), bytes, world.now), Err(Discarded::Old));
        }
        world.restart(1);
        world.run(Duration::from_millis(300));
        for bytes in &said {
            assert_eq!(world.nodes[1].fleet.receive(address(0), bytes, world.now), Err(Discarded::Old));
        }
        assert!(world.nodes[0].fleet.status(world.now)[0].heard_s_ago.unwrap() < 0.3);
    }
}

#[test]
fn a_message_is_heard_once() {
    let mut world = World::new(2, 1, 13);
    world.run(Duration::from_secs(1));
    world.wire.clear();
    let datagrams = loop {
        world.now += STEP;
        world.nodes[0].tell(world.now);
        let datagrams = world.nodes[0].fleet.outgoing(world.now);
        if !datagrams.is_empty() {
            break datagrams;
        }
    };
    let (_, bytes) = &datagrams[0];
    let fleet = &mut world.nodes[1].fleet;
    assert_eq!(fleet.receive(address(0), bytes, world.now), Ok(()));
    assert_eq!(fleet.receive(address(0), bytes, world.now), Err(Discarded::Old));
    assert_eq!(fleet.receive(address(7), bytes, world.now), Err(Discarded::Stranger));
    assert_eq!(fleet.receive(address(0), &bytes[..40], world.now), Err(Discarded::Seal));
    // Its own words, sent back to it.
    assert_eq!(world.nodes[0].fleet.receive(address(1), bytes, world.now), Err(Discarded::Malformed));
}

#[test]
fn sealed_bytes_of_any_kind_do_no_harm() {
    let mut world = World::new(3, 1, 17);
    world.run(Duration::from_secs(1));
    let seal = Seal::new(b"secret");
    let bodies: [&[u8]; 6] = [b"", b"{}", b"[1", b"null", br#"{"version":1,"network":"net"}"#, &[0xff; 2000]];
    for body in bodies {
        let heard = world.nodes[0].fleet.receive(address(1), &seal.seal(body), world.now);
        assert_eq!(heard, Err(Discarded::Malformed));
    }
    assert_eq!(world.nodes[0].fleet.standing_in("dns", world.now), 2);
}

#[test]
fn texts_and_lists_are_bounded() {
    let mut world = World::new(2, 1, 19);
    let node = &mut world.nodes[0];
    node.fleet.set_own(Own { state: "up".into(), why: "ä".repeat(10_000), services: BTreeMap::new() }, world.now);
    let datagrams = node.fleet.outgoing(world.now);
    assert!(datagrams[0].1.len() < 1000, "{}", datagrams[0].1.len());
    let many: Vec<FleetMember> = (0..10_000)
        .map(|node| FleetMember {
            node: format!("n{node:05}"),
            address: SocketAddr::from(([10, 1, (node >> 8) as u8, node as u8], 1)),
            services: vec!["dns".into()],
        })
        .collect();
    node.fleet.apply(&many, &[]);
    assert_eq!(node.fleet.status(world.now).len(), MEMBERS_MAX);
    let names: BTreeSet<_> = node.fleet.status(world.now).into_iter().map(|member| member.node).collect();
    assert!(names.contains("n00000"));
}
