//! A question, and its bytes on the wire.

use std::fmt;

use wire::{Name, Rtype};

/// What is asked, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name; its case is kept.
    pub name: Name,
    /// The type; the class is IN.
    pub rtype: Rtype,
    /// The DO bit (RFC 3225).
    pub dnssec: bool,
    /// EDNS with this payload size (RFC 6891); without it 512 bytes are the limit.
    pub udp_bytes_max: Option<u16>,
}

impl Question {
    /// The datagram that asks it.
    #[must_use]
    pub fn to_bytes(&self, id: u16) -> Vec<u8> {
        let mut out = Vec::with_capacity(300);
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.udp_bytes_max.is_some())]);
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&self.rtype.0.to_be_bytes());
        out.extend_from_slice(&[0, 1]);
        if let Some(size) = self.udp_bytes_max {
            out.extend_from_slice(&[0, 0, 41]);
            out.extend_from_slice(&size.to_be_bytes());
            out.extend_from_slice(&[0, 0, if self.dnssec { 0x80 } else { 0 }, 0, 0, 0]);
        }
        out
    }

    /// The largest datagram that may answer it.
    #[must_use]
    pub fn answer_bytes_max(&self) -> usize {
        usize::from(self.udp_bytes_max.unwrap_or(512).max(512))
    }
}

/// As an argument list of `dig`.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)?;
        match self.udp_bytes_max {
            Some(size) => write!(f, " +bufsize={size}")?,
            None => write!(f, " +noedns")?,
        }
        if self.dnssec { write!(f, " +dnssec") } else { Ok(()) }
    }
}
