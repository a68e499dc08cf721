//! Two peers wired to each other in memory. Whatever the order in which connections stand, bytes arrive and timers fire,
//! one session comes of it, and each knows exactly what the other announces.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::RouteAttributes;
use ipnet::IpNet;

use super::support::{Random, adverts, mirrored, settings};
use crate::adverts::Adverts;
use crate::bgp::{
    Action, ConnectionId, Event, Framer, NextHops, Peer, PeerSettings, PeerState, Shutdown, ShutdownCause,
};

/// One side's end of a connection.
#[derive(Default)]
struct End {
    framer: Framer,
    inbox: VecDeque<u8>,
    /// The side was told of the connection.
    is_known: bool,
    /// The side closed it, or was told that it ended.
    is_closed: bool,
}

struct Wire {
    opener: usize,
    ends: [End; 2],
    /// Nothing more gets through; both sides will learn of it.
    is_broken: bool,
}

/// Two peers, the connections between them, and a clock.
pub(super) struct World {
    pub(super) peers: [Peer; 2],
    pub(super) now: Instant,
    wires: BTreeMap<u64, Wire>,
    /// Who is connecting.
    attempts: BTreeSet<usize>,
    next_id: u64,
    random: Random,
    pub(super) updates_sent: [usize; 2],
}

/// One thing that can happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connect(usize),
    Tell(u64, usize),
    Deliver(u64, usize),
    End(u64, usize),
}

const ADDRESSES: [&str; 2] = ["10.0.0.1:40000", "10.0.0.254:179"];

impl World {
    pub(super) fn new(settings: [PeerSettings; 2], seed: u64) -> Self {
        let now = Instant::now();
        let mut world = Self {
            peers: settings.map(|settings| Peer::new(settings, now)),
            now,
            wires: BTreeMap::new(),
            attempts: BTreeSet::new(),
            next_id: 0,
            random: Random::new(seed),
            updates_sent: [0; 2],
        };
        world.handle(0, Event::Start);
        world.handle(1, Event::Start);
        world
    }

    pub(super) fn handle(&mut self, side: usize, event: Event) -> Vec<Action> {
        let actions = self.peers[side].handle(event, self.now);
        for action in &actions {
            self.carry_out(side, action);
        }
        assert!(self.peers[side].next_deadline().is_none_or(|deadline| deadline > self.now) || self.ticks_twice(side));
        actions
    }

    /// After a tick nothing is due any more: the driver does not spin.
    fn ticks_twice(&mut self, side: usize) -> bool {
        let actions = self.peers[side].handle(Event::Tick, self.now);
        for action in &actions {
            self.carry_out(side, action);
        }
        self.peers[side].next_deadline().is_none_or(|deadline| deadline > self.now)
    }

