//! BGP-4 (RFC 4271) without I/O, clock or randomness: the codec, the machine of one neighbour, and what is kept of the
//! routes it sends. Whoever drives it owns sockets and timers.

mod announce;
mod framer;
#[doc(hidden)]
pub mod fuzzing;
mod nlri;
mod notification;
mod open;
mod peer;
mod routes;
#[cfg(test)]
mod tests;
mod update;

pub use framer::{Frame, Framer};
pub use notification::Notification;
pub use peer::{
    Action, ConnectionId, Event, LastNotification, NextHops, Peer, PeerSettings, PeerState, PeerStatus, Shutdown,
    ShutdownCause,
};
pub use routes::ReceivedRoute;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_parse_utils::WritablePdu;

/// Stands for autonomous systems above 65535 where there are two octets for them (RFC 6793 §9).
const AS_TRANS: u16 = 23_456;

/// A whole message, header and all.
fn write_message(message: &BgpMessage) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.len());
    // Writing to a vector cannot fail; what is written is shorter than the longest message, by whoever made it.
    let _ = message.write(&mut bytes);
    bytes
}

/// The port that BGP listens on (RFC 4271 §8.2.1).
pub const PORT: u16 = 179;
