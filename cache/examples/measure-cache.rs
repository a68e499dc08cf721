//! What the cache costs: a hit, an answer taken in, a denial made from NSEC records, a purge; and its memory.
//!
//! `cargo run --release -p cache --example measure-cache`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use cache::{Cache, CachedAnswer, TtlLimits};
use wire::{Class, Flags, Name, Rtype, Section, Writer};

const ZONE: u64 = 1;
const NAMES: usize = 100_000;
const FLOOD: usize = 3_000_000;
const ROUNDS: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (apex, now, limits) = ("example.com".parse::<Name>()?, Instant::now(), TtlLimits::default());
    let cache = Cache::new(256 << 20);
    let mut buffer = vec![0; 4096];
    let began = cpu_ns();
    let mut names = Vec::with_capacity(NAMES);
    for number in 0..NAMES {
        names.push(take_in(&cache, &apex, number, &mut buffer, &limits, now)?);
    }
    report("answers taken in", NAMES, began);

    let order: Vec<Name> = (0..NAMES).map(|number| names[number * 7919 % NAMES]).collect();
    let began = cpu_ns();
    let mut found = 0;
    for _ in 0..ROUNDS {
        for qname in &order {
            let hit = cache.get(ZONE, qname.as_ref(), Rtype::A, now);
            found += usize::from(black_box(hit).is_some());
        }
    }
    report("hits", ROUNDS * NAMES, began);
    println!("  {found} found");

    let absent: Vec<Name> =
        (0..NAMES).map(|number| apex.prepend(format!("x{number}").as_bytes())).collect::<Result<_, _>>()?;
    let began = cpu_ns();
    for qname in &absent {
        black_box(cache.get(ZONE, qname.as_ref(), Rtype::A, now));
    }
    report("misses", NAMES, began);

    for number in 0..NAMES / 2 {
        learn(&cache, &apex, number, &mut buffer, &limits, now)?;
    }
    let began = cpu_ns();
    let mut made = 0;
    for qname in &absent {
        made += usize::from(cache.synthesise(ZONE, apex.as_ref(), qname.as_ref(), Rtype::A, now).is_some());
    }
    report("denials asked for", NAMES, began);
    println!("  {made} made from {} records", cache.stats().denials);

    let began = cpu_ns();
    println!("  {} purged", cache.purge(ZONE, names[5].as_ref(), false));
    report("purge of a name", 1, began);

    let before = resident_kb();
    let small = Cache::new(64 << 20);
    for number in 0..FLOOD {
        take_in(&small, &apex, number, &mut buffer, &limits, now)?;
    }
    println!("{FLOOD} names through 64 MiB: {:?}, {} kB resident", small.stats(), resident_kb() - before);
    Ok(())
}

/// Nanoseconds of a processor that this thread has had: what others do on the machine counts less than in elapsed time.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn report(what: &str, number: usize, began_ns: u64) {
    let elapsed_ns = cpu_ns() - began_ns;
    println!("{number} {what}: {} ms, {} ns each", elapsed_ns / 1_000_000, elapsed_ns / number as u64);
}

fn resident_kb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default().to_owned();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn take_in(
    cache: &Cache,
    apex: &Name,
    number: usize,
    buffer: &mut [u8],
    limits: &TtlLimits,
    now: Instant,
) -> Result<Name, Box<dyn std::error::Error>> {
    let qname = apex.prepend(format!("h{number:07}").as_bytes())?;
    let mut writer = Writer::new(buffer, 4096)?;
    writer.set_flags(Flags::default().with_qr(true).with_aa(true));
    writer.question(qname.as_ref(), Rtype::A, Class::IN)?;
    writer.record(Section::Answer, qname.as_ref(), Rtype::A, Class::IN, 3600, &[192, 0, 2, 1])?;
    let length = writer.finish();
    let response = &buffer[..length];
    let answer = CachedAnswer::from_response(apex.as_ref(), qname.as_ref(), Rtype::A, response, limits, now)?;
    let ticket = cache.ticket(ZONE);
    cache.insert(ZONE, qname.as_ref(), Rtype::A, Arc::new(answer), ticket);
    Ok(qname)
}

/// Teaches that there is nothing between `x` names that follow each other.
fn learn(
    cache: &Cache,
    apex: &Name,
    number: usize,
    buffer: &mut [u8],
    limits: &TtlLimits,
    now: Instant,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut writer = Writer::new(buffer, 4096)?;
    writer.set_flags(Flags::default().with_qr(true).with_aa(true));
    let qname = apex.prepend(b"q")?;
    writer.question(qname.as_ref(), Rtype::A, Class::IN)?;
    let mut soa = [apex.as_bytes(), apex.as_bytes()].concat();
    [1u32, 3600, 600, 86400, 3600].iter().for_each(|number| soa.extend_from_slice(&number.to_be_bytes()));
    let owner = apex.prepend(format!("x{}", 2 * number).as_bytes())?.prepend(b"a")?;
    let next = apex.prepend(format!("x{}~", 2 * number + 1).as_bytes())?;
    let spans = [(*apex, apex.prepend(b"0")?), (owner, next)];
    writer.record(Section::Authority, apex.as_ref(), Rtype::SOA, Class::IN, 3600, &soa)?;
    sign(&mut writer, apex, apex, Rtype::SOA)?;
    for (owner, next) in &spans {
        let rdata = [next.as_bytes(), &[0, 6, 0x40, 0, 0, 0, 0, 3]].concat();
        writer.record(Section::Authority, owner.as_ref(), Rtype::NSEC, Class::IN, 3600, &rdata)?;
        sign(&mut writer, apex, owner, Rtype::NSEC)?;
    }
    let length = writer.finish();
    let ticket = cache.ticket(ZONE);
    cache.learn_denial(ZONE, apex.as_ref(), &buffer[..length], limits, now, ticket);
    Ok(())
}

fn sign(writer: &mut Writer<'_>, apex: &Name, owner: &Name, covered: Rtype) -> Result<(), wire::Full> {
    let head = [&covered.0.to_be_bytes()[..], &[13, owner.as_ref().label_count() as u8], &[0; 14]].concat();
    let rdata = [&head, apex.as_bytes(), &[7; 64]].concat();
    writer.record(Section::Authority, owner.as_ref(), Rtype::RRSIG, Class::IN, 3600, &rdata)
}
