//! One answer as it lies in the maps `slots` and `texts`: see layout.h. It is written and read word by word, as the program does.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use filters::Kind;

use super::layout::*;

/// Words of a slot, and of what a long one has beside it.
pub(super) const SLOT_WORDS: usize = SLOT_BYTES / 8;
pub(super) const TEXT_WORDS: usize = TEXT_BYTES / 8;
/// A slot, and what it has beside it.
const BYTES: usize = SLOT_BYTES + TEXT_BYTES;

/// The memory of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) slot: &'static [AtomicU64],
    pub(super) text: &'static [AtomicU64],
}

impl Words {
    /// The word with this offset in the slot.
    #[inline]
    pub(super) fn word(&self, offset: usize) -> Option<&'static AtomicU64> {
        self.slot.get(offset / 8)
    }
}

/// The unit that uses are dated in.
fn used_at(now_us: u64) -> u32 {
    (now_us >> USED_US_BITS) as u32
}

/// An answer that may be given to anybody who asks its question, for as long as nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name asked for, at most [`NAME_BYTES_MAX`] octets, in any case.
    pub name: &'a [u8],
    /// The type asked for; 0: what all names of the zone get that do not exist.
    pub qtype: u16,
    /// Whether it is for clients that want DNSSEC records.
    pub dnssec_ok: bool,
    /// What its zone answers was of this number when the answer was looked for.
    pub stamp: Stamp,
    /// The length of its zone's name.
    pub apex_bytes: u8,
    /// What the filters are told of it.
    pub told: Told,
    /// QR, AA, TC and RCODE of the header.
    pub flags: u16,
    /// Records in the answer, authority and additional section, without OPT.
    pub counts: [u16; 3],
    /// All behind the question but OPT, at most [`BODY_BYTES_MAX`] octets with two for each of the offsets.
    pub body: &'a [u8],
    /// What in the body is not the same for all.
    pub fixups: Fixups<'a>,
}

/// Of what time an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// [`zones::Zones::epoch`]
    pub epoch: u32,
    /// [`zones::ZoneSlot::number`]
    pub zone: u32,
    /// [`zones::ZoneSlot::generation`]
    pub generation: u32,
}

/// What the filters are told of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its kind.
    pub kind: Kind,
    /// For how long a client has no need to ask again; of an answer of an origin, from when it came on.
    pub ttl_s: u32,
    /// It is a kept answer of an origin.
    pub is_hit: bool,
    /// [`filters::Gate::subject`]
    pub subject: u64,
}

/// What in an answer's body depends on when or by whom it is asked for: offsets in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixups<'a> {
    /// Nothing.
    None,
    /// TTLs that count down from when the origin's answer came.
    Ttls {
        /// Where they stand.
        offsets: &'a [u16],
        /// Filter time, in microseconds, at which they were what they are in the body.
        counts_from_us: u64,
        /// Filter time until which the answer may be given.
        valid_us: u64,
    },
    /// Compression pointers that move with the length of the name asked for.
    Pointers {
        /// Where they stand.
        offsets: &'a [u16],
        /// The length of the name that they are for as they stand.
        name_bytes: u8,
    },
}

impl<'a> Fixups<'a> {
    fn offsets(&self) -> &'a [u16] {
        match self {
            Fixups::None => &[],
            Fixups::Ttls { offsets, .. } | Fixups::Pointers { offsets, .. } => offsets,
        }
    }
}

