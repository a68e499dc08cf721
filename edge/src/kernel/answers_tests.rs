//! Tests of the table of answers, by a reader that does what the program does.

use std::sync::atomic::AtomicBool;

use filters::Kind;

use super::*;
use crate::kernel::slot::{Fixups, Told};

const ZONES: usize = 16;

fn words(number: usize) -> &'static [AtomicU64] {
    Box::leak((0..number).map(|_| AtomicU64::new(0)).collect())
}

fn halves(number: usize) -> &'static [AtomicU16] {
    Box::leak((0..number).map(|_| AtomicU16::new(0)).collect())
}

fn table(sets: usize) -> (Answers, &'static [AtomicU64]) {
    let generations = words(1 + ZONES);
    (
        Answers::new(
            halves(sets * WAYS),
            words(sets * WAYS * SLOT_WORDS),
            words(sets * WAYS * TEXT_WORDS),
            generations,
        ),
        generations,
    )
}

fn entry<'a>(name: &'a [u8], body: &'a [u8]) -> Entry<'a> {
    Entry {
        name,
        qtype: 16,
        dnssec_ok: false,
        stamp: Stamp { epoch: 0, zone: 3, generation: 0 },
        apex_bytes: 1,
        told: Told { kind: Kind::Answer, ttl_s: 60, is_hit: false, subject: 5 },
        flags: 0x8400,
        counts: [1, 0, 0],
        body,
        fixups: Fixups::None,
    }
}

/// A key of the set with this number.
fn key_of(set: u64, number: u64) -> u64 {
    number << 48 | set << KEY_SET_SHIFT | number
}

fn put(answers: &Answers, key: u64, promise: Promise, now_us: u64) -> bool {
    let place = answers.find_place(key, promise, now_us);
    place.is_some_and(|place| answers.put(place, &entry(b"\x01a\x00", &key.to_ne_bytes()), now_us))
}

fn holds(answers: &Answers, key: u64) -> bool {
    answers.get_valid(key, 0).is_some_and(|slot| slot.body() == key.to_ne_bytes())
}

#[test]
fn what_is_put_is_there_for_its_question_alone() {
    let (answers, _) = table(4);
    let keys = [key(7, 1, false), key(7, 1, true), key(7, 28, false), key(8, 1, false)];
    for (number, key) in keys.into_iter().enumerate() {
        assert_eq!((answers.held(), holds(&answers, key)), (number, false));
        assert!(put(&answers, key, Promise::Some, 0));
        assert!(holds(&answers, key));
        // It is there: nothing to do.
        assert_eq!(answers.find_place(key, Promise::Some, 0), None);
    }
    assert_eq!((answers.held(), answers.places()), (4, 32));
}

#[test]
fn a_publication_ends_the_answers_of_its_zone_or_all() {
    for (place, ends) in [(0, true), (1 + 3, true), (1 + 2, false)] {
        let (answers, generations) = table(1);
        let key = key_of(0, 9);
        assert!(put(&answers, key, Promise::Some, 0));
        generations[place].fetch_add(2, Relaxed);
        assert_eq!(holds(&answers, key), !ends, "{place}");
        // What ended is put again where it stood.
        let found = answers.find_place(key, Promise::Little, 0);
        assert_eq!(found, ends.then_some(Place { index: 0, key }), "{place}");
    }
}

#[test]
fn an_answer_of_an_origin_ends_with_its_life() {
    let (answers, _) = table(1);
    let key = key_of(0, 9);
    let place = answers.find_place(key, Promise::Some, 1000).unwrap();
    let fixups = Fixups::Ttls { offsets: &[0], counts_from_us: 500, valid_us: 2000 };
    assert!(answers.put(place, &Entry { fixups, ..entry(b"\x00", &[0, 0, 0, 60]) }, 1000));
    assert_eq!(answers.find_place(key, Promise::Some, 1999), None);
    assert!(answers.get_valid(key, 1999).is_some() && answers.get_valid(key, 2000).is_none());
    assert_eq!(answers.find_place(key, Promise::Some, 2000), Some(place));
}

#[test]
fn in_a_full_set_the_least_recently_used_makes_room_for_what_is_asked_again() {
    let (answers, generations) = table(2);
    for number in 1..=8 {
        assert!(put(&answers, key_of(1, number), Promise::Some, number << USED_US_BITS));
    }
    let used = answers.get(key_of(1, 1)).unwrap();
    assert_eq!(used.used_us(), 1 << USED_US_BITS);
    // The program says that it was used.
    answers.slot(WAYS).unwrap().word(SLOT_USED).unwrap().store(100, Relaxed);
    let next = key_of(1, 20);
    assert!(!put(&answers, next, Promise::Some, 200 << USED_US_BITS), "asked for once");
    assert!(put(&answers, next, Promise::Some, 200 << USED_US_BITS), "asked for twice");
    assert!(holds(&answers, next) && holds(&answers, key_of(1, 1)) && !holds(&answers, key_of(1, 2)));
    // One that is not of now goes before all others.
    let zone_of_one = entry(b"\x00", &[]).stamp.zone as usize + 1;
    let stamp = Stamp { zone: 4, ..entry(b"\x00", &[]).stamp };
    let other = Place { index: WAYS + 5, key: key_of(1, 6) };
    assert!(answers.put(other, &Entry { stamp, ..entry(b"\x00", b"other") }, 300 << USED_US_BITS));
    assert_ne!(zone_of_one, 1 + 4);
    generations[1 + 4].fetch_add(2, Relaxed);
    let last = key_of(1, 21);
    assert_eq!(answers.find_place(last, Promise::Some, 400 << USED_US_BITS), None);
    assert_eq!(
        answers.find_place(last, Promise::Some, 400 << USED_US_BITS),
        Some(Place { index: WAYS + 5, key: last })
    );
}

