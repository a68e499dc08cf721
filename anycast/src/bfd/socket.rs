//! Sockets of BFD: where packets arrive, with the TTL they came with, and where each session sends from (RFC 5881 §4, §5).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::sockopt::{Ipv4RecvTtl, Ipv6RecvHopLimit};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use socket2::{Domain, Protocol, Socket, Type};

/// Where BFD Control packets of single hops go.
pub(super) const PORT: u16 = 3784;
/// The TTL of all packets, sent and received: who has it is on the link.
pub(super) const TTL: u8 = 255;
/// Source ports are taken from here on.
const SOURCE_PORT_MIN: u16 = 49152;
/// Source ports that are tried before giving up.
const SOURCE_PORT_TRIES_MAX: u32 = 64;
/// Bytes taken of a packet; what follows them is of no interest.
const RECEIVE_BYTES_MAX: usize = 256;
/// Class selector 6, what routers give their own protocols.
const TRAFFIC_CLASS: u32 = 0xc0;

/// A socket where packets arrive.
#[derive(Debug)]
pub(super) struct Receiver {
    socket: UdpSocket,
    address: IpAddr,
}

/// A datagram that has arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) length: usize,
    pub(super) from: SocketAddr,
    /// None if the kernel did not say.
    pub(super) ttl: Option<u8>,
}

/// Memory of one thread's receiving.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) bytes: [u8; RECEIVE_BYTES_MAX],
    control: Vec<u8>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { bytes: [0; RECEIVE_BYTES_MAX], control: nix::cmsg_space!(i32, i32) }
    }
}

impl Receiver {
    /// Binds `address`, which may be the wildcard of its family.
    pub(super) fn bind(address: IpAddr) -> io::Result<Self> {
        let socket = open(address)?;
        if address.is_ipv4() {
            setsockopt(&socket, Ipv4RecvTtl, &true)?;
        } else {
            setsockopt(&socket, Ipv6RecvHopLimit, &true)?;
        }
        socket.bind(&SocketAddr::new(address, PORT).into())?;
        Ok(Self { socket: socket.into(), address })
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Takes one datagram, if there is one.
    pub(super) fn receive(&self, buffers: &mut Buffers) -> io::Result<Option<Arrived>> {
        let mut slices = [IoSliceMut::new(&mut buffers.bytes)];
        let control = Some(&mut buffers.control[..]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let message = match recvmsg::<SockaddrStorage>(self.socket.as_raw_fd(), &mut slices, control, flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN) => return Ok(None),
            Err(why) => return Err(why.into()),
        };
        let ttl = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::Ipv4Ttl(ttl) | ControlMessageOwned::Ipv6HopLimit(ttl) => u8::try_from(ttl).ok(),
                _ => None,
            })
        });
        let from = message.address.as_ref().and_then(socket_address);
        let from = from.unwrap_or(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        Ok(Some(Arrived { length: message.bytes, from, ttl }))
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The wildcard of the family of `address`.
pub(super) fn wildcard(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// A socket to send from: a port of its own that stays the same for the session's life. `random` gives any numbers.
pub(super) fn sender(source: IpAddr, mut random: impl FnMut() -> u32) -> io::Result<UdpSocket> {
    let socket = open(source)?;
    if source.is_ipv4() {
        socket.set_ttl_v4(TTL.into())?;
        socket.set_tos_v4(TRAFFIC_CLASS)?;
    } else {
        socket.set_unicast_hops_v6(TTL.into())?;
        socket.set_tclass_v6(TRAFFIC_CLASS)?;
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let port = SOURCE_PORT_MIN | (random() as u16);
        match socket.bind(&SocketAddr::new(source, port).into()) {
            Err(why) if why.kind() == io::ErrorKind::AddrInUse && tries < SOURCE_PORT_TRIES_MAX => {}
            Err(why) => return Err(why),
            Ok(()) => return Ok(socket.into()),
        }
    }
}

fn open(address: IpAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(SocketAddr::new(address, 0)), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddr::V4(SocketAddrV4::from(*address)));
    v4.or_else(|| storage.as_sockaddr_in6().map(|address| SocketAddr::V6(SocketAddrV6::from(*address))))
}
