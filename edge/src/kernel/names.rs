//! The names that exist, and those that the cache has anything for, so that the program knows of any other that it is not there,
//! or not at hand (edge/kernel/names.h).
//!
//! ```text
//! publish, keep ──▶ Names: bits of what is new ──▶ swap ──▶ stale bits? ──▶ sets made anew beside the old ones, then copied over
//! ```
//!
//! Two Bloom filters (1970) of four bits a name within one word. What is to be published gets its bits before it is; bits that
//! nothing needs any more do no harm but that fewer names are known to be absent, and go when there are many of them.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::cell::Cell;
use std::sync::{
    Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use cache::{Cache, NameWatch};
use filters::NameHasher;
use wire::{NameRef, Rtype, Section, rdata::Soa};
use zones::{Answer, Below, Watch, Zone, ZoneSlot, ZoneState, Zones};

/// Fewer stale names than this are never worth the work.
const STALE_NAMES_MIN: usize = if cfg!(test) { 1 << 10 } else { 1 << 18 };

/// The sets of names. Whoever publishes zones lets them publish ([`Zones::watched_by`]), and whoever keeps answers of origins
/// lets them keep ([`Cache::names_watched_by`]).
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
    /// It answers for names below it that do not exist, or they would change how an answer is written; or there are denials of
    /// names below it at hand.
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

    /// To be called now and then: makes the sets anew if much of what is in them is there no more.
    pub fn tend(&self, zones: &Zones, cache: Option<&Cache>) {
        if self.is_stale(zones, cache) {
            self.renew(zones, cache);
        }
    }

    fn is_stale(&self, zones: &Zones, cache: Option<&Cache>) -> bool {
        let added = self.added.load(Relaxed);
        let is_much = |needed: usize| added > 2 * needed + STALE_NAMES_MIN;
        let answers = || cache.map_or(0, |cache| cache.stats().entries as usize);
        let owners =
            || zones.load().slots().iter().filter_map(|slot| Some(slot.serving()?.owner_count())).sum::<usize>();
        is_much(self.needed.load(Relaxed)) && is_much(owners() + answers())
    }

    /// Makes the sets anew of what is published and kept, which takes a while where there are many names; others go on
    /// publishing and keeping.
    pub fn renew(&self, zones: &Zones, cache: Option<&Cache>) {
        let none = |words: &[AtomicU64]| words.iter().map(|_| AtomicU64::new(0)).collect();
        let fresh = Arc::new(Sets { exists: none(self.sets.exists), covers: none(self.sets.covers) });
        // From here on whatever is published is added to both: what is there now is all that is missing.
        let table = {
            let mut place = self.write();
            *place = Some(Arc::clone(&fresh));
            zones.load().slots().iter().map(|slot| (Arc::clone(slot), slot.serving())).collect::<Vec<_>>()
        };
        let added = Cell::new(0);
        let add = |hash, part| added.set(added.get() + usize::from(fresh.add(hash, part)));
        for (slot, serving) in table {
            self.visit(slot.apex(), None, serving.as_deref(), add);
        }
        if let Some(cache) = cache {
            let add = |name: NameRef<'_>, part| add(self.hasher.hash(name), part);
            cache.for_each_name(|qname| add(qname, Part::Exists), |apex| add(apex, Part::AnswersBelow));
        }
        let mut place = self.write();
        for (to, from) in [(self.sets.exists, &fresh.exists), (self.sets.covers, &fresh.covers)] {
            // No bit goes that anything published needs: it is in both.
            to.iter().zip(from.iter()).for_each(|(to, from)| to.store(from.load(Relaxed), Relaxed));
        }
        self.added.store(added.get(), Relaxed);
        self.needed.store(added.get(), Relaxed);
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

    fn add(&self, fresh: Option<&Fresh>, name: NameRef<'_>, part: Part) {
        let hash = self.hasher.hash(name);
        self.added.fetch_add(usize::from(self.sets.add(hash, part)), Relaxed);
        fresh.into_iter().for_each(|fresh| _ = fresh.add(hash, part));
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

impl NameWatch for Names {
    fn keep_answer(&self, qname: NameRef<'_>, keep: &mut dyn FnMut()) {
        let fresh = self.read();
        self.add(fresh.as_deref(), qname, Part::Exists);
        keep();
    }

    fn keep_denials(&self, apex: NameRef<'_>, keep: &mut dyn FnMut()) {
        let fresh = self.read();
        self.add(fresh.as_deref(), apex, Part::AnswersBelow);
        keep();
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

#[cfg(test)]
mod tests {
    use wire::Name;
    use zones::{Difference, Limits, ZoneBuilder};

    use super::*;

    fn words(number: usize) -> &'static [AtomicU64] {
        (0..number).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn zone(hosts: u32) -> Zone {
        let apex = name("example");
        let mut soa = [name("ns.example").as_bytes(), name("hidden.box.example").as_bytes()].concat();
        soa.extend([0; 20]);
        let mut builder = ZoneBuilder::new(apex, Limits::NONE);
        builder.add(apex.as_ref(), Rtype::SOA, 60, &soa).unwrap();
        builder.add(name("cut.example").as_ref(), Rtype::NS, 60, name("ns.cut.example").as_bytes()).unwrap();
        builder.add(name("*.wild.example").as_ref(), Rtype::A, 60, &[0; 4]).unwrap();
        for n in 0..hosts {
            builder.add(name(&format!("h{n}.example")).as_ref(), Rtype::A, 60, &[0; 4]).unwrap();
        }
        builder.finish().unwrap()
    }

    struct Case {
        names: Arc<Names>,
        zones: Arc<Zones>,
    }

    impl Case {
        fn new() -> Case {
            let names = Arc::new(Names::new(words(1 << 17), words(1 << 10), NameHasher::new([1, 2])));
            let zones = Arc::new(Zones::new().watched_by(Arc::clone(&names) as _));
            Case { names, zones }
        }

        fn exists(&self, text: &str) -> bool {
            has(self.names.sets.exists, self.names.hasher.hash(name(text).as_ref()))
        }

        /// Whether it is in the set of what covers, by its hash and the other way round.
        fn covers(&self, text: &str) -> (bool, bool) {
            let hash = self.names.hasher.hash(name(text).as_ref());
            (has(self.names.sets.covers, hash), has(self.names.sets.covers, hash.rotate_left(32)))
        }
    }

    fn has(words: &[AtomicU64], hash: u64) -> bool {
        place(words, hash).is_some_and(|(word, bits)| word.load(Relaxed) & bits == bits)
    }

    #[test]
    fn what_is_published_is_known() {
        let case = Case::new();
        let slot = Arc::new(ZoneSlot::new(name("example")));
        case.zones.insert(&slot);
        assert_eq!((case.exists("example"), case.covers("example")), (true, (true, false)));
        assert!(!case.exists("h7.example"));
        slot.publish(ZoneState::Serving(Arc::new(zone(1000))));
        for there in ["h7.example", "H999.EXAMPLE", "cut.example", "*.wild.example", "wild.example", "ns.example"] {
            assert!(case.exists(there), "{there}");
        }
        assert_eq!(case.covers("example"), (true, false));
        assert_eq!(case.covers("cut.example"), (true, false));
        for covers in ["wild.example", "ns.example", "hidden.box.example", "box.example"] {
            assert_eq!(case.covers(covers), (true, true), "{covers}");
        }
        let taken = (0..10_000).filter(|n| case.exists(&format!("n{n}.example"))).count();
        assert!(taken < 10, "{taken} of 10,000");
        assert_eq!(case.covers("h7.example"), (false, false));
    }

    #[test]
    fn a_zone_that_is_served_before_it_is_in_the_table_is_known_too() {
        let case = Case::new();
        let slots: Vec<_> = ["example", "other"].map(|apex| Arc::new(ZoneSlot::new(name(apex)))).into();
        slots[0].publish(ZoneState::Serving(Arc::new(zone(10))));
        case.zones.replace(slots);
        assert!(case.exists("h7.example") && case.exists("other"));
    }

    #[test]
    fn stale_names_go_and_what_is_published_meanwhile_stays() {
        let case = Case::new();
        let slot = Arc::new(ZoneSlot::new(name("example")));
        case.zones.insert(&slot);
        slot.publish(ZoneState::Serving(Arc::new(zone(1000))));
        slot.publish(ZoneState::Serving(Arc::new(zone(10))));
        assert!(case.exists("h999.example"));
        // Something comes between the beginning and the end.
        let fresh = Arc::new(Sets { exists: Box::default(), covers: Box::default() });
        *case.names.write() = Some(fresh);
        let mut difference = Difference::new();
        difference.add(name("new.example").as_ref(), Rtype::A, 60, &[0; 4]).unwrap();
        slot.publish(ZoneState::Serving(Arc::new(slot.serving().unwrap().apply(&difference).unwrap())));
        case.names.renew(&case.zones, None);
        assert!(case.exists("h7.example") && case.exists("new.example") && !case.exists("h999.example"));
        assert_eq!(case.covers("wild.example"), (true, true));
        assert!(case.names.read().is_none());
    }

    #[test]
    fn much_that_is_stale_is_noticed_once() {
        let case = Case::new();
        let slot = Arc::new(ZoneSlot::new(name("example")));
        case.zones.insert(&slot);
        slot.publish(ZoneState::Serving(Arc::new(zone(STALE_NAMES_MIN as u32 * 3))));
        assert!(!case.names.is_stale(&case.zones, None), "all of it is needed");
        slot.publish(ZoneState::Serving(Arc::new(zone(3))));
        assert!(case.names.is_stale(&case.zones, None));
        case.names.tend(&case.zones, None);
        assert!(!case.names.is_stale(&case.zones, None));
        assert!(case.exists("h2.example") && !case.exists("h3.example"));
    }
}
