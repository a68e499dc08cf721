//! Bytes of an attack: DNS queries, and the frames they travel in.
//!
//! ```text
//!   Ethernet  target MAC 6 | source MAC 6 | 0x0800
//!   IPv4      RFC 791, 20 bytes, no options, TTL 64
//!   UDP       RFC 768, 8 bytes; the checksum is 0: none, as if the card had checked it
//!   DNS       RFC 1035
//! ```

use std::net::Ipv4Addr;

use crate::Rtype;
use crate::random::Random;

/// Bytes before the UDP payload.
pub(super) const HEADERS_BYTES: usize = 42;
/// Bytes of the Ethernet header, which no figure counts: what a victim's line carries begins with IP.
pub(super) const ETHERNET_BYTES: usize = 14;
/// Bytes of a DNS header.
pub(super) const DNS_HEADER_BYTES: usize = 12;
/// Source ports of attacks end here; above it are those that Linux gives to real clients.
pub const PORT_MAX: u16 = 32_767;
/// Source ports of attacks begin here.
pub const PORT_MIN: u16 = 1024;

/// What all frames of an attack have in common.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    headers: [u8; HEADERS_BYTES],
}

impl Envelope {
    pub(super) fn new(source_mac: [u8; 6], target_mac: [u8; 6], target: Ipv4Addr, port: u16) -> Envelope {
        let mut headers = [0; HEADERS_BYTES];
        let mut put = |at: usize, bytes: &[u8]| headers[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &target_mac);
        put(6, &source_mac);
        put(12, &[8, 0, 0x45]);
        put(20, &[0x40, 0]); // Don't Fragment
        put(22, &[64, 17]);
        put(30, &target.octets());
        put(36, &port.to_be_bytes());
        Envelope { headers }
    }

