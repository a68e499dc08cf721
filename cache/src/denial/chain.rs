//! The NSEC records of a zone in canonical order: chunks that are shared between one version and the next.
//!
//! A version never changes. Readers take the one that is published; whoever learns a record makes the next one, of which
//! one chunk and the list of chunks are new.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wire::Rtype;

/// Records in a chunk; one more parts it.
const CHUNK_RECORDS_MAX: usize = 128;

/// One NSEC RRset whose signature was verified.
#[derive(Debug)]
pub(super) struct Nsec {
    /// The key of the owner name.
    pub(super) owner_key: Box<[u8]>,
    /// The key of the next name.
    pub(super) next_key: Box<[u8]>,
    pub(super) records: Signed,
    /// Where the type bit map begins in RDATA.
    pub(super) types_at: usize,
    /// Looked at since the last time that room was made.
    used: AtomicBool,
}

/// One record with its signatures, and until when it is believed.
#[derive(Debug)]
pub(super) struct Signed {
    /// The owner name.
    pub(super) owner: Box<[u8]>,
    pub(super) rdata: Box<[u8]>,
    pub(super) signatures: Vec<Box<[u8]>>,
    pub(super) expires: Instant,
}

impl Signed {
    /// Whole seconds for which it is still believed.
    pub(super) fn ttl_s(&self, now: Instant) -> u32 {
        u32::try_from(self.expires.saturating_duration_since(now).as_secs()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.expires.saturating_duration_since(now) >= Duration::from_secs(1)
    }

    fn bytes(&self) -> usize {
        const ALLOCATOR: usize = 16;
        let signatures: usize = self.signatures.iter().map(|sig| sig.len() + ALLOCATOR + size_of::<Box<[u8]>>()).sum();
        self.owner.len() + self.rdata.len() + signatures + 3 * ALLOCATOR
    }
}

impl Nsec {
    pub(super) fn new(owner_key: &[u8], next_key: &[u8], records: Signed, types_at: usize) -> Nsec {
        let used = AtomicBool::new(true);
        Nsec { owner_key: owner_key.into(), next_key: next_key.into(), records, types_at, used }
    }

    /// Whether its type bit map (RFC 4034 §4.1.2) has a type.
    pub(super) fn has(&self, rtype: Rtype) -> bool {
        let [window, low] = rtype.0.to_be_bytes();
        let mut rest = self.records.rdata.get(self.types_at..).unwrap_or_default();
        while let Some((&[at, length], bits)) = rest.split_first_chunk::<2>() {
            let Some((bits, after)) = bits.split_at_checked(usize::from(length)) else { return false };
            if at == window {
                return bits.get(usize::from(low / 8)).is_some_and(|bits| bits & 0x80 >> (low % 8) != 0);
            }
            rest = after;
        }
        false
    }

    /// Whether names below its owner are not this zone's to deny: a delegation, or a DNAME (RFC 8198 §5, RFC 6840 §4.1).
    pub(super) fn hides_below(&self) -> bool {
        self.is_delegation() || self.has(Rtype::DNAME)
    }

    /// Whether its owner is the parent's side of a cut.
    pub(super) fn is_delegation(&self) -> bool {
        self.has(Rtype::NS) && !self.has(Rtype::SOA)
    }

    /// Whether a name lies between its owner and the next name; `apex` ends the chain.
    pub(super) fn covers(&self, key: &[u8], apex: &[u8]) -> bool {
        *self.owner_key < *key && (*key < *self.next_key || *self.next_key == *apex)
    }

    /// Bytes of memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        const ARC: usize = 16;
        const ALLOCATOR: usize = 16;
        let keys = self.owner_key.len() + self.next_key.len();
        // Its places in up to two versions of its chunk.
        let places = 2 * size_of::<Arc<Nsec>>();
        size_of::<Nsec>() + ARC + keys + self.records.bytes() + places + 3 * ALLOCATOR
    }
}

/// One version of a zone's NSEC records.
#[derive(Debug, Clone, Default)]
pub(super) struct Chain {
    chunks: Vec<Arc<[Arc<Nsec>]>>,
    records: usize,
    bytes: usize,
}

