//! Behind the last room: an answer that is whole, and the same for all who ask its question, is put where the kernel lane
//! finds it. Nothing here changes the answer, or keeps it waiting for more than a look at the table.

use std::time::Instant;

use arrayvec::ArrayVec;
use filters::{Found, Hashes, Kind, Now, View, ZoneNumber};
use wire::{HEADER_BYTES, Message, NameRef, Question, Record, Rtype, Section};
use zones::ZoneSlot;

use crate::kernel::{
    Answers, Entry, Fixups, Promise, Stamp, Told, key,
    layout::{FIXUPS_MAX, NAME_BYTES_MAX, NO_NAME_LABELS_MAX},
};
use crate::line::Context;

/// Where answers are put that others may give as they are.
#[derive(Clone, Copy)]
pub struct Promoter<'a> {
    /// The table.
    pub answers: &'a Answers,
    /// [`zones::Zones::epoch`], read before the table of zones was.
    pub epoch: Option<u32>,
    /// When this batch came.
    pub now: Now,
    /// The filters' time at another moment.
    pub filter_time: &'a dyn Fn(Instant) -> Now,
}

/// What has to be known of an answer besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promotable {
    pub(super) origin: Origin,
    pub(super) kind: Kind,
    pub(super) ttl_s: u32,
    pub(super) promise: Promise,
    /// A kept answer of an origin counts down.
    pub(super) life: Option<Life>,
}

/// What an answer is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    stamp: Stamp,
    apex_bytes: u8,
}

/// Since when the TTLs of an answer of an origin count down, and until when it may be given, in filter time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) counts_from_us: u64,
    pub(super) valid_us: u64,
}

/// Whether all that belongs to an answer is in it, whatever the client's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

impl Origin {
    /// To be called before the slot's state is looked at. None where nobody wants answers, or they are just changing.
    #[inline]
    pub(super) fn of(slot: &ZoneSlot, context: &Context<'_>) -> Option<Origin> {
        let epoch = context.promoter.as_ref()?.epoch?;
        let stamp = Stamp { epoch, zone: slot.number(), generation: slot.generation()? };
        Some(Origin { stamp, apex_bytes: slot.apex().as_bytes().len() as u8 })
    }
}

/// Puts an answer, a whole message, into the table if it belongs there and is not there yet.
#[inline]
pub(super) fn promote(
    message: &[u8],
    question: &Question<'_>,
    dnssec_ok: bool,
    promotable: &Promotable,
    view: &View<'_>,
    context: &Context<'_>,
) {
    let Some(promoter) = &context.promoter else { return };
    if question.name.as_bytes().len() > NAME_BYTES_MAX {
        return;
    }
    let mut view = *view;
    view.asked = Some(filters::Asked { qname: question.name, qtype: question.rtype });
    let answer = Finished { message, question, dnssec_ok, promotable, view, context };
    if promotable.kind == Kind::NoName {
        answer.promote_no_name(promoter);
    }
    let key = key(context.gate.name_hash(&answer.view), question.rtype.0, dnssec_ok);
    let now_us = promoter.now.us();
    if let Some(place) = promoter.answers.find_place(key, promotable.promise, now_us) {
        answer.make(|entry| promoter.answers.put(place, entry, now_us));
    }
}

/// Has the kernel lane know that names of the zone of which nothing is at hand need its origin: what the filters think of that,
/// they can say there as well.
#[cold]
pub(super) fn promote_misses(origin: Origin, apex: NameRef<'_>, dnssec_ok: bool, context: &Context<'_>) {
    let Some(promoter) = &context.promoter else { return };
    let now_us = promoter.now.us();
    let key = key_of_no_question(apex, dnssec_ok, context);
    if let Some(place) = promoter.answers.find_place(key, Promise::Some, now_us) {
        let entry = Entry {
            name: apex.as_bytes(),
            qtype: 0,
            dnssec_ok,
            stamp: origin.stamp,
            apex_bytes: origin.apex_bytes,
            told: Told { kind: Kind::Error, ttl_s: 0, is_hit: true, subject: 0 },
            flags: 0,
            counts: [0; 3],
            body: &[],
            fixups: Fixups::None,
        };
        promoter.answers.put(place, &entry, now_us);
    }
}

/// The key of what stands for names of the zone that there is no answer for.
fn key_of_no_question(apex: NameRef<'_>, dnssec_ok: bool, context: &Context<'_>) -> u64 {
    let asked = Some(filters::Asked { qname: apex, qtype: Rtype(0) });
    let source = std::net::Ipv4Addr::UNSPECIFIED.into();
    let view = View { source, proof: filters::Proof::None, message: &[], asked, hashes: Hashes::default() };
    key(context.gate.name_hash(&view), 0, dnssec_ok)
}

