//! Responses written by hand, and what becomes of them.

use std::time::Instant;

use wire::{Class, Flags, Name, Rcode, Rtype, Section, Writer};

use crate::{CachedAnswer, TtlLimits, Unfit};

mod classify;
mod store;

/// Numbers that look random and are the same in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A response from text. The first line is `NAME TYPE` and then any of `aa`, `tc` and a response code; each further line
/// is a section (`=` answer, `!` authority, `+` additional), owner, TTL, type and RDATA (see [`rdata`]).
pub(crate) fn response(text: &str) -> Vec<u8> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut words = lines.next().unwrap().split_whitespace();
    let (qname, qtype) = (name(words.next().unwrap()), words.next().unwrap().parse::<Rtype>().unwrap());
    let mut flags = Flags::default().with_qr(true);
    for word in words {
        flags = match word {
            "aa" => flags.with_aa(true),
            "tc" => flags.with_tc(true),
            "query" => flags.with_qr(false),
            rcode => flags.with_rcode(rcode.parse::<Rcode>().unwrap()),
        };
    }
    let mut buffer = vec![0; 65_535];
    let mut writer = Writer::new(&mut buffer, 65_535).unwrap();
    writer.set_flags(flags);
    writer.question(qname.as_ref(), qtype, Class::IN).unwrap();
    for line in lines {
        let mut words = line.split_whitespace();
        let section = match words.next().unwrap() {
            "=" => Section::Answer,
            "!" => Section::Authority,
            "+" => Section::Additional,
            other => panic!("{other}"),
        };
        let owner = name(words.next().unwrap());
        let ttl: u32 = words.next().unwrap().parse().unwrap();
        let rtype: Rtype = words.next().unwrap().parse().unwrap();
        let rdata = rdata(rtype, &words.collect::<Vec<_>>());
        writer.record(section, owner.as_ref(), rtype, Class::IN, ttl, &rdata).unwrap();
    }
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

/// RDATA from words: addresses, names, `SOA MINIMUM`, `NSEC NEXT TYPE…`, `RRSIG COVERED LABELS SIGNER`, text.
fn rdata(rtype: Rtype, words: &[&str]) -> Vec<u8> {
    let name_at = |index: usize| name(words[index]).as_bytes().to_vec();
    match rtype {
        Rtype::A => words[0].parse::<std::net::Ipv4Addr>().unwrap().octets().to_vec(),
        Rtype::AAAA => words[0].parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec(),
        Rtype::NS | Rtype::CNAME | Rtype::DNAME | Rtype::PTR => name_at(0),
        Rtype::MX => [&words[0].parse::<u16>().unwrap().to_be_bytes()[..], &name_at(1)].concat(),
        Rtype::SOA => {
            let mut soa = [name("ns.invalid").as_bytes(), name("host.invalid").as_bytes()].concat();
            let numbers = [1, 3600, 600, 86_400, words[0].parse().unwrap()];
            numbers.iter().for_each(|number: &u32| soa.extend_from_slice(&number.to_be_bytes()));
            soa
        }
        Rtype::NSEC => {
            let types: Vec<u16> = words[1..].iter().map(|text| text.parse::<Rtype>().unwrap().0).collect();
            [&name_at(0)[..], &bitmap(&types)].concat()
        }
        Rtype::RRSIG => {
            let mut sig = words[0].parse::<Rtype>().unwrap().0.to_be_bytes().to_vec();
            sig.extend_from_slice(&[13, words[1].parse().unwrap()]);
            sig.extend_from_slice(&[0, 0, 14, 16, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            sig.extend_from_slice(&name_at(2));
            sig.extend_from_slice(&[7; 64]);
            sig
        }
        Rtype::DS => [&[0, 1, 13, 2][..], &[9; 32]].concat(),
        Rtype::TXT => words.iter().flat_map(|word| [&[word.len() as u8], word.as_bytes()].concat()).collect(),
        other => panic!("{other}"),
    }
}

/// A type bit map (RFC 4034 §4.1.2).
fn bitmap(types: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for window in 0..=255u8 {
        let mut bits = [0u8; 32];
        for rtype in types.iter().filter(|rtype| rtype.to_be_bytes()[0] == window) {
            let low = rtype.to_be_bytes()[1];
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
        }
        let length = bits.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if length > 0 {
            bytes.extend_from_slice(&[window, length as u8]);
            bytes.extend_from_slice(&bits[..length]);
        }
    }
    bytes
}

/// An answer as text: a line for what it is, one for each RRset.
pub(crate) fn render(answer: &CachedAnswer) -> Vec<String> {
    let aa = if answer.is_authoritative() { " aa" } else { "" };
    let mut lines = vec![format!("{} {:?}{aa} {}", answer.rcode(), answer.kind(), answer.lifetime_s())];
    for rrset in answer.rrsets() {
        let section = match rrset.section {
            Section::Answer => '=',
            Section::Authority => '!',
            Section::Additional if rrset.is_required_glue => '#',
            Section::Additional => '+',
        };
        let (owner, count) = (rrset.owner(answer.qname()), rrset.rdatas().count());
        lines.push(format!("{section} {owner} {} {} {count}", rrset.ttl_s, rrset.rtype));
    }
    lines
}

/// Judges the response and compares what is kept, or why it is not, with the lines of `expected`.
pub(crate) fn check(apex: &str, text: &str, expected: &str) {
    let lines: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let judged = judge(apex, text, &TtlLimits::default(), Instant::now());
    let found = judged.map_or_else(|unfit| vec![unfit.to_string()], |answer| render(&answer));
    assert_eq!(found, lines, "\n{text}");
}

pub(crate) fn judge(apex: &str, text: &str, limits: &TtlLimits, now: Instant) -> Result<CachedAnswer, Unfit> {
    let question = text.trim().lines().next().unwrap();
    let mut words = question.split_whitespace();
    let (qname, qtype) = (name(words.next().unwrap()), words.next().unwrap().parse().unwrap());
    CachedAnswer::from_response(name(apex).as_ref(), qname.as_ref(), qtype, &response(text), limits, now)
}
