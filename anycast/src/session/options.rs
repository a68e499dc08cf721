//! The socket options of a BGP session that `socket2` lacks: TCP MD5 keys and the least TTL.
//!
//! The kernel reads `struct tcp_md5sig` (linux/tcp.h):
//!
//! ```text
//!    0  128  tcpm_addr       sockaddr_storage of the neighbour; its port is ignored
//!  128    1  tcpm_flags      0: exactly this address
//!  129    1  tcpm_prefixlen
//!  130    2  tcpm_keylen     0 takes the key away
//!  132    4  tcpm_ifindex
//!  136   80  tcpm_key
//! ```
//!
//! It is built here as bytes: no padding, no cast. `nix` makes the system call.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::socket::SetSockOpt;
use nix::sys::socket::sockopt::SetStruct;

/// Bytes of the longest password that TCP MD5 of Linux takes.
pub(crate) const PASSWORD_BYTES_MAX: usize = libc::TCP_MD5SIG_MAXKEYLEN;

const KEY_LENGTH_OFFSET: usize = 130;
const KEY_OFFSET: usize = 136;
const MD5SIG_BYTES: usize = KEY_OFFSET + PASSWORD_BYTES_MAX;

#[derive(Clone)]
struct Md5Signature;
nix::setsockopt_impl!(
    Md5Signature,
    libc::IPPROTO_TCP,
    libc::TCP_MD5SIG,
    [u8; MD5SIG_BYTES],
    SetStruct<[u8; MD5SIG_BYTES]>
);

#[derive(Clone)]
struct MinTtl;
nix::setsockopt_impl!(MinTtl, libc::IPPROTO_IP, libc::IP_MINTTL, libc::c_int, SetStruct<libc::c_int>);

#[derive(Clone)]
struct MinHopCount;
nix::setsockopt_impl!(MinHopCount, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, libc::c_int, SetStruct<libc::c_int>);

/// Segments from and to `neighbour` on this socket are signed with the password from now on (RFC 2385), and others of its
/// are dropped; `None` takes the key away. Connections that exist already keep theirs.
pub(crate) fn set_md5_key(socket: &impl AsFd, neighbour: IpAddr, password: Option<&[u8]>) -> io::Result<()> {
    let signature = md5_signature(neighbour, password.unwrap_or_default())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the password is longer than 80 bytes"))?;
    match Md5Signature.set(socket, &signature) {
        // There was none to take away.
        Err(Errno::ENOENT) if password.is_none() => Ok(()),
        result => result.map_err(io::Error::from),
    }
}

/// Packets that arrive with a smaller TTL (hop limit) are dropped (RFC 5082); 0 takes any.
pub(crate) fn set_ttl_min(socket: &impl AsFd, neighbour: IpAddr, ttl_min: u8) -> io::Result<()> {
    let value = libc::c_int::from(ttl_min);
    match neighbour {
        IpAddr::V4(_) => MinTtl.set(socket, &value),
        IpAddr::V6(_) => MinHopCount.set(socket, &value),
    }
    .map_err(io::Error::from)
}

fn md5_signature(neighbour: IpAddr, password: &[u8]) -> Option<[u8; MD5SIG_BYTES]> {
    let mut signature = [0; MD5SIG_BYTES];
    match neighbour {
        // struct sockaddr_in: family, port, address.
        IpAddr::V4(address) => {
            put(&mut signature, 0, &(libc::AF_INET as u16).to_ne_bytes())?;
            put(&mut signature, 4, &address.octets())?;
        }
        // struct sockaddr_in6: family, port, flow information, address, scope.
        IpAddr::V6(address) => {
            put(&mut signature, 0, &(libc::AF_INET6 as u16).to_ne_bytes())?;
            put(&mut signature, 8, &address.octets())?;
        }
    }
    put(&mut signature, KEY_LENGTH_OFFSET, &u16::try_from(password.len()).ok()?.to_ne_bytes())?;
    put(&mut signature, KEY_OFFSET, password)?;
    Some(signature)
}

fn put(place: &mut [u8], offset: usize, bytes: &[u8]) -> Option<()> {
    place.get_mut(offset..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(())
}