/// An answer that has been written.
struct Finished<'a> {
    message: &'a [u8],
    question: &'a Question<'a>,
    dnssec_ok: bool,
    promotable: &'a Promotable,
    view: View<'a>,
    context: &'a Context<'a>,
}

/// What stands in a message between its question and its OPT record.
struct Body<'m> {
    bytes: &'m [u8],
    starts_at: usize,
    counts: [u16; 3],
    flags: u16,
    records: ArrayVec<Record<'m>, RECORDS_MAX>,
}

/// Records that are looked at, each of some ten octets at least.
const RECORDS_MAX: usize = 64;

/// Flags that are the same for all who ask: QR, AA, TC, RCODE (RFC 1035 §4.1.1).
const FLAGS_FOR_ALL: u16 = 0x860f;

impl<'m> Body<'m> {
    #[cold]
    fn read(message: &'m [u8], question: &Question<'_>) -> Option<Body<'m>> {
        const QUESTION_END_BYTES: usize = 4;
        let parsed = Message::parse(message).ok()?;
        let starts_at = HEADER_BYTES + question.name.as_bytes().len() + QUESTION_END_BYTES;
        let mut records = ArrayVec::new();
        let (mut ends_at, mut additionals) = (message.len(), parsed.header.arcount);
        for record in parsed.records() {
            let record = record.ok()?;
            if record.rtype == Rtype::OPT {
                (ends_at, additionals) = (record.offset, additionals.checked_sub(1)?);
            } else {
                records.try_push(record).ok()?;
            }
        }
        // Its place is behind all others.
        let all_before = |record: &Record<'_>| record.rdata_range().end <= ends_at;
        if parsed.header.qdcount != 1 || !records.iter().all(all_before) {
            return None;
        }
        let &[_, _, high, low, ..] = message.first_chunk::<HEADER_BYTES>()?;
        Some(Body {
            bytes: message.get(starts_at..ends_at)?,
            starts_at,
            counts: [parsed.header.ancount, parsed.header.nscount, additionals],
            flags: u16::from_be_bytes([high, low]) & FLAGS_FOR_ALL,
            records,
        })
    }

    /// Where the TTLs stand.
    fn ttls(&self) -> Option<ArrayVec<u16, FIXUPS_MAX>> {
        const TTL_AND_LENGTH_BYTES: usize = 6;
        let mut offsets = ArrayVec::new();
        for record in &self.records {
            let at = record.rdata_range().start.checked_sub(TTL_AND_LENGTH_BYTES + self.starts_at)?;
            offsets.try_push(at as u16).ok()?;
        }
        Some(offsets)
    }

    /// A DNAME makes names of the one that was asked for, in the case of that.
    fn is_spelled_by_the_client(&self) -> bool {
        self.records.iter().any(|record| record.section == Section::Answer && record.rtype == Rtype::DNAME)
    }
}

