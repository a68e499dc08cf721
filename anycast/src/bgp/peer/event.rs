//! What a peer hears, and what it asks for.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::adverts::Adverts;
use crate::bgp::framer::Frame;

/// One TCP connection, named by whoever made it; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// All that can happen to a peer (RFC 4271 §8.1).
#[derive(Clone, Debug)]
pub enum Event {
    /// Begin (events 1 and 3).
    Start,
    /// End all connections, and stay idle until [`Event::Start`] (event 2). What is to be said stands in it.
    Stop(Shutdown),
    /// A TCP connection stands, in either direction (events 16 and 17).
    Connected {
        /// Its name from now on.
        connection: ConnectionId,
        /// Whether the neighbour opened it.
        incoming: bool,
        /// This end.
        local: SocketAddr,
        /// The neighbour's end.
        remote: SocketAddr,
        /// What routes can have for a next hop on the interface that the connection goes through.
        next_hops: NextHops,
    },
    /// The connection that [`Action::Connect`] asked for could not be made (event 18); why, for people.
    ConnectFailed(String),
    /// A connection ended or broke without this side's doing (event 18); why, for people.
    Closed(ConnectionId, String),
    /// A message came, or what was to be one (events 19 to 28). Those of one connection in their order.
    Received(ConnectionId, Frame),
    /// Nothing of what was to be sent has left for a hold time (RFC 9687).
    SendBlocked(ConnectionId),
    /// [`Peer::next_deadline`](super::Peer::next_deadline) has come; early or late does no harm.
    Tick,
    /// What is to be announced from now on. The peer tells the neighbour the difference, withdrawals first.
    Adverts(Arc<Adverts>),
    /// BFD found the neighbour.
    BfdUp,
    /// BFD lost the neighbour: the session ends at once (RFC 5882 §4.2, RFC 9384).
    BfdDown,
}

/// Addresses of this node on the interface of a connection. Those of the settings go before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextHops {
    /// For routes of IPv4.
    pub ipv4: Option<Ipv4Addr>,
    /// For routes of IPv6, and of IPv4 over IPv6.
    pub ipv6: Option<Ipv6Addr>,
    /// Goes beside `ipv6` where the neighbour is on the same link (RFC 2545 §3).
    pub link_local: Option<Ipv6Addr>,
}

/// Why sessions end on purpose, and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// The kind.
    pub cause: ShutdownCause,
    /// For the neighbour's operator (RFC 9003); more than 255 octets are cut off. Only with the administrative causes.
    pub message: String,
}

/// Kinds of ends (RFC 4486).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownCause {
    /// The node stops. The neighbour drops the routes, also where graceful restart was agreed on (RFC 8538).
    AdministrativeShutdown,
    /// The session is to begin again.
    AdministrativeReset,
    /// The neighbour has gone from the configuration.
    PeerDeconfigured,
    /// Its settings have changed.
    OtherConfigurationChange,
}

/// What a peer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection to the neighbour; if an attempt is still under way, it is given up for this one. Ends with
    /// [`Event::Connected`] or [`Event::ConnectFailed`].
    Connect,
    /// Give up the attempt that is under way, if there is one; nothing more is said of it.
    CancelConnect,
    /// Write this, after all that was to be written before.
    Send(ConnectionId, Vec<u8>),
    /// Write what is still to be written as far as it goes without delay, then close. The peer has forgotten the
    /// connection: nothing more of it shall come.
    Close(ConnectionId),
    /// The session stands (on this connection).
    Established(ConnectionId),
    /// It stands no more; why, in one sentence.
    LeftEstablished(String),
    /// Something is wrong that was not so before; one sentence for the log. It stays in the status until it is over.
    Problem(String),
}
