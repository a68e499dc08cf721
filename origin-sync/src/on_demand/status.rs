//! What anyone may ask about zones that are filled on demand.

use serde::{Deserialize, Serialize};

use super::reach::Health;
use crate::status::ZoneMode;

/// A zone that is filled on demand. Counts are since it was configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnDemandStatus {
    /// Each address of each of its origins.
    pub upstreams: Vec<OnDemandUpstream>,
    /// Questions of clients that the cache had no fresh answer to.
    pub misses_total: u64,
    /// Those of them that waited for a question that was in flight already.
    pub coalesced_total: u64,
    /// Those of them that found the zone's budget used up.
    pub over_budget_total: u64,
    /// Those of them that were given an answer whose life was over (RFC 8767).
    pub stale_total: u64,
    /// Those of them that got no answer.
    pub failed_total: u64,
    /// Questions that nobody waited for: what is hot and about to expire, refills, keys.
    pub prefetched_total: u64,
    /// Answers whose proofs of what is not there were verified and learnt (RFC 8198).
    pub denials_learnt_total: u64,
    /// Questions in flight.
    pub in_flight: u32,
    /// Clients that wait.
    pub clients_waiting: u32,
    /// Answers in the cache.
    pub cache_entries: u64,
    /// Bytes that they take.
    pub cache_bytes: u64,
    /// NSEC records that denials are made from.
    pub cache_denials: u64,
}

/// One address of one origin, as questions of clients see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OnDemandUpstream {
    /// The origin's name in the configuration.
    pub origin: String,
    /// The address.
    pub address: String,
    /// How it is.
    pub health: Health,
    /// The smoothed round-trip time.
    pub srtt_ms: Option<f64>,
    /// Questions put to it for this zone.
    pub asked_total: u64,
    /// Those of them over TCP.
    pub over_tcp_total: u64,
    /// Those of them that it answered.
    pub answered_total: u64,
    /// Those of them that it answered with an error, or as one that does not have the zone.
    pub failed_total: u64,
    /// Those of them that it did not answer.
    pub timeouts_total: u64,
    /// Those of them that were answered by something not quite fitting: another case of the name, wrong ids, no cookie.
    pub doubtful_total: u64,
    /// Why the last question to it failed, if it did.
    pub last_error: Option<String>,
}

/// What a purge did in one zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeOutcome {
    /// The zone.
    pub zone: String,
    /// How it is kept; only on-demand zones have anything to purge.
    pub mode: ZoneMode,
    /// Answers that were removed.
    pub removed: u64,
}

/// What became of the questions that a fill put again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refilled {
    /// Questions in all.
    pub asked: u64,
    /// Those of them that were answered.
    pub answered: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those of them that there was no time for.
    pub left: u64,
}
