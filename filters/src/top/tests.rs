//! Samples of known sums, and what is said of them.

use super::*;
use crate::SampledName;

const SECOND: u64 = 1_000_000;

fn sample(at_us: u64, source: &str, qname: &str, verdict: Verdict, weight: u32) -> Sample {
    let name: wire::Name = qname.parse().unwrap();
    let filter = match verdict {
        Verdict::Serve => None,
        Verdict::Slip(filter) | Verdict::Drop(filter) => Some(filter),
    };
    Sample {
        at: Now::from_us(at_us),
        source: source.parse().unwrap(),
        zone: Some(ZoneNumber(1)),
        qname: Some(SampledName::new(name.as_ref())),
        qtype: Some(Rtype::A),
        verdict,
        filter,
        penalty: 0,
        weight,
    }
}

fn top() -> Top {
    Top::new(24, 56)
}

#[test]
fn rates_are_exact_while_there_are_few() {
    let mut top = top();
    let drop = Verdict::Drop(Filter::Client);
    // Ten seconds: 100/s of one that is dropped, 10/s of another that is served.
    for tick in 0..100 {
        let at = 100 * SECOND + tick * SECOND / 10;
        top.add(&sample(at, "192.0.2.66", "www.Example.com", drop, 10));
        top.add(&sample(at, "2001:db8::1", "mail.example.com", Verdict::Serve, 1));
    }
    let table = top.table(Now::from_us(110 * SECOND), 10);
    let first = &table.sources[0];
    assert_eq!(first.key, "192.0.2.66".parse::<IpAddr>().unwrap());
    assert_eq!((first.rates.per_s, first.rates.dropped_per_s, first.rates.minute_per_s), (100.0, 100.0, 100.0));
    assert_eq!(first.reason, Some(Filter::Client));
    assert_eq!(table.sources[1].rates.served_per_s, 10.0);
    assert_eq!(table.sources[1].reason, None);
    assert_eq!((table.all.per_s, table.all.served_per_s, table.all.slipped_per_s), (110.0, 10.0, 0.0));
    let names: Vec<_> = table.names.iter().map(|row| row.key.to_string()).collect();
    assert_eq!(names, ["www.example.com.", "mail.example.com."]);
    let prefixes: Vec<_> = table.prefixes.iter().map(|row| row.key.to_string()).collect();
    assert_eq!(prefixes, ["192.0.2.0/24", "2001:db8::/56"]);
    assert_eq!(table.zones[0].key, ZoneNumber(1));
    assert_eq!(table.types[0].key, Rtype::A);
    assert_eq!(table.reasons[0].key, (Filter::Client, Outcome::Dropped));
    assert_eq!(table.reasons[0].rates.per_s, 100.0);
}

#[test]
fn what_is_a_minute_old_is_forgotten() {
    let mut top = top();
    top.add(&sample(10 * SECOND, "192.0.2.1", "a.example.com", Verdict::Serve, 600));
    let soon = top.table(Now::from_us(11 * SECOND), 10);
    assert_eq!(soon.sources[0].rates.per_s, 600.0);
    let later = top.table(Now::from_us(40 * SECOND), 10);
    assert_eq!((later.sources[0].rates.per_s, later.sources[0].rates.minute_per_s), (0.0, 20.0));
    assert_eq!(top.table(Now::from_us(72 * SECOND), 10), Table::default());
    assert_eq!(top.slots.len(), 0);
}

#[test]
fn the_attacked_suffix_is_named_and_not_those_above_it() {
    let mut top = top();
    for number in 0..20_000u64 {
        let qname = format!("r{number}.shop.example.com");
        let source = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number as u32)).to_string();
        let verdict =
            if number % 2 == 0 { Verdict::Drop(Filter::RandomName) } else { Verdict::Slip(Filter::RandomName) };
        top.add(&sample(number * 100, &source, &qname, verdict, 1));
    }
    for number in 0..500 {
        top.add(&sample(number * 4000, "192.0.2.7", "www.example.com", Verdict::Serve, 1));
    }
    let table = top.table(Now::from_us(2 * SECOND), 3);
    assert_eq!(table.suffixes.len(), 1, "{:?}", table.suffixes);
    assert_eq!(table.suffixes[0].key.to_string(), "shop.example.com.");
    assert_eq!(table.suffixes[0].rates.per_s, 10_000.0);
    assert_eq!(table.suffixes[0].reason, Some(Filter::RandomName));
    assert_eq!((table.suffixes[0].rates.slipped_per_s, table.suffixes[0].rates.dropped_per_s), (5000.0, 5000.0));
    // Among twenty thousand random sources and names, those that are asked again are found.
    assert_eq!(table.sources[0].key, "192.0.2.7".parse::<IpAddr>().unwrap());
    assert_eq!(table.sources[0].rates.per_s, 250.0);
    assert!(table.sources[1].rates.per_s <= 1.0, "{:?}", table.sources[1]);
    assert_eq!(table.names[0].key.to_string(), "www.example.com.");
    assert_eq!(table.names[0].rates.per_s, 250.0);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut top = top();
    for number in 0..200_000u64 {
        let source = IpAddr::V6(std::net::Ipv6Addr::from_bits(u128::from(number) << 64 | 1)).to_string();
        top.add(&sample(number * 1000, &source, &format!("a.b{number}.c.example.com"), Verdict::Serve, 1));
    }
    assert_eq!(top.slots.len(), SLOTS_MAX);
    for slot in &top.slots {
        for keys in [slot.sources.iter().count(), slot.names.iter().count(), slot.suffixes.iter().count()] {
            assert!((100..=summary::KEYS_MAX).contains(&keys), "{keys}");
        }
    }
    // Samples that come too late are left out, and do no harm.
    top.add(&sample(0, "192.0.2.1", "late.example.com", Verdict::Serve, 1));
    assert_eq!(top.slots.len(), SLOTS_MAX);
    // One of a time to come, as after a jump, pushes the oldest out.
    top.add(&sample(1_000 * SECOND, "192.0.2.1", "early.example.com", Verdict::Serve, 1));
    assert_eq!(top.slots.len(), SLOTS_MAX);
    assert_eq!(top.slots.back().map(|slot| slot.sources.iter().count()), Some(1));
}

#[test]
fn samples_out_of_turn_find_their_slot() {
    let mut top = top();
    for at_s in [9, 3, 7, 5, 3, 9] {
        top.add(&sample(at_s * SECOND, "192.0.2.1", "a.example.com", Verdict::Serve, 1));
    }
    let numbers: Vec<_> = top.slots.iter().map(|slot| slot.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}
