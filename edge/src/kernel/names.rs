//! The names that exist, for the program: so that of any other it knows that it is not there (edge/kernel/names.h).
//!
//! ```text
//! publish ──▶ Names: bits of what is new ──▶ swap ──▶ stale bits? ──▶ sets made anew beside the old ones, then copied over
//! ```
//!
//! Two Bloom filters (1970) of four bits a name within one word. What is to be published gets its bits before it is; bits that
//! nothing needs any more do no harm but that fewer names are known to be absent, and go when there are many of them.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use filters::NameHasher;
use wire::{NameRef, Rtype, Section, rdata::Soa};
use zones::{Answer, Below, Watch, Zone, ZoneSlot, ZoneState, Zones};

/// Fewer stale names than this are never worth the work.
const STALE_NAMES_MIN: usize = 1 << 16;

/// The sets of names. Whoever publishes zones lets them publish ([`Zones::watched_by`]).
#[derive(Debug)]
pub struct Names {
    hasher: NameHasher,
    sets: Sets<&'static [AtomicU64]>,
    /// The sets that are being made anew, which get whatever is added meanwhile. Those who add hold it for reading until what
    /// they added is published, so that nobody puts these sets in place of the others in between.
    fresh: RwLock<Option<Arc<Fresh>>>,
    /// Names that were put into the sets since they were made, but for those that seemed to be there.
    added: AtomicUsize,
    /// As many were there when they were made.
    needed: AtomicUsize,
}

type Fresh = Sets<Box<[AtomicU64]>>;

/// What the program knows of names (edge/kernel/names.h).
#[derive(Debug)]
struct Sets<W> {
    exists: W,
    covers: W,
}

/// What a name is in the sets for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// It exists.
    Exists,
    /// It is the apex of a zone, of ours or not.
    Apex,
    /// It answers for names below it that do not exist, or they would change how an answer is written.
    AnswersBelow,
}

impl<W: AsRef<[AtomicU64]>> Sets<W> {
    /// Whether it was not there yet.
    fn add(&self, hash: u64, part: Part) -> bool {
        if part != Part::Exists {
            add(self.covers.as_ref(), hash);
        }
        if part == Part::AnswersBelow {
            add(self.covers.as_ref(), hash.rotate_left(32));
        }
        add(self.exists.as_ref(), hash)
    }
}

/// The word of a name and its bits in there. The number of words is a power of two.
fn place(words: &[AtomicU64], hash: u64) -> Option<(&AtomicU64, u64)> {
    let word = words.get((hash >> 32) as usize & words.len().wrapping_sub(1))?;
    Some((word, [0, 6, 12, 18].iter().fold(0, |bits, shift| bits | 1 << (hash >> shift & 63))))
}

fn add(words: &[AtomicU64], hash: u64) -> bool {
    place(words, hash)
        .is_some_and(|(word, bits)| word.load(Relaxed) & bits != bits && word.fetch_or(bits, Relaxed) & bits != bits)
}