impl Entry<'_> {
    /// Whether there is room for it.
    pub fn fits(&self) -> bool {
        let fixups = self.fixups.offsets().len();
        !self.name.is_empty()
            && self.name.len() <= NAME_BYTES_MAX
            && fixups <= FIXUPS_MAX
            && self.body.len() + 2 * fixups <= BODY_BYTES_MAX
    }

    /// Whether the slot alone has no room for it.
    fn is_long(&self) -> bool {
        self.fixups != Fixups::None || self.name.len().div_ceil(8) + self.body.len().div_ceil(8) > SHORT_WORDS
    }

    /// The slot's bytes, but for SLOT_SEQ, and what it has beside it.
    fn bytes(&self, key: u64, now_us: u64) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let Told { kind, ttl_s, is_hit, subject } = self.told;
        let (counts_from_us, valid_us, fixup_kind, question_name_bytes) = match self.fixups {
            Fixups::None => (0, 0, 0, 0),
            Fixups::Ttls { counts_from_us, valid_us, .. } => (counts_from_us, valid_us, FIXUP_TTL as u8, 0),
            Fixups::Pointers { name_bytes, .. } => (0, 0, FIXUP_POINTER as u8, name_bytes),
        };
        let offsets = self.fixups.offsets();
        let [answers, authorities, additionals] = self.counts;
        put(&mut bytes, SLOT_KEY, key.to_ne_bytes());
        put(&mut bytes, SLOT_ZONE, self.stamp.zone.to_ne_bytes());
        put(&mut bytes, SLOT_GENERATION, self.stamp.generation.to_ne_bytes());
        put(&mut bytes, SLOT_EPOCH, self.stamp.epoch.to_ne_bytes());
        put(&mut bytes, SLOT_TTL_S, ttl_s.to_ne_bytes());
        put(&mut bytes, SLOT_BYTES + TEXT_VALID_US, valid_us.to_ne_bytes());
        put(&mut bytes, SLOT_BYTES + TEXT_STORED_US, counts_from_us.to_ne_bytes());
        put(&mut bytes, SLOT_USED, used_at(now_us).to_ne_bytes());
        put(&mut bytes, SLOT_SUBJECT, subject.to_ne_bytes());
        put(&mut bytes, SLOT_FLAGS, self.flags.to_ne_bytes());
        put(&mut bytes, SLOT_QTYPE, self.qtype.to_ne_bytes());
        put(&mut bytes, SLOT_ANCOUNT, answers.to_ne_bytes());
        put(&mut bytes, SLOT_NSCOUNT, authorities.to_ne_bytes());
        put(&mut bytes, SLOT_ARCOUNT, additionals.to_ne_bytes());
        put(&mut bytes, SLOT_BODY_BYTES, (self.body.len() as u16).to_ne_bytes());
        put(&mut bytes, SLOT_BODY_SUM, ones_complement_sum(self.body).to_ne_bytes());
        put(&mut bytes, SLOT_NAME_BYTES, [self.name.len() as u8]);
        put(&mut bytes, SLOT_KIND, [kind as u8]);
        put(&mut bytes, SLOT_DNSSEC_OK, [u8::from(self.dnssec_ok)]);
        put(&mut bytes, SLOT_IS_HIT, [u8::from(is_hit)]);
        put(&mut bytes, SLOT_FIXUPS, [offsets.len() as u8]);
        put(&mut bytes, SLOT_FIXUP_KIND, [fixup_kind]);
        put(&mut bytes, SLOT_QUESTION_NAME_BYTES, [question_name_bytes]);
        put(&mut bytes, SLOT_APEX_BYTES, [self.apex_bytes]);
        put(&mut bytes, SLOT_IS_LONG, [u8::from(self.is_long())]);
        let name = name_at(self.is_long());
        if let Some(place) = bytes.get_mut(name..name + self.name.len()) {
            place.copy_from_slice(self.name);
            place.make_ascii_lowercase();
        }
        let body = name + self.name.len().next_multiple_of(8);
        if let Some(place) = bytes.get_mut(body..body + self.body.len()) {
            place.copy_from_slice(self.body);
        }
        for (place, offset) in offsets.iter().enumerate() {
            put(&mut bytes, SLOT_BYTES + TEXT_FIXUPS_END - 2 * (place + 1), offset.to_ne_bytes());
        }
        bytes
    }

    /// Writes it into a slot that nobody else writes: SLOT_SEQ is odd, and stays so.
    pub(super) fn write(&self, key: u64, now_us: u64, words: Words) {
        let bytes = self.bytes(key, now_us);
        let text = words.text.iter().take(if self.is_long() { TEXT_WORDS } else { 0 });
        for (place, word) in words.slot.iter().chain(text).zip(bytes.as_chunks::<8>().0).skip(1) {
            place.store(u64::from_ne_bytes(*word), Relaxed);
        }
    }
}

/// Where the name stands; the body stands behind its last word.
fn name_at(is_long: bool) -> usize {
    if is_long { SLOT_BYTES } else { SLOT_TEXT }
}

fn put<const N: usize>(bytes: &mut [u8; BYTES], at: usize, field: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&field);
    }
}

