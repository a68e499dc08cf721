//! Where random names are asked for: what is counted for each suffix, from the apex of a zone down.
//!
//! A name that fails is counted at the suffix that it belongs to: from the apex down as long as the next label has an eighth
//! of all that fails there, at most [`DEPTH_MAX`] labels. So the suffix that is attacked is the deepest that has most of the
//! failing names below it, what fails elsewhere in the zone is counted elsewhere, and a flood of random names makes no new
//! entries: random labels have no such share. Distinct names are counted in a bitmap a second (linear counting, Whang et al.,
//! 1990), heavy labels by the algorithm of Misra and Gries (1982).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use wire::NameRef;
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use super::{attacked::Attacked, path::Path};
use crate::{
    Now, ZoneNumber,
    hash::Hasher,
    memory::{Shared, Table, Taker},
};

/// So many labels below the apex are looked at, whatever the length of the name.
pub(crate) const DEPTH_MAX: usize = 8;
pub(crate) const SETS: usize = 2048;
pub(crate) const WAYS: usize = 4;
const HEAVY: usize = 6;
/// Fewer failing names than this say nothing of their labels.
const HEAVY_MIN: u32 = 8;
/// A label is heavy that has this part of what fails at a suffix.
const HEAVY_PART: u32 = 8;
const DISTINCT_BITS: u32 = 256;
/// From so many distinct names on, only every second (fourth, …) is counted: the bitmap must not be full.
const DISTINCT_MAX: u32 = 128;

/// What is counted for one suffix. All of it is of the second that `second` says, but for `last_…`.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(128))]
pub(crate) struct Suffix {
    key: AtomicU64,
    second: AtomicU32,
    /// Its place among the attacked ones, plus one; 0: it is not attacked.
    attacked: AtomicU32,
    /// Names that failed and belong to it.
    fails: AtomicU32,
    /// Names below it that were found while it was attacked.
    hits: AtomicU32,
    /// Names that failed at it or below; halved each second.
    passed: AtomicU32,
    bits_set: AtomicU32,
    bits: [AtomicU64; DISTINCT_BITS as usize / 64],
    /// The hash of a label and how often it failed; halved each second.
    heavy: [AtomicU64; HEAVY],
    last_fails: AtomicU32,
    last_hits: AtomicU32,
    last_bits_set: AtomicU32,
    zero: AtomicU32,
}

fn bump(counter: &AtomicU32) -> u32 {
    let new = counter.load(Relaxed).wrapping_add(1);
    counter.store(new, Relaxed);
    new
}

/// What a suffix did in a second, as far as was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) fails: u32,
    pub(crate) hits: u32,
    /// Distinct names that failed; the bitmap says at most about 1,400.
    pub(crate) distinct: f64,
}

impl Suffix {
    /// Begins a new second if there is one.
    fn turn(&self, second: u32) {
        let gap = second.wrapping_sub(self.second.load(Relaxed));
        if gap == 0 || gap > u32::MAX / 2 {
            return;
        }
        let last = |now: &AtomicU32| if gap == 1 { now.load(Relaxed) } else { 0 };
        self.last_fails.store(last(&self.fails), Relaxed);
        self.last_hits.store(last(&self.hits), Relaxed);
        self.last_bits_set.store(last(&self.bits_set), Relaxed);
        [&self.fails, &self.hits, &self.bits_set].into_iter().for_each(|counter| counter.store(0, Relaxed));
        self.bits.iter().for_each(|word| word.store(0, Relaxed));
        let halve = |number: u32| number.checked_shr(gap).unwrap_or(0);
        self.passed.store(halve(self.passed.load(Relaxed)), Relaxed);
        for heavy in &self.heavy {
            let (label, count) = unpack(heavy.load(Relaxed));
            heavy.store(pack(label, halve(count)), Relaxed);
        }
        self.second.store(second, Relaxed);
    }

