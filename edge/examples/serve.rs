//! Answers for a zone of 100,000 names that it makes up, to measure and profile the lanes:
//! `cargo run --release -p edge --example serve -- 127.0.0.1:5300`; the names are `h00000.example.com` and so on, with
//! an A record each. Ends with the process.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use edge::{Edge, EdgeContext, NotifyHandler, NotifyOutcome, Settings, bind};
use wire::{Name, Rtype};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

const NAMES: u32 = 100_000;
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
    let sockets = bind(&listen, 1)?;
    let zones = Arc::new(Zones::new());
    zones.insert(&make_zone()?);
    let (publisher, _health) = health::channel("edge", HEALTH_LIFETIME, Instant::now());
    let context = EdgeContext {
        zones,
        settings: Arc::new(ArcSwap::from_pointee(Settings::default())),
        notify: Arc::new(NoNotify),
        health: publisher,
    };
    let edge = Edge::start(sockets, context)?;
    loop {
        thread::sleep(STATS_INTERVAL);
        eprintln!("{:?}", edge.stats());
    }
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
