//! Any bytes: no panic, no answer longer than allowed, an answer only to what could be a query.

use super::{Case, query, unhex};
use crate::Transport;
use wire::Header;

/// Numbers that look random and are the same in each run (SplitMix64).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A case with everything on, so that every option has an effect.
fn everything() -> Case {
    let mut case = Case::new();
    case.settings.nsid = Some(vec![1; crate::NSID_BYTES_MAX]);
    case.settings.id_server = Some("ams-1".to_owned());
    case.settings.version_bind = Some("1".to_owned());
    case.settings.cookie_secrets = vec![unhex("e5e973e5a6b2a43f48e7dc849e37bfcf").try_into().unwrap()];
    case.zones = super::zone::zones();
    case
}

/// What must hold of the answer to any bytes.
fn check_any(case: &Case, message: &[u8]) {
    for transport in Transport::ALL {
        let answer = case.respond(message, transport);
        let may_be_answered = message.len() >= 12 && message[2] & 0x80 == 0;
        assert_eq!(!answer.is_empty(), may_be_answered, "{message:02x?}");
        if may_be_answered {
            let header = Header::parse(&answer).unwrap();
            assert_eq!(answer[..2], message[..2]);
            assert!(header.flags.qr() && !header.flags.ra() && !header.flags.ad());
            if !header.flags.opcode().eq(&wire::Opcode::NOTIFY) {
                super::render_any(&answer);
            }
        }
        if transport == Transport::Udp {
            assert!(answer.len() <= usize::from(case.settings.udp_payload_bytes_max));
        }
    }
}

const QUERIES: &[&str] = &[
    "www.example.com A",
    "example.com ANY do nsid cookie=2464c4abcf10c957",
    "www.example.com AAAA rd do size=512 nsid keepalive cookie=2464c4abcf10c957010000005cf79f111f8130c3eee29480",
    "id.server TXT CH edns option=65001:00",
    "example.com SOA opcode=4",
    "nothing.example.com TYPE65280 version=1",
];

#[test]
fn every_truncation_of_a_query() {
    let case = everything();
    for text in QUERIES {
        let message = query(text);
        for length in 0..=message.len() {
            check_any(&case, &message[..length]);
        }
    }
}

#[test]
fn every_query_with_something_behind_it() {
    let case = everything();
    for text in QUERIES {
        let mut message = query(text);
        message.push(0);
        check_any(&case, &message);
    }
}

#[test]
fn queries_with_bytes_changed() {
    let case = everything();
    let mut numbers = Numbers(2);
    for _ in 0..20_000 {
        let mut message = query(QUERIES[numbers.below(QUERIES.len())]);
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(message.len());
            message[at] = numbers.next() as u8;
        }
        check_any(&case, &message);
    }
}

#[test]
fn bytes_at_random() {
    let case = everything();
    let mut numbers = Numbers(1);
    for _ in 0..20_000 {
        let length = numbers.below(600);
        let mut message: Vec<u8> = (0..length).map(|_| numbers.next() as u8).collect();
        if let Some(flags) = message.get_mut(2) {
            // One half with an opcode that is parsed further.
            *flags &= if numbers.below(2) == 0 { 0xff } else { 0x07 };
        }
        check_any(&case, &message);
    }
}
