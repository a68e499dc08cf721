//! NOTIFICATION messages: codes, what they carry, and how they read.

use super::framer::{HEADER_BYTES, MARKER};

/// An error code with its subcode (RFC 4271 §4.5).
pub(crate) type Code = (u8, u8);

pub(crate) const CONNECTION_NOT_SYNCHRONIZED: Code = (1, 1);
pub(crate) const BAD_MESSAGE_LENGTH: Code = (1, 2);
pub(crate) const BAD_MESSAGE_TYPE: Code = (1, 3);
pub(crate) const OPEN_UNSPECIFIC: Code = (2, 0);
pub(crate) const UNSUPPORTED_VERSION: Code = (2, 1);
pub(crate) const BAD_PEER_AS: Code = (2, 2);
pub(crate) const BAD_BGP_IDENTIFIER: Code = (2, 3);
pub(crate) const UNSUPPORTED_OPTIONAL_PARAMETER: Code = (2, 4);
pub(crate) const UNACCEPTABLE_HOLD_TIME: Code = (2, 6);
pub(crate) const UNSUPPORTED_CAPABILITY: Code = (2, 7);
pub(crate) const MALFORMED_ATTRIBUTE_LIST: Code = (3, 1);
pub(crate) const UNRECOGNIZED_WELL_KNOWN: Code = (3, 2);
pub(crate) const MISSING_WELL_KNOWN: Code = (3, 3);
pub(crate) const ATTRIBUTE_FLAGS: Code = (3, 4);
pub(crate) const ATTRIBUTE_LENGTH: Code = (3, 5);
pub(crate) const INVALID_ORIGIN: Code = (3, 6);
pub(crate) const INVALID_NEXT_HOP: Code = (3, 8);
pub(crate) const OPTIONAL_ATTRIBUTE: Code = (3, 9);
pub(crate) const INVALID_NETWORK_FIELD: Code = (3, 10);
pub(crate) const MALFORMED_AS_PATH: Code = (3, 11);
pub(crate) const HOLD_TIMER_EXPIRED: Code = (4, 0);
/// RFC 6608; the subcode says in which state: 1 OpenSent, 2 OpenConfirm, 3 Established.
pub(crate) const FSM_ERROR: u8 = 5;
const CEASE: u8 = 6;
pub(crate) const ADMINISTRATIVE_SHUTDOWN: Code = (CEASE, 2);
pub(crate) const PEER_DECONFIGURED: Code = (CEASE, 3);
pub(crate) const ADMINISTRATIVE_RESET: Code = (CEASE, 4);
pub(crate) const CONNECTION_REJECTED: Code = (CEASE, 5);
pub(crate) const OTHER_CONFIGURATION_CHANGE: Code = (CEASE, 6);
pub(crate) const CONNECTION_COLLISION: Code = (CEASE, 7);
pub(crate) const HARD_RESET: Code = (CEASE, 9);
pub(crate) const BFD_DOWN: Code = (CEASE, 10);
pub(crate) const ROUTE_REFRESH_LENGTH: Code = (7, 1);
pub(crate) const SEND_HOLD_TIMER_EXPIRED: Code = (8, 0);

