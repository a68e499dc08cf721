//! What stands in RDATA: which fields a type has, and which of them are names.
//!
//! Types whose layout is not listed are opaque (RFC 3597): carried byte for byte.

use std::ops::Range;

use crate::{Name, NameRef, Rtype, WireError, u32_at};

/// A field of RDATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// A name that senders may compress: the types of RFC 1035 alone (RFC 3597 §4).
    CompressibleName,
    /// A name that we never compress; it is decompressed where an old sender did (RFC 3597 §4).
    Name,
    /// This many octets.
    Octets(usize),
    /// A length octet and as many octets.
    CharacterString,
    /// One or more character strings to the end.
    CharacterStrings,
    /// Whatever is left, perhaps nothing.
    Rest,
}

use Field::{CharacterString, CharacterStrings, CompressibleName, Octets, Rest};

/// The fields of a type's RDATA in their order.
#[must_use]
pub fn layout(rtype: Rtype) -> &'static [Field] {
    match rtype {
        Rtype::NS | Rtype::MD | Rtype::MF | Rtype::CNAME | Rtype::MB | Rtype::MG | Rtype::MR | Rtype::PTR => {
            &[CompressibleName]
        }
        Rtype::SOA => &[CompressibleName, CompressibleName, Octets(20)],
        Rtype::MINFO => &[CompressibleName, CompressibleName],
        Rtype::MX => &[Octets(2), CompressibleName],
        Rtype::A => &[Octets(4)],
        Rtype::AAAA => &[Octets(16)],
        Rtype::HINFO => &[CharacterString, CharacterString],
        Rtype::TXT | Rtype::SPF => &[CharacterStrings],
        Rtype::RP => &[Field::Name, Field::Name],
        Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[Octets(2), Field::Name],
        Rtype::PX => &[Octets(2), Field::Name, Field::Name],
        Rtype::SRV => &[Octets(6), Field::Name],
        Rtype::NAPTR => &[Octets(4), CharacterString, CharacterString, CharacterString, Field::Name],
        Rtype::DNAME => &[Field::Name],
        Rtype::NXT | Rtype::NSEC => &[Field::Name, Rest],
        Rtype::SIG | Rtype::RRSIG => &[Octets(18), Field::Name, Rest],
        Rtype::SVCB | Rtype::HTTPS => &[Octets(2), Field::Name, Rest],
        Rtype::DS | Rtype::CDS | Rtype::DNSKEY | Rtype::CDNSKEY => &[Octets(4), Rest],
        Rtype::NSEC3 => &[Octets(4), CharacterString, CharacterString, Rest],
        Rtype::NSEC3PARAM => &[Octets(4), CharacterString],
        _ => &[Rest],
    }
}

/// Walks the fields of uncompressed or compressed RDATA: `visit` gets each field and where it stands.
fn walk(
    bytes: &[u8],
    range: Range<usize>,
    rtype: Rtype,
    mut visit: impl FnMut(Field, Range<usize>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut at = range.start;
    for &field in layout(rtype) {
        let end = match field {
            CompressibleName | Field::Name => crate::name::skip_name(bytes, at)?,
            Octets(count) => at + count,
            CharacterString => at + 1 + usize::from(*bytes.get(at).ok_or(WireError::Rdata)?),
            CharacterStrings => end_of_strings(bytes, at, range.end)?,
            Rest => range.end,
        };
        if end > range.end {
            return Err(WireError::Rdata);
        }
        visit(field, at..end)?;
        at = end;
    }
    if at == range.end { Ok(()) } else { Err(WireError::Rdata) }
}

fn end_of_strings(bytes: &[u8], mut at: usize, end: usize) -> Result<usize, WireError> {
    if at == end {
        return Err(WireError::Rdata);
    }
    while at < end {
        at += 1 + usize::from(*bytes.get(at).ok_or(WireError::Rdata)?);
    }
    Ok(at)
}

/// Appends RDATA that stands in a message at `range` to `out`, names decompressed.
///
/// # Errors
/// [`WireError::Rdata`] when the fields don't fit the type, or what is wrong with a name.
pub fn decompress(message: &[u8], range: Range<usize>, rtype: Rtype, out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    let written = walk(message, range, rtype, |field, place| {
        match field {
            CompressibleName | Field::Name => {
                out.extend_from_slice(Name::read(message, place.start)?.0.as_bytes());
            }
            _ => out.extend_from_slice(message.get(place).ok_or(WireError::Rdata)?),
        }
        Ok(())
    });
    if written.is_err() {
        out.truncate(start);
    }
    written
}

/// Checks uncompressed RDATA against its type's fields.
///
/// # Errors
/// [`WireError::Rdata`] when they don't fit, or what is wrong with a name.
pub fn check(rtype: Rtype, rdata: &[u8]) -> Result<(), WireError> {
    walk(rdata, 0..rdata.len(), rtype, |field, place| match field {
        CompressibleName | Field::Name => {
            let name = rdata.get(place.clone()).ok_or(WireError::Rdata)?;
            let parsed = NameRef::parse(name)?;
            if parsed.as_bytes().len() == place.len() { Ok(()) } else { Err(WireError::Rdata) }
        }
        _ => Ok(()),
    })
}

/// The names in uncompressed RDATA, in order; nothing for types without any. Ends early in RDATA that does
/// not fit its type.
pub fn names(rtype: Rtype, rdata: &[u8]) -> impl Iterator<Item = NameRef<'_>> {
    let mut fields = layout(rtype).iter();
    let mut rest = Some(rdata);
    std::iter::from_fn(move || {
        loop {
            let bytes = rest.take()?;
            match fields.next()? {
                CompressibleName | Field::Name => {
                    let name = NameRef::parse(bytes).ok()?;
                    rest = bytes.get(name.as_bytes().len()..);
                    return Some(name);
                }
                Octets(count) => rest = bytes.get(*count..),
                CharacterString => rest = bytes.get(1 + usize::from(*bytes.first()?)..),
                CharacterStrings | Rest => return None,
            }
        }
    })
}

