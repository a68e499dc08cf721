//! The published view: which zones there are and the snapshot each serves. Readers never wait and never lock.
//!
//! ```text
//! Zones ── swapped whole ──▶ ZoneTable: names ──▶ ZoneSlot ── swapped whole ──▶ ZoneState ──▶ Zone
//! ```
//!
//! Zones come and go by replacing the table; a new snapshot replaces the state in its slot. A reader holds a guard while
//! it uses either, and sees the table or state as it was when it took it.
//!
//! The table and each slot have a number that is odd while what they hold is being replaced ([`Zones::with_generations`]):
//! whoever keeps answers elsewhere knows by it which are of now. Who has to know more of what is published, and before
//! anybody sees it, publishes it ([`Watch`]).

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::collections::HashSet;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, Guard};
use wire::{Name, NameBox, NameRef, Rtype};

use crate::generation::Generation;
use crate::{Watch, Zone};

/// What a zone's slot holds.
#[derive(Debug, Clone)]
pub enum ZoneState {
    /// No copy has arrived yet.
    Pending,
    /// The snapshot to answer from.
    Serving(Arc<Zone>),
    /// Too long without the origin (RFC 1035 §3.3.13, EXPIRE); the last snapshot, if there was one.
    Expired(Option<Arc<Zone>>),
    /// There is no copy: the origin is asked, and its answers are in the cache under this number, which no other zone of
    /// this process has or had.
    OnDemand {
        /// The zone's number in the cache.
        id: u64,
    },
}

/// One zone that is ours, whatever its state.
#[derive(Debug)]
pub struct ZoneSlot {
    number: u32,
    apex: NameBox,
    state: ArcSwap<ZoneState>,
    generation: Generation,
    /// Held while a state is published.
    watch: Mutex<Option<Arc<dyn Watch>>>,
}

impl ZoneSlot {
    /// A slot for a zone, pending.
    #[must_use]
    pub fn new(apex: Name) -> ZoneSlot {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = ArcSwap::from_pointee(ZoneState::Pending);
        ZoneSlot {
            number,
            apex: NameBox::from(&apex),
            state,
            generation: Generation::default(),
            watch: Mutex::new(None),
        }
    }

    /// A number that no other slot of this process has (but for a wrap-around after four billion): for statistics.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The zone's name, in lower case.
    #[must_use]
    pub fn apex(&self) -> NameRef<'_> {
        self.apex.as_ref()
    }

    /// The state now. Hold the guard only as long as one answer takes.
    #[must_use]
    pub fn state(&self) -> Guard<Arc<ZoneState>> {
        self.state.load()
    }

    /// Publishes a new state.
    pub fn publish(&self, state: ZoneState) {
        let state = Arc::new(state);
        let mut swap = || self.generation.change(|| self.state.store(Arc::clone(&state)));
        match &*self.watch() {
            Some(watch) => watch.publish_state(self.apex(), &self.state.load(), &state, &mut swap),
            None => swap(),
        }
    }

    fn watch(&self) -> MutexGuard<'_, Option<Arc<dyn Watch>>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The low half of the number of what it answers now, to be read before the state: answers that are found after that are
    /// of now for as long as it stays the same. None while that changes, and for slots that are in no table with numbers.
    #[must_use]
    #[inline]
    pub fn generation(&self) -> Option<u32> {
        self.generation.get()
    }

    /// Answers of the zone change beside its state, as those of its origin do that are kept: until [`end_change`] none is of
    /// now. Changes may overlap.
    ///
    /// [`end_change`]: ZoneSlot::end_change
    pub fn begin_change(&self) {
        self.generation.begin();
    }

    /// Ends what [`begin_change`](ZoneSlot::begin_change) began.
    pub fn end_change(&self) {
        self.generation.end();
    }

    /// The snapshot that is being served.
    #[must_use]
    pub fn serving(&self) -> Option<Arc<Zone>> {
        match &**self.state.load() {
            ZoneState::Serving(zone) => Some(Arc::clone(zone)),
            ZoneState::Pending | ZoneState::Expired(_) | ZoneState::OnDemand { .. } => None,
        }
    }
}

