//! BGP messages as bytes, right ones and wrong ones: nothing here is checked.

use std::net::{IpAddr, Ipv4Addr};

/// Message types (RFC 4271 §4.1, RFC 2918).
pub const OPEN: u8 = 1;
/// See [`OPEN`].
pub const UPDATE: u8 = 2;
/// See [`OPEN`].
pub const NOTIFICATION: u8 = 3;
/// See [`OPEN`].
pub const KEEPALIVE: u8 = 4;
/// See [`OPEN`].
pub const ROUTE_REFRESH: u8 = 5;

/// Octets of marker, length and type.
pub const HEADER_BYTES: usize = 19;
/// Stands for a larger AS number in two octets (RFC 6793).
pub const AS_TRANS: u16 = 23456;

/// Flags of a path attribute (RFC 4271 §4.3).
pub const OPTIONAL: u8 = 0x80;
/// See [`OPTIONAL`].
pub const TRANSITIVE: u8 = 0x40;
/// See [`OPTIONAL`].
pub const EXTENDED_LENGTH: u8 = 0x10;

/// Path attribute type codes.
pub const ORIGIN: u8 = 1;
/// See [`ORIGIN`].
pub const AS_PATH: u8 = 2;
/// See [`ORIGIN`].
pub const NEXT_HOP: u8 = 3;

/// A message: header and body. The length is what it is.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = HEADER_BYTES + body.len();
    message_with_length(kind, body, u16::try_from(length).unwrap_or(u16::MAX))
}

/// A message whose header claims `length`.
pub fn message_with_length(kind: u8, body: &[u8], length: u16) -> Vec<u8> {
    let mut bytes = vec![0xff; 16];
    bytes.extend(length.to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}

/// KEEPALIVE.
pub fn keepalive() -> Vec<u8> {
    message(KEEPALIVE, &[])
}

/// What an OPEN says.
#[derive(Clone, Debug)]
pub struct Open {
    /// 4 of a BGP speaker.
    pub version: u8,
    /// The autonomous system; in two octets where there is room, always in the capability of RFC 6793 unless that is off.
    pub local_as: u32,
    /// Hold time.
    pub hold_time_s: u16,
    /// BGP identifier.
    pub router_id: Ipv4Addr,
    /// The capability of RFC 6793.
    pub four_octet_as: bool,
    /// Other capabilities: code and value.
    pub capabilities: Vec<(u8, Vec<u8>)>,
}

impl Open {
    /// Both families, route refresh, four octets of AS.
    pub fn new(local_as: u32, router_id: Ipv4Addr) -> Open {
        let capabilities = vec![(1, vec![0, 1, 0, 1]), (1, vec![0, 2, 0, 1]), (2, Vec::new())];
        Open { version: 4, local_as, hold_time_s: 90, router_id, four_octet_as: true, capabilities }
    }

    /// The message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut capabilities = self.capabilities.clone();
        if self.four_octet_as {
            capabilities.push((65, self.local_as.to_be_bytes().to_vec()));
        }
        let mut parameters = Vec::new();
        for (code, value) in capabilities {
            // One optional parameter of type 2 for each capability, as old routers did.
            let length = byte(value.len());
            parameters.extend([2, length.saturating_add(2), code, length]);
            parameters.extend(value);
        }
        self.with_parameters(&parameters)
    }

    /// The message with these optional parameters, be they what they may.
    pub fn with_parameters(&self, parameters: &[u8]) -> Vec<u8> {
        let mut body = vec![self.version];
        body.extend(u16::try_from(self.local_as).unwrap_or(AS_TRANS).to_be_bytes());
        body.extend(self.hold_time_s.to_be_bytes());
        body.extend(self.router_id.octets());
        body.push(byte(parameters.len()));
        body.extend(parameters);
        message(OPEN, &body)
    }
}

/// A path attribute; flags tell whether its length has two octets.
pub fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags, code];
    if flags & EXTENDED_LENGTH == 0 {
        bytes.push(byte(value.len()));
    } else {
        bytes.extend(short(value.len()));
    }
    bytes.extend(value);
    bytes
}

/// The three mandatory attributes of a route from `path`, AS numbers in four octets.
pub fn mandatory(path: &[u32], next_hop: Ipv4Addr) -> Vec<u8> {
    [attribute(TRANSITIVE, ORIGIN, &[0]), as_path(path), attribute(TRANSITIVE, NEXT_HOP, &next_hop.octets())].concat()
}

/// AS_PATH of one sequence, AS numbers in four octets.
pub fn as_path(path: &[u32]) -> Vec<u8> {
    let numbers: Vec<u8> = path.iter().flat_map(|number| number.to_be_bytes()).collect();
    attribute(TRANSITIVE, AS_PATH, &[&[2, byte(path.len())], numbers.as_slice()].concat())
}

/// An UPDATE of its three parts.
pub fn update(withdrawn: &[u8], attributes: &[u8], prefixes: &[u8]) -> Vec<u8> {
    let parts = [&short(withdrawn.len()), withdrawn, &short(attributes.len()), attributes, prefixes].concat();
    message(UPDATE, &parts)
}

/// A prefix as UPDATEs have it (RFC 4271 §4.3).
pub fn prefix(address: IpAddr, bits: u8) -> Vec<u8> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut bytes = vec![bits];
    bytes.extend(octets.into_iter().take(usize::from(bits.div_ceil(8))));
    bytes
}

fn byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
