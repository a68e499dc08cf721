//! Metrics of the zones and their origins. Whatever the number of zones, the number of series is bounded: a node with
//! very many gives those with problems series of their own first, and figures over all zones always.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use origin_sync::{AttemptResult, OriginStatus, ProblemKind, Severity, ZoneStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::on_demand;
use crate::control::protocol::ZoneCounts;
use crate::node_view::NodeView;
use crate::reload::unix_s;
use crate::zones_summary::{count, severity, troubled};

/// Zones that have series of their own.
const ZONES_LABELLED_MAX: usize = 1_000;
/// Problems that are told of by zone.
const PROBLEMS_MAX: usize = 5_000;

#[derive(Debug)]
pub(super) struct ZonesCollector(pub(super) Arc<NodeView>);

impl Collector for ZonesCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let zones = self.0.services.zones();
        let now = unix_s();
        encode_all(&mut encoder, &zones, now)?;
        encode_problems(&mut encoder, &zones)?;
        let labelled = labelled(&zones);
        encode_zones(&mut encoder, &labelled, now)?;
        encode_zone_counters(&mut encoder, &labelled)?;
        encode_origins(&mut encoder, &labelled, now)?;
        on_demand::encode(&mut encoder, &zones, &labelled)
    }
}

/// The zones that have series of their own: those with problems first.
fn labelled(zones: &[ZoneStatus]) -> Vec<&ZoneStatus> {
    if zones.len() <= ZONES_LABELLED_MAX {
        return zones.iter().collect();
    }
    let well = zones.iter().filter(|zone| zone.problems.is_empty());
    troubled(zones).into_iter().chain(well).take(ZONES_LABELLED_MAX).collect()
}

/// What holds for all zones together.
fn encode_all(encoder: &mut DescriptorEncoder, zones: &[ZoneStatus], now: f64) -> fmt::Result {
    let ZoneCounts { serving, pending, expired, stale, on_demand } = count(zones);
    let states =
        [("serving", serving), ("pending", pending), ("expired", expired), ("stale", stale), ("on-demand", on_demand)];
    gauges(encoder, ("zones", "Zones by their state"), "state", states)?;
    let mut severities = BTreeMap::from([(Severity::Warning, 0), (Severity::Critical, 0)]);
    zones.iter().filter_map(severity).for_each(|severity| *severities.entry(severity).or_default() += 1);
    let severities = severities.iter().map(|(severity, number)| (severity.as_str(), *number));
    let about = "Zones that have a problem, by the severity of the worst";
    gauges(encoder, ("zones_with_problems", about), "severity", severities)?;
    let mut kinds: BTreeMap<&str, u64> = ProblemKind::ALL.iter().map(|kind| (kind.as_str(), 0)).collect();
    let problems = zones.iter().flat_map(|zone| &zone.problems);
    problems.for_each(|problem| *kinds.entry(problem.kind.as_str()).or_default() += 1);
    gauges(encoder, ("zones_by_problem", "Zones by the problems they have"), "problem", kinds)?;
    let behind = zones.iter().filter(|zone| zone.serials_behind > 0).count();
    gauge(encoder, "zones_behind", "Zones of which an origin has a newer serial", behind)?;
    let unlabelled = zones.len().saturating_sub(ZONES_LABELLED_MAX);
    let about = "Zones that have no series of their own here, because there are so many";
    gauge(encoder, "zones_without_series", about, unlabelled)?;
    let most = |value: fn(&ZoneStatus) -> Option<f64>| zones.iter().filter_map(value).reduce(f64::max);
    let least = |value: fn(&ZoneStatus) -> Option<f64>| zones.iter().filter_map(value).reduce(f64::min);
    let extremes = [
        ("zones_age_max", "Time since the zone that waits longest was confirmed by an origin", most(|zone| zone.age_s)),
        ("zones_lag_max", "Time since an origin first told a newer serial, the longest", most(|zone| Some(zone.lag_s))),
        ("zones_expires_in_min", "Time until the first zone expires", least(|zone| zone.expires_in_s)),
        (
            "zones_first_signature_expiry_timestamp",
            "When the first signature of all zones dies, in Unix time",
            least(|zone| zone.first_signature_expires_in_s).map(|left| now + left),
        ),
    ];
    for (name, about, value) in extremes {
        // Without a value it is declared nevertheless: a rule that names it is then known to be right.
        let metric = encoder.encode_descriptor(name, about, Some(&Unit::Seconds), MetricType::Gauge)?;
        if let Some(value) = value {
            ConstGauge::new(value).encode(metric)?;
        }
    }
    Ok(())
}

