//! The table of sources: its size is fixed, a look-up touches one cache line, and nobody pushes out the known good.
//!
//! ```text
//! one bucket, 64 bytes:   key key key │ state state state │ seen once: 9 fingerprints of 12 bits, the newest first
//! ```
//!
//! The last two octets are nobody's: the kernel lane writes there to have the line come near without waiting for it.
//!
//! A source that was never seen leaves a fingerprint and nothing else. Only its second sight gets it a place, so that a
//! flood of random sources pushes out other fingerprints, and hardly a source that is there. At 400,000 new sources a second
//! a fingerprint stays for six seconds: a resolver's next try comes within two. At rest it stays as long as you like.
//!
//! Lanes share the table and write with plain stores. What gets lost when two write at once is a query in a budget or a
//! mark for behaviour; what makes a source known good is exchanged against what it was decided upon.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use super::{
    key::Key,
    limits::Limits,
    state::{Clock, State},
};
use crate::memory::{self, Shared, Taker};

/// Each has places for three sources.
pub(crate) const BUCKETS: usize = 1 << 18;
/// The row of a source depends on its hash from this bit on.
pub(crate) const SHIFT: u32 = 40;
/// So many of them may be known good for long; others find a place always.
const GOOD_MAX: usize = 2;
/// Bits of a fingerprint, and how many there are in a word.
const PRINT_BITS: u32 = 12;
const PRINT_MASK: u64 = (1 << PRINT_BITS) - 1;
const PRINTS_MASK: u64 = (1 << (5 * PRINT_BITS)) - 1;
/// In the last word there is one less.
const OLDER_PRINTS_MASK: u64 = (1 << (4 * PRINT_BITS)) - 1;
const PRINT_ONES: u64 = 0x0001_0010_0100_1001;
const PRINT_HIGHS: u64 = PRINT_ONES << (PRINT_BITS - 1);

#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
struct Bucket([AtomicU64; 8]);

/// The place of a source: its key and its state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'t> {
    key: &'t AtomicU64,
    state: &'t AtomicU64,
}

impl Place<'_> {
    #[inline]
    pub(super) fn load(&self) -> State {
        State::from_bits(self.state.load(Relaxed))
    }

    /// Only if it is no other by now.
    #[inline]
    pub(super) fn store(&self, from: State, to: State) {
        if from != to {
            self.state.store(to.to_bits(), Relaxed);
        }
    }

    fn take(&self, key: Key, state: State) {
        self.state.store(state.to_bits(), Relaxed);
        self.key.store(key.to_bits(), Relaxed);
    }

    fn clear(&self) {
        self.key.store(0, Relaxed);
        self.state.store(0, Relaxed);
    }

    fn source(&self) -> Option<Key> {
        Key::from_bits(self.key.load(Relaxed))
    }

    fn rank(&self, clock: &Clock) -> u64 {
        if self.source().is_some() { self.load().rank(clock) } else { 0 }
    }
}

/// One bucket of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'t>(&'t Bucket);

impl<'t> Row<'t> {
    #[inline]
    fn places(self) -> [Place<'t>; 3] {
        let [k0, k1, k2, s0, s1, s2, _, _] = &self.0.0;
        [Place { key: k0, state: s0 }, Place { key: k1, state: s1 }, Place { key: k2, state: s2 }]
    }

