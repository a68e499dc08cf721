//! `[node.NAME]`: the machines.

use super::anycast::NODE_ANYCAST;
use super::defences::DEFENCES;
use super::lanes::LANES;
use super::{
    Kind, LISTEN_MAX, NODE, Naming, ORIGINS_PER_ZONE_MAX, Table, UPSTREAMS_MAX, WORKERS_MAX, YEAR_S, item, optional,
    optional_single, required, single,
};
use crate::value::DNS_PORT;

/// `[node.NAME]`
pub static NODE_TABLE: Table = Table {
    name: NODE,
    naming: Naming::Label,
    example: "ams-1",
    about: "A machine. It finds itself by `--node NAME`. What several nodes have in common may stand in \
            [defaults.node].",
    items: &[
        item(
            "roles",
            Kind::List { of: &Kind::Choice(&["edge"]), min: 1, max: 16 },
            "[\"edge\"]",
            "What the node does.",
        ),
        required(
            "listen",
            Kind::List { of: &Kind::Listen, min: 1, max: LISTEN_MAX },
            "[\"0.0.0.0:53\", \"[::]:53\"]",
            "Addresses that answer DNS, over UDP and TCP. With port 0 the system chooses; `parapet status` tells.",
        ),
        item("state_dir", Kind::Path, "\"/var/lib/parapet\"", "The folder that keeps zones across restarts."),
        optional(
            "control",
            Kind::Path,
            "\"/run/parapet/control.sock\"",
            "The Unix socket of `parapet status` and `parapet zones`. Without it: control.sock in state_dir.",
        ),
        optional("metrics", Kind::Listen, "\"127.0.0.1:9153\"", "Where Prometheus metrics are served, at /metrics."),
        item(
            "workers",
            Kind::Integer { min: 0, max: WORKERS_MAX },
            "0",
            "Threads that answer over UDP, each with a socket of its own. 0 means one per core.",
        ),
        optional(
            "user",
            Kind::Text { bytes_max: 32 },
            "\"parapet\"",
            "The user to become once the sockets are bound, when started as root.",
        ),
        item(
            "upstream",
            Kind::List { of: &Kind::Reference(NODE), min: 0, max: UPSTREAMS_MAX },
            "[]",
            "Nodes that this one takes its zones from, in this order, so that not every node asks the origins: a \
             distribution tree. They need a `node_key` in [network]. Zones that are filled on demand go on asking their \
             own origins.",
        ),
        item(
            "upstream_fallback",
            Kind::Bool,
            "true",
            "Whether the zones' own origins are asked when no upstream helps.",
        ),
        optional(
            "transfer_addresses",
            Kind::List { of: &Kind::Address { port: DNS_PORT }, min: 1, max: ORIGINS_PER_ZONE_MAX },
            "[\"192.0.2.1\"]",
            "Where other nodes reach this one for transfers and NOTIFY, at addresses of its own: nothing that it shares \
             with other nodes by anycast. Without it: the addresses of `listen` that are no wildcards.",
        ),
        item(
            "delay_s",
            Kind::Integer { min: 0, max: YEAR_S },
            "0",
            "Deliberately delayed input: new zones and a new network file count on this node so much later than on \
             others, so that it still answers when a bad one has made the others fail. 0 means at once.",
        ),
        item("log", Kind::Choice(&["text", "json"]), "\"text\"", "The form of the log on standard error."),
    ],
    tables: &[
        single(
            "identity",
            "What the node tells about itself; what is left out is not told.",
            &[
                optional(
                    "nsid",
                    Kind::Text { bytes_max: 128 },
                    "\"ams-1\"",
                    "NSID (RFC 5001), for clients that ask for it.",
                ),
                optional(
                    "id_server",
                    Kind::Text { bytes_max: 255 },
                    "\"ams-1\"",
                    "The answer to id.server and hostname.bind in class CHAOS (RFC 4892).",
                ),
                optional(
                    "version_bind",
                    Kind::Text { bytes_max: 255 },
                    "\"parapet\"",
                    "The answer to version.bind and version.server in class CHAOS.",
                ),
            ],
        ),
        single(
            "limits",
            "What clients can take.",
            &[
                item(
                    "udp_payload_bytes_max",
                    Kind::Integer { min: 512, max: 4096 },
                    "1232",
                    "Largest answer over UDP; what is larger is truncated and asked for again over TCP.",
                ),
                item(
                    "tcp_connections_max",
                    Kind::Integer { min: 1, max: 1_000_000 },
                    "4096",
                    "TCP connections at one time.",
                ),
                item(
                    "tcp_connections_per_client_max",
                    Kind::Integer { min: 1, max: 1_000_000 },
                    "64",
                    "TCP connections of one client address at one time.",
                ),
                item(
                    "tcp_idle_ms",
                    Kind::Integer { min: 100, max: 600_000 },
                    "10000",
                    "A TCP connection without a query is closed after this; clients are told so (RFC 7828).",
                ),
                item(
                    "tcp_receive_ms_max",
                    Kind::Integer { min: 100, max: 60_000 },
                    "5000",
                    "A query that takes longer to arrive, from its first byte to its last, ends its connection.",
                ),
                item(
                    "tcp_send_ms_max",
                    Kind::Integer { min: 100, max: 60_000 },
                    "5000",
                    "A client that does not take its answers within this is dropped.",
                ),
                item(
                    "cache_bytes_max",
                    Kind::Integer { min: 1 << 20, max: 1 << 44 },
                    "268435456",
                    "Memory for the answers of all zones that are filled on demand.",
                ),
            ],
        ),
        optional_single(
            "api",
            "The HTTP API for `parapet purge --all`, `parapet zones --all` and the like. Only with this table is there one.",
            &[
                required(
                    "listen",
                    Kind::Listen,
                    "\"192.0.2.1:8053\"",
                    "Where it listens. Keep it off the addresses that the world reaches.",
                ),
                required(
                    "token_file",
                    Kind::Path,
                    "\"/etc/parapet/api.token\"",
                    "A file with the token that requests must show, at least 32 characters, as `openssl rand -hex 32` \
                     makes it.",
                ),
                optional(
                    "certificate",
                    Kind::Path,
                    "\"/etc/parapet/api.crt\"",
                    "A certificate chain in PEM. With it and `key_file` the API speaks TLS.",
                ),
                optional("key_file", Kind::Path, "\"/etc/parapet/api.pem\"", "The certificate's private key in PEM."),
                optional(
                    "ca_file",
                    Kind::Path,
                    "\"/etc/parapet/ca.crt\"",
                    "The certificates in PEM that clients trust when they connect to it. Without it: `certificate`.",
                ),
                optional(
                    "url",
                    Kind::Url,
                    "\"https://192.0.2.1:8053\"",
                    "How others reach it. Without it: http://, or https:// with a certificate, and `listen`.",
                ),
            ],
        ),
        LANES,
        DEFENCES,
        NODE_ANYCAST,
    ],
};