/// All zones that are ours.
#[derive(Debug)]
pub struct Zones {
    table: ArcSwap<ZoneTable>,
    /// Of the table.
    epoch: Generation,
    /// Of the zones, by their slots' numbers.
    generations: &'static [AtomicU64],
    watch: Option<Arc<dyn Watch>>,
}

impl Default for Zones {
    fn default() -> Zones {
        let table = ArcSwap::from_pointee(ZoneTable::new(Vec::new()));
        Zones { table, epoch: Generation::default(), generations: &[], watch: None }
    }
}

impl Zones {
    /// No zones.
    #[must_use]
    pub fn new() -> Zones {
        Zones::default()
    }

    /// No zones, and numbers that say when what is answered changes: the first is that of the table, number `n + 1` that of
    /// the slot with number `n`. Slots with higher numbers have none.
    ///
    /// A number is odd from before something is replaced until after that, and even otherwise; the same even number never
    /// comes back. What numbers stand there counts as of before.
    #[must_use]
    pub fn with_generations(generations: &'static [AtomicU64]) -> Zones {
        let mut zones = Zones::default();
        if let Some((epoch, generations)) = generations.split_first() {
            zones.epoch.attach(epoch);
            zones.generations = generations;
        }
        zones
    }

    /// The same zones, and from now on `watch` publishes whatever is.
    #[must_use]
    pub fn watched_by(mut self, watch: Arc<dyn Watch>) -> Zones {
        self.watch = Some(watch);
        self
    }

    /// Publishes a table in which these slots are, and perhaps others that are in it already.
    fn publish<'s>(&self, slots: impl IntoIterator<Item = &'s Arc<ZoneSlot>>, mut swap: impl FnMut()) {
        let slots: Vec<_> = slots.into_iter().collect();
        self.attach(slots.iter().copied());
        let mut swap = || self.epoch.change(&mut swap);
        let Some(watch) = &self.watch else { return swap() };
        let known: HashSet<u32> = self.table.load().slots.iter().map(|slot| slot.number).collect();
        let new: Vec<_> = slots.into_iter().filter(|slot| !known.contains(&slot.number)).collect();
        new.iter().for_each(|slot| *slot.watch() = Some(Arc::clone(watch)));
        watch.publish_table(&new, &mut swap);
    }

    /// The low half of the table's number, to be read before the table, as [`ZoneSlot::generation`].
    #[must_use]
    #[inline]
    pub fn epoch(&self) -> Option<u32> {
        self.epoch.get()
    }

    fn attach<'s>(&self, slots: impl IntoIterator<Item = &'s Arc<ZoneSlot>>) {
        if self.generations.is_empty() {
            return;
        }
        for slot in slots {
            if let Some(word) = self.generations.get(slot.number as usize) {
                slot.generation.attach(word);
            }
        }
    }

    /// The table now. Hold the guard for a batch of queries at most.
    #[must_use]
    pub fn load(&self) -> Guard<Arc<ZoneTable>> {
        self.table.load()
    }

    /// The slot of a zone by its exact name.
    #[must_use]
    pub fn get(&self, apex: NameRef<'_>) -> Option<Arc<ZoneSlot>> {
        self.table.load().get(apex).cloned()
    }

    /// Adds a slot, or puts it in place of the one with its name.
    pub fn insert(&self, slot: &Arc<ZoneSlot>) {
        self.publish([slot], || {
            self.table.rcu(|table| {
                let others = table.slots.iter().filter(|other| other.apex != slot.apex);
                ZoneTable::new(others.chain(std::iter::once(slot)).cloned().collect())
            });
        });
    }

    /// Takes a zone out; false if it was not there.
    pub fn remove(&self, apex: NameRef<'_>) -> bool {
        let others = |table: &Arc<ZoneTable>| table.slots.iter().filter(|slot| slot.apex() != apex).cloned().collect();
        let before = self.epoch.change(|| self.table.rcu(|table| ZoneTable::new(others(table))));
        before.get(apex).is_some()
    }

    /// Replaces the whole table: one swap for any number of zones.
    pub fn replace(&self, slots: Vec<Arc<ZoneSlot>>) {
        let table = Arc::new(ZoneTable::new(slots));
        self.publish(&table.slots, || self.table.store(Arc::clone(&table)));
    }
}

