//! Metrics of zones that are filled on demand: what their origins are asked, and how these answer. What clients get from
//! the cache is counted by the edge.

use std::fmt;

use origin_sync::{Health, OnDemandStatus, OnDemandUpstream, ZoneStatus};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// What is counted of the questions, and the label's value for it.
type Event = (&'static str, fn(&OnDemandStatus) -> u64);

const EVENTS: [Event; 7] = [
    ("miss", |status| status.misses_total),
    ("coalesced", |status| status.coalesced_total),
    ("over_budget", |status| status.over_budget_total),
    ("stale", |status| status.stale_total),
    ("failed", |status| status.failed_total),
    ("prefetch", |status| status.prefetched_total),
    ("denial_learnt", |status| status.denials_learnt_total),
];

/// All zones together, then each of those that have series of their own.
pub(super) fn encode(encoder: &mut DescriptorEncoder, zones: &[ZoneStatus], labelled: &[&ZoneStatus]) -> fmt::Result {
    let about = "Questions of all zones that are filled on demand, by what became of them";
    let mut family = encoder.encode_descriptor("on_demand_questions", about, None, MetricType::Counter)?;
    for (event, value) in EVENTS {
        let number = zones.iter().filter_map(|zone| zone.on_demand.as_ref()).map(value).sum::<u64>();
        ConstCounter::new(number).encode(family.encode_family(&[("event", event)])?)?;
    }
    let labelled: Vec<_> = labelled.iter().filter_map(|zone| Some((&zone.zone, zone.on_demand.as_ref()?))).collect();
    let about = "Questions of the zone, by what became of them";
    let mut family = encoder.encode_descriptor("zone_on_demand_questions", about, None, MetricType::Counter)?;
    for (zone, status) in &labelled {
        for (event, value) in EVENTS {
            let labels = [("zone", zone.as_str()), ("event", event)];
            ConstCounter::new(value(status)).encode(family.encode_family(&labels)?)?;
        }
    }
    encode_gauges(encoder, &labelled)?;
    let origins = |(zone, status): &(&String, &OnDemandStatus)| -> Vec<(String, OnDemandUpstream)> {
        status.upstreams.iter().map(|upstream| ((*zone).clone(), upstream.clone())).collect()
    };
    encode_origins(encoder, &labelled.iter().flat_map(origins).collect::<Vec<_>>())
}

/// A gauge of a zone: name, help, unit, value.
type Gauge = (&'static str, &'static str, Option<Unit>, fn(&OnDemandStatus) -> u64);

const GAUGES: [Gauge; 4] = [
    ("zone_on_demand_in_flight", "Questions to the zone's origins in flight", None, |status| {
        u64::from(status.in_flight)
    }),
    ("zone_on_demand_clients_waiting", "Clients that wait for the zone's origins", None, |status| {
        u64::from(status.clients_waiting)
    }),
    ("zone_cache_answers", "Answers of the zone in the cache", None, |status| status.cache_entries),
    ("zone_cache", "Bytes that they take", Some(Unit::Bytes), |status| status.cache_bytes),
];

fn encode_gauges(encoder: &mut DescriptorEncoder, zones: &[(&String, &OnDemandStatus)]) -> fmt::Result {
    for (name, about, unit, value) in GAUGES {
        let mut family = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Gauge)?;
        for (zone, status) in zones {
            let number = i64::try_from(value(status)).unwrap_or(i64::MAX);
            ConstGauge::new(number).encode(family.encode_family(&[("zone", zone.as_str())])?)?;
        }
    }
    Ok(())
}

fn encode_origins(encoder: &mut DescriptorEncoder, origins: &[(String, OnDemandUpstream)]) -> fmt::Result {
    let about = "Whether the origin answers questions of the zone; 0 while it is silent or lame";
    let mut family = encoder.encode_descriptor("zone_on_demand_origin_up", about, None, MetricType::Gauge)?;
    for (zone, origin) in origins {
        let up = i64::from(!matches!(origin.health, Health::Down | Health::Lame));
        ConstGauge::new(up).encode(family.encode_family(&labels(zone, origin))?)?;
    }
    let (about, seconds) = ("Smoothed round-trip time of the origin", Some(&Unit::Seconds));
    let mut family = encoder.encode_descriptor("zone_on_demand_origin_rtt", about, seconds, MetricType::Gauge)?;
    for (zone, origin) in origins {
        if let Some(srtt_ms) = origin.srtt_ms {
            ConstGauge::new(srtt_ms / 1000.0).encode(family.encode_family(&labels(zone, origin))?)?;
        }
    }
    let about = "Questions put to the origin, by what came of them";
    let mut family = encoder.encode_descriptor("zone_on_demand_origin_questions", about, None, MetricType::Counter)?;
    for (zone, origin) in origins {
        let results =
            [("answered", origin.answered_total), ("failed", origin.failed_total), ("timeout", origin.timeouts_total)];
        for (result, number) in results {
            let [zone, name, address] = labels(zone, origin);
            ConstCounter::new(number).encode(family.encode_family(&[zone, name, address, ("result", result)])?)?;
        }
    }
    Ok(())
}

fn labels<'l>(zone: &'l str, origin: &'l OnDemandUpstream) -> [(&'static str, &'l str); 3] {
    [("zone", zone), ("origin", &origin.origin), ("address", &origin.address)]
}
