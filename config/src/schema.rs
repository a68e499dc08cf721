//! The schema: every table and item of the network file with its type, range, default, unit and a sentence.
//!
//! The reader, the checks and the commented default file all follow from these tables; a new item is added here first.

use crate::model::KeyAlgorithm;

/// Names of the tables, for references between them.
pub(crate) const KEY: &str = "key";
pub(crate) const ORIGIN: &str = "origin";

/// Zones of one file.
pub const ZONES_MAX: u64 = 1_000_000;
/// Origins of one zone, and addresses of one origin.
pub const ORIGINS_PER_ZONE_MAX: u64 = 16;
/// Entries of one access list.
pub const PREFIXES_MAX: u64 = 1024;
/// Addresses that one node answers at.
pub const LISTEN_MAX: u64 = 256;
/// UDP lanes of one node.
pub const WORKERS_MAX: u64 = 1024;

const YEAR_S: u64 = 365 * 24 * 3600;

/// The type and range of an item's value.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within a range.
    Integer {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// Printable text.
    Text {
        /// Most bytes.
        bytes_max: usize,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A file or folder; a relative one starts at the folder of the network file.
    Path,
    /// A TSIG secret in base64.
    Secret,
    /// A cookie secret: 128 bits in 32 hexadecimal digits.
    CookieSecret,
    /// An address and port to listen on.
    Listen,
    /// An address to ask, with port 53 if none is given.
    Address,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// An address prefix.
    Prefix,
    /// The name of something in another table.
    Reference(&'static str),
    /// Several values of one kind.
    List {
        /// The kind of each.
        of: &'static Kind,
        /// Fewest.
        min: u64,
        /// Most.
        max: u64,
    },
}

/// Whether an item must be there, and what holds when it isn't. Values are TOML.
#[derive(Clone, Copy, Debug)]
pub enum Presence {
    /// It must be there; an example for the default file.
    Required(&'static str),
    /// Without it nothing is set; an example for the default file.
    Optional(&'static str),
    /// Without it this value holds.
    Default(&'static str),
}

/// One item of a table.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Its key.
    pub name: &'static str,
    /// Its type and range.
    pub kind: Kind,
    /// Whether it must be there.
    pub presence: Presence,
    /// What it is for, in a sentence.
    pub about: &'static str,
}

/// How the entries of a table of tables are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The table stands for itself.
    Single,
    /// `[table.NAME]` with a name of letters, digits, `.`, `-` and `_`.
    Label,
    /// `[table."NAME"]` with a domain name.
    DomainName,
}

/// A table of the file.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its key.
    pub name: &'static str,
    /// How its entries are named.
    pub naming: Naming,
    /// An entry's name, for the default file.
    pub example: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its items.
    pub items: &'static [Item],
    /// The tables within it.
    pub tables: &'static [Table],
}

const fn required(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Item {
    Item { name, kind, presence: Presence::Required(example), about }
}

const fn optional(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Item {
    Item { name, kind, presence: Presence::Optional(example), about }
}

const fn item(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Item {
    Item { name, kind, presence: Presence::Default(default), about }
}

const fn single(name: &'static str, about: &'static str, items: &'static [Item]) -> Table {
    Table { name, naming: Naming::Single, example: "", about, items, tables: &[] }
}

/// `[network]`
pub static NETWORK: Table = single(
    "network",
    "What all machines share.",
    &[
        item("name", Kind::Text { bytes_max: 64 }, "\"parapet\"", "The network's name, for people."),
        item(
            "cookie_secrets",
            Kind::List { of: &Kind::CookieSecret, min: 0, max: 2 },
            "[]",
            "Secrets of the DNS cookies (RFC 9018), shared by all edges: the first makes new cookies, a second is still \
             accepted. To roll over, put the new one in front. Without any, each node makes up its own when it starts.",
        ),
        item(
            "cookie_secret_files",
            Kind::List { of: &Kind::Path, min: 0, max: 2 },
            "[]",
            "The same, each in a file of its own.",
        ),
        item(
            "cookies_required",
            Kind::Bool,
            "false",
            "Whether clients that speak cookies must show a valid one before they are answered over UDP (RFC 7873 §5.2.3).",
        ),
    ],
);

/// `[node.NAME]`
pub static NODE: Table = Table {
    name: "node",
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
        item("lanes", Kind::Choice(&["sockets"]), "\"sockets\"", "How datagrams are received and sent."),
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
            ],
        ),
    ],
};

/// `[key.NAME]`
pub static KEY_TABLE: Table = Table {
    name: KEY,
    naming: Naming::DomainName,
    example: "transfer",
    about: "A TSIG key (RFC 8945). Its secret stands in one of `key_file` (as `tsig-keygen` prints it, which also gives \
            the key's name and algorithm), `secret_file` (base64 alone) or `secret`. Files should be readable by \
            Parapet alone.",
    items: &[
        optional("key_file", Kind::Path, "\"/etc/parapet/transfer.key\"", "A file made by `tsig-keygen transfer`."),
        optional("algorithm", Kind::Choice(KeyAlgorithm::NAMES), "\"hmac-sha256\"", "Without it: hmac-sha256."),
        optional("secret_file", Kind::Path, "\"/etc/parapet/transfer.secret\"", "A file with the secret in base64."),
        optional("secret", Kind::Secret, "\"bm90IGEgc2VjcmV0IGF0IGFsbCwganVzdCBiYXNlNjQ=\"", "The secret in base64."),
    ],
    tables: &[],
};

/// `[origin.NAME]`
pub static ORIGIN_TABLE: Table = Table {
    name: ORIGIN,
    naming: Naming::Label,
    example: "bind-1",
    about: "A hidden primary: the BIND, Knot, NSD or PowerDNS that has the zones.",
    items: &[
        required(
            "addresses",
            Kind::List { of: &Kind::Address, min: 1, max: ORIGINS_PER_ZONE_MAX },
            "[\"192.0.2.53\", \"[2001:db8::53]:53\"]",
            "Where it answers, tried in this order. The port is 53 where none is given.",
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
    ],
    tables: &[],
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
            Kind::Choice(&["push"]),
            "\"push\"",
            "How it is kept equal to its origin: a full copy, fetched at once on NOTIFY, with the SOA's timers as the \
             safety net.",
        ),
        item(
            "ixfr",
            Kind::Bool,
            "true",
            "Whether differences (IXFR) are asked for, rather than the whole zone each time.",
        ),
        item(
            "on_expire",
            Kind::Choice(&["servfail", "serve"]),
            "\"servfail\"",
            "What is answered once the copy has expired: SERVFAIL, or the last copy (RFC 8767).",
        ),
    ],
    tables: &[
        single(
            "timers",
            "Clamps on the timers of the zone's SOA record.",
            &[
                item(
                    "refresh_s_min",
                    Kind::Integer { min: 1, max: YEAR_S },
                    "30",
                    "Least time between two SOA queries.",
                ),
                item(
                    "refresh_s_max",
                    Kind::Integer { min: 1, max: YEAR_S },
                    "86400",
                    "Most time between two SOA queries.",
                ),
                item("retry_s_min", Kind::Integer { min: 1, max: YEAR_S }, "5", "Least time after a failed attempt."),
                item("retry_s_max", Kind::Integer { min: 1, max: YEAR_S }, "3600", "Most time after a failed attempt."),
                item("expire_s_min", Kind::Integer { min: 1, max: YEAR_S }, "600", "Least time until a copy expires."),
                item(
                    "expire_s_max",
                    Kind::Integer { min: 1, max: YEAR_S },
                    "2419200",
                    "Most time until a copy expires.",
                ),
                item(
                    "jitter_percent",
                    Kind::Integer { min: 0, max: 50 },
                    "10",
                    "Refresh and retry come up to this much earlier, so that zones don't move in step.",
                ),
            ],
        ),
        single(
            "transfer",
            "Bounds on one zone transfer; what goes beyond is broken off and changes nothing.",
            &[
                item("records_max", Kind::Integer { min: 1, max: 1_000_000_000 }, "20000000", "Records in the zone."),
                item("bytes_max", Kind::Integer { min: 512, max: 1 << 40 }, "4294967296", "Bytes received."),
                item("duration_s_max", Kind::Integer { min: 1, max: 86_400 }, "3600", "The whole transfer."),
                item(
                    "idle_s_max",
                    Kind::Integer { min: 1, max: 3600 },
                    "30",
                    "Silence of the origin within a transfer.",
                ),
            ],
        ),
    ],
};

/// `[defaults]`: templates of the tables that have many entries.
pub static DEFAULTS: Table =
    single("defaults", "[defaults.node] and [defaults.zone] hold what nodes and zones have in common.", &[]);

/// The tables of the file, in the order of the default file.
pub static TABLES: [&Table; 6] = [&NETWORK, &DEFAULTS, &NODE, &KEY_TABLE, &ORIGIN_TABLE, &ZONE];

/// The tables that have a template in `[defaults]`.
pub static TEMPLATES: [&Table; 2] = [&NODE, &ZONE];

impl Kind {
    /// The type, range and unit in words, as diagnostics and the default file say them.
    pub fn describe(&self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Text { bytes_max } => format!("printable text of 1 to {bytes_max} bytes"),
            Self::Choice(words) => match words {
                [word] => format!("{word:?}"),
                _ => format!("one of {}", words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ")),
            },
            Self::Path => "a path".to_owned(),
            Self::Secret => "a secret in base64, as `tsig-keygen` prints it".to_owned(),
            Self::CookieSecret => "a secret of 32 hexadecimal digits, as `openssl rand -hex 16` prints it".to_owned(),
            Self::Listen => "an address and port such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\"".to_owned(),
            Self::Address => {
                "an address, with a port if it is not 53, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"".to_owned()
            }
            Self::Ipv4 => "an IPv4 address".to_owned(),
            Self::Ipv6 => "an IPv6 address".to_owned(),
            Self::Prefix => {
                "an address or prefix such as \"192.0.2.53\", \"192.0.2.0/24\" or \"2001:db8::/32\"".to_owned()
            }
            Self::Reference(table) => format!("the name of a [{table}.NAME]"),
            Self::List { of, min, max } => {
                let count = if min == max { format!("{min}") } else { format!("{min} to {max}") };
                format!("a list of {count}, each {}", of.describe())
            }
        }
    }
}

impl Item {
    /// The unit of a number, from the item's name, which carries it.
    pub fn unit(&self) -> Option<&'static str> {
        if !matches!(self.kind, Kind::Integer { .. }) {
            return None;
        }
        self.name.split('_').find_map(|part| match part {
            "s" => Some("seconds"),
            "ms" => Some("milliseconds"),
            "bytes" => Some("bytes"),
            "percent" => Some("percent"),
            _ => None,
        })
    }

    /// The kind in words, with the unit.
    pub fn describe(&self) -> String {
        match self.unit() {
            Some(unit) => format!("{}, in {unit}", self.kind.describe()),
            None => self.kind.describe(),
        }
    }
}
