//! What the operator is told: what is normal, what is armed, where random names are asked for.

use serde::Serialize;

use super::Baseline;
use crate::ZoneNumber;

/// What is normal and what is armed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// The node.
    pub node: NodeStatus,
    /// Its zones, those that are asked most first.
    pub zones: Vec<ZoneStatus>,
    /// Where random names are asked for, the worst first.
    pub suffixes: Vec<SuffixStatus>,
}

/// How much is asked, and how much that is normally, in queries a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct RateStatus {
    /// In the last second.
    pub per_s: f64,
    /// What counts as normal: set by hand, or learned and at least the minimum.
    pub normal_per_s: f64,
    /// What was learned.
    pub learned: Baseline,
}

/// The node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NodeStatus {
    /// What it is asked.
    pub queries: RateStatus,
    /// The normal rate was set by hand.
    pub by_hand: bool,
    /// The part of the queries, in the last second, whose source was never heard of before.
    pub first_seen_part: f64,
    /// What is not at hand is filtered.
    pub miss_armed: bool,
    /// Only known-good sources are served.
    pub random_source_armed: bool,
}

/// A zone. Where there are more than 4,096 zones some share their figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZoneStatus {
    /// Its number.
    #[serde(skip)]
    pub zone: ZoneNumber,
    /// What is asked in it.
    pub queries: RateStatus,
    /// The normal rate was set by hand.
    pub by_hand: bool,
    /// What the origin would have to be asked for.
    pub misses: RateStatus,
    /// What does not exist.
    pub no_names: RateStatus,
    /// What is not at hand is filtered in this zone.
    pub miss_armed: bool,
}

/// A suffix at which random names are asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuffixStatus {
    /// Its name.
    pub name: String,
    /// The number of its zone.
    #[serde(skip)]
    pub zone: ZoneNumber,
    /// Names that failed below it in the last second: those that do not exist, and misses that are filtered.
    pub failed_per_s: f64,
    /// How many of them were distinct; counted up to about 1,400.
    pub distinct_per_s: f64,
    /// Names below it that were found.
    pub found_per_s: f64,
    /// The part of failed names in all.
    pub failed_part: f64,
    /// How many distinct ones a second would be borne.
    pub borne_per_s: f64,
    /// For how long it has been attacked, in seconds.
    pub attacked_s: u64,
}
