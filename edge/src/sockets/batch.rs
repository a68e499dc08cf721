//! A batch of datagrams: received by one call, answered in place, sent by one call.
//!
//! All memory is taken once. Answers are packed one behind the other, so that a batch of them touches few cache lines;
//! the sender's address (and, for a wildcard socket, the control message with the address that was asked) is handed
//! back to the kernel in the buffer in which it came.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd,
};

use super::UdpSocket;

/// Datagrams in a batch.
pub(crate) const BATCH_DATAGRAMS_MAX: usize = 64;
/// Datagrams asked for while few come: each costs a header to prepare, there or not.
const BATCH_DATAGRAMS_MIN: usize = 4;
/// Bytes taken of a datagram; what is longer arrives cut off, and so is malformed. Real queries have fewer than 600.
const QUERY_BYTES_MAX: usize = 2048;
/// From one receive buffer to the next: not a power of two, or the first bytes of all of them would fight for the same
/// few cache sets.
const QUERY_STRIDE_BYTES: usize = QUERY_BYTES_MAX + 3 * 64;
/// Room for each answer.
pub(crate) const ANSWER_BYTES_MAX: usize = 4096;

/// A `sockaddr_in` or `sockaddr_in6`, as bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct RawName([u8; 32]);

/// One control message with an `in_pktinfo` or `in6_pktinfo`, as bytes.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct RawControl([u8; 64]);

// struct cmsghdr on 64-bit Linux: length (8), level (4), type (4), then the data.
const CONTROL_DATA_OFFSET: usize = size_of::<libc::cmsghdr>();
const PKTINFO_V4_BYTES: usize = CONTROL_DATA_OFFSET + size_of::<libc::in_pktinfo>();
const PKTINFO_V6_BYTES: usize = CONTROL_DATA_OFFSET + size_of::<libc::in6_pktinfo>();

/// A received datagram.
#[derive(Clone, Copy)]
pub(crate) struct Datagram<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) peer: SocketAddr,
    name: &'a RawName,
    name_bytes: libc::socklen_t,
    /// None where the socket does not ask where a datagram was sent to.
    control: Option<&'a RawControl>,
}

/// Where the answer to a datagram goes, and from which address, to send it later.
#[derive(Clone, Copy)]
pub(crate) struct WayBack {
    name: RawName,
    name_bytes: libc::socklen_t,
    control: RawControl,
    control_bytes: usize,
    pub(crate) peer: SocketAddr,
}

impl Datagram<'_> {
    /// The way back to its sender.
    pub(crate) fn way_back(&self) -> WayBack {
        let mut control = self.control.copied().unwrap_or(RawControl([0; 64]));
        let control_bytes = if self.control.is_some() { prepare_control(&mut control) } else { 0 };
        WayBack { name: *self.name, name_bytes: self.name_bytes, control, control_bytes, peer: self.peer }
    }
}

impl std::fmt::Debug for WayBack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WayBack({})", self.peer)
    }
}

impl UdpSocket {
    /// Sends one message the way back. Never waits: an error of kind `WouldBlock` says that the send buffer is full.
    pub(crate) fn send_back(&self, message: &[u8], way: &WayBack) -> io::Result<()> {
        let mut way = *way;
        let mut vector = libc::iovec { iov_base: message.as_ptr().cast_mut().cast(), iov_len: message.len() };
        let header = libc::msghdr {
            msg_name: (&raw mut way.name).cast(),
            msg_namelen: way.name_bytes,
            msg_iov: &raw mut vector,
            msg_iovlen: 1,
            msg_control: if way.control_bytes > 0 { (&raw mut way.control).cast() } else { std::ptr::null_mut() },
            msg_controllen: way.control_bytes,
            msg_flags: 0,
        };
        loop {
            // SAFETY: the header points to a name, one vector and (or null) a control message that live until the end of
            // this function, with their true lengths; the kernel only reads them and the message.
            let sent = unsafe { libc::sendmsg(self.as_fd().as_raw_fd(), &raw const header, libc::MSG_DONTWAIT) };
            match io::Error::last_os_error() {
                _ if sent >= 0 => return Ok(()),
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            }
        }
    }
}

/// An answer: which datagram it is for, and where it stands.
#[derive(Clone, Copy, Default)]
struct ToSend {
    index: usize,
    start: usize,
    length: usize,
}

