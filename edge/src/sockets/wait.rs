//! Waiting for the first of several sockets to have something, for no longer than a bound.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    sync::Arc,
    time::Duration,
};

use super::UdpSocket;

/// Sockets reported per call; the others are reported by the next.
const EVENTS_MAX: usize = 16;

/// A level-triggered epoll set over a lane's sockets.
pub(crate) struct Waiter {
    epoll: OwnedFd,
    events: [libc::epoll_event; EVENTS_MAX],
    timeout_ms: libc::c_int,
}

impl Waiter {
    /// Watches `sockets`; each is known by its position from then on.
    pub(crate) fn new(sockets: &[Arc<UdpSocket>], timeout: Duration) -> io::Result<Self> {
        // SAFETY: no pointers are passed; the result is checked before it is taken as a descriptor.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new, open, and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        for (index, socket) in sockets.iter().enumerate() {
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            // SAFETY: both descriptors are open, and the kernel copies the event before the call returns.
            let result = unsafe {
                libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_fd().as_raw_fd(), &raw mut event)
            };
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        let timeout_ms = libc::c_int::try_from(timeout.as_millis()).unwrap_or(libc::c_int::MAX);
        Ok(Waiter { epoll, events: [libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX], timeout_ms })
    }

    /// The positions of the sockets that have something to read; none after the timeout or a signal.
    pub(crate) fn wait(&mut self) -> io::Result<impl Iterator<Item = usize> + '_> {
        // SAFETY: the kernel writes at most EVENTS_MAX events to an array of that many.
        let ready = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS_MAX as libc::c_int,
                self.timeout_ms,
            )
        };
        let ready = match usize::try_from(ready) {
            Ok(ready) => ready,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => 0,
                error => return Err(error),
            },
        };
        Ok(self.events.iter().take(ready).map(|event| event.u64 as usize))
    }
}
