//! Queries of death over real sockets: a handler that panics or hangs costs its message, and the others are answered.

mod support;

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use config::{DefenceMode, Defences, Filter};
use edge::{
    Death, DeathHandler, DeathKind, DropReason, Edge, EdgeContext, Miss, MissHandler, NotifyHandler, NotifyOutcome,
    OnDemand, Settings, Stats, Transport, Waiter, bind,
};
use filters::Filters;
use support::{DEADLINE, connect, filters_but_for_loopback_and, prefixed, read_message};
use wire::{Class, Flags, Header, Name, Opcode, Rcode, Rtype, Writer};
use zones::{ZoneSlot, ZoneState, Zones};

/// How long a client waits before it asks again.
const RETRY: Duration = Duration::from_millis(100);

/// Panics or hangs when a message has that word in it; what hangs goes on once it may.
#[derive(Default)]
struct Killer {
    may_go_on: AtomicBool,
}

impl Killer {
    fn read(&self, message: &[u8]) {
        let has = |word: &[u8]| message.windows(word.len()).any(|window| window == word);
        assert!(!has(b"panic"), "told to");
        // Works on and on, and lets others have the processor, so that tests beside this one get on.
        while has(b"hang") && !self.may_go_on.load(Relaxed) {
            thread::yield_now();
        }
    }
}

impl NotifyHandler for Killer {
    fn handle(&self, message: &[u8], _: SocketAddr, _: &mut [u8]) -> NotifyOutcome {
        self.read(message);
        NotifyOutcome::Refuse
    }
}

impl MissHandler for Killer {
    fn miss(&self, miss: Miss, _: Waiter) {
        self.read(miss.qname.as_bytes());
    }

    fn prefetch(&self, _: Miss) {}
}

/// Keeps what it is told.
#[derive(Default)]
struct Told {
    deaths: Mutex<Vec<Death>>,
    given_up: Mutex<Option<String>>,
}

impl DeathHandler for Told {
    fn died(&self, death: Death) {
        self.deaths.lock().unwrap().push(death);
    }

    fn given_up(&self, why: &str) {
        *self.given_up.lock().unwrap() = Some(why.to_owned());
    }
}

struct Running {
    edge: Option<Edge>,
    address: SocketAddr,
    filters: Arc<Filters>,
    killer: Arc<Killer>,
    told: Arc<Told>,
    health: health::Reader,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.killer.may_go_on.store(true, Relaxed);
    }
}

/// An edge that tells its name, with the on-demand zone `example.com`.
fn start(workers: usize, quarantine: DefenceMode) -> Running {
    // Finding the names of a backtrace takes longer than a thread may hang; the daemon has its own way to log panics, too.
    std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    let sockets = bind(&["127.0.0.1:0".parse().unwrap()], workers).expect("free ports");
    let address = sockets.addresses()[0];
    let zones = Arc::new(Zones::new());
    let slot = ZoneSlot::new("example.com".parse().unwrap());
    slot.publish(ZoneState::OnDemand { id: 7 });
    zones.insert(&Arc::new(slot));
    let set = |defences: &mut Defences| defences.filters[Filter::QueryOfDeath as usize] = quarantine;
    // Nobody is spared this one.
    let filters = filters_but_for_loopback_and(set);
    let (killer, told) = (Arc::new(Killer::default()), Arc::new(Told::default()));
    let (publisher, health) = health::channel("edge", Duration::from_secs(10), Instant::now());
    let settings = Settings { id_server: Some("here".to_owned()), ..Settings::default() };
    let context = EdgeContext {
        zones,
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        notify: Arc::clone(&killer) as Arc<dyn NotifyHandler>,
        transfers: None,
        on_demand: Some(OnDemand {
            cache: Arc::new(cache::Cache::new(1 << 20)),
            misses: Arc::clone(&killer) as Arc<dyn MissHandler>,
        }),
        filters: Arc::clone(&filters),
        answers: None,
        deaths: Some(Arc::clone(&told) as Arc<dyn DeathHandler>),
        health: publisher,
        kernel: None,
    };
    let edge = Some(Edge::start(sockets, context).unwrap());
    Running { edge, address, filters, killer, told, health }
}

fn message(id: u16, opcode: Opcode, name: &str, rtype: Rtype, class: Class) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(id);
    writer.set_flags(Flags::default().with_opcode(opcode));
    writer.question(name.parse::<Name>().unwrap().as_ref(), rtype, class).unwrap();
    let length = writer.finish();
    buffer[..length].to_vec()
}

fn notify(id: u16, name: &str) -> Vec<u8> {
    message(id, Opcode::NOTIFY, name, Rtype::SOA, Class::IN)
}