    /// Counts a label below it at which something fails, and says whether it has a good part of all that does.
    fn is_heavy(&self, label: u32) -> bool {
        let passed = self.passed.load(Relaxed);
        let mut free = None;
        for heavy in &self.heavy {
            let (known, count) = unpack(heavy.load(Relaxed));
            if known == label && count > 0 {
                heavy.store(pack(label, count.saturating_add(1)), Relaxed);
                return count >= HEAVY_MIN && count.saturating_mul(HEAVY_PART) >= passed;
            }
            if count == 0 {
                free = Some(heavy);
            }
        }
        match free {
            Some(heavy) => heavy.store(pack(label, 1), Relaxed),
            None => self.heavy.iter().for_each(|heavy| {
                let (label, count) = unpack(heavy.load(Relaxed));
                heavy.store(pack(label, count.saturating_sub(1)), Relaxed);
            }),
        }
        false
    }

    /// The same without counting.
    fn has_heavy(&self, label: u32) -> bool {
        let passed = self.passed.load(Relaxed);
        self.heavy
            .iter()
            .map(|heavy| unpack(heavy.load(Relaxed)))
            .any(|(known, count)| known == label && count > HEAVY_MIN && count.saturating_mul(HEAVY_PART) >= passed)
    }

    /// Counts a failing name that belongs here. Says whether there are as many distinct ones as `borne` now.
    fn fail(&self, name: u64, borne: Borne) -> bool {
        bump(&self.fails);
        if name.trailing_zeros() < borne.sampling {
            return false;
        }
        let bit = (name >> 56) as u32 % DISTINCT_BITS;
        if let Some(word) = self.bits.get(bit as usize / 64) {
            let (old, mask) = (word.load(Relaxed), 1 << (bit % 64));
            if old & mask == 0 {
                word.store(old | mask, Relaxed);
                return bump(&self.bits_set) >= borne.bits;
            }
        }
        self.bits_set.load(Relaxed) >= borne.bits
    }

    /// The last whole second that is known, or this one if it is worse already.
    pub(crate) fn figures(&self, now: Now, borne: Borne) -> Figures {
        let gap = (now.s() as u32).wrapping_sub(self.second.load(Relaxed));
        let [this, last] = [
            [&self.fails, &self.hits, &self.bits_set].map(|counter| counter.load(Relaxed)),
            [&self.last_fails, &self.last_hits, &self.last_bits_set].map(|counter| counter.load(Relaxed)),
        ];
        let [fails, hits, bits] = match gap {
            0 => [0, 1, 2].map(|n| this.get(n).max(last.get(n)).copied().unwrap_or(0)),
            1 => this,
            _ => [0; 3],
        };
        Figures { fails, hits, distinct: borne.distinct(bits).min(f64::from(fails)) }
    }

    pub(crate) fn rest(&self) {
        self.attacked.store(0, Relaxed);
    }

    fn take(&self, key: u64) {
        self.rest();
        let second = &self.second;
        [&self.fails, &self.hits, &self.passed, &self.bits_set, &self.last_fails, &self.last_hits, &self.last_bits_set]
            .into_iter()
            .chain([second])
            .for_each(|counter| counter.store(0, Relaxed));
        self.bits.iter().chain(&self.heavy).for_each(|word| word.store(0, Relaxed));
        self.key.store(key, Relaxed);
    }
}

fn pack(label: u32, count: u32) -> u64 {
    u64::from(label) << 32 | u64::from(count)
}

fn unpack(heavy: u64) -> (u32, u32) {
    ((heavy >> 32) as u32, heavy as u32)
}

/// How many distinct failing names a second are borne, as the bitmap counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Borne {
    /// Names whose hash ends in fewer zero bits than this are not counted.
    sampling: u32,
    /// So many bits are set then.
    bits: u32,
}

impl Borne {
    pub(crate) fn new(names_per_s: u32) -> Borne {
        let mut sampling = 0;
        while names_per_s >> sampling > DISTINCT_MAX {
            sampling += 1;
        }
        let n = (names_per_s >> sampling).max(1);
        // 256 (1 - e^(-n/256)), by its series.
        Borne { sampling, bits: (n - n * n / 512 + n * n * n / 393_216).max(1) }
    }