    /// Make `frame` a datagram from `source`; `payload` appends its bytes.
    pub(super) fn write(
        &self,
        frame: &mut Vec<u8>,
        random: &mut Random,
        source: Ipv4Addr,
        payload: impl FnOnce(&mut Vec<u8>, &mut Random),
    ) {
        let dice = random.next();
        frame.clear();
        frame.extend_from_slice(&self.headers);
        payload(frame, random);
        let udp_bytes = (frame.len() - HEADERS_BYTES + 8) as u16;
        let port = PORT_MIN + (dice as u16) % (PORT_MAX - PORT_MIN + 1);
        let mut put = |at: usize, bytes: &[u8]| frame[at..at + bytes.len()].copy_from_slice(bytes);
        put(16, &(udp_bytes + 20).to_be_bytes());
        put(18, &((dice >> 16) as u16).to_be_bytes());
        put(26, &source.octets());
        put(34, &port.to_be_bytes());
        put(38, &udp_bytes.to_be_bytes());
        let sum = header_checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The checksum of an IPv4 header whose own field is 0, RFC 1071.
fn header_checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// EDNS of a query, RFC 6891: the payload that it offers, and whether it wants signatures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edns {
    pub(super) payload_bytes: u16,
    pub(super) dnssec: bool,
}

/// A query for `name` with the id 0; `None` where the name cannot be one.
pub(super) fn query(name: &str, rtype: Rtype, edns: Option<Edns>) -> Option<Vec<u8>> {
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    message.extend(wire_name(name)?);
    message.extend(rtype.0.to_be_bytes());
    message.extend([0, 1]);
    if let Some(edns) = edns {
        let [high, low] = edns.payload_bytes.to_be_bytes();
        message.extend([0, 0, 41, high, low, 0, 0, if edns.dnssec { 0x80 } else { 0 }, 0, 0, 0]);
    }
    Some(message)
}

/// A name as labels with their lengths, RFC 1035 §3.1; `None` where it cannot be one.
pub(super) fn wire_name(name: &str) -> Option<Vec<u8>> {
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.trim_end_matches('.').split('.').filter(|_| name != ".") {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        wire.push(length);
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    (wire.len() <= 255).then_some(wire)
}

/// Append one of these queries, with an id of its own.
pub(super) fn append(message: &[u8], frame: &mut Vec<u8>, random: &mut Random) {
    let begin = frame.len();
    frame.extend_from_slice(message);
    if let Some(id) = frame.get_mut(begin..begin + 2) {
        id.copy_from_slice(&random.word().to_be_bytes());
    }
}

/// Append a query for a name of random letters below the name that `message` asks for, with an id of its own.
pub(super) fn append_random_name(message: &[u8], frame: &mut Vec<u8>, random: &mut Random) {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let Some((header, behind)) = message.split_at_checked(DNS_HEADER_BYTES) else { return };
    append(header, frame, random);
    let mut letters = random.next();
    // 8 to 12 letters of 5 bits each.
    let length = 8 + (letters & 3) as u8 + ((letters >> 2) & 1) as u8;
    letters >>= 3;
    frame.push(length);
    for _ in 0..length {
        frame.push(LETTERS[(letters & 31) as usize]);
        letters >>= 5;
    }
    frame.extend_from_slice(behind);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_the_rfcs_say() {
        let envelope = Envelope::new([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], Ipv4Addr::new(10, 1, 0, 1), 53);
        let mut frame = Vec::new();
        let message = query("www.example.com", Rtype::A, None).unwrap();
        envelope.write(&mut frame, &mut Random::new(1), Ipv4Addr::new(9, 8, 7, 6), |frame, random| {
            append(&message, frame, random);
        });
        assert_eq!(frame.len(), HEADERS_BYTES + message.len());
        assert_eq!(frame[..6], [2, 0, 0, 0, 0, 2]);
        assert_eq!(frame[12..15], [8, 0, 0x45]);
        assert_eq!(usize::from(u16::from_be_bytes([frame[16], frame[17]])), frame.len() - ETHERNET_BYTES);
        assert_eq!((&frame[26..30], &frame[30..34]), (&[9, 8, 7, 6][..], &[10, 1, 0, 1][..]));
        assert!((PORT_MIN..=PORT_MAX).contains(&u16::from_be_bytes([frame[34], frame[35]])));
        assert_eq!(frame[36..38], [0, 53]);
        assert_eq!(usize::from(u16::from_be_bytes([frame[38], frame[39]])), 8 + message.len());
        // A header with its checksum in place sums up to nothing.
        assert_eq!(header_checksum(&frame[14..34]), 0);
    }

    #[test]
    fn the_checksum_is_that_of_a_known_header() {
        let header =
            [0x45, 0x00, 0x00, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 0x01, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(header_checksum(&header), 0xb861);
    }

    #[test]
    fn queries_are_as_a_resolver_writes_them() {
        let message = query("a.example", Rtype::DNSKEY, Some(Edns { payload_bytes: 4096, dnssec: true })).unwrap();
        assert_eq!(message[4..12], [0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(&message[12..23], b"\x01a\x07example\x00");
        assert_eq!(message[23..27], [0, 48, 0, 1]);
        assert_eq!(message[27..], [0, 0, 41, 16, 0, 0, 0, 0x80, 0, 0, 0]);
        assert_eq!(wire_name(".").unwrap(), [0]);
        assert!(wire_name("a..b").is_none() && wire_name(&"a".repeat(64)).is_none());
    }

    #[test]
    fn random_names_stand_below_their_suffix() {
        for edns in [None, Some(Edns { payload_bytes: 1232, dnssec: false })] {
            let whole = query("example.com", Rtype::A, edns).unwrap();
            let mut message = Vec::new();
            append_random_name(&whole, &mut message, &mut Random::new(5));
            let label = usize::from(message[12]);
            assert!((8..=12).contains(&label));
            assert!(message[13..13 + label].iter().all(u8::is_ascii_alphanumeric));
            assert_eq!(message[13 + label..], whole[12..]);
            assert_eq!(message[2..12], whole[2..12]);
        }
    }
}
