//! DNS messages, names and EDNS: bounded and panic-free on any bytes.
//!
//! Two ways in: [`Query::parse`] for the hot path (no allocation, borrows the datagram) and [`Message::parse`]
//! for whole messages such as transfers. One way out: [`Writer`], which compresses names (RFC 1035 §4.1.4).
//! Names are kept in uncompressed wire format throughout: [`NameRef`] borrows one, [`Name`] owns one.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod codes;
pub mod edns;
mod header;
mod message;
mod name;
mod name_box;
mod query;
pub mod rdata;
mod writer;

pub use codes::{Class, Opcode, Rcode, Rtype, UnknownCode};
pub use edns::Edns;
pub use header::{Flags, HEADER_BYTES, Header};
pub use message::{Message, Questions, Record, Records, Section};
pub use name::{LABEL_BYTES_MAX, Labels, NAME_BYTES_MAX, Name, NameRef, compare_labels};
pub use name_box::NameBox;
pub use query::{Query, Question, Rejected};
pub use writer::{Full, Mark, OptionWriter, Writer};

/// The largest DNS message (the length prefix of TCP has 16 bits).
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Why bytes could not be read as the DNS says, or a text not as a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends before the thing that is being read does.
    #[error("the message ends too early")]
    Short,
    /// A label has a length octet with the reserved bits 01 or 10.
    #[error("a label of a reserved type")]
    LabelType,
    /// A name is longer than 255 octets.
    #[error("a name of more than 255 octets")]
    NameTooLong,
    /// A label is longer than 63 octets, or empty in the middle of a text.
    #[error("a label that is empty or longer than 63 octets")]
    LabelLength,
    /// A compression pointer that does not point backwards.
    #[error("a compression pointer that does not point backwards")]
    Pointer,
    /// An escape in a name's text that is not `\DDD` (up to 255) or `\X`.
    #[error("a bad escape in a name")]
    Escape,
    /// RDATA that does not have the fields its type asks for.
    #[error("RDATA that does not fit its type")]
    Rdata,
    /// Bytes follow where the message should have ended.
    #[error("bytes follow the end of the message")]
    Trailing,
    /// A pseudo-record (OPT, TSIG) stands where it may not, or twice.
    #[error("OPT or TSIG in the wrong place")]
    PseudoRecord,
}

/// Reads a big-endian 16-bit number at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Result<u16, WireError> {
    let field = at.checked_add(2).and_then(|end| bytes.get(at..end));
    field.and_then(|f| <[u8; 2]>::try_from(f).ok()).map(u16::from_be_bytes).ok_or(WireError::Short)
}

/// Reads a big-endian 32-bit number at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Result<u32, WireError> {
    let field = at.checked_add(4).and_then(|end| bytes.get(at..end));
    field.and_then(|f| <[u8; 4]>::try_from(f).ok()).map(u32::from_be_bytes).ok_or(WireError::Short)
}
