//! `[origin.NAME]`: the hidden primaries.

use super::{
    KEY, Kind, Naming, ORIGIN, ORIGINS_PER_ZONE_MAX, PINS_MAX, PREFIXES_MAX, Table, item, optional, optional_single,
    required,
};
use crate::value::DNS_PORT;

/// `[origin.NAME]`
pub static ORIGIN_TABLE: Table = Table {
    name: ORIGIN,
    naming: Naming::Label,
    example: "bind-1",
    about: "A hidden primary: the BIND, Knot, NSD or PowerDNS that has the zones.",
    items: &[
        required(
            "addresses",
            Kind::List { of: &Kind::Address { port: DNS_PORT }, min: 1, max: ORIGINS_PER_ZONE_MAX },
            "[\"192.0.2.53\", \"[2001:db8::53]:53\"]",
            "Where it answers, tried in this order. Where no port is given it is 53, or 853 with [origin.NAME.tls].",
        ),
        optional("key", Kind::Reference(KEY), "\"transfer\"", "The key that signs requests to it."),
        optional("source_v4", Kind::Ipv4, "\"192.0.2.1\"", "The address that requests over IPv4 leave from."),
        optional("source_v6", Kind::Ipv6, "\"2001:db8::1\"", "The address that requests over IPv6 leave from."),
        optional(
            "notify_from",
            Kind::List { of: &Kind::Prefix, min: 0, max: PREFIXES_MAX },
            "[\"192.0.2.0/24\"]",
            "Who may send NOTIFY for its zones. Without it: its addresses.",
        ),
        item("notify_key_required", Kind::Bool, "false", "Whether NOTIFY must also be signed with `key`."),
        item(
            "cookies",
            Kind::Bool,
            "true",
            "Whether it is sent DNS cookies (RFC 7873) with the questions of zones that are filled on demand.",
        ),
    ],
    tables: &[optional_single(
        "tls",
        "Transfers and SOA queries over TLS (RFC 9103). Only with this table; it may be empty, then the origin's \
         certificate must be good for its address in the eyes of the system's authorities.",
        &[
            optional(
                "server_name",
                Kind::Text { bytes_max: 253 },
                "\"ns1.example.com\"",
                "The name that its certificate must have. Without it: its address.",
            ),
            optional(
                "ca_file",
                Kind::Path,
                "\"/etc/parapet/ca.crt\"",
                "The authorities in PEM that may sign its certificate. Without it: the system's.",
            ),
            item(
                "pins_sha256",
                Kind::List { of: &Kind::Pin, min: 0, max: PINS_MAX },
                "[]",
                "SHA-256 of the public keys (SPKI) that its certificate may have. With pins, no authority is asked.",
            ),
            optional(
                "certificate",
                Kind::Path,
                "\"/etc/parapet/edge.crt\"",
                "A certificate chain in PEM that shows the origin who asks; with `key_file`.",
            ),
            optional("key_file", Kind::Path, "\"/etc/parapet/edge.pem\"", "That certificate's private key in PEM."),
        ],
    )],
};