/// The ones' complement sum of all 16-bit words (RFC 1071), a last odd octet being the upper half of one.
fn ones_complement_sum(bytes: &[u8]) -> u16 {
    let (words, last) = bytes.as_chunks::<2>();
    let sum: u64 = words.iter().map(|word| u64::from(u16::from_be_bytes(*word))).sum();
    let mut sum = sum + last.first().map_or(0, |last| u64::from(*last) << 8);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A slot as somebody read it at one moment.
#[derive(Clone)]
pub struct Slot {
    bytes: [u8; BYTES],
}

impl Slot {
    pub(super) fn copy(words: Words) -> Slot {
        let mut slot = Slot { bytes: [0; BYTES] };
        slot.copy_words(0, words.slot);
        if slot.is_long() {
            slot.copy_words(SLOT_WORDS, words.text);
        }
        slot
    }

    fn copy_words(&mut self, from: usize, words: &[AtomicU64]) {
        for (place, word) in self.bytes.as_chunks_mut::<8>().0.iter_mut().skip(from).zip(words) {
            *place = word.load(Relaxed).to_ne_bytes();
        }
    }

    fn is_long(&self) -> bool {
        self.field(SLOT_IS_LONG) != [0]
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.field(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.field(at))
    }

    /// The key of its question.
    pub fn key(&self) -> u64 {
        self.u64(SLOT_KEY)
    }

    /// The name asked for, in lower case.
    pub fn name(&self) -> &[u8] {
        let ([length], name) = (self.field(SLOT_NAME_BYTES), name_at(self.is_long()));
        self.bytes.get(name..name + usize::from(length).min(NAME_BYTES_MAX)).unwrap_or_default()
    }

    /// The name of its zone.
    pub fn apex(&self) -> &[u8] {
        let [length] = self.field(SLOT_APEX_BYTES);
        let name = self.name();
        name.len().checked_sub(usize::from(length)).and_then(|start| name.get(start..)).unwrap_or_default()
    }

    /// The type asked for.
    pub fn qtype(&self) -> u16 {
        self.u16(SLOT_QTYPE)
    }

    /// Whether it is for clients that want DNSSEC records.
    pub fn dnssec_ok(&self) -> bool {
        self.field(SLOT_DNSSEC_OK) != [0]
    }

    /// What it is of.
    pub fn stamp(&self) -> Stamp {
        let field = |at| u32::from_ne_bytes(self.field(at));
        Stamp { epoch: field(SLOT_EPOCH), zone: field(SLOT_ZONE), generation: field(SLOT_GENERATION) }
    }

    /// What the filters are told of it.
    pub fn told(&self) -> Told {
        let [kind] = self.field(SLOT_KIND);
        let kind = match kind {
            0 => Kind::Answer,
            1 => Kind::NoData,
            2 => Kind::NoName,
            3 => Kind::Referral,
            _ => Kind::Error,
        };
        let ttl_s = u32::from_ne_bytes(self.field(SLOT_TTL_S));
        Told { kind, ttl_s, is_hit: self.field(SLOT_IS_HIT) != [0], subject: self.u64(SLOT_SUBJECT) }
    }

    /// QR, AA, TC and RCODE.
    pub fn flags(&self) -> u16 {
        self.u16(SLOT_FLAGS)
    }

    /// Records in its sections, without OPT.
    pub fn counts(&self) -> [u16; 3] {
        [SLOT_ANCOUNT, SLOT_NSCOUNT, SLOT_ARCOUNT].map(|at| self.u16(at))
    }

    /// All behind the question but OPT, as it was when it was put here.
    pub fn body(&self) -> &[u8] {
        let length = usize::from(self.u16(SLOT_BODY_BYTES)).min(BODY_BYTES_MAX);
        let at = name_at(self.is_long()) + self.name().len().next_multiple_of(8);
        self.bytes.get(at..at + length).unwrap_or_default()
    }

    /// The body's sum.
    pub fn body_sum(&self) -> u16 {
        self.u16(SLOT_BODY_SUM)
    }

    /// When it was used last, in filter time, to the second.
    pub fn used_us(&self) -> u64 {
        u64::from(u32::from_ne_bytes(self.field(SLOT_USED))) << USED_US_BITS
    }

    /// What has to be made fit: the kind of it ([`FIXUP_TTL`], [`FIXUP_POINTER`], 0) and where.
    pub fn fixups(&self) -> (usize, impl Iterator<Item = u16> + '_) {
        let ([number], [kind]) = (self.field(SLOT_FIXUPS), self.field(SLOT_FIXUP_KIND));
        let offsets =
            (1..=usize::from(number).min(FIXUPS_MAX)).map(|place| self.u16(SLOT_BYTES + TEXT_FIXUPS_END - 2 * place));
        (usize::from(kind), offsets)
    }

    /// The name's length that its pointers are for.
    pub fn question_name_bytes(&self) -> u8 {
        let [length] = self.field(SLOT_QUESTION_NAME_BYTES);
        length
    }

    /// Since when its TTLs count down, and until when it may be given, in filter time; both 0 where they do not.
    pub fn lives_us(&self) -> (u64, u64) {
        (self.u64(SLOT_BYTES + TEXT_STORED_US), self.u64(SLOT_BYTES + TEXT_VALID_US))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let words = |number| &*Box::leak((0..number).map(|_| AtomicU64::new(u64::MAX)).collect::<Box<[_]>>());
        let words = Words { slot: words(SLOT_WORDS), text: words(TEXT_WORDS) };
        let told = Told { kind: Kind::Referral, ttl_s: 300, is_hit: true, subject: 0x0102_0304_0506_0708 };
        let entry = Entry {
            name: b"\x03wWw\x07example\x00",
            qtype: 257,
            dnssec_ok: true,
            stamp: Stamp { epoch: 4, zone: 70_000, generation: 6 },
            apex_bytes: 9,
            told,
            flags: 0x8400,
            counts: [1, 2, 3],
            body: &[0xff, 0xff, 0x80, 1, 7],
            fixups: Fixups::Ttls { offsets: &[8, 30, 500], counts_from_us: 11, valid_us: 12 },
        };
        assert!(entry.fits());
        entry.write(99, 7 << USED_US_BITS, words);
        assert_eq!(words.slot[0].load(Relaxed), u64::MAX);
        let read = Slot::copy(words);
        assert_eq!(
            (read.key(), read.name(), read.apex()),
            (99, &b"\x03www\x07example\x00"[..], &b"\x07example\x00"[..])
        );
        assert_eq!((read.qtype(), read.dnssec_ok(), read.stamp()), (257, true, entry.stamp));
        assert_eq!((read.told(), read.flags(), read.counts()), (told, 0x8400, [1, 2, 3]));
        assert_eq!((read.body(), read.used_us(), read.lives_us()), (entry.body, 7 << USED_US_BITS, (11, 12)));
        // 0xffff + 0x8001 + 0x0700 = 0x18700, and the carry comes back.
        assert_eq!(read.body_sum(), 0x8701);
        let (kind, offsets) = read.fixups();
        assert_eq!((kind, offsets.collect::<Vec<_>>()), (FIXUP_TTL, vec![8, 30, 500]));

        let entry = Entry { fixups: Fixups::Pointers { offsets: &[2], name_bytes: 20 }, ..entry };
        entry.write(99, 1000, words);
        let read = Slot::copy(words);
        assert_eq!((read.question_name_bytes(), read.lives_us()), (20, (0, 0)));
        let (kind, offsets) = read.fixups();
        assert_eq!((kind, offsets.collect::<Vec<_>>()), (FIXUP_POINTER, vec![2]));

        // The name takes two words.
        for (body, is_long) in [(40, false), (41, true)] {
            let body = vec![3; body];
            let entry = Entry { body: &body, fixups: Fixups::None, ..entry };
            entry.write(99, 1000, words);
            let read = Slot::copy(words);
            assert_eq!(
                (read.name(), read.body(), read.is_long()),
                (&b"\x03www\x07example\x00"[..], &body[..], is_long)
            );
            assert_eq!((read.lives_us(), read.fixups().0), ((0, 0), 0));
        }
    }

    #[test]
    fn only_what_has_room_fits() {
        let stamp = Stamp { epoch: 0, zone: 0, generation: 0 };
        let told = Told { kind: Kind::Answer, ttl_s: 0, is_hit: false, subject: 0 };
        let long = [0; 1000];
        for (name, body, fixups, fits) in [
            (NAME_BYTES_MAX, BODY_BYTES_MAX, 0, true),
            (NAME_BYTES_MAX + 1, 10, 0, false),
            (0, 10, 0, false),
            (10, BODY_BYTES_MAX + 1, 0, false),
            (10, BODY_BYTES_MAX - 8, 4, true),
            (10, BODY_BYTES_MAX - 8, 5, false),
            (10, 10, FIXUPS_MAX, true),
            (10, 10, FIXUPS_MAX + 1, false),
        ] {
            let offsets = vec![0; fixups];
            let entry = Entry {
                name: &long[..name],
                body: &long[..body],
                fixups: Fixups::Pointers { offsets: &offsets, name_bytes: 0 },
                qtype: 1,
                dnssec_ok: false,
                stamp,
                apex_bytes: 1,
                told,
                flags: 0,
                counts: [0; 3],
            };
            assert_eq!(entry.fits(), fits, "{name} {body} {}", offsets.len());
        }
    }
}