/// The zones at one moment: a hash table of their names, at most half full, probed in line.
#[derive(Debug)]
pub struct ZoneTable {
    slots: Vec<Arc<ZoneSlot>>,
    /// Which label counts occur, a bit for each: a name of a hundred labels costs no hundred probes.
    depths: u128,
    buckets: Box<[Bucket]>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    hash: u32,
    /// Index of the slot, plus one; zero is empty.
    slot: u32,
}

/// A label's place in a name. No name has more labels than half its octets.
const LABELS_MAX: usize = 128;

impl ZoneTable {
    fn new(slots: Vec<Arc<ZoneSlot>>) -> ZoneTable {
        let empty = Bucket { hash: 0, slot: 0 };
        let mut buckets = vec![empty; (slots.len() * 2).next_power_of_two().max(2)].into_boxed_slice();
        let mask = buckets.len() - 1;
        for (index, slot) in slots.iter().enumerate() {
            let hash = hash_name(slot.apex());
            let mut at = hash as usize & mask;
            while buckets.get(at).is_some_and(|bucket| bucket.slot != 0) {
                at = (at + 1) & mask;
            }
            if let Some(bucket) = buckets.get_mut(at) {
                *bucket = Bucket { hash, slot: index as u32 + 1 };
            }
        }
        let depths = slots.iter().fold(0, |depths, slot| depths | depth_bit(slot.apex().label_count()));
        ZoneTable { slots, depths, buckets }
    }

    /// All slots, in no particular order.
    #[must_use]
    pub fn slots(&self) -> &[Arc<ZoneSlot>] {
        &self.slots
    }

    /// The slot of a zone by its exact name.
    #[must_use]
    pub fn get(&self, apex: NameRef<'_>) -> Option<&Arc<ZoneSlot>> {
        self.probe(hash_name(apex), apex.as_bytes())
    }

    /// The zone to answer a question from: the closest that encloses `qname`. A question for DS at a zone's apex goes to
    /// the zone above, if that is ours too: the record lives there (RFC 4035 §3.1.4.1).
    #[must_use]
    #[inline]
    pub fn find(&self, qname: NameRef<'_>, qtype: Rtype) -> Option<&Arc<ZoneSlot>> {
        let closest = self.closest(qname)?;
        if qtype == Rtype::DS && closest.apex() == qname {
            let above = qname.parent().and_then(|parent| self.closest(parent));
            return Some(above.unwrap_or(closest));
        }
        Some(closest)
    }

    fn closest(&self, qname: NameRef<'_>) -> Option<&Arc<ZoneSlot>> {
        let bytes = qname.as_bytes();
        let mut starts = [0u8; LABELS_MAX];
        let (mut labels, mut at) = (0, 0);
        while let Some(&len) = bytes.get(at).filter(|len| **len != 0) {
            *starts.get_mut(labels)? = at as u8;
            labels += 1;
            at += 1 + usize::from(len);
        }
        // From the root down, so that each suffix extends the hash of the one before; the last hit is the closest.
        let mut hash = HASH_OF_ROOT;
        let mut found = if self.depths & 1 == 0 { None } else { self.probe(finish_hash(hash), bytes.get(at..)?) };
        let mut deeper = self.depths >> 1;
        for &start in starts.get(..labels)?.iter().rev() {
            if deeper == 0 {
                break;
            }
            let start = usize::from(start);
            let len = usize::from(*bytes.get(start)?);
            hash = hash_label(hash, bytes.get(start..=start + len)?);
            if deeper & 1 != 0 {
                found = self.probe(finish_hash(hash), bytes.get(start..)?).or(found);
            }
            deeper >>= 1;
        }
        found
    }

