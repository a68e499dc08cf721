//! `[zone."NAME"]`, and `[template.NAME]` for the zones that catalogs bring.

use super::{
    CHECKS_MAX, Item, Kind, Naming, ORIGIN, ORIGINS_PER_ZONE_MAX, RATE_MAX, TEMPLATE, TRUST_ANCHORS_MAX, Table, YEAR_S,
    item, optional, required, single,
};

/// `[zone."NAME"]`
pub static ZONE: Table = Table {
    name: "zone",
    naming: Naming::DomainName,
    example: "example.com",
    about: "A zone that the edges answer for. What several zones have in common may stand in [defaults.zone].",
    items: &[
        required(
            "origins",
            Kind::List { of: &Kind::Reference(ORIGIN), min: 1, max: ORIGINS_PER_ZONE_MAX },
            "[\"bind-1\"]",
            "The origins it is fetched from; the first that works is taken.",
        ),
        item(
            "mode",
            Kind::Choice(&["push", "pull", "on-demand"]),
            "\"push\"",
            "How it is filled. push: a full copy, fetched at once on NOTIFY, with the SOA's timers as the safety net. \
             pull: a full copy, fetched at an interval; no NOTIFY needed. on-demand: a cache of what was asked for, where \
             the origin allows no transfers.",
        ),
        item(
            "pull_interval_s",
            Kind::Integer { min: 1, max: YEAR_S },
            "300",
            "In mode \"pull\": time between two fetches; one is a query for the SOA unless the zone changed.",
        ),
        IXFR,
        item(
            "on_expire",
            Kind::Choice(&["servfail", "serve"]),
            "\"servfail\"",
            "What is answered once the copy has expired: SERVFAIL, or the last copy (RFC 8767).",
        ),
        ZONEMD,
        item(
            "fresh_s_max",
            Kind::Integer { min: 0, max: YEAR_S },
            "0",
            "A copy that no origin has confirmed for so long makes a node with anycast want to leave; 0 means never. An \
             expired copy always does.",
        ),
        item(
            "checks",
            Kind::List { of: &Kind::ZoneCheck, min: 0, max: CHECKS_MAX },
            "[]",
            "What a node with anycast asks its own sockets, beside the SOA, to know that it answers correctly: a name \
             (below the zone, or with a dot at its end), A or AAAA, and an address that must be in the answer.",
        ),
        optional(
            "normal_per_s",
            Kind::Integer { min: 1, max: RATE_MAX },
            "5000",
            "Queries in a second that are normal for the zone at one node, for the thresholds of its defences. Without it: \
             what the node has learned.",
        ),
    ],
    tables: &[
        TIMERS,
        TRANSFER,
        single(
            "dnssec",
            "What is verified of a signed zone before it is served.",
            &[
                item(
                    "validate",
                    Kind::Bool,
                    "false",
                    "Whether the signatures of a new copy are verified; one that is broken or has expired keeps the last \
                     good copy in service.",
                ),
                item(
                    "expiry_margin_s",
                    Kind::Integer { min: 0, max: YEAR_S },
                    "86400",
                    "Signatures that expire sooner than this are reported.",
                ),
                item(
                    "trust_anchors",
                    Kind::List { of: &Kind::TrustAnchor, min: 0, max: TRUST_ANCHORS_MAX },
                    "[]",
                    "DS records that the zone's keys must match: key tag, algorithm, digest type and digest. Without any, \
                     the zone's own DNSKEY records are believed.",
                ),
            ],
        ),
        ON_DEMAND,
    ],
};

/// Whether differences are asked for.
pub(super) const IXFR: Item =
    item("ixfr", Kind::Bool, "true", "Whether differences (IXFR) are asked for, rather than the whole zone each time.");

/// Whether a zone's digest is verified.
pub(super) const ZONEMD: Item = item(
    "zonemd",
    Kind::Choice(&["off", "verify", "require"]),
    "\"verify\"",
    "Whether the zone's digest (ZONEMD, RFC 8976) is verified before a new copy is served: never, where it has one, or \
     always, so that a copy without one is not taken.",
);

