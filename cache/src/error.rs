//! Why a response is no answer to keep or to pass on.

use wire::{Rcode, WireError};

/// What is wrong with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error("the response is malformed: {0}")]
    Malformed(#[from] WireError),
    /// It is a query, or has another opcode.
    #[error("the message is no response to a query")]
    NotAResponse,
    /// It answers another question.
    #[error("the response is to another question")]
    OtherQuestion,
    /// It is truncated: ask again over TCP.
    #[error("the response is truncated")]
    Truncated,
    /// It has a code that says nothing about the name; see [`CachedAnswer::from_error`](crate::CachedAnswer::from_error).
    #[error("the response has the code {0}")]
    Rcode(Rcode),
    /// The server is not authoritative for the zone: neither AA nor a referral to below it.
    #[error("the server is not authoritative for the zone")]
    Lame,
    /// More records than any answer needs.
    #[error("the response has too many records")]
    TooManyRecords,
}
