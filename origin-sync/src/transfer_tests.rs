//! The transfer interpreter against scripted answers.

use super::*;

use wire::{Flags, Writer};

pub(super) const ID: u16 = 4711;

#[derive(Clone)]
pub(super) struct Rr(pub(super) &'static str, Rtype, Class, pub(super) Vec<u8>);

pub(super) fn soa(serial: u32) -> Rr {
    let mut rdata = b"\x02ns\x04test\x00\x05admin\x04test\x00".to_vec();
    for number in [serial, 3600, 600, 86_400, 300] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    Rr("zone.test", Rtype::SOA, Class::IN, rdata)
}

pub(super) fn a(owner: &'static str, last: u8) -> Rr {
    Rr(owner, Rtype::A, Class::IN, vec![192, 0, 2, last])
}

pub(super) fn build(question: Option<Rtype>, records: &[Rr]) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let mut writer = Writer::new(&mut buffer, 65_535).unwrap();
    writer.set_id(ID);
    writer.set_flags(Flags::default().with_qr(true).with_aa(true));
    if let Some(question) = question {
        writer.question("zone.test".parse::<Name>().unwrap().as_ref(), question, Class::IN).unwrap();
    }
    for Rr(owner, rtype, class, rdata) in records {
        let owner: Name = owner.parse().unwrap();
        writer.record(Section::Answer, owner.as_ref(), *rtype, *class, 300, rdata).unwrap();
    }
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

#[derive(Default)]
pub(super) struct Log(pub(super) Vec<String>);

impl Sink for Log {
    fn begin_whole(&mut self) -> Result<(), Error> {
        self.0.push("whole".into());
        Ok(())
    }
    fn begin_difference(&mut self, from: u32) -> Result<(), Error> {
        self.0.push(format!("from {from}"));
        Ok(())
    }
    fn end_difference(&mut self, to: u32) -> Result<(), Error> {
        self.0.push(format!("to {to}"));
        Ok(())
    }
    fn add(&mut self, owner: NameRef<'_>, rtype: Rtype, _: u32, rdata: &[u8]) -> Result<(), Error> {
        self.0.push(format!("+ {}", show(owner, rtype, rdata)));
        Ok(())
    }
    fn delete(&mut self, owner: NameRef<'_>, rtype: Rtype, _: u32, rdata: &[u8]) -> Result<(), Error> {
        self.0.push(format!("- {}", show(owner, rtype, rdata)));
        Ok(())
    }
}

fn show(owner: NameRef<'_>, rtype: Rtype, rdata: &[u8]) -> String {
    match rdata::Soa::parse(rdata) {
        Ok(soa) if rtype == Rtype::SOA => format!("SOA {}", soa.serial),
        _ => format!("{owner} {rtype} {}", rdata.last().unwrap()),
    }
}

const LIMITS: Limits = Limits { records_max: 100, bytes_max: 100_000 };

/// Runs messages through an interpreter: the outcome, and what the sink saw.
fn run(question: Rtype, have: Option<u32>, messages: &[Vec<u8>]) -> (Result<Progress, Error>, Vec<String>) {
    let mut interpreter = Interpreter::new("zone.test".parse().unwrap(), ID, question, have, LIMITS);
    let mut log = Log::default();
    let mut last = Ok(Progress::More);
    for message in messages {
        last = interpreter.message(message, &mut log);
        if !matches!(last, Ok(Progress::More)) {
            break;
        }
    }
    (last, log.0)
}

/// The same records in one message, and one record in each.
fn check(question: Rtype, have: Option<u32>, records: &[Rr], answer: Answer, log: &[&str]) {
    let one = vec![build(Some(question), records)];
    let many: Vec<_> = records
        .iter()
        .enumerate()
        .map(|(index, rr)| build((index == 0).then_some(question), std::slice::from_ref(rr)))
        .collect();
    for messages in [one, many] {
        let (outcome, seen) = run(question, have, &messages);
        assert_eq!(outcome.unwrap(), Progress::Done(answer));
        assert_eq!(seen, log);
    }
}

fn rejected(question: Rtype, have: Option<u32>, records: &[Rr]) -> String {
    let (outcome, _) = run(question, have, &[build(Some(question), records)]);
    outcome.unwrap_err().to_string()
}

#[test]
fn axfr() {
    let records = [soa(5), a("zone.test", 1), a("www.zone.test", 2), soa(5)];
    let log = ["whole", "+ SOA 5", "+ zone.test. A 1", "+ www.zone.test. A 2"];
    check(Rtype::AXFR, None, &records, Answer::Whole, &log);
}

#[test]
fn axfr_of_a_soa_alone() {
    check(Rtype::AXFR, None, &[soa(5), soa(5)], Answer::Whole, &["whole", "+ SOA 5"]);
    check(Rtype::IXFR, Some(3), &[soa(5), soa(5)], Answer::Whole, &["whole", "+ SOA 5"]);
}

#[test]
fn ixfr_up_to_date() {
    for (have, serial) in [(5, 5), (5, 4), (0, u32::MAX)] {
        check(Rtype::IXFR, Some(have), &[soa(serial)], Answer::NothingNewer { serial }, &[]);
    }
}

#[test]
fn ixfr_condensed() {
    let records = [soa(9), soa(5), a("www.zone.test", 1), soa(9), a("www.zone.test", 2), soa(9)];
    let log = ["from 5", "- SOA 5", "- www.zone.test. A 1", "+ SOA 9", "+ www.zone.test. A 2", "to 9"];
    check(Rtype::IXFR, Some(5), &records, Answer::Differences, &log);
}

#[test]
fn ixfr_in_steps_across_the_end_of_the_circle() {
    let max = u32::MAX;
    let records = [soa(1), soa(max), a("a.zone.test", 1), soa(0), soa(0), soa(1), a("b.zone.test", 2), soa(1)];
    let log = [
        "from 4294967295",
        "- SOA 4294967295",
        "- a.zone.test. A 1",
        "+ SOA 0",
        "to 0",
        "from 0",
        "- SOA 0",
        "+ SOA 1",
        "+ b.zone.test. A 2",
        "to 1",
    ];
    check(Rtype::IXFR, Some(max), &records, Answer::Differences, &log);
}

#[test]
fn ixfr_with_the_whole_zone() {
    let records = [soa(9), a("zone.test", 1), soa(9)];
    check(Rtype::IXFR, Some(5), &records, Answer::Whole, &["whole", "+ SOA 9", "+ zone.test. A 1"]);
}

#[test]
fn what_comes_too_early_is_not_done() {
    let whole = [soa(9), soa(5), a("www.zone.test", 1), soa(9), a("www.zone.test", 2), soa(9)];
    for length in 1..whole.len() {
        let (outcome, _) = run(Rtype::IXFR, Some(5), &[build(Some(Rtype::IXFR), &whole[..length])]);
        assert_eq!(outcome.unwrap(), Progress::More, "{length} records");
    }
}

#[test]
fn broken_transfers_say_why() {
    let axfr = |records: &[Rr]| rejected(Rtype::AXFR, None, records);
    let ixfr = |records: &[Rr]| rejected(Rtype::IXFR, Some(5), records);
    let www = || a("www.zone.test", 1);
    assert_eq!(axfr(&[]), "the AXFR answer has no SOA record of zone.test. where one must be");
    assert_eq!(axfr(&[www(), soa(5)]), "the AXFR answer has no SOA record of zone.test. where one must be");
    assert_eq!(
        axfr(&[soa(5), www(), soa(6)]),
        "the transfer began with serial 5 and ended with another SOA record (serial 6)"
    );
    assert_eq!(axfr(&[soa(5), a("other.test", 1), soa(5)]), "the record other.test. A is outside the zone zone.test.");
    assert_eq!(
        axfr(&[soa(5), Rr("zone.test", Rtype::A, Class(3), vec![1, 2, 3, 4])]),
        "zone.test. A: its class is not IN"
    );
    assert_eq!(
        axfr(&[soa(5), Rr("zone.test", Rtype::OPT, Class::IN, vec![])]),
        "zone.test. OPT: this type exists only in messages"
    );
    let Rr(_, rtype, class, rdata) = soa(5);
    let below = Rr("a.zone.test", rtype, class, rdata);
    assert_eq!(axfr(&[soa(5), below, soa(5)]), "a.zone.test. SOA: a SOA record below the apex");
    assert_eq!(axfr(&[soa(5), www(), soa(5), www()]), "records follow the end of the AXFR answer");
    assert_eq!(axfr(&[soa(5), soa(5), soa(5)]), "records follow the end of the AXFR answer");
    assert_eq!(ixfr(&[soa(9), soa(4), soa(9)]), "the differences are out of sequence: expected serial 5, found 4");
    assert_eq!(
        ixfr(&[soa(9), soa(5), soa(7), soa(8)]),
        "the differences are out of sequence: expected serial 7, found 8"
    );
    assert_eq!(ixfr(&[soa(9), soa(5), soa(4)]), "the differences are out of sequence: expected serial 9, found 4");
    assert_eq!(
        ixfr(&[soa(9), soa(5), soa(9), www(), soa(10)]),
        "the transfer began with serial 9 and ended with another SOA record (serial 10)"
    );
    let many: Vec<Rr> = std::iter::once(soa(5)).chain((0..100).map(|_| www())).collect();
    assert_eq!(axfr(&many), "more than 100 records (transfer.records_max)");
}

#[test]
fn messages_that_are_not_the_answer() {
    let good = build(Some(Rtype::AXFR), &[soa(5), soa(5)]);
    let reject = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut message = good.clone();
        change(&mut message);
        run(Rtype::AXFR, None, &[message]).0.unwrap_err().to_string()
    };
    assert_eq!(reject(&|m| m[1] ^= 1), "the answer has the wrong id (expected 4711, found 4710)");
    assert_eq!(reject(&|m| m[2] &= 0x7f), "the answer has the wrong QR flag (expected a response, found a query)");
    assert_eq!(reject(&|m| m[2] |= 0x20), "the answer has the wrong opcode (expected QUERY, found NOTIFY)");
    assert_eq!(reject(&|m| m[2] |= 0x02), "the AXFR answer over TCP is marked as truncated");
    assert_eq!(reject(&|m| m[3] |= 5), "the origin answered AXFR with REFUSED");
    assert_eq!(
        reject(&|m| m[13] = b'b'),
        "the answer has the wrong question (expected zone.test. AXFR, found bone.test. IN AXFR)"
    );
    assert_eq!(reject(&|m| m.truncate(60)), "malformed AXFR answer: the message ends too early");
    let (outcome, _) = run(Rtype::AXFR, None, &[build(None, &[soa(5), soa(5)])]);
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "the answer has the wrong question (expected zone.test. AXFR, found none)"
    );
}

#[test]
fn bytes_are_limited() {
    let mut interpreter = Interpreter::new(
        "zone.test".parse().unwrap(),
        ID,
        Rtype::AXFR,
        None,
        Limits { records_max: 10, bytes_max: 80 },
    );
    let message = build(Some(Rtype::AXFR), &[soa(5), soa(5)]);
    let error = interpreter.message(&message, &mut Log::default()).unwrap_err();
    assert_eq!(error.to_string(), "more than 80 bytes (transfer.bytes_max)");
}

#[test]
fn no_bytes_panic() {
    let good =
        build(Some(Rtype::IXFR), &[soa(9), soa(5), a("www.zone.test", 1), soa(9), a("www.zone.test", 2), soa(9)]);
    for at in 0..good.len() {
        for flip in [0x01, 0x3f, 0x80, 0xc0, 0xff] {
            let mut message = good.clone();
            message[at] ^= flip;
            let _ = run(Rtype::IXFR, Some(5), &[message.clone()]);
            let _ = run(Rtype::IXFR, Some(5), &[message[..at].to_vec()]);
        }
    }
}
