//! Prints what a zone costs: records built a second, bytes a record, nanoseconds a look-up, a change, a load.
//!
//! Times are of the processor, not the clock, so that other work on the machine disturbs them less.
//!
//! `cargo run --release -p zones --example measure-zones [RECORDS]`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use wire::{Name, NameRef, Rtype};
use zones::{Answer, Difference, Limits, Zone, ZoneBuilder, ZoneSlot, Zones};

const LOOKUPS: u32 = 500_000;
/// Names made at a time, outside the timing.
const BATCH: u32 = 1000;

fn main() {
    let records: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let empty_kib = resident_kib();
    let zone = build(records, |index| index);
    let resident_kib = resident_kib() - empty_kib;
    println!(
        "memory    {:.1} bytes a record in pages, {:.1} resident",
        zone.heap_bytes() as f64 / f64::from(records),
        resident_kib as f64 * 1024.0 / f64::from(records)
    );
    find(&zone, records);
    apply(&zone, records);
    snapshot(&zone);
    view();
    drop(zone);
    println!("peak      {} KiB resident", peak_kib());
    // The same records in the worst order: nothing can be streamed.
    let step = 7_919;
    let shuffled = build(records, |index| ((u64::from(index) * step) % u64::from(records)) as u32);
    println!("shuffled  peak {} KiB resident, {} bytes in pages", peak_kib(), shuffled.heap_bytes());
}

fn owner(index: u32) -> Name {
    format!("h{index:07}.example.").parse().expect("a name")
}

fn soa(serial: u32) -> Vec<u8> {
    let mut rdata = b"\x02ns\x07example\0\x04root\x07example\0".to_vec();
    for number in [serial, 3600, 600, 86_400, 300] {
        rdata.extend_from_slice(&number.to_be_bytes());
    }
    rdata
}

fn build(records: u32, place: impl Fn(u32) -> u32) -> Zone {
    let apex: Name = "example.".parse().expect("a name");
    // Names are made beforehand in batches, so that only the builder is timed.
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    builder.add(apex.as_ref(), Rtype::SOA, 3600, &soa(1)).expect("SOA");
    builder.add(apex.as_ref(), Rtype::NS, 3600, b"\x02ns\x07example\0").expect("NS");
    let mut spent = Duration::ZERO;
    for start in (0..records).step_by(BATCH as usize) {
        let batch: Vec<(Name, u32)> =
            (start..(start + BATCH).min(records)).map(|i| (owner(place(i)), place(i))).collect();
        let begun = Spent::start();
        for (name, index) in &batch {
            builder.add(name.as_ref(), Rtype::A, 3600, &(0x0a00_0000 | index).to_be_bytes()).expect("A");
        }
        spent += begun.elapsed();
    }
    let begun = Spent::start();
    let zone = builder.finish().expect("a zone");
    spent += begun.elapsed();
    println!("build     {:.2} M records/s", zone.record_count() as f64 / spent.as_secs_f64() / 1e6);
    zone
}

fn find(zone: &Zone, records: u32) {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(records)) as u32
    };
    // Names stand one after the other, so that reading them costs the cache nothing: a server has them at hand.
    let mut names = |suffix: &str| -> Vec<u8> {
        let name = |index: u32| format!("h{index:07}{suffix}.example.").parse::<Name>().expect("a name");
        (0..LOOKUPS).flat_map(|_| name(random()).as_bytes().to_vec()).collect()
    };
    for (case, names) in [("present", names("")), ("absent", names("x"))] {
        for dnssec_ok in [false, true] {
            let begun = Spent::start();
            let mut rest = names.as_slice();
            while let Ok(name) = NameRef::parse(rest) {
                let mut answer = Answer::new();
                black_box(zone.find(name, Rtype::A, dnssec_ok, &mut answer));
                black_box(&answer);
                rest = &rest[name.as_bytes().len()..];
            }
            let ns = begun.elapsed().as_nanos() as f64 / f64::from(LOOKUPS);
            println!("find      {ns:.0} ns, names {case}, dnssec_ok {dnssec_ok}");
        }
    }
}

fn apply(zone: &Zone, records: u32) {
    const CHANGES: u32 = 2000;
    let apex = zone.apex().to_owned();
    let begun = Spent::start();
    let mut current = zone.clone();
    for change in 0..CHANGES {
        let index = (u64::from(change) * 7_919 % u64::from(records)) as u32;
        let mut difference = Difference::new();
        difference.delete(apex.as_ref(), Rtype::SOA, 3600, &soa(1 + change)).expect("SOA");
        difference.delete(owner(index).as_ref(), Rtype::A, 3600, &(0x0a00_0000 | index).to_be_bytes()).expect("A");
        difference.add(apex.as_ref(), Rtype::SOA, 3600, &soa(2 + change)).expect("SOA");
        difference.add(owner(index).as_ref(), Rtype::A, 3600, &[192, 0, 2, 1]).expect("A");
        current = current.apply(&difference).expect("applies");
    }
    println!("apply     {:.1} µs a difference of one record", begun.elapsed().as_secs_f64() * 1e6 / f64::from(CHANGES));
}

fn snapshot(zone: &Zone) {
    let mut bytes = Vec::with_capacity(zone.heap_bytes() + 1_000_000);
    let begun = Spent::start();
    zone.write_to(&mut bytes).expect("writes");
    println!("write     {:.1} ms, {} bytes", begun.elapsed().as_secs_f64() * 1e3, bytes.len());
    let begun = Spent::start();
    let read = Zone::read_from(&bytes).expect("reads");
    println!("read      {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    assert_eq!(read.record_count(), zone.record_count());
}

fn view() {
    const ZONES: u32 = 10_000;
    let name = |index: u32| format!("zone{index:05}.example.").parse::<Name>().expect("a name");
    let zones = Zones::new();
    zones.replace((0..ZONES).map(|index| Arc::new(ZoneSlot::new(name(index)))).collect());
    let qnames: Vec<Name> = (0..ZONES).map(|i| name(i * 7_919 % ZONES).prepend(b"www").expect("fits")).collect();
    let begun = Spent::start();
    for _ in 0..20 {
        for qname in &qnames {
            black_box(zones.load().find(qname.as_ref(), Rtype::A).expect("found").state());
        }
    }
    println!("view      {:.0} ns among {ZONES} zones", begun.elapsed().as_nanos() as f64 / f64::from(20 * ZONES));
}

/// Processor time of this process, which has one thread.
struct Spent(Duration);

impl Spent {
    fn start() -> Spent {
        Spent(Spent::total())
    }

    fn elapsed(&self) -> Duration {
        Spent::total() - self.0
    }

    fn total() -> Duration {
        let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
        Duration::from_nanos(text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
    }
}

fn status_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn resident_kib() -> u64 {
    status_kib("VmRSS")
}

fn peak_kib() -> u64 {
    status_kib("VmHWM")
}
