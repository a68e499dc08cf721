//! Opens the sockets while the process still has its privileges: for each worker, each address, UDP and TCP.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    os::fd::AsFd,
    sync::Arc,
    thread,
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::{
    EdgeError,
    sockets::{self, UdpSocket},
};

/// Room for datagrams that wait for a lane: some milliseconds at full load. More would answer clients that no longer
/// wait, and push the waiting datagrams out of the processor's caches.
const RECEIVE_BUFFER_BYTES: i32 = 4 << 20;
/// Room for answers that wait for the interface.
const SEND_BUFFER_BYTES: i32 = 4 << 20;
/// Connections whose handshake is done and that wait to be accepted.
const TCP_BACKLOG: i32 = 1024;
/// What the kernel may hold for a connection in each direction, so that slow readers cost little.
const TCP_BUFFER_BYTES: usize = 128 << 10;
/// How often a free port is looked for when the kernel chooses: one free for UDP may be in use for TCP.
const PORT_ATTEMPTS_MAX: usize = 16;
/// Longest wait of a lane for a datagram; between two waits it looks whether it is to stop.
pub(crate) const LANE_WAIT_MAX: Duration = Duration::from_millis(100);

/// All sockets of an edge, bound and not yet served.
#[derive(Debug)]
pub struct Sockets {
    pub(crate) workers: Vec<WorkerSockets>,
    addresses: Vec<SocketAddr>,
}

#[derive(Debug, Default)]
pub(crate) struct WorkerSockets {
    pub(crate) udp: Vec<Arc<UdpSocket>>,
    pub(crate) tcp: Vec<TcpListener>,
}

impl Sockets {
    /// The addresses that answer, in the order that was asked for; ports the kernel chose are filled in.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many worker threads each lane gets.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }
}

