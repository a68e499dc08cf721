//! The filters' tables in the program's arrays: the lanes and the program read and write the same words.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ::filters::{
    Asked, Filters, Found, Hashes, ListedPrefix, Memory, Now, Policy, Proof, Sample, Table, View, ZoneNumber,
};
use aya::maps::{MapData, RingBuf};
use config::Defences;
use wire::{NameRef, Rtype};

use super::{KernelError, Program, Slot, Told, layout};

/// What the filters have in the program's maps, beside their tables.
pub struct KernelFilters {
    filters: Arc<Filters>,
    policy: &'static [AtomicU64],
    /// The policy of which the lists are in the map `listed`, and what is there.
    known: Option<Arc<Policy>>,
    listed: Vec<ListedPrefix>,
    samples: RingBuf<MapData>,
}

/// Processors that there may be: the program has counters for each.
pub(super) fn processors() -> usize {
    aya::util::nr_cpus().map_or(layout::CPUS_MAX, |number| number.clamp(1, layout::CPUS_MAX))
}

/// Of which addresses there may be any among these prefixes, as the program looks it up.
fn listed_bits(prefixes: &[ListedPrefix]) -> [u64; layout::LISTED_BITS_WORDS] {
    let mut words = [0u64; layout::LISTED_BITS_WORDS];
    for prefix in prefixes {
        let [.., a, b, _, _] = prefix.address;
        let (first, bits) = match prefix.is_ipv4() {
            true => (u32::from(u16::from_be_bytes([a, b])), prefix.bits - 96 + 16),
            false => (prefix.address.first_chunk().map_or(0, |first| u32::from_be_bytes(*first)), prefix.bits),
        };
        // All that begin alike in 32 bits, those of IPv4 with 16 zeros.
        let alike = 1u64 << 32u32.saturating_sub(bits);
        if alike > 1 << 16 {
            return [u64::MAX; layout::LISTED_BITS_WORDS];
        }
        for first in u64::from(first)..u64::from(first) + alike {
            let bit = (first as u32).wrapping_mul(layout::LISTED_HASH_FACTOR as u32) >> layout::LISTED_HASH_SHIFT;
            if let Some(word) = words.get_mut(bit as usize / 64) {
                *word |= 1 << (bit % 64);
            }
        }
    }
    words
}

/// Gives the tables the program's arrays of the same names.
struct Arrays<'p> {
    program: &'p Program,
    failed: Option<KernelError>,
}

impl Memory for Arrays<'_> {
    fn take(&mut self, table: Table, bytes: usize) -> &'static mut [u8] {
        let taken = self.program.take_bytes(table.as_str());
        let taken = taken.unwrap_or_else(|why| {
            self.failed = Some(why);
            &mut []
        });
        taken.split_at_mut_checked(bytes).map_or(&mut [], |(table, _)| table)
    }
}

impl KernelFilters {
    /// Filters with their tables in the program's maps, and what the program counts among their counts. What is in the maps
    /// from before holds on if it was made with this seed ([`KernelFilters::seed`]).
    ///
    /// # Errors
    ///
    /// A map is not there, or not as it should be.
    pub fn new(program: &mut Program, defences: &Defences, seed: [u64; 2]) -> Result<Self, KernelError> {
        let mut arrays = Arrays { program, failed: None };
        let made = Filters::within(defences, seed, &mut arrays);
        if let Some(why) = arrays.failed {
            return Err(why);
        }
        let filters = Arc::new(made.map_err(KernelError::Tables)?);
        let (counts, zones) = (program.take_bytes("lane_counts")?, program.take_bytes("lane_zones")?);
        filters.add_foreign_lanes(counts, zones).map_err(KernelError::Tables)?;
        let (policy, samples) = (program.array("policy")?, program.take_ring("samples")?);
        let mut it = Self { filters, policy, known: None, listed: Vec::new(), samples };
        it.refresh(program)?;
        Ok(it)
    }

    /// The filters.
    pub fn filters(&self) -> &Arc<Filters> {
        &self.filters
    }

    /// The seed that the tables in these maps were made with, for who takes them over; none if they are new.
    ///
    /// # Errors
    ///
    /// There is no policy.
    pub fn seed(program: &Program) -> Result<Option<[u64; 2]>, KernelError> {
        let policy = program.array("policy")?;
        let seed = [0, 1].map(|n| policy.get(layout::POLICY_SEED_0 + n).map_or(0, |word| word.load(Relaxed)));
        Ok((seed != [0; 2]).then_some(seed))
    }

