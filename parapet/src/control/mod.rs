//! The control socket: a Unix socket that answers one JSON line to each JSON line.
//!
//! ```text
//! → {"request":"status"}
//! ← {"status":{…}}            or {"error":"…"}
//! ```

pub(crate) mod client;
pub(crate) mod protocol;
pub(crate) mod server;

/// Longest request line.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// Longest answer that a client takes.
const ANSWER_BYTES_MAX: u64 = 1 << 30;
/// Clients served at one time.
const CLIENTS_MAX: usize = 16;
/// How long a client may take for its request, or to take its answer; and a daemon for its answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
