//! The kernel lane's program without a network and without a daemon: its arrays are written here, as layout.h says, by hand
//! and not by what the daemon has for that.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed},
};

use edge::kernel::{Action, Program, layout as l};
use wire::{Edns, HEADER_BYTES, Header, NameRef};

use super::frames::{Route, sum};

/// Where answers are asked for.
pub(crate) const SERVICES: [&str; 2] = ["192.0.2.53:53", "[2001:db8::53]:53"];
/// Of the hash of names; any numbers do.
const NAME_SECRET: [u64; 4] =
    [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3211, 0x0f1e_2d3c_4b5a_6979, 0x1122_3344_5566_7789];

pub(crate) struct Rig {
    pub(crate) program: Program,
    pub(crate) policy: &'static [AtomicU64],
    pub(crate) generations: &'static [AtomicU64],
    tags: &'static [AtomicU16],
    slots: &'static [AtomicU64],
    texts: &'static [AtomicU64],
    counters: &'static [AtomicU64],
    next: Cell<usize>,
}

/// What a slot has besides what stands in the answer itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Entry {
    pub(crate) zone: u32,
    pub(crate) ttl_s: u32,
    pub(crate) valid_us: u64,
    pub(crate) stored_us: u64,
    pub(crate) kind: u8,
    pub(crate) is_hit: bool,
    pub(crate) apex_bytes: u8,
}

impl Rig {
    /// The program, on, with no filters and no answers, one set of them.
    pub(crate) fn new() -> Rig {
        let mut program = Program::load(l::WAYS).unwrap();
        SERVICES.iter().for_each(|service| program.serve_at(service.parse().unwrap()).unwrap());
        let array = |name| program.array(name).unwrap();
        let (policy, generations, tags) = (array("policy"), array("generations"), program.tags().unwrap());
        let (slots, texts, counters) = (array("slots"), array("texts"), array("counters"));
        let rig = Rig { program, policy, generations, tags, slots, texts, counters, next: Cell::new(0) };
        rig.set(l::POLICY_ON, 1);
        rig.set(l::POLICY_SILENT_US, i64::MAX as u64);
        rig.set(l::POLICY_UDP_PAYLOAD_BYTES_MAX, 1232);
        rig.set(l::POLICY_ALL_OFF, 1);
        NAME_SECRET.iter().enumerate().for_each(|(n, word)| rig.set(l::POLICY_NAME_SECRET + n, *word));
        rig
    }

    pub(crate) fn set(&self, place: usize, word: u64) {
        self.policy[place].store(word, Relaxed);
    }

    /// One of the counters, of all processors.
    pub(crate) fn count(&self, place: usize) -> u64 {
        self.counters.chunks(l::COUNTER_WORDS).map(|words| words[place].load(Relaxed)).sum()
    }

    /// All counters that are not 0, by their places.
    pub(crate) fn counts(&self) -> Vec<(usize, u64)> {
        (0..l::COUNTER_WORDS).map(|place| (place, self.count(place))).filter(|(_, count)| *count > 0).collect()
    }

    /// Why packets were passed up, of those that were counted since `before`.
    pub(crate) fn passed_since(&self, before: &[(usize, u64)]) -> Vec<usize> {
        let was = |place| before.iter().find(|(at, _)| *at == place).map_or(0, |(_, count)| *count);
        let reasons = l::COUNTER_PASSED..l::COUNTER_PASSED + l::PASSES;
        reasons.filter(|&place| self.count(place) > was(place)).map(|place| place - l::COUNTER_PASSED).collect()
    }

    /// The answer to a message over this route; what is passed up has to be what came.
    pub(crate) fn ask(&self, route: &Route, message: &[u8]) -> Option<Vec<u8>> {
        let frame = route.carry(message);
        let run = self.program.test_run(&frame, 1).unwrap();
        match run.action {
            Action::Send => Some(route.open(&run.frame)),
            Action::Pass => {
                assert_eq!(run.frame, frame, "what is passed up is as it came");
                None
            }
            other => panic!("{other:?} of {message:02x?}"),
        }
    }

