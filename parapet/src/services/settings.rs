//! The configuration in the edge's own terms.

use std::net::IpAddr;
use std::time::Duration;

use config::{AddressFamily, Config};
use wire::Rtype;

/// The edge's settings. Without configured cookie secrets the node uses one that it made up for itself.
pub(super) fn edge_settings(config: &Config, own_cookie_secret: [u8; 16]) -> edge::Settings {
    let config::Identity { nsid, id_server, version_bind } = config.node.identity.clone();
    let config::Limits {
        udp_payload_bytes_max,
        tcp_connections_max,
        tcp_connections_per_client_max,
        tcp_idle_ms,
        tcp_receive_ms_max,
        tcp_send_ms_max,
        cache_bytes_max: _,
    } = config.node.limits;
    let cookie_secrets = match config.cookie_secrets.as_slice() {
        [] => vec![own_cookie_secret],
        secrets => secrets.to_vec(),
    };
    edge::Settings {
        udp_payload_bytes_max,
        nsid,
        id_server,
        version_bind,
        cookie_secrets,
        cookies_required: config.cookies_required,
        tcp: edge::TcpSettings {
            connections_max: usize::try_from(tcp_connections_max).unwrap_or(usize::MAX),
            connections_per_client_max: usize::try_from(tcp_connections_per_client_max).unwrap_or(usize::MAX),
            idle: Duration::from_millis(tcp_idle_ms),
            receive: Duration::from_millis(tcp_receive_ms_max),
            send: Duration::from_millis(tcp_send_ms_max),
        },
    }
}

/// What the edge asks itself, if anything follows from that.
pub(super) fn self_check_settings(config: &Config) -> Option<edge::SelfCheckSettings> {
    let anycast = config.node.anycast.as_ref()?;
    let service_addresses: Vec<IpAddr> =
        config.services.iter().flat_map(|service| service.addresses.iter().copied()).collect();
    let check = |check: &config::ZoneCheck| {
        let rtype = match check.address_family {
            AddressFamily::Ipv4 => Rtype::A,
            AddressFamily::Ipv6 => Rtype::AAAA,
        };
        // The file's checks have seen to it that it is one.
        Some(edge::Check { name: check.name.parse().ok()?, rtype, expected: check.expected })
    };
    Some(edge::SelfCheckSettings {
        interval: Duration::from_millis(anycast.check_interval_ms.into()),
        service_addresses,
        checks: config.zones.iter().flat_map(|zone| &zone.checks).filter_map(check).collect(),
    })
}

/// How long what the edge found out about itself is good for.
pub(super) fn self_check_lifetime(settings: &edge::SelfCheckSettings) -> Duration {
    /// A turn in which nothing answers, over UDP and then TCP, and what a busy machine adds.
    const TURN_MAX: Duration = Duration::from_millis(1500);
    settings.interval * 2 + TURN_MAX
}
