//! The digest of a whole zone (RFC 8976): scheme SIMPLE, with SHA-384 and SHA-512.
//!
//! ```text
//! ZONEMD = serial u32 | scheme u8 | hash algorithm u8 | digest
//! SIMPLE = H(every record: owner | type | class | TTL | length | RDATA), canonical form and order, RRsets of an owner by
//!          type, without the ZONEMD RRset of the apex and its signatures
//! ```

use config::Zonemd;
use ring::digest::{Algorithm, Context, SHA384, SHA512};
use wire::{Class, NameRef, Rtype, rdata};
use zones::{Rdatas, Zone, ZoneOwner, ZoneRrset};

/// The scheme that is supported (RFC 8976 §5.2).
const SIMPLE: u8 = 1;
/// ZONEMD records of one zone that are looked at.
const ZONEMDS_MAX: usize = 16;
/// What is gathered before it is hashed.
const BUFFER_BYTES: usize = 32 * 1024;

/// Why a zone's digest does not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ZonemdFault {
    /// There is none, and one is required.
    #[error("it has no ZONEMD record, and one is required (zonemd = \"require\")")]
    Missing,
    /// None of them can be verified, and one is required.
    #[error(
        "none of its ZONEMD records can be verified (scheme 1 with hash algorithms 1 and 2 can), and one is required"
    )]
    NoneSupported,
    /// Two records have the same scheme and algorithm (RFC 8976 §2.1).
    #[error("it has two ZONEMD records with hash algorithm {algorithm}")]
    Twice {
        /// The hash algorithm.
        algorithm: u8,
    },
    /// The record is of another version of the zone.
    #[error("its ZONEMD record is for serial {found}, and its SOA has {expected}")]
    OtherSerial {
        /// The zone's serial.
        expected: u32,
        /// The record's.
        found: u32,
    },
    /// The zone is not what its digest was made over.
    #[error("its contents do not match the digest of its ZONEMD record (hash algorithm {algorithm})")]
    Mismatch {
        /// The hash algorithm.
        algorithm: u8,
    },
}

/// What is known of a zone's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ZonemdState {
    /// It was not looked for, or there is none.
    Absent,
    /// There are digests, none of a kind that can be verified here.
    Unsupported,
    /// It matches the zone.
    Verified,
}

/// A digest that can be verified.
struct Claim<'z> {
    serial: u32,
    algorithm: u8,
    digest: &'z [u8],
}

fn hash(algorithm: u8) -> Option<&'static Algorithm> {
    match algorithm {
        1 => Some(&SHA384),
        2 => Some(&SHA512),
        _ => None,
    }
}

