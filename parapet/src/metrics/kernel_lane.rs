//! Metrics of the kernel lane: where it is, what it holds, and what it leaves to the sockets. What it answers and drops is also
//! among the edge's.

use std::fmt;
use std::sync::Arc;

use edge::kernel::{AttachMode, KernelStats, LaneStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::node_view::NodeView;

#[derive(Debug)]
pub(super) struct KernelLaneCollector(pub(super) Arc<NodeView>);

impl Collector for KernelLaneCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let services = &self.0.services;
        let Some(lane) = services.kernel_lane() else { return Ok(()) };
        encode_interfaces(&mut encoder, lane)?;
        let Some(stats) = services.edge_stats().and_then(|stats| stats.kernel) else { return Ok(()) };
        encode_packets(&mut encoder, &stats)?;
        let mut gauge = |name, about, number: u64| {
            let gauge = ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, about, None, MetricType::Gauge)?)
        };
        gauge("kernel_answers", "Answers that the kernel lane holds, those that are old included", stats.held)?;
        gauge("kernel_answers_max", "Answers that it has room for", lane.answers_max as u64)
    }
}

fn encode_interfaces(encoder: &mut DescriptorEncoder, lane: &LaneStatus) -> fmt::Result {
    let about = "1 for how the kernel lane is attached to an interface: native, generic, none";
    let mut family = encoder.encode_descriptor("kernel_attached", about, None, MetricType::Gauge)?;
    for interface in &lane.interfaces {
        let mode = interface.mode.map_or("none", AttachMode::as_str);
        let labels = [("interface", interface.name.as_str()), ("mode", mode)];
        ConstGauge::new(1_i64).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_packets(encoder: &mut DescriptorEncoder, stats: &KernelStats) -> fmt::Result {
    let mut counter = |name, about, number: u64| {
        ConstCounter::new(number).encode(encoder.encode_descriptor(name, about, None, MetricType::Counter)?)
    };
    counter("kernel_packets", "Packets to where the kernel lane answers", stats.seen)?;
    counter("kernel_answered", "Those that it answered", stats.answered)?;
    counter("kernel_dropped", "Those that it dropped", stats.dropped)?;
    let about = "Those that it left to the sockets, by reason";
    let mut family = encoder.encode_descriptor("kernel_passed", about, None, MetricType::Counter)?;
    for (reason, number) in stats.passed() {
        ConstCounter::new(number).encode(family.encode_family(&[("reason", reason.as_str())])?)?;
    }
    Ok(())
}
