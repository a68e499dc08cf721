//! One zone that is filled on demand: its limits, its upstreams, its counts. No I/O, no clock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::budget::Budget;

/// How long an upstream that is lame for a zone is asked only when there is no other.
pub(super) const LAME_FOR: Duration = Duration::from_secs(30);

/// An address of an origin, and the address that questions to it leave from, if that is fixed.
pub(crate) type Way = (SocketAddr, Option<IpAddr>);

/// What the configuration says of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) misses_per_s_max: u32,
    pub(crate) misses_in_flight_max: u32,
    pub(crate) clients_waiting_max: u32,
    /// How long a client waits before it is given a stale answer (RFC 8767 §5), or none.
    pub(crate) client_wait: Duration,
    /// How long an answer to one question is waited for.
    pub(crate) try_wait: Duration,
    pub(crate) ways: Vec<(Way, Transport)>,
}

/// How a question is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// As a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// One upstream of a zone.
#[derive(Clone, Debug)]
pub(crate) struct ZoneUpstream {
    pub(crate) way: Way,
    /// How it is asked at first.
    pub(crate) transport: Transport,
    pub(crate) lame_until: Option<Duration>,
    pub(crate) counts: UpstreamCounts,
}

/// What an upstream was asked for a zone, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UpstreamCounts {
    pub(crate) asked: u64,
    pub(crate) over_tcp: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) timeouts: u64,
    pub(crate) doubtful: u64,
}

/// What clients asked for, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ZoneCounts {
    pub(crate) misses: u64,
    pub(crate) coalesced: u64,
    pub(crate) over_budget: u64,
    pub(crate) failed: u64,
    pub(crate) stale: u64,
    pub(crate) prefetched: u64,
}

/// A zone.
#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) settings: Settings,
    pub(crate) budget: Budget,
    pub(crate) upstreams: Vec<ZoneUpstream>,
    /// Counts the configurations: an upstream's place is of one of them.
    pub(crate) epoch: u32,
    pub(crate) in_flight: u32,
    pub(crate) waiting: u32,
    pub(crate) counts: ZoneCounts,
}

impl Zone {
    pub(crate) fn new(settings: Settings) -> Zone {
        let budget = Budget::new(settings.misses_per_s_max);
        let upstreams = upstreams(&settings, &[]);
        Zone { settings, budget, upstreams, epoch: 0, in_flight: 0, waiting: 0, counts: ZoneCounts::default() }
    }

    /// Takes new settings; what is known of upstreams that stay is kept.
    pub(crate) fn configure(&mut self, settings: Settings) {
        self.budget.set_max(settings.misses_per_s_max);
        self.upstreams = upstreams(&settings, &self.upstreams);
        self.epoch += 1;
        self.settings = settings;
    }
}

fn upstreams(settings: &Settings, known: &[ZoneUpstream]) -> Vec<ZoneUpstream> {
    let upstream = |&(way, transport): &(Way, Transport)| {
        let known = known.iter().find(|known| known.way == way);
        let counts = known.map_or_else(UpstreamCounts::default, |known| known.counts);
        ZoneUpstream { way, transport, lame_until: known.and_then(|known| known.lame_until), counts }
    };
    settings.ways.iter().map(upstream).collect()
}