/// Binds each address of `listen` for `workers` threads (0: one for each processor this process may use).
///
/// Every worker gets sockets of its own (`SO_REUSEPORT`), so that the kernel spreads the clients over them. An address
/// that another program has is refused rather than shared with it, whoever runs it. `::` takes IPv6 alone.
///
/// # Errors
///
/// The first address that cannot be had, and what to do about it; sockets opened until then are closed.
pub fn bind(listen: &[SocketAddr], workers: usize) -> Result<Sockets, EdgeError> {
    if listen.is_empty() {
        return Err(EdgeError::NothingToListenOn);
    }
    let count = match workers {
        0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        count => count,
    };
    let mut addresses = Vec::with_capacity(listen.len());
    for &wanted in listen {
        // All are looked at before one is taken: a wildcard address of ours would be in a specific one's way.
        let address = claim_port(wanted)?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let mut workers: Vec<WorkerSockets> = (0..count).map(|_| WorkerSockets::default()).collect();
    for &address in &addresses {
        for worker in &mut workers {
            worker.udp.push(Arc::new(bind_udp(address)?));
            worker.tcp.push(bind_tcp(address)?);
        }
    }
    Ok(Sockets { workers, addresses })
}

/// Finds out whether the address is free for both transports, and which port to use when the kernel is to choose.
///
/// `SO_REUSEPORT` would let a second Parapet of the same user join in silently, so a first bind goes without it.
fn claim_port(wanted: SocketAddr) -> Result<SocketAddr, EdgeError> {
    let mut result = Err(EdgeError::PortInUse { address: wanted, transport: "TCP" });
    for _ in 0..PORT_ATTEMPTS_MAX {
        let udp = open(wanted, Type::DGRAM, Protocol::UDP)
            .and_then(|socket| bind_to(socket, wanted))
            .map_err(|source| EdgeError::from_bind(wanted, "UDP", source))?;
        let address = local_address(&udp).map_err(|source| EdgeError::from_bind(wanted, "UDP", source))?;
        let tcp = open(address, Type::STREAM, Protocol::TCP).and_then(|socket| {
            // Connections of a former run that linger in TIME_WAIT are no reason to refuse.
            socket.set_reuse_address(true)?;
            bind_to(socket, address)?.listen(TCP_BACKLOG)
        });
        match tcp {
            Ok(()) => return Ok(address),
            Err(source) => result = Err(EdgeError::from_bind(address, "TCP", source)),
        }
        if wanted.port() != 0 {
            break;
        }
    }
    result
}

fn bind_udp(address: SocketAddr) -> Result<UdpSocket, EdgeError> {
    let prepare = || {
        let socket = open(address, Type::DGRAM, Protocol::UDP)?;
        socket.set_reuse_port(true)?;
        sockets::set_receive_buffer(socket.as_fd(), RECEIVE_BUFFER_BYTES)?;
        sockets::set_send_buffer(socket.as_fd(), SEND_BUFFER_BYTES)?;
        socket.set_read_timeout(Some(LANE_WAIT_MAX))?;
        UdpSocket::new(bind_to(socket, address)?.into(), address)
    };
    prepare().map_err(|source| EdgeError::from_bind(address, "UDP", source))
}

fn bind_tcp(address: SocketAddr) -> Result<TcpListener, EdgeError> {
    let prepare = || {
        let socket = open(address, Type::STREAM, Protocol::TCP)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // Accepted connections inherit both.
        socket.set_recv_buffer_size(TCP_BUFFER_BYTES)?;
        socket.set_send_buffer_size(TCP_BUFFER_BYTES)?;
        let socket = bind_to(socket, address)?;
        socket.listen(TCP_BACKLOG)?;
        Ok(socket.into())
    };
    prepare().map_err(|source| EdgeError::from_bind(address, "TCP", source))
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

fn bind_to(socket: Socket, address: SocketAddr) -> io::Result<Socket> {
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let unknown = || io::Error::other("the socket has no Internet address");
    socket.local_addr()?.as_socket().ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_chooses_one_port_for_all_sockets() {
        let sockets = bind(&["127.0.0.1:0".parse().unwrap(), "[::1]:0".parse().unwrap()], 2).unwrap();
        assert_eq!((sockets.workers(), sockets.addresses().len()), (2, 2));
        for (index, &address) in sockets.addresses().iter().enumerate() {
            assert_ne!(address.port(), 0);
            for worker in &sockets.workers {
                assert_eq!(worker.udp[index].local(), address);
                assert_eq!(worker.tcp[index].local_addr().unwrap(), address);
            }
        }
    }

    #[test]
    fn a_port_in_use_is_refused_over_both_transports() {
        let first = bind(&["127.0.0.1:0".parse().unwrap()], 1).unwrap();
        let address = first.addresses()[0];
        let error = bind(&[address], 1).unwrap_err();
        assert!(matches!(error, EdgeError::PortInUse { transport: "UDP", .. }), "{error}");
        drop(first);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = bind(&[listener.local_addr().unwrap()], 1).unwrap_err();
        assert!(matches!(error, EdgeError::PortInUse { transport: "TCP", .. }), "{error}");
        assert!(error.to_string().contains("the port is in use"), "{error}");
    }

    #[test]
    fn an_address_of_nobody_is_named() {
        let error = bind(&["192.0.2.1:5300".parse().unwrap()], 1).unwrap_err();
        assert!(matches!(error, EdgeError::NoSuchAddress { .. }), "{error}");
        assert!(matches!(bind(&[], 1), Err(EdgeError::NothingToListenOn)));
    }

    #[test]
    fn an_address_stands_beside_the_wildcard_that_includes_it() {
        let port = bind(&["0.0.0.0:0".parse().unwrap()], 1).unwrap().addresses()[0].port();
        let listen = ["0.0.0.0", "127.0.0.1", "127.0.0.1", "[::]"].map(|ip| format!("{ip}:{port}").parse().unwrap());
        assert_eq!(bind(&listen, 1).unwrap().addresses(), [listen[0], listen[1], listen[3]]);
    }
}
