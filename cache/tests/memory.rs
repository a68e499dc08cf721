//! Memory stays within its bound, whatever is asked for: measured as the operating system sees it. It stands alone in its
//! program, so that no other test's memory is seen.

use std::sync::Arc;
use std::time::Instant;

use cache::{Cache, CachedAnswer, TtlLimits};
use wire::{Class, Flags, Name, Rcode, Rtype, Section, Writer};

const BYTES_MAX: u64 = 24 << 20;
const NAMES: u64 = 400_000;

/// Bytes of memory that this program takes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

/// Answers of very different sizes: addresses, texts, and names that are not there.
fn make_response(number: u64, buffer: &mut [u8]) -> (Name, Rtype, usize) {
    let apex: Name = "example.com".parse().unwrap();
    let label = format!("{:x}-{number:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let qname = apex.prepend(label.as_bytes()).unwrap();
    let qtype = if number.is_multiple_of(8) { Rtype::TXT } else { Rtype::A };
    let mut writer = Writer::new(buffer, 65_535).unwrap();
    let rcode = if number % 8 == 1 { Rcode::NXDOMAIN } else { Rcode::NOERROR };
    writer.set_flags(Flags::default().with_qr(true).with_aa(true).with_rcode(rcode));
    writer.question(qname.as_ref(), qtype, Class::IN).unwrap();
    match number % 8 {
        0 => {
            let text = [&[200][..], &[b'x'; 200]].concat();
            for _ in 0..number % 64 / 8 {
                writer.record(Section::Answer, qname.as_ref(), qtype, Class::IN, 300, &text).unwrap();
            }
            writer.record(Section::Answer, qname.as_ref(), qtype, Class::IN, 300, &text).unwrap();
        }
        1 => {
            let mut soa = [apex.as_bytes(), apex.as_bytes()].concat();
            [1u32, 3600, 600, 86400, 300].iter().for_each(|number| soa.extend_from_slice(&number.to_be_bytes()));
            writer.record(Section::Authority, apex.as_ref(), Rtype::SOA, Class::IN, 300, &soa).unwrap();
        }
        _ => writer.record(Section::Answer, qname.as_ref(), qtype, Class::IN, 300, &[192, 0, 2, 1]).unwrap(),
    }
    (qname, qtype, writer.finish())
}

#[test]
fn many_names_take_no_more_than_they_may() {
    let (now, limits, apex) = (Instant::now(), TtlLimits::default(), "example.com".parse::<Name>().unwrap());
    let mut buffer = vec![0; 65_535];
    make_response(0, &mut buffer);
    let before = resident_bytes();
    let cache = Cache::new(BYTES_MAX);
    let mut most = 0;
    for number in 0..NAMES {
        let (qname, qtype, length) = make_response(number, &mut buffer);
        let (apex, qname) = (apex.as_ref(), qname.as_ref());
        let answer = CachedAnswer::from_response(apex, qname, qtype, &buffer[..length], &limits, now).unwrap();
        let ticket = cache.ticket(1);
        cache.insert(1, qname, qtype, Arc::new(answer), ticket);
        if number.is_multiple_of(1000) {
            let stats = cache.stats();
            assert!(stats.bytes <= stats.bytes_max, "{stats:?}");
            most = most.max(resident_bytes().saturating_sub(before));
        }
    }
    assert!(cache.stats().entries > 20_000, "{:?}", cache.stats());
    assert!(most <= BYTES_MAX, "{most} bytes for {:?}", cache.stats());
    println!("{most} bytes at most for {:?}", cache.stats());
}
