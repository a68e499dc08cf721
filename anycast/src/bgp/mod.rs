//! BGP-4 (RFC 4271) without I/O, clock or randomness: the codec, the machine of one neighbour, and what is kept of the
//! routes it sends. Whoever drives it owns sockets and timers.

mod framer;
mod notification;
mod peer;
mod routes;

pub use framer::{Frame, Framer};
pub use notification::Notification;
pub use peer::{
    Action, ConnectionId, Event, LastNotification, NextHops, Peer, PeerSettings, PeerState, PeerStatus, Shutdown,
    ShutdownCause,
};
pub use routes::ReceivedRoute;

/// The port that BGP listens on (RFC 4271 §8.2.1).
pub const PORT: u16 = 179;
