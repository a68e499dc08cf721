//! The suffixes at which random names are asked for, with their names: for the operator, and to let them rest.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use wire::{Name, NameRef};
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use crate::{
    ZoneNumber,
    memory::{One, Shared, Table, Taker},
};

/// So many suffixes can be attacked at once; what fails at others is answered.
pub(crate) const ATTACKED_MAX: usize = 1024;
/// So many places are tried for a new one.
const PROBES: usize = 16;
pub(crate) const NAME_WORDS: usize = 32;

const FREE: u32 = 0;
const BEING_WRITTEN: u32 = 1;
const READY: u32 = 2;

/// One place. A lane fills it, the tick frees it.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C)]
struct Place {
    state: AtomicU32,
    zone: AtomicU32,
    key: AtomicU64,
    name: [AtomicU64; NAME_WORDS],
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Attacked {
    places: Shared<Place>,
    used: One<Used>,
}

/// How many places are taken.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
struct Used {
    places: AtomicU64,
    zeros: [AtomicU64; 7],
}

/// An attacked suffix.
#[derive(Clone, Copy)]
pub(crate) struct AttackedSuffix {
    pub(crate) place: u32,
    pub(crate) key: u64,
    pub(crate) zone: ZoneNumber,
    pub(crate) name: Name,
}

impl Attacked {
    pub(crate) fn within(taker: &mut Taker<'_>) -> Attacked {
        Attacked { places: taker.shared(Table::Attacked, ATTACKED_MAX), used: taker.one(Table::AttackedUsed) }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.used.places.load(Relaxed) == 0
    }

    /// Takes a place, and says which; none when all are taken.
    #[cold]
    pub(crate) fn add(&self, key: u64, zone: ZoneNumber, name: &[u8]) -> Option<u32> {
        if self.used.places.load(Relaxed) >= ATTACKED_MAX as u64 {
            return None;
        }
        let start = (key >> 32) as usize;
        let (number, place) = (0..PROBES).find_map(|n| {
            let number = (start + n) % ATTACKED_MAX;
            let place = self.places.get(number)?;
            place.state.compare_exchange(FREE, BEING_WRITTEN, Acquire, Relaxed).ok()?;
            Some((number, place))
        })?;
        place.key.store(key, Relaxed);
        place.zone.store(zone.0, Relaxed);
        let mut chunks = name.chunks(8);
        for word in &place.name {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(chunks.next().unwrap_or_default()).for_each(|(to, from)| *to = *from);
            word.store(u64::from_le_bytes(bytes), Relaxed);
        }
        self.used.places.fetch_add(1, Relaxed);
        place.state.store(READY, Release);
        Some(number as u32)
    }

    /// The suffix at this place.
    fn get(&self, number: u32) -> Option<AttackedSuffix> {
        let place = self.places.get(number as usize)?;
        if place.state.load(Acquire) != READY {
            return None;
        }
        let mut bytes = [0; NAME_WORDS * 8];
        let (words, _) = bytes.as_chunks_mut::<8>();
        words.iter_mut().zip(&place.name).for_each(|(to, word)| *to = word.load(Relaxed).to_le_bytes());
        let name = NameRef::parse(&bytes).ok()?.to_owned().to_ascii_lowercase();
        let (key, zone) = (place.key.load(Relaxed), ZoneNumber(place.zone.load(Relaxed)));
        Some(AttackedSuffix { place: number, key, zone, name })
    }

    /// All that are attacked now.
    pub(crate) fn list(&self) -> impl Iterator<Item = AttackedSuffix> + '_ {
        (0..ATTACKED_MAX as u32).filter_map(|number| self.get(number))
    }

    /// Gives a place back.
    pub(crate) fn remove(&self, number: u32) {
        if let Some(place) = self.places.get(number as usize)
            && place.state.compare_exchange(READY, FREE, Release, Relaxed).is_ok()
        {
            self.used.places.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_and_given_back() {
        let attacked = Attacked::within(&mut Taker::own());
        let longest = [vec!["x".repeat(63); 3], vec!["y".repeat(61)]].concat().join(".");
        let name: Name = longest.parse().unwrap();
        assert!(attacked.is_none());
        let place = attacked.add(7, ZoneNumber(3), name.as_bytes()).unwrap();
        let listed = attacked.list().next().unwrap();
        assert_eq!((listed.place, listed.key, listed.zone), (place, 7, ZoneNumber(3)));
        assert_eq!(listed.name.as_ref(), name.as_ref());
        attacked.remove(place);
        attacked.remove(place);
        assert!(attacked.is_none() && attacked.list().next().is_none());
    }

    #[test]
    fn there_are_never_more_than_fit() {
        let attacked = Attacked::within(&mut Taker::own());
        let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let taken = (0..100_000).filter_map(|n| attacked.add(key(n), ZoneNumber(1), &[0])).count();
        assert_eq!(taken, ATTACKED_MAX);
        assert_eq!(attacked.list().count(), ATTACKED_MAX);
    }
}
