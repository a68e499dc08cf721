//! RFC 4271 §6.8: what is held back and for how long; and with a router that does no more than the RFC asks for, whatever
//! arrives first, no session stands here on the connection that goes.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::support::{Random, Script, message, notification, sent, settings, usual};
use crate::bgp::{Action, ConnectionId, Event, Framer, NextHops, Peer, PeerSettings, PeerState};

/// How far a connection of the router is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    OpenSent,
    OpenConfirm,
    Established,
}

/// A router that looks for a collision when an OPEN arrives, at connections in OpenConfirm and Established alone.
#[derive(Default)]
struct Router {
    /// By number, with whether the router opened it.
    connections: BTreeMap<u64, (Stage, bool)>,
    is_favoured: bool,
}

impl Router {
    /// What it answers to a message of a type; closes what it ends with a NOTIFICATION.
    fn receive(&mut self, id: u64, kind: u8) -> Vec<(u64, Vec<u8>)> {
        let Some(&(stage, own)) = self.connections.get(&id) else { return vec![] };
        match (stage, kind) {
            (_, 3) => {
                self.connections.remove(&id);
                vec![]
            }
            (Stage::OpenSent, 1) => {
                let mut answers = Vec::new();
                let other =
                    self.connections.iter().find(|(other, _)| **other != id).map(|(&id, &(stage, _))| (id, stage));
                let loser = match other {
                    Some((other, Stage::OpenConfirm)) if own == self.is_favoured => Some(other),
                    Some((_, Stage::OpenConfirm | Stage::Established)) => Some(id),
                    Some((_, Stage::OpenSent)) | None => None,
                };
                if let Some(loser) = loser {
                    self.connections.remove(&loser);
                    answers.push((loser, message(3, &[6, 7])));
                }
                if loser != Some(id) {
                    self.connections.insert(id, (Stage::OpenConfirm, own));
                    answers.push((id, message(4, &[])));
                }
                answers
            }
            (Stage::OpenConfirm, 4) => {
                self.connections.insert(id, (Stage::Established, own));
                vec![]
            }
            (Stage::Established, 2 | 4) => vec![],
            unexpected => panic!("the router got {unexpected:?} on connection {id}"),
        }
    }
}

/// What may arrive next: at the peer, or at the router.
#[derive(Default)]
struct Wire {
    to_peer: VecDeque<Event>,
    to_router: VecDeque<u8>,
}

/// The peer, the router, and what is under way between them.
struct World {
    peer: Peer,
    router: Router,
    now: Instant,
    wires: BTreeMap<u64, Wire>,
    /// The peer's attempt to connect.
    attempt: bool,
    /// The router's.
    router_attempt: bool,
}

const OWN: u64 = 1;
const ROUTERS: u64 = 2;

impl World {
    fn new(settings: PeerSettings) -> Self {
        let now = Instant::now();
        let is_favoured = settings.router_id.octets() < [10, 0, 0, 254];
        let mut world = Self {
            peer: Peer::new(settings, now),
            router: Router { is_favoured, ..Router::default() },
            now,
            wires: BTreeMap::new(),
            attempt: false,
            router_attempt: true,
        };
        world.handle(Event::Start);
        world
    }

    fn handle(&mut self, event: Event) {
        for action in self.peer.handle(event, self.now) {
            match action {
                Action::Connect => self.attempt = true,
                Action::CancelConnect => self.cancel_connect(),
                Action::Send(id, bytes) => self.wires.entry(id.0).or_default().to_router.push_back(bytes[18]),
                Action::LeftEstablished(why) => panic!("a session stood and ended: {why}"),
                Action::Close(_) | Action::Established(_) | Action::Problem(_) => {}
            }
        }
    }

    /// A connection that stands but was not told of is closed.
    fn cancel_connect(&mut self) {
        self.attempt = false;
        if let Some(wire) = self.wires.get_mut(&OWN)
            && matches!(wire.to_peer.front(), Some(Event::Connected { .. }))
        {
            wire.to_peer.clear();
            self.router.connections.remove(&OWN);
        }
    }

    fn connect(&mut self, id: u64) {
        let incoming = id == ROUTERS;
        let [local, remote] = ["10.0.0.1:40000", "10.0.0.254:179"].map(|end| end.parse().unwrap());
        let connected =
            Event::Connected { connection: ConnectionId(id), incoming, local, remote, next_hops: NextHops::default() };
        let wire = self.wires.entry(id).or_default();
        wire.to_peer.push_back(connected);
        self.router.connections.insert(id, (Stage::OpenSent, incoming));
        self.send_to_peer(id, &message(1, &usual()));
    }

    fn send_to_peer(&mut self, id: u64, bytes: &[u8]) {
        let mut framer = Framer::new();
        framer.push(bytes);
        let received = Event::Received(ConnectionId(id), framer.next().unwrap());
        self.wires.entry(id).or_default().to_peer.push_back(received);
    }

