//! Metrics of what other nodes get from this one: transfers out and NOTIFYs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::transfers::family;
use crate::node_view::NodeView;

#[derive(Debug)]
pub(super) struct PeerCollector(pub(super) Arc<NodeView>);

impl Collector for PeerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(peers) = self.0.services.peers() else { return Ok(()) };
        let counters = peers.counters();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let questions = [
            ("soa", load(&counters.soa)),
            ("axfr", load(&counters.axfr)),
            ("ixfr", load(&counters.ixfr)),
            ("up_to_date", load(&counters.up_to_date)),
            ("unavailable", load(&counters.unavailable)),
            ("busy", load(&counters.busy)),
            ("bad_signature", load(&counters.bad_signature)),
        ];
        let about = "Questions of nodes downstream, by what they got";
        family(&mut encoder, "peer_questions", about, "result", questions)?;
        let notifies = [
            ("sent", load(&counters.notifies_sent)),
            ("acknowledged", load(&counters.notifies_acknowledged)),
            ("refused", load(&counters.notifies_refused)),
            ("dropped", load(&counters.notifies_dropped)),
        ];
        let about = "NOTIFYs to nodes downstream; repeated ones count as sent each time";
        family(&mut encoder, "peer_notifies", about, "result", notifies)?;
        let about = "Bytes of transfers to nodes downstream";
        let bytes = encoder.encode_descriptor("peer_transfer", about, Some(&Unit::Bytes), MetricType::Counter)?;
        ConstCounter::new(load(&counters.bytes)).encode(bytes)?;
        let running = ConstGauge::new(i64::try_from(peers.transfers_running()).unwrap_or(i64::MAX));
        let about = "Transfers to nodes downstream that run now";
        running.encode(encoder.encode_descriptor("peer_transfers_running", about, None, MetricType::Gauge)?)
    }
}
