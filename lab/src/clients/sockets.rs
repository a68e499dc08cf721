//! UDP sockets that send from any of the resolvers' addresses: each is bound to a port alone, and every datagram says from
//! which address it goes, and to which one it came (`IP_PKTINFO`).

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    time::{Duration, SystemTime},
};

use nix::{
    cmsg_space, libc,
    sys::{
        socket::{
            ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt,
            sockopt::{Ipv4PacketInfo, ReceiveTimestampns},
        },
        time::TimeSpec,
    },
};

use super::PORT_MIN;
use crate::random::Random;

/// Ports that are tried before there is none.
const PORT_TRIES_MAX: usize = 64;
/// Largest datagram that is read: answers are at most as long as the payload size that was offered.
const DATAGRAM_BYTES: usize = 4096;

/// A socket for all resolvers.
pub(super) struct Shared {
    socket: UdpSocket,
    buffer: Vec<u8>,
}

/// A datagram that came.
pub(super) struct Datagram<'s> {
    pub(super) from: SocketAddrV4,
    pub(super) to: Ipv4Addr,
    pub(super) bytes: &'s [u8],
    /// How long it was in the socket.
    pub(super) waited: Duration,
}

impl Shared {
    /// On a port of its own, in the namespace of the current thread.
    pub(super) fn open(random: &mut Random) -> io::Result<Shared> {
        let mut tries = (0..PORT_TRIES_MAX).map(|_| {
            let port = PORT_MIN + random.below(u64::from(u16::MAX - PORT_MIN)) as u16;
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))
        });
        let socket = tries.find(Result::is_ok).unwrap_or_else(|| Err(io::ErrorKind::AddrInUse.into()))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        Ok(Shared { socket, buffer: vec![0; DATAGRAM_BYTES] })
    }

    /// Send a datagram.
    pub(super) fn send(&self, message: &[u8], from: Ipv4Addr, to: SocketAddrV4) -> io::Result<()> {
        let information = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let control = [ControlMessage::Ipv4PacketInfo(&information)];
        let to = SockaddrIn::from(to);
        sendmsg(self.socket.as_raw_fd(), &[IoSlice::new(message)], &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// The next datagram, if there is one.
    pub(super) fn receive(&mut self) -> Option<Datagram<'_>> {
        let mut control = cmsg_space!(libc::in_pktinfo, TimeSpec);
        let (length, from, to, at) = {
            let mut into = [IoSliceMut::new(&mut self.buffer)];
            let flags = MsgFlags::MSG_DONTWAIT;
            let got = recvmsg::<SockaddrIn>(self.socket.as_raw_fd(), &mut into, Some(&mut control), flags).ok()?;
            let (mut to, mut at) = (None, None);
            for message in got.cmsgs().ok()? {
                match message {
                    ControlMessageOwned::Ipv4PacketInfo(information) => {
                        to = Some(Ipv4Addr::from(information.ipi_addr.s_addr.to_ne_bytes()));
                    }
                    ControlMessageOwned::ScmTimestampns(time) => at = Some(Duration::from(time)),
                    _ => {}
                }
            }
            (got.bytes, got.address?, to?, at)
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let waited = at.map_or(Duration::ZERO, |at| now.saturating_sub(at));
        let from = SocketAddrV4::new(from.ip(), from.port());
        Some(Datagram { from, to, bytes: self.buffer.get(..length).unwrap_or_default(), waited })
    }
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