    #[inline]
    pub(super) fn find(self, key: Key) -> Option<Place<'t>> {
        let [first, second, third] = self.places();
        let is = |place: &Place<'_>| place.key.load(Relaxed) == key.to_bits();
        if is(&first) {
            Some(first)
        } else if is(&second) {
            Some(second)
        } else {
            is(&third).then_some(third)
        }
    }

    /// The place of a source that has none yet; it pushes out whoever is worth least, and less than `rank`.
    pub(super) fn insert(self, key: Key, state: State, rank: u64, clock: &Clock) -> Option<Place<'t>> {
        let least = self.places().into_iter().min_by_key(|place| place.rank(clock))?;
        if least.rank(clock) >= rank {
            return None;
        }
        least.take(key, state);
        Some(least)
    }

    /// Makes a source known good, unless as many are in its row as may be.
    pub(super) fn promote(self, place: Place<'t>, from: State, to: State) -> bool {
        self.good() < GOOD_MAX && place.state.compare_exchange(from.to_bits(), to.to_bits(), Relaxed, Relaxed).is_ok()
    }

    /// A source that is told to be known good. The one that was silent for longest makes room where there is none.
    fn insert_good(self, key: Key, state: State, clock: &Clock) -> bool {
        if let Some(place) = self.find(key) {
            if !place.load().is_good() && self.good() < GOOD_MAX {
                place.take(key, state);
            }
            return place.load().is_good();
        }
        if self.good() < GOOD_MAX {
            return self.insert(key, state, State::RANK_GOOD, clock).is_some();
        }
        let silent_s = |place: &Place<'_>| place.load().good_ages_s(clock).1;
        let good = self.places().into_iter().filter(|place| place.load().is_good());
        match good.max_by_key(silent_s) {
            Some(place) if silent_s(&place) > state.good_ages_s(clock).1 => {
                place.take(key, state);
                true
            }
            _ => false,
        }
    }

    fn good(self) -> usize {
        self.places().iter().filter(|place| place.load().is_good()).count()
    }

    /// Whether this fingerprint is there.
    #[inline]
    pub(super) fn was_seen(self, hash: u64) -> bool {
        let [.., newer, older] = &self.0.0;
        has(newer.load(Relaxed), print(hash)) || has(older.load(Relaxed) & OLDER_PRINTS_MASK, print(hash))
    }

    /// Leaves this fingerprint.
    #[inline]
    pub(super) fn note(self, hash: u64) {
        let [.., newer, older] = &self.0.0;
        let (new, old) = (newer.load(Relaxed), older.load(Relaxed));
        newer.store((new << PRINT_BITS | print(hash)) & PRINTS_MASK, Relaxed);
        older.store((old << PRINT_BITS | new >> (4 * PRINT_BITS)) & OLDER_PRINTS_MASK, Relaxed);
    }

    /// Brings the line near.
    #[inline]
    pub(super) fn touch(self) -> u64 {
        let [first, ..] = &self.0.0;
        first.load(Relaxed)
    }
}

/// The bits of the hash that the row does not depend on; never 0, which is an empty place.
#[inline]
fn print(hash: u64) -> u64 {
    (hash >> 20 & PRINT_MASK).max(1)
}

/// Whether one of the five is this one: a field that is 0 after the exclusive or borrows into its highest bit.
#[inline]
fn has(prints: u64, print: u64) -> bool {
    let differences = prints ^ (print * PRINT_ONES);
    differences.wrapping_sub(PRINT_ONES) & !differences & PRINT_HIGHS != 0
}

/// All sources.
#[derive(Debug)]
pub(super) struct Table {
    buckets: Shared<Bucket>,
}

impl Table {
    pub(super) fn within(taker: &mut Taker<'_>) -> Table {
        Table { buckets: taker.shared(memory::Table::Sources, BUCKETS) }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// The only row that a source may be in.
    #[inline]
    pub(super) fn row(&self, hash: u64) -> Option<Row<'_>> {
        self.buckets.get((hash >> SHIFT) as usize & (BUCKETS - 1)).map(Row)
    }

    /// All sources with their states.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, State)> + '_ {
        let places = self.buckets.iter().flat_map(|bucket| Row(bucket).places());
        places.filter_map(|place| Some((place.source()?, place.load())))
    }

    /// Takes in a source that is told to be known good. Says whether there was room.
    pub(super) fn insert_good(&self, key: Key, hash: u64, state: State, clock: &Clock) -> bool {
        self.row(hash).is_some_and(|row| row.insert_good(key, state, clock))
    }

    /// Forgets a source.
    pub(super) fn remove(&self, key: Key, hash: u64) {
        if let Some(place) = self.row(hash).and_then(|row| row.find(key)) {
            place.clear();
        }
    }

    /// Forgets what is too old in this part of the table, of so many.
    pub(super) fn sweep(&self, part: usize, parts: usize, limits: &Limits, clock: &Clock) {
        let length = BUCKETS.div_ceil(parts);
        let rows = self.buckets.iter().skip(part % parts * length).take(length).map(Row);
        for place in rows.flat_map(Row::places).filter(|place| place.source().is_some()) {
            let state = place.load();
            match state.sweep(limits, clock) {
                Some(swept) => place.store(state, swept),
                None => place.clear(),
            }
        }
    }
}