    /// Keeps an answer for all who ask the same.
    pub(crate) fn keep(&self, answer: &[u8], entry: Entry) -> usize {
        let parsed = Parsed::of(answer);
        let number = self.next.replace(self.next.get() + 1);
        assert!(number < l::WAYS, "there is one set");
        let Entry { zone, ttl_s, valid_us, stored_us, kind, is_hit, apex_bytes } = entry;
        let key = key(&parsed);
        let generation = |place: usize| self.generations[place].load(Relaxed) as u32;
        let name_bytes = parsed.name.len().next_multiple_of(8);
        let is_long = stored_us > 0 || name_bytes + parsed.body.len() > 8 * l::SHORT_WORDS;
        let text = if is_long { l::SLOT_BYTES } else { l::SLOT_TEXT };
        let mut slot = vec![0; l::SLOT_BYTES + l::TEXT_BYTES];
        let mut put = |at: usize, bytes: &[u8]| slot[at..at + bytes.len()].copy_from_slice(bytes);
        put(l::SLOT_SEQ, &4u64.to_ne_bytes());
        put(l::SLOT_KEY, &key.to_ne_bytes());
        put(l::SLOT_ZONE, &zone.to_ne_bytes());
        put(l::SLOT_GENERATION, &generation(1 + zone as usize).to_ne_bytes());
        put(l::SLOT_EPOCH, &generation(0).to_ne_bytes());
        put(l::SLOT_TTL_S, &ttl_s.to_ne_bytes());
        put(l::SLOT_IS_LONG, &[u8::from(is_long)]);
        put(l::SLOT_BYTES + l::TEXT_VALID_US, &valid_us.to_ne_bytes());
        put(l::SLOT_BYTES + l::TEXT_STORED_US, &stored_us.to_ne_bytes());
        let header = parsed.header;
        put(l::SLOT_FLAGS, &(header.flags.0 & !0x0110).to_ne_bytes());
        put(l::SLOT_QTYPE, &parsed.qtype.to_ne_bytes());
        put(l::SLOT_ANCOUNT, &header.ancount.to_ne_bytes());
        put(l::SLOT_NSCOUNT, &header.nscount.to_ne_bytes());
        put(l::SLOT_ARCOUNT, &(header.arcount - u16::from(parsed.has_opt)).to_ne_bytes());
        put(l::SLOT_BODY_BYTES, &(parsed.body.len() as u16).to_ne_bytes());
        put(l::SLOT_BODY_SUM, &sum(&[parsed.body]).to_ne_bytes());
        put(l::SLOT_NAME_BYTES, &[parsed.name.len() as u8]);
        put(l::SLOT_KIND, &[kind]);
        put(l::SLOT_DNSSEC_OK, &[u8::from(parsed.dnssec_ok)]);
        put(l::SLOT_IS_HIT, &[u8::from(is_hit)]);
        put(l::SLOT_APEX_BYTES, &[apex_bytes]);
        put(text, &parsed.name);
        put(text + name_bytes, parsed.body);
        if stored_us > 0 {
            put(l::SLOT_FIXUPS, &[parsed.ttls.len() as u8]);
            put(l::SLOT_FIXUP_KIND, &[l::FIXUP_TTL as u8]);
            for (n, at) in parsed.ttls.iter().enumerate() {
                put(l::SLOT_BYTES + l::TEXT_FIXUPS_END - 2 * (n + 1), &(*at as u16).to_ne_bytes());
            }
        }
        let of = |words: &'static [AtomicU64], bytes: usize| &words[number * bytes / 8..(number + 1) * bytes / 8];
        let words = of(self.slots, l::SLOT_BYTES).iter().chain(of(self.texts, l::TEXT_BYTES));
        words.zip(slot.as_chunks::<8>().0).for_each(|(word, bytes)| word.store(u64::from_ne_bytes(*bytes), Relaxed));
        self.tags[number].store(((key >> l::KEY_TAG_SHIFT) as u16).max(1), Relaxed);
        number
    }

