//! Zones that are filled on demand, over real sockets: hits, misses, and what becomes of those who wait.

mod support;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use cache::{Cache, CachedAnswer, Failure, Filled, TtlLimits};
use edge::{Edge, EdgeContext, Miss, MissHandler, OnDemand, OnDemandEvent, Settings, Stats, Waiter, bind};
use support::{DEADLINE, NoNotify, connect, prefixed, read_message};
use wire::{Class, Flags, Header, Message, Name, Rcode, Rtype, Section, Writer};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

/// Longer than anything here takes; what has not happened by then has failed.
const ZONE: u64 = 7;

/// Keeps the misses until the test says what becomes of them.
#[derive(Default)]
struct Script {
    misses: Mutex<Vec<(Miss, Waiter)>>,
    prefetches: Mutex<Vec<Miss>>,
}

impl MissHandler for Script {
    fn miss(&self, miss: Miss, waiter: Waiter) {
        self.misses.lock().unwrap().push((miss, waiter));
    }

    fn prefetch(&self, miss: Miss) {
        self.prefetches.lock().unwrap().push(miss);
    }
}

struct Running {
    edge: Edge,
    address: SocketAddr,
    zones: Arc<Zones>,
    cache: Arc<Cache>,
    script: Arc<Script>,
}

/// An edge with the on-demand zone `example.com`.
fn start(listen: &str) -> Running {
    let sockets = bind(&[listen.parse().unwrap()], 1).expect("free ports");
    let address = sockets.addresses()[0];
    let zones = Arc::new(Zones::new());
    let slot = ZoneSlot::new(name("example.com"));
    slot.publish(ZoneState::OnDemand { id: ZONE });
    zones.insert(&Arc::new(slot));
    let (cache, script) = (Arc::new(Cache::new(1 << 20)), Arc::new(Script::default()));
    let (publisher, _) = health::channel("edge", Duration::from_secs(3), Instant::now());
    let context = EdgeContext {
        zones: Arc::clone(&zones),
        settings: Arc::new(ArcSwap::from_pointee(Settings::default())),
        notify: Arc::new(NoNotify),
        transfers: None,
        on_demand: Some(OnDemand { cache: Arc::clone(&cache), misses: Arc::clone(&script) as Arc<dyn MissHandler> }),
        filters: support::filters_but_for_loopback(),
        answers: None,
        deaths: None,
        health: publisher,
        kernel: None,
    };
    Running { edge: Edge::start(sockets, context).unwrap(), address, zones, cache, script }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn query(qname: &str, qtype: Rtype, id: u16, edns: Option<(u16, bool)>) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(id);
    writer.set_flags(Flags::default().with_rd(true));
    writer.question(name(qname).as_ref(), qtype, Class::IN).unwrap();
    if let Some((size, dnssec_ok)) = edns {
        writer.opt(size, 0, 0, dnssec_ok, |_| Ok(())).unwrap();
    }
    let length = writer.finish();
    buffer[..length].to_vec()
}

/// What the origin says: so many addresses, signed.
fn answer(qname: &str, addresses: u8, limits: &TtlLimits, stored: Instant) -> Arc<CachedAnswer> {
    let mut buffer = vec![0; 65_535];
    let mut writer = Writer::new(&mut buffer, 65_535).unwrap();
    writer.set_flags(Flags::default().with_qr(true).with_aa(true));
    let owner = name(qname);
    writer.question(owner.as_ref(), Rtype::A, Class::IN).unwrap();
    for number in 0..addresses {
        writer.record(Section::Answer, owner.as_ref(), Rtype::A, Class::IN, 300, &[192, 0, 2, number]).unwrap();
    }
    let signature =
        [&[0, 1, 13, 3, 0, 0, 1, 44, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], b"\x07example\x03com\0", &[7; 64]];
    writer.record(Section::Answer, owner.as_ref(), Rtype::RRSIG, Class::IN, 300, &signature.concat()).unwrap();
    let length = writer.finish();
    let judged = CachedAnswer::from_response(
        name("example.com").as_ref(),
        owner.as_ref(),
        Rtype::A,
        &buffer[..length],
        limits,
        stored,
    );
    Arc::new(judged.unwrap())
}

fn fresh(qname: &str, addresses: u8) -> Arc<CachedAnswer> {
    answer(qname, addresses, &TtlLimits::default(), Instant::now())
}

