//! Metrics of the defences against floods: what each filter did, what is armed, what is normal, who is known to be good.

use std::fmt;
use std::sync::Arc;

use config::DefenceMode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::control::defences::{DefencesStatus, NormalStatus};
use crate::node_view::NodeView;

/// Zones that have series of their own: the busiest.
const ZONES_MAX: usize = 100;
/// Defences that may be armed.
const DEFENCES: [&str; 3] = ["miss", "random-source", "random-name"];

#[derive(Debug)]
pub(super) struct DefencesCollector(pub(super) Arc<NodeView>);

impl Collector for DefencesCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Ok(status) = self.0.services.defences_status(self.0.node()) else { return Ok(()) };
        encode_filters(&mut encoder, &status)?;
        encode_armed(&mut encoder, &status)?;
        encode_rates(&mut encoder, &status)?;
        encode_deaths(&mut encoder, &status)?;
        encode_tables(&mut encoder, &status)
    }
}

fn encode_filters(encoder: &mut DescriptorEncoder, status: &DefencesStatus) -> fmt::Result {
    let about = "Queries by the filter that they met and what it did, or would have done";
    let mut family = encoder.encode_descriptor("filter_queries", about, None, MetricType::Counter)?;
    for filter in &status.filters {
        for (effect, number) in &filter.effects {
            let labels = [("filter", filter.filter.as_str()), ("effect", effect.as_str())];
            ConstCounter::new(*number).encode(family.encode_family(&labels)?)?;
        }
    }
    let about = "How far a filter goes: 1 for the mode that it has";
    let mut family = encoder.encode_descriptor("filter_mode", about, None, MetricType::Gauge)?;
    for filter in &status.filters {
        for mode in DefenceMode::ALL.map(DefenceMode::as_str) {
            let labels = [("filter", filter.filter.as_str()), ("mode", mode)];
            ConstGauge::new(i64::from(filter.mode == mode)).encode(family.encode_family(&labels)?)?;
        }
    }
    let mut counter = |name, about, number| {
        let metric = encoder.encode_descriptor(name, about, None, MetricType::Counter)?;
        ConstCounter::new(number).encode(metric)
    };
    counter("filtered_queries", "Queries that the filters looked at", status.queries)?;
    let about = "Queries that the filters looked at whose source was never heard of before";
    counter("filtered_queries_first_seen", about, status.first_seen)
}

fn encode_armed(encoder: &mut DescriptorEncoder, status: &DefencesStatus) -> fmt::Result {
    let about = "Where a defence is armed now: the node, zones, or suffixes; 0 while it rests";
    let mut family = encoder.encode_descriptor("defence_armed", about, None, MetricType::Gauge)?;
    for defence in DEFENCES {
        let armed = status.armed.iter().filter(|armed| armed.defence == defence).count();
        gauge(armed as u64).encode(family.encode_family(&[("defence", defence)])?)?;
    }
    let about = "Filters without a threshold that act now on more than a few queries a second";
    let acting = status.armed.iter().filter(|armed| !DEFENCES.contains(&armed.defence.as_str())).count();
    gauge(acting as u64).encode(encoder.encode_descriptor("filters_acting", about, None, MetricType::Gauge)?)?;
    let about = "When a defence was last armed or rested, in Unix time; 0 if none ever was";
    let last = status.events.first().map_or(0.0, |event| event.unix_s);
    let seconds = Some(&Unit::Seconds);
    ConstGauge::new(last).encode(encoder.encode_descriptor(
        "defence_last_event_time",
        about,
        seconds,
        MetricType::Gauge,
    )?)
}

fn encode_rates(encoder: &mut DescriptorEncoder, status: &DefencesStatus) -> fmt::Result {
    let mut number = |name, about, number: f64| {
        ConstGauge::new(number).encode(encoder.encode_descriptor(name, about, None, MetricType::Gauge)?)
    };
    let normal = &status.normal;
    number("node_queries_per_second", "Queries in the last second, as the filters see them", normal.per_s)?;
    number("node_normal_queries_per_second", "Queries a second that are normal for the node", normal.normal_per_s)?;
    type Rate = fn(&NormalStatus) -> f64;
    let rates: [(&str, &str, Rate); 2] = [
        ("zone_queries_per_second", "Queries of the zone in the last second, of the busiest zones", |zone| zone.per_s),
        ("zone_normal_queries_per_second", "Queries a second that are normal for the zone", |zone| zone.normal_per_s),
    ];
    for (name, about, rate) in rates {
        let mut family = encoder.encode_descriptor(name, about, None, MetricType::Gauge)?;
        for zone in status.zones.iter().take(ZONES_MAX) {
            ConstGauge::new(rate(zone)).encode(family.encode_family(&[("zone", zone.scope.as_str())])?)?;
        }
    }
    Ok(())
}

fn encode_deaths(encoder: &mut DescriptorEncoder, status: &DefencesStatus) -> fmt::Result {
    let about = "Kinds of queries that are kept from answering, since their like crashed or hung an answer";
    let kept = gauge(status.quarantine.len() as u64);
    kept.encode(encoder.encode_descriptor("quarantined_queries", about, None, MetricType::Gauge)?)
}

fn encode_tables(encoder: &mut DescriptorEncoder, status: &DefencesStatus) -> fmt::Result {
    let mut number = |name, about, unit: Option<Unit>, number| {
        gauge(number).encode(encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Gauge)?)
    };
    let listed = status.lists.iter().filter(|listed| listed.list.is_some()).count();
    number("known_good_sources", "Sources that were learned to be good", None, status.known_good_learned)?;
    number("listed_sources", "Prefixes on the lists of sources", None, listed as u64)?;
    number(
        "filters_memory",
        "Bytes of the filters' tables, taken at the start",
        Some(Unit::Bytes),
        status.memory_bytes,
    )?;
    let about = "Whether orders and what was learned are kept over a restart; 0 while they cannot be";
    let kept = status.problems.is_empty() && status.learned.not_kept.is_none();
    number("defences_kept", about, None, u64::from(kept))
}

fn gauge(number: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX))
}
