//! A scripted primary: it answers each request with what the test tells it to, right or wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use wire::{Class, Flags, Message, Name, Rcode, Rtype, Section, Writer};

use super::free_address;

/// The zone that it has.
pub(crate) const ZONE: &str = "zone.test.";

/// One record.
#[derive(Clone)]
pub(crate) struct Rr(pub(crate) String, pub(crate) Rtype, pub(crate) Vec<u8>);

/// The SOA record with a serial.
pub(crate) fn soa(serial: u32) -> Rr {
    soa_with(serial, [3600, 600, 86_400])
}

/// The same with refresh, retry and expire.
pub(crate) fn soa_with(serial: u32, timers: [u32; 3]) -> Rr {
    let mut rdata = b"\x02ns\x04zone\x04test\x00\x05admin\x04zone\x04test\x00".to_vec();
    for number in [serial, timers[0], timers[1], timers[2], 300] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    Rr(ZONE.into(), Rtype::SOA, rdata)
}

/// An A record.
pub(crate) fn a(owner: &str, last: u8) -> Rr {
    Rr(owner.into(), Rtype::A, vec![192, 0, 2, last])
}

/// The NS record.
pub(crate) fn ns() -> Rr {
    Rr(ZONE.into(), Rtype::NS, b"\x02ns\x04zone\x04test\x00".to_vec())
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: u16,
    pub(crate) question: Rtype,
    /// The serial of an IXFR request.
    pub(crate) serial: Option<u32>,
    pub(crate) tcp: bool,
    pub(crate) peer: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Asked {
    fn read(bytes: &[u8], tcp: bool, peer: SocketAddr) -> Asked {
        let message = Message::parse(bytes).unwrap();
        let (_, question, _) = message.questions().next().unwrap();
        let soa = message.records().flatten().find(|record| record.section == Section::Authority);
        let serial = soa.map(|record| {
            let mut rdata = Vec::new();
            record.decompress_rdata(&mut rdata).unwrap();
            wire::rdata::Soa::parse(&rdata).unwrap().serial
        });
        Asked { id: message.header.id, question, serial, tcp, peer, bytes: bytes.to_vec() }
    }

    /// An answer with these records.
    pub(crate) fn answer(&self, records: &[Rr]) -> Vec<u8> {
        self.build(Rcode::NOERROR, true, records)
    }

    /// An answer that also says how long the primary's own copy is good for (RFC 7314).
    pub(crate) fn answer_with_expire(&self, records: &[Rr], expire_s: u32) -> Vec<u8> {
        let mut message = self.answer(records);
        message[11] = 1;
        message.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 8, 0, 9, 0, 4]);
        message.extend(expire_s.to_be_bytes());
        message
    }

    /// An answer with an error.
    pub(crate) fn error(&self, rcode: Rcode) -> Vec<u8> {
        self.build(rcode, true, &[])
    }

    /// A further message of an answer, which does not repeat the question.
    pub(crate) fn further(&self, records: &[Rr]) -> Vec<u8> {
        self.build(Rcode::NOERROR, false, records)
    }

    /// An answer for another zone than [`ZONE`].
    pub(crate) fn answer_for(&self, zone: &Name, records: &[Rr]) -> Vec<u8> {
        self.build_for(zone, Rcode::NOERROR, true, records)
    }

    fn build(&self, rcode: Rcode, question: bool, records: &[Rr]) -> Vec<u8> {
        self.build_for(&ZONE.parse().unwrap(), rcode, question, records)
    }

    fn build_for(&self, zone: &Name, rcode: Rcode, question: bool, records: &[Rr]) -> Vec<u8> {
        let mut buffer = vec![0; 65_535];
        let mut writer = Writer::new(&mut buffer, 65_535).unwrap();
        writer.set_id(self.id);
        writer.set_flags(Flags::default().with_qr(true).with_aa(true).with_rcode(rcode));
        if question {
            writer.question(zone.as_ref(), self.question, Class::IN).unwrap();
        }
        for Rr(owner, rtype, rdata) in records {
            let owner: Name = owner.parse().unwrap();
            writer.record(Section::Answer, owner.as_ref(), *rtype, Class::IN, 300, rdata).unwrap();
        }
        let length = writer.finish();
        buffer.truncate(length);
        buffer
    }
}

/// What to do with a request.
pub(crate) enum Reply {
    /// Send these messages and wait for the other side to close.
    Messages(Vec<Vec<u8>>),
    /// Send these messages and close.
    ThenClose(Vec<Vec<u8>>),
    /// Send these messages, then these bytes of the next with its length, and close.
    ThenCut(Vec<Vec<u8>>, Vec<u8>),
    /// Send these messages, and nothing more.
    ThenSilence(Vec<Vec<u8>>),
}

type Script = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// The primary; it ends with this value.
pub(crate) struct Primary {
    pub(crate) address: SocketAddr,
    script: Arc<Mutex<Script>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Primary {
    pub(crate) fn start(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Primary {
        let address = free_address();
        let (tcp, udp) = (TcpListener::bind(address).unwrap(), UdpSocket::bind(address).unwrap());
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let (asked, ends) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        tcp.set_nonblocking(true).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let shared = (Arc::clone(&script), Arc::clone(&asked), Arc::clone(&ends));
        let connections = std::thread::spawn(move || serve_tcp(&tcp, &shared));
        let shared = (Arc::clone(&script), Arc::clone(&asked), Arc::clone(&ends));
        let datagrams = std::thread::spawn(move || serve_udp(&udp, &shared));
        Primary { address, script, asked, ends, threads: vec![connections, datagrams] }
    }

    /// Changes what it does from now on.
    pub(crate) fn follow(&self, script: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// All requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Primary {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

type Shared = (Arc<Mutex<Script>>, Arc<Mutex<Vec<Asked>>>, Arc<AtomicBool>);

fn serve_udp(socket: &UdpSocket, (script, asked, ends): &Shared) {
    let mut buffer = [0; 4096];
    while !ends.load(Ordering::Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let request = Asked::read(&buffer[..length], false, peer);
        asked.lock().unwrap().push(request.clone());
        let reply = (script.lock().unwrap())(&request);
        if let Reply::Messages(messages) = reply {
            messages.iter().for_each(|message| drop(socket.send_to(message, peer)));
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Shared) {
    let mut connections = Vec::new();
    while !shared.2.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let shared = shared.clone();
                connections.push(std::thread::spawn(move || drop(serve_connection(stream, &shared))));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    connections.into_iter().for_each(|connection| drop(connection.join()));
}

fn serve_connection(mut stream: TcpStream, (script, asked, ends): &Shared) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut request = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut request)?;
    let request = Asked::read(&request, true, stream.peer_addr()?);
    asked.lock().unwrap().push(request.clone());
    let reply = (script.lock().unwrap())(&request);
    let (messages, cut) = match &reply {
        Reply::Messages(messages) | Reply::ThenClose(messages) | Reply::ThenSilence(messages) => (messages, None),
        Reply::ThenCut(messages, cut) => (messages, Some(cut)),
    };
    for message in messages {
        stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes())?;
        stream.write_all(message)?;
    }
    if let Some(cut) = cut {
        stream.write_all(&1000u16.to_be_bytes())?;
        stream.write_all(cut)?;
    }
    if matches!(reply, Reply::Messages(_) | Reply::ThenSilence(_)) {
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        while !ends.load(Ordering::Relaxed) {
            match stream.read(&mut length) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(_) => break,
            }
        }
    }
    Ok(())
}
