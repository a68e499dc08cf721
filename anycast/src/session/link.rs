//! How the TCP connections with a neighbour are made and protected: MD5 keys, TTLs, addresses, times.
//!
//! | | TTL out | least TTL in |
//! | --- | --- | --- |
//! | `ttl_security` (RFC 5082) | 255 | 256 − `hops_max` |
//! | without | `hops_max` | any |
//!
//! A connection that this node makes is held to the least TTL once it stands, not before: the refusal of a router where
//! nothing listens comes from its kernel with an ordinary TTL, and would pass for silence. Whoever wants to forge an answer
//! to the first segment from afar has to guess its sequence number and port; data from afar is dropped.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::options::{set_md5_key, set_ttl_min};
use super::password::Password;

/// A connection that has not come about after so long will not. The first segment is repeated meanwhile, and after 3 s the
/// kernel knows whether anybody on the link has the address. The machine gives up an attempt after 5 s at the earliest,
/// without knowing why.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(4);
/// Connections that the kernel keeps for a listener until they are accepted.
const BACKLOG_MAX: i32 = 32;
/// DSCP CS6, "network control" (RFC 4594 §3.1), as the whole octet.
const TOS_NETWORK_CONTROL: u32 = 0xc0;
/// What packets with TTL security leave with.
const TTL_MAX: u8 = 255;

/// What a connection with a neighbour needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) remote: SocketAddr,
    pub(super) source: Option<IpAddr>,
    pub(super) password: Option<Password>,
    ttl: u8,
    ttl_min: u8,
    /// Data that has not been acknowledged for so long ends the connection: the offered hold time.
    silence_max: Duration,
}

impl Link {
    pub(super) fn new(neighbour: &config::Neighbour, password: Option<Password>) -> Self {
        let hops_max = neighbour.hops_max.max(1);
        let (ttl, ttl_min) = if neighbour.ttl_security { (TTL_MAX, TTL_MAX - (hops_max - 1)) } else { (hops_max, 0) };
        Self {
            remote: neighbour.address,
            source: neighbour.source,
            password,
            ttl,
            ttl_min,
            silence_max: Duration::from_secs(u64::from(neighbour.hold_time_s)),
        }
    }

    /// Whether MD5 protects it.
    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether packets from farther away are dropped.
    pub(super) fn ttl_security(&self) -> bool {
        self.ttl_min > 0
    }

    /// Connects to the neighbour.
    pub(super) async fn connect(&self) -> io::Result<TcpStream> {
        let socket = self.socket()?;
        match tokio::time::timeout(CONNECT_TIME_MAX, socket.connect(self.remote)).await {
            Ok(connected) => {
                let stream = connected?;
                set_ttl_min(&stream, self.remote.ip(), self.ttl_min)?;
                Ok(stream)
            }
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn socket(&self) -> io::Result<TcpSocket> {
        let socket = if self.remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        self.protect(&socket)?;
        if let Some(password) = &self.password {
            set_md5_key(&socket, self.remote.ip(), Some(password.bytes()))?;
        }
        if let Some(source) = self.source {
            socket.bind(self.local(source))?;
        }
        Ok(socket)
    }

    /// A link-local address is of the link that the neighbour's is of.
    fn local(&self, source: IpAddr) -> SocketAddr {
        match (source, self.remote) {
            (IpAddr::V6(source), SocketAddr::V6(remote)) if source.is_unicast_link_local() => {
                SocketAddr::V6(SocketAddrV6::new(source, 0, 0, remote.scope_id()))
            }
            _ => SocketAddr::new(source, 0),
        }
    }

    /// Takes over a connection that the neighbour made. Its key came with the listener's.
    pub(super) fn accept(&self, stream: &TcpStream) -> io::Result<()> {
        self.protect(stream)?;
        set_ttl_min(stream, self.remote.ip(), self.ttl_min)
    }

    /// What every connection needs from its beginning, whoever makes it.
    fn protect(&self, socket: &impl AsFd) -> io::Result<()> {
        let options = SockRef::from(socket);
        options.set_tcp_nodelay(true)?;
        options.set_tcp_user_timeout(Some(self.silence_max))?;
        // The hold timer notices a silent router; this one ends what is left over when nobody runs a session on it.
        options.set_tcp_keepalive(&TcpKeepalive::new().with_time(self.silence_max))?;
        set_ttl(&options, self.remote.ip(), self.ttl)
    }
}

fn set_ttl(options: &SockRef<'_>, family: IpAddr, ttl: u8) -> io::Result<()> {
    match family {
        IpAddr::V4(_) => {
            options.set_tos_v4(TOS_NETWORK_CONTROL)?;
            options.set_ttl_v4(ttl.into())
        }
        IpAddr::V6(_) => {
            options.set_tclass_v6(TOS_NETWORK_CONTROL)?;
            options.set_unicast_hops_v6(ttl.into())
        }
    }
}

/// Binds a listener. The port may be a privileged one; a wildcard address of IPv6 does not take IPv4.
pub(super) fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG_MAX)?;
    Ok(socket.into())
}

/// Gives a listener what the connections of these neighbours need before they are accepted: their keys, a TTL that all of
/// them take, the least TTL that any of them may come with. `gone` are neighbours whose keys are taken away.
pub(super) fn prepare_listener(
    listener: &impl AsFd,
    local: SocketAddr,
    links: &[&Link],
    gone: &[IpAddr],
) -> io::Result<()> {
    let fits = |address: &IpAddr| address.is_ipv4() == local.is_ipv4();
    for address in gone.iter().filter(|address| fits(address)) {
        set_md5_key(listener, *address, None)?;
    }
    let links: Vec<&&Link> = links.iter().filter(|link| fits(&link.remote.ip())).collect();
    for link in &links {
        set_md5_key(listener, link.remote.ip(), link.password.as_ref().map(Password::bytes))?;
    }
    let ttl = links.iter().map(|link| link.ttl).max().unwrap_or(TTL_MAX);
    let ttl_min = links.iter().map(|link| link.ttl_min).min().unwrap_or(0);
    set_ttl(&SockRef::from(listener), local.ip(), ttl)?;
    set_ttl_min(listener, local.ip(), ttl_min)
}

/// A listener for the runtime.
pub(super) fn into_tokio(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}