    /// Tells the program what holds now: to be called every few dozen milliseconds. It needs no system call unless the lists
    /// of sources have changed.
    ///
    /// # Errors
    ///
    /// A list cannot be changed: the policy stays as it was.
    pub fn refresh(&mut self, program: &mut Program) -> Result<(), KernelError> {
        let policy = self.filters.policy();
        let mut is_new = false;
        if !self.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &policy)) {
            self.list(program)?;
            self.known = Some(Arc::clone(&policy));
            is_new = true;
        }
        let words = self.policy.get(layout::POLICY_FILTERS..).unwrap_or_default();
        for (word, new) in words.iter().zip(self.filters.policy_words()) {
            if word.load(Relaxed) != new {
                word.store(new, Relaxed);
            }
        }
        if is_new {
            self.filters.tell(policy);
        }
        Ok(())
    }

    /// Puts in what is new first, then takes out what is left over: no source is off all lists in between.
    fn list(&mut self, program: &mut Program) -> Result<(), KernelError> {
        let new = self.filters.listed();
        // Never less than is in the map.
        let (before, after) = (listed_bits(&self.listed), listed_bits(&new));
        self.tell_listed_bits(before.iter().zip(after).map(|(before, after)| before | after));
        for prefix in new.iter().filter(|prefix| !self.listed.contains(prefix)) {
            program.put_prefix("listed", prefix.address, prefix.bits, prefix.lists.to_ne_bytes())?;
        }
        let stays = |old: &ListedPrefix| new.iter().any(|new| (new.address, new.bits) == (old.address, old.bits));
        for prefix in self.listed.iter().filter(|old| !stays(old)) {
            program.take_prefix::<4>("listed", prefix.address, prefix.bits)?;
        }
        self.listed = new;
        self.tell_listed_bits(after);
        Ok(())
    }

    fn tell_listed_bits(&self, words: impl IntoIterator<Item = u64>) {
        let places = self.policy.get(layout::POLICY_LISTED_BITS..).unwrap_or_default();
        places.iter().zip(words).for_each(|(place, word)| place.store(word, Relaxed));
    }

    /// The program has given this answer so many times: hands on what is to be learned from that.
    pub fn hear(&self, slot: &Slot, times: u64, now: Now) {
        let (Ok(qname), Ok(apex)) = (NameRef::parse(slot.name()), NameRef::parse(slot.apex())) else { return };
        let asked = Some(Asked { qname, qtype: Rtype(slot.qtype()) });
        // Who asked is not known here any more, and matters to nothing of this.
        let source = IpAddr::from([0; 4]);
        let view = View { source, proof: Proof::None, message: &[], asked, hashes: Hashes::default() };
        let Told { kind, ttl_s, is_hit, .. } = slot.told();
        let found = Found { zone: Some((ZoneNumber(slot.stamp().zone), apex)), kind, ttl_s, cut: None, is_hit };
        self.filters.found_elsewhere(&view, &found, u32::try_from(times).unwrap_or(u32::MAX), now);
    }

    /// Hands on the program's samples, and says how many there were. What finds no room is lost, as those of lanes are.
    pub fn drain_samples(&mut self) -> usize {
        let mut drained = 0;
        while let Some(record) = self.samples.next() {
            drained += 1;
            if let Some(sample) = Sample::from_record(&record) {
                let _ = self.filters.samples().push(sample);
            }
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ::filters::{Effect, Kind, Verdict, layout as tables};
    use config::{DefenceMode, Filter};

    use super::*;
    use crate::kernel::{Answers, Entry, Fixups, Promise, Stamp};

    const SEED: [u64; 2] = [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321];

    #[test]
    fn both_sides_have_the_same_sizes() {
        let here = [
            layout::SOURCE_BUCKETS,
            layout::SOURCE_SHIFT,
            layout::REPEAT_PLACES,
            layout::SKETCH_ROW,
            layout::ANSWER_RATE_BUCKETS,
            layout::PREFIX_RATE_BUCKETS,
            layout::EXISTING_WORDS,
            layout::RECENT_WORDS,
            layout::RECENT_NAMES,
            layout::FAMILIAR_WORDS,
            layout::SUFFIX_SETS,
            layout::SUFFIX_WAYS,
            layout::ATTACKED_MAX,
            layout::ATTACKED_NAME_WORDS,
            layout::CELLS,
            layout::LANE_COUNT_WORDS * 8,
            layout::SAMPLE_BYTES,
            layout::POLICY_FILTER_WORDS,
        ];
        let there = [
            tables::SOURCE_BUCKETS,
            tables::SOURCE_SHIFT,
            tables::REPEAT_PLACES,
            tables::SKETCH_ROW,
            tables::ANSWER_RATE_BUCKETS,
            tables::PREFIX_RATE_BUCKETS,
            tables::EXISTING_WORDS,
            tables::RECENT_WORDS,
            tables::RECENT_NAMES,
            tables::FAMILIAR_WORDS,
            tables::SUFFIX_SETS,
            tables::SUFFIX_WAYS,
            tables::ATTACKED_MAX,
            tables::ATTACKED_NAME_WORDS,
            tables::CELLS,
            tables::LANE_COUNTS_BYTES,
            tables::SAMPLE_BYTES,
            tables::POLICY_WORDS,
        ];
        assert_eq!(here, there);
        let numbers = [
            layout::FILTER_BLOCKED,
            layout::FILTER_QUERY_OF_DEATH,
            layout::FILTER_MALFORMED,
            layout::FILTER_CLIENT,
            layout::FILTER_PREFIX,
            layout::FILTER_REPETITION,
            layout::FILTER_UNKNOWN_SOURCE,
            layout::FILTER_MISS,
            layout::FILTER_RANDOM_NAME,
            layout::FILTER_RESPONSE_RATE,
            layout::FILTER_STREAM,
        ];
        assert_eq!((numbers, layout::FILTERS), (Filter::ALL.map(|filter| filter as usize), Filter::ALL.len()));
        let effects = [
            layout::EFFECT_PENALISED,
            layout::EFFECT_SLIPPED,
            layout::EFFECT_DROPPED,
            layout::EFFECT_WOULD_PENALISE,
            layout::EFFECT_WOULD_SLIP,
            layout::EFFECT_WOULD_DROP,
        ];
        assert_eq!((effects, layout::EFFECTS), (Effect::ALL.map(|effect| effect as usize), Effect::ALL.len()));
        assert_eq!(
            [layout::MODE_OFF, layout::MODE_OBSERVE, layout::MODE_ON],
            DefenceMode::ALL.map(|mode| mode as usize)
        );
        let lists = [ListedPrefix::ALLOW, ListedPrefix::BLOCK, ListedPrefix::KNOWN_GOOD].map(|list| list as usize);
        assert_eq!([layout::LISTED_ALLOW, layout::LISTED_BLOCK, layout::LISTED_KNOWN_GOOD], lists);
    }

    fn defences() -> Defences {
        let mut defences = Defences {
            client_per_s: 250,
            prefix_per_s: 500,
            known_good_factor: 5,
            repeats_per_s: 20,
            ipv4_prefix: 20,
            ipv6_prefix: 48,
            random_names_per_s: 77,
            responses_per_s: 100,
            slip: 3,
            block: vec!["192.0.2.0/24".parse().unwrap()],
            ..Defences::default()
        };
        defences.filters[Filter::Repetition as usize] = DefenceMode::Observe;
        defences.filters[Filter::Stream as usize] = DefenceMode::Off;
        defences
    }

    #[test]
    fn each_word_of_the_policy_is_where_the_program_looks_for_it() {
        let mut program = Program::load(0).unwrap();
        assert_eq!(KernelFilters::seed(&program).unwrap(), None);
        KernelFilters::new(&mut program, &defences(), SEED).unwrap();
        assert_eq!(KernelFilters::seed(&program).unwrap(), Some(SEED));
        let policy = program.array("policy").unwrap();
        let check = |word: usize, want: u64| assert_eq!(policy[word].load(Relaxed), want, "word {word}");
        check(layout::POLICY_ALL_OFF, 0);
        check(layout::POLICY_LISTED, 1);
        for filter in Filter::ALL {
            check(layout::POLICY_MODE_0 + filter as usize, defences().mode_of(filter) as u64);
        }
        check(layout::POLICY_IPV4_MASK, 0xffff_f000);
        check(layout::POLICY_IPV6_MASK, 0xffff_ffff_ffff_0000);
        check(layout::POLICY_CLIENT_COST, 1000);
        check(layout::POLICY_CLIENT_KNOWN_GOOD_COST, 200);
        check(layout::POLICY_PREFIX_COST, 500);
        check(layout::POLICY_REPEATS_COST, 12_500);
        // 600 s are 8.9 periods of 67 s.
        check(layout::POLICY_PERIOD_US_BITS, 26);
        check(layout::POLICY_PERIODS, 8);
        check(layout::POLICY_RESPONSE_COST, 2500);
        check(layout::POLICY_RESPONSE_PREFIX_COST, 125);
        check(layout::POLICY_SLIP, 3);
        check(layout::POLICY_RANDOM_NAMES_PER_S, 77);
        check(layout::POLICY_QUARANTINED, 0);
        check(layout::POLICY_FILTERS + layout::POLICY_FILTER_WORDS, 0);
    }

    #[test]
    fn lists_follow_the_policy() {
        let mut program = Program::load(0).unwrap();
        let mut kernel = KernelFilters::new(&mut program, &defences(), SEED).unwrap();
        let listed = |kernel: &KernelFilters| kernel.listed.iter().map(|it| (it.bits, it.lists)).collect::<Vec<_>>();
        assert_eq!(listed(&kernel), [(120, 2)]);
        let allow = vec!["192.0.2.8/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        assert!(kernel.filters().is_told());
        kernel.filters().apply(&Defences { allow, ..defences() });
        assert!(!kernel.filters().is_told());
        kernel.refresh(&mut program).unwrap();
        assert!(kernel.filters().is_told());
        assert_eq!(listed(&kernel), [(32, 1), (120, 2), (128, 3)]);
        let word = &program.array("policy").unwrap()[layout::POLICY_LISTED];
        assert_eq!(word.load(Relaxed), 3);
        kernel.filters().apply(&Defences { mode: DefenceMode::Off, ..Defences::default() });
        kernel.refresh(&mut program).unwrap();
        assert_eq!((listed(&kernel), word.load(Relaxed)), (vec![], 0));
        assert_eq!(program.array("policy").unwrap()[layout::POLICY_ALL_OFF].load(Relaxed), 1);
        assert_eq!(kernel.drain_samples(), 0);
    }

    /// Whoever is on a list is found there, and hardly anybody else is looked for.
    #[test]
    fn addresses_that_may_be_listed_have_a_bit() {
        let listed = |allow: &[&str]| {
            let allow = allow.iter().map(|prefix| prefix.parse().unwrap()).collect();
            listed_bits(&Filters::new(&Defences { allow, ..Defences::default() }, SEED).listed())
        };
        let number = |words: [u64; layout::LISTED_BITS_WORDS]| words.iter().map(|word| word.count_ones()).sum::<u32>();
        let bit = |first: u32| {
            let bit = first.wrapping_mul(layout::LISTED_HASH_FACTOR as u32) >> layout::LISTED_HASH_SHIFT;
            move |words: [u64; layout::LISTED_BITS_WORDS]| words[bit as usize / 64] >> (bit % 64) & 1 == 1
        };
        assert_eq!(number(listed(&[])), 0);
        let one = listed(&["192.0.2.7/32"]);
        assert!(number(one) == 1 && bit(0xc000)(one) && !bit(0xc001)(one));
        let wide = listed(&["10.0.0.0/8"]);
        assert!((0x0a00..0x0b00).all(|first| bit(first)(wide)) && number(wide) <= 256);
        let six = listed(&["2001:db8::/32", "2001:db8:1::/48", "fd00::/24"]);
        assert!(bit(0x2001_0db8)(six) && bit(0xfd00_00ff)(six) && !bit(0x0db8)(six));
        assert!([&["0.0.0.0/0"], &["::/0"], &["fc00::/7"]].iter().all(|all| number(listed(*all)) == 4096));
    }

    /// Who comes later sees what was there before, and both see what either does.
    #[test]
    fn a_successor_takes_the_tables_over() {
        let mut program = Program::load(0).unwrap();
        let first = KernelFilters::new(&mut program, &defences(), SEED).unwrap();
        let qname: wire::Name = "www.example.com".parse().unwrap();
        let admit = |lane: &::filters::Lane| {
            let asked = Some(Asked { qname: qname.as_ref(), qtype: wire::Rtype::A });
            let source = IpAddr::from([198, 51, 100, 1]);
            let view = View { source, proof: Proof::None, message: &[], asked, hashes: Hashes::default() };
            lane.gate(Now::from_us(5_000_000)).admit(&view)
        };
        let lane = first.filters().lane();
        (0..3000).for_each(|_| _ = admit(&lane));
        assert_eq!(admit(&lane).verdict, Verdict::Drop(Filter::Client));
        let mut arrays = Arrays { program: &program, failed: None };
        let second = Filters::within(&defences(), SEED, &mut arrays).unwrap();
        assert_eq!(admit(&Arc::new(second).lane()).verdict, Verdict::Drop(Filter::Client), "at its first query");
        let mut arrays = Arrays { program: &program, failed: None };
        let other = Filters::within(&defences(), [7, 8], &mut arrays).unwrap();
        assert_eq!(admit(&Arc::new(other).lane()).verdict, Verdict::Serve, "another seed finds nothing");
    }

    /// Below an attacked suffix it is known how much is found, by whomever it is answered.
    #[test]
    fn what_the_program_answers_is_learned_from() {
        let mut program = Program::load(0).unwrap();
        let kernel = KernelFilters::new(&mut program, &Defences::default(), SEED).unwrap();
        let (lane, now) = (kernel.filters().lane(), Now::from_us(5_000_000));
        let apex: wire::Name = "example.com".parse().unwrap();
        for n in 0..2000u64 {
            let qname: wire::Name =
                format!("r{:x}.example.com", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).parse().unwrap();
            let asked = Some(Asked { qname: qname.as_ref(), qtype: Rtype::A });
            let source = IpAddr::from([198, 51, 100, n as u8]);
            let view = View { source, proof: Proof::None, message: &[], asked, hashes: Hashes::default() };
            let zone = Some((ZoneNumber(3), apex.as_ref()));
            let found = Found { zone, kind: Kind::NoName, ttl_s: 60, cut: None, is_hit: false };
            let gate = lane.gate(now);
            gate.judge(&view, &gate.admit(&view), &found);
        }
        kernel.filters().tick(now);
        let (name, body) = (b"\x03www\x07example\x03com\0", b"body");
        let told = Told { kind: Kind::Answer, ttl_s: 60, is_hit: false, subject: 0 };
        let entry = Entry {
            name,
            qtype: 1,
            dnssec_ok: false,
            stamp: Stamp { epoch: 0, zone: 3, generation: 0 },
            apex_bytes: 13,
            told,
            flags: 0x8400,
            counts: [1, 0, 0],
            body,
            fixups: Fixups::None,
        };
        let arrays = ["slots", "texts", "generations"].map(|name| program.array(name).unwrap());
        let answers = Answers::new(program.tags().unwrap(), arrays[0], arrays[1], arrays[2]);
        let place = answers.find_place(7, Promise::Some, now.us()).unwrap();
        assert!(answers.put(place, &entry, now.us()));
        kernel.hear(&answers.get(7).unwrap(), 123, now);
        kernel.filters().tick(Now::from_us(5_900_000));
        let status = kernel.filters().status(now);
        let suffix = &status.suffixes[0];
        assert_eq!((suffix.name.as_str(), suffix.failed_per_s, suffix.found_per_s), ("example.com.", 2000.0, 123.0));
    }

    #[test]
    fn what_the_program_counts_is_counted() {
        let mut program = Program::load(0).unwrap();
        let kernel = KernelFilters::new(&mut program, &defences(), SEED).unwrap();
        let counts = program.array("lane_counts").unwrap();
        counts[layout::LANE_QUERIES].store(5, Relaxed);
        counts[layout::LANE_FIRST_SEEN].store(3, Relaxed);
        let effect = layout::FILTER_PREFIX * layout::EFFECTS + layout::EFFECT_SLIPPED;
        counts[layout::LANE_EFFECTS + effect].store(2, Relaxed);
        let sum = kernel.filters().counts();
        assert_eq!((sum.queries, sum.first_seen, sum.effect(Filter::Prefix, Effect::Slipped)), (5, 3, 2));
    }
}