/// The datagrams of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Received<'a> {
    queries: &'a [u8],
    names: &'a [RawName],
    controls: &'a [RawControl],
    headers: &'a [libc::mmsghdr],
}

impl<'a> Received<'a> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.headers.len()
    }

    /// One of them; none if it came from nowhere.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<Datagram<'a>> {
        let header = self.headers.get(index)?;
        let name = self.names.get(index)?;
        let offset = index * QUERY_STRIDE_BYTES;
        let length = (header.msg_len as usize).min(QUERY_BYTES_MAX);
        Some(Datagram {
            bytes: self.queries.get(offset..offset + length)?,
            peer: read_peer(name)?,
            name,
            name_bytes: header.msg_hdr.msg_namelen,
            control: self.controls.get(index).filter(|_| header.msg_hdr.msg_controllen > 0),
        })
    }
}

/// Where the answers to a batch are written, in any order, one to a datagram.
pub(crate) struct Answers<'a> {
    room: &'a mut [u8],
    to_send: &'a mut [ToSend],
    count: &'a mut usize,
    /// Where the next one begins.
    start: usize,
}

impl Answers<'_> {
    /// Answers the datagram with this index: `respond` writes to the slice, which has [`ANSWER_BYTES_MAX`] bytes, and returns
    /// how many are to be sent; 0 sends nothing.
    #[inline]
    pub(crate) fn answer(&mut self, index: usize, respond: impl FnOnce(&mut [u8]) -> usize) {
        let Some(room) = self.room.get_mut(self.start..self.start + ANSWER_BYTES_MAX) else { return };
        let length = respond(room).min(ANSWER_BYTES_MAX);
        if length > 0
            && let Some(place) = self.to_send.get_mut(*self.count)
        {
            *place = ToSend { index, start: self.start, length };
            *self.count += 1;
            self.start += length;
        }
    }
}

/// What became of a batch's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Handed to the network.
    pub(crate) answers: usize,
    /// Not, because the send buffer was full.
    pub(crate) no_room: usize,
    /// Not, for another reason: no route, forbidden by a packet filter.
    pub(crate) failed: usize,
}

/// The buffers of one lane thread.
pub(crate) struct Batch {
    queries: Box<[u8]>,
    names: Box<[RawName]>,
    controls: Box<[RawControl]>,
    receive_vectors: Box<[libc::iovec]>,
    receive_headers: Box<[libc::mmsghdr]>,
    answers: Box<[u8]>,
    send_vectors: Box<[libc::iovec]>,
    send_headers: Box<[libc::mmsghdr]>,
    /// Datagrams to ask for next: follows the load between the two bounds.
    wanted: usize,
    /// All that was asked for came: there may be more.
    full: bool,
    /// Datagrams received and not yet answered.
    received: usize,
    /// Datagrams that the last call received.
    came: usize,
    /// Answers written and not yet sent.
    to_send: Box<[ToSend]>,
    to_send_count: usize,
}

// SAFETY: the raw pointers in the headers and vectors point into the other fields or are stale; they are set anew from
// those fields before every call that reads them, so moving a batch to its lane's thread is harmless.
unsafe impl Send for Batch {}

impl Batch {
    /// Takes the memory of a batch: about 400 kB, of which a usual one touches 30.
    pub(crate) fn new() -> Self {
        const N: usize = BATCH_DATAGRAMS_MAX;
        let no_vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        let no_header = libc::mmsghdr {
            msg_hdr: libc::msghdr {
                msg_name: std::ptr::null_mut(),
                msg_namelen: 0,
                msg_iov: std::ptr::null_mut(),
                msg_iovlen: 0,
                msg_control: std::ptr::null_mut(),
                msg_controllen: 0,
                msg_flags: 0,
            },
            msg_len: 0,
        };
        Batch {
            queries: vec![0; N * QUERY_STRIDE_BYTES].into(),
            names: vec![RawName([0; 32]); N].into(),
            controls: vec![RawControl([0; 64]); N].into(),
            receive_vectors: vec![no_vector; N].into(),
            receive_headers: vec![no_header; N].into(),
            answers: vec![0; N * ANSWER_BYTES_MAX].into(),
            send_vectors: vec![no_vector; N].into(),
            send_headers: vec![no_header; N].into(),
            wanted: BATCH_DATAGRAMS_MIN,
            full: false,
            received: 0,
            came: 0,
            to_send: vec![ToSend::default(); N].into(),
            to_send_count: 0,
        }
    }

