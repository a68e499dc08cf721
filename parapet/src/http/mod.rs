//! What the metrics and the API have in common: connections within bounds, with or without TLS.

mod listener;
mod tls;

pub(crate) use listener::{BoundSocket, BoundedListener, Bounds, Peer};
pub(crate) use tls::{TlsFiles, client_roots, provider};
