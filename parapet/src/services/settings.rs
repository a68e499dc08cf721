//! The configuration in the edge's own terms.

use std::time::Duration;

use config::Config;

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