/// The type of a NOTIFICATION message (RFC 4271 §4.1).
pub(crate) const TYPE: u8 = 3;
/// Octets of a message of administrative shutdown (RFC 9003 §2).
const SHUTDOWN_MESSAGE_BYTES_MAX: usize = 255;
/// Octets of data that are sent: what is returned of a foreign message is cut off here.
const DATA_BYTES_MAX: usize = 1024;

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
    pub(crate) fn new((code, subcode): Code, data: impl Into<Vec<u8>>) -> Self {
        let mut data = data.into();
        data.truncate(DATA_BYTES_MAX);
        Self { code, subcode, data }
    }

    /// Administrative shutdown or reset with a message (RFC 9003 §2): its length in one octet, then UTF-8.
    pub(crate) fn with_message(code: Code, message: &str) -> Self {
        let mut length = message.len().min(SHUTDOWN_MESSAGE_BYTES_MAX);
        while !message.is_char_boundary(length) {
            length -= 1;
        }
        let text = message.as_bytes().get(..length).unwrap_or_default();
        let octet = u8::try_from(text.len()).unwrap_or_default();
        let data = if text.is_empty() { Vec::new() } else { [&[octet], text].concat() };
        Self::new(code, data)
    }

    /// The same as a hard reset (RFC 8538 §3): where both sides agreed on graceful restart with notifications, nothing
    /// else makes the other side drop the routes.
    pub(crate) fn into_hard_reset(self) -> Self {
        Self::new(HARD_RESET, [&[self.code, self.subcode], self.data.as_slice()].concat())
    }

    /// The body of a message; `None` where it is too short for one.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let (&[code, subcode], data) = body.split_first_chunk()?;
        Some(Self { code, subcode, data: data.to_vec() })
    }

    /// The whole message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(HEADER_BYTES + 2 + self.data.len()).unwrap_or(u16::MAX);
        let mut message = MARKER.to_vec();
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(&[TYPE, self.code, self.subcode]);
        message.extend_from_slice(&self.data);
        message
    }

    /// Code and subcode.
    pub(crate) fn code(&self) -> Code {
        (self.code, self.subcode)
    }

    /// For people: both codes in words, and the message of an administrative shutdown.
    pub fn words(&self) -> String {
        let inner = Self::decode(&self.data).filter(|inner| self.code() == HARD_RESET && inner.code() != HARD_RESET);
        if let Some(inner) = inner {
            return format!("Cease, Hard Reset ({})", inner.words());
        }
        let (code, subcode) = names(self.code());
        let mut words = match (code, subcode) {
            (Some(code), Some("")) => code.to_owned(),
            (Some(code), Some(subcode)) => format!("{code}, {subcode}"),
            (Some(code), None) => format!("{code}, subcode {}", self.subcode),
            (None, _) => format!("code {}, subcode {}", self.code, self.subcode),
        };
        if let Some(message) = self.shutdown_message() {
            words = format!("{words}: \"{message}\"");
        }
        words
    }

    /// What the other side's operator says (RFC 9003), made safe for a terminal and a log: it is a stranger's text.
    fn shutdown_message(&self) -> Option<String> {
        if !matches!(self.code(), ADMINISTRATIVE_SHUTDOWN | ADMINISTRATIVE_RESET) {
            return None;
        }
        let (&length, text) = self.data.split_first()?;
        let text = text.get(..usize::from(length)).unwrap_or(text);
        let text = text.get(..SHUTDOWN_MESSAGE_BYTES_MAX).unwrap_or(text);
        let text = String::from_utf8_lossy(text);
        (!text.is_empty()).then(|| text.chars().map(|char| if is_unsafe(char) { '\u{fffd}' } else { char }).collect())
    }
}

/// Whether a character can move a cursor, end a line or turn the direction of text.
fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '"')
}

/// Names of an error code and of its subcode (IANA's registry "BGP Error Codes"); an empty one for "unspecific".
fn names((code, subcode): Code) -> (Option<&'static str>, Option<&'static str>) {
    let (name, subcodes): (_, &[&str]) = match code {
        1 => ("Message Header Error", &["", "Connection Not Synchronized", "Bad Message Length", "Bad Message Type"]),
        2 => (
            "OPEN Message Error",
            &[
                "",
                "Unsupported Version Number",
                "Bad Peer AS",
                "Bad BGP Identifier",
                "Unsupported Optional Parameter",
                "Authentication Failure",
                "Unacceptable Hold Time",
                "Unsupported Capability",
            ],
        ),
        3 => (
            "UPDATE Message Error",
            &[
                "",
                "Malformed Attribute List",
                "Unrecognized Well-known Attribute",
                "Missing Well-known Attribute",
                "Attribute Flags Error",
                "Attribute Length Error",
                "Invalid ORIGIN Attribute",
                "AS Routing Loop",
                "Invalid NEXT_HOP Attribute",
                "Optional Attribute Error",
                "Invalid Network Field",
                "Malformed AS_PATH",
            ],
        ),
        4 => ("Hold Timer Expired", &[""]),
        5 => (
            "Finite State Machine Error",
            &[
                "",
                "Unexpected Message in OpenSent",
                "Unexpected Message in OpenConfirm",
                "Unexpected Message in Established",
            ],
        ),
        CEASE => (
            "Cease",
            &[
                "",
                "Maximum Number of Prefixes Reached",
                "Administrative Shutdown",
                "Peer De-configured",
                "Administrative Reset",
                "Connection Rejected",
                "Other Configuration Change",
                "Connection Collision Resolution",
                "Out of Resources",
                "Hard Reset",
                "BFD Down",
            ],
        ),
        7 => ("ROUTE-REFRESH Message Error", &["", "Invalid Message Length"]),
        8 => ("Send Hold Timer Expired", &[""]),
        _ => return (None, None),
    };
    (Some(name), subcodes.get(usize::from(subcode)).copied())
}
