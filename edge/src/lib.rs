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

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use line::Context;

pub use bind::{Sockets, bind};
pub use error::EdgeError;
pub use line::{
    MessageStream, NextMessage, NotifyHandler, NotifyOutcome, SignedQuery, Signer, Transfer, TransferHandler,
};
pub use settings::{NSID_BYTES_MAX, Settings, TcpSettings, UDP_PAYLOAD_BYTES_MIN};
pub use start::{Edge, EdgeContext, StatsReader};
pub use stats::{Counters, DropReason, Family, Stats, Transport};

/// What all lanes read.
pub(crate) struct Shared {
    zones: Arc<zones::Zones>,
    settings: Arc<ArcSwap<Settings>>,
    notify: Arc<dyn NotifyHandler>,
    transfers: Option<Arc<dyn TransferHandler>>,
}

impl Shared {
    /// Takes the views as they stand now, for one batch of messages or one message of a stream.
    #[inline]
    fn with_context<R>(&self, counters: &Counters, answer: impl FnOnce(&Context<'_>) -> R) -> R {
        let (zones, settings) = (self.zones.load(), self.settings.load());
        answer(&Context {
            zones: &zones,
            settings: &settings,
            notify: &*self.notify,
            transfers: self.transfers.as_deref(),
            counters,
            now_s: unix_time_s(),
        })
    }
}

/// Seconds since 1970, wrapped to the 32 bits of a cookie's timestamp.
fn unix_time_s() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as u32)
}
