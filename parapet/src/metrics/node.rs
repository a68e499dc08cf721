//! Metrics of the node: its configuration, its roles and its zones.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::control::protocol::{Zone, ZoneCounts};
use crate::node_view::{NodeView, count};

#[derive(Debug)]
pub(super) struct NodeCollector(pub(super) Arc<NodeView>);

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_node(&mut encoder)?;
        self.encode_config(&mut encoder)?;
        let zones = self.0.services.zones();
        encode_zone_counts(&mut encoder, &zones)?;
        encode_zones(&mut encoder, &zones)
    }
}

impl NodeCollector {
    fn encode_node(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let labels = [("network", self.0.network()), ("node", self.0.node()), ("version", env!("CARGO_PKG_VERSION"))];
        encoder.encode_descriptor("build", "What runs here", None, MetricType::Info)?.encode_info(&labels)?;
        let seconds = Some(&Unit::Seconds);
        let started = ConstGauge::new(self.0.started_unix_s);
        let about = "When the process started, in Unix time";
        started.encode(encoder.encode_descriptor("start_time", about, seconds, MetricType::Gauge)?)?;
        let about = "Whether a role is up; degraded counts as up, draining and down do not";
        let mut family = encoder.encode_descriptor("role_up", about, None, MetricType::Gauge)?;
        for role in self.0.roles() {
            let up = i64::from(role.state == "up" || role.state == "degraded");
            ConstGauge::new(up).encode(family.encode_family(&[("role", role.role.as_str())])?)?;
        }
        Ok(())
    }

    fn encode_config(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let config = self.0.reload();
        let about = "Times the configuration was read again, by what came of it";
        let mut family = encoder.encode_descriptor("config_reloads", about, None, MetricType::Counter)?;
        for (result, number) in [("applied", config.reloads), ("refused", config.reloads_refused)] {
            ConstCounter::new(number).encode(family.encode_family(&[("result", result)])?)?;
        }
        let about = "Whether the network file as it stands is in force; 0 when it is wrong";
        let good = ConstGauge::new(i64::from(config.refused.is_empty()));
        good.encode(encoder.encode_descriptor("config_good", about, None, MetricType::Gauge)?)?;
        let about = "When the configuration in force was read, in Unix time";
        let loaded = ConstGauge::new(config.loaded_unix_s);
        loaded.encode(encoder.encode_descriptor(
            "config_loaded_time",
            about,
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?)
    }
}

fn encode_zone_counts(encoder: &mut DescriptorEncoder, zones: &[Zone]) -> fmt::Result {
    let counts = count(zones);
    let mut family = encoder.encode_descriptor("zones", "Zones by their state", None, MetricType::Gauge)?;
    let ZoneCounts { serving, pending, expired, stale } = counts;
    for (state, number) in [("serving", serving), ("pending", pending), ("expired", expired), ("stale", stale)] {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        ConstGauge::new(number).encode(family.encode_family(&[("state", state)])?)?;
    }
    Ok(())
}

/// A gauge of each zone: name, help, unit, and its value where the zone has one.
type ZoneGauge = (&'static str, &'static str, Option<Unit>, fn(&Zone) -> Option<f64>);

const ZONE_GAUGES: [ZoneGauge; 7] = [
    ("zone_serial", "Serial of the copy that is served", None, |zone| zone.serial.map(f64::from)),
    ("zone_records", "Records in the copy", None, |zone| Some(zone.records as f64)),
    ("zone_memory", "Memory that the copy takes", Some(Unit::Bytes), |zone| Some(zone.heap_bytes as f64)),
    ("zone_age", "Time since an origin confirmed the copy", Some(Unit::Seconds), |zone| zone.age_s),
    ("zone_expires_in", "Time until the copy expires", Some(Unit::Seconds), |zone| zone.expires_in_s),
    ("zone_failures", "Rounds in a row in which every origin failed", None, |zone| Some(f64::from(zone.failures))),
    ("zone_origins_failing", "Origins' addresses whose last attempt failed", None, |zone| {
        Some(zone.origins.iter().filter(|origin| origin.last_error.is_some()).count() as f64)
    }),
];

fn encode_zones(encoder: &mut DescriptorEncoder, zones: &[Zone]) -> fmt::Result {
    for (name, about, unit, value) in ZONE_GAUGES {
        let mut family = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Gauge)?;
        for zone in zones {
            if let Some(value) = value(zone) {
                ConstGauge::new(value).encode(family.encode_family(&[("zone", zone.zone.as_str())])?)?;
            }
        }
    }
    Ok(())
}
