//! Denials made from NSEC records: what RFC 4035 §5.4 lets a validator conclude, an authoritative server may say.

use std::sync::atomic::{AtomicBool, AtomicU8};
use std::time::Instant;

use wire::{NameRef, Rcode, Rtype, Section};

use super::Version;
use super::chain::{Nsec, Signed};
use super::key::{NameKey, common_ancestor};
use crate::rrset::{RrsetHead, RrsetWriter};
use crate::{CachedAnswer, Kind};

/// What the records prove.
enum Proof<'v> {
    /// The name is not there, nor a wildcard that would stand for it.
    NameError { name: &'v Nsec, wildcard: &'v Nsec },
    /// The name is there without the type.
    NoData(&'v Nsec),
    /// The name is not there, and the wildcard in its place has not the type.
    WildcardNoData { name: &'v Nsec, wildcard: &'v Nsec },
}

/// Makes the answer to a question for a name at or below `apex`, if the records prove one.
pub(super) fn synthesise(
    version: &Version,
    apex: NameRef<'_>,
    qname: NameRef<'_>,
    qtype: Rtype,
    now: Instant,
) -> Option<CachedAnswer> {
    let soa = version.soa.as_deref().filter(|soa| soa.is_fresh(now))?;
    let apex = NameKey::new(apex);
    let proof = prove(version, apex.as_bytes(), qname, qtype, now)?;
    let (kind, nsecs) = match proof {
        Proof::NameError { name, wildcard } => (Kind::NxDomain, [Some(name), Some(wildcard)]),
        Proof::NoData(name) => (Kind::NoData, [Some(name), None]),
        Proof::WildcardNoData { name, wildcard } => (Kind::NoData, [Some(name), Some(wildcard)]),
    };
    // One record may prove both.
    let [first, second] = nsecs;
    let second = second.filter(|second| first.is_some_and(|first| !std::ptr::eq(first, *second)));
    let records = || [first, second].into_iter().flatten().map(|nsec| &nsec.records);
    // RFC 8198 §5.4: no part of it lives longer than another.
    let ttl_s = records().map(|signed| signed.ttl_s(now)).fold(soa.ttl_s(now), u32::min);
    let mut writer = RrsetWriter::new(qname);
    push(&mut writer, soa, Rtype::SOA, ttl_s)?;
    for signed in records() {
        push(&mut writer, signed, Rtype::NSEC, ttl_s)?;
    }
    Some(CachedAnswer {
        qname_bytes: qname.as_bytes().len() as u8,
        bytes: writer.finish(),
        stored: now,
        lifetime_s: ttl_s,
        stale_s: 0,
        stale_ttl_s: 0,
        qtype,
        rcode: if kind == Kind::NxDomain { Rcode::NXDOMAIN } else { Rcode::NOERROR },
        kind,
        authoritative: true,
        synthesised: true,
        hits: AtomicU8::new(0),
        due_told: AtomicBool::new(false),
    })
}

fn prove<'v>(version: &'v Version, apex: &[u8], qname: NameRef<'_>, qtype: Rtype, now: Instant) -> Option<Proof<'v>> {
    let key = NameKey::new(qname);
    let key = key.as_bytes();
    let at_or_before = |key: &[u8]| version.chain.at_or_before(key).filter(|nsec| nsec.records.is_fresh(now));
    let name = at_or_before(key)?;
    if *name.owner_key == *key {
        return lacks(name, qtype).then_some(Proof::NoData(name));
    }
    if !denies(name, key, apex) {
        return None;
    }
    if name.next_key.starts_with(key) {
        // An empty non-terminal: it is there, without anything.
        return Some(Proof::NoData(name));
    }
    let encloser = common_ancestor(key, &name.owner_key).max(common_ancestor(key, &name.next_key));
    let wildcard_key = NameKey::wildcard(key.get(..encloser)?);
    let wildcard_key = wildcard_key.as_bytes();
    let wildcard = at_or_before(wildcard_key)?;
    if *wildcard.owner_key == *wildcard_key {
        let clean = !wildcard.hides_below() && lacks(wildcard, qtype);
        return clean.then_some(Proof::WildcardNoData { name, wildcard });
    }
    // A wildcard that has names below it alone is there, too: that is for the origin to say.
    let denied = denies(wildcard, wildcard_key, apex) && !wildcard.next_key.starts_with(wildcard_key);
    denied.then_some(Proof::NameError { name, wildcard })
}

/// Whether a record proves that a name has no records: the name lies in its span, and not below a cut or a DNAME at its
/// owner, of which its span says nothing (RFC 6840 §4.1).
fn denies(nsec: &Nsec, key: &[u8], apex: &[u8]) -> bool {
    nsec.covers(key, apex) && !(key.starts_with(&nsec.owner_key) && nsec.hides_below())
}

/// Whether the record at a name proves that it has not the type. At a cut it does so for DS alone, which in turn is not the
/// child's to deny at its apex (RFC 6840 §4.4); a CNAME stands for all types.
fn lacks(nsec: &Nsec, qtype: Rtype) -> bool {
    if qtype == Rtype::ANY || nsec.has(qtype) || nsec.has(Rtype::CNAME) {
        return false;
    }
    if qtype == Rtype::DS { !nsec.has(Rtype::SOA) } else { !nsec.is_delegation() }
}

fn push(writer: &mut RrsetWriter<'_>, signed: &Signed, rtype: Rtype, ttl_s: u32) -> Option<()> {
    let owner = NameRef::parse(&signed.owner).ok()?;
    let head = RrsetHead { section: Section::Authority, owner, rtype, ttl_s, required: false };
    writer.push_rdatas(&head, &[&signed.rdata]).ok()?;
    writer.push_rdatas(&RrsetHead { rtype: Rtype::RRSIG, ..head }, &signed.signatures).ok()
}
