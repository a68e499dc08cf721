//! Answers for a zone of 100,000 names that it makes up: `h00000.example.com` and so on, with an A record each.
//!
//! `cargo run --release -p edge --example serve -- 127.0.0.1:5300` serves it, to measure the lanes, until it is ended.
//! Without an address it asks itself a million times, and tells what an answer costs without the network. `off`, `observe`
//! or `on` as the first argument says how far its defences go; without it they are on.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use config::{DefenceMode, Defences};
use edge::{
    Counters, Edge, EdgeContext, NotifyHandler, NotifyOutcome, Settings, Transport, bind,
    line::{Client, Context, respond},
};
use filters::{Filters, Now};
use wire::{Class, Name, Rtype, Writer};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

const NAMES: u32 = 100_000;
const ROUNDS: u32 = 10;
/// Messages that one view of zones, settings and filters holds for.
const BATCH: usize = 32;
const CLIENTS: u32 = 1000;
const HEALTH_LIFETIME: Duration = Duration::from_secs(3);
const STATS_INTERVAL: Duration = Duration::from_secs(10);

struct NoNotify;

impl NotifyHandler for NoNotify {
    fn handle(&self, _: &[u8], _: SocketAddr, _: &mut [u8]) -> NotifyOutcome {
        NotifyOutcome::Refuse
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = DefenceMode::ALL.into_iter().find(|mode| arguments.first().is_some_and(|text| text == mode.as_str()));
    if mode.is_some() {
        arguments.remove(0);
    }
    let defences = Defences { mode: mode.unwrap_or_default(), ..Defences::default() };
    let filters = Arc::new(Filters::new(&defences, [1, 2]));
    let listen: Vec<SocketAddr> = arguments.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let zones = Arc::new(Zones::new());
    zones.insert(&make_zone()?);
    if listen.is_empty() {
        return ask_itself(&zones, &filters);
    }
    let sockets = bind(&listen, 1)?;
    let (publisher, _health) = health::channel("edge", HEALTH_LIFETIME, Instant::now());
    let context = EdgeContext {
        zones,
        settings: Arc::new(ArcSwap::from_pointee(Settings::default())),
        notify: Arc::new(NoNotify),
        transfers: None,
        on_demand: None,
        filters,
        answers: None,
        deaths: None,
        health: publisher,
        kernel: None,
    };
    let edge = Edge::start(sockets, context)?;
    loop {
        thread::sleep(STATS_INTERVAL);
        eprintln!("{:?}", edge.stats());
    }
}

fn ask_itself(zones: &Zones, filters: &Arc<Filters>) -> Result<(), Box<dyn std::error::Error>> {
    let (zones, settings, counters) = (zones.load(), Settings::default(), Counters::default());
    let lane = filters.lane();
    let queries =
        (0..NAMES).map(|number| make_query(number.wrapping_mul(7919) % NAMES)).collect::<Result<Vec<_>, _>>()?;
    let mut out = [0; 1232];
    let began = Instant::now();
    let mut bytes = 0;
    let mut now_us = 3_600_000_000;
    for (number, batch) in (0..ROUNDS).flat_map(|_| queries.chunks(BATCH)).enumerate() {
        // A thousand clients, one after the other, of 20 queries a second each.
        now_us += 50 * BATCH as u64;
        let gate = lane.gate(Now::from_us(now_us));
        let context = Context {
            zones: &zones,
            settings: &settings,
            notify: &NoNotify,
            transfers: None,
            on_demand: None,
            gate: &gate,
            promoter: None,
            counters: &counters,
            now_s: 0,
        };
        for (place, query) in batch.iter().enumerate() {
            let client = (number * BATCH + place) as u32 % CLIENTS;
            let [_, _, high, low] = client.to_be_bytes();
            let peer = SocketAddr::from(([100, 64 + high, low, high ^ 0x55], 1053));
            let client = Client { peer, transport: Transport::Udp, idle: Duration::ZERO };
            bytes += respond(query, &client, &context, &mut out);
        }
    }
    let answers = ROUNDS * NAMES;
    let ns = began.elapsed().as_nanos() / u128::from(answers);
    println!("{answers} answers of {} bytes each, {ns} ns each", bytes / answers as usize);
    Ok(())
}

fn make_query(number: u32) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let name: Name = format!("h{number:05}.example.com").parse()?;
    let mut query = vec![0; 512];
    let mut writer = Writer::new(&mut query, 512)?;
    writer.question(name.as_ref(), Rtype::A, Class::IN)?;
    let length = writer.finish();
    query.truncate(length);
    Ok(query)
}

fn make_zone() -> Result<Arc<ZoneSlot>, Box<dyn std::error::Error>> {
    let apex: Name = "example.com".parse()?;
    let host: Name = "ns1.example.com".parse()?;
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let mut soa = [host.as_bytes(), host.as_bytes()].concat();
    [1u32, 3600, 600, 86400, 300].iter().for_each(|number| soa.extend_from_slice(&number.to_be_bytes()));
    builder.add(apex.as_ref(), Rtype::SOA, 3600, &soa)?;
    builder.add(apex.as_ref(), Rtype::NS, 3600, host.as_bytes())?;
    builder.add(host.as_ref(), Rtype::A, 3600, &[192, 0, 2, 1])?;
    for number in 0..NAMES {
        let owner = apex.prepend(format!("h{number:05}").as_bytes())?;
        let [_, b, c, d] = number.to_be_bytes();
        builder.add(owner.as_ref(), Rtype::A, 3600, &[10, b, c, d])?;
    }
    let slot = Arc::new(ZoneSlot::new(apex));
    slot.publish(ZoneState::Serving(Arc::new(builder.finish()?)));
    Ok(slot)
}