impl Running {
    fn fill(&self, answer: &Arc<CachedAnswer>) {
        let ticket = self.cache.ticket(ZONE);
        self.cache.insert(ZONE, answer.qname(), answer.qtype(), Arc::clone(answer), ticket);
    }

    /// Waits for so many misses and takes them.
    fn take_misses(&self, number: usize) -> Vec<(Miss, Waiter)> {
        wait_until(|| self.script.misses.lock().unwrap().len() >= number);
        let misses = std::mem::take(&mut *self.script.misses.lock().unwrap());
        assert_eq!(misses.len(), number);
        misses
    }

    fn wait_for(&self, wanted: impl Fn(&Stats) -> bool) {
        wait_until(|| wanted(&self.edge.stats()));
    }

    fn events(&self, event: OnDemandEvent) -> u64 {
        self.edge.stats().on_demand_for(event)
    }
}

fn wait_until(happened: impl Fn() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !happened() {
        assert!(Instant::now() < until, "it did not happen");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A client whose socket takes answers from the address that it asks alone.
fn client(to: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" }).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.connect(to).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).expect("an answer from the address that was asked");
    buffer.truncate(length);
    buffer
}

fn ask(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).unwrap();
    receive(socket)
}

fn header(answer: &[u8]) -> Header {
    Header::parse(answer).unwrap()
}

/// The extended error of an answer (RFC 8914).
fn extended_error(answer: &[u8]) -> Option<u16> {
    let message = Message::parse(answer).unwrap();
    let opt = message.records().map(Result::unwrap).find(|record| record.rtype == Rtype::OPT)?;
    let edns = wire::Edns::from_record(opt.class.0, opt.ttl, opt.rdata()).unwrap();
    edns.option(wire::edns::option::EXTENDED_ERROR).map(|code| u16::from_be_bytes(code.try_into().unwrap()))
}

fn rcode_and_error(answer: &[u8]) -> (Rcode, Option<u16>) {
    (header(answer).flags.rcode(), extended_error(answer))
}

fn records(answer: &[u8]) -> Vec<(Rtype, u32)> {
    let message = Message::parse(answer).unwrap();
    let records = message.records().map(Result::unwrap).filter(|record| record.rtype != Rtype::OPT);
    records.map(|record| (record.rtype, record.ttl)).collect()
}

#[test]
fn a_hit_is_answered_in_the_clients_case_with_what_is_left_of_its_ttl() {
    let running = start("127.0.0.1:0");
    let limits = TtlLimits::default();
    running.fill(&answer("www.example.com", 2, &limits, Instant::now() - Duration::from_millis(100_500)));
    let socket = client(running.address);
    let got = ask(&socket, &query("wWw.ExAmple.COM", Rtype::A, 5, None));
    assert_eq!(&got[12..29], b"\x03wWw\x07ExAmple\x03COM\0");
    let flags = header(&got).flags;
    assert_eq!((header(&got).id, flags.aa(), flags.rd(), flags.ra(), flags.ad()), (5, true, true, false, false));
    assert_eq!(records(&got), [(Rtype::A, 200), (Rtype::A, 200)]);
    let owner = Message::parse(&got).unwrap().records().next().unwrap().unwrap().owner().unwrap();
    assert_eq!(owner.as_bytes(), b"\x03wWw\x07ExAmple\x03COM\0");
    assert_eq!(running.events(OnDemandEvent::Hit), 1);
    assert!(running.script.misses.lock().unwrap().is_empty());
}

#[test]
fn signatures_are_for_those_who_ask_for_them() {
    let running = start("127.0.0.1:0");
    running.fill(&fresh("www.example.com", 1));
    let socket = client(running.address);
    let types = |edns| {
        let got = ask(&socket, &query("www.example.com", Rtype::A, 1, edns));
        records(&got).into_iter().map(|(rtype, _)| rtype).collect::<Vec<_>>()
    };
    assert_eq!(types(None), [Rtype::A]);
    assert_eq!(types(Some((1232, false))), [Rtype::A]);
    assert_eq!(types(Some((1232, true))), [Rtype::A, Rtype::RRSIG]);
}

#[test]
fn an_answer_that_does_not_fit_is_truncated_and_whole_over_tcp() {
    let running = start("127.0.0.1:0");
    running.fill(&fresh("www.example.com", 60));
    let socket = client(running.address);
    for (edns, fits) in
        [(None, false), (Some((600, false)), false), (Some((1232, false)), true), (Some((1050, true)), false)]
    {
        let got = ask(&socket, &query("www.example.com", Rtype::A, 1, edns));
        assert_eq!(
            (header(&got).flags.tc(), header(&got).ancount),
            if fits { (false, 60) } else { (true, 0) },
            "{edns:?}"
        );
    }
    let mut stream = connect(running.address);
    stream.write_all(&prefixed(&query("www.example.com", Rtype::A, 2, None))).unwrap();
    assert_eq!(header(&read_message(&mut stream)).ancount, 60);
}

#[test]
fn a_miss_waits_and_others_do_not() {
    let running = start("127.0.0.1:0");
    running.fill(&fresh("www.example.com", 1));
    let (slow, quick) = (client(running.address), client(running.address));
    slow.send(&query("Late.example.com", Rtype::A, 9, Some((1232, true)))).unwrap();
    let (miss, waiter) = running.take_misses(1).pop().unwrap();
    assert_eq!((miss.zone, miss.qname, miss.qtype), (ZONE, name("late.example.com"), Rtype::A));
    assert_eq!(running.edge.stats().parked, 1);
    assert_eq!(header(&ask(&quick, &query("www.example.com", Rtype::A, 1, None))).ancount, 1);
    waiter.complete(Filled::Answer(fresh("late.example.com", 3)));
    let got = receive(&slow);
    assert_eq!((header(&got).id, header(&got).ancount, header(&got).flags.aa()), (9, 4, true));
    assert_eq!(&got[12..17], b"\x04Late");
    running.wait_for(|stats| stats.parked == 0 && stats.rcode(Rcode::NOERROR) == 2);
    assert_eq!((running.events(OnDemandEvent::Miss), running.events(OnDemandEvent::Hit)), (1, 1));
    assert_eq!(running.edge.stats().queries_total(), 2, "each is counted once");
}

#[test]
fn many_clients_of_one_name_get_their_own_answers() {
    let running = start("127.0.0.1:0");
    let clients: Vec<UdpSocket> = (0..50).map(|_| client(running.address)).collect();
    for (id, socket) in clients.iter().enumerate() {
        let edns = (id % 2 == 0).then_some((1232, true));
        socket.send(&query("www.example.com", Rtype::A, id as u16, edns)).unwrap();
    }
    let filled = Filled::Answer(fresh("www.example.com", 1));
    for (_, waiter) in running.take_misses(50) {
        let filled = filled.clone();
        thread::spawn(move || waiter.complete(filled));
    }
    for (id, socket) in clients.iter().enumerate() {
        let got = receive(socket);
        assert_eq!((usize::from(header(&got).id), header(&got).ancount), (id, if id % 2 == 0 { 2 } else { 1 }));
    }
}

#[test]
fn wildcard_sockets_answer_late_from_the_address_that_was_asked() {
    let running = start("0.0.0.0:0");
    for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
        let socket = client(SocketAddr::new(ip.parse().unwrap(), running.address.port()));
        socket.send(&query("www.example.com", Rtype::A, 1, None)).unwrap();
        running.take_misses(1).pop().unwrap().1.complete(Filled::Answer(fresh("www.example.com", 1)));
        assert_eq!(header(&receive(&socket)).ancount, 1);
    }
    let running = start("[::]:0");
    let socket = client(SocketAddr::new("::1".parse().unwrap(), running.address.port()));
    socket.send(&query("www.example.com", Rtype::A, 1, None)).unwrap();
    running.take_misses(1).pop().unwrap().1.complete(Filled::Answer(fresh("www.example.com", 1)));
    assert_eq!(header(&receive(&socket)).ancount, 1);
}

