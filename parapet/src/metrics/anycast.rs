//! Metrics of the announcing: what is announced and why, the sessions with routers, BFD.

use std::fmt;
use std::sync::Arc;

use anycast::{BfdStatus, NeighbourStatus, Status};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::node_view::NodeView;

#[derive(Debug)]
pub(super) struct AnycastCollector(pub(super) Arc<NodeView>);

impl Collector for AnycastCollector {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        match self.0.services.anycast() {
            Some(status) => encode(encoder, &status),
            None => Ok(()),
        }
    }
}

/// The states that a node can be in.
const STATES: [&str; 4] = ["up", "degraded", "draining", "down"];

fn encode(mut encoder: DescriptorEncoder, status: &Status) -> fmt::Result {
    encode_node(&mut encoder, status)?;
    encode_services(&mut encoder, status)?;
    encode_fleet(&mut encoder, status)?;
    encode_sessions(&mut encoder, &status.neighbours)?;
    encode_bfd(&mut encoder, &status.neighbours)
}

fn gauge(number: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX))
}

fn encode_node(encoder: &mut DescriptorEncoder, status: &Status) -> fmt::Result {
    let about = "1 for the state that the node is in as far as anycast goes, 0 for the others";
    let mut family = encoder.encode_descriptor("anycast_state", about, None, MetricType::Gauge)?;
    for state in STATES {
        gauge(u64::from(status.state == state)).encode(family.encode_family(&[("state", state)])?)?;
    }
    let about = "Whether somebody drained the node by hand";
    let drained = gauge(u64::from(status.by_hand.is_some()));
    drained.encode(encoder.encode_descriptor("anycast_drained", about, None, MetricType::Gauge)?)?;
    let about = "Changes between announced and not announced since the start";
    let transitions = ConstCounter::new(status.transitions);
    transitions.encode(encoder.encode_descriptor("anycast_transitions", about, None, MetricType::Counter)?)?;
    let about = "Whether a part of the node's health is good; degraded counts as up, draining, down and silent do not";
    let mut family = encoder.encode_descriptor("anycast_check_up", about, None, MetricType::Gauge)?;
    for check in &status.checks {
        let up = check.state == "up" || check.state == "degraded";
        gauge(u64::from(up)).encode(family.encode_family(&[("check", check.name.as_str())])?)?;
    }
    let about = "Whether an address of a service is on lo";
    let mut family = encoder.encode_descriptor("anycast_address_present", about, None, MetricType::Gauge)?;
    for address in &status.addresses {
        let labels = [("address", address.address.to_string())];
        gauge(u64::from(address.present)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn encode_services(encoder: &mut DescriptorEncoder, status: &Status) -> fmt::Result {
    let about = "Whether the routes of a service are announced";
    let mut family = encoder.encode_descriptor("anycast_service_announced", about, None, MetricType::Gauge)?;
    for service in &status.services {
        gauge(u64::from(service.announced)).encode(family.encode_family(&[("service", service.name.as_str())])?)?;
    }
    let about = "Whether the node would leave a service but stays, since too few others would go on";
    let mut family = encoder.encode_descriptor("anycast_quota_exhausted", about, None, MetricType::Gauge)?;
    for service in &status.services {
        let stays = service.announced && service.quota.as_ref().is_some_and(|quota| !quota.granted);
        gauge(u64::from(stays)).encode(family.encode_family(&[("service", service.name.as_str())])?)?;
    }
    Ok(())
}

fn encode_fleet(encoder: &mut DescriptorEncoder, status: &Status) -> fmt::Result {
    let about = "Time since another node was heard; a node that never was is left out";
    let seconds = Some(&Unit::Seconds);
    let mut family = encoder.encode_descriptor("anycast_member_heard_age", about, seconds, MetricType::Gauge)?;
    for member in &status.fleet {
        if let Some(age) = member.heard_s_ago {
            ConstGauge::new(age).encode(family.encode_family(&[("member", member.node.as_str())])?)?;
        }
    }
    let about = "Services that another node announces; 0 for one that is silent";
    let mut family = encoder.encode_descriptor("anycast_member_services", about, None, MetricType::Gauge)?;
    for member in &status.fleet {
        gauge(member.announces.len() as u64).encode(family.encode_family(&[("member", member.node.as_str())])?)?;
    }
    Ok(())
}

/// A figure of a session, its type, and what it is.
type Figure = (&'static str, MetricType, &'static str, fn(&NeighbourStatus) -> u64);

const SESSIONS: [Figure; 7] = [
    ("bgp_session_established", MetricType::Gauge, "Whether routes can go to a router", |session| {
        u64::from(session.state == "established")
    }),
    ("bgp_session_flaps", MetricType::Counter, "Times a session ended", |session| session.flaps),
    ("bgp_prefixes_announced", MetricType::Gauge, "Prefixes that a router has been told of now", |session| {
        session.prefixes_announced
    }),
    ("bgp_updates_sent", MetricType::Counter, "UPDATEs sent to a router", |session| session.updates_sent),
    ("bgp_session_updates_received", MetricType::Gauge, "UPDATEs of a router since its session came up", |session| {
        session.received.updates
    }),
    ("bgp_routes_kept", MetricType::Gauge, "Routes of a router that are kept to be shown", |session| {
        session.received.kept
    }),
    ("bgp_routes_not_kept", MetricType::Gauge, "Routes of a router that there was no room for", |session| {
        session.received.not_kept
    }),
];

fn encode_sessions(encoder: &mut DescriptorEncoder, neighbours: &[NeighbourStatus]) -> fmt::Result {
    for (name, kind, about, figure) in SESSIONS {
        let mut family = encoder.encode_descriptor(name, about, None, kind)?;
        for session in neighbours {
            let labels = [("neighbour", session.name.as_str())];
            let encoder = family.encode_family(&labels)?;
            match kind {
                MetricType::Counter => ConstCounter::new(figure(session)).encode(encoder)?,
                _ => gauge(figure(session)).encode(encoder)?,
            }
        }
    }
    let about = "Malformed attributes and UPDATEs of a session, by what became of them (RFC 7606)";
    let mut family = encoder.encode_descriptor("bgp_session_malformed", about, None, MetricType::Gauge)?;
    for session in neighbours {
        let handled = [
            ("treated_as_withdraw", session.received.treated_as_withdraw),
            ("attribute_discarded", session.received.attributes_discarded),
        ];
        for (handling, number) in handled {
            let labels = [("neighbour", session.name.as_str()), ("handling", handling)];
            gauge(number).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// A counter of a BFD session, and what it is.
type BfdCounter = (&'static str, &'static str, fn(&BfdStatus) -> u64);

const BFD_COUNTERS: [BfdCounter; 2] = [
    ("bfd_session_flaps", "Times a BFD session left up", |bfd| bfd.flaps),
    ("bfd_packets_discarded", "BFD packets that were no good", |bfd| bfd.discarded),
];

fn encode_bfd(encoder: &mut DescriptorEncoder, neighbours: &[NeighbourStatus]) -> fmt::Result {
    let sessions = || {
        let bfd = |neighbour: &'_ NeighbourStatus| Some((neighbour.name.clone(), neighbour.bfd.clone()?));
        neighbours.iter().filter_map(bfd)
    };
    let about = "Whether a BFD session is up";
    let mut family = encoder.encode_descriptor("bfd_session_up", about, None, MetricType::Gauge)?;
    for (name, bfd) in sessions() {
        gauge(u64::from(bfd.state == "up")).encode(family.encode_family(&[("neighbour", name)])?)?;
    }
    let about = "A router that is silent for so long is taken as gone by BFD";
    let seconds = Some(&Unit::Seconds);
    let mut family = encoder.encode_descriptor("bfd_detection_time", about, seconds, MetricType::Gauge)?;
    for (name, bfd) in sessions() {
        ConstGauge::new(bfd.detection_ms / 1000.0).encode(family.encode_family(&[("neighbour", name)])?)?;
    }
    for (name, about, figure) in BFD_COUNTERS {
        let mut family = encoder.encode_descriptor(name, about, None, MetricType::Counter)?;
        for (neighbour, bfd) in sessions() {
            ConstCounter::new(figure(&bfd)).encode(family.encode_family(&[("neighbour", neighbour)])?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::show::anycast::tests::example;

    #[derive(Debug)]
    struct Fixed(Status);

    impl Collector for Fixed {
        fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
            encode(encoder, &self.0)
        }
    }

    #[test]
    fn every_part_has_its_metrics() {
        let mut registry = Registry::with_prefix("parapet");
        registry.register_collector(Box::new(Fixed(example())));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "parapet_anycast_state{state=\"up\"} 0",
            "parapet_anycast_state{state=\"degraded\"} 1",
            "parapet_anycast_drained 0",
            "parapet_anycast_transitions_total 3",
            "parapet_anycast_check_up{check=\"zones\"} 1",
            "parapet_anycast_check_up{check=\"answers\"} 1",
            "parapet_anycast_address_present{address=\"192.0.2.53\"} 1",
            "parapet_anycast_service_announced{service=\"dns\"} 1",
            "parapet_anycast_quota_exhausted{service=\"dns\"} 1",
            "parapet_anycast_member_heard_age_seconds{member=\"fra-1\"} 0.5",
            "parapet_anycast_member_services{member=\"fra-1\"} 1",
            "parapet_anycast_member_services{member=\"sin-1\"} 0",
            "parapet_bgp_session_established{neighbour=\"r1\"} 1",
            "parapet_bgp_session_established{neighbour=\"r2\"} 0",
            "parapet_bgp_session_flaps_total{neighbour=\"r2\"} 1",
            "parapet_bgp_prefixes_announced{neighbour=\"r1\"} 2",
            "parapet_bgp_updates_sent_total{neighbour=\"r1\"} 5",
            "parapet_bgp_session_malformed{neighbour=\"r1\",handling=\"treated_as_withdraw\"} 1",
            "parapet_bfd_session_up{neighbour=\"r1\"} 1",
            "parapet_bfd_detection_time_seconds{neighbour=\"r1\"} 0.15",
            "parapet_bfd_session_flaps_total{neighbour=\"r1\"} 0",
        ] {
            assert!(text.lines().any(|there| there == line), "{line}\n{text}");
        }
        let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        assert!(names.iter().all(|name| name.starts_with("parapet_")), "{names:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("parapet_anycast_member_heard_age_seconds{member=\"sin-1\"}"))
        );
    }
}