fn identity(id: u16) -> Vec<u8> {
    message(id, Opcode::QUERY, "id.server", Rtype::TXT, Class::CH)
}

impl Running {
    fn stats(&self) -> Stats {
        self.edge.as_ref().unwrap().stats()
    }

    fn wait_for(&self, wanted: impl Fn(&Stats) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !wanted(&self.stats()) {
            assert!(Instant::now() < until, "{:?}", self.stats());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn client(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(RETRY)).unwrap();
        socket.connect(self.address).unwrap();
        socket
    }

    /// Asks until there is an answer, as a resolver does.
    fn ask(&self, socket: &UdpSocket, id: u16) {
        let until = Instant::now() + DEADLINE;
        let mut answer = [0; 512];
        loop {
            socket.send(&identity(id)).unwrap();
            match socket.recv(&mut answer) {
                Ok(_) if Header::parse(&answer).unwrap().id == id => return,
                Ok(_) => {}
                Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
            }
            assert!(Instant::now() < until, "nobody answers: {:?}", self.stats());
        }
    }

    /// The one death that was told.
    fn death(&self) -> Death {
        let until = Instant::now() + DEADLINE;
        while self.told.deaths.lock().unwrap().is_empty() {
            assert!(Instant::now() < until);
            thread::sleep(Duration::from_millis(5));
        }
        let deaths = self.told.deaths.lock().unwrap();
        assert_eq!(deaths.len(), 1, "{deaths:?}");
        deaths[0].clone()
    }
}

fn ask_over_tcp(stream: &mut TcpStream, id: u16) {
    stream.write_all(&prefixed(&identity(id))).unwrap();
    assert_eq!(Header::parse(&read_message(stream)).unwrap().id, id);
}

#[test]
fn a_panic_costs_its_query_alone() {
    let running = start(1, DefenceMode::On);
    let socket = running.client();
    let killer = notify(1000, "panic.example");
    for id in 0..40 {
        socket.send(&identity(id)).unwrap();
        if id == 20 {
            socket.send(&killer).unwrap();
        }
    }
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut answered = [false; 40];
    for _ in 0..40 {
        let mut answer = [0; 512];
        socket.recv(&mut answer).expect("the other queries are answered, at the first try");
        answered[usize::from(Header::parse(&answer).unwrap().id)] = true;
    }
    assert!(answered.iter().all(|answered| *answered));
    running.wait_for(|stats| stats.deaths == [1, 0] && stats.dropped_for(DropReason::Panicked) == 1);
    let death = running.death();
    assert_eq!((death.kind, death.transport, death.lane.as_str()), (DeathKind::Panic, Transport::Udp, "udp-0"));
    assert_eq!((death.message, death.source), (killer, Some(socket.local_addr().unwrap())));
    assert_eq!((death.why.as_str(), death.readable), ("told to", true));
    // Its like is dropped from now on, whatever its id or case; what is not like it is not.
    for like in [notify(1001, "panic.example"), notify(1002, "panic.EXAMPLE")] {
        socket.send(&like).unwrap();
    }
    running.wait_for(|stats| stats.dropped_for(DropReason::QueryOfDeath) == 2);
    socket.send(&notify(1003, "other.example")).unwrap();
    let mut answer = [0; 512];
    socket.recv(&mut answer).unwrap();
    assert_eq!(Header::parse(&answer).unwrap().id, 1003);
    assert_eq!((running.stats().deaths, running.stats().lanes_replaced), ([1, 0], 0));
    // Released, it kills again.
    let kept = running.filters.quarantined(edge::filter_time());
    assert!(kept.len() == 2 && kept.iter().all(|kept| running.filters.release(kept.number)));
    socket.send(&notify(1004, "panic.example")).unwrap();
    running.wait_for(|stats| stats.deaths == [2, 0]);
    running.ask(&socket, 1);
}

#[test]
fn a_panic_over_tcp_costs_no_connection() {
    let running = start(1, DefenceMode::On);
    let mut stream = connect(running.address);
    let pipelined = [identity(1), notify(2, "panic.example"), identity(3)].map(|message| prefixed(&message)).concat();
    stream.write_all(&pipelined).unwrap();
    for id in [1, 3] {
        assert_eq!(Header::parse(&read_message(&mut stream)).unwrap().id, id);
    }
    ask_over_tcp(&mut stream, 4);
    let death = running.death();
    assert_eq!((death.kind, death.transport, death.lane.as_str()), (DeathKind::Panic, Transport::Tcp, "tcp-0"));
    assert_eq!(death.message, notify(2, "panic.example"));
    assert_eq!(running.stats().tcp_connections, 1);
}

#[test]
fn a_panic_in_a_miss_keeps_no_place() {
    let running = start(1, DefenceMode::On);
    let socket = running.client();
    socket.send(&message(5, Opcode::QUERY, "panic.example.com", Rtype::A, Class::IN)).unwrap();
    // Its waiter goes down with it, and holds no place any more. Whether its client is told is a race with the quarantine.
    running.wait_for(|stats| stats.deaths == [1, 0] && stats.parked == 0);
    running.ask(&socket, 6);
}

#[test]
fn a_lane_that_hangs_is_replaced() {
    let running = start(1, DefenceMode::On);
    let socket = running.client();
    running.ask(&socket, 1);
    socket.send(&notify(2, "hang.example")).unwrap();
    running.ask(&socket, 3);
    let death = running.death();
    assert_eq!((death.kind, death.transport, death.lane.as_str()), (DeathKind::Hang, Transport::Udp, "udp-0"));
    assert_eq!((death.message, death.source), (notify(2, "hang.example"), Some(socket.local_addr().unwrap())));
    running.wait_for(|stats| stats.deaths == [0, 1] && stats.lanes_replaced == 1);
    // Its like is dropped, so that nobody hangs any more.
    for id in 100..110 {
        socket.send(&notify(id, "hang.example")).unwrap();
    }
    running.wait_for(|stats| stats.dropped_for(DropReason::QueryOfDeath) >= 10);
    running.ask(&socket, 4);
    let until = Instant::now() + DEADLINE;
    let words = loop {
        let report = running.health.read_report(Instant::now()).report;
        if report.state == health::State::Degraded {
            break report;
        }
        assert!(Instant::now() < until, "{report:?}");
        thread::sleep(Duration::from_millis(5));
    };
    assert!(!words.soft && words.why.contains("1 hangs") && words.why.contains("hang.example."), "{words:?}");
    // The one that hung comes back and ends; nobody notices.
    running.killer.may_go_on.store(true, Relaxed);
    (5..50).for_each(|id| running.ask(&socket, id));
    assert_eq!(running.stats().lanes_replaced, 1);
}

#[test]
fn an_edge_whose_lane_hangs_can_be_stopped() {
    let mut running = start(1, DefenceMode::On);
    let socket = running.client();
    socket.send(&notify(2, "hang.example")).unwrap();
    running.ask(&socket, 3);
    let edge = running.edge.take().unwrap();
    edge.stop(Duration::ZERO);
    bind(&[running.address], 1).expect_err("the one that hangs has its sockets still");
}

#[test]
fn a_tcp_thread_that_hangs_is_replaced() {
    let running = start(1, DefenceMode::On);
    let socket = running.client();
    let mut lost: Vec<TcpStream> = (0..5).map(|_| connect(running.address)).collect();
    lost.iter_mut().for_each(|stream| ask_over_tcp(stream, 1));
    lost[0].write_all(&prefixed(&notify(2, "hang.example"))).unwrap();
    // UDP goes on all the time.
    running.ask(&socket, 3);
    let mut stream = connect(running.address);
    ask_over_tcp(&mut stream, 4);
    let death = running.death();
    assert_eq!((death.kind, death.transport, death.lane.as_str()), (DeathKind::Hang, Transport::Tcp, "tcp-0"));
    assert_eq!(death.source, Some(lost[0].local_addr().unwrap()));
    // What the hung one had is lost, and counts no more.
    running.wait_for(|stats| stats.tcp_connections_open == 1 && stats.lanes_replaced == 1);
    // Those that wait for an origin get their answers from the new one.
    socket.send(&message(5, Opcode::QUERY, "www.example.com", Rtype::A, Class::IN)).unwrap();
    running.wait_for(|stats| stats.rcode(Rcode::SERVFAIL) == 1);
    running.killer.may_go_on.store(true, Relaxed);
    ask_over_tcp(&mut stream, 6);
}

#[test]
fn too_many_that_hang_are_the_end() {
    let running = start(4, DefenceMode::Off);
    let until = Instant::now() + 3 * DEADLINE;
    let mut streams = Vec::new();
    while running.told.given_up.lock().unwrap().is_none() {
        running.client().send(&notify(1, "hang.example")).unwrap();
        if let Ok(mut stream) = TcpStream::connect(running.address) {
            let _ = stream.write_all(&prefixed(&notify(1, "hang.example")));
            streams.push(stream);
        }
        assert!(Instant::now() < until, "{:?}", running.stats());
        thread::sleep(Duration::from_millis(20));
    }
    let why = running.told.given_up.lock().unwrap().clone().unwrap();
    assert!(why.contains("has to be started anew"), "{why}");
    assert_eq!(running.stats().lanes_replaced, 16);
    let report = running.health.read_report(Instant::now()).report;
    assert_eq!((report.state, report.soft, report.why), (health::State::Down, false, why));
}