impl<'z> Claim<'z> {
    /// Reads RDATA; `None` if it is not of a kind that is supported.
    fn parse(rdata: &'z [u8]) -> Option<Claim<'z>> {
        let (&[s0, s1, s2, s3, scheme, algorithm], digest) = rdata.split_first_chunk::<6>()?;
        let fits = scheme == SIMPLE && hash(algorithm).is_some_and(|hash| hash.output_len() == digest.len());
        fits.then_some(Claim { serial: u32::from_be_bytes([s0, s1, s2, s3]), algorithm, digest })
    }
}

/// Whether a zone has ZONEMD records at its apex.
pub(crate) fn has_zonemd(zone: &Zone) -> bool {
    zone.owner(zone.apex()).rrset(Rtype::ZONEMD).is_some()
}

/// Verifies a zone's digest as the policy wants it (RFC 8976 §4). One of several has to match; the whole zone is hashed once
/// for each algorithm that has to be tried.
///
/// # Errors
/// Why the zone is not to be served.
pub(crate) fn check_zonemd(zone: &Zone, policy: Zonemd) -> Result<ZonemdState, ZonemdFault> {
    let required = policy == Zonemd::Require;
    let apex = zone.owner(zone.apex());
    let Some(rrset) = apex.rrset(Rtype::ZONEMD).filter(|_| policy != Zonemd::Off) else {
        return if required { Err(ZonemdFault::Missing) } else { Ok(ZonemdState::Absent) };
    };
    let claims: Vec<Claim<'_>> = rrset.rdatas.take(ZONEMDS_MAX).filter_map(Claim::parse).collect();
    let mut fault = None;
    for (index, claim) in claims.iter().enumerate() {
        let algorithm = claim.algorithm;
        let twice = |(other, at): (&Claim<'_>, usize)| at != index && other.algorithm == algorithm;
        if claims.iter().zip(0..).any(twice) {
            fault = Some(ZonemdFault::Twice { algorithm });
        } else if claim.serial != zone.serial() {
            fault = fault.or(Some(ZonemdFault::OtherSerial { expected: zone.serial(), found: claim.serial }));
        } else if hash(algorithm).is_some_and(|hash| digest(zone, hash).as_ref() == claim.digest) {
            return Ok(ZonemdState::Verified);
        } else {
            fault = Some(ZonemdFault::Mismatch { algorithm });
        }
    }
    match fault {
        Some(fault) => Err(fault),
        None if required => Err(ZonemdFault::NoneSupported),
        None => Ok(ZonemdState::Unsupported),
    }
}

/// The digest of a zone.
pub(crate) fn digest(zone: &Zone, algorithm: &'static Algorithm) -> ring::digest::Digest {
    let mut hasher = Hasher { context: Context::new(algorithm), buffer: Vec::with_capacity(BUFFER_BYTES) };
    let mut rrsigs = Vec::new();
    let walked = zone.try_for_each_owner(|owner| {
        hasher.owner(owner, owner.name() == zone.apex(), &mut rrsigs);
        Ok::<(), std::convert::Infallible>(())
    });
    debug_assert!(walked.is_ok());
    hasher.context.update(&hasher.buffer);
    hasher.context.finish()
}

struct Hasher {
    context: Context,
    buffer: Vec<u8>,
}

impl Hasher {
    fn owner<'z>(&mut self, owner: &ZoneOwner<'z>, is_apex: bool, rrsigs: &mut Vec<(Vec<u8>, u32)>) {
        rrsigs.clear();
        let excluded = |rrset: &ZoneRrset<'_>| is_apex && rrset.rtype == Rtype::ZONEMD;
        // Signatures are an RRset of their own here, and come at its place.
        for rrset in owner.rrsets().filter(|rrset| !excluded(rrset)) {
            rrsigs.extend(rrset.rrsigs.map(|rdata| (canonical(Rtype::RRSIG, rdata), rrset.rrsig_ttl)));
        }
        rrsigs.sort_unstable();
        let mut rrsigs = Some(rrsigs);
        for rrset in owner.rrsets().filter(|rrset| !excluded(rrset)) {
            if rrset.rtype.0 > Rtype::RRSIG.0 {
                self.rrsigs(owner.name(), rrsigs.take());
            }
            self.rrset(owner.name(), rrset.rtype, rrset.ttl, rrset.rdatas);
        }
        self.rrsigs(owner.name(), rrsigs.take());
    }

    fn rrsigs(&mut self, owner: NameRef<'_>, rrsigs: Option<&mut Vec<(Vec<u8>, u32)>>) {
        for (rdata, ttl) in rrsigs.into_iter().flatten() {
            self.record(owner, Rtype::RRSIG, *ttl, |out| out.extend_from_slice(rdata));
        }
    }

    fn rrset(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, mut rdatas: Rdatas<'_>) {
        let several = {
            let mut rest = rdatas;
            rest.next();
            !rest.is_empty()
        };
        if several {
            for rdata in super::rrsig::canonical_rdatas(rtype, rdatas) {
                self.record(owner, rtype, ttl, |out| out.extend_from_slice(&rdata));
            }
        } else if let Some(rdata) = rdatas.next() {
            self.record(owner, rtype, ttl, |out| rdata::push_canonical(rtype, rdata, out));
        }
    }

    fn record(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: impl FnOnce(&mut Vec<u8>)) {
        let buffer = &mut self.buffer;
        // Owners are kept in lower case.
        buffer.extend_from_slice(owner.as_bytes());
        buffer.extend_from_slice(&rtype.0.to_be_bytes());
        buffer.extend_from_slice(&Class::IN.0.to_be_bytes());
        buffer.extend_from_slice(&ttl.to_be_bytes());
        let length_at = buffer.len();
        buffer.extend_from_slice(&[0; 2]);
        rdata(buffer);
        // No RDATA of a zone is longer than a length says.
        let length = u16::try_from(buffer.len() - length_at - 2).unwrap_or(u16::MAX);
        if let Some(place) = buffer.get_mut(length_at..length_at + 2) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        if buffer.len() >= BUFFER_BYTES / 2 {
            self.context.update(buffer);
            buffer.clear();
        }
    }
}

fn canonical(rtype: Rtype, rdata: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rdata.len());
    rdata::push_canonical(rtype, rdata, &mut out);
    out
}

#[cfg(test)]
#[path = "zonemd_tests.rs"]
mod tests;