impl Names {
    /// The sets in this memory, which may hold names already. `hasher` is that of the filters.
    pub fn new(exists: &'static [AtomicU64], covers: &'static [AtomicU64], hasher: NameHasher) -> Names {
        let [added, needed] = [const { AtomicUsize::new(0) }; 2];
        Names { hasher, sets: Sets { exists, covers }, fresh: RwLock::new(None), added, needed }
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Arc<Fresh>>> {
        self.fresh.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Arc<Fresh>>> {
        self.fresh.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the sets anew if much of what is in them is there no more. Takes a while where there are many names, in which
    /// others go on publishing.
    pub fn tend(&self, zones: &Zones) {
        let owners: usize = zones.load().slots().iter().filter_map(|slot| Some(slot.serving()?.owner_count())).sum();
        if self.added.load(Relaxed) > 2 * owners.max(self.needed.load(Relaxed)) + STALE_NAMES_MIN {
            self.renew(zones);
        }
    }

    fn renew(&self, zones: &Zones) {
        let none = |words: &[AtomicU64]| words.iter().map(|_| AtomicU64::new(0)).collect();
        let fresh = Arc::new(Sets { exists: none(self.sets.exists), covers: none(self.sets.covers) });
        // From here on whatever is published is added to both: what is there now is all that is missing.
        let table = {
            let mut place = self.write();
            *place = Some(Arc::clone(&fresh));
            zones.load().slots().iter().map(|slot| (Arc::clone(slot), slot.serving())).collect::<Vec<_>>()
        };
        let mut added = 0;
        for (slot, serving) in table {
            let add = |hash, part| added += usize::from(fresh.add(hash, part));
            self.visit(slot.apex(), None, serving.as_deref(), add);
        }
        let mut place = self.write();
        for (to, from) in [(self.sets.exists, &fresh.exists), (self.sets.covers, &fresh.covers)] {
            // No bit goes that anything published needs: it is in both.
            to.iter().zip(from.iter()).for_each(|(to, from)| to.store(from.load(Relaxed), Relaxed));
        }
        self.added.store(added, Relaxed);
        self.needed.store(added, Relaxed);
        *place = None;
    }

    /// Visits what has to be in the sets before a zone is served: hashes, and what for.
    fn visit(&self, apex: NameRef<'_>, before: Option<&Zone>, zone: Option<&Zone>, mut add: impl FnMut(u64, Part)) {
        add(self.hasher.hash(apex), Part::Apex);
        let Some(zone) = zone else { return };
        zone.for_each_existing(before, |existing| {
            let part = match existing.below {
                Below::Nothing => Part::Exists,
                Below::Referral => Part::Apex,
                Below::Answer => Part::AnswersBelow,
            };
            add(self.hasher.hash(existing.name), part);
        });
        // Other names than that of the zone must have nothing to compress the SOA's names against.
        for_each_soa_name(zone, |name| {
            let mut name = name;
            while name.is_within(zone.apex()) && name != zone.apex() {
                add(self.hasher.hash(name), Part::AnswersBelow);
                let Some(parent) = name.parent() else { break };
                name = parent;
            }
        });
    }

    fn fill(&self, fresh: Option<&Fresh>, apex: NameRef<'_>, before: Option<&Zone>, zone: Option<&Zone>) {
        let mut added = 0;
        self.visit(apex, before, zone, |hash, part| {
            added += usize::from(self.sets.add(hash, part));
            fresh.into_iter().for_each(|fresh| _ = fresh.add(hash, part));
        });
        self.added.fetch_add(added, Relaxed);
    }
}

impl Watch for Names {
    fn publish_state(&self, apex: NameRef<'_>, before: &ZoneState, next: &ZoneState, swap: &mut dyn FnMut()) {
        let fresh = self.read();
        // Sets that are being made anew may not have what was served before, if that has been read already.
        self.fill(fresh.as_deref(), apex, served(before), served(next));
        swap();
    }

    fn publish_table(&self, new: &[&Arc<ZoneSlot>], swap: &mut dyn FnMut()) {
        let fresh = self.read();
        new.iter().for_each(|slot| self.fill(fresh.as_deref(), slot.apex(), None, slot.serving().as_deref()));
        swap();
    }
}

/// Calls `visit` with the names in the SOA record's data.
fn for_each_soa_name(zone: &Zone, mut visit: impl FnMut(NameRef<'_>)) {
    let mut found = Answer::new();
    zone.find(zone.apex(), Rtype::SOA, false, &mut found);
    let rdatas = found.section(Section::Answer).flat_map(|rrset| rrset.rdatas());
    rdatas
        .filter_map(|rdata| Soa::parse(rdata).ok())
        .for_each(|soa| [soa.mname, soa.rname].into_iter().for_each(&mut visit));
}

fn served(state: &ZoneState) -> Option<&Zone> {
    match state {
        ZoneState::Serving(zone) => Some(zone),
        ZoneState::Pending | ZoneState::Expired(_) | ZoneState::OnDemand { .. } => None,
    }
}
