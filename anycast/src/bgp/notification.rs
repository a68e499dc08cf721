//! NOTIFICATION messages: codes, what they carry, and how they read.

/// An error code with its subcode (RFC 4271 §4.5).
pub(crate) type Code = (u8, u8);

pub(crate) const CONNECTION_NOT_SYNCHRONIZED: Code = (1, 1);
pub(crate) const BAD_MESSAGE_LENGTH: Code = (1, 2);

/// Why a session ends.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// | Error code    | Error subcode |   Data (variable)             |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
///
/// RFC 4271 §4.5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode.
    pub subcode: u8,
    /// What the code says it is.
    pub data: Vec<u8>,
}

impl Notification {
    pub(crate) fn new((code, subcode): Code, data: Vec<u8>) -> Self {
        Self { code, subcode, data }
    }
}