    /// One of the things that can happen next happens; false: nothing can without the passing of time.
    fn step(&mut self, random: &mut Random) -> bool {
        let mut steps: Vec<(u64, u8)> = Vec::new();
        steps.extend(self.attempt.then_some((OWN, 0)));
        steps.extend(self.router_attempt.then_some((ROUTERS, 0)));
        for (&id, wire) in &self.wires {
            steps.extend((!wire.to_peer.is_empty()).then_some((id, 1)));
            steps.extend((!wire.to_router.is_empty()).then_some((id, 2)));
        }
        if steps.is_empty() {
            return false;
        }
        let (id, what) = steps[random.below(steps.len())];
        match what {
            0 => {
                *(if id == OWN { &mut self.attempt } else { &mut self.router_attempt }) = false;
                self.connect(id);
            }
            1 => {
                let event = self.wires.get_mut(&id).and_then(|wire| wire.to_peer.pop_front()).unwrap();
                self.handle(event);
            }
            _ => {
                let kind = self.wires.get_mut(&id).and_then(|wire| wire.to_router.pop_front()).unwrap();
                for (id, bytes) in self.router.receive(id, kind) {
                    self.send_to_peer(id, &bytes);
                }
            }
        }
        true
    }
}

#[test]
fn rfc4271_6_8_no_session_stands_on_the_connection_that_goes() {
    for router_id in [[10, 0, 0, 1], [10, 0, 1, 0]] {
        for seed in 0..2000 {
            let mut world = World::new(PeerSettings { router_id: router_id.into(), ..settings() });
            let mut random = Random::new(seed);
            while world.step(&mut random) {}
            assert_eq!(world.peer.status().state, PeerState::Established, "{router_id:?}, seed {seed}");
            let stages: Vec<_> = world.router.connections.values().map(|(stage, _)| *stage).collect();
            assert_eq!(stages, [Stage::Established], "{router_id:?}, seed {seed}");
        }
    }
}

/// This node's identifier is higher than the router's: what it opens wins.
fn favoured() -> PeerSettings {
    PeerSettings { router_id: [10, 0, 1, 0].into(), ..settings() }
}

fn kinds(actions: &[Action]) -> Vec<u8> {
    sent(actions).iter().map(|(kind, _)| *kind).collect()
}

/// Two connections stand, and OPEN and KEEPALIVE have come on the one that would lose.
fn undecided() -> Script {
    let mut script = Script::new(favoured());
    script.connect(1, false);
    script.connect(2, true);
    assert_eq!(script.hear(2, &message(1, &usual())), []);
    assert_eq!(script.hear(2, &message(4, &[])), []);
    assert_eq!(script.state(), PeerState::OpenConfirm);
    script
}

#[test]
fn rfc4271_6_8_keepalive_is_held_back_on_the_connection_that_would_lose() {
    // The other one is heard.
    let actions = undecided().hear(1, &message(1, &usual()));
    assert_eq!((kinds(&actions), notification(&actions)), (vec![3, 4], Some((6, 7, vec![]))));
    assert!(actions.contains(&Action::Close(ConnectionId(2))), "{actions:?}");
    // It ends.
    let actions = undecided().handle(Event::Closed(ConnectionId(1), "reset".into()));
    assert_eq!(kinds(&actions)[0], 4);
    assert!(actions.contains(&Action::Established(ConnectionId(2))), "{actions:?}");
    // Nothing is heard of it.
    let mut script = undecided();
    assert_eq!(script.after(Duration::from_millis(999)), []);
    let actions = script.after(Duration::from_millis(1));
    assert_eq!(kinds(&actions)[0], 4);
    assert!(actions.contains(&Action::Established(ConnectionId(2))), "{actions:?}");
}

/// KEEPALIVE has been sent on a connection that would lose against the one that the router has opened since, on which its
/// OPEN has come.
fn late() -> Script {
    let mut script = Script::new(settings());
    script.connect(1, false);
    assert_eq!(kinds(&script.hear(1, &message(1, &usual()))), [4]);
    assert_eq!(script.connect(2, true), []);
    assert_eq!(script.hear(2, &message(1, &usual())), []);
    script
}

#[test]
fn rfc4271_6_8_open_is_held_back_on_a_connection_that_comes_late() {
    // A session stands on the other one.
    let actions = late().hear(1, &message(4, &[]));
    assert!(actions.contains(&Action::Established(ConnectionId(1))), "{actions:?}");
    assert!(actions.contains(&Action::Close(ConnectionId(2))), "{actions:?}");
    // It ends: the router has decided.
    assert_eq!(kinds(&late().hear(1, &message(3, &[6, 7]))), [1, 4]);
    // Nothing is heard of it.
    let mut script = late();
    assert_eq!(script.after(Duration::from_millis(299)), []);
    let actions = script.after(Duration::from_millis(1));
    assert_eq!((kinds(&actions), notification(&actions)), (vec![3, 1, 4], Some((6, 7, vec![]))));
    assert!(actions.contains(&Action::Close(ConnectionId(1))), "{actions:?}");
    script.hear(2, &message(4, &[]));
    assert_eq!(script.state(), PeerState::Established);
}

#[test]
fn an_attempt_is_given_up_once_another_connection_is_nearly_up() {
    let mut script = Script::new(favoured());
    script.connect(1, true);
    assert!(script.hear(1, &message(1, &usual())).contains(&Action::CancelConnect));
}
