//! Queries put together part by part, also such as no client sends.

use std::str::FromStr;

use wire::{Name, Rtype};

/// A query, or what looks like one.
#[derive(Clone)]
pub(crate) struct Message {
    /// The third and the fourth octet of the header.
    pub(crate) flags: u16,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT.
    pub(crate) counts: [u16; 4],
    /// QNAME as it stands on the wire.
    pub(crate) name: Vec<u8>,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    /// All behind the question.
    pub(crate) more: Vec<u8>,
}

pub(crate) const RD: u16 = 0x0100;
pub(crate) const CD: u16 = 0x0010;
pub(crate) const AD: u16 = 0x0020;
/// The DO bit, in the OPT record's TTL.
pub(crate) const DO: u32 = 0x8000;

impl Message {
    /// A plain query without EDNS.
    pub(crate) fn new(name: &str, rtype: Rtype) -> Message {
        let name = Name::from_str(name).expect("a name").as_bytes().to_vec();
        Message { flags: 0, counts: [1, 0, 0, 0], name, rtype: rtype.0, class: 1, more: Vec::new() }
    }

    pub(crate) fn flags(mut self, flags: u16) -> Message {
        self.flags = flags;
        self
    }

    pub(crate) fn class(mut self, class: u16) -> Message {
        self.class = class;
        self
    }

    pub(crate) fn counts(mut self, counts: [u16; 4]) -> Message {
        self.counts = counts;
        self
    }

    /// With these octets behind all that is there.
    pub(crate) fn more(mut self, octets: &[u8]) -> Message {
        self.more.extend_from_slice(octets);
        self
    }

    /// With an OPT record (RFC 6891 §6.1.2): payload size, extended RCODE, version and flags, options as they stand.
    pub(crate) fn opt(mut self, size: u16, ttl: u32, options: &[u8]) -> Message {
        self.counts[3] += 1;
        self.more.extend_from_slice(&[0, 0, 41]);
        self.more.extend_from_slice(&size.to_be_bytes());
        self.more.extend_from_slice(&ttl.to_be_bytes());
        self.more.extend_from_slice(&u16::try_from(options.len()).expect("options that fit").to_be_bytes());
        self.more(options)
    }

    pub(crate) fn to_bytes(&self, id: u16) -> Vec<u8> {
        let mut bytes = id.to_be_bytes().to_vec();
        for word in [self.flags].iter().chain(&self.counts) {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&self.name);
        bytes.extend_from_slice(&self.rtype.to_be_bytes());
        bytes.extend_from_slice(&self.class.to_be_bytes());
        bytes.extend_from_slice(&self.more);
        bytes
    }
}

/// An EDNS option.
pub(crate) fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("an option that fits");
    [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
}
