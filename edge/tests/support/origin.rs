//! Zones that are filled on demand, without anybody who asks: what an origin would say, and what its answers change.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cache::{CachedAnswer, TtlLimits, Watcher};
use config::{DefenceMode, Defences};
use edge::{
    Counters, Miss, MissHandler, Settings, Transport, Waiter, filter_time,
    line::{Client, Context, respond},
};
use filters::{Filters, Lane};
use wire::{Name, Rtype};
use zones::{Zone, ZoneSlot, ZoneState, Zones};

use super::{NoNotify, frames::query};

/// Nobody is asked.
pub(crate) struct NoMisses;

impl MissHandler for NoMisses {
    fn miss(&self, _: Miss, waiter: Waiter) {
        drop(waiter);
    }

    fn prefetch(&self, _: Miss) {}
}

/// What changes in the cache changes what the slot answers.
#[derive(Debug)]
pub(crate) struct SlotWatcher(pub(crate) Arc<ZoneSlot>);

impl Watcher for SlotWatcher {
    fn begin_change(&self) {
        self.0.begin_change();
    }

    fn end_change(&self) {
        self.0.end_change();
    }
}

/// What origins say.
pub(crate) struct Origin(Lane);

impl Origin {
    pub(crate) fn new() -> Origin {
        Origin(Arc::new(Filters::new(&Defences { mode: DefenceMode::Off, ..Defences::default() }, [1, 2])).lane())
    }

    /// What that of this zone says to a question with DO.
    pub(crate) fn response(&self, zone: &Arc<Zone>, question: &str) -> Vec<u8> {
        let (zones, settings, counters) = (Zones::new(), Settings::default(), Counters::default());
        let slot = Arc::new(ZoneSlot::new(zone.apex().to_owned()));
        slot.publish(ZoneState::Serving(Arc::clone(zone)));
        zones.insert(&slot);
        let peer = "192.0.2.1:1053".parse().unwrap();
        let client = Client { peer, transport: Transport::Tcp, idle: Duration::ZERO };
        let context = Context {
            zones: &zones.load(),
            settings: &settings,
            notify: &NoNotify,
            transfers: None,
            on_demand: None,
            gate: &self.0.gate(filter_time()),
            promoter: None,
            counters: &counters,
            now_s: 0,
        };
        let mut response = vec![0; 4096];
        let bytes = respond(&query(&format!("{question} do")), &client, &context, &mut response);
        response.truncate(bytes);
        response
    }

    /// The same, judged, as the cache keeps it.
    pub(crate) fn answer(&self, zone: &Arc<Zone>, question: &str, now: Instant) -> Arc<CachedAnswer> {
        let (qname, qtype) = question.split_once(' ').unwrap();
        let (qname, qtype): (Name, Rtype) = (qname.parse().unwrap(), qtype.parse().unwrap());
        let (response, limits) = (self.response(zone, question), TtlLimits::default());
        Arc::new(CachedAnswer::from_response(zone.apex(), qname.as_ref(), qtype, &response, &limits, now).unwrap())
    }
}
