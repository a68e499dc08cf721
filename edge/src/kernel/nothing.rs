//! The answer that all names of a zone get that do not exist: NXDOMAIN with the SOA record (RFC 2308 §2.1), written for a name
//! of any length.
//!
//! Its compression pointers point into the end of the question, or at what stands behind it: all of them move with the length
//! of the name, which the program sees to.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use arrayvec::ArrayVec;
use wire::{Class, HEADER_BYTES, NameRef, Rtype, Section, Writer, rdata::Soa};
use zones::{Answer, Denial, Outcome, Zone};

use super::layout::{BODY_BYTES_MAX, FIXUPS_MAX, NAME_BYTES_MAX};

/// With more labels in the names of the SOA record the writer may remember too few of them (edge/kernel/names.h).
const SOA_LABELS_MAX: usize = 28;
/// A label below the apex that stands for all.
const LABEL: &[u8] = b"\0";
/// Type and class behind the name of a question.
const QUESTION_END_BYTES: usize = 4;
/// Type, class, TTL and length of data behind the owner of a record.
const RECORD_BYTES: usize = 10;

/// The answer, but for header and question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nothing {
    /// The authority section: one record.
    pub body: ArrayVec<u8, BODY_BYTES_MAX>,
    /// Where compression pointers stand in it.
    pub pointers: ArrayVec<u16, FIXUPS_MAX>,
    /// The length of the name that they are for.
    pub question_name_bytes: u8,
    /// For how long nobody needs to ask again.
    pub ttl_s: u32,
}

impl Nothing {
    /// That of a zone, for clients with or without DO; none where it takes more than this to say that a name is not there, or
    /// where not all names get the same.
    #[must_use]
    pub fn of(zone: &Zone, dnssec_ok: bool) -> Option<Nothing> {
        // A proof is another one for each name.
        if zone.apex_answers_below() || (dnssec_ok && *zone.denial() != Denial::Unsigned) {
            return None;
        }
        let qname = zone.apex().to_owned().prepend(LABEL).ok()?;
        let mut found = Answer::new();
        if zone.find(qname.as_ref(), Rtype::A, dnssec_ok, &mut found) != Outcome::NxDomain {
            return None;
        }
        let mut authority = found.section(Section::Authority);
        let soa = authority.next().filter(|soa| soa.rtype() == Rtype::SOA && soa.rrsigs().is_empty())?;
        let rdata = soa.rdatas().next()?;
        let names = Soa::parse(rdata).ok()?;
        let others = [names.mname, names.rname];
        let labels: usize = others.iter().map(|name| name.label_count()).sum();
        let fits = labels <= SOA_LABELS_MAX && !others.iter().any(|name| name.is_within(qname.as_ref()));
        if !fits || authority.next().is_some() || found.section(Section::Answer).len() > 0 {
            return None;
        }
        write(qname.as_ref(), zone.apex(), soa.ttl(), rdata)
    }
}

fn write(qname: NameRef<'_>, apex: NameRef<'_>, ttl_s: u32, rdata: &[u8]) -> Option<Nothing> {
    let mut message = [0; HEADER_BYTES + NAME_BYTES_MAX + QUESTION_END_BYTES + BODY_BYTES_MAX];
    let question_name_bytes = u8::try_from(qname.as_bytes().len()).ok()?;
    let mut writer = Writer::new(&mut message, usize::MAX).ok()?;
    writer.question(qname, Rtype::A, Class::IN).ok()?;
    let start = writer.len();
    writer.record(Section::Authority, apex, Rtype::SOA, Class::IN, ttl_s, rdata).ok()?;
    let end = writer.finish();
    let body = ArrayVec::try_from(message.get(start..end)?).ok()?;
    let pointers = find_pointers(&body)?;
    // The offsets stand in the same room.
    let fits = body.len() + 2 * pointers.len() <= BODY_BYTES_MAX;
    fits.then_some(Nothing { body, pointers, question_name_bytes, ttl_s })
}

/// Where compression pointers stand in a SOA record that we wrote.
fn find_pointers(record: &[u8]) -> Option<ArrayVec<u16, FIXUPS_MAX>> {
    let mut pointers = ArrayVec::new();
    let owner_end = skip_name(record, 0, &mut pointers)?;
    let mname_end = skip_name(record, owner_end + RECORD_BYTES, &mut pointers)?;
    skip_name(record, mname_end, &mut pointers)?;
    Some(pointers)
}

/// Where the name ends that stands at `at`.
fn skip_name(record: &[u8], mut at: usize, pointers: &mut ArrayVec<u16, FIXUPS_MAX>) -> Option<usize> {
    loop {
        match usize::from(*record.get(at)?) {
            0 => return Some(at + 1),
            0xc0.. => {
                pointers.try_push(u16::try_from(at).ok()?).ok()?;
                return Some(at + 2);
            }
            length => at += 1 + length,
        }
    }
}