    /// Receives what is there, up to a batch; with `wait`, blocks for the first datagram, for as long as the socket's
    /// own timeout lets. Returns how many there are: none after the timeout or a signal.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, wait: bool) -> io::Result<usize> {
        (self.received, self.came) = (0, 0);
        self.full = false;
        self.to_send_count = 0;
        let with_control = socket.reports_destination();
        let queries = self.queries.as_mut_ptr();
        for (index, vector) in self.receive_vectors.iter_mut().enumerate().take(self.wanted) {
            *vector = libc::iovec {
                iov_base: queries.wrapping_add(index * QUERY_STRIDE_BYTES).cast(),
                iov_len: QUERY_BYTES_MAX,
            };
        }
        let vectors = self.receive_vectors.as_mut_ptr();
        let names = self.names.as_mut_ptr();
        let controls = self.controls.as_mut_ptr();
        for (index, header) in self.receive_headers.iter_mut().enumerate().take(self.wanted) {
            header.msg_hdr = libc::msghdr {
                msg_name: names.wrapping_add(index).cast(),
                msg_namelen: size_of::<RawName>() as libc::socklen_t,
                msg_iov: vectors.wrapping_add(index),
                msg_iovlen: 1,
                msg_control: if with_control { controls.wrapping_add(index).cast() } else { std::ptr::null_mut() },
                msg_controllen: if with_control { size_of::<RawControl>() } else { 0 },
                msg_flags: 0,
            };
        }
        let flags = if wait { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        // SAFETY: `wanted` is at most BATCH_DATAGRAMS_MAX, the length of the boxes; each of so many headers points to
        // one vector, one name and (or null) one control buffer of its own, with their true lengths, all within boxes
        // that this batch owns and that nothing else refers to during the call; no timeout is passed.
        let result = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                self.receive_headers.as_mut_ptr(),
                self.wanted as libc::c_uint,
                flags as _,
                std::ptr::null_mut(),
            )
        };
        match usize::try_from(result) {
            Ok(received) => {
                self.received = received.min(self.wanted);
                self.came = self.received;
                self.follow_load();
                Ok(self.received)
            }
            Err(_) => match io::Error::last_os_error() {
                error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
                error => Err(error),
            },
        }
    }

    /// Whether the last call received as many as it asked for.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether as many came as ever are asked for: there are likely to be more.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.came == BATCH_DATAGRAMS_MAX
    }

    /// Asks for more when all that was asked for came, for less when little of it did.
    fn follow_load(&mut self) {
        self.full = self.received == self.wanted;
        if self.full {
            self.wanted = (self.wanted * 2).min(BATCH_DATAGRAMS_MAX);
        } else if self.received < self.wanted / 4 {
            self.wanted = (self.wanted / 2).max(BATCH_DATAGRAMS_MIN);
        }
    }

    /// What was received, and where its answers go.
    pub(crate) fn split(&mut self) -> (Received<'_>, Answers<'_>) {
        let received = std::mem::take(&mut self.received);
        let headers = self.receive_headers.get(..received).unwrap_or_default();
        let received = Received { queries: &self.queries, names: &self.names, controls: &self.controls, headers };
        let (room, to_send) = (&mut *self.answers, &mut *self.to_send);
        (received, Answers { room, to_send, count: &mut self.to_send_count, start: 0 })
    }

    /// Sends the answers. Never waits: what the send buffer has no room for is lost, as on any full link.
    pub(crate) fn send(&mut self, socket: &UdpSocket) -> Sent {
        let count = std::mem::take(&mut self.to_send_count);
        let answers = self.answers.as_mut_ptr();
        let vectors = self.send_vectors.as_mut_ptr();
        let names = self.names.as_mut_ptr();
        let controls = self.controls.as_mut_ptr();
        for position in 0..count {
            let ToSend { index, start, length } = self.to_send[position];
            let control_bytes = match self.receive_headers[index].msg_hdr.msg_controllen {
                0 => 0,
                // Each datagram has one answer at most, so this is done once.
                _ => prepare_control(&mut self.controls[index]),
            };
            self.send_vectors[position] = libc::iovec { iov_base: answers.wrapping_add(start).cast(), iov_len: length };
            self.send_headers[position] = libc::mmsghdr {
                msg_hdr: libc::msghdr {
                    msg_name: names.wrapping_add(index).cast(),
                    msg_namelen: self.receive_headers[index].msg_hdr.msg_namelen,
                    msg_iov: vectors.wrapping_add(position),
                    msg_iovlen: 1,
                    msg_control: if control_bytes > 0 {
                        controls.wrapping_add(index).cast()
                    } else {
                        std::ptr::null_mut()
                    },
                    msg_controllen: control_bytes,
                    msg_flags: 0,
                },
                msg_len: 0,
            };
        }
        let mut sent = Sent::default();
        let mut next = 0;
        while next < count {
            // SAFETY: headers `next..count` were set above; each points to one vector over bytes of `answers`, one
            // name and (or null) one control message, all within boxes that this batch owns.
            let result = unsafe {
                libc::sendmmsg(
                    socket.as_fd().as_raw_fd(),
                    self.send_headers.as_mut_ptr().add(next),
                    (count - next) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match usize::try_from(result) {
                Ok(number) if number > 0 => {
                    sent.answers += number;
                    next += number;
                }
                _ => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error if error.kind() == io::ErrorKind::WouldBlock => {
                        sent.no_room += count - next;
                        next = count;
                    }
                    _ => {
                        // It is the first of those left that could not be sent; the rest may.
                        sent.failed += 1;
                        next += 1;
                    }
                },
            }
        }
        sent
    }
}