    fn carry_out(&mut self, side: usize, action: &Action) {
        match action {
            Action::Connect => {
                self.attempts.insert(side);
            }
            Action::CancelConnect => {
                self.attempts.remove(&side);
                // A connection that stands but was not told of is closed.
                for wire in self.wires.values_mut().filter(|wire| wire.opener == side && !wire.ends[side].is_known) {
                    wire.ends[side].is_closed = true;
                }
            }
            Action::Send(id, bytes) => {
                if bytes[18] == 2 {
                    self.updates_sent[side] += 1;
                }
                let wire = self.wires.get_mut(&id.0).expect("a connection that there was");
                assert!(!wire.ends[side].is_closed, "nothing is sent after the end");
                if !wire.is_broken && !wire.ends[1 - side].is_closed {
                    wire.ends[1 - side].inbox.extend(bytes);
                }
            }
            Action::Close(id) => self.wires.get_mut(&id.0).unwrap().ends[side].is_closed = true,
            Action::Established(_) | Action::LeftEstablished(_) | Action::Problem(_) => {}
        }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<_> = self.attempts.iter().map(|&side| Step::Connect(side)).collect();
        for (&id, wire) in &self.wires {
            for side in 0..2 {
                let end = &wire.ends[side];
                if end.is_closed {
                    continue;
                }
                if !end.is_known {
                    steps.push(Step::Tell(id, side));
                } else if !end.inbox.is_empty() {
                    steps.push(Step::Deliver(id, side));
                } else if wire.is_broken || wire.ends[1 - side].is_closed {
                    steps.push(Step::End(id, side));
                }
            }
        }
        steps
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Connect(side) => {
                self.attempts.remove(&side);
                if self.random.one_in(4) {
                    self.handle(side, Event::ConnectFailed("refused".into()));
                    return;
                }
                self.next_id += 1;
                let wire = Wire { opener: side, ends: Default::default(), is_broken: false };
                self.wires.insert(self.next_id, wire);
            }
            Step::Tell(id, side) => {
                let wire = self.wires.get_mut(&id).unwrap();
                wire.ends[side].is_known = true;
                let addresses = ADDRESSES.map(|address| address.parse::<SocketAddr>().unwrap());
                let event = Event::Connected {
                    connection: ConnectionId(id),
                    incoming: wire.opener != side,
                    local: addresses[side],
                    remote: addresses[1 - side],
                    next_hops: NextHops { ipv6: Some("2001:db8::1".parse().unwrap()), ..NextHops::default() },
                };
                self.handle(side, event);
            }
            Step::Deliver(id, side) => self.deliver(id, side),
            Step::End(id, side) => {
                self.wires.get_mut(&id).unwrap().ends[side].is_closed = true;
                self.handle(side, Event::Closed(ConnectionId(id), "reset".into()));
            }
        }
        self.wires.retain(|_, wire| !wire.ends.iter().all(|end| end.is_closed));
    }

    fn deliver(&mut self, id: u64, side: usize) {
        let end = &mut self.wires.get_mut(&id).unwrap().ends[side];
        let most = end.inbox.len().min(64);
        let count = 1 + self.random.below(most);
        let bytes: Vec<_> = end.inbox.drain(..count).collect();
        end.framer.push(&bytes);
        while let Some(frame) = self.wires.get_mut(&id).and_then(|wire| wire.ends[side].framer.next()) {
            if self.wires[&id].ends[side].is_closed {
                return;
            }
            self.handle(side, Event::Received(ConnectionId(id), frame));
        }
    }

    /// Takes one step; false: there was none but the passing of time.
    fn step(&mut self) -> bool {
        let steps = self.steps();
        if steps.is_empty() {
            return false;
        }
        let step = steps[self.random.below(steps.len())];
        self.take(step);
        true
    }

    /// Lets time pass up to the next deadline, or by a little more.
    fn pass_time(&mut self) {
        let next = self.peers.iter().filter_map(Peer::next_deadline).min();
        self.now = next.map_or(self.now, |next| next.max(self.now)) + Duration::from_millis(1);
        for side in 0..2 {
            self.handle(side, Event::Tick);
        }
    }

    /// All that can happen without delay happens, for so long.
    pub(super) fn settle(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            while self.step() {}
            self.pass_time();
        }
        while self.step() {}
    }

    fn break_all(&mut self) {
        for wire in self.wires.values_mut() {
            wire.is_broken = true;
            wire.ends.iter_mut().for_each(|end| end.inbox.clear());
        }
    }

    pub(super) fn is_established(&self) -> bool {
        self.peers.iter().all(|peer| peer.status().state == PeerState::Established)
    }

    /// What a side has been told, by prefix.
    fn heard(&self, side: usize) -> BTreeMap<IpNet, (Option<u32>, String)> {
        self.peers[side].routes().map(|route| (route.prefix, (route.med, route.as_path))).collect()
    }

    fn assert_converged(&self, said: [&Adverts; 2], seed: u64) {
        assert!(self.is_established(), "seed {seed}: {:?}", self.peers.each_ref().map(Peer::status));
        assert_eq!(self.wires.len(), 1, "seed {seed}: one connection is left");
        for side in 0..2 {
            let asn = self.peers[1 - side].settings().local_as;
            let path = |prepend: u8| vec![asn.to_string(); usize::from(prepend) + 1].join(" ");
            let expected: BTreeMap<_, _> = said[1 - side]
                .routes
                .iter()
                .map(|(&prefix, route)| (prefix, (route.med, path(route.prepend))))
                .collect();
            assert_eq!(self.heard(side), expected, "seed {seed}: side {side} has heard");
            let told = self.peers[1 - side].status().prefixes_announced;
            assert_eq!(told, u64::try_from(expected.len()).unwrap(), "seed {seed}");
        }
    }
}

