//! How a peer is, for whoever publishes it.

use std::time::Instant;

use crate::bgp::notification::Notification;
use crate::status::ReceivedStatus;

/// The states of RFC 4271 §8.2.2; of two connections, the one that got further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Stopped, or waiting after a failure.
    Idle,
    /// A TCP connection is being made.
    Connect,
    /// Waiting for one, or for the time to try again.
    Active,
    /// OPEN sent.
    OpenSent,
    /// OPEN sent and received.
    OpenConfirm,
    /// Routes can be exchanged.
    Established,
}

impl PeerState {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connect => "connect",
            Self::Active => "active",
            Self::OpenSent => "open-sent",
            Self::OpenConfirm => "open-confirm",
            Self::Established => "established",
        }
    }
}

/// How a peer is.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Where its machine is.
    pub state: PeerState,
    /// Since when.
    pub since: Instant,
    /// Why it is not established, or what does not work though it is.
    pub problem: Option<String>,
    /// The last NOTIFICATION that was sent or received.
    pub last_notification: Option<LastNotification>,
    /// Families that both sides speak: `ipv4`, `ipv6`, `ipv4 over ipv6`.
    pub families: Vec<String>,
    /// What both sides can.
    pub capabilities: Vec<String>,
    /// The hold time that holds; 0: none.
    pub hold_time_s: Option<u16>,
    /// Prefixes that it has been told of now.
    pub prefixes_announced: u64,
    /// UPDATEs sent since the start.
    pub updates_sent: u64,
    /// What it sent since the session came up.
    pub received: ReceivedStatus,
    /// Times it left `Established`.
    pub flaps: u64,
}

/// A NOTIFICATION that was sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastNotification {
    /// Whether this side sent it.
    pub sent: bool,
    /// What it said.
    pub notification: Notification,
    /// The same in words.
    pub words: String,
    /// When.
    pub at: Instant,
}
