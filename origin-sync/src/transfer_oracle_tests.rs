//! The transfer interpreter against `domain`'s: the same random transfers, cut into messages at random, mean the same.

use bytes::Bytes;
use domain::base::Message as DomainMessage;
use domain::net::xfr::protocol::{ParsedRecord, XfrResponseInterpreter};
use domain::rdata::ZoneRecordData;
use domain::zonetree::types::ZoneUpdate;

use super::tests::{ID, Log, Rr, a, build, soa};
use super::*;

/// xorshift64
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

const OWNERS: [&str; 4] = ["zone.test", "a.zone.test", "b.a.zone.test", "*.zone.test"];
const LIMITS: Limits = Limits { records_max: 10_000, bytes_max: 1 << 20 };

fn some_records(random: &mut Random, least: u64) -> Vec<Rr> {
    let count = least + random.below(5);
    (0..count).map(|_| a(OWNERS[random.below(4) as usize], random.below(200) as u8)).collect()
}

/// A transfer as a primary would send it.
fn transfer(random: &mut Random) -> (Rtype, Option<u32>, Vec<Rr>) {
    let have = 100;
    match random.below(3) {
        0 => {
            // At least one record, or it could not be told from differences.
            let body = some_records(random, 1);
            (Rtype::IXFR, Some(have), [vec![soa(200)], body, vec![soa(200)]].concat())
        }
        1 => {
            let body = some_records(random, 0);
            (Rtype::AXFR, None, [vec![soa(200)], body, vec![soa(200)]].concat())
        }
        _ => {
            let steps = 1 + random.below(4) as u32;
            let last = have + steps;
            let mut records = vec![soa(last)];
            for serial in have..last {
                records.push(soa(serial));
                records.extend(some_records(random, 0));
                records.push(soa(serial + 1));
                records.extend(some_records(random, 0));
            }
            records.push(soa(last));
            (Rtype::IXFR, Some(have), records)
        }
    }
}

fn messages(random: &mut Random, question: Rtype, mut records: &[Rr]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while !records.is_empty() {
        // `domain` takes a first message with a SOA alone for the end of an answer over UDP.
        let least = if messages.is_empty() { 2 } else { 1 };
        let count = (least + random.below(6) as usize).min(records.len());
        let (now, later) = records.split_at(count);
        messages.push(build((messages.is_empty() || random.below(2) == 0).then_some(question), now));
        records = later;
    }
    messages
}

/// What our interpreter makes of it, in the words of [`theirs`].
fn ours(question: Rtype, have: Option<u32>, messages: &[Vec<u8>]) -> Vec<String> {
    let mut interpreter = Interpreter::new("zone.test".parse().unwrap(), ID, question, have, LIMITS);
    let mut log = Log::default();
    let mut done = None;
    for message in messages {
        if let Progress::Done(answer) = interpreter.message(message, &mut log).unwrap() {
            done = Some(answer);
        }
    }
    let whole = log.0.first().is_some_and(|line| line == "whole");
    let words = log.0.iter().filter_map(|line| match line.split_once(' ') {
        Some(("from" | "to", _)) => None,
        Some(("-", soa)) if soa.starts_with("SOA") => Some(format!("delete from {soa}")),
        Some(("+", soa)) if soa.starts_with("SOA") => (!whole).then(|| format!("add to {soa}")),
        _ => Some(line.clone()),
    });
    let end = done.map(|_| format!("end SOA {}", interpreter.serial()));
    words.chain(end).collect()
}

fn serial(record: &ParsedRecord) -> String {
    match record.data() {
        ZoneRecordData::Soa(soa) => format!("SOA {}", soa.serial()),
        other => panic!("{other:?}"),
    }
}

fn address(record: &ParsedRecord) -> String {
    match record.data() {
        ZoneRecordData::A(a) => format!("{}. A {}", record.owner(), a.addr().octets()[3]),
        other => panic!("{other:?}"),
    }
}

fn theirs(messages: &[Vec<u8>]) -> Vec<String> {
    let mut interpreter = XfrResponseInterpreter::new();
    let mut words = Vec::new();
    for message in messages {
        let message = DomainMessage::from_octets(Bytes::copy_from_slice(message)).unwrap();
        for update in interpreter.interpret_response(message).unwrap() {
            words.push(match update.unwrap() {
                ZoneUpdate::DeleteAllRecords => "whole".into(),
                ZoneUpdate::DeleteRecord(record) => format!("- {}", address(&record)),
                ZoneUpdate::AddRecord(record) => format!("+ {}", address(&record)),
                ZoneUpdate::BeginBatchDelete(record) => format!("delete from {}", serial(&record)),
                ZoneUpdate::BeginBatchAdd(record) => format!("add to {}", serial(&record)),
                ZoneUpdate::Finished(record) => format!("end {}", serial(&record)),
                _ => "something new".into(),
            });
        }
    }
    words
}

#[test]
fn two_interpreters_agree() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for round in 0..2000 {
        let (question, have, records) = transfer(&mut random);
        let messages = messages(&mut random, question, &records);
        let (ours, theirs) = (ours(question, have, &messages), theirs(&messages));
        assert_eq!(
            ours,
            theirs,
            "round {round}: {question} of {} records in {} messages",
            records.len(),
            messages.len()
        );
    }
}