#[test]
fn stale_answers_are_given_by_the_fillers_word_alone() {
    let running = start("127.0.0.1:0");
    let old = answer("www.example.com", 1, &TtlLimits::default(), Instant::now() - Duration::from_secs(1000));
    running.fill(&old);
    let socket = client(running.address);
    socket.send(&query("www.example.com", Rtype::A, 1, Some((1232, false)))).unwrap();
    running.take_misses(1).pop().unwrap().1.complete(Filled::Stale(old));
    let got = receive(&socket);
    assert_eq!((records(&got), rcode_and_error(&got)), (vec![(Rtype::A, 30)], (Rcode::NOERROR, Some(3))));
    assert_eq!(running.events(OnDemandEvent::Stale), 1);
}

#[test]
fn failures_are_explained() {
    let running = start("127.0.0.1:0");
    let socket = client(running.address);
    let complete = |filled: Option<Filled>| {
        socket.send(&query("www.example.com", Rtype::A, 1, Some((1232, false)))).unwrap();
        let (_, waiter) = running.take_misses(1).pop().unwrap();
        match filled {
            Some(filled) => waiter.complete(filled),
            None => drop(waiter),
        }
        rcode_and_error(&receive(&socket))
    };
    assert_eq!(complete(Some(Filled::Failed(Failure::NoOrigin))), (Rcode::SERVFAIL, Some(22)));
    assert_eq!(complete(Some(Filled::Failed(Failure::Broken))), (Rcode::SERVFAIL, Some(23)));
    assert_eq!(complete(Some(Filled::Failed(Failure::OverBudget))), (Rcode::SERVFAIL, Some(14)));
    assert_eq!(complete(Some(Filled::Failed(Failure::Gone))), (Rcode::REFUSED, Some(20)));
    assert_eq!(complete(None), (Rcode::SERVFAIL, Some(22)), "a waiter that is dropped");
    let refused = CachedAnswer::from_error(name("www.example.com").as_ref(), Rtype::A, Rcode::REFUSED, Instant::now());
    assert_eq!(complete(Some(Filled::Answer(Arc::new(refused)))), (Rcode::SERVFAIL, Some(23)));
    running.wait_for(|stats| stats.parked == 0 && stats.on_demand_for(OnDemandEvent::Failed) == 5);
}