    #[inline]
    fn probe(&self, hash: u32, name: &[u8]) -> Option<&Arc<ZoneSlot>> {
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let bucket = self.buckets.get(at)?;
            let slot = self.slots.get(bucket.slot.checked_sub(1)? as usize)?;
            // Most clients write in lower case, and so compare at once.
            let apex = slot.apex.as_bytes();
            if bucket.hash == hash && (apex == name || apex.eq_ignore_ascii_case(name)) {
                return Some(slot);
            }
            at = (at + 1) & mask;
        }
    }
}

/// The bit of [`ZoneTable::depths`] for names of so many labels, of which there are at most 127.
fn depth_bit(labels: usize) -> u128 {
    1u128.checked_shl(labels as u32).unwrap_or(0)
}

const HASH_OF_ROOT: u64 = 0x243f_6a88_85a3_08d3;

fn hash_name(name: NameRef<'_>) -> u32 {
    let mut labels = [&[][..]; LABELS_MAX];
    let mut count = 0;
    let mut rest = name;
    while let Some(parent) = rest.parent() {
        let label_len = rest.as_bytes().len() - parent.as_bytes().len();
        if let (Some(place), Some(label)) = (labels.get_mut(count), rest.as_bytes().get(..label_len)) {
            *place = label;
        }
        count += 1;
        rest = parent;
    }
    finish_hash(labels.iter().take(count).rev().fold(HASH_OF_ROOT, |hash, label| hash_label(hash, label)))
}

/// Extends a hash by one label with its length octet, letters folded. Zone names come from the configuration, so no one
/// else chooses what collides.
#[inline]
fn hash_label(hash: u64, label: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = hash;
    let mut chunks = label.chunks_exact(8);
    for chunk in chunks.by_ref() {
        let word = chunk.first_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk));
        hash = (hash ^ (word | FOLD)).wrapping_mul(FACTOR).rotate_left(29);
    }
    let mut word = 0;
    for &octet in chunks.remainder() {
        word = word << 8 | u64::from(octet);
    }
    (hash ^ (word | FOLD)).wrapping_mul(FACTOR).rotate_left(29)
}

/// Setting bit 5 of each octet folds letters, and some others that then share a hash; names are compared in the end.
const FOLD: u64 = 0x2020_2020_2020_2020;

