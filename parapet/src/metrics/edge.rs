//! Metrics of the edge: what came in, what went out, and what was dropped, by reason.

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
pub(super) struct EdgeCollector(pub(super) Arc<NodeView>);

impl Collector for EdgeCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let Some(stats) = self.0.services.edge_stats() else { return Ok(()) };
        encode_queries(&mut encoder, &stats)?;
        encode_responses(&mut encoder, &stats)?;
        encode_on_demand(&mut encoder, &stats)?;
        if let Some(cache) = self.0.services.cache_stats() {
            encode_cache(&mut encoder, &cache)?;
        }
        let mut counter = |name, about, unit: Option<Unit>, number: u64| {
            let metric = encoder.encode_descriptor(name, about, unit.as_ref(), MetricType::Counter)?;
            ConstCounter::new(number).encode(metric)
        };
        counter("responses_truncated", "Answers with the TC bit", None, stats.truncated)?;
        counter("response", "Bytes of DNS messages sent as answers", Some(Unit::Bytes), stats.answer_bytes)?;
        counter("udp_batches", "Batches of datagrams received", None, stats.udp_batches)?;
        counter("tcp_connections", "TCP connections accepted", None, stats.tcp_connections)?;
        let about = "Lanes whose thread hung or ended and was replaced";
        counter("lanes_replaced", about, None, stats.lanes_replaced)?;
        encode_deaths(&mut encoder, &stats)?;
        let open = stats.tcp_connections_open;
        encode_gauge(&mut encoder, "tcp_connections_open", "TCP connections open now", None, open)
    }
}

fn encode_queries(encoder: &mut DescriptorEncoder, stats: &edge::Stats) -> fmt::Result {
    let about = "Messages received, those dropped included";
    let mut family = encoder.encode_descriptor("queries", about, None, MetricType::Counter)?;
    for (transport, ip, number) in stats.queries() {
        let labels = [("transport", transport.as_str()), ("family", ip.as_str())];
        ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
    }
    let about = "Messages and connections dropped, by reason";
    let mut family = encoder.encode_descriptor("dropped", about, None, MetricType::Counter)?;
    for (reason, number) in stats.dropped() {
        ConstCounter::new(number).encode(family.encode_family(&[("reason", reason.as_str())])?)?;
    }
    Ok(())
}

fn encode_deaths(encoder: &mut DescriptorEncoder, stats: &edge::Stats) -> fmt::Result {
    let about = "Queries that killed who answered them: by a panic, or by a hang";
    let mut family = encoder.encode_descriptor("queries_of_death", about, None, MetricType::Counter)?;
    for (kind, number) in edge::DeathKind::ALL.into_iter().zip(stats.deaths) {
        ConstCounter::new(number).encode(family.encode_family(&[("kind", kind.as_str())])?)?;
    }
    Ok(())
}

fn encode_responses(encoder: &mut DescriptorEncoder, stats: &edge::Stats) -> fmt::Result {
    let mut family = encoder.encode_descriptor("responses", "Answers by response code", None, MetricType::Counter)?;
    for (rcode, number) in stats.rcodes() {
        let rcode = rcode.map_or("other".to_owned(), |rcode| rcode.to_string());
        ConstCounter::new(number).encode(family.encode_family(&[("rcode", rcode.as_str())])?)?;
    }
    Ok(())
}

fn encode_on_demand(encoder: &mut DescriptorEncoder, stats: &edge::Stats) -> fmt::Result {
    let about = "Questions of zones that are filled on demand, by what happened to them";
    let mut family = encoder.encode_descriptor("on_demand", about, None, MetricType::Counter)?;
    for (event, number) in stats.on_demand() {
        ConstCounter::new(number).encode(family.encode_family(&[("event", event.as_str())])?)?;
    }
    encode_gauge(encoder, "queries_waiting", "Queries that wait for an origin now", None, stats.parked)
}

fn encode_cache(encoder: &mut DescriptorEncoder, cache: &cache::Stats) -> fmt::Result {
    let bytes = Some(Unit::Bytes);
    encode_gauge(encoder, "cache_answers", "Answers in the cache of on-demand zones", None, cache.entries)?;
    encode_gauge(encoder, "cache_denials", "NSEC records that denials are made from", None, cache.denials)?;
    encode_gauge(encoder, "cache", "Bytes that the cache takes", bytes.as_ref(), cache.bytes)?;
    encode_gauge(encoder, "cache_max", "Bytes that the cache may take", bytes.as_ref(), cache.bytes_max)
}

fn encode_gauge(
    encoder: &mut DescriptorEncoder,
    name: &str,
    about: &str,
    unit: Option<&Unit>,
    number: u64,
) -> fmt::Result {
    let gauge = ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
    gauge.encode(encoder.encode_descriptor(name, about, unit, MetricType::Gauge)?)
}
