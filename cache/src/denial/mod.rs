//! What a signed zone says is not there: its NSEC records, learned from answers, and the denials made from them
//! (RFC 8198).
//!
//! `learn` reads them from a response, `chain` keeps them in order (`key`), `synthesise` makes answers. Readers take a
//! version that never changes; only who learns and who purges wait for each other.

mod chain;
mod key;
mod learn;
mod synthesise;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use wire::{NameRef, Rtype};

use crate::{CachedAnswer, TtlLimits};
use chain::{Chain, Signed};
use learn::Learned;

/// NSEC records of one zone at a time.
const RECORDS_MAX: usize = 65_536;
/// The part of the bytes for denials that one zone may take.
const ZONE_PART: u64 = 2;
/// Chunks that are looked through to make room for what one response teaches.
const EVICTIONS_MAX: usize = 8;

/// What one zone's NSEC records say.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    version: ArcSwap<Version>,
    writer: Mutex<Writer>,
}

/// One version, whole.
#[derive(Debug, Clone, Default)]
struct Version {
    chain: Chain,
    /// The SOA of negative answers.
    soa: Option<Arc<Signed>>,
}

/// What whoever makes the next version keeps for the one after.
#[derive(Debug, Default)]
struct Writer {
    /// Where room is made next.
    hand: usize,
}

/// Bytes that the denials of all zones take, and may take.
#[derive(Debug)]
pub(crate) struct DenialBudget {
    bytes: AtomicU64,
    records: AtomicU64,
    bytes_max: u64,
}

impl DenialBudget {
    pub(crate) fn new(bytes_max: u64) -> DenialBudget {
        DenialBudget { bytes: AtomicU64::new(0), records: AtomicU64::new(0), bytes_max }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// Books what a new version takes instead of the old one.
    fn book(&self, old: &Chain, new: &Chain) {
        // Both counters wrap around and back where the new version is the smaller one.
        let bytes = (new.bytes() as u64).wrapping_sub(old.bytes() as u64);
        let records = (new.len() as u64).wrapping_sub(old.len() as u64);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// Whether a zone may go from the old version to the new one.
    fn has_room(&self, old: &Chain, new: &Chain) -> bool {
        let bytes = new.bytes() as u64;
        new.len() <= RECORDS_MAX
            && bytes <= self.bytes_max / ZONE_PART
            && self.bytes().saturating_sub(old.bytes() as u64).saturating_add(bytes) <= self.bytes_max
    }
}

impl Denials {
    /// How many NSEC records there are.
    pub(crate) fn len(&self) -> usize {
        self.version.load().chain.len()
    }

    /// Calls `visit` with the zone's apex, if there is anything that a denial can be made from.
    pub(crate) fn with_apex(&self, mut visit: impl FnMut(NameRef<'_>)) {
        let version = self.version.load();
        // Without the SOA, of which this is the owner, there is no denial.
        let apex = version.soa.as_ref().and_then(|soa| NameRef::parse(&soa.owner).ok());
        apex.into_iter().for_each(&mut visit);
    }

    /// Learns from a response, unless `is_outdated` says that something was purged since it was asked for.
    pub(crate) fn learn(
        &self,
        apex: NameRef<'_>,
        response: &[u8],
        limits: &TtlLimits,
        now: Instant,
        budget: &DenialBudget,
        is_outdated: impl FnOnce() -> bool,
    ) {
        let Some(Learned { soa, nsecs }) = learn::read(apex, response, limits, now) else { return };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if is_outdated() {
            return;
        }
        let old = self.version.load_full();
        let mut new = Version::clone(&old);
        if soa.is_some() {
            new.soa = soa.map(Arc::new);
        }
        let apex = key::NameKey::new(apex);
        for nsec in nsecs {
            new.chain.insert(nsec, apex.as_bytes());
        }
        for _ in 0..EVICTIONS_MAX {
            if budget.has_room(&old.chain, &new.chain) {
                break;
            }
            writer.hand = new.chain.evict(writer.hand, now);
        }
        if budget.has_room(&old.chain, &new.chain) || new.chain.bytes() <= old.chain.bytes() {
            budget.book(&old.chain, &new.chain);
            self.version.store(Arc::new(new));
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self, budget: &DenialBudget) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.version.swap(Arc::default());
        budget.book(&old.chain, &Chain::default());
    }

    /// Makes the answer to a question that the records prove.
    pub(crate) fn synthesise(
        &self,
        apex: NameRef<'_>,
        qname: NameRef<'_>,
        qtype: Rtype,
        now: Instant,
    ) -> Option<CachedAnswer> {
        let version = self.version.load();
        if version.chain.len() == 0 || !qname.is_within(apex) {
            return None;
        }
        synthesise::synthesise(&version, apex, qname, qtype, now)
    }
}
