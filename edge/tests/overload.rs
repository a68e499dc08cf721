//! One lane with more to answer than it can: who has no penalty is answered, the others as far as there is room.

mod support;

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use config::{DefenceMode, Defences, Filter};
use edge::{DropReason, Edge, EdgeContext, NotifyHandler, NotifyOutcome, SelfCheck, SelfCheckSettings, Settings, bind};
use filters::Filters;
use support::{DEADLINE, flood::Flood};
use wire::{Class, Flags, Header, Name, Opcode, Rcode, Rtype, Writer};

/// The flood at first, and at most.
const PER_S_MIN: u32 = 20_000;
const PER_S_MAX: u32 = 600_000;
const SOURCES: u32 = 256;
/// Real clients, each with an address of its own.
const CLIENTS: u8 = 40;
const QUERIES_OF_CLIENT: u16 = 10;
/// What a resolver does about a lost answer.
const RETRY: Duration = Duration::from_millis(400);
const TRIES_MAX: u32 = 10;

/// Holds the lane for a moment.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum GateState {
    #[default]
    Open,
    Closed,
    /// The lane stands before it.
    Held,
}

impl Gate {
    fn set(&self, state: GateState) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Waits until the lane stands before it.
    fn wait_until_held(&self) {
        let state = self.state.lock().unwrap();
        let not_held = |state: &mut GateState| *state != GateState::Held;
        let (_state, waited) = self.changed.wait_timeout_while(state, DEADLINE, not_held).unwrap();
        assert!(!waited.timed_out());
    }
}

impl NotifyHandler for Gate {
    fn handle(&self, _: &[u8], _: SocketAddr, _: &mut [u8]) -> NotifyOutcome {
        let mut state = self.state.lock().unwrap();
        if *state == GateState::Closed {
            *state = GateState::Held;
            self.changed.notify_all();
            drop(self.changed.wait_timeout_while(state, DEADLINE, |state| *state != GateState::Open).unwrap());
        }
        NotifyOutcome::Ignore
    }
}

struct Running {
    edge: Edge,
    address: SocketAddr,
    gate: Arc<Gate>,
}

/// A lane that penalises what cannot be read, and limits nobody by how much is asked.
fn start() -> Running {
    let mut defences = Defences::default();
    for (filter, mode) in Filter::ALL.into_iter().zip(&mut defences.filters) {
        if filter != Filter::Malformed {
            *mode = DefenceMode::Off;
        }
    }
    let sockets = bind(&["127.0.0.1:0".parse().unwrap()], 1).expect("a free port");
    let (address, gate) = (sockets.addresses()[0], Arc::new(Gate::default()));
    let (health, _) = health::channel("edge", Duration::from_secs(3), Instant::now());
    let context = EdgeContext {
        zones: Arc::new(zones::Zones::default()),
        settings: Arc::new(ArcSwap::from_pointee(Settings {
            id_server: Some("here".to_owned()),
            ..Settings::default()
        })),
        notify: Arc::clone(&gate) as Arc<dyn NotifyHandler>,
        transfers: None,
        on_demand: None,
        filters: Arc::new(Filters::new(&defences, [1, 2])),
        answers: None,
        deaths: None,
        health,
        kernel: None,
    };
    Running { edge: Edge::start(sockets, context).unwrap(), address, gate }
}

fn message(opcode: Opcode, id: u16) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(id);
    writer.set_flags(Flags::default().with_opcode(opcode));
    writer.question("id.server".parse::<Name>().unwrap().as_ref(), Rtype::TXT, Class::CH).unwrap();
    let length = writer.finish();
    buffer[..length].to_vec()
}

fn well_formed(id: u16) -> Vec<u8> {
    message(Opcode::QUERY, id)
}

/// It has something behind its end.
fn malformed(id: u16) -> Vec<u8> {
    [&well_formed(id)[..], b"more"].concat()
}

fn socket(from: &str, to: SocketAddr, wait: Duration) -> UdpSocket {
    let socket = UdpSocket::bind(from).unwrap();
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.connect(to).unwrap();
    socket
}