    fn distinct(self, bits: u32) -> f64 {
        let size = f64::from(DISTINCT_BITS);
        let free = (size - f64::from(bits)).max(1.0);
        (size * (size / free).ln()) * f64::from(1u32 << self.sampling.min(31))
    }
}

/// What became of counting a name that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// It belongs to an attacked suffix, at this place among them.
    pub(crate) attacked: Option<u32>,
    /// It is the so-manieth of this second there.
    pub(crate) nth: u32,
}

/// The table of all suffixes.
#[derive(Debug)]
pub(crate) struct Suffixes {
    hasher: Hasher,
    sets: Shared<[Suffix; WAYS]>,
    pub(crate) attacked: Attacked,
}

impl Suffixes {
    pub(crate) fn within(taker: &mut Taker<'_>, hasher: Hasher) -> Suffixes {
        Suffixes { hasher, sets: taker.shared(Table::Suffixes, SETS), attacked: Attacked::within(taker) }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.sets) + self.attacked.memory_bytes()
    }

    /// A name of this zone, with its hash, has failed: it does not exist, or is not at hand while that counts as failing.
    pub(crate) fn failed(
        &self,
        zone: (ZoneNumber, NameRef<'_>),
        (qname, hash): (NameRef<'_>, u64),
        borne: Borne,
        now: Now,
    ) -> Failure {
        let (second, path) = (now.s() as u32, Path::new(qname, zone.1));
        let mut key = self.hasher.name(zone.1) | 1;
        let Some(mut suffix) = self.find_or_take(key, second) else { return Failure { attacked: None, nth: 0 } };
        let mut depth = 0;
        loop {
            suffix.turn(second);
            bump(&suffix.passed);
            let Some(label) = path.label(depth) else { break };
            let child = self.child(key, label);
            if !suffix.is_heavy((child >> 32) as u32) {
                break;
            }
            let Some(deeper) = self.find_or_take(child, second) else { break };
            (key, suffix, depth) = (child, deeper, depth + 1);
        }
        let too_many = suffix.fail(hash, borne);
        if too_many && suffix.attacked.load(Relaxed) == 0 {
            let place = self.attacked.add(key, zone.0, path.suffix(depth));
            suffix.attacked.store(place.map_or(0, |place| place + 1), Relaxed);
        }
        Failure { attacked: suffix.attacked.load(Relaxed).checked_sub(1), nth: suffix.fails.load(Relaxed) }
    }

    /// A name was found. It counts only where random names are asked for.
    #[inline]
    pub(crate) fn found(&self, apex: NameRef<'_>, qname: NameRef<'_>, times: u32, now: Now) {
        if let Some(suffix) = self.attacked_above(apex, qname) {
            suffix.turn(now.s() as u32);
            suffix.hits.store(suffix.hits.load(Relaxed).wrapping_add(times), Relaxed);
        }
    }

    /// The suffix that a name belongs to, if it is attacked. Counts nothing.
    #[inline]
    pub(crate) fn attacked_above(&self, apex: NameRef<'_>, qname: NameRef<'_>) -> Option<&Suffix> {
        if self.attacked.is_none() {
            return None;
        }
        let (mut key, path) = (self.hasher.name(apex) | 1, Path::new(qname, apex));
        let mut suffix = self.find(key)?;
        for depth in 0.. {
            let Some(label) = path.label(depth) else { break };
            let child = self.child(key, label);
            if !suffix.has_heavy((child >> 32) as u32) {
                break;
            }
            let Some(deeper) = self.find(child) else { break };
            (key, suffix) = (child, deeper);
        }
        (suffix.attacked.load(Relaxed) != 0).then_some(suffix)
    }

    fn child(&self, key: u64, label: &[u8]) -> u64 {
        self.hasher.words(key, self.hasher.lower_case(label)) | 1
    }

    fn set(&self, key: u64) -> &[Suffix] {
        let set = self.sets.get((key >> 1) as usize % SETS);
        set.map_or(&[], |set| set)
    }

    /// The suffix with this key.
    pub(crate) fn find(&self, key: u64) -> Option<&Suffix> {
        self.set(key).iter().find(|suffix| suffix.key.load(Relaxed) == key)
    }

    /// The suffix with this key; else that at which the least fails makes room, unless it is attacked.
    fn find_or_take(&self, key: u64, second: u32) -> Option<&Suffix> {
        if let Some(known) = self.find(key) {
            return Some(known);
        }
        let weight = |suffix: &&Suffix| {
            let gap = second.wrapping_sub(suffix.second.load(Relaxed));
            suffix.passed.load(Relaxed).checked_shr(gap).unwrap_or(0)
        };
        let least = self.set(key).iter().filter(|suffix| suffix.attacked.load(Relaxed) == 0).min_by_key(weight)?;
        least.take(key);
        least.second.store(second, Relaxed);
        Some(least)
    }
}

#[cfg(test)]
mod tests {
    use wire::Name;

    use super::*;

    struct Rig {
        suffixes: Suffixes,
        apex: Name,
        us: u64,
    }

    impl Rig {
        fn new() -> Rig {
            let hasher = Hasher::new([1, 2], 3);
            Rig { suffixes: Suffixes::within(&mut Taker::own(), hasher), apex: name("example.com"), us: 1_000_000_000 }
        }

        fn ask(&mut self, qname: &str, per_s: u64) -> Failure {
            self.us += 1_000_000 / per_s;
            let zone = (ZoneNumber(1), self.apex.as_ref());
            let qname = name(qname);
            let hash = self.suffixes.hasher.name(qname.as_ref());
            self.suffixes.failed(zone, (qname.as_ref(), hash), Borne::new(100), Now::from_us(self.us))
        }

        /// The attacked suffixes, in their order.
        fn attacked(&self) -> Vec<String> {
            let mut names: Vec<String> = self.suffixes.attacked.list().map(|it| it.name.to_string()).collect();
            names.sort();
            names
        }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn random(n: u64) -> String {
        format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xc2b2_ae3d_27d4_eb4f))
    }

    #[test]
    fn each_pattern_is_found_at_its_suffix() {
        let check = |pattern: fn(&str) -> String, want: &str| {
            for per_s in [150, 1000, 100_000] {
                let mut rig = Rig::new();
                let first = (0..2 * per_s).position(|n| rig.ask(&pattern(&random(n)), per_s).attacked.is_some());
                assert_eq!(rig.attacked(), [want], "{} at {per_s}", pattern("R"));
                assert!(first.unwrap() <= 300, "after {first:?} names of {}", pattern("R"));
            }
        };
        check(|r| format!("{r}.example.com"), "example.com.");
        check(|r| format!("fixed.{r}.example.com"), "example.com.");
        check(|r| format!("a.b.c.{r}.example.com"), "example.com.");
        check(|r| format!("{r}.{r}.example.com"), "example.com.");
        check(|r| format!("{r}.sub.example.com"), "sub.example.com.");
        check(|r| format!("A.{r}.SUB.example.COM"), "sub.example.com.");
        check(|r| format!("{r}.a.b.c.example.com"), "a.b.c.example.com.");
        check(|r| format!("{r}.8.7.6.5.4.3.2.1.example.com"), "8.7.6.5.4.3.2.1.example.com.");
        check(|r| format!("{r}.9.8.7.6.5.4.3.2.1.example.com"), "8.7.6.5.4.3.2.1.example.com.");
    }

    #[test]
    fn few_names_are_no_attack_however_often_they_are_asked_for() {
        let mut rig = Rig::new();
        for n in 0..200_000u64 {
            let qname = format!("typo{}.example.com", n % 50);
            assert_eq!(rig.ask(&qname, 50_000).attacked, None, "{n}");
        }
        for n in 0..200_000u64 {
            assert_eq!(rig.ask("wpad.example.com", 100_000).attacked, None, "{n}");
        }
    }

    #[test]
    fn fewer_distinct_names_than_are_borne_are_no_attack() {
        let mut rig = Rig::new();
        assert!((0..3000).all(|n| rig.ask(&format!("{}.example.com", random(n)), 80).attacked.is_none()));
    }

    #[test]
    fn two_suffixes_of_a_zone_are_attacked_for_themselves() {
        let mut rig = Rig::new();
        for n in 0..50_000 {
            let sub = ["shop", "mail", "www"][n as usize % 3];
            rig.ask(&format!("{}.{sub}.example.com", random(n)), 10_000);
        }
        assert_eq!(rig.attacked(), ["mail.example.com.", "shop.example.com.", "www.example.com."]);
        assert_eq!(rig.ask("nothing.example.com", 10_000).attacked, None, "beside them");
        assert!(rig.ask("nothing.shop.example.com", 10_000).attacked.is_some());
    }

    #[test]
    fn a_typo_that_many_make_hides_no_random_names() {
        let mut rig = Rig::new();
        for n in 0..20_000 {
            let typo = rig.ask("wpad.example.com", 10_000);
            let other = rig.ask(&format!("{}.example.com", random(n)), 10_000);
            if n > 1000 {
                assert_eq!((typo.attacked.is_some(), other.attacked.is_some()), (false, true), "{n}");
            }
        }
        assert_eq!(rig.attacked(), ["example.com."]);
    }

    #[test]
    fn names_of_127_labels_are_looked_at_from_the_apex() {
        let mut rig = Rig::new();
        let deep = vec!["x"; 120].join(".");
        (0..5000).for_each(|n| {
            rig.ask(&format!("{}.{}.example.com", &deep[..199], random(n)), 5000);
        });
        assert_eq!(rig.attacked(), ["example.com."]);
        let mut rig = Rig::new();
        (0..5000).for_each(|n| {
            rig.ask(&format!("{}.{}.example.com", random(n), &deep[..199]), 5000);
        });
        assert_eq!(rig.attacked(), ["x.x.x.x.x.x.x.x.example.com."]);
    }

    #[test]
    fn hits_count_where_random_names_are_asked_for() {
        let mut rig = Rig::new();
        let (apex, www) = (rig.apex, name("www.example.com"));
        (0..1000).for_each(|n| {
            rig.ask(&format!("{}.example.com", random(n)), 10_000);
            rig.suffixes.found(apex.as_ref(), www.as_ref(), 1, Now::from_us(rig.us));
        });
        let attacked = rig.suffixes.attacked.list().next().unwrap();
        let figures = rig.suffixes.find(attacked.key).unwrap().figures(Now::from_us(rig.us), Borne::new(100));
        assert_eq!(figures.fails, 1000);
        assert!((800..=1000).contains(&figures.hits), "{figures:?}");
        assert!((700.0..=1000.0).contains(&figures.distinct), "{figures:?}");
    }

    #[test]
    fn a_flood_over_many_zones_takes_no_place_from_attacked_ones() {
        let mut rig = Rig::new();
        (0..1000).for_each(|n| {
            rig.ask(&format!("{}.example.com", random(n)), 10_000);
        });
        let first = rig.apex;
        for n in 0..100_000 {
            rig.apex = name(&format!("zone{n}.test"));
            rig.ask(&format!("x.zone{n}.test"), 100_000);
        }
        rig.apex = first;
        assert!(rig.ask("x.example.com", 1000).attacked.is_some());
    }

    #[test]
    fn large_limits_are_counted_by_samples() {
        for per_s in [1u32, 10, 100, 128, 129, 1000, 40_000] {
            let borne = Borne::new(per_s);
            let suffix = Suffix::default();
            let hasher = Hasher::new([5, 6], 7);
            let first = (0..u64::from(per_s) * 3 + 10).position(|n| suffix.fail(hasher.words(n, 1), borne)).unwrap();
            let part = first as f64 / f64::from(per_s);
            assert!(per_s < 10 || (0.5..1.6).contains(&part), "{per_s}: after {first}");
        }
    }
}