/// Are two uncompressed RDATA the same record (RFC 2136 §1.1.1, RFC 4034 §6.2)? Names compare without case.
#[must_use]
pub fn eq(rtype: Rtype, a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let has_names = layout(rtype).iter().any(|f| matches!(f, CompressibleName | Field::Name));
    if !has_names || a.len() != b.len() || !a.eq_ignore_ascii_case(b) {
        return false;
    }
    // They differ in the case of letters: the same only if all of those stand in names.
    walk(a, 0..a.len(), rtype, |field, place| match field {
        CompressibleName | Field::Name => Ok(()),
        _ if a.get(place.clone()) == b.get(place) => Ok(()),
        _ => Err(WireError::Rdata),
    })
    .is_ok()
}

/// Appends uncompressed RDATA in the canonical form that signatures and digests are made over: the names in the types of
/// RFC 4034 §6.2 in lower case (NSEC is not among them: RFC 6840 §5.1). RDATA that does not fit its type is appended as
/// it is.
pub fn push_canonical(rtype: Rtype, rdata: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(rdata);
    // Types younger than that list keep the case of their names.
    if matches!(rtype, Rtype::NSEC | Rtype::SVCB | Rtype::HTTPS | Rtype::LP) {
        return;
    }
    let _ = walk(rdata, 0..rdata.len(), rtype, |field, place| {
        if let (CompressibleName | Field::Name, Some(name)) =
            (field, out.get_mut(start + place.start..start + place.end))
        {
            name.make_ascii_lowercase();
        }
        Ok(())
    });
}

/// The fields of a start of authority (RFC 1035 §3.3.13); times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Soa<'a> {
    pub mname: NameRef<'a>,
    pub rname: NameRef<'a>,
    pub serial: u32,
    pub refresh: u32,
    pub retry: u32,
    pub expire: u32,
    /// Also bounds the TTL of negative answers (RFC 2308 §4).
    pub minimum: u32,
}

impl<'a> Soa<'a> {
    /// Reads uncompressed RDATA of type SOA.
    ///
    /// # Errors
    /// [`WireError`] when it is none.
    pub fn parse(rdata: &'a [u8]) -> Result<Soa<'a>, WireError> {
        let mname = NameRef::parse(rdata)?;
        let rest = rdata.get(mname.as_bytes().len()..).ok_or(WireError::Rdata)?;
        let rname = NameRef::parse(rest)?;
        let numbers = rest.get(rname.as_bytes().len()..).filter(|n| n.len() == 20).ok_or(WireError::Rdata)?;
        Ok(Soa {
            mname,
            rname,
            serial: u32_at(numbers, 0)?,
            refresh: u32_at(numbers, 4)?,
            retry: u32_at(numbers, 8)?,
            expire: u32_at(numbers, 12)?,
            minimum: u32_at(numbers, 16)?,
        })
    }
}
