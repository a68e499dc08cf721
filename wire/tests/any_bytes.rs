//! Any bytes at all: no panic, and what is accepted is consistent.

#[allow(dead_code)] // each test uses its part
mod support;

use support::Generator;
use wire::{Message, Name, Query, Rejected, rdata};

fn exercise(bytes: &[u8]) {
    if let Ok(query) = Query::parse(bytes) {
        if let Some(question) = query.question {
            assert!(question.end <= bytes.len());
            assert_eq!(question.name.to_string().parse::<Name>().unwrap(), question.name.to_owned());
        }
        if let Some(edns) = query.edns {
            let octets: usize = edns.options().map(|(_, data)| data.len() + 4).sum();
            assert!(octets <= bytes.len());
        }
    }
    if let Ok(message) = Message::parse(bytes) {
        let mut data = Vec::new();
        for record in message.records().flatten() {
            let _ = record.owner();
            data.clear();
            if record.decompress_rdata(&mut data).is_ok() {
                rdata::check(record.rtype, &data).expect("what was decompressed fits its type");
                assert!(rdata::eq(record.rtype, &data, &data));
                let _ = rdata::names(record.rtype, &data).count();
            }
        }
    }
}

#[test]
fn random_and_mutated_bytes() {
    let mut generator = Generator::new(3);
    for _ in 0..30_000 {
        exercise(&generator.bytes(200));
        let (mut bytes, _) = generator.message();
        generator.mutate(&mut bytes);
        exercise(&bytes);
    }
}

#[test]
fn every_length_of_a_message() {
    let mut generator = Generator::new(4);
    for _ in 0..200 {
        let (bytes, _) = generator.message();
        for length in 0..=bytes.len() {
            exercise(&bytes[..length]);
        }
    }
}

#[test]
fn queries_that_are_none() {
    let check = |bytes: &[u8], expected: &str| {
        let got = match Query::parse(bytes) {
            Ok(_) => "query",
            Err(Rejected::Ignore(_)) => "ignore",
            Err(Rejected::FormErr(_)) => "formerr",
            Err(Rejected::NotImplemented(_)) => "notimp",
        };
        assert_eq!(got, expected, "{bytes:02x?}");
    };
    let header = |flags: u16, counts: [u8; 4]| {
        let [f0, f1] = flags.to_be_bytes();
        let [q, a, n, r] = counts;
        vec![0, 1, f0, f1, 0, q, 0, a, 0, n, 0, r]
    };
    let with = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.extend_from_slice(more);
        bytes
    };
    const QUESTION: &[u8] = &[1, b'a', 0, 0, 1, 0, 1];
    const OPT: &[u8] = &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
    check(&[0; 11], "ignore");
    check(&header(0x8000, [0; 4]), "ignore");
    check(&header(0x2800, [0; 4]), "notimp");
    check(&header(0x0000, [0; 4]), "query");
    check(&header(0x0000, [1, 0, 0, 0]), "formerr");
    check(&with(header(0, [1, 0, 0, 0]), QUESTION), "query");
    check(&with(header(0, [2, 0, 0, 0]), &[QUESTION, QUESTION].concat()), "formerr");
    check(&with(header(0, [1, 0, 0, 0]), &[QUESTION, &[0]].concat()), "formerr");
    check(&with(header(0, [1, 0, 0, 0]), &[0xc0, 12, 0, 1, 0, 1]), "formerr");
    check(&with(header(0, [1, 0, 0, 1]), &[QUESTION, OPT].concat()), "query");
    check(&with(header(0, [1, 0, 0, 2]), &[QUESTION, OPT, OPT].concat()), "formerr");
    check(&with(header(0, [1, 1, 0, 0]), &[QUESTION, OPT].concat()), "formerr");
    // RFC 8945 §5.2: TSIG is the last record or the message is malformed.
    const TSIG: &[u8] = &[0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0];
    check(&with(header(0, [1, 0, 0, 2]), &[QUESTION, OPT, TSIG].concat()), "query");
    check(&with(header(0, [1, 0, 0, 2]), &[QUESTION, TSIG, OPT].concat()), "formerr");
}
