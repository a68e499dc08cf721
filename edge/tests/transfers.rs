//! Transfers over real connections: made as they are taken, beside other clients, and given up when nobody takes them.

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use edge::{
    DropReason, Edge, EdgeContext, MessageStream, NextMessage, Settings, SignedQuery, Transfer, TransferHandler, bind,
    line::Client,
};
use support::{DEADLINE, NoNotify};
use wire::{Class, HEADER_BYTES, Name, Rtype, Section, Writer};

/// Longer than anything here takes; what has not happened by then has failed.
const MESSAGE_BYTES: usize = 60_000;

/// Gives so many messages, and counts those made and the streams that are open.
struct Giver {
    messages: usize,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    end: NextMessage,
}

struct Stream {
    left: usize,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    end: NextMessage,
}

impl TransferHandler for Giver {
    fn query(&self, _: &[u8], _: &Client, _: &mut [u8]) -> SignedQuery {
        SignedQuery::Stranger
    }

    fn transfer(&self, _: &[u8], _: &Client, _: &mut [u8]) -> Transfer {
        self.open.fetch_add(1, Ordering::Relaxed);
        let (made, open) = (Arc::clone(&self.made), Arc::clone(&self.open));
        Transfer::Stream(Box::new(Stream { left: self.messages, made, open, end: self.end }))
    }
}

impl MessageStream for Stream {
    fn next(&mut self, out: &mut [u8]) -> NextMessage {
        if self.left == 0 {
            return self.end;
        }
        self.left -= 1;
        out[..MESSAGE_BYTES].fill(0);
        out[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(&(self.left as u64).to_be_bytes());
        self.made.fetch_add(1, Ordering::Relaxed);
        NextMessage::Message(MESSAGE_BYTES)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Running {
    edge: Edge,
    address: SocketAddr,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

fn start(messages: usize, end: NextMessage, send: Duration) -> Running {
    let sockets = bind(&["127.0.0.1:0".parse().unwrap()], 1).expect("a free port");
    let address = sockets.addresses()[0];
    let mut settings = Settings::default();
    settings.tcp.send = send;
    let (made, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let giver = Giver { messages, made: Arc::clone(&made), open: Arc::clone(&open), end };
    let context = EdgeContext {
        zones: Arc::new(zones::Zones::default()),
        settings: Arc::new(ArcSwap::from_pointee(settings)),
        notify: Arc::new(NoNotify),
        transfers: Some(Arc::new(giver)),
        on_demand: None,
        filters: support::filters_but_for_loopback(),
        answers: None,
        deaths: None,
        health: health::channel("edge", Duration::from_secs(3), Instant::now()).0,
        kernel: None,
    };
    Running { edge: Edge::start(sockets, context).unwrap(), address, made, open }
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    fn wait_until(&self, what: &str, done: impl Fn(&Running) -> bool) {
        let until = Instant::now() + DEADLINE;
        while !done(self) {
            assert!(Instant::now() < until, "{what}");
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn query(rtype: Rtype, signed: bool) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    let name: Name = "example.".parse().unwrap();
    writer.question(name.as_ref(), rtype, Class::IN).unwrap();
    if signed {
        writer.record(Section::Additional, name.as_ref(), Rtype::TSIG, Class::ANY, 0, &[0; 17]).unwrap();
    }
    let length = writer.finish();
    [&(length as u16).to_be_bytes()[..], &buffer[..length]].concat()
}

fn read_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

#[test]
fn what_comes_before_and_behind_a_transfer_keeps_its_order() {
    let running = start(20, NextMessage::End, DEADLINE);
    let mut stream = running.connect();
    let ask = [query(Rtype::A, false), query(Rtype::AXFR, true), query(Rtype::A, false)].concat();
    stream.write_all(&ask).unwrap();
    assert!(read_message(&mut stream).unwrap().len() < 100);
    for left in (0u64..20).rev() {
        let message = read_message(&mut stream).unwrap();
        assert_eq!(message.len(), MESSAGE_BYTES);
        assert_eq!(message[HEADER_BYTES..HEADER_BYTES + 8], left.to_be_bytes());
    }
    assert!(read_message(&mut stream).unwrap().len() < 100);
    assert_eq!(running.open.load(Ordering::Relaxed), 0);
}

#[test]
fn messages_are_made_as_they_are_taken() {
    let running = start(10_000, NextMessage::End, DEADLINE);
    let mut slow = running.connect();
    slow.write_all(&query(Rtype::AXFR, true)).unwrap();
    read_message(&mut slow).unwrap();
    // Meanwhile others are answered, whom the same thread serves.
    for _ in 0..50 {
        let mut other = running.connect();
        other.write_all(&query(Rtype::A, false)).unwrap();
        read_message(&mut other).unwrap();
    }
    // What the system's buffers take is far less than all of it.
    let made = running.made.load(Ordering::Relaxed);
    assert!(made < 1_000, "{made} messages were made for a client that takes none");
    drop(slow);
    running.wait_until("the stream is dropped with its connection", |r| r.open.load(Ordering::Relaxed) == 0);
}

#[test]
fn a_transfer_that_nobody_takes_is_given_up() {
    let running = start(10_000, NextMessage::End, Duration::from_millis(100));
    let mut stream = running.connect();
    stream.write_all(&query(Rtype::IXFR, true)).unwrap();
    running.wait_until("it is given up", |r| r.edge.stats().dropped_for(DropReason::TcpSlowReader) == 1);
    running.wait_until("its stream is dropped", |r| r.open.load(Ordering::Relaxed) == 0);
}

#[test]
fn a_broken_transfer_closes_its_connection() {
    let running = start(3, NextMessage::Broken, DEADLINE);
    let mut stream = running.connect();
    stream.write_all(&query(Rtype::AXFR, true)).unwrap();
    assert!((0..3).all(|_| read_message(&mut stream).is_some()));
    assert!(read_message(&mut stream).is_none());
    running.wait_until("it is counted", |r| r.edge.stats().dropped_for(DropReason::Transfer) == 1);
}

#[test]
fn unsigned_questions_for_transfers_are_refused() {
    let running = start(3, NextMessage::End, DEADLINE);
    let mut stream = running.connect();
    stream.write_all(&query(Rtype::AXFR, false)).unwrap();
    let answer = read_message(&mut stream).unwrap();
    assert_eq!(wire::Header::parse(&answer).unwrap().flags.rcode(), wire::Rcode::REFUSED);
    assert_eq!(running.made.load(Ordering::Relaxed), 0);
}
