//! The system calls that no safe crate has: batches of datagrams, their destination addresses, waiting on several
//! sockets. All of the crate's `unsafe` is in this module.
#![allow(unsafe_code)]

mod batch;
mod wait;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

pub(crate) use batch::{Answers, BATCH_DATAGRAMS_MAX, Batch, Datagram, Received, Sent, WayBack};
pub(crate) use wait::Waiter;

/// What SO_MEMINFO gives: this many numbers (SK_MEMINFO_VARS), the bytes of what has been received and not been read among
/// them (SK_MEMINFO_RMEM_ALLOC), how many there may be (SK_MEMINFO_RCVBUF), and drops (SK_MEMINFO_DROPS).
const MEMINFO_WORDS: usize = 9;
const MEMINFO_RECEIVED: usize = 0;
const MEMINFO_RECEIVE_BUFFER: usize = 1;
const MEMINFO_DROPS: usize = 8;

/// A bound UDP socket of one lane.
#[derive(Debug)]
pub(crate) struct UdpSocket {
    fd: OwnedFd,
    local: SocketAddr,
}

impl UdpSocket {
    /// Takes over a bound socket. One bound to the wildcard address is told to report where each datagram was sent
    /// to, since its answer has to leave from there; the others are spared that cost.
    pub(crate) fn new(fd: OwnedFd, local: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket { fd, local };
        if socket.reports_destination() {
            match local.ip() {
                IpAddr::V4(_) => socket.set_option(libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
                IpAddr::V6(_) => socket.set_option(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
            }
        }
        // Answers are small enough for any path (RFC 9715): a forged "fragmentation needed" must not shrink them, and
        // nothing has to be remembered per path.
        match local.ip() {
            IpAddr::V4(_) => socket.set_option(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)?,
            IpAddr::V6(_) => socket.set_option(libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)?,
        }
        Ok(socket)
    }

    /// The address it is bound to.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Datagrams that the kernel had no room for, since the socket was opened; wraps.
    pub(crate) fn dropped(&self) -> u32 {
        self.memory()[MEMINFO_DROPS]
    }

    /// How full its receive buffer is.
    pub(crate) fn fill_percent(&self) -> u8 {
        let memory = self.memory();
        let (used, room) = (u64::from(memory[MEMINFO_RECEIVED]), u64::from(memory[MEMINFO_RECEIVE_BUFFER]));
        u8::try_from((used * 100).checked_div(room).unwrap_or(0)).unwrap_or(100).min(100)
    }

    /// What the kernel says of its memory; zeros where it says nothing.
    fn memory(&self) -> [u32; MEMINFO_WORDS] {
        let mut memory = [0_u32; MEMINFO_WORDS];
        let mut length = size_of_val(&memory) as libc::socklen_t;
        // SAFETY: the descriptor is open for as long as `self` is, and the kernel writes at most the `length` bytes that
        // the array has.
        let result = unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_MEMINFO,
                memory.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 { memory } else { [0; MEMINFO_WORDS] }
    }

    /// Whether it is bound to the wildcard address.
    fn reports_destination(&self) -> bool {
        self.local.ip().is_unspecified()
    }

    fn set_option(&self, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        set_option(self.as_fd(), level, name, value)
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.fd)
    }
}

/// Sets the socket's receive buffer to `bytes`, above the system's limit where the privilege is there, else as near to
/// it as the limit lets.
pub(crate) fn set_receive_buffer(fd: BorrowedFd<'_>, bytes: libc::c_int) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
}

/// The same for the send buffer.
pub(crate) fn set_send_buffer(fd: BorrowedFd<'_>, bytes: libc::c_int) -> io::Result<()> {
    set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes))
}

fn set_option(fd: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel reads exactly the `int` that the
    // pointer and the length describe.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