fn read_peer(name: &RawName) -> Option<SocketAddr> {
    let [f0, f1, p0, p1, rest @ ..] = name.0;
    let port = u16::from_be_bytes([p0, p1]);
    match libc::c_int::from(u16::from_ne_bytes([f0, f1])) {
        libc::AF_INET => {
            let [a, b, c, d, ..] = rest;
            Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), port)))
        }
        libc::AF_INET6 => {
            let address: [u8; 16] = rest.get(4..20)?.try_into().ok()?;
            let scope = u32::from_ne_bytes(rest.get(20..24)?.try_into().ok()?);
            Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(address), port, 0, scope)))
        }
        _ => None,
    }
}

/// Turns the control message that said where a datagram was sent to into one that says where its answer is from, and
/// returns its length; 0 when it is not such a message.
fn prepare_control(control: &mut RawControl) -> usize {
    let bytes = &mut control.0;
    let read_int =
        |bytes: &[u8; 64], at: usize| bytes.get(at..at + 4).and_then(|int| int.try_into().ok()).map(i32::from_ne_bytes);
    let (level, kind) = (read_int(bytes, 8), read_int(bytes, 12));
    // The interface is cleared: routing decides by which the answer leaves, which need not be the one that the query
    // came by. Only a link-local address means nothing without its interface.
    if (level, kind) == (Some(libc::IPPROTO_IP), Some(libc::IP_PKTINFO)) {
        bytes[CONTROL_DATA_OFFSET..CONTROL_DATA_OFFSET + 4].fill(0);
        PKTINFO_V4_BYTES.next_multiple_of(align_of::<libc::cmsghdr>())
    } else if (level, kind) == (Some(libc::IPPROTO_IPV6), Some(libc::IPV6_PKTINFO)) {
        let link_local = bytes[CONTROL_DATA_OFFSET] == 0xfe && bytes[CONTROL_DATA_OFFSET + 1] & 0xc0 == 0x80;
        if !link_local {
            bytes[CONTROL_DATA_OFFSET + 16..CONTROL_DATA_OFFSET + 20].fill(0);
        }
        PKTINFO_V6_BYTES.next_multiple_of(align_of::<libc::cmsghdr>())
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_from_both_families() {
        let mut name = RawName([0; 32]);
        assert_eq!(read_peer(&name), None);
        name.0[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        name.0[2..8].copy_from_slice(&[0x14, 0xb4, 192, 0, 2, 1]);
        assert_eq!(read_peer(&name), Some("192.0.2.1:5300".parse().unwrap()));
        name.0[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        name.0[8..24].copy_from_slice(&"2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(read_peer(&name), Some("[2001:db8::1]:5300".parse().unwrap()));
    }

    #[test]
    fn an_unknown_control_message_is_not_sent_back() {
        assert_eq!(prepare_control(&mut RawControl([0; 64])), 0);
        assert_eq!(prepare_control(&mut RawControl([0xff; 64])), 0);
    }
}
