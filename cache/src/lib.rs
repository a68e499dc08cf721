//! Answers of origins kept for as long as their TTLs say: what a zone has that is filled on demand.
//!
//! ```text
//! response ──▶ CachedAnswer::from_response ──▶ Cache::insert ──▶ Cache::get ──▶ Hit: RRsets with the TTLs that are left
//!        └──▶ Cache::learn_denial ──▶ NSEC chain ──▶ Cache::synthesise: NXDOMAIN and NODATA without the origin (RFC 8198)
//! ```
//!
//! A [`CachedAnswer`] is one complete answer to one question, judged once when it arrives (`classify`): only what lies in
//! the zone and answers the question is kept. The [`Cache`] is a map of bounded size (`store`); a flood of names that are
//! asked for once does not push out what is asked for again. There is no clock here: the time is a parameter everywhere.
//!
//! What holds everywhere: bytes from outside never panic; a look-up that finds its answer allocates nothing; what has been
//! purged does not come back from a question that was under way, by the [`Ticket`] that was taken before it.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod classify;
mod denial;
mod error;
mod records;
mod rrset;
mod store;
mod watch;
mod zone;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use answer::{CachedAnswer, Kind};
pub use error::Unfit;
pub use rrset::{CachedRrset, OwnerName, Rdatas, Rrsets};
pub use store::{Cache, Freshness, Hit, Stats};
pub use watch::{NameWatch, Watcher};
pub use zone::{Ticket, ZoneUsage};

/// Names one on-demand zone for as long as it is configured; never used again while the process lives.
pub type ZoneId = u64;

/// How long answers of a zone are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TtlLimits {
    /// Longest life of an RRset, whatever its TTL says.
    pub ttl_s_max: u32,
    /// Longest life of a negative answer (RFC 2308 §5).
    pub negative_ttl_s_max: u32,
    /// How long after the end of its life an answer may still be served (RFC 8767); 0: never.
    pub stale_s_max: u32,
    /// The TTL of every record in an answer that is served after that.
    pub stale_ttl_s: u32,
}

impl Default for TtlLimits {
    fn default() -> TtlLimits {
        TtlLimits { ttl_s_max: 86_400, negative_ttl_s_max: 10_800, stale_s_max: 86_400, stale_ttl_s: 30 }
    }
}

/// What became of a question that the cache had no answer to.
#[derive(Debug, Clone)]
pub enum Filled {
    /// The origin's answer; it may have a TTL of 0 and then is for those who wait alone.
    Answer(Arc<CachedAnswer>),
    /// The origin is silent or failed: an old answer stands in (RFC 8767).
    Stale(Arc<CachedAnswer>),
    /// There is no answer.
    Failed(Failure),
}

/// Why there is no answer from the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The zone has had its share of questions to the origin.
    OverBudget,
    /// No origin answered in time.
    NoOrigin,
    /// All origins answered, but nothing that could be used.
    Broken,
    /// The zone is not ours any more.
    Gone,
}
