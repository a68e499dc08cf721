//! The records of a response that may be believed: those in the zone.

use wire::{Class, Message, Name, NameRef, Record, Rtype, Section};

use crate::Unfit;

/// Records read of one response. The largest RRsets that fit a message have some 4,000.
const RECORDS_MAX: usize = 5000;

/// One record of a response.
#[derive(Debug)]
pub(crate) struct InZone<'a> {
    pub(crate) owner: Name,
    pub(crate) record: Record<'a>,
}

impl InZone<'_> {
    pub(crate) fn rtype(&self) -> Rtype {
        self.record.rtype
    }

    /// The TTL; one with the highest bit set is 0 (RFC 2181 §8).
    pub(crate) fn ttl_s(&self) -> u32 {
        if self.record.ttl > i32::MAX as u32 { 0 } else { self.record.ttl }
    }

    /// The type that a signature covers, the first field of its RDATA (RFC 4034 §3.1).
    pub(crate) fn covers(&self) -> Option<Rtype> {
        let covered = self.record.rdata().first_chunk::<2>()?;
        (self.rtype() == Rtype::RRSIG).then(|| Rtype(u16::from_be_bytes(*covered)))
    }
}

/// Reads all records and keeps those of class IN whose owner is at or below `apex`.
pub(crate) fn read_in_zone<'a>(apex: NameRef<'_>, message: &Message<'a>) -> Result<Vec<InZone<'a>>, Unfit> {
    let mut kept = Vec::new();
    for (index, record) in message.records().enumerate() {
        if index >= RECORDS_MAX {
            return Err(Unfit::TooManyRecords);
        }
        let record = record?;
        if record.class != Class::IN || record.rtype.is_meta() {
            continue;
        }
        let owner = record.owner()?;
        if owner.as_ref().is_within(apex) {
            kept.push(InZone { owner, record });
        }
    }
    Ok(kept)
}

/// The records of one RRset in one section.
pub(crate) fn select<'r, 'a>(
    records: &'r [InZone<'a>],
    section: Section,
    owner: NameRef<'_>,
    rtype: Rtype,
) -> impl Iterator<Item = &'r InZone<'a>> + Clone {
    // By bytes first: names are long to compare and mostly differ.
    records.iter().filter(move |r| r.rtype() == rtype && r.record.section == section && r.owner.as_ref() == owner)
}