const PREFIXES: [&str; 5] =
    ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/25", "2001:db8:53::/48", "2001:db8:54::/48"];

fn random_adverts(random: &mut Random) -> Arc<Adverts> {
    let routes: Vec<_> = (0..3)
        .map(|med| RouteAttributes {
            med: (med > 0).then_some(med),
            prepend: u8::try_from(med).unwrap(),
            ..RouteAttributes::default()
        })
        .collect();
    let chosen: Vec<_> = PREFIXES.iter().map(|&prefix| (prefix, random.below(4))).collect();
    let chosen: Vec<_> = chosen.into_iter().filter_map(|(prefix, route)| Some((prefix, routes.get(route)?))).collect();
    adverts(&chosen)
}

/// Random steps, breaks, adverts and orders; then peace.
fn check(settings: [PeerSettings; 2], seed: u64) {
    let mut world = World::new(settings, seed);
    let mut random = Random::new(seed + 1_000_000);
    let mut said = [adverts(&[]), adverts(&[])];
    for _ in 0..300 {
        match random.below(40) {
            0 => world.break_all(),
            1..=4 => {
                let side = random.below(2);
                said[side] = random_adverts(&mut random);
                world.handle(side, Event::Adverts(Arc::clone(&said[side])));
            }
            5 => {
                world.handle(random.below(2), Event::BfdDown);
            }
            6 => {
                let side = random.below(2);
                let cause = ShutdownCause::AdministrativeReset;
                world.handle(side, Event::Stop(Shutdown { cause, message: "again".into() }));
                world.handle(side, Event::Start);
            }
            7..=10 => world.pass_time(),
            _ => {
                if !world.step() {
                    world.pass_time();
                }
            }
        }
    }
    for (side, said) in said.iter().enumerate() {
        world.handle(side, Event::Adverts(Arc::clone(said)));
    }
    world.settle(Duration::from_secs(180));
    world.assert_converged([&said[0], &said[1]], seed);
}

#[test]
fn two_peers_agree_on_one_connection_and_on_all_routes() {
    for seed in 0..150 {
        check([settings(), mirrored()], seed);
    }
}

#[test]
fn so_they_do_when_one_only_waits() {
    for seed in 0..100 {
        check([PeerSettings { passive: true, ..settings() }, mirrored()], seed);
    }
}

#[test]
fn so_they_do_with_graceful_restart() {
    for seed in 0..100 {
        let graceful = |settings| PeerSettings { graceful_restart_s: 30, ..settings };
        check([graceful(settings()), graceful(mirrored())], seed);
    }
}

#[test]
fn so_they_do_with_the_same_identifier() {
    for seed in 0..100 {
        let router_id = settings().router_id;
        check([settings(), PeerSettings { router_id, ..mirrored() }], seed);
    }
}

/// Whatever arrives first, neither side takes the connection for its session that the other ends for the collision.
#[test]
fn rfc4271_6_8_a_collision_ends_no_session() {
    for seed in 0..1000 {
        for router_id in [[10, 0, 0, 1], [10, 0, 1, 0]] {
            let mut world = World::new([PeerSettings { router_id: router_id.into(), ..settings() }, mirrored()], seed);
            world.settle(Duration::from_secs(20));
            assert!(world.is_established(), "seed {seed}");
            assert_eq!(world.peers.each_ref().map(|peer| peer.status().flaps), [0, 0], "{router_id:?}, seed {seed}");
        }
    }
}