/// A zone that came to be kept as a full copy while the question was under way.
#[test]
fn who_waited_for_a_cache_is_answered_from_the_copy_that_came() {
    let running = start("127.0.0.1:0");
    let socket = client(running.address);
    socket.send(&query("www.example.com", Rtype::A, 1, Some((1232, false)))).unwrap();
    let (_, waiter) = running.take_misses(1).pop().unwrap();
    let (apex, host) = (name("example.com"), name("www.example.com"));
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let mut soa = [host.as_bytes(), host.as_bytes()].concat();
    soa.extend([1u32, 3600, 600, 86_400, 300].iter().flat_map(|number| number.to_be_bytes()));
    builder.add(apex.as_ref(), Rtype::SOA, 3600, &soa).unwrap();
    builder.add(apex.as_ref(), Rtype::NS, 3600, host.as_bytes()).unwrap();
    builder.add(host.as_ref(), Rtype::A, 77, &[192, 0, 2, 1]).unwrap();
    let slot = ZoneSlot::new(apex);
    slot.publish(ZoneState::Serving(Arc::new(builder.finish().unwrap())));
    running.zones.insert(&Arc::new(slot));
    waiter.complete(Filled::Failed(Failure::Gone));
    let got = receive(&socket);
    assert_eq!((records(&got), rcode_and_error(&got)), (vec![(Rtype::A, 77)], (Rcode::NOERROR, None)));
}

#[test]
fn what_is_hot_and_near_its_end_is_fetched_again_once() {
    let running = start("127.0.0.1:0");
    let limits = TtlLimits::default();
    running.fill(&answer("www.example.com", 1, &limits, Instant::now() - Duration::from_secs(280)));
    let socket = client(running.address);
    for id in 0..6 {
        assert_eq!(header(&ask(&socket, &query("www.example.com", Rtype::A, id, None))).ancount, 1);
    }
    let prefetches = running.script.prefetches.lock().unwrap();
    let expected = Miss { zone: ZONE, qname: name("www.example.com"), qtype: Rtype::A };
    assert_eq!(*prefetches, [expected]);
    assert_eq!(running.events(OnDemandEvent::Prefetch), 1);
}

#[test]
fn transfers_are_refused_and_other_zones_too() {
    let running = start("127.0.0.1:0");
    let socket = client(running.address);
    let ask = |qname: &str, qtype| rcode_and_error(&ask(&socket, &query(qname, qtype, 1, Some((1232, false)))));
    assert_eq!(ask("example.com", Rtype::AXFR), (Rcode::REFUSED, Some(18)));
    assert_eq!(ask("example.com", Rtype::IXFR), (Rcode::REFUSED, Some(18)));
    assert_eq!(ask("example.net", Rtype::A), (Rcode::REFUSED, Some(20)));
}

