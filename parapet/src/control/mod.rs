//! The control socket: a Unix socket that answers one JSON line to each JSON line.
//!
//! ```text
//! → {"request":"status"}
//! ← {"status":{…}}            or {"error":"…"}
//! → {"request":"purge","name":"www.example.com","subtree":true}
//! ← {"purged":{"zones":[{"zone":"example.com.","mode":"on-demand","removed":3}]}}
//! ```

use std::time::Duration;

use self::protocol::Request;

pub(crate) mod client;
pub(crate) mod defences;
pub(crate) mod kernel_lane;
pub(crate) mod protocol;
pub(crate) mod server;

/// Longest request line.
pub(crate) const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// Longest answer that a client takes.
pub(crate) const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// Clients served at one time.
const CLIENTS_MAX: usize = 16;
/// How long a client may take for its request, or to take its answer; and a daemon for its answer, unless it has to work
/// for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a daemon may work for any answer: a zone is fetched meanwhile.
pub(crate) const WORK_MAX: Duration = Duration::from_secs(60);
/// How long it may work for an answer that needs no origin.
const WORK_HERE_MAX: Duration = Duration::from_secs(5);

impl Request {
    /// How long the daemon may work for the answer.
    pub(crate) fn work_max(&self) -> Duration {
        match self {
            Self::Fill(_) | Self::Reload(_) => WORK_MAX,
            _ => WORK_HERE_MAX,
        }
    }

    /// How long a client waits for the answer.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Fill(_) | Self::Reload(_) => PATIENCE + WORK_MAX,
            _ => PATIENCE,
        }
    }
}
