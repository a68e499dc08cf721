//! One RRset against its signatures (RFC 4034 §3, RFC 4035 §5.3).
//!
//! ```text
//! RRSIG  = type covered u16 | algorithm u8 | labels u8 | original TTL u32 | expiration u32 | inception u32
//!        | key tag u16 | signer's name | signature
//! signed = RRSIG RDATA without the signature | (owner | type | class | original TTL | length | RDATA)*  in canonical order
//! ```

use wire::{Class, NameRef, Rtype, rdata};

use super::fault::DnssecFault;
use super::keys::{Keys, is_supported};

/// Public-key operations that one RRset may cost: more signatures, or more keys that share a tag, are not looked at.
const VERIFICATIONS_MAX: usize = 16;

/// An RRset with the signatures that cover it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rrset<'a> {
    /// The owner.
    pub owner: NameRef<'a>,
    /// The type.
    pub rtype: Rtype,
    /// Uncompressed RDATA of its records, in any order.
    pub rdatas: &'a [&'a [u8]],
    /// RDATA of the RRSIG records that cover it.
    pub rrsigs: &'a [&'a [u8]],
}

/// What a signature that holds says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// When it dies, in seconds since 1970.
    pub expires_unix_s: u64,
    /// The TTL that the zone gives the RRset.
    pub original_ttl_s: u32,
    /// The labels of the name that was signed; fewer than the owner has mean that a wildcard was expanded
    /// (RFC 4035 §5.3.2).
    pub labels: u8,
}

/// The fields of RRSIG.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rrsig<'a> {
    /// The type that it covers.
    pub covered: Rtype,
    /// The algorithm.
    pub algorithm: u8,
    /// The labels of the owner, the root and a leading asterisk not counted.
    pub labels: u8,
    /// The TTL that the zone gives the RRset.
    pub original_ttl_s: u32,
    /// When it dies, modulo 2^32.
    pub expiration: u32,
    /// From when on it is valid, modulo 2^32.
    pub inception: u32,
    /// The tag of the key.
    pub key_tag: u16,
    /// The zone.
    pub signer: NameRef<'a>,
    /// The RDATA before the signer's name.
    fixed: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Rrsig<'a> {
    /// Reads RDATA; `None` if it is none.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Rrsig<'a>> {
        let (fixed, rest) = bytes.split_at_checked(18)?;
        let signer = NameRef::parse(rest).ok()?;
        let signature = rest.get(signer.as_bytes().len()..)?;
        let (&[t0, t1, algorithm, labels], numbers) = fixed.split_first_chunk::<4>()?;
        let number = |at: usize| Some(u32::from_be_bytes(*numbers.get(at..)?.first_chunk::<4>()?));
        Some(Rrsig {
            covered: Rtype(u16::from_be_bytes([t0, t1])),
            algorithm,
            labels,
            original_ttl_s: number(0)?,
            expiration: number(4)?,
            inception: number(8)?,
            key_tag: u16::from_be_bytes(*numbers.get(12..)?.first_chunk::<2>()?),
            signer,
            fixed,
            signature,
        })
    }

    /// When it dies, in seconds since 1970.
    pub(crate) fn expires_unix_s(&self, now_unix_s: u64) -> u64 {
        nearest(self.expiration, now_unix_s)
    }

    /// Checks the time (RFC 4034 §3.1.5).
    fn check_time(&self, now_unix_s: u64) -> Result<(), DnssecFault> {
        let key_tag = self.key_tag;
        let (from_unix_s, expired_unix_s) = (nearest(self.inception, now_unix_s), self.expires_unix_s(now_unix_s));
        if expired_unix_s < now_unix_s {
            return Err(DnssecFault::Expired { key_tag, expired_unix_s, now_unix_s });
        }
        if from_unix_s > now_unix_s {
            return Err(DnssecFault::NotYetValid { key_tag, from_unix_s, now_unix_s });
        }
        Ok(())
    }
}

/// The moment that 32 bits mean: the one nearest to now (RFC 4034 §3.1.5, serial number arithmetic).
pub(crate) fn nearest(seconds: u32, now_unix_s: u64) -> u64 {
    let ahead = i64::from(seconds.wrapping_sub(now_unix_s as u32) as i32);
    now_unix_s.saturating_add_signed(ahead)
}

/// Labels as an RRSIG counts them.
pub(crate) fn label_count(owner: NameRef<'_>) -> u8 {
    let all = owner.label_count() - usize::from(owner.is_wildcard());
    u8::try_from(all).unwrap_or(u8::MAX)
}

