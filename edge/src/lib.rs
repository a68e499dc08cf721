//! The lanes that receive queries, and the line of steps that answers them.
//!
//! ```text
//! bind ──> Sockets ──> Edge::start ──┬─ UDP lane: a thread per worker      ─┐
//!                                    └─ TCP lane: a thread per worker      ─┴─> line::respond
//! ```
//!
//! Zones, settings and the NOTIFY handler are given from outside; the edge only reads them.

mod bind;
mod cookie;
mod error;
pub mod line;
mod settings;
mod sockets;
mod start;
mod stats;
mod tcp;
mod udp;

use std::sync::Arc;

use arc_swap::ArcSwap;

pub use bind::{Sockets, bind};
pub use error::EdgeError;
pub use line::{NotifyHandler, NotifyOutcome};
pub use settings::{NSID_BYTES_MAX, Settings, TcpSettings, UDP_PAYLOAD_BYTES_MIN};
pub use start::{Edge, EdgeContext, StatsReader};
pub use stats::{Counters, DropReason, Family, Stats, Transport};

/// What all lanes read.
pub(crate) struct Shared {
    zones: Arc<zones::Zones>,
    settings: Arc<ArcSwap<Settings>>,
    notify: Arc<dyn NotifyHandler>,
}
