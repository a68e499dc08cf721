//! The first word on a message, by its header and its source alone: whether anybody may be answered.

use std::net::SocketAddr;

use crate::stats::DropReason;

/// What becomes of a message before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It goes on.
    Pass,
    /// Nobody is answered.
    Drop(DropReason),
}

/// Judges a message by its header and its source.
pub(super) fn judge(message: &[u8], peer: SocketAddr) -> Judged {
    let Some(header) = message.first_chunk::<{ wire::HEADER_BYTES }>() else {
        return Judged::Drop(DropReason::Short);
    };
    // QR: two servers must never answer each other's answers.
    if header[2] & 0x80 != 0 {
        return Judged::Drop(DropReason::Response);
    }
    if peer.port() == 0 {
        return Judged::Drop(DropReason::PortZero);
    }
    Judged::Pass
}
