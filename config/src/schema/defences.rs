//! `[node.NAME.defences]`: what a node does against floods.

use super::{Item, Kind, Naming, PREFIXES_MAX, RATE_MAX, Table, YEAR_S, item, optional, single};

/// How far defences go, as the file has it.
const MODE: Kind = Kind::Choice(&["off", "observe", "on"]);
/// Queries or answers in a second.
const RATE: Kind = Kind::Integer { min: 1, max: RATE_MAX };
/// A multiple of the normal rate.
const THRESHOLD: Kind = Kind::Integer { min: 2, max: 1_000_000 };
const PREFIXES: Kind = Kind::List { of: &Kind::Prefix, min: 0, max: PREFIXES_MAX };

/// `[node.NAME.defences]`
pub(super) const DEFENCES: Table = Table {
    name: "defences",
    naming: Naming::Single,
    example: "",
    about: "What the node does against floods. Scores, not walls: what the filters find bad is left out first where there is \
            more than can be answered. All of it can be changed while the node runs.",
    items: &[
        item(
            "mode",
            MODE,
            "\"on\"",
            "How far any filter may go. observe: all is counted as it would be, and everybody is answered. `filters` below \
             has the same for each of them.",
        ),
        item("allow", PREFIXES, "[]", "Sources that are never limited. Origins and other nodes never are."),
        item("block", PREFIXES, "[]", "Sources that are never answered, unless `allow` has them."),
        item("known_good", PREFIXES, "[]", "Sources that are known to be good, whatever was learned of them."),
        optional(
            "normal_per_s",
            RATE,
            "20000",
            "Queries in a second that are normal for the node. Without it: what was learned.",
        ),
        item("normal_per_s_min", RATE, "1000", "What was learned counts as at least this many."),
        item(
            "miss_threshold",
            THRESHOLD,
            "20",
            "Above so many times the normal rate, what is not at hand is filtered: of a zone that is filled on demand, only \
             known-good sources are asked for at the origin, and few.",
        ),
        item(
            "random_source_threshold",
            THRESHOLD,
            "50",
            "Above so many times the normal rate, and while most sources were never seen before, only known-good sources \
             are answered; others must prove their address, over TCP or with a cookie.",
        ),
        item(
            "client_per_s",
            RATE,
            "200",
            "Queries that one source may send (IPv4 address, IPv6 /64). More than 250000 a second is no limit.",
        ),
        item(
            "prefix_per_s",
            RATE,
            "1000",
            "Queries that one prefix may send over UDP without a cookie. More than 250000 a second is no limit.",
        ),
        item(
            "known_good_factor",
            Kind::Integer { min: 1, max: 10_000 },
            "10",
            "A known-good source may send so many times what others may.",
        ),
        item(
            "ipv4_prefix",
            Kind::Integer { min: 8, max: 32 },
            "24",
            "Length of the prefix that IPv4 sources share a budget by.",
        ),
        item("ipv6_prefix", Kind::Integer { min: 16, max: 64 }, "56", "The same of IPv6 sources."),
        item(
            "repeats_per_s",
            RATE,
            "10",
            "Queries by which one source may ask again for what it was told, within the TTL it was told.",
        ),
        item(
            "known_good_after_s",
            Kind::Integer { min: 1, max: YEAR_S },
            "600",
            "How long a source must behave well until it is known good.",
        ),
        item(
            "known_good_lifetime_s",
            Kind::Integer { min: 1, max: YEAR_S },
            "2592000",
            "A known-good source that is not heard of for so long is forgotten.",
        ),
        item(
            "random_names_per_s",
            RATE,
            "100",
            "So many different names that do not exist, below one suffix, count as random names.",
        ),
        item(
            "responses_per_s",
            RATE,
            "50",
            "Answers of one kind that one prefix gets over UDP without a cookie, so that nobody is reflected at; of all kinds \
             together twenty times as many, if it is not known to be good. More than 250000 a second is no limit.",
        ),
        item(
            "slip",
            Kind::Integer { min: 0, max: 10 },
            "2",
            "Every so many of the answers above that is sent truncated, so that a real client asks again over TCP; 0: none.",
        ),
        item(
            "stream_cpu_percent",
            Kind::Integer { min: 1, max: 100 },
            "30",
            "The part of its core's time that TCP may take while UDP has more than it can answer.",
        ),
        item(
            "quarantine_s",
            Kind::Integer { min: 1, max: YEAR_S },
            "600",
            "How long the like of a query that crashed or hung an answer is dropped.",
        ),
    ],
    tables: &[single("filters", "How far each filter may go, at most as far as `mode` above.", &FILTERS)],
};

/// Named as in [`crate::Filter`], in its order; a test compares.
const FILTERS: [Item; 11] = [
    filter("blocked", "Sources of `block`."),
    filter("query-of-death", "What is like a query that crashed or hung an answer."),
    filter("malformed", "What cannot be read."),
    filter("client", "Sources above `client_per_s`."),
    filter("prefix", "Prefixes above `prefix_per_s`."),
    filter("repetition", "Sources above `repeats_per_s`."),
    filter("unknown-source", "Sources that are not known good, above `random_source_threshold`."),
    filter("miss", "What is not at hand, above `miss_threshold`."),
    filter("random-name", "Names that do not exist, below a suffix with more than `random_names_per_s`."),
    filter("response-rate", "Answers above `responses_per_s`."),
    filter("stream", "TCP connections that cost more than others, above `stream_cpu_percent`."),
];

const fn filter(name: &'static str, about: &'static str) -> Item {
    item(name, MODE, "\"on\"", about)
}
