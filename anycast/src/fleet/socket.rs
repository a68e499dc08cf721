//! Carries the fleet's datagrams.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::net::UdpSocket;

use super::{Fleet, Random, seal};
use crate::Error;

/// Datagrams that are heard in a row; then what follows from them is decided.
const RECEIVED_MAX: usize = 64;

/// Binds the socket, while that may need a privilege.
pub(crate) fn bind(address: SocketAddr) -> Result<std::net::UdpSocket, Error> {
    let bind = || {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    bind().map_err(|source| Error::Fleet { address, source })
}

/// Numbers of the system's generator.
pub(crate) fn random() -> Random {
    let system = SystemRandom::new();
    Box::new(move || {
        let mut bytes = [0; 8];
        if system.fill(&mut bytes).is_err() {
            // Without chance, at least no number twice: they only have to differ.
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            return now.as_nanos() as u64;
        }
        u64::from_ne_bytes(bytes)
    })
}

/// Hears what has arrived, a bounded number of datagrams.
pub(crate) fn receive(socket: &UdpSocket, fleet: &mut Fleet, now: Instant) {
    let mut buffer = [0; seal::DATAGRAM_BYTES_MAX + 1];
    for _ in 0..RECEIVED_MAX {
        match socket.try_recv_from(&mut buffer) {
            Ok((bytes, from)) => {
                let datagram = buffer.get(..bytes).unwrap_or_default();
                if let Err(why) = fleet.receive(from, datagram, now) {
                    tracing::debug!(%from, bytes, ?why, "a datagram of the fleet was not heeded");
                }
            }
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
            // An ICMP error for something sent before; the socket goes on.
            Err(why) => tracing::debug!(%why, "the fleet's socket"),
        }
    }
}

/// Sends what there is to send. What does not get out is said again.
pub(crate) fn send(socket: &UdpSocket, fleet: &mut Fleet, now: Instant) {
    for (to, datagram) in fleet.outgoing(now) {
        if let Err(why) = socket.try_send_to(&datagram, to) {
            tracing::debug!(%to, %why, "a datagram of the fleet was not sent");
        }
    }
}