impl Finished<'_> {
    fn apex(&self) -> Option<NameRef<'_>> {
        let name = self.question.name.as_bytes();
        let start = name.len().checked_sub(usize::from(self.promotable.origin.apex_bytes))?;
        NameRef::parse(name.get(start..)?).ok()
    }

    /// What the filters' rate of responses knows such answers by.
    fn subject(&self, cut: Option<NameRef<'_>>) -> u64 {
        let &Promotable { origin, kind, ttl_s, life, .. } = self.promotable;
        let zone = self.apex().map(|apex| (ZoneNumber(origin.stamp.zone), apex));
        self.context.gate.subject(&self.view, &Found { zone, kind, ttl_s, cut, is_hit: life.is_some() })
    }

    #[cold]
    fn make(&self, put: impl FnOnce(&Entry<'_>) -> bool) {
        let Some(body) = Body::read(self.message, self.question) else { return };
        if body.is_spelled_by_the_client() {
            return;
        }
        let Promotable { origin, kind, ttl_s, life, .. } = *self.promotable;
        let servers = |record: &&Record<'_>| record.section == Section::Authority && record.rtype == Rtype::NS;
        let cut = match kind {
            Kind::Referral => body.records.iter().find(servers).and_then(|record| record.owner().ok()),
            _ => None,
        };
        let ttls = match life {
            Some(_) => body.ttls(),
            None => Some(ArrayVec::new()),
        };
        let Some(offsets) = ttls else { return };
        let fixups = match life {
            Some(Life { counts_from_us, valid_us }) => Fixups::Ttls { offsets: &offsets, counts_from_us, valid_us },
            None => Fixups::None,
        };
        let subject = self.subject(cut.as_ref().map(wire::Name::as_ref));
        put(&Entry {
            name: self.question.name.as_bytes(),
            qtype: self.question.rtype.0,
            dnssec_ok: self.dnssec_ok,
            stamp: origin.stamp,
            apex_bytes: origin.apex_bytes,
            told: Told { kind, ttl_s, is_hit: life.is_some(), subject },
            flags: body.flags,
            counts: body.counts,
            body: body.bytes,
            fixups,
        });
    }

    /// What all names of the zone get that do not exist: if that needs no proof the SOA record, else nothing.
    fn promote_no_name(&self, promoter: &Promoter<'_>) {
        let now_us = promoter.now.us();
        let Some(apex) = self.apex().filter(|_| self.promotable.life.is_none()) else { return };
        let key = key_of_no_question(apex, self.dnssec_ok, self.context);
        if let Some(place) = promoter.answers.find_place(key, Promise::Some, now_us) {
            self.make_no_name(apex, |entry| promoter.answers.put(place, entry, now_us));
        }
    }

    #[cold]
    fn make_no_name(&self, apex: NameRef<'_>, put: impl FnOnce(&Entry<'_>) -> bool) {
        if self.question.name.label_count() > NO_NAME_LABELS_MAX {
            return;
        }
        let Some(body) = Body::read(self.message, self.question) else { return };
        let Promotable { origin, kind, ttl_s, .. } = *self.promotable;
        let entry = Entry {
            name: apex.as_bytes(),
            qtype: 0,
            dnssec_ok: self.dnssec_ok,
            stamp: origin.stamp,
            apex_bytes: origin.apex_bytes,
            told: Told { kind, ttl_s, is_hit: false, subject: self.subject(None) },
            flags: body.flags,
            counts: body.counts,
            body: body.bytes,
            fixups: Fixups::None,
        };
        let soa = match (body.counts, body.records.as_slice()) {
            ([0, 1, 0], [soa]) => soa,
            // Each name has a proof of its own: that it does not exist is known there, and no more.
            ([0, 2..=u16::MAX, 0], _) => {
                put(&Entry { counts: [0; 3], body: &[], ..entry });
                return;
            }
            // What a DNAME record made of the name does not exist.
            _ => return,
        };
        // Pointers to the apex at the end of the name, or to what stands behind it, move by as much as that name is longer.
        let moves_from = HEADER_BYTES + self.question.name.as_bytes().len() - apex.as_bytes().len();
        let Some(pointers) = pointers_of(self.message, soa, moves_from) else { return };
        let offsets: ArrayVec<u16, POINTERS_MAX> =
            pointers.iter().filter_map(|at| at.checked_sub(body.starts_at)).map(|at| at as u16).collect();
        let name_bytes = self.question.name.as_bytes().len() as u8;
        put(&Entry { fixups: Fixups::Pointers { offsets: &offsets, name_bytes }, ..entry });
    }
}

/// Names in a SOA record: owner, MNAME, RNAME.
const POINTERS_MAX: usize = 3;

/// Where the compression pointers of a SOA record stand; none if it is no such record, one points before `moves_from`, or its
/// names are so long that who wrote them may not have remembered all.
fn pointers_of(message: &[u8], soa: &Record<'_>, moves_from: usize) -> Option<ArrayVec<usize, POINTERS_MAX>> {
    let mut pointers = ArrayVec::new();
    if soa.rtype != Rtype::SOA {
        return None;
    }
    let owner = skip_name(message, soa.offset)?;
    let mname = skip_name(message, soa.rdata_range().start)?;
    let rname = skip_name(message, mname.ends_at)?;
    let mut labels = 0;
    for name in [owner, mname, rname] {
        labels += name.labels;
        let Some(pointer) = name.pointer_at else { continue };
        let target = message.get(pointer..)?.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes) & 0x3fff)?;
        if usize::from(target) < moves_from {
            return None;
        }
        pointers.push(pointer);
    }
    (labels < NO_NAME_LABELS_MAX).then_some(pointers)
}

/// A name as it stands in a message.
struct Written {
    /// Labels before the pointer, or the root.
    labels: usize,
    /// Where the pointer stands that it ends with, if any.
    pointer_at: Option<usize>,
    ends_at: usize,
}

fn skip_name(message: &[u8], mut at: usize) -> Option<Written> {
    const POINTER: u8 = 0xc0;
    let mut labels = 0;
    loop {
        match *message.get(at)? {
            0 => return Some(Written { labels, pointer_at: None, ends_at: at + 1 }),
            octet if octet >= POINTER => return Some(Written { labels, pointer_at: Some(at), ends_at: at + 2 }),
            length => at += 1 + usize::from(length),
        }
        labels += 1;
    }
}
