//! An origin of one zone over UDP and TCP, until the test ends: SOA, AXFR, and an address for every name.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const TYPE_A: u16 = 1;
const TYPE_NS: u16 = 2;
const TYPE_SOA: u16 = 6;
const TYPE_AXFR: u16 = 252;
/// Compression pointer to the question's name.
const OWNER: [u8; 2] = [0xc0, 12];

/// Where it answers, and what its zone's serial is.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) serial: Arc<AtomicU32>,
}

impl Origin {
    pub(crate) fn start(serial: u32) -> Self {
        // A port that is free for both.
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
                break (tcp, udp);
            }
        };
        let origin = Self { address: tcp.local_addr().unwrap(), serial: Arc::new(AtomicU32::new(serial)) };
        let serial = Arc::clone(&origin.serial);
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let serial = Arc::clone(&serial);
                thread::spawn(move || serve_stream(stream.unwrap(), &serial));
            }
        });
        let serial = Arc::clone(&origin.serial);
        thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((bytes, peer)) = udp.recv_from(&mut query) {
                let _ = udp.send_to(&answer(&query[..bytes], serial.load(Ordering::SeqCst)), peer);
            }
        });
        origin
    }
}

fn serve_stream(mut stream: TcpStream, serial: &AtomicU32) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        let answer = answer(&query, serial.load(Ordering::SeqCst));
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        if stream.write_all(&[&length[..], &answer].concat()).is_err() {
            return;
        }
    }
}

/// SOA; for AXFR the whole zone: SOA, NS, SOA; for A the address that the serial is in its last octets; else no data.
fn answer(query: &[u8], serial: u32) -> Vec<u8> {
    let labels = &query[12..];
    let end = 12 + labels.iter().position(|&byte| byte == 0).unwrap() + 1;
    let qtype = u16::from_be_bytes([query[end], query[end + 1]]);
    let soa = record(TYPE_SOA, &soa(serial));
    let records = match qtype {
        TYPE_AXFR => vec![soa.clone(), record(TYPE_NS, &OWNER), soa.clone()],
        TYPE_SOA => vec![soa.clone()],
        TYPE_A => vec![record(TYPE_A, &serial.to_be_bytes())],
        _ => Vec::new(),
    };
    // No data has the SOA as authority (RFC 2308). Its owner is then the name asked for, which must be the apex.
    let authority = if records.is_empty() { vec![soa] } else { Vec::new() };
    let mut answer = query[..2].to_vec();
    answer.extend([
        0x84,
        0,
        0,
        1,
        0,
        u8::try_from(records.len()).unwrap(),
        0,
        u8::try_from(authority.len()).unwrap(),
        0,
        0,
    ]);
    answer.extend(&query[12..end + 4]);
    answer.extend(records.concat());
    answer.extend(authority.concat());
    answer
}

fn record(rtype: u16, rdata: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rdata.len()).unwrap();
    [&OWNER[..], &rtype.to_be_bytes(), &[0, 1, 0, 0, 0, 60], &length.to_be_bytes(), rdata].concat()
}

fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = [OWNER, OWNER].concat();
    for number in [serial, 3600, 600, 86_400, 60] {
        rdata.extend(number.to_be_bytes());
    }
    rdata
}
