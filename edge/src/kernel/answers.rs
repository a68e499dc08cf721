//! The table of answers that the kernel lane gives: lanes put there what they were asked for, whole and ready to be sent.
//!
//! ```text
//! tags:  set ──▶ tags of 8 ways            key = hash of the name, type, DO; tag = 16 bits of it
//! slots: set, way ──▶ seq, question, stamp, body      written by whoever makes seq odd; read by the program
//! texts: set, way ──▶ name and body of what has no room in a slot
//! ```
//!
//! Its size is fixed. In a full set the least recently used answer makes room, but only for what was asked for before: a
//! flood of names that come once pushes out nothing. Nothing here locks, waits or allocates, but making it.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::fmt;
use std::sync::atomic::{
    AtomicU16, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};

use super::layout::*;
use super::slot::{Entry, SLOT_WORDS, Slot, Stamp, TEXT_WORDS, Words};

/// Questions that are remembered so that the second one is known as such.
const ASKED_PLACES: usize = 1 << 16;

/// The table.
pub struct Answers {
    tags: &'static [AtomicU16],
    slots: &'static [AtomicU64],
    texts: &'static [AtomicU64],
    /// As [`zones::Zones::with_generations`] has them.
    generations: &'static [AtomicU64],
    set_mask: usize,
    /// What is left of the hash of a question that was asked a while ago, at the place that the rest of it says.
    asked: Box<[AtomicU16]>,
}

/// How sure it is that an answer will be asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// It is worth a place that is free.
    Some,
    /// It is worth one only when it is asked for a second time.
    Little,
}

/// Where an answer may be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    index: usize,
    key: u64,
}

/// The key of a question: `name_hash` is that of [`filters::Gate::name_hash`].
#[inline]
pub fn key(name_hash: u64, qtype: u16, dnssec_ok: bool) -> u64 {
    let kind = u64::from(qtype) << 1 | u64::from(dnssec_ok);
    name_hash.wrapping_add(kind.wrapping_mul(KEY_FACTOR as u64))
}

/// The way of its set that a key has if it can.
#[inline]
fn home_of(key: u64) -> usize {
    (key >> KEY_WAY_SHIFT) as usize % WAYS
}

/// What stands for a key among the tags.
#[inline]
fn tag_of(key: u64) -> u16 {
    ((key >> KEY_TAG_SHIFT) as u16).max(1)
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answers").field("places", &self.places()).finish_non_exhaustive()
    }
}

impl Answers {
    /// An empty table in this memory: the maps `tags`, `slots`, `texts` and `generations`. What another process left there is
    /// gone.
    pub fn new(
        tags: &'static [AtomicU16],
        slots: &'static [AtomicU64],
        texts: &'static [AtomicU64],
        generations: &'static [AtomicU64],
    ) -> Answers {
        let sets = (tags.len() / WAYS).min(slots.len() / (WAYS * SLOT_WORDS)).min(texts.len() / (WAYS * TEXT_WORDS));
        // Rounded down to a power of two; the loader makes it one.
        let sets = sets.checked_ilog2().map_or(0, |log| 1usize << log);
        let asked = (0..ASKED_PLACES).map(|_| AtomicU16::new(0)).collect();
        let answers = Answers { tags, slots, texts, generations, set_mask: sets.saturating_sub(1), asked };
        answers.clear();
        answers
    }

    fn clear(&self) {
        self.tags.iter().for_each(|tag| tag.store(0, SeqCst));
        for slot in self.slots.chunks_exact(SLOT_WORDS) {
            if let [seq, key, ..] = slot
                && (key.load(Relaxed) != 0 || seq.load(Relaxed) & 1 != 0)
            {
                // Whoever was writing it is dead.
                seq.fetch_or(1, SeqCst);
                key.store(0, SeqCst);
                seq.fetch_add(1, SeqCst);
            }
        }
    }

    /// How many answers there may be.
    pub fn places(&self) -> usize {
        self.slots.len() / SLOT_WORDS
    }

    /// How many answers there are, those that are not of now included.
    pub fn held(&self) -> usize {
        self.tags.iter().filter(|tag| tag.load(Relaxed) != 0).count()
    }

