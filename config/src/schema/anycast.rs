//! `[anycast.NAME]`: what nodes have in common; and `[node.NAME.anycast]`: what one announces, and to whom.

use super::{
    ANYCAST, BGP_PORT, COMMUNITIES_MAX, FLEET_PORT, Item, Kind, LISTEN_MAX, Naming, SERVICES_MAX, Table, item,
    optional, optional_single, required, single,
};

/// Least and greatest number of an autonomous system; 0 and the last are reserved (RFC 7607, RFC 7300).
const AS_NUMBER: Kind = Kind::Integer { min: 1, max: u32::MAX as u64 - 1 };
/// Services of one node; addresses and prefixes of one service.
const A_FEW: u64 = SERVICES_MAX;
/// Longest wait that can be asked for before a node is gone.
const LEAVE_MS_MAX: u64 = 600_000;

/// `[anycast.NAME]`
pub static SERVICE_TABLE: Table = Table {
    name: ANYCAST,
    naming: Naming::Label,
    example: "dns",
    about: "An anycast service: addresses that several nodes have in common, and the prefixes that they announce by BGP \
            so that clients reach the nearest of them. [node.NAME.anycast] says who announces it.",
    items: &[
        required(
            "prefixes",
            Kind::List { of: &Kind::Prefix, min: 1, max: A_FEW },
            "[\"203.0.113.0/24\", \"2001:db8:53::/48\"]",
            "What its nodes announce. The world takes nothing longer than /24 and /48.",
        ),
        required(
            "addresses",
            Kind::List { of: &Kind::Ip, min: 1, max: A_FEW },
            "[\"203.0.113.53\", \"2001:db8:53::53\"]",
            "The addresses within its prefixes that answer. Its nodes listen at them, and put them on the interface lo.",
        ),
        item(
            "nodes_min",
            Kind::Integer { min: 0, max: 1024 },
            "1",
            "How many other nodes must go on announcing it when one would leave for a soft reason, such as a stale zone; \
             with fewer, it stays and announces a worse route.",
        ),
    ],
    tables: &[],
};

/// `[node.NAME.anycast]`
pub(super) const NODE_ANYCAST: Table = Table {
    tables: &[
        single("up", "The routes of the node while it is well.", &UP),
        single("degraded", "The same while it answers, but others should be preferred.", &DEGRADED),
        NEIGHBOUR,
    ],
    ..optional_single(
        ANYCAST,
        "The routes that the node announces by BGP while it can answer. Only with this table is there BGP.",
        &[
            required(
                "services",
                Kind::List { of: &Kind::Reference(ANYCAST), min: 1, max: A_FEW },
                "[\"dns\"]",
                "What it announces.",
            ),
            required("as", AS_NUMBER, "64512", "Its autonomous system."),
            required(
                "router_id",
                Kind::Ipv4,
                "\"192.0.2.1\"",
                "Its BGP identifier: an IPv4 address that no other node has.",
            ),
            item(
                "listen",
                Kind::List { of: &Kind::Listen, min: 0, max: LISTEN_MAX },
                "[]",
                "Where routers may open sessions, such as \"192.0.2.1:179\". Without any, the node opens all itself.",
            ),
            item(
                "manage_addresses",
                Kind::Bool,
                "true",
                "Whether it puts the addresses of its services on lo, and takes away what it put there.",
            ),
            item(
                "check_interval_ms",
                Kind::Integer { min: 20, max: 60_000 },
                "200",
                "Time between two looks at the node's health.",
            ),
            item("rise", Kind::Integer { min: 1, max: 100 }, "3", "Good looks in a row until it announces."),
            item(
                "fall",
                Kind::Integer { min: 1, max: 100 },
                "3",
                "Bad looks in a row until it stops. What leaves no doubt, such as dead lanes, counts at once.",
            ),
            item(
                "hold_down_s_max",
                Kind::Integer { min: 0, max: 86_400 },
                "60",
                "A node that comes and goes waits twice as long each time before it comes again, at most so long.",
            ),
            item(
                "graceful_shutdown_ms",
                Kind::Integer { min: 0, max: LEAVE_MS_MAX },
                "500",
                "How long routes carry the community GRACEFUL_SHUTDOWN (RFC 8326) before they are withdrawn on purpose; 0 \
                 means not at all.",
            ),
            item(
                "drain_ms",
                Kind::Integer { min: 0, max: LEAVE_MS_MAX },
                "3000",
                "How long the node goes on answering after its routes are withdrawn, when it stops.",
            ),
            optional(
                "fleet",
                Kind::Address { port: FLEET_PORT },
                "\"192.0.2.1:8179\"",
                "Where it hears from other nodes how they are (UDP), at an address of its own, so that not all leave at \
                 once. They need a `node_key` in [network].",
            ),
        ],
    )
};