/// Asks as a resolver does: again, if there is no answer in time. Says how often it had to.
fn ask(socket: &UdpSocket, message: &[u8]) -> (Rcode, u32) {
    let mut answer = [0; 512];
    for tries in 1..=TRIES_MAX {
        socket.send(message).unwrap();
        while let Ok(length) = socket.recv(&mut answer) {
            let header = Header::parse(&answer[..length]).unwrap();
            // An answer to an earlier question may have come late.
            if header.id.to_be_bytes() == message[..2] {
                return (header.flags.rcode(), tries);
            }
        }
    }
    panic!("no answer after {TRIES_MAX} tries");
}

#[test]
fn the_best_of_a_batch_are_answered_first() {
    let running = start();
    let client = socket("127.0.0.1:0", running.address, DEADLINE);
    running.gate.set(GateState::Closed);
    client.send(&message(Opcode::NOTIFY, 0)).unwrap();
    running.gate.wait_until_held();
    // A batch waits for the lane: as many as it asks for when little is asked.
    for (id, is_malformed) in [(1, true), (2, false), (3, true), (4, false)] {
        client.send(&if is_malformed { malformed(id) } else { well_formed(id) }).unwrap();
    }
    running.gate.set(GateState::Open);
    let ids: Vec<u16> = (0..4)
        .map(|_| {
            let mut answer = [0; 512];
            let length = client.recv(&mut answer).expect("an answer");
            Header::parse(&answer[..length]).unwrap().id
        })
        .collect();
    assert_eq!(ids, [2, 4, 1, 3]);
}

#[test]
fn clients_are_answered_while_a_penalised_flood_is_more_than_can_be_answered() {
    let mut running = start();
    let (answers, health) = health::channel("answers", Duration::from_secs(10), Instant::now());
    let (load, _load) = health::channel("load", Duration::from_secs(10), Instant::now());
    let settings =
        SelfCheckSettings { interval: Duration::from_millis(50), service_addresses: Vec::new(), checks: Vec::new() };
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    running.edge.check_itself(SelfCheck { answers, load, settings }).unwrap();

    // As much as it takes until some are left out.
    let left_out = || running.edge.stats().dropped_for(DropReason::Malformed);
    let mut per_s = PER_S_MIN;
    let flood = Flood::start(running.address, SOURCES, (0..SOURCES as u16).map(malformed).collect(), per_s);
    let until = Instant::now() + DEADLINE;
    while left_out() == 0 {
        assert!(Instant::now() < until, "{:?} after {}", running.edge.stats(), flood.sent());
        thread::sleep(Duration::from_millis(100));
        per_s = (per_s + per_s / 4).min(PER_S_MAX);
        flood.set_rate(per_s);
    }

    let (before, sent_before) = (left_out(), flood.sent());
    let clients = (1..=CLIENTS).map(|number| {
        let socket = socket(&format!("127.0.1.{number}:0"), running.address, RETRY);
        thread::spawn(move || {
            for id in 0..QUERIES_OF_CLIENT {
                let (rcode, _) = ask(&socket, &well_formed(id));
                assert_eq!(rcode, Rcode::NOERROR);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    clients.into_iter().for_each(|client| client.join().expect("every client is answered"));
    let until = Instant::now() + DEADLINE;
    while left_out() - before < 1000 || flood.sent() - sent_before < 10_000 {
        assert!(Instant::now() < until, "{:?}", running.edge.stats());
        thread::sleep(Duration::from_millis(20));
    }
    // The edge asks itself meanwhile, and knows that it answers.
    while health.read(Instant::now()) != health::State::Up {
        assert!(Instant::now() < until, "{:?}", health.read(Instant::now()));
        thread::sleep(Duration::from_millis(20));
    }
    drop(flood);

    // When it is over, what cannot be read is told so again.
    let (rcode, _) = ask(&socket("127.0.2.1:0", running.address, RETRY), &malformed(7));
    assert_eq!(rcode, Rcode::FORMERR);
}