/// Verifies that an RRset of the zone `apex` is signed by one of `keys`, now. Of several signatures one has to hold.
///
/// An owner that was expanded from a wildcard passes; whether it may is the caller's to say ([`Verified::labels`]). The
/// keys themselves are the caller's too: [`Keys`] trusts what it is given. Ready for use by others than this module.
///
/// # Errors
/// What is wrong with the signature that came nearest.
pub(crate) fn verify_rrset(
    apex: NameRef<'_>,
    keys: &Keys,
    rrset: &Rrset<'_>,
    now_unix_s: u64,
) -> Result<Verified, DnssecFault> {
    let mut worst = DnssecFault::Unsigned;
    let mut left = VERIFICATIONS_MAX;
    for bytes in rrset.rrsigs {
        match verify_one(apex, keys, rrset, bytes, (now_unix_s, &mut left)) {
            Ok(verified) => return Ok(verified),
            Err(fault) if fault.rank() > worst.rank() => worst = fault,
            Err(_) => {}
        }
    }
    Err(worst)
}

fn verify_one(
    apex: NameRef<'_>,
    keys: &Keys,
    rrset: &Rrset<'_>,
    bytes: &[u8],
    (now_unix_s, left): (u64, &mut usize),
) -> Result<Verified, DnssecFault> {
    let rrsig = Rrsig::parse(bytes).filter(|rrsig| rrsig.covered == rrset.rtype).ok_or(DnssecFault::Malformed)?;
    let Rrsig { algorithm, key_tag, labels, original_ttl_s, .. } = rrsig;
    if !rrsig.signer.eq_ignore_case(apex) {
        return Err(DnssecFault::OtherSigner);
    }
    let expected = label_count(rrset.owner);
    if labels > expected {
        return Err(DnssecFault::Labels { expected, found: labels });
    }
    if !is_supported(algorithm) {
        return Err(DnssecFault::UnsupportedAlgorithm { algorithm });
    }
    rrsig.check_time(now_unix_s)?;
    let mut candidates = keys.find(key_tag, algorithm).peekable();
    candidates.peek().ok_or(DnssecFault::NoSuchKey { key_tag, algorithm })?;
    let data = signed_data(rrset, &rrsig, expected).ok_or(DnssecFault::Malformed)?;
    for key in candidates {
        *left = left.checked_sub(1).ok_or(DnssecFault::BadSignature { key_tag, algorithm })?;
        if key.verifies(&data, rrsig.signature) {
            return Ok(Verified { expires_unix_s: rrsig.expires_unix_s(now_unix_s), original_ttl_s, labels });
        }
    }
    Err(DnssecFault::BadSignature { key_tag, algorithm })
}

/// What the signature is over (RFC 4034 §3.1.8.1).
fn signed_data(rrset: &Rrset<'_>, rrsig: &Rrsig<'_>, owner_labels: u8) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(rrsig.fixed);
    push_lowercase(rrsig.signer.as_bytes(), &mut out);
    let mut owner = Vec::with_capacity(64);
    if rrsig.labels < owner_labels {
        // RFC 4035 §5.3.2: the name as the signer had it is the wildcard.
        let all = rrset.owner.label_count();
        owner.extend_from_slice(b"\x01*");
        push_lowercase(rrset.owner.strip_labels(all - usize::from(rrsig.labels))?.as_bytes(), &mut owner);
    } else {
        push_lowercase(rrset.owner.as_bytes(), &mut owner);
    }
    for rdata in canonical_rdatas(rrset.rtype, rrset.rdatas.iter().copied()) {
        out.extend_from_slice(&owner);
        out.extend_from_slice(&rrset.rtype.0.to_be_bytes());
        out.extend_from_slice(&Class::IN.0.to_be_bytes());
        out.extend_from_slice(&rrsig.original_ttl_s.to_be_bytes());
        out.extend_from_slice(&u16::try_from(rdata.len()).ok()?.to_be_bytes());
        out.extend_from_slice(&rdata);
    }
    Some(out)
}

/// RDATA in canonical form and order, without duplicates (RFC 4034 §6.2, §6.3).
pub(crate) fn canonical_rdatas<'a>(rtype: Rtype, rdatas: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = rdatas
        .map(|bytes| {
            let mut out = Vec::with_capacity(bytes.len());
            rdata::push_canonical(rtype, bytes, &mut out);
            out
        })
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn push_lowercase(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytes);
    if let Some(name) = out.get_mut(start..) {
        name.make_ascii_lowercase();
    }
}

#[cfg(test)]
#[path = "rrsig_tests.rs"]
mod tests;
