//! Catalog zones (RFC 9432).

use std::collections::BTreeMap;

use super::{Timers, TransferLimits, Zone, Zonemd};

/// A catalog zone: the zones that it lists are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    /// Its apex: absolute, lowercase, with a dot at the end.
    pub name: String,
    /// The origins it is fetched from; the first that works is taken.
    pub origins: Vec<String>,
    /// Clamps on the timers of its SOA.
    pub timers: Timers,
    /// Bounds on its transfer.
    pub transfer: TransferLimits,
    /// Whether differences (IXFR) of it are asked for.
    pub ixfr: bool,
    /// Whether its digest is verified.
    pub zonemd: Zonemd,
    /// Zones that it may list.
    pub members_max: u64,
    /// What its members are, but for their name.
    pub template: Zone,
    /// What members of a group (RFC 9432 §4.3.2) are, by the group's name in the catalog.
    pub groups: BTreeMap<String, Zone>,
}
