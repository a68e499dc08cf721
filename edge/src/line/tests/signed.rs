//! Signed queries: strangers are told that their key is unknown, others get what their handler says.

use std::sync::atomic::{AtomicUsize, Ordering};

use config::{DefenceMode, Filter};
use wire::{Class, Message, Name, Rtype, Section, Writer};

use super::{Case, query};
use crate::{DropReason, SignedQuery, Signer, Transfer, TransferHandler, Transport, line::Client};

/// A TSIG record: algorithm `a.`, no time, no MAC.
const TSIG_RDATA: &[u8] = &[1, b'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0];
const SEAL: &[u8] = b"signed";

/// `query`'s bytes with a TSIG record whose key is `key`.
fn signed(text: &str, key: &str) -> Vec<u8> {
    let mut message = query(text);
    message.extend_from_slice(key.parse::<Name>().unwrap().as_bytes());
    message.extend_from_slice(&Rtype::TSIG.0.to_be_bytes());
    message.extend_from_slice(&Class::ANY.0.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&(TSIG_RDATA.len() as u16).to_be_bytes());
    message.extend_from_slice(TSIG_RDATA);
    let additional = u16::from_be_bytes([message[10], message[11]]) + 1;
    message[10..12].copy_from_slice(&additional.to_be_bytes());
    message
}

/// Knows the address of a key's name alone: `stranger.`, `silent.`, `own.` (it answers itself), any other (it signs).
struct Handler(AtomicUsize);

impl TransferHandler for Handler {
    fn query(&self, message: &[u8], _: &Client, out: &mut [u8]) -> SignedQuery {
        self.0.fetch_add(1, Ordering::Relaxed);
        let record = Message::parse(message).unwrap().records().last().unwrap().unwrap();
        match record.owner().unwrap().to_string().as_str() {
            "stranger." => SignedQuery::Stranger,
            "silent." => SignedQuery::Answer(0),
            "own." => {
                let writer = Writer::new(out, 512).unwrap();
                SignedQuery::Answer(writer.finish())
            }
            _ => SignedQuery::Sign(Box::new(Seal)),
        }
    }

    fn transfer(&self, _: &[u8], _: &Client, _: &mut [u8]) -> Transfer {
        unreachable!("only over connections")
    }
}

struct Seal;

impl Signer for Seal {
    fn bytes(&self) -> usize {
        SEAL.len()
    }

    fn sign(self: Box<Self>, out: &mut [u8], length: usize) -> usize {
        out[length..length + SEAL.len()].copy_from_slice(SEAL);
        length + SEAL.len()
    }
}

fn case() -> Case {
    let mut case = Case::new();
    case.transfers = Some(Box::new(Handler(AtomicUsize::new(0))));
    case
}

#[test]
fn without_a_handler_every_key_is_unknown() {
    let answer = Case::new().respond(&signed("example. SOA", "key"), Transport::Udp);
    let stranger = case().respond(&signed("example. SOA", "stranger"), Transport::Udp);
    for answer in [&answer, &stranger] {
        let message = Message::parse(answer).unwrap();
        assert_eq!(message.header.flags.rcode(), wire::Rcode::NOTAUTH);
        let tsig = message.records().last().unwrap().unwrap();
        assert_eq!((tsig.rtype, tsig.section), (Rtype::TSIG, Section::Additional));
    }
}

#[test]
fn a_known_key_gets_what_everybody_gets_and_a_signature() {
    for text in ["example. SOA", "example. A edns", "example. AXFR", "example. SOA cookie=00"] {
        let plain = case().respond(&query(text), Transport::Udp);
        let answer = case().respond(&signed(text, "key"), Transport::Udp);
        assert_eq!(answer, [&plain[..], SEAL].concat(), "{text}");
    }
}

#[test]
fn an_answer_leaves_room_for_its_signature() {
    let mut case = case();
    case.settings.udp_payload_bytes_max = 512;
    for length in 1..=255 {
        case.settings.id_server = Some("x".repeat(length));
        let message = signed("id.server. TXT CH", "key");
        let answer = case.respond(&message, Transport::Udp);
        assert!(answer.len() <= 512 && answer.ends_with(SEAL), "{length}: {} bytes", answer.len());
    }
}

#[test]
fn the_handler_may_answer_itself_or_not_at_all() {
    let case = case();
    assert_eq!(case.respond(&signed("example. SOA", "own"), Transport::Udp).len(), 12);
    assert!(case.respond(&signed("example. SOA", "silent"), Transport::Udp).is_empty());
    assert_eq!(case.stats().dropped_for(DropReason::Signed), 1);
    // Whoever does not sign is none of its business.
    assert!(!case.respond(&query("example. SOA"), Transport::Udp).is_empty());
}

#[test]
fn who_has_a_key_is_answered_in_any_flood_and_strangers_are_limited() {
    let with_filters = || {
        let (case, _) = super::filters::only(Filter::ResponseRate, DefenceMode::On, |_| ());
        Case { transfers: Some(Box::new(Handler(AtomicUsize::new(0)))), ..case }
    };
    let answered = |case: &Case, key: &str| {
        let message = signed("www.example.com A", key);
        (0..1000).filter(|_| case.respond(&message, Transport::Udp).len() > message.len()).count()
    };
    assert_eq!(answered(&with_filters(), "key"), 1000);
    assert!(answered(&with_filters(), "stranger") < 300);
}
