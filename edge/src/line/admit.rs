//! The second room: is this message worth parsing? Looks at no more than the header.

use std::net::SocketAddr;

use crate::stats::DropReason;

/// What becomes of a message before it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Pass,
    /// Nobody is answered.
    Drop(DropReason),
}

/// Judges a message by its header and its source.
pub(super) fn admit(message: &[u8], peer: SocketAddr) -> Verdict {
    let Some(header) = message.first_chunk::<{ wire::HEADER_BYTES }>() else {
        return Verdict::Drop(DropReason::Short);
    };
    // QR: two servers must never answer each other's answers.
    if header[2] & 0x80 != 0 {
        return Verdict::Drop(DropReason::Response);
    }
    if peer.port() == 0 {
        return Verdict::Drop(DropReason::PortZero);
    }
    Verdict::Pass
}
