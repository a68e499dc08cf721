//! Which NSEC records of a response say something about the zone, and for how long.

use std::time::{Duration, Instant};

use wire::{Message, Name, NameRef, Opcode, Rcode, Rtype, Section, rdata::Soa};

use super::chain::{Nsec, Signed};
use super::key::NameKey;
use crate::TtlLimits;
use crate::records::{self, InZone};

/// NSEC RRsets learned of one response; answers need four at most.
const NSECS_MAX: usize = 8;
/// Signatures kept of one RRset: one for each algorithm, and as many while keys are rolled.
const SIGNATURES_MAX: usize = 4;
/// Set in the NSEC of a name that is made up to say that it is not there (RFC 9824 §3.5): it says nothing of others.
const NXNAME: Rtype = Rtype(128);

/// Octets of an RRSIG's RDATA in front of the signer's name, and where it says how many labels its owner has
/// (RFC 4034 §3.1).
const SIGNER_AT: usize = 18;
const LABELS_AT: usize = 3;

/// What a response teaches.
pub(super) struct Learned {
    pub(super) soa: Option<Signed>,
    pub(super) nsecs: Vec<Nsec>,
}

/// Reads the authority section; none when there is nothing to learn.
pub(super) fn read(apex: NameRef<'_>, response: &[u8], limits: &TtlLimits, now: Instant) -> Option<Learned> {
    let message = Message::parse(response).ok()?;
    let flags = message.header.flags;
    let is_answer = flags.qr() && !flags.tc() && flags.opcode() == Opcode::QUERY;
    if !is_answer || !matches!(flags.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) {
        return None;
    }
    let records = records::read_in_zone(apex, &message).ok()?;
    let reader = Reader { apex, apex_key: NameKey::new(apex), records: &records, now };
    let soa = reader.read_soa(limits.negative_ttl_s_max);
    // RFC 9077 §3: NSEC records live no longer than negative answers, whatever their own TTL says.
    let ttl_s_max = soa.as_ref().map_or(limits.negative_ttl_s_max, |soa| soa.ttl_s(now));
    let mut owners: Vec<Name> = Vec::new();
    let nsec_owners = records.iter().filter(|r| r.rtype() == Rtype::NSEC && r.record.section == Section::Authority);
    for record in nsec_owners {
        if owners.len() < NSECS_MAX && !owners.contains(&record.owner) {
            owners.push(record.owner);
        }
    }
    let nsecs: Vec<Nsec> = owners.iter().filter_map(|owner| reader.read_nsec(owner.as_ref(), ttl_s_max)).collect();
    (!nsecs.is_empty()).then_some(Learned { soa, nsecs })
}

struct Reader<'q, 'r, 'a> {
    apex: NameRef<'q>,
    apex_key: NameKey,
    records: &'r [InZone<'a>],
    now: Instant,
}

impl Reader<'_, '_, '_> {
    /// The SOA at the apex, for as long as RFC 2308 §5 lets a negative answer live.
    fn read_soa(&self, ttl_s_max: u32) -> Option<Signed> {
        let soa = self.read_signed(self.apex, Rtype::SOA, ttl_s_max)?;
        let minimum_s = Soa::parse(&soa.rdata).ok()?.minimum;
        let expires = soa.expires.min(self.now + Duration::from_secs(u64::from(minimum_s)));
        Some(Signed { expires, ..soa })
    }

    fn read_nsec(&self, owner: NameRef<'_>, ttl_s_max: u32) -> Option<Nsec> {
        let signed = self.read_signed(owner, Rtype::NSEC, ttl_s_max)?;
        let next = NameRef::parse(&signed.rdata).ok().filter(|next| next.is_within(self.apex))?;
        let types_at = next.as_bytes().len();
        let (owner_key, next_key) = (NameKey::new(owner), NameKey::new(next));
        let (owner_key, next_key) = (owner_key.as_bytes(), next_key.as_bytes());
        let is_last = next_key == self.apex_key.as_bytes();
        // One that a server made up for this very question says nothing of other names (RFC 4470, RFC 9824).
        let is_minimal = next_key.strip_prefix(owner_key) == Some(&[1, 1, 0]);
        if (next_key <= owner_key && !is_last) || is_minimal {
            return None;
        }
        let nsec = Nsec::new(owner_key, next_key, signed, types_at);
        (!nsec.has(NXNAME)).then_some(nsec)
    }

    /// The one record of an RRset with the signatures that the zone itself made for it: those for a wildcard it was
    /// expanded from, or of a zone below that the same server has, say nothing of this zone's names.
    fn read_signed(&self, owner: NameRef<'_>, rtype: Rtype, ttl_s_max: u32) -> Option<Signed> {
        let mut rrset = records::select(self.records, Section::Authority, owner, rtype);
        let (record, None) = (rrset.next()?, rrset.next()) else { return None };
        let mut rdata = Vec::new();
        record.record.decompress_rdata(&mut rdata).ok()?;
        let mut ttl_s = record.ttl_s().min(ttl_s_max);
        let labels = owner.label_count() - usize::from(owner.is_wildcard());
        let mut signatures: Vec<Box<[u8]>> = Vec::new();
        let covering = records::select(self.records, Section::Authority, owner, Rtype::RRSIG);
        for record in covering.filter(|r| r.covers() == Some(rtype)).take(SIGNATURES_MAX) {
            let mut rdata = Vec::new();
            record.record.decompress_rdata(&mut rdata).ok()?;
            let signer = rdata.get(SIGNER_AT..).and_then(|signer| NameRef::parse(signer).ok());
            if signer != Some(self.apex) || rdata.get(LABELS_AT).map(|count| usize::from(*count)) != Some(labels) {
                return None;
            }
            ttl_s = ttl_s.min(record.ttl_s());
            signatures.push(rdata.into());
        }
        if signatures.is_empty() || ttl_s == 0 {
            return None;
        }
        let expires = self.now + Duration::from_secs(u64::from(ttl_s));
        Some(Signed { owner: owner.as_bytes().into(), rdata: rdata.into(), signatures, expires })
    }
}
