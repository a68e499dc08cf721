//! EDNS(0): the OPT record and its options (RFC 6891).

use crate::{WireError, u16_at};

/// Option codes that Parapet knows (IANA's registry); others are carried and ignored.
pub mod option {
    /// Name server identifier (RFC 5001).
    pub const NSID: u16 = 3;
    /// EDNS client subnet (RFC 7871).
    pub const CLIENT_SUBNET: u16 = 8;
    /// EXPIRE (RFC 7314).
    pub const EXPIRE: u16 = 9;
    /// DNS cookies (RFC 7873).
    pub const COOKIE: u16 = 10;
    /// TCP keepalive (RFC 7828).
    pub const TCP_KEEPALIVE: u16 = 11;
    /// Padding (RFC 7830).
    pub const PADDING: u16 = 12;
    /// Extended DNS errors (RFC 8914).
    pub const EXTENDED_ERROR: u16 = 15;
}

/// The OPT record of a message; its options are known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns<'a> {
    /// The largest datagram the sender takes, in octets, as it stands on the wire (below 512 means 512).
    pub udp_size: u16,
    /// The upper eight bits of the response code.
    pub extended_rcode: u8,
    /// The sender's version of EDNS; ours is 0.
    pub version: u8,
    /// The DO bit (RFC 3225): DNSSEC records are welcome.
    pub dnssec_ok: bool,
    raw_options: &'a [u8],
}

impl<'a> Edns<'a> {
    /// Takes an OPT record apart; `class` and `ttl` are the record's fields.
    ///
    /// # Errors
    /// [`WireError::Short`] when an option is longer than the record.
    pub fn from_record(class: u16, ttl: u32, rdata: &'a [u8]) -> Result<Edns<'a>, WireError> {
        let [extended_rcode, version, flags, _] = ttl.to_be_bytes();
        let edns = Edns { udp_size: class, extended_rcode, version, dnssec_ok: flags & 0x80 != 0, raw_options: rdata };
        let mut rest = rdata;
        while !rest.is_empty() {
            (_, _, rest) = split_option(rest)?;
        }
        Ok(edns)
    }

    /// The options in the order of the record.
    pub fn options(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.raw_options;
        std::iter::from_fn(move || {
            let (code, data, after) = split_option(rest).ok()?;
            rest = after;
            Some((code, data))
        })
    }

    /// The first option of this code.
    #[must_use]
    pub fn option(&self, code: u16) -> Option<&'a [u8]> {
        self.options().find(|(c, _)| *c == code).map(|(_, data)| data)
    }
}

/// Splits the first option off: its code, its data, and what follows.
fn split_option(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), WireError> {
    let code = u16_at(bytes, 0)?;
    let length = usize::from(u16_at(bytes, 2)?);
    let body = bytes.get(4..).ok_or(WireError::Short)?;
    let (data, rest) = body.split_at_checked(length).ok_or(WireError::Short)?;
    Ok((code, data, rest))
}
