//! Metrics of origin-sync: attempts, transfers and NOTIFYs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::node_view::NodeView;

#[derive(Debug)]
pub(super) struct TransferCollector(pub(super) Arc<NodeView>);

impl Collector for TransferCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(transfers) = self.0.services.transfers() else { return Ok(()) };
        let counts = &transfers.counts;
        let results =
            [("up_to_date", counts.up_to_date_total), ("axfr", counts.axfr_total), ("ixfr", counts.ixfr_total)];
        let about = "Attempts that succeeded: the copy was up to date, or a transfer brought a new one";
        family(&mut encoder, "attempts_succeeded", about, "result", results)?;
        let about = "Transfers that succeeded, by what was asked for and how it came";
        let mut by_kind = encoder.encode_descriptor("transfers", about, None, MetricType::Counter)?;
        for ((kind, transport), number) in &counts.transfers_total {
            let labels = [("kind", *kind), ("transport", transport.as_str())];
            ConstCounter::new(*number).encode(by_kind.encode_family(&labels)?)?;
        }
        let failures = counts.failures_total.iter().map(|(reason, number)| (*reason, *number));
        family(&mut encoder, "attempts_failed", "Attempts that failed, by reason", "reason", failures)?;
        let notify = transfers.notifier.counters();
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let notifies = [
            ("accepted", load(&notify.accepted)),
            ("refused", load(&notify.refused)),
            ("not_ours", load(&notify.not_ours)),
            ("bad_signature", load(&notify.bad_signature)),
            ("malformed", load(&notify.malformed)),
        ];
        family(&mut encoder, "notifies", "NOTIFY messages, by what became of them", "result", notifies)?;
        let mut counter = |name, about, unit: Option<Unit>, number: u64| {
            let metric = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Counter)?;
            ConstCounter::new(number).encode(metric)
        };
        counter("transfer_fallbacks", "Differences given up for a whole transfer", None, counts.fallback_total)?;
        counter("transfer", "Bytes of successful transfers", Some(Unit::Bytes), counts.transfer_bytes_total)?;
        counter("transfer_records", "Records of successful transfers", None, counts.transfer_records_total)?;
        let running = ConstGauge::new(i64::try_from(counts.attempts_running).unwrap_or(i64::MAX));
        running.encode(encoder.encode_descriptor(
            "attempts_running",
            "Attempts that run now",
            None,
            MetricType::Gauge,
        )?)
    }
}

/// A counter for each value of a label.
pub(super) fn family<'l>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    about: &str,
    label: &str,
    numbers: impl IntoIterator<Item = (&'l str, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, about, None, MetricType::Counter)?;
    for (value, number) in numbers {
        ConstCounter::new(number).encode(family.encode_family(&[(label, value)])?)?;
    }
    Ok(())
}