#[test]
fn over_tcp_answers_overtake_those_that_wait() {
    let running = start("127.0.0.1:0");
    running.fill(&fresh("www.example.com", 1));
    let mut stream = connect(running.address);
    let late = query("late.example.com", Rtype::A, 1, None);
    let later = query("later.example.com", Rtype::A, 2, None);
    let at_hand = query("www.example.com", Rtype::A, 3, None);
    stream.write_all(&[prefixed(&late), prefixed(&later), prefixed(&at_hand)].concat()).unwrap();
    assert_eq!(header(&read_message(&mut stream)).id, 3);
    let mut misses = running.take_misses(2);
    // RFC 7766 §6.2.4: what was asked before the half-close is still answered.
    stream.shutdown(Shutdown::Write).unwrap();
    misses.pop().unwrap().1.complete(Filled::Answer(fresh("later.example.com", 1)));
    let got = read_message(&mut stream);
    assert_eq!((header(&got).id, header(&got).ancount), (2, 1));
    drop(misses);
    let got = read_message(&mut stream);
    assert_eq!((header(&got).id, header(&got).flags.rcode()), (1, Rcode::SERVFAIL));
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "closed once all is answered");
    running.wait_for(|stats| stats.tcp_connections_open == 0 && stats.parked == 0);
}

#[test]
fn a_connection_is_read_on_once_some_of_many_misses_are_answered() {
    const QUERIES: usize = 600;
    let running = start("127.0.0.1:0");
    let mut stream = connect(running.address);
    let all: Vec<u8> = (0..QUERIES)
        .flat_map(|id| prefixed(&query(&format!("n{id}.example.com"), Rtype::A, id as u16, None)))
        .collect();
    stream.write_all(&all).unwrap();
    let mut answered = vec![false; QUERIES];
    let mut taken = 0;
    while taken < QUERIES {
        wait_until(|| !running.script.misses.lock().unwrap().is_empty());
        let misses = std::mem::take(&mut *running.script.misses.lock().unwrap());
        assert!(misses.len() <= 64, "{} wait", misses.len());
        for (miss, waiter) in misses {
            taken += 1;
            waiter.complete(Filled::Answer(fresh(&miss.qname.to_string(), 1)));
        }
    }
    for _ in 0..QUERIES {
        let got = read_message(&mut stream);
        assert_eq!(header(&got).ancount, 1);
        assert!(!std::mem::replace(&mut answered[usize::from(header(&got).id)], true));
    }
}

#[test]
fn clients_that_are_gone_are_forgotten() {
    let running = start("127.0.0.1:0");
    let mut stream = connect(running.address);
    stream.write_all(&prefixed(&query("www.example.com", Rtype::A, 1, None))).unwrap();
    let misses = running.take_misses(1);
    // A reset rather than an orderly end.
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    running.wait_for(|stats| stats.tcp_connections_open == 0);
    misses.into_iter().for_each(|(_, waiter)| waiter.complete(Filled::Failed(Failure::NoOrigin)));
    running.wait_for(|stats| stats.parked == 0);
    let socket = client(running.address);
    socket.send(&query("www.example.com", Rtype::A, 1, None)).unwrap();
    let misses = running.take_misses(1);
    drop(socket);
    misses.into_iter().for_each(|(_, waiter)| waiter.complete(Filled::Answer(fresh("www.example.com", 1))));
    running.wait_for(|stats| stats.parked == 0);
}

#[test]
fn those_who_wait_are_answered_before_the_edge_stops() {
    let running = start("127.0.0.1:0");
    let socket = client(running.address);
    socket.send(&query("www.example.com", Rtype::A, 1, None)).unwrap();
    let (_, waiter) = running.take_misses(1).pop().unwrap();
    let edge = running.edge;
    let stopping = thread::spawn(move || edge.stop(DEADLINE));
    waiter.complete(Filled::Answer(fresh("www.example.com", 1)));
    assert_eq!(header(&receive(&socket)).ancount, 1);
    stopping.join().unwrap();
}