/// Clamps on the timers of an SOA record.
pub(super) const TIMERS: Table = single(
    "timers",
    "Clamps on the timers of the zone's SOA record.",
    &[
        item("refresh_s_min", Kind::Integer { min: 1, max: YEAR_S }, "30", "Least time between two SOA queries."),
        item("refresh_s_max", Kind::Integer { min: 1, max: YEAR_S }, "86400", "Most time between two SOA queries."),
        item("retry_s_min", Kind::Integer { min: 1, max: YEAR_S }, "5", "Least time after a failed attempt."),
        item("retry_s_max", Kind::Integer { min: 1, max: YEAR_S }, "3600", "Most time after a failed attempt."),
        item("expire_s_min", Kind::Integer { min: 1, max: YEAR_S }, "600", "Least time until a copy expires."),
        item("expire_s_max", Kind::Integer { min: 1, max: YEAR_S }, "2419200", "Most time until a copy expires."),
        item(
            "jitter_percent",
            Kind::Integer { min: 0, max: 50 },
            "10",
            "Refresh and retry come up to this much earlier, so that zones don't move in step.",
        ),
    ],
);

/// Bounds on a transfer.
pub(super) const TRANSFER: Table = single(
    "transfer",
    "Bounds on one zone transfer; what goes beyond is broken off and changes nothing.",
    &[
        item("records_max", Kind::Integer { min: 1, max: 1_000_000_000 }, "20000000", "Records in the zone."),
        item("bytes_max", Kind::Integer { min: 512, max: 1 << 40 }, "4294967296", "Bytes received."),
        item("duration_s_max", Kind::Integer { min: 1, max: 86_400 }, "3600", "The whole transfer."),
        item("idle_s_max", Kind::Integer { min: 1, max: 3600 }, "30", "Silence of the origin within a transfer."),
    ],
);

/// What is asked of an origin that does not let its zones be transferred.
const ON_DEMAND: Table = single(
    "on_demand",
    "For zones in mode \"on-demand\".",
    &[
        item(
            "misses_per_s_max",
            Kind::Integer { min: 1, max: 1_000_000 },
            "200",
            "Questions to the zone's origins in a second; what goes beyond is answered from stale data or SERVFAIL.",
        ),
        item(
            "misses_in_flight_max",
            Kind::Integer { min: 1, max: 65_536 },
            "256",
            "Questions to the zone's origins at one time.",
        ),
        item(
            "clients_waiting_max",
            Kind::Integer { min: 1, max: 1_000_000 },
            "4096",
            "Clients that wait for the zone's origins at one time.",
        ),
        item("ttl_s_max", Kind::Integer { min: 1, max: YEAR_S }, "86400", "Longest time that an answer is kept."),
        item(
            "negative_ttl_s_max",
            Kind::Integer { min: 1, max: YEAR_S },
            "10800",
            "Longest time that a name or type is remembered not to exist (RFC 2308).",
        ),
        item(
            "stale_s_max",
            Kind::Integer { min: 0, max: YEAR_S },
            "86400",
            "How long after its TTL an answer still serves when no origin answers (RFC 8767); 0 means never.",
        ),
        item("stale_ttl_s", Kind::Integer { min: 1, max: 3600 }, "30", "The TTL of such an answer."),
        item(
            "client_wait_ms",
            Kind::Integer { min: 50, max: 30_000 },
            "1800",
            "How long a client waits for an origin before it gets a stale answer, or SERVFAIL.",
        ),
        item(
            "origin_timeout_ms",
            Kind::Integer { min: 50, max: 10_000 },
            "800",
            "How long one question to one address may take before the next is asked.",
        ),
        item("prefetch", Kind::Bool, "true", "Whether answers in demand are asked for again before they expire."),
        item(
            "synthesise",
            Kind::Bool,
            "true",
            "Whether the NSEC records of a signed zone answer for names that they prove not to exist (RFC 8198).",
        ),
        item(
            "case_randomisation",
            Kind::Bool,
            "true",
            "Whether questions have letters in random case, which a forged answer must guess.",
        ),
        item(
            "whole_records_max",
            Kind::Integer { min: 0, max: 1_000_000_000 },
            "0",
            "If not 0: the first miss also fetches the whole zone, where the origin allows it and it has at most so many \
             records.",
        ),
    ],
);

/// `[template.NAME]`
pub static TEMPLATE_TABLE: Table = Table {
    name: TEMPLATE,
    naming: Naming::Label,
    example: "bulk",
    about: "[template.NAME] holds what the members of a catalog have in common. It has the items of [zone]; without \
            origins, members have their catalog's.",
    items: ZONE.items,
    tables: ZONE.tables,
};
