//! A message to the line of both lanes, with every option on. Whatever it is: no panic, nothing longer than allowed, a
//! well-formed response with the same id if there is one at all, and none to a response.
#![no_main]

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use config::{DefenceMode, Defences};
use edge::{
    Counters, NotifyHandler, NotifyOutcome, Settings, Transport,
    line::{Client, Context, respond},
};
use filters::Filters;
use libfuzzer_sys::fuzz_target;
use wire::{Message, Name, Rtype};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

struct Refuse;

impl NotifyHandler for Refuse {
    fn handle(&self, _: &[u8], _: SocketAddr, _: &mut [u8]) -> NotifyOutcome {
        NotifyOutcome::Refuse
    }
}

static ZONES: LazyLock<Zones> = LazyLock::new(|| {
    let apex: Name = "a".parse().unwrap();
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let soa = b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01";
    builder.add(apex.as_ref(), Rtype::SOA, 60, soa).unwrap();
    for (label, rtype, rdata) in [
        (&b"*"[..], Rtype::A, &b"\x01\x02\x03\x04"[..]),
        (b"b", Rtype::CNAME, b"\x01c\x01a\0"),
        (b"c", Rtype::MX, b"\0\x01\x01b\x01a\0"),
        (b"d", Rtype::DNAME, b"\x01c\x01a\0"),
        (b"e", Rtype::NS, b"\x01n\x01e\x01a\0"),
        (b"t", Rtype::TXT, &[0xff; 256]),
    ] {
        builder.add(apex.prepend(label).unwrap().as_ref(), rtype, 60, rdata).unwrap();
    }
    let zones = Zones::new();
    let slot = ZoneSlot::new(apex);
    slot.publish(ZoneState::Serving(builder.finish().unwrap().into()));
    zones.insert(&slot.into());
    zones
});

thread_local! {
    /// All filters look at each message, and none does anything: what may be answered is.
    static LANE: filters::Lane = {
        let defences = Defences { mode: DefenceMode::Observe, ..Defences::default() };
        Arc::new(Filters::new(&defences, [1, 2])).lane()
    };
}

fuzz_target!(|message: &[u8]| {
    let settings = Settings {
        nsid: Some(vec![1; 64]),
        id_server: Some("x".repeat(255)),
        version_bind: Some("1".to_owned()),
        cookie_secrets: vec![[1; 16], [2; 16]],
        ..Settings::default()
    };
    LANE.with(|lane| respond_with(message, &settings, lane));
});

fn respond_with(message: &[u8], settings: &Settings, lane: &filters::Lane) {
    let (zones, counters) = (ZONES.load(), Counters::default());
    let gate = lane.gate(edge::filter_time());
    let context = Context {
        zones: &zones,
        settings,
        notify: &Refuse,
        transfers: None,
        on_demand: None,
        gate: &gate,
        promoter: None,
        counters: &counters,
        now_s: 1_559_731_985,
    };
    let mut out = vec![0; wire::MESSAGE_BYTES_MAX];
    for (transport, room) in [(Transport::Udp, 1232), (Transport::Tcp, wire::MESSAGE_BYTES_MAX), (Transport::Udp, 40)] {
        let client = Client { peer: "192.0.2.1:53".parse().unwrap(), transport, idle: Duration::from_secs(1) };
        let length = respond(message, &client, &context, &mut out[..room]);
        assert!(length <= room);
        assert_eq!(length > 0, message.len() >= 12 && message[2] & 0x80 == 0);
        if length > 0 {
            let answer = Message::parse(&out[..length]).unwrap();
            assert!(answer.header.flags.qr() && out[..2] == message[..2]);
            assert!(answer.records().all(|record| record.is_ok()));
        }
    }
}
