//! What the kernel lane costs the lanes: nothing is allocated on the way of a query, whether its answer is promoted, is there
//! already or has no place.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64},
    },
    time::Duration,
};

use config::Defences;
use edge::{
    Counters, Settings, Transport,
    kernel::{Answers, layout as l},
    line::{Client, Context, Promoter, respond},
};
use filters::{Filters, Now};
use support::NoNotify;
use wire::{Class, Name, Rtype, Writer};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

const NAMES: u64 = 3000;
const SETS: usize = 64;

fn words(number: usize) -> &'static [AtomicU64] {
    Box::leak((0..number).map(|_| AtomicU64::new(0)).collect())
}

fn example_com() -> zones::Zone {
    let name = |text: &str| text.parse::<Name>().unwrap();
    let mut builder = ZoneBuilder::new(name("example.com"), Limits::NONE);
    let mut soa = [name("ns.example.com").as_bytes(), name("host.example.com").as_bytes()].concat();
    soa.extend([7u32, 3600, 600, 86_400, 300].iter().flat_map(|number| number.to_be_bytes()));
    builder.add(name("example.com").as_ref(), Rtype::SOA, 3600, &soa).unwrap();
    builder.add(name("example.com").as_ref(), Rtype::NS, 3600, name("ns.example.com").as_bytes()).unwrap();
    for number in 0..NAMES {
        let host = name(&format!("host{number}.example.com"));
        builder.add(host.as_ref(), Rtype::A, 60, &(number as u32).to_be_bytes()).unwrap();
    }
    builder.finish().unwrap()
}

/// A query for the addresses of a name, with EDNS.
fn message(qname: &str) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.question(qname.parse::<Name>().unwrap().as_ref(), Rtype::A, Class::IN).unwrap();
    writer.opt(1232, 0, 0, true, |_| Ok(())).unwrap();
    let length = writer.finish();
    buffer[..length].to_vec()
}

#[test]
fn nothing_is_allocated_where_answers_are_promoted() {
    let generations = words(l::GENERATIONS);
    let slots = words(SETS * l::WAYS * l::SLOT_BYTES / 8);
    let tags = Box::leak((0..SETS * l::WAYS).map(|_| AtomicU16::new(0)).collect());
    let answers = Answers::new(tags, slots, words(SETS * l::WAYS * l::TEXT_BYTES / 8), generations);
    let zones = Zones::with_generations(generations);
    let slot = Arc::new(ZoneSlot::new("example.com".parse().unwrap()));
    slot.publish(ZoneState::Serving(Arc::new(example_com())));
    zones.insert(&slot);
    let filters = Arc::new(Filters::new(&Defences::default(), [1, 2]));
    let (lane, settings, counters) = (filters.lane(), Settings::default(), Counters::default());
    // Every third does not exist.
    let host = |number: u64| if number.is_multiple_of(3) { format!("no{number}") } else { format!("host{number}") };
    let messages: Vec<_> = (0..NAMES).map(|number| message(&format!("{}.example.com", host(number)))).collect();
    let mut out = [0; 1232];
    let mut held = Vec::new();
    for round in 0..3u64 {
        let allocated = allocation_counter::measure(|| {
            for (number, message) in messages.iter().enumerate() {
                let source = [198, 51, (number >> 8) as u8, number as u8];
                let client = Client { peer: (source, 1053).into(), transport: Transport::Udp, idle: Duration::ZERO };
                let now = Now::from_us(86_400_000_000 + round * 1_000_000 + number as u64 * 100);
                let (epoch, table) = (zones.epoch(), zones.load());
                let context = Context {
                    zones: &table,
                    settings: &settings,
                    notify: &NoNotify,
                    transfers: None,
                    on_demand: None,
                    gate: &lane.gate(now),
                    promoter: Some(Promoter { answers: &answers, epoch, now, filter_time: &|_| now }),
                    counters: &counters,
                    now_s: 0,
                };
                respond(message, &client, &context, &mut out);
            }
        });
        assert_eq!(allocated.count_total, 0, "round {round}");
        held.push(answers.held());
    }
    // Two thousand do not find room in a table for five hundred.
    assert!(held[0] > SETS * l::WAYS * 9 / 10 && held[2] == answers.places(), "{held:?}");
}
