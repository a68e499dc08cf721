//! What signed answers prove not to be there (RFC 8198): which of them may be learnt from. No I/O and no clock.
//!
//! The apex's DNSKEY RRset is asked for like any other question. It must verify by one of its own keys, or by one that a
//! configured trust anchor names; then each NSEC RRset and the SOA of an answer must verify by those keys, before the cache
//! learns anything from it.

use config::TrustAnchor;
use wire::{Message, Name, NameRef, Rtype, Section};

use crate::validate::{DnssecFault, Keys, Rrset, trusted_keys, verify_rrset};

/// RRsets of one answer that are verified; proofs need four at most.
const RRSETS_MAX: usize = 8;
/// Records of one RRset that are looked at, signatures included.
const RECORDS_MAX: usize = 64;

/// The keys of a zone, and until when they may be used.
#[derive(Debug)]
pub(crate) struct ZoneKeys {
    keys: Keys,
    /// When their signature or their TTL ends, in seconds since 1970.
    pub(crate) until_unix_s: u64,
}

impl ZoneKeys {
    /// Keys that are trusted already.
    pub(crate) fn new<'a>(dnskeys: impl IntoIterator<Item = &'a [u8]>, until_unix_s: u64) -> ZoneKeys {
        ZoneKeys { keys: Keys::new(dnskeys), until_unix_s }
    }
}

/// Why an answer teaches nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Untaught {
    /// It cannot be read, or has nothing to learn.
    #[error("the answer has no records of the kind")]
    Nothing,
    /// A signature does not hold.
    #[error("{owner} {rtype}: {fault}")]
    Unverified {
        /// The owner of the RRset.
        owner: Box<Name>,
        /// Its type.
        rtype: Rtype,
        /// What is wrong.
        fault: DnssecFault,
    },
    /// A record for a name that was made from a wildcard.
    #[error("{0} NSEC was made from a wildcard")]
    Expanded(Box<Name>),
}

/// Whether an answer has NSEC records to prove something with.
pub(crate) fn has_proofs(response: &[u8]) -> bool {
    Message::parse(response).is_ok_and(|message| {
        let mut records = message.records().map_while(Result::ok);
        records.any(|record| record.section == Section::Authority && record.rtype == Rtype::NSEC)
    })
}

/// Reads the answer to the question for the apex's DNSKEY RRset.
///
/// # Errors
/// Why there are no keys that may be used.
pub(crate) fn read_keys(
    response: &[u8],
    apex: NameRef<'_>,
    anchors: &[TrustAnchor],
    now_unix_s: u64,
) -> Result<ZoneKeys, Untaught> {
    let message = Message::parse(response).map_err(|_| Untaught::Nothing)?;
    let found = Found::read(&message, Section::Answer, apex, Rtype::DNSKEY).ok_or(Untaught::Nothing)?;
    found.with(apex, |rrset| {
        let failed = |fault| unverified(apex, Rtype::DNSKEY, fault);
        let keys = trusted_keys(rrset, anchors, now_unix_s).map_err(failed)?;
        let signed = verify_rrset(apex, &keys, rrset, now_unix_s).map_err(failed)?;
        let ttl_s = found.ttl_s.min(signed.original_ttl_s);
        Ok(ZoneKeys { keys, until_unix_s: signed.expires_unix_s.min(now_unix_s + u64::from(ttl_s)) })
    })
}

/// Verifies the SOA and every NSEC RRset in an answer's authority section: until when all of them hold, in seconds since
/// 1970.
///
/// # Errors
/// Why the answer teaches nothing.
pub(crate) fn verify_proofs(
    response: &[u8],
    apex: NameRef<'_>,
    keys: &ZoneKeys,
    now_unix_s: u64,
) -> Result<u64, Untaught> {
    let message = Message::parse(response).map_err(|_| Untaught::Nothing)?;
    let mut owners: Vec<(Name, Rtype)> = Vec::new();
    for record in message.records().map_while(Result::ok) {
        if record.section == Section::Authority && matches!(record.rtype, Rtype::NSEC | Rtype::SOA) {
            let owner = record.owner().map_err(|_| Untaught::Nothing)?;
            if !owners.contains(&(owner, record.rtype)) {
                owners.push((owner, record.rtype));
            }
        }
    }
    if owners.len() > RRSETS_MAX || !owners.iter().any(|(_, rtype)| *rtype == Rtype::NSEC) {
        return Err(Untaught::Nothing);
    }
    let mut until_unix_s = keys.until_unix_s;
    for (owner, rtype) in &owners {
        let owner = owner.as_ref();
        let found = Found::read(&message, Section::Authority, owner, *rtype).ok_or(Untaught::Nothing)?;
        let verified = found.with(owner, |rrset| {
            verify_rrset(apex, &keys.keys, rrset, now_unix_s).map_err(|fault| unverified(owner, *rtype, fault))
        })?;
        let labels = owner.label_count() - usize::from(owner.is_wildcard());
        if usize::from(verified.labels) != labels {
            return Err(Untaught::Expanded(Box::new(owner.to_owned())));
        }
        until_unix_s = until_unix_s.min(verified.expires_unix_s);
    }
    Ok(until_unix_s)
}

fn unverified(owner: NameRef<'_>, rtype: Rtype, fault: DnssecFault) -> Untaught {
    Untaught::Unverified { owner: Box::new(owner.to_owned()), rtype, fault }
}

/// The records of one RRset in a message, and the signatures that cover it.
struct Found {
    rtype: Rtype,
    ttl_s: u32,
    rdatas: Vec<Vec<u8>>,
    rrsigs: Vec<Vec<u8>>,
}

impl Found {
    fn read(message: &Message<'_>, section: Section, owner: NameRef<'_>, rtype: Rtype) -> Option<Found> {
        let mut found = Found { rtype, ttl_s: u32::MAX, rdatas: Vec::new(), rrsigs: Vec::new() };
        for record in message.records() {
            let record = record.ok()?;
            let of_type = record.rtype == rtype || record.rtype == Rtype::RRSIG;
            if record.section != section || !of_type || record.owner().ok()?.as_ref() != owner {
                continue;
            }
            let mut bytes = Vec::new();
            record.decompress_rdata(&mut bytes).ok()?;
            if record.rtype == rtype {
                found.ttl_s = found.ttl_s.min(record.ttl);
                found.rdatas.push(bytes);
            } else if bytes.starts_with(&rtype.0.to_be_bytes()) {
                found.rrsigs.push(bytes);
            }
            if found.rdatas.len() + found.rrsigs.len() > RECORDS_MAX {
                return None;
            }
        }
        (!found.rdatas.is_empty()).then_some(found)
    }

    fn with<R>(&self, owner: NameRef<'_>, work: impl FnOnce(&Rrset<'_>) -> R) -> R {
        let rdatas: Vec<_> = self.rdatas.iter().map(Vec::as_slice).collect();
        let rrsigs: Vec<_> = self.rrsigs.iter().map(Vec::as_slice).collect();
        work(&Rrset { owner, rtype: self.rtype, rdatas: &rdatas, rrsigs: &rrsigs })
    }
}
