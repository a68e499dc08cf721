//! Metrics of the node: its configuration and its roles.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::node_view::NodeView;

#[derive(Debug)]
pub(super) struct NodeCollector(pub(super) Arc<NodeView>);

impl Collector for NodeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_node(&mut encoder)?;
        self.encode_config(&mut encoder)
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
        let about = "Whether a newer network file waits for its time, where the node's input is delayed";
        let waits = ConstGauge::new(i64::from(config.waits_until_unix_s.is_some()));
        waits.encode(encoder.encode_descriptor("config_newer_waits", about, None, MetricType::Gauge)?)?;
        let about = "How late new zones and network files count on the node, deliberately";
        let delay = ConstGauge::new(i64::from(config.delay_s));
        delay.encode(encoder.encode_descriptor("node_delay", about, Some(&Unit::Seconds), MetricType::Gauge)?)?;
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
