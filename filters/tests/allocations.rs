//! A flood of random names from random sources, with all filters on: nothing is allocated on the way of a query, and no table
//! grows.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use config::Defences;
use filters::{Asked, Filters, Found, Hashes, Kind, Lane, Now, Proof, Verdict, View, ZoneNumber};
use wire::{Name, Rtype};

const BATCH: usize = 64;
const BATCHES: u64 = 2000;
const PER_S: u64 = 400_000;
const ZONE: ZoneNumber = ZoneNumber(1);

/// What became of the queries of a flood.
#[derive(Clone, Copy, Debug, Default)]
struct Became {
    served: u64,
    slipped: u64,
    dropped: u64,
}

fn random(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// The labels are made before anything is counted: making a name is not the filters' work.
fn names(apex: &Name) -> Vec<Name> {
    let label = |number: u64| format!("{:x}", random(number));
    (0..10_000).map(|number| apex.prepend(label(number).as_bytes()).expect("a name")).collect()
}

/// A flood, as a lane takes it: half of the names do not exist, a part of them has to be asked for at the origin.
fn flood(lane: &Lane, names: &[Name], apex: &Name, from_batch: u64) -> Became {
    let mut became = Became::default();
    for batch in from_batch..from_batch + BATCHES {
        let gate = lane.gate(Now::from_us(1_000_000 + batch * BATCH as u64 * 1_000_000 / PER_S));
        let mut views = [const { None }; BATCH];
        for (place, view) in views.iter_mut().enumerate() {
            let number = random(batch * BATCH as u64 + place as u64);
            // One of eight comes again and again.
            let source = if number.is_multiple_of(8) { number as u32 % 100 } else { number as u32 };
            let qname = &names[(number >> 20) as usize % names.len()];
            let asked = Some(Asked { qname: qname.as_ref(), qtype: Rtype::A });
            let source = IpAddr::V4(Ipv4Addr::from_bits(source));
            let proof = if number.is_multiple_of(97) { Proof::Cookie } else { Proof::None };
            gate.make_hashes(view.insert(View { source, proof, message: &[], asked, hashes: Hashes::default() }));
        }
        gate.touch_all(views.iter().flatten());
        for (place, view) in views.iter().flatten().enumerate() {
            let admission = gate.admit(view);
            let verdict = match (admission.verdict, place % 8) {
                (Verdict::Serve, 0) => gate.judge_miss(view, &admission, (ZONE, apex.as_ref())),
                (Verdict::Serve, _) => {
                    let kind = if place % 2 == 0 { Kind::Answer } else { Kind::NoName };
                    let zone = Some((ZONE, apex.as_ref()));
                    gate.judge(view, &admission, &Found { zone, kind, ttl_s: 60, cut: None, is_hit: false })
                }
                (verdict, _) => verdict,
            };
            match verdict {
                Verdict::Serve => became.served += 1,
                Verdict::Slip(_) => became.slipped += 1,
                Verdict::Drop(_) => became.dropped += 1,
            }
        }
    }
    became
}

#[test]
fn nothing_is_allocated_on_the_way_of_a_query() {
    let filters = Arc::new(Filters::new(&Defences { normal_per_s: Some(1000), ..Defences::default() }, [1, 2]));
    let lane = filters.lane();
    let apex: Name = "example.com".parse().expect("a name");
    let (names, bytes) = (names(&apex), filters.memory_bytes());
    // Defences arm meanwhile: that is told in an event, which is no query's way.
    let first = flood(&lane, &names, &apex, 0);
    filters.tick(Now::from_us(2_000_000));
    let mut then = Became::default();
    assert_eq!(allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1)))).count_total, 1);
    let counted = allocation_counter::measure(|| then = flood(&lane, &names, &apex, BATCHES));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert_eq!(filters.memory_bytes(), bytes);
    // Nor would a test say anything in which nobody is looked at.
    assert!(first.served > 0 && then.dropped > 10_000 && then.served + then.slipped > 100, "{first:?}, {then:?}");
}