impl Chain {
    pub(super) fn len(&self) -> usize {
        self.records
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The record at a name, or else the closest before it; expired ones count as well.
    pub(super) fn at_or_before(&self, key: &[u8]) -> Option<&Nsec> {
        let found = self.position_at_or_before(key).and_then(|(chunk, at)| self.chunks.get(chunk)?.get(at))?;
        if !found.used.load(Ordering::Relaxed) {
            found.used.store(true, Ordering::Relaxed);
        }
        Some(found)
    }

    fn position_at_or_before(&self, key: &[u8]) -> Option<(usize, usize)> {
        let starts_after = |chunk: &Arc<[Arc<Nsec>]>| chunk.first().is_some_and(|first| *first.owner_key <= *key);
        let chunk = self.chunks.partition_point(starts_after).checked_sub(1)?;
        let at = self.chunks.get(chunk)?.partition_point(|nsec| *nsec.owner_key <= *key).checked_sub(1)?;
        Some((chunk, at))
    }

    /// Adds a record, and takes out those that it contradicts: the zone has changed.
    pub(super) fn insert(&mut self, nsec: Nsec, apex: &[u8]) {
        self.remove_contradicted(&nsec, apex);
        // Behind the record before it, in the same chunk, so that a full chunk is parted and none is left with one.
        let before = self.position_at_or_before(&nsec.owner_key);
        let (chunk, at) = before.map_or((0, 0), |(chunk, at)| (chunk, at + 1));
        let mut records = self.chunks.get(chunk).map_or_else(Vec::new, |chunk| chunk.to_vec());
        self.records += 1;
        self.bytes += nsec.bytes();
        records.insert(at.min(records.len()), Arc::new(nsec));
        self.replace(chunk, records);
    }

    /// Removes the record at the owner of a new one, the one before it if that says that the owner is not there, and those
    /// whose owners the new one says are not there.
    fn remove_contradicted(&mut self, new: &Nsec, apex: &[u8]) {
        while let Some((chunk, at)) = self.position_at_or_before(&new.owner_key) {
            let before = self.chunks.get(chunk).and_then(|chunk| chunk.get(at));
            if !before.is_some_and(|nsec| nsec.owner_key == new.owner_key || nsec.covers(&new.owner_key, apex)) {
                break;
            }
            self.remove(chunk, at..at + 1);
        }
        loop {
            let (chunk, at) = self.position_after(&new.owner_key);
            let behind = self.chunks.get(chunk).and_then(|chunk| chunk.get(at..)).unwrap_or_default();
            let gone = behind.iter().take_while(|nsec| new.covers(&nsec.owner_key, apex)).count();
            if gone == 0 {
                return;
            }
            self.remove(chunk, at..at + gone);
        }
    }

    /// Where the first record behind a name stands, or would.
    fn position_after(&self, key: &[u8]) -> (usize, usize) {
        match self.position_at_or_before(key) {
            Some((chunk, at)) if self.chunks.get(chunk).is_some_and(|chunk| at + 1 < chunk.len()) => (chunk, at + 1),
            Some((chunk, _)) => (chunk + 1, 0),
            None => (0, 0),
        }
    }

    /// Removes records of one chunk.
    fn remove(&mut self, chunk: usize, range: std::ops::Range<usize>) {
        let mut kept = self.chunks.get(chunk).map_or_else(Vec::new, |chunk| chunk.to_vec());
        let removed: Vec<Arc<Nsec>> = kept.drain(range).collect();
        self.forget(&removed);
        self.replace(chunk, kept);
    }

    /// Makes room: of the chunk `hand`, what was not looked at since the last time, or all if all was. Returns the chunk
    /// for the next time.
    pub(super) fn evict(&mut self, hand: usize, now: Instant) -> usize {
        if self.chunks.is_empty() {
            return 0;
        }
        let hand = hand % self.chunks.len();
        let Some(chunk) = self.chunks.get(hand).cloned() else { return 0 };
        let (mut kept, mut removed): (Vec<_>, Vec<_>) = chunk
            .iter()
            .cloned()
            .partition(|nsec| nsec.used.swap(false, Ordering::Relaxed) && nsec.records.is_fresh(now));
        if removed.is_empty() {
            removed = std::mem::take(&mut kept);
        }
        self.forget(&removed);
        let next = if kept.is_empty() { hand } else { hand + 1 };
        self.replace(hand, kept);
        next
    }

    fn forget(&mut self, removed: &[Arc<Nsec>]) {
        self.records -= removed.len();
        self.bytes -= removed.iter().map(|nsec| nsec.bytes()).sum::<usize>();
    }

    /// Puts records in place of a chunk, in two if they are too many; takes the chunk out if there are none.
    fn replace(&mut self, chunk: usize, records: Vec<Arc<Nsec>>) {
        let (first, second) = match records.len() {
            0 => (None, None),
            n if n > CHUNK_RECORDS_MAX => (records.get(..n / 2), records.get(n / 2..)),
            _ => (Some(&records[..]), None),
        };
        let new = [first, second].into_iter().flatten().map(Arc::from);
        let end = (chunk + 1).min(self.chunks.len());
        self.chunks.splice(chunk.min(end)..end, new);
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<Box<[u8]>> {
        assert!(self.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_RECORDS_MAX));
        let all = self.chunks.iter().flat_map(|chunk| chunk.iter());
        assert_eq!(self.bytes, all.clone().map(|nsec| nsec.bytes()).sum::<usize>());
        let keys: Vec<_> = all.map(|nsec| nsec.owner_key.clone()).collect();
        assert_eq!(keys.len(), self.records);
        keys
    }
}
