//! Signed answers, right and wrong (RFC 8945), with `domain` on the origin's side.

use domain::base::message_builder::MessageBuilder as Builder;
use domain::tsig::ServerSequence;

use super::*;

const NOW: u64 = 1_700_000_000;

fn key(secret: u8, algorithm: config::KeyAlgorithm) -> Key {
    Key::new(&config::Key { name: "transfer.test.".into(), algorithm, secret: vec![secret; 32] }).unwrap()
}

/// A request for AXFR, its verifier, and the origin's side of the sequence.
fn sequence(ours: &Key, theirs: &Key) -> (Verifier, ServerSequence<Arc<DomainKey>>, Message<Vec<u8>>) {
    let apex: Name = "zone.test".parse().unwrap();
    let request = Request { id: 99, apex: apex.as_ref(), question: Rtype::AXFR, have: None, edns: true, path: false };
    let (bytes, verifier) = request.build(Some(ours), NOW).unwrap();
    let mut message = Message::from_octets(bytes).unwrap();
    let sequence = ServerSequence::request(&theirs.key, &mut message, Time48::from_u64(NOW)).unwrap().unwrap();
    (verifier, sequence, message)
}

fn answer(request: &Message<Vec<u8>>, sequence: Option<&mut ServerSequence<Arc<DomainKey>>>, now: u64) -> Vec<u8> {
    let answer = Builder::new_vec().start_answer(request, domain::base::iana::Rcode::NOERROR).unwrap();
    let mut additional = answer.additional();
    if let Some(sequence) = sequence {
        sequence.answer(&mut additional, Time48::from_u64(now)).unwrap();
    }
    additional.finish()
}

fn fault(outcome: Result<Vec<u8>, Error>) -> TsigFault {
    match outcome {
        Err(Error::Tsig { key, fault }) => {
            assert_eq!(key, "transfer.test.");
            fault
        }
        other => panic!("{other:?}"),
    }
}

const SHA256: config::KeyAlgorithm = config::KeyAlgorithm::HmacSha256;

#[test]
fn every_algorithm() {
    use config::KeyAlgorithm::{HmacSha256, HmacSha384, HmacSha512};
    for algorithm in [HmacSha256, HmacSha384, HmacSha512] {
        let key = key(1, algorithm);
        let (mut verifier, mut origin, request) = sequence(&key, &key);
        for _ in 0..3 {
            let message = answer(&request, Some(&mut origin), NOW + 1);
            let verified = verifier.check(message, Rtype::AXFR, NOW + 1).unwrap();
            // The signature is no longer counted.
            assert_eq!(Header::parse(&verified).unwrap().arcount, 0);
        }
        verifier.done().unwrap();
    }
}

#[test]
fn a_changed_byte_is_found() {
    let key = key(1, SHA256);
    let (verifier, mut origin, request) = sequence(&key, &key);
    let message = answer(&request, Some(&mut origin), NOW);
    for at in [3, 13, 20] {
        let mut message = message.clone();
        message[at] ^= 1;
        assert_eq!(fault(verifier.clone().check(message, Rtype::AXFR, NOW)), TsigFault::BadSignature, "byte {at}");
    }
    verifier.clone().check(message, Rtype::AXFR, NOW).unwrap();
}

#[test]
fn an_unsigned_answer_is_not_taken() {
    let key = key(1, SHA256);
    let (mut verifier, _, request) = sequence(&key, &key);
    assert_eq!(fault(verifier.check(answer(&request, None, NOW), Rtype::AXFR, NOW)), TsigFault::Unsigned);
    let (mut verifier, _, request) = sequence(&key, &key);
    let mut refused = answer(&request, None, NOW);
    refused[3] |= 5;
    let error = verifier.check(refused, Rtype::AXFR, NOW).unwrap_err();
    assert_eq!(error.to_string(), "the origin answered AXFR with REFUSED (unsigned)");
}

#[test]
fn a_sequence_may_not_end_unsigned() {
    let key = key(1, SHA256);
    let (mut verifier, mut origin, request) = sequence(&key, &key);
    verifier.check(answer(&request, Some(&mut origin), NOW), Rtype::AXFR, NOW).unwrap();
    for _ in 0..99 {
        verifier.check(answer(&request, None, NOW), Rtype::AXFR, NOW).unwrap();
    }
    let ends_here = verifier.clone().done().unwrap_err().to_string();
    assert!(ends_here.contains("ends with unsigned messages"), "{ends_here}");
    assert_eq!(fault(verifier.check(answer(&request, None, NOW), Rtype::AXFR, NOW)), TsigFault::UnsignedTail);
}

#[test]
fn an_old_answer_is_not_taken() {
    let key = key(1, SHA256);
    let (mut verifier, mut origin, request) = sequence(&key, &key);
    let message = answer(&request, Some(&mut origin), NOW);
    assert_eq!(fault(verifier.check(message, Rtype::AXFR, NOW + 301)), TsigFault::BadTime);
}

#[test]
fn an_ixfr_request_says_what_we_have() {
    let apex: Name = "zone.test".parse().unwrap();
    let request =
        Request { id: 7, apex: apex.as_ref(), question: Rtype::IXFR, have: Some(4711), edns: true, path: false };
    let (bytes, _) = request.build(None, NOW).unwrap();
    let message = wire::Message::parse(&bytes).unwrap();
    assert_eq!(message.header.id, 7);
    let question = message.questions().next().unwrap();
    assert_eq!(question, (apex, Rtype::IXFR, wire::Class::IN));
    let record = message.records().next().unwrap().unwrap();
    assert_eq!((record.section, record.rtype), (wire::Section::Authority, Rtype::SOA));
    let mut rdata = Vec::new();
    record.decompress_rdata(&mut rdata).unwrap();
    assert_eq!(wire::rdata::Soa::parse(&rdata).unwrap().serial, 4711);
}
