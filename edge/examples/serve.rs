//! Answers for a zone of 100,000 names that it makes up: `h00000.example.com` and so on, with an A record each.
//!
//! `cargo run --release -p edge --example serve -- 127.0.0.1:5300` serves it, to measure the lanes, until it is ended.
//! Without an address it asks itself a million times, and tells what an answer costs without the network.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use edge::{
    Counters, Edge, EdgeContext, NotifyHandler, NotifyOutcome, Settings, Transport, bind,
    line::{Client, Context, respond},
};
use wire::{Class, Name, Rtype, Writer};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

const NAMES: u32 = 100_000;
const ROUNDS: u32 = 10;
const HEALTH_LIFETIME: Duration = Duration::from_secs(3);
const STATS_INTERVAL: Duration = Duration::from_secs(10);

struct NoNotify;

impl NotifyHandler for NoNotify {
    fn handle(&self, _: &[u8], _: SocketAddr, _: &mut [u8]) -> NotifyOutcome {
        NotifyOutcome::Refuse
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen: Vec<SocketAddr> = std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let zones = Arc::new(Zones::new());
    zones.insert(&make_zone()?);
    if listen.is_empty() {
        return ask_itself(&zones);
    }
    let sockets = bind(&listen, 1)?;
    let (publisher, _health) = health::channel("edge", HEALTH_LIFETIME, Instant::now());
    let context = EdgeContext {
        zones,
        settings: Arc::new(ArcSwap::from_pointee(Settings::default())),
        notify: Arc::new(NoNotify),
        transfers: None,
        on_demand: None,
        filters: Arc::new(filters::Filters::new(&config::Defences::default(), [1, 2])),
        health: publisher,
    };
    let edge = Edge::start(sockets, context)?;
    loop {
        thread::sleep(STATS_INTERVAL);
        eprintln!("{:?}", edge.stats());
    }
}

fn ask_itself(zones: &Zones) -> Result<(), Box<dyn std::error::Error>> {
    let (zones, settings, counters) = (zones.load(), Settings::default(), Counters::default());
    let context = Context {
        zones: &zones,
        settings: &settings,
        notify: &NoNotify,
        transfers: None,
        on_demand: None,
        counters: &counters,
        now_s: 0,
    };
    let client = Client { peer: "192.0.2.1:1053".parse()?, transport: Transport::Udp, idle: Duration::ZERO };
    let queries =
        (0..NAMES).map(|number| make_query(number.wrapping_mul(7919) % NAMES)).collect::<Result<Vec<_>, _>>()?;
    let mut out = [0; 1232];
    let began = Instant::now();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        for query in &queries {
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
