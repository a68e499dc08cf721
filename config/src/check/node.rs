//! Nodes: what a machine binds, keeps and tells, and where it takes its zones from.

use std::net::IpAddr;

use super::{Checker, Tables};
use crate::model::{Api, ApiTls, Identity, Limits, LogFormat, Node, Roles};
use crate::reader::{Section, join};
use crate::schema;
use crate::value::{DNS_PORT, Value};

/// Longest path of a Unix socket (`sun_path` without its end).
const SOCKET_PATH_BYTES_MAX: usize = 107;

impl Checker<'_, '_> {
    pub(super) fn node(&mut self, name: &str, section: &Section, tables: &Tables) -> Node {
        let state_dir = self.path(section, "state_dir").unwrap_or_default();
        let control = self.path(section, "control").unwrap_or_else(|| state_dir.join("control.sock"));
        if control.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
            let found = format!("{:?}, {} bytes long", control.display(), control.as_os_str().len());
            let expected = format!("a path of at most {SOCKET_PATH_BYTES_MAX} bytes, as Unix sockets have it");
            self.sink.error(section.position("control"), &join(&section.path, "control"), found, expected);
        }
        let has_role = |role: &str| {
            section.list("roles").iter().any(|found| matches!(&found.value, Value::Text(text) if text == role))
        };
        if let Some(api) = section.optional_section("api")
            && let (Some(ours), Some(metrics)) = (api.socket("listen"), section.socket("metrics"))
            && ours == metrics
            && ours.port() != 0
        {
            let found = format!("\"{ours}\", where the metrics are too");
            self.sink.error(api.position("listen"), &join(&api.path, "listen"), found, "an address or port of its own");
        }
        let identity = section.section("identity");
        let text = |name: &str| identity.text(name).map(str::to_owned);
        let listen = section.sockets(self.sink, "listen", DNS_PORT);
        let transfer_addresses = match section.found("transfer_addresses") {
            Some(_) => section.sockets(self.sink, "transfer_addresses", DNS_PORT),
            None => listen.iter().copied().filter(|address| is_its_own(address.ip(), tables)).collect(),
        };
        let delay_s = section.number("delay_s");
        Node {
            name: name.to_owned(),
            roles: Roles { edge: has_role("edge") },
            listen,
            state_dir,
            control,
            metrics: section.socket("metrics"),
            workers: section.number("workers"),
            user: section.text("user").map(str::to_owned),
            identity: Identity {
                nsid: text("nsid").map(String::into_bytes),
                id_server: text("id_server"),
                version_bind: text("version_bind"),
            },
            limits: limits(&section.section("limits")),
            lanes: self.lanes(&section.section("lanes")),
            log: if section.text("log") == Some("json") { LogFormat::Json } else { LogFormat::Text },
            api: section.optional_section("api").and_then(|api| self.api(api)),
            upstream: self.resolve_all(section, "upstream", schema::NODE, &tables.nodes),
            upstream_fallback: section.boolean("upstream_fallback"),
            transfer_addresses,
            anycast: section.optional_section("anycast").map(|anycast| self.anycast(anycast, delay_s, tables)),
            defences: self.defences(&section.section("defences")),
            delay_s,
        }
    }

    fn api(&mut self, section: &Section) -> Option<Api> {
        self.check_pair(section, "certificate", "key_file");
        let listen = section.socket("listen")?;
        let token_file = self.path(section, "token_file")?;
        let certificate = self.path(section, "certificate");
        let tls = match (&certificate, self.path(section, "key_file")) {
            (Some(certificate), Some(key_file)) => Some(ApiTls { certificate: certificate.clone(), key_file }),
            _ => None,
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        if section.found("url").is_none() && (listen.ip().is_unspecified() || listen.port() == 0) {
            let expected = format!("how other machines reach it: url = \"{scheme}://ADDRESS:PORT\"");
            self.sink.warning(section.position("listen"), &join(&section.path, "url"), "nothing", expected);
        }
        let url = section.text("url").map_or_else(|| format!("{scheme}://{listen}"), str::to_owned);
        Some(Api { listen, token_file, tls, url, ca_file: self.path(section, "ca_file").or(certificate) })
    }
}

/// Whether other nodes reach this one by the address, and no other.
fn is_its_own(address: IpAddr, tables: &Tables) -> bool {
    let mut services = tables.services.values();
    let is_shared = services.any(|service| service.addresses("addresses").iter().any(|(other, _)| *other == address));
    !address.is_unspecified() && !is_shared
}

fn limits(section: &Section) -> Limits {
    Limits {
        udp_payload_bytes_max: section.number("udp_payload_bytes_max"),
        tcp_connections_max: section.number("tcp_connections_max"),
        tcp_connections_per_client_max: section.number("tcp_connections_per_client_max"),
        tcp_idle_ms: section.number("tcp_idle_ms"),
        tcp_receive_ms_max: section.number("tcp_receive_ms_max"),
        tcp_send_ms_max: section.number("tcp_send_ms_max"),
        cache_bytes_max: section.integer("cache_bytes_max"),
    }
}