#[test]
fn a_key_has_its_own_way_if_that_is_free_and_is_found_in_any() {
    let (answers, _) = table(1);
    // Tags that are alike, too: the way is of other bits.
    let keys =
        [3, 3, 5, 3].into_iter().enumerate().map(|(n, way)| 7 << KEY_TAG_SHIFT | way << KEY_WAY_SHIFT | n as u64);
    let ways = keys.clone().map(|key| {
        assert!(put(&answers, key, Promise::Some, 0));
        answers.find_place(key, Promise::Some, 0)
    });
    assert!(ways.into_iter().all(|place| place.is_none()), "all are there");
    assert!(keys.clone().all(|key| holds(&answers, key)));
    let key_in = |way: usize| answers.slot(way).and_then(|words| words.word(SLOT_KEY)).unwrap().load(Relaxed) as u8;
    assert_eq!((key_in(3), key_in(5)), (0, 2));
}

#[test]
fn what_promises_little_gets_no_place_at_once() {
    let (answers, _) = table(64);
    let flood =
        |from: u64| (from..from + 2000).filter(|n| put(&answers, key_of(n % 64, *n), Promise::Little, 0)).count();
    assert_eq!(flood(1), 0);
    let key = key_of(3, 1 << 14);
    assert_eq!([0, 1, 2].map(|_| put(&answers, key, Promise::Little, 0)), [false, true, false]);
}

#[test]
fn a_slot_that_is_written_belongs_to_who_writes_it() {
    let (answers, _) = table(1);
    let key = key_of(0, 1);
    assert!(put(&answers, key, Promise::Some, 0));
    let place = Place { index: 0, key };
    let seq = answers.slot(0).unwrap().word(SLOT_SEQ).unwrap();
    seq.fetch_add(1, Relaxed);
    assert!(answers.get(key).is_none());
    assert!(!answers.put(place, &entry(b"\x00", b"x"), 0));
    seq.fetch_add(1, Relaxed);
    assert!(answers.get(key).is_some());
    // What has no room changes nothing.
    let (before, long) = (seq.load(Relaxed), [0; 600]);
    assert!(!answers.put(place, &entry(b"\x00", &long), 0));
    assert_eq!(seq.load(Relaxed), before);
}

#[test]
fn what_a_dead_process_left_is_gone_and_its_slots_are_free() {
    let (tags, slots, generations) = (halves(WAYS), words(WAYS * SLOT_WORDS), words(1 + ZONES));
    let texts = words(WAYS * TEXT_WORDS);
    let answers = Answers::new(tags, slots, texts, generations);
    (1..=8).for_each(|number| assert!(put(&answers, key_of(0, number), Promise::Some, 0)));
    slots[0].fetch_add(1, Relaxed);
    let answers = Answers::new(tags, slots, texts, generations);
    assert_eq!((answers.held(), answers.get(key_of(0, 2)).is_some()), (0, false));
    (1..=8).for_each(|number| assert!(put(&answers, key_of(0, number), Promise::Some, 0)));
}

#[test]
fn memory_of_any_size_is_well() {
    for (tags, slots) in [(0, 0), (7, 1000), (8, 10), (8 * 3, 8 * 3 * SLOT_WORDS)] {
        let answers = Answers::new(halves(tags), words(slots), words(64 * TEXT_WORDS), words(0));
        for number in 1..100 {
            put(&answers, number << 40 | number << KEY_SET_SHIFT | number, Promise::Some, 0);
        }
        assert!(answers.held() <= answers.places());
    }
}

#[test]
fn uses_are_taken_once() {
    let (answers, _) = table(4);
    for set in 0..4 {
        assert!(put(&answers, key_of(set, 1), Promise::Some, 0));
        answers.slot(set as usize * WAYS).unwrap().word(SLOT_HITS).unwrap().store((10 + set) << 32 | 9, Relaxed);
    }
    let mut taken = Vec::new();
    let mut next = 0;
    for _ in 0..4 {
        next = answers.take_hits(next, WAYS, |slot, hits| taken.push((slot.key(), hits)));
    }
    assert_eq!(next, 0);
    assert_eq!(taken, [0, 1, 2, 3].map(|set| (key_of(set, 1), 10 + set)));
    assert_eq!(answers.take_hits(8, 1000, |_, _| panic!("taken before")), 0);
}

/// Lanes that write and a reader that does what the program does: it never sees half of one answer and half of another.
#[test]
fn nobody_sees_half_an_answer() {
    let (answers, _) = table(1);
    let stop = AtomicBool::new(false);
    let write = |number: u64| {
        let mut now_us = 0;
        while !stop.load(Relaxed) {
            now_us += 1;
            let body = [number as u8 * 16 + (now_us % 16) as u8; 400];
            // All of them want the same two ways.
            let key = key_of(0, now_us % 2 + 1);
            let place = Place { index: (now_us % 2) as usize, key };
            answers.put(place, &entry(&[3, number as u8, number as u8, number as u8, 0], &body), now_us);
        }
    };
    std::thread::scope(|scope| {
        let write = &write;
        let writers: Vec<_> = (1..=3).map(|number| scope.spawn(move || write(number))).collect();
        let mut seen = 0;
        while seen < 300 {
            let Some(slot) = answers.get(key_of(0, 1)) else { continue };
            seen += 1;
            let (name, body) = (slot.name(), slot.body());
            assert!(body.iter().all(|octet| *octet == body[0]), "{body:?}");
            assert_eq!(body[0] / 16, name[1], "the name is that of the body");
        }
        stop.store(true, Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
}