    fn slot(&self, index: usize) -> Option<Words> {
        let slot = self.slots.get(index * SLOT_WORDS..(index + 1) * SLOT_WORDS)?;
        Some(Words { slot, text: self.texts.get(index * TEXT_WORDS..(index + 1) * TEXT_WORDS)? })
    }

    /// The index of the first slot of a key's set, and the tags there.
    #[inline]
    fn set(&self, key: u64) -> Option<(usize, &'static [AtomicU16])> {
        let first = ((key >> KEY_SET_SHIFT) as usize & self.set_mask) * WAYS;
        Some((first, self.tags.get(first..first + WAYS)?))
    }

    /// Whether an answer is of now and its life not over.
    fn is_of_now(&self, stamp: Stamp, valid_us: u64, now_us: u64) -> bool {
        let number = |place: usize| self.generations.get(place).map(|number| number.load(Relaxed) as u32);
        number(0) == Some(stamp.epoch)
            && number(1 + stamp.zone as usize) == Some(stamp.generation)
            && (valid_us == 0 || now_us < valid_us)
    }

    /// Where the answer with this key may be put; nowhere if it is there already or not worth it.
    ///
    /// `is_asked_again` says of a key of a full set, and is only asked then, whether it is known already.
    #[inline]
    pub fn find_place(&self, key: u64, promise: Promise, now_us: u64) -> Option<Place> {
        let (first, tags) = self.set(key)?;
        let home = tags.get(home_of(key)).filter(|tag| tag.load(Relaxed) == 0);
        let mut free = home.map(|_| first + home_of(key));
        for (way, tag) in tags.iter().enumerate() {
            match tag.load(Relaxed) {
                known if known == tag_of(key) && self.has_key(first + way, key) => {
                    return self.find_again(Place { index: first + way, key }, now_us);
                }
                0 => free = free.or(Some(first + way)),
                _ => {}
            }
        }
        match (free, promise) {
            (Some(index), Promise::Some) => Some(Place { index, key }),
            _ if !self.is_asked_again(key) => None,
            (Some(index), _) => Some(Place { index, key }),
            (None, _) => self.make_room(first, now_us).map(|index| Place { index, key }),
        }
    }

    fn has_key(&self, index: usize, key: u64) -> bool {
        self.slot(index).and_then(|words| words.word(SLOT_KEY)).is_some_and(|known| known.load(Relaxed) == key)
    }

    /// The place of an answer that is there, if it is not of now any more.
    fn find_again(&self, place: Place, now_us: u64) -> Option<Place> {
        let slot = self.slot(place.index)?;
        let (known, head) = read_head(slot)?;
        (known != place.key || !self.is_of_now(head.stamp, head.valid_us, now_us)).then_some(place)
    }

    /// Whether this key was met before, a while ago; it is known from now on.
    fn is_asked_again(&self, key: u64) -> bool {
        // Other bits than those that choose the set.
        let (place, left) = ((key >> 40) as usize % ASKED_PLACES, (key as u16).max(1));
        let Some(place) = self.asked.get(place) else { return false };
        let known = place.load(Relaxed) == left;
        if !known {
            place.store(left, Relaxed);
        }
        known
    }

    /// The way of a full set whose answer is worth least: one that is not of now, else the least recently used.
    #[cold]
    fn make_room(&self, first: usize, now_us: u64) -> Option<usize> {
        let mut least = None;
        for index in first..first + WAYS {
            let Some((_, head)) = self.slot(index).and_then(read_head) else { continue };
            if !self.is_of_now(head.stamp, head.valid_us, now_us) {
                return Some(index);
            }
            if least.is_none_or(|(used, _)| head.used < used) {
                least = Some((head.used, index));
            }
        }
        least.map(|(_, index)| index)
    }