const UP: [Item; 5] = attributes(
    optional(
        "med",
        Kind::Integer { min: 0, max: u32::MAX as u64 },
        "0",
        "MULTI_EXIT_DISC: the lower, the better. Without it none is sent; a node with `delay_s` sends 100.",
    ),
    item(
        "prepend",
        Kind::Integer { min: 0, max: 16 },
        "0",
        "How many times more than once the own AS stands in AS_PATH. On a node with `delay_s` and without `med`: 1.",
    ),
);

const DEGRADED: [Item; 5] = attributes(
    item("med", Kind::Integer { min: 0, max: u32::MAX as u64 }, "1000", "MULTI_EXIT_DISC: the lower, the better."),
    item(
        "prepend",
        Kind::Integer { min: 0, max: 16 },
        "3",
        "How many times more than once the own AS stands in AS_PATH.",
    ),
);

const fn attributes(med: Item, prepend: Item) -> [Item; 5] {
    [
        med,
        prepend,
        item(
            "communities",
            Kind::List { of: &Kind::Community, min: 0, max: COMMUNITIES_MAX },
            "[]",
            "Communities (RFC 1997).",
        ),
        item(
            "large_communities",
            Kind::List { of: &Kind::LargeCommunity, min: 0, max: COMMUNITIES_MAX },
            "[]",
            "Large communities (RFC 8092).",
        ),
        item(
            "extended_communities",
            Kind::List { of: &Kind::ExtendedCommunity, min: 0, max: COMMUNITIES_MAX },
            "[]",
            "Extended communities (RFC 4360).",
        ),
    ]
}

/// `[node.NAME.anycast.neighbour.NAME]`
const NEIGHBOUR: Table = Table {
    name: "neighbour",
    naming: Naming::Label,
    example: "r1",
    about: "A router that the routes are announced to.",
    items: &[
        required(
            "address",
            Kind::Address { port: BGP_PORT },
            "\"192.0.2.254\"",
            "Where it is. An incoming session is known by its address.",
        ),
        required("as", AS_NUMBER, "64501", "Its autonomous system."),
        optional("source", Kind::Ip, "\"192.0.2.1\"", "The address that the node uses towards it."),
        item("passive", Kind::Bool, "false", "Whether the node waits for it to connect, and never does so itself."),
        optional(
            "password_file",
            Kind::Path,
            "\"/etc/parapet/r1.password\"",
            "A file with the session's password (TCP MD5, RFC 2385).",
        ),
        item(
            "hops_max",
            Kind::Integer { min: 1, max: 255 },
            "1",
            "How many hops it may be away; 1 means on the same link.",
        ),
        item(
            "ttl_security",
            Kind::Bool,
            "true",
            "Whether packets from farther away are dropped (GTSM, RFC 5082). The router must send with TTL 255 too.",
        ),
        item(
            "hold_time_s",
            Kind::Integer { min: 3, max: 65_535 },
            "9",
            "A router that is silent for so long is taken as gone; the lower of both sides' counts.",
        ),
        item(
            "connect_retry_ms",
            Kind::Integer { min: 50, max: 300_000 },
            "1000",
            "Time after a failed attempt until the next.",
        ),
        item(
            "families",
            Kind::List { of: &Kind::Choice(&["ipv4", "ipv6"]), min: 1, max: 2 },
            "[\"ipv4\", \"ipv6\"]",
            "What is announced to it.",
        ),
        item(
            "extended_next_hop",
            Kind::Bool,
            "false",
            "Whether IPv4 routes go with an IPv6 next hop (RFC 8950), on a session over IPv6.",
        ),
        optional(
            "next_hop_ipv4",
            Kind::Ipv4,
            "\"192.0.2.1\"",
            "The next hop of IPv4 routes. Without it: the node's own address on the session, or on its interface.",
        ),
        optional("next_hop_ipv6", Kind::Ipv6, "\"2001:db8::1\"", "The same of IPv6 routes."),
        item(
            "graceful_restart_s",
            Kind::Integer { min: 0, max: 4095 },
            "0",
            "How long it is asked to keep the routes while the daemon restarts (RFC 4724); 0 means not at all. Routes that \
             are withdrawn for the node's health are never kept.",
        ),
        item(
            "routes_kept_max",
            Kind::Integer { min: 0, max: 1_000_000 },
            "1000",
            "Routes of it that are kept for `parapet anycast routes`. None is ever installed.",
        ),
    ],
    tables: &[optional_single(
        "bfd",
        "Bidirectional forwarding detection (RFC 5880, RFC 5881) with it, which notices a dead link or a frozen machine \
         in interval × multiplier. Only with this table; it may be empty.",
        &[
            item(
                "interval_ms",
                Kind::Integer { min: 10, max: 10_000 },
                "50",
                "Time between two packets, as far as the router agrees.",
            ),
            item(
                "multiplier",
                Kind::Integer { min: 2, max: 255 },
                "3",
                "So many packets must be missing until the other side is taken as gone.",
            ),
        ],
    )],
};