fn encode_problems(encoder: &mut DescriptorEncoder, zones: &[ZoneStatus]) -> fmt::Result {
    let about = "1 for each problem that a zone has";
    let mut family = encoder.encode_descriptor("zone_problem", about, None, MetricType::Gauge)?;
    let problems =
        troubled(zones).into_iter().flat_map(|zone| zone.problems.iter().map(move |problem| (zone, problem)));
    // Several origins of a zone may have the same problem; a series stands once.
    let mut told = std::collections::BTreeSet::new();
    for (zone, problem) in problems.take(PROBLEMS_MAX) {
        if told.insert((&zone.zone, problem.kind)) {
            let (kind, severity) = (problem.kind.as_str(), problem.severity.as_str());
            let labels = [("zone", zone.zone.as_str()), ("problem", kind), ("severity", severity)];
            ConstGauge::new(1i64).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// A gauge of each `T`: name, help, unit, and its value at a moment of Unix time where it has one.
type Gauge<T> = (&'static str, &'static str, Option<Unit>, fn(&T, f64) -> Option<f64>);

const ZONE_GAUGES: [Gauge<ZoneStatus>; 15] = [
    ("zone_serial", "Serial of the copy that is served", None, |zone, _| zone.serial.map(f64::from)),
    ("zone_records", "Records in the copy", None, |zone, _| Some(zone.records as f64)),
    ("zone_memory", "Memory that the copy takes", Some(Unit::Bytes), |zone, _| Some(zone.heap_bytes as f64)),
    ("zone_age", "Time since an origin confirmed the copy", Some(Unit::Seconds), |zone, _| zone.age_s),
    ("zone_lag", "Time since an origin told a newer serial; 0 while none has", Some(Unit::Seconds), |zone, _| {
        zone.serial.map(|_| zone.lag_s)
    }),
    ("zone_serials_behind", "How far ahead the newest serial told is", None, |zone, _| {
        zone.serial.map(|_| f64::from(zone.serials_behind))
    }),
    ("zone_refresh", "Time between two looks at an origin", Some(Unit::Seconds), |zone, _| {
        zone.refresh_s.map(|refresh| refresh as f64)
    }),
    ("zone_expire", "How long a copy is good for without an origin", Some(Unit::Seconds), |zone, _| {
        zone.expire_s.map(|expire| expire as f64)
    }),
    ("zone_expires_in", "Time until the copy expires", Some(Unit::Seconds), |zone, _| zone.expires_in_s),
    (
        "zone_first_signature_expiry_timestamp",
        "When the first signature in the copy dies, in Unix time",
        Some(Unit::Seconds),
        |zone, now| zone.first_signature_expires_in_s.map(|left| now + left),
    ),
    ("zone_failures", "Rounds in a row in which every origin failed", None, |zone, _| Some(f64::from(zone.failures))),
    ("zone_origins_failing", "Origins' addresses whose last attempt failed", None, |zone, _| {
        Some(zone.origins.iter().filter(|origin| origin.last_error.is_some()).count() as f64)
    }),
    ("zone_last_attempt_ok", "Whether the last attempt at any origin succeeded", None, |zone, _| {
        zone.last_attempt_age_s.map(|_| f64::from(u8::from(zone.last_error.is_none())))
    }),
    ("zone_last_attempt_timestamp", "When an origin was last asked, in Unix time", Some(Unit::Seconds), |zone, now| {
        zone.last_attempt_age_s.map(|age| now - age)
    }),
    (
        "zone_next_attempt_timestamp",
        "When an origin is asked next, in Unix time; none while one is asked",
        Some(Unit::Seconds),
        |zone, now| zone.next_attempt_in_s.map(|wait| now + wait),
    ),
];

fn encode_zones(encoder: &mut DescriptorEncoder, zones: &[&ZoneStatus], now: f64) -> fmt::Result {
    let mut family = encoder.encode_descriptor("zone", "How a zone is filled", None, MetricType::Info)?;
    for zone in zones {
        let labels = [("zone", zone.zone.as_str()), ("mode", zone.mode.as_str()), ("state", zone.state.as_str())];
        family.encode_info(&labels)?;
    }
    for (name, about, unit, value) in ZONE_GAUGES {
        let mut family = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Gauge)?;
        for zone in zones {
            if let Some(value) = value(zone, now) {
                ConstGauge::new(value).encode(family.encode_family(&[("zone", zone.zone.as_str())])?)?;
            }
        }
    }
    Ok(())
}

/// A counter of each zone: name, help, unit, value.
type Counter = (&'static str, &'static str, Option<Unit>, fn(&ZoneStatus) -> u64);

fn encode_zone_counters(encoder: &mut DescriptorEncoder, zones: &[&ZoneStatus]) -> fmt::Result {
    let about = "Attempts at the zone's origins, by what came of them";
    let mut family = encoder.encode_descriptor("zone_attempts", about, None, MetricType::Counter)?;
    for zone in zones {
        let totals = &zone.totals;
        let results = [
            ("up_to_date", totals.up_to_date),
            ("axfr", totals.axfr),
            ("ixfr", totals.ixfr),
            ("failed", totals.failed),
        ];
        for (result, number) in results {
            let labels = [("zone", zone.zone.as_str()), ("result", result)];
            ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
        }
    }
    let counters: [Counter; 3] = [
        ("zone_notifies", "NOTIFYs that were accepted and meant something", None, |zone| zone.totals.notifies),
        ("zone_transfer_fallbacks", "Differences given up for a whole transfer", None, |zone| zone.totals.fallback),
        ("zone_transfer", "Bytes of the zone's successful transfers", Some(Unit::Bytes), |zone| {
            zone.totals.transfer_bytes
        }),
    ];
    for (name, about, unit, value) in counters {
        let mut family = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Counter)?;
        for zone in zones {
            ConstCounter::new(value(zone)).encode(family.encode_family(&[("zone", zone.zone.as_str())])?)?;
        }
    }
    Ok(())
}

const ORIGIN_GAUGES: [Gauge<OriginStatus>; 5] = [
    ("zone_origin_serial", "The serial that the origin last told", None, |origin, _| origin.serial.map(f64::from)),
    (
        "zone_origin_lag",
        "Time since the origin told a newer serial than the copy's; 0 while it has not",
        Some(Unit::Seconds),
        |origin, _| origin.serial.map(|_| origin.lag_s),
    ),
    ("zone_origin_last_attempt_ok", "Whether the last attempt at the origin succeeded", None, |origin, _| {
        origin.last_result.map(|result| f64::from(u8::from(result != AttemptResult::Failed)))
    }),
    (
        "zone_origin_last_attempt_timestamp",
        "When the origin was last asked, in Unix time",
        Some(Unit::Seconds),
        |origin, now| origin.last_attempt_age_s.map(|age| now - age),
    ),
    ("zone_origin_failures", "Attempts at the origin in a row that failed", None, |origin, _| {
        Some(f64::from(origin.failures))
    }),
];

fn encode_origins(encoder: &mut DescriptorEncoder, zones: &[&ZoneStatus], now: f64) -> fmt::Result {
    for (name, about, unit, value) in ORIGIN_GAUGES {
        let mut family = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Gauge)?;
        for (zone, origin) in zones.iter().flat_map(|zone| zone.origins.iter().map(move |origin| (zone, origin))) {
            let labels = [
                ("zone", zone.zone.as_str()),
                ("origin", origin.origin.as_str()),
                ("address", origin.address.as_str()),
            ];
            if let Some(value) = value(origin, now) {
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder, name: &str, about: &str, number: usize) -> fmt::Result {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    ConstGauge::new(number).encode(encoder.encode_descriptor(name, about, None, MetricType::Gauge)?)
}

/// A gauge for each value of a label.
fn gauges<'l>(
    encoder: &mut DescriptorEncoder,
    (name, about): (&str, &str),
    label: &str,
    numbers: impl IntoIterator<Item = (&'l str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, about, None, MetricType::Gauge)?;
    for (value, number) in numbers {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        ConstGauge::new(number).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}