    /// Puts an answer there, unless another lane does just that, or it has no room. Says whether it did.
    pub fn put(&self, place: Place, entry: &Entry<'_>, now_us: u64) -> bool {
        let (Some(words), Some(tag)) = (self.slot(place.index), self.tags.get(place.index)) else { return false };
        let Some(seq) = words.word(SLOT_SEQ).filter(|_| entry.fits()) else { return false };
        let before = seq.load(Relaxed);
        if before & 1 != 0 || seq.compare_exchange(before, before.wrapping_add(1), Acquire, Relaxed).is_err() {
            return false;
        }
        // Nobody sees any of it before the odd number.
        fence(Release);
        entry.write(place.key, now_us, words);
        tag.store(tag_of(place.key), Relaxed);
        seq.store(before.wrapping_add(2), Release);
        true
    }

    /// What is there for a key, whether it is of now or not; nothing while it is being written.
    pub fn get(&self, key: u64) -> Option<Slot> {
        let (first, tags) = self.set(key)?;
        let mut ways = tags.iter().enumerate().filter(|(_, tag)| tag.load(Relaxed) == tag_of(key));
        let (way, _) = ways.find(|(way, _)| self.has_key(first + way, key))?;
        read(self.slot(first + way)?).filter(|slot| slot.key() == key)
    }

    /// The same if the program would give it at `now_us`.
    pub fn get_valid(&self, key: u64, now_us: u64) -> Option<Slot> {
        self.get(key).filter(|slot| self.is_of_now(slot.stamp(), slot.lives_us().1, now_us))
    }

    /// Takes the counts of uses since they were taken last from at most `slots` slots, from the one with number `from` on,
    /// and says which is the next to begin with.
    pub fn take_hits(&self, from: usize, slots: usize, mut visit: impl FnMut(&Slot, u64)) -> usize {
        let places = self.places();
        let from = if from < places { from } else { 0 };
        let end = from.saturating_add(slots).min(places);
        for index in from..end {
            let Some(words) = self.slot(index) else { continue };
            let Some(word) = words.word(SLOT_HITS).filter(|word| hits_of(word.load(Relaxed)) != 0) else { continue };
            // Should it be written just now, these are the uses of what it held or will hold: few, and of no consequence.
            let number = hits_of(word.fetch_and(!HITS_MASK, Relaxed));
            if let Some(slot) = read(words) {
                visit(&slot, number.into());
            }
        }
        end % places.max(1)
    }
}

/// The bits of the word at [`SLOT_USED`] that are those of [`SLOT_HITS`], whatever the machine's order of octets.
const HITS_MASK: u64 = u64::from_ne_bytes([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);

fn hits_of(word: u64) -> u32 {
    let [.., a, b, c, d] = word.to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

/// What says of a slot whether it is worth its place.
#[derive(Clone, Copy)]
struct Head {
    stamp: Stamp,
    valid_us: u64,
    used: u32,
}

/// The key of a slot and its head; nothing while it is written.
fn read_head(words: Words) -> Option<(u64, Head)> {
    let word = |offset: usize| words.word(offset).map_or(0, |word| word.load(Relaxed));
    let half = |offset: usize| {
        let word = word(offset).to_ne_bytes();
        let [low, high] = word.as_chunks::<4>().0 else { return 0 };
        u32::from_ne_bytes(if offset.is_multiple_of(8) { *low } else { *high })
    };
    consistently(words, || {
        // Of a short one what stands there is another's, of before.
        let is_long = word(SLOT_IS_LONG).to_ne_bytes().get(SLOT_IS_LONG % 8) != Some(&0);
        let valid_us = words.text.get(TEXT_VALID_US / 8).filter(|_| is_long).map_or(0, |word| word.load(Relaxed));
        let stamp = Stamp { zone: half(SLOT_ZONE), generation: half(SLOT_GENERATION), epoch: half(SLOT_EPOCH) };
        (word(SLOT_KEY), Head { stamp, valid_us, used: half(SLOT_USED) })
    })
}

fn read(words: Words) -> Option<Slot> {
    consistently(words, || Slot::copy(words))
}

/// Reads a slot that nobody writes meanwhile.
fn consistently<R>(words: Words, read: impl FnOnce() -> R) -> Option<R> {
    let seq = words.word(SLOT_SEQ)?;
    let before = seq.load(Acquire);
    if before & 1 != 0 {
        return None;
    }
    let read = read();
    fence(Acquire);
    (seq.load(Relaxed) == before).then_some(read)
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
