//! Asking servers: one question at a time, or very many in a pipeline, over UDP and TCP.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::Question;

/// Questions without an answer yet on one socket. A server's receive buffer holds as many.
const IN_FLIGHT_MAX: usize = 64;
/// A question is asked again when there was no answer for so long ...
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(700);
/// ... and so often.
const TRIES_MAX: u32 = 12;
/// How long one TCP answer may take.
const TCP_WAIT: Duration = Duration::from_secs(10);
/// Questions on one TCP connection.
const TCP_QUESTIONS_MAX: usize = 50;

/// A UDP socket that talks to `server` alone.
///
/// # Panics
/// When the system has no socket for us.
#[must_use]
pub fn connected(server: SocketAddr) -> UdpSocket {
    let any: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).expect("a UDP socket");
    socket.connect(server).expect("connecting a UDP socket");
    socket
}

/// Sends one message and waits at most `wait` for the answer with its id.
///
/// # Errors
/// What the socket says, a timeout among it.
pub fn exchange_udp(server: SocketAddr, message: &[u8], wait: Duration) -> io::Result<Vec<u8>> {
    let socket = connected(server);
    socket.send(message)?;
    let deadline = Instant::now() + wait;
    let mut buffer = vec![0; 65_535];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut buffer)?;
        if buffer[..length].get(..2) == message.get(..2) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

/// Sends one message over a new TCP connection and reads one answer.
///
/// # Errors
/// What the socket says, a timeout among it.
pub fn exchange_tcp(server: SocketAddr, message: &[u8], wait: Duration) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, wait)?;
    stream.set_read_timeout(Some(wait))?;
    stream.set_write_timeout(Some(wait))?;
    write_framed(&mut stream, message)?;
    read_framed(&mut stream)
}

/// Writes a message with its length in front (RFC 1035 §4.2.2).
///
/// # Errors
/// What the stream says.
pub fn write_framed(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed)
}

/// Reads a message with its length in front.
///
/// # Errors
/// What the stream says.
pub fn read_framed(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

/// Asks all over UDP, many in flight, and gives the answers in the order of the questions.
///
/// # Panics
/// When a question stays without an answer.
#[must_use]
pub fn ask_all(server: SocketAddr, questions: &[Question]) -> Vec<Vec<u8>> {
    let socket = connected(server);
    socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
    let mut answers: Vec<Vec<u8>> = vec![Vec::new(); questions.len()];
    let mut waiting: HashMap<u16, (usize, Instant, u32)> = HashMap::new();
    let mut next = 0;
    let mut buffer = vec![0; 65_535];
    while next < questions.len() || !waiting.is_empty() {
        while next < questions.len() && waiting.len() < IN_FLIGHT_MAX && !waiting.contains_key(&(next as u16)) {
            let _ = socket.send(&questions[next].to_bytes(next as u16));
            waiting.insert(next as u16, (next, Instant::now(), 1));
            next += 1;
        }
        if let Ok(length) = socket.recv(&mut buffer) {
            let id = u16::from_be_bytes([buffer[0], buffer[1]]);
            if let Some((index, ..)) = waiting.remove(&id) {
                answers[index] = buffer[..length].to_vec();
            }
        }
        ask_again(server, &socket, questions, &mut waiting);
    }
    answers
}

fn ask_again(
    server: SocketAddr,
    socket: &UdpSocket,
    questions: &[Question],
    waiting: &mut HashMap<u16, (usize, Instant, u32)>,
) {
    for (id, (index, since, tries)) in waiting {
        if since.elapsed() > ASK_AGAIN_AFTER {
            assert!(*tries < TRIES_MAX, "{server} did not answer {} ({tries} times)", questions[*index]);
            let _ = socket.send(&questions[*index].to_bytes(*id));
            *since = Instant::now();
            *tries += 1;
        }
    }
}

/// Asks all over TCP, one after the other, some on each connection, and gives the answers in the order of the questions.
///
/// # Panics
/// When the server closes in the middle or does not answer.
#[must_use]
pub fn ask_all_tcp(server: SocketAddr, questions: &[Question]) -> Vec<Vec<u8>> {
    let mut answers = Vec::with_capacity(questions.len());
    for some in questions.chunks(TCP_QUESTIONS_MAX) {
        let chunk = ask_some_tcp(server, some).unwrap_or_else(|e| panic!("{server} over TCP, asked {}…: {e}", some[0]));
        answers.extend(chunk);
    }
    answers
}

fn ask_some_tcp(server: SocketAddr, questions: &[Question]) -> io::Result<Vec<Vec<u8>>> {
    let mut stream = TcpStream::connect_timeout(&server, TCP_WAIT)?;
    stream.set_read_timeout(Some(TCP_WAIT))?;
    let exchange = |(id, question): (usize, &Question)| {
        write_framed(&mut stream, &question.to_bytes(id as u16))?;
        read_framed(&mut stream)
    };
    questions.iter().enumerate().map(exchange).collect()
}