fn finish_hash(hash: u64) -> u32 {
    (hash ^ hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn zones(names: &[&str]) -> Zones {
        let zones = Zones::new();
        for text in names {
            zones.insert(&Arc::new(ZoneSlot::new(name(text))));
        }
        zones
    }

    fn found(zones: &Zones, qname: &str, qtype: Rtype) -> Option<String> {
        zones.load().find(name(qname).as_ref(), qtype).map(|slot| slot.apex().to_string())
    }

    #[test]
    fn the_closest_zone_is_found() {
        let zones = zones(&["example.", "Sub.example.", "a.b.c.sub.example.", "com."]);
        for (qname, apex) in [
            ("example", Some("example.")),
            ("WWW.EXAMPLE", Some("example.")),
            ("x.sub.EXAMPLE", Some("sub.example.")),
            ("b.c.sub.example", Some("sub.example.")),
            ("z.a.b.c.sub.example", Some("a.b.c.sub.example.")),
            ("xsub.example", Some("example.")),
            (".", None),
            ("net", None),
        ] {
            assert_eq!(found(&zones, qname, Rtype::A).as_deref(), apex, "{qname}");
        }
        assert!(zones.remove(name("SUB.example").as_ref()));
        assert!(!zones.remove(name("sub.example").as_ref()));
        assert_eq!(found(&zones, "x.sub.example", Rtype::A).as_deref(), Some("example."));
    }

    #[test]
    fn ds_lives_above_the_cut() {
        let zones = zones(&["example.", "sub.example.", "deep.x.sub.example.", "alone."]);
        for (qname, apex) in [
            ("sub.example", "example."),
            ("deep.x.sub.example", "sub.example."),
            ("www.sub.example", "sub.example."),
            ("alone", "alone."),
        ] {
            assert_eq!(found(&zones, qname, Rtype::DS).as_deref(), Some(apex), "{qname}");
        }
    }

    #[test]
    fn many_zones_against_a_linear_search() {
        let mut random = Random::new(8);
        let label = |random: &mut Random| ["a", "b", "cc", "longer-label-here", "x1"][random.below(5)].to_owned();
        let text = |random: &mut Random| {
            let count = 1 + random.below(6);
            (0..count).map(|_| label(random)).collect::<Vec<_>>().join(".")
        };
        let slots: Vec<_> = (0..500).map(|_| Arc::new(ZoneSlot::new(name(&text(&mut random))))).collect();
        let zones = Zones::new();
        zones.replace(slots.clone());
        for _ in 0..5000 {
            let qname = name(&text(&mut random).to_uppercase());
            let enclosing = slots.iter().filter(|slot| qname.as_ref().is_within(slot.apex()));
            let expected = enclosing.map(|slot| slot.apex().to_string()).max_by_key(String::len);
            assert_eq!(found(&zones, &qname.to_string(), Rtype::A), expected);
        }
    }

    #[test]
    fn states_are_published() {
        let slot = ZoneSlot::new(name("example"));
        assert!(matches!(**slot.state(), ZoneState::Pending));
        let guard = slot.state();
        slot.publish(ZoneState::Expired(None));
        assert!(matches!(**guard, ZoneState::Pending));
        assert!(matches!(**slot.state(), ZoneState::Expired(None)));
        assert!(slot.serving().is_none());
    }

    #[test]
    fn whatever_changes_the_answers_changes_a_number() {
        let words: &'static [AtomicU64] = Box::leak((0..4096).map(|_| AtomicU64::new(0)).collect());
        let zones = Zones::with_generations(words);
        let (slot, other) = (Arc::new(ZoneSlot::new(name("example"))), Arc::new(ZoneSlot::new(name("other"))));
        assert_eq!(slot.generation(), None);
        let mut epochs = vec![zones.epoch().unwrap()];
        zones.insert(&slot);
        epochs.push(zones.epoch().unwrap());
        zones.replace(vec![Arc::clone(&slot), Arc::clone(&other)]);
        epochs.push(zones.epoch().unwrap());
        zones.remove(name("other").as_ref());
        epochs.push(zones.epoch().unwrap());
        assert!(epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");

        let numbers = || [slot.generation(), other.generation()].map(Option::unwrap);
        let before = numbers();
        slot.publish(ZoneState::Expired(None));
        assert_eq!(numbers(), [before[0] + 2, before[1]]);
        slot.begin_change();
        assert_eq!(slot.generation(), None);
        slot.publish(ZoneState::Pending);
        assert_eq!(slot.generation(), None);
        slot.end_change();
        assert_eq!(numbers(), [before[0] + 4, before[1]]);
        let word = &words[1 + slot.number() as usize];
        assert_eq!(word.load(Ordering::SeqCst), u64::from(before[0]) + 4);
    }

    /// A reader that takes the number first never takes an old answer for one of now.
    #[test]
    fn a_number_read_before_the_state_tells_whether_it_is_of_now() {
        let words: &'static [AtomicU64] = Box::leak((0..4096).map(|_| AtomicU64::new(0)).collect());
        let zones = Zones::with_generations(words);
        let slot = Arc::new(ZoneSlot::new(name("example")));
        zones.insert(&slot);
        let published = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let publisher = scope.spawn(|| {
                for version in 1..20_000 {
                    slot.publish(ZoneState::OnDemand { id: version });
                    published.store(version, Ordering::SeqCst);
                }
            });
            while !publisher.is_finished() {
                let Some(generation) = slot.generation() else { continue };
                let ZoneState::OnDemand { id } = **slot.state() else { continue };
                // Kept for a while; then somebody looks whether it is of now.
                std::hint::spin_loop();
                let least = published.load(Ordering::SeqCst);
                if slot.generation() == Some(generation) {
                    assert!(id >= least, "{id} was given after {least} was published");
                }
            }
        });
    }
}
