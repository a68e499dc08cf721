//! The twelve octets that open each message (RFC 1035 §4.1.1).
//!
//! ```text
//!   0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
//! +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
//! |                      ID                       |
//! |QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
//! |                    QDCOUNT                    |
//! |                    ANCOUNT                    |
//! |                    NSCOUNT                    |
//! |                    ARCOUNT                    |
//! +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
//! ```

use crate::{Opcode, Rcode, WireError, u16_at};

/// The length of a header.
pub const HEADER_BYTES: usize = 12;

/// The second 16 bits of the header; AD and CD by RFC 4035.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(pub u16);

macro_rules! flag_bits {
    ($($get:ident, $set:ident = $bit:literal, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[must_use]
            pub fn $get(self) -> bool {
                self.0 & $bit != 0
            }

            #[doc = concat!("The same flags with this one set or cleared: ", $doc)]
            #[must_use]
            pub fn $set(self, on: bool) -> Flags {
                Flags(if on { self.0 | $bit } else { self.0 & !$bit })
            }
        )*
    };
}

impl Flags {
    flag_bits! {
        qr, with_qr = 0x8000, "This is a response.";
        aa, with_aa = 0x0400, "The answer is authoritative.";
        tc, with_tc = 0x0200, "The answer was truncated.";
        rd, with_rd = 0x0100, "Recursion is desired.";
        ra, with_ra = 0x0080, "Recursion is available.";
        ad, with_ad = 0x0020, "The data are authentic.";
        cd, with_cd = 0x0010, "Checking is disabled.";
    }

    /// The kind of query.
    #[must_use]
    pub fn opcode(self) -> Opcode {
        Opcode(((self.0 >> 11) & 0x0f) as u8)
    }

    /// The same flags with another opcode.
    #[must_use]
    pub fn with_opcode(self, opcode: Opcode) -> Flags {
        Flags((self.0 & !0x7800) | (u16::from(opcode.0 & 0x0f) << 11))
    }

    /// The lower four bits of the response code; the upper eight are in the OPT record.
    #[must_use]
    pub fn rcode(self) -> Rcode {
        Rcode(self.0 & 0x0f)
    }

    /// The same flags with the lower four bits of a response code.
    #[must_use]
    pub fn with_rcode(self, rcode: Rcode) -> Flags {
        Flags((self.0 & !0x0f) | (rcode.0 & 0x0f))
    }
}

/// A message's header; the counts are what the sender says, not what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// Chosen by who asks, echoed by who answers.
    pub id: u16,
    /// Flags, opcode and response code.
    pub flags: Flags,
    /// Entries in the question section.
    pub qdcount: u16,
    /// Records in the answer section.
    pub ancount: u16,
    /// Records in the authority section.
    pub nscount: u16,
    /// Records in the additional section.
    pub arcount: u16,
}

impl Header {
    /// Reads the header.
    ///
    /// # Errors
    /// [`WireError::Short`] when there are fewer than twelve octets.
    pub fn parse(message: &[u8]) -> Result<Header, WireError> {
        Ok(Header {
            id: u16_at(message, 0)?,
            flags: Flags(u16_at(message, 2)?),
            qdcount: u16_at(message, 4)?,
            ancount: u16_at(message, 6)?,
            nscount: u16_at(message, 8)?,
            arcount: u16_at(message, 10)?,
        })
    }

    /// The header as it goes on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [i0, i1] = self.id.to_be_bytes();
        let [f0, f1] = self.flags.0.to_be_bytes();
        let [q0, q1] = self.qdcount.to_be_bytes();
        let [a0, a1] = self.ancount.to_be_bytes();
        let [n0, n1] = self.nscount.to_be_bytes();
        let [r0, r1] = self.arcount.to_be_bytes();
        [i0, i1, f0, f1, q0, q1, a0, a1, n0, n1, r0, r1]
    }
}
