//! The schema: every table and item of the network file with its type, range, default, unit and a sentence.
//!
//! The reader, the checks and the commented default file all follow from these tables; a new item is added here first.

mod anycast;
mod catalog;
mod defences;
mod kind;
mod lanes;
mod network;
mod node;
mod origin;
mod zone;

pub use anycast::SERVICE_TABLE;
pub use catalog::CATALOG;
pub use kind::Kind;
pub use network::{KEY_TABLE, NETWORK};
pub use node::NODE_TABLE;
pub use origin::ORIGIN_TABLE;
pub use zone::{TEMPLATE_TABLE, ZONE};

/// Names of the tables, for references between them.
pub(crate) const ANYCAST: &str = "anycast";
pub(crate) const KEY: &str = "key";
pub(crate) const NODE: &str = "node";
pub(crate) const ORIGIN: &str = "origin";
pub(crate) const TEMPLATE: &str = "template";

/// Zones of one file.
pub const ZONES_MAX: u64 = 1_000_000;
/// Origins of one zone, and addresses of one origin.
pub const ORIGINS_PER_ZONE_MAX: u64 = 16;
/// Entries of one access list.
pub const PREFIXES_MAX: u64 = 1024;
/// Addresses that one node answers at.
pub const LISTEN_MAX: u64 = 256;
/// Nodes that one node takes its zones from.
pub const UPSTREAMS_MAX: u64 = 8;
/// Public keys that one origin's certificate may have.
pub const PINS_MAX: u64 = 16;
/// Trust anchors of one zone.
pub const TRUST_ANCHORS_MAX: u64 = 16;
/// Groups of one catalog that have a template.
pub const GROUPS_MAX: usize = 1024;
/// Services of one node; prefixes and addresses of one service.
pub const SERVICES_MAX: u64 = 64;
/// Communities of one kind that a route has.
pub const COMMUNITIES_MAX: u64 = 32;
/// Checks of one zone.
pub const CHECKS_MAX: u64 = 16;
/// Where routers take BGP (RFC 4271 §8).
pub const BGP_PORT: u16 = 179;
/// Where nodes hear from each other how they are.
pub const FLEET_PORT: u16 = 8179;
/// Greatest rate that can be set, in a second.
pub const RATE_MAX: u64 = 1_000_000_000;
/// Interfaces that the kernel lane of one node is on.
pub const INTERFACES_MAX: u64 = 64;
/// Answers that a kernel lane has room for.
pub const KERNEL_ANSWERS_MAX: u64 = 1 << 22;
/// UDP lanes of one node.
pub const WORKERS_MAX: u64 = 1024;

const YEAR_S: u64 = 365 * 24 * 3600;

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
    /// The table stands for itself; what it says counts only if it is there.
    Optional,
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

const fn optional_single(name: &'static str, about: &'static str, items: &'static [Item]) -> Table {
    Table { naming: Naming::Optional, ..single(name, about, items) }
}

/// `[defaults]`: templates of the tables that have many entries.
pub static DEFAULTS: Table =
    single("defaults", "[defaults.node] and [defaults.zone] hold what nodes and zones have in common.", &[]);

/// The tables of the file, in the order of the default file.
pub static TABLES: [&Table; 9] =
    [&NETWORK, &DEFAULTS, &NODE_TABLE, &SERVICE_TABLE, &KEY_TABLE, &ORIGIN_TABLE, &ZONE, &TEMPLATE_TABLE, &CATALOG];

/// The tables that have a template in `[defaults]`.
pub static TEMPLATES: [&Table; 2] = [&NODE_TABLE, &ZONE];

impl Item {
    /// The unit of a number, from the item's name, which carries it.
    pub fn unit(&self) -> Option<&'static str> {
        if !matches!(self.kind, Kind::Integer { .. }) {
            return None;
        }
        if self.name.contains("_per_s") {
            return Some("a second");
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
