//! What a name owns: its RRsets, each with the signatures that cover it, in one block of bytes.
//!
//! ```text
//! node   = rrset*                                    ascending by type
//! rrset  = tag ttl [count length] rdatas [signatures]
//! tag    = type << 2 | several << 1 | signed
//! rdatas = (length octets)*                          one, or if `several`: `count` of them in `length` octets
//! signatures = ttl length (length octets)*           if `signed`: RDATA of the RRSIG records that cover the type
//! ```
//!
//! All numbers are variable in length. A count of zero is a signature without the RRset that it covers. The TTL of an
//! RRset is the least of its records' (RFC 2181 §5.2), and so is that of its signatures, apart. Records of an RRset stand
//! in an order of their own, not the order they came in.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::cmp::Ordering;

use wire::{Rtype, rdata};

use crate::varint;

const SEVERAL: u32 = 2;
const SIGNED: u32 = 1;
/// The greatest TTL; those above count as zero (RFC 2181 §8).
const TTL_S_MAX: u32 = i32::MAX as u32;

/// The RRsets of one owner.
#[derive(Clone, Copy)]
pub(crate) struct Node<'z>(pub(crate) &'z [u8]);

/// One RRset as it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'z> {
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    /// Zero if only signatures are there.
    pub(crate) count: u32,
    pub(crate) rdatas: Rdatas<'z>,
    pub(crate) rrsig_ttl: u32,
    pub(crate) rrsigs: Rdatas<'z>,
}

/// RDATA of several records, each uncompressed.
#[derive(Debug, Clone, Copy)]
pub struct Rdatas<'z>(&'z [u8]);

impl<'z> Rdatas<'z> {
    /// No records.
    pub const EMPTY: Rdatas<'static> = Rdatas(&[]);

    /// Are there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same bytes of the same snapshot, not merely equal ones.
    pub(crate) fn is(&self, other: &Rdatas<'_>) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl<'z> Iterator for Rdatas<'z> {
    type Item = &'z [u8];

    #[inline]
    fn next(&mut self) -> Option<&'z [u8]> {
        varint::read_slice(&mut self.0)
    }
}

impl<'z> Node<'z> {
    /// The RRsets in ascending order of type.
    #[inline]
    pub(crate) fn rrsets(self) -> impl Iterator<Item = Stored<'z>> {
        let mut rest = self.0;
        std::iter::from_fn(move || read_rrset(&mut rest))
    }

    /// The RRset of a type, if it has records.
    #[inline]
    pub(crate) fn rrset(self, rtype: Rtype) -> Option<Stored<'z>> {
        self.rrsets().take_while(|rrset| rrset.rtype.0 <= rtype.0).find(|rrset| rrset.rtype == rtype && rrset.count > 0)
    }

    /// What is in a node that was written here.
    pub(crate) fn contents(self) -> Contents {
        let mut contents = Contents::default();
        for rrset in self.rrsets() {
            contents.count(&rrset, rrset.rrsigs.count() as u64);
        }
        contents
    }

    /// What is in a node that was read from outside; `None` unless every byte of it makes sense.
    pub(crate) fn validate(self) -> Option<Contents> {
        let mut contents = Contents::default();
        let mut rest = self.0;
        let mut last = None;
        while !rest.is_empty() {
            let rrset = read_rrset(&mut rest)?;
            let rrsigs = rrset.validate()?;
            if last.is_some_and(|last| last >= rrset.rtype.0) || (rrset.count == 0 && rrsigs == 0) {
                return None;
            }
            contents.count(&rrset, rrsigs);
            last = Some(rrset.rtype.0);
        }
        last.map(|_| contents)
    }
}

/// What the RRsets of a node amount to.
#[derive(Default)]
pub(crate) struct Contents {
    /// All records, signatures too.
    pub(crate) records: u64,
    pub(crate) ns: bool,
    pub(crate) dname: bool,
    pub(crate) cname: bool,
    /// Something that may not stand beside a CNAME.
    pub(crate) other_than_cname: bool,
    /// A type that takes one record and has more.
    pub(crate) too_many: Option<Rtype>,
}

impl Contents {
    #[inline]
    fn count(&mut self, rrset: &Stored<'_>, rrsigs: u64) {
        self.records += u64::from(rrset.count) + rrsigs;
        if rrset.count == 0 {
            return;
        }
        match rrset.rtype {
            Rtype::NS => self.ns = true,
            Rtype::DNAME => self.dname = true,
            Rtype::CNAME => self.cname = true,
            _ => {}
        }
        // SIG, KEY, NXT, RRSIG and NSEC may stand beside a CNAME (RFC 4034 §3, §4; RFC 2535 before).
        self.other_than_cname |= !matches!(rrset.rtype, Rtype::CNAME | Rtype(24 | 25 | 30 | 46 | 47));
        if rrset.count > 1 && matches!(rrset.rtype, Rtype::SOA | Rtype::CNAME | Rtype::DNAME) {
            self.too_many = Some(rrset.rtype);
        }
    }
}

