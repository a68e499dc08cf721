//! TCP under attack, over the loopback interface: whoever holds or costs most makes room, and a real client is answered.

mod support;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use config::{DefenceMode, Defences, Filter};
use edge::{DropReason, Edge, EdgeContext, Settings, Stats, bind};
use filters::{Effect, Filters};
use socket2::{Domain, Protocol, Socket, Type};
use support::{NoNotify, prefixed};
use wire::{Class, Header, Name, Rtype, Writer};

/// How long a resolver waits for an answer over TCP, and how often it tries.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
const CLIENT_TRIES: usize = 4;
const CONNECTIONS_MAX: usize = 300;
/// Prefixes of the attacker, each with as many connections as a client may have.
const ATTACKERS: u8 = 6;
const EACH: usize = 64;

struct Running {
    edge: Edge,
    address: SocketAddr,
    filters: Arc<Filters>,
}

fn start(stream: DefenceMode) -> Running {
    let mut settings = Settings { id_server: Some("x".repeat(255)), ..Settings::default() };
    settings.tcp.connections_max = CONNECTIONS_MAX;
    settings.tcp.idle = Duration::from_secs(300);
    settings.tcp.receive = Duration::from_secs(300);
    settings.tcp.send = Duration::from_secs(300);
    let sockets = bind(&["127.0.0.1:0".parse().unwrap()], 1).expect("free ports");
    let address = sockets.addresses()[0];
    let (publisher, _) = health::channel("edge", Duration::from_secs(3), Instant::now());
    let mut defences = Defences::default();
    defences.filters[Filter::Stream as usize] = stream;
    let filters = Arc::new(Filters::new(&defences, [1, 2]));
    let context = EdgeContext {
        zones: Arc::default(),
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        notify: Arc::new(NoNotify),
        transfers: None,
        on_demand: None,
        filters: Arc::clone(&filters),
        answers: None,
        deaths: None,
        health: publisher,
        kernel: None,
    };
    Running { edge: Edge::start(sockets, context).unwrap(), address, filters }
}

fn identity(id: u16) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(id);
    writer.question("id.server".parse::<Name>().unwrap().as_ref(), Rtype::TXT, Class::CH).unwrap();
    let length = writer.finish();
    prefixed(&buffer[..length])
}

fn connect_from(from: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), CLIENT_TIMEOUT)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_write_timeout(Some(CLIENT_TIMEOUT))?;
    Ok(stream)
}

impl Running {
    fn stats(&self) -> Stats {
        self.edge.stats()
    }

    fn made_room(&self) -> u64 {
        self.stats().dropped_for(DropReason::TcpMadeRoom)
    }

    /// One try of a real client, from an address that nobody else has.
    fn try_once(&self, host: u8) -> std::io::Result<()> {
        let mut stream = connect_from([127, 9, 9, host], self.address)?;
        stream.write_all(&identity(u16::from(host)))?;
        let mut answer = [0; 64];
        stream.read_exact(&mut answer)?;
        assert_eq!(Header::parse(&answer[2..]).unwrap().id, u16::from(host));
        Ok(())
    }

    /// Real clients ask one after the other; each is answered within its timeout.
    fn clients_are_answered(&self) {
        for host in 1..=5 {
            let tries: Vec<_> = (0..CLIENT_TRIES).map_while(|_| self.try_once(host).err()).collect();
            assert!(tries.len() < CLIENT_TRIES, "{tries:?} {:?}", self.stats());
        }
    }

    /// Opens as many connections as the attacker may; `then` does something with each.
    fn hold(&self, then: impl Fn(&mut TcpStream)) -> Vec<TcpStream> {
        let from = (1..=ATTACKERS).flat_map(|host| [[127, 1, host, 1]; EACH]);
        let streams = from.filter_map(|from| {
            let mut stream = connect_from(from, self.address).ok()?;
            then(&mut stream);
            Some(stream)
        });
        let streams: Vec<TcpStream> = streams.collect();
        let until = Instant::now() + support::DEADLINE;
        let taken = |stats: &Stats| stats.tcp_connections + stats.dropped().map(|(_, number)| number).sum::<u64>();
        while taken(&self.stats()) < streams.len() as u64 {
            assert!(Instant::now() < until, "{:?}", self.stats());
            thread::sleep(Duration::from_millis(5));
        }
        streams
    }
}

/// Does something again and again until it is dropped.
struct Attack {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Attack {
    fn start(threads: u8, turn: impl Fn(u8) + Clone + Send + 'static) -> Attack {
        let stop = Arc::new(AtomicBool::new(false));
        let spawn = |host| {
            let (stop, turn) = (Arc::clone(&stop), turn.clone());
            thread::spawn(move || {
                while !stop.load(Relaxed) {
                    turn(host);
                }
            })
        };
        let threads = (1..=threads).map(spawn).collect();
        Attack { stop, threads }
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

#[test]
fn slow_writers_make_room() {
    let running = start(DefenceMode::On);
    let _slow = running.hold(|stream| drop(stream.write_all(&[0, 20, 1, 2, 3])));
    running.clients_are_answered();
    assert!(running.made_room() >= 5, "{:?}", running.stats());
    assert!(running.filters.counts().effect(Filter::Stream, Effect::Dropped) >= 5);
    assert_eq!(running.stats().dropped_for(DropReason::TcpConnectionsMax), 0);
}

#[test]
fn idle_connections_make_room_at_once() {
    let running = start(DefenceMode::On);
    let _idle = running.hold(|_| ());
    running.clients_are_answered();
}

#[test]
fn slow_readers_make_room() {
    let running = start(DefenceMode::On);
    let all: Vec<u8> = (0..200).flat_map(identity).collect();
    let _slow = running.hold(|stream| {
        stream.set_nonblocking(true).unwrap();
        let _ = stream.write(&all);
    });
    running.clients_are_answered();
}

#[test]
fn many_new_connections_keep_nobody_away() {
    let running = start(DefenceMode::On);
    let to = running.address;
    let _attack = Attack::start(4, move |host| drop(connect_from([127, 1, 1, host], to)));
    running.clients_are_answered();
}

#[test]
fn endless_pipelines_keep_nobody_away() {
    let running = start(DefenceMode::On);
    let (to, all) = (running.address, (0..500).flat_map(identity).collect::<Vec<u8>>());
    let _attack = Attack::start(4, move |host| {
        let Ok(mut stream) = connect_from([127, 1, 1, host], to) else { return };
        let mut reader = stream.try_clone().unwrap();
        let reads = thread::spawn(move || drop(std::io::copy(&mut reader, &mut std::io::sink())));
        for _ in 0..20 {
            if stream.write_all(&all).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
        reads.join().unwrap();
    });
    running.clients_are_answered();
}

#[test]
fn a_filter_that_observes_closes_nobody() {
    let running = start(DefenceMode::Observe);
    let _slow = running.hold(|stream| drop(stream.write_all(&[0, 20, 1, 2, 3])));
    assert!(running.try_once(1).is_err(), "all connections are taken");
    assert_eq!(running.made_room(), 0);
    assert!(running.stats().dropped_for(DropReason::TcpConnectionsMax) > 0);
    assert!(running.filters.counts().effect(Filter::Stream, Effect::WouldDrop) > 0);
    assert_eq!(running.filters.counts().effect(Filter::Stream, Effect::Dropped), 0);
}