    /// Forgets all answers.
    pub(crate) fn clear(&self) {
        self.tags.iter().for_each(|tag| tag.store(0, Relaxed));
        self.next.set(0);
    }

    /// A word of a slot.
    pub(crate) fn slot_word(&self, number: usize, at: usize) -> &AtomicU64 {
        &self.slots[(number * l::SLOT_BYTES + at) / 8]
    }
}

/// The address of a client, and where it asks.
pub(crate) fn routes() -> Vec<Route> {
    let v4 = Route::new("198.51.100.100:1053", SERVICES[0]);
    let v6 = Route::new("[2001:db8:1:2::3]:65535", SERVICES[1]);
    vec![
        v4.clone(),
        v6.clone(),
        v4.clone().tagged([0x81, 0, 0x20, 7]),
        v6.clone().tagged([0x88, 0xa8, 0, 9]),
        v4.tagged([0x88, 0xa8, 0, 9]).tagged([0x81, 0, 0, 7]),
        v6.tagged([0x81, 0, 0, 9]).tagged([0x81, 0, 0xef, 0xff]),
    ]
}

/// Microseconds of the clock that the program reads.
pub(crate) fn monotonic_us() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000
}

/// An answer, taken apart.
struct Parsed<'a> {
    header: Header,
    name: Vec<u8>,
    qtype: u16,
    dnssec_ok: bool,
    has_opt: bool,
    body: &'a [u8],
    /// Where in the body TTLs stand.
    ttls: Vec<usize>,
}

impl Parsed<'_> {
    fn of(answer: &[u8]) -> Parsed<'_> {
        let header = Header::parse(answer).unwrap();
        let name = NameRef::parse(&answer[HEADER_BYTES..]).unwrap().as_bytes();
        let number = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
        let start = HEADER_BYTES + name.len() + 4;
        let (mut at, mut end, mut edns, mut ttls) = (start, answer.len(), None, Vec::new());
        for _ in 0..header.ancount + header.nscount + header.arcount {
            let fixed = wire::Name::read(answer, at).expect("a name").1;
            let next = fixed + 10 + usize::from(number(fixed + 8));
            if number(fixed) == 41 {
                assert_eq!(next, answer.len(), "OPT stands last");
                let ttl = u32::from_be_bytes(answer[fixed + 4..fixed + 8].try_into().unwrap());
                edns = Some(Edns::from_record(number(fixed + 2), ttl, &answer[fixed + 10..]).unwrap());
                end = at;
            } else {
                ttls.push(fixed + 4 - start);
            }
            at = next;
        }
        Parsed {
            header,
            name: name.to_ascii_lowercase(),
            qtype: number(start - 4),
            dnssec_ok: edns.is_some_and(|edns| edns.dnssec_ok),
            has_opt: edns.is_some(),
            body: &answer[start..end],
            ttls,
        }
    }
}

fn key(parsed: &Parsed<'_>) -> u64 {
    let number = u64::from(parsed.qtype) * 2 + u64::from(parsed.dnssec_ok);
    hash(&parsed.name).wrapping_add((l::KEY_FACTOR as u64).wrapping_mul(number))
}

/// The filters' hash of a name in lower case.
fn hash(name: &[u8]) -> u64 {
    let [s0, s1, s2, s3] = NAME_SECRET;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };
    let (words, _) = name.as_chunks::<8>();
    let hash = words.iter().fold(s0 ^ name.len() as u64, |hash, word| fold(u64::from_le_bytes(*word) ^ s1, hash ^ s2));
    let last = match name.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    fold(last ^ s1, hash ^ s3)
}