impl Stored<'_> {
    /// Counts its signatures, if it is sound.
    fn validate(&self) -> Option<u64> {
        let covers = self.rtype.0.to_be_bytes();
        let records = self.rdatas.fits(|rdata| rdata::check(self.rtype, rdata).is_ok())?;
        let signs = |rdata: &[u8]| rdata.starts_with(&covers) && rdata::check(Rtype::RRSIG, rdata).is_ok();
        let rrsigs = self.rrsigs.fits(signs)?;
        (records == self.count).then_some(u64::from(rrsigs))
    }
}

impl Rdatas<'_> {
    /// How many there are, if they fill their bytes and all pass.
    fn fits(mut self, passes: impl Fn(&[u8]) -> bool) -> Option<u32> {
        let mut count = 0;
        while !self.0.is_empty() {
            let rdata = varint::read_slice(&mut self.0)?;
            if rdata.len() > usize::from(u16::MAX) || !passes(rdata) {
                return None;
            }
            count += 1;
        }
        Some(count)
    }
}

#[inline]
fn read_rrset<'z>(rest: &mut &'z [u8]) -> Option<Stored<'z>> {
    let tag = varint::read(rest)?;
    let ttl = varint::read(rest)?;
    let rtype = Rtype(u16::try_from(tag >> 2).ok()?);
    let (count, rdatas) = if tag & SEVERAL != 0 {
        (varint::read(rest)?, varint::read_slice(rest)?)
    } else {
        let start = *rest;
        varint::read_slice(rest)?;
        (1, start.get(..start.len() - rest.len())?)
    };
    let (rrsig_ttl, rrsigs) =
        if tag & SIGNED != 0 { (varint::read(rest)?, varint::read_slice(rest)?) } else { (0, &[][..]) };
    Some(Stored { rtype, ttl, count, rdatas: Rdatas(rdatas), rrsig_ttl, rrsigs: Rdatas(rrsigs) })
}

/// The records of one owner while they are gathered or changed.
#[derive(Default)]
pub(crate) struct NodeDraft {
    octets: Vec<u8>,
    records: Vec<DraftRecord>,
}

#[derive(Clone, Copy)]
struct DraftRecord {
    /// For a signature the type that it covers.
    rtype: Rtype,
    signature: bool,
    ttl: u32,
    start: u32,
    len: u16,
}

impl NodeDraft {
    pub(crate) fn clear(&mut self) {
        self.octets.clear();
        self.records.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Starts from what a node holds.
    pub(crate) fn load(&mut self, node: Node<'_>) {
        self.clear();
        for rrset in node.rrsets() {
            for rdata in rrset.rdatas {
                self.push(rrset.rtype, false, rrset.ttl, rdata);
            }
            for rdata in rrset.rrsigs {
                self.push(rrset.rtype, true, rrset.rrsig_ttl, rdata);
            }
        }
    }

    fn push(&mut self, rtype: Rtype, signature: bool, ttl: u32, rdata: &[u8]) {
        let start = self.octets.len() as u32;
        self.octets.extend_from_slice(rdata);
        self.records.push(DraftRecord { rtype, signature, ttl, start, len: rdata.len() as u16 });
    }

    /// Adds a record whose RDATA was checked; duplicates go when the node is written.
    pub(crate) fn add(&mut self, rtype: Rtype, ttl: u32, rdata: &[u8]) {
        let (rtype, signature) = filed_under(rtype, rdata);
        self.push(rtype, signature, if ttl > TTL_S_MAX { 0 } else { ttl }, rdata);
    }

    /// Adds a record unless it is there.
    #[must_use]
    pub(crate) fn add_new(&mut self, rtype: Rtype, ttl: u32, rdata: &[u8]) -> bool {
        let absent = self.position(rtype, rdata).is_none();
        if absent {
            self.add(rtype, ttl, rdata);
        }
        absent
    }

    /// Takes out a record; false if it is not there. TTLs do not matter (RFC 2136 §2.5.4 compares as we do).
    #[must_use]
    pub(crate) fn delete(&mut self, rtype: Rtype, rdata: &[u8]) -> bool {
        let position = self.position(rtype, rdata);
        if let Some(position) = position {
            self.records.remove(position);
        }
        position.is_some()
    }

    fn position(&self, rtype: Rtype, rdata: &[u8]) -> Option<usize> {
        let (filed, signature) = filed_under(rtype, rdata);
        self.records.iter().position(|record| {
            record.rtype == filed
                && record.signature == signature
                && rdata::eq(rtype, record.rdata(&self.octets), rdata)
        })
    }

    /// Appends the node to `out`: sorted, duplicates merged.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>) {
        let NodeDraft { octets, records } = self;
        if records.len() > 1 {
            records.sort_by(|a, b| a.compare(b, octets));
            records.dedup_by(|b, a| {
                let same = a.is_same_record(b, octets);
                if same {
                    a.ttl = a.ttl.min(b.ttl);
                }
                same
            });
        }
        for rrset in records.chunk_by(|a, b| a.rtype == b.rtype) {
            let (data, signatures) = rrset.split_at(rrset.partition_point(|record| !record.signature));
            write_rrset(data, signatures, octets, out);
        }
    }
}

/// The type that a record is kept with: RRSIG with the RRset that it covers.
fn filed_under(rtype: Rtype, rdata: &[u8]) -> (Rtype, bool) {
    match rdata.first_chunk::<2>() {
        Some(covered) if rtype == Rtype::RRSIG => (Rtype(u16::from_be_bytes(*covered)), true),
        _ => (rtype, false),
    }
}

impl DraftRecord {
    fn rdata<'a>(&self, octets: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize;
        octets.get(start..start + usize::from(self.len)).unwrap_or(&[])
    }

    /// By type, signatures after data, then so that records that differ in case alone are neighbours.
    fn compare(&self, other: &DraftRecord, octets: &[u8]) -> Ordering {
        let (a, b) = (self.rdata(octets), other.rdata(octets));
        let folded = || a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
        (self.rtype.0, self.signature).cmp(&(other.rtype.0, other.signature)).then_with(folded).then_with(|| a.cmp(b))
    }

    fn is_same_record(&self, other: &DraftRecord, octets: &[u8]) -> bool {
        let rtype = if self.signature { Rtype::RRSIG } else { self.rtype };
        self.rtype == other.rtype
            && self.signature == other.signature
            && rdata::eq(rtype, self.rdata(octets), other.rdata(octets))
    }
}

fn write_rrset(data: &[DraftRecord], signatures: &[DraftRecord], octets: &[u8], out: &mut Vec<u8>) {
    let Some(first) = data.first().or(signatures.first()) else { return };
    let ttl = |records: &[DraftRecord]| records.iter().map(|record| record.ttl).min().unwrap_or(0);
    let len = |records: &[DraftRecord]| -> u32 {
        records.iter().map(|record| varint::len(u32::from(record.len)) as u32 + u32::from(record.len)).sum()
    };
    let several = if data.len() == 1 { 0 } else { SEVERAL };
    let signed = if signatures.is_empty() { 0 } else { SIGNED };
    varint::write(out, u32::from(first.rtype.0) << 2 | several | signed);
    varint::write(out, ttl(data));
    if several != 0 {
        varint::write(out, data.len() as u32);
        varint::write(out, len(data));
    }
    write_rdatas(data, octets, out);
    if signed != 0 {
        varint::write(out, ttl(signatures));
        varint::write(out, len(signatures));
        write_rdatas(signatures, octets, out);
    }
}

fn write_rdatas(records: &[DraftRecord], octets: &[u8], out: &mut Vec<u8>) {
    for record in records {
        varint::write(out, u32::from(record.len));
        out.extend_from_slice(record.rdata(octets));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn duplicates_merge_and_ttls_unify() {
        let mut draft = NodeDraft::default();
        draft.add(Rtype::NS, 300, b"\x01A\0");
        draft.add(Rtype::A, 60, &[192, 0, 2, 1]);
        draft.add(Rtype::NS, 200, b"\x01b\0");
        draft.add(Rtype::NS, 100, b"\x01a\0");
        draft.add(Rtype::TXT, u32::MAX, b"\x01a");
        draft.add(Rtype::TXT, 5, b"\x01A");
        let mut out = Vec::new();
        draft.write(&mut out);
        let node = Node(&out);
        assert!(node.validate().is_some());
        let rrsets: Vec<_> = node.rrsets().map(|r| (r.rtype, r.ttl, r.count, r.rdatas.count())).collect();
        assert_eq!(rrsets, [(Rtype::A, 60, 1, 1), (Rtype::NS, 100, 2, 2), (Rtype::TXT, 0, 2, 2)]);
        draft.load(node);
        assert!(!draft.add_new(Rtype::NS, 1, b"\x01B\0"));
        assert!(draft.delete(Rtype::NS, b"\x01B\0"));
        assert!(!draft.delete(Rtype::NS, b"\x01B\0"));
        assert!(!draft.delete(Rtype::MX, b"\x01B\0"));
    }

    #[test]
    fn signatures_without_their_rrset_are_kept() {
        let mut rrsig = vec![0, 1];
        rrsig.extend([0; 16]);
        rrsig.extend([0, 7]);
        let mut draft = NodeDraft::default();
        draft.add(Rtype::RRSIG, 60, &rrsig);
        let mut out = Vec::new();
        draft.write(&mut out);
        assert_eq!(Node(&out).validate().map(|contents| contents.records), Some(1));
        assert!(Node(&out).rrset(Rtype::A).is_none());
        draft.add(Rtype::A, 60, &[192, 0, 2, 1]);
        out.clear();
        draft.write(&mut out);
        assert_eq!(Node(&out).rrset(Rtype::A).map(|r| r.rrsigs.count()), Some(1));
    }

    #[test]
    fn hostile_nodes_never_panic() {
        let mut random = Random::new(4);
        for _ in 0..50_000 {
            let len = random.below(40);
            let bound = if random.below(4) == 0 { 256 } else { 8 };
            let bytes: Vec<u8> = (0..len).map(|_| random.below(bound) as u8).collect();
            let node = Node(&bytes);
            node.validate();
            assert!(node.rrsets().map(|r| r.rdatas.count() + r.rrsigs.count()).sum::<usize>() <= bytes.len());
        }
    }
}
