//! What a zone may hold: the checks that a full copy and a difference share.

use wire::{Name, NameRef, Rtype, rdata};

use crate::ZoneError;
use crate::error::boxed;
use crate::key::{self, OwnerKey};
use crate::node::Contents;
use crate::nsec3::{self, RawHash};

/// How large a zone may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records, signatures too.
    pub records_max: u64,
    /// Memory.
    pub bytes_max: u64,
}

impl Limits {
    /// No bounds: for tests and tools.
    pub const NONE: Limits = Limits { records_max: u64::MAX, bytes_max: u64::MAX };

    pub(crate) fn check(&self, records: u64, bytes: usize) -> Result<(), ZoneError> {
        if records > self.records_max {
            return Err(ZoneError::TooManyRecords { records_max: self.records_max });
        }
        if bytes as u64 > self.bytes_max {
            return Err(ZoneError::TooManyBytes { bytes_max: self.bytes_max });
        }
        Ok(())
    }
}

/// Where a record is kept.
#[allow(clippy::large_enum_variant)] // it lives on the stack until the record has found its place
pub(crate) enum Place {
    /// Among the names.
    Owner(OwnerKey),
    /// Among the hashes of NSEC3.
    Hash(RawHash),
}

impl Place {
    /// Finds the place of a record and checks that the zone can hold it.
    pub(crate) fn of(apex: NameRef<'_>, owner: NameRef<'_>, rtype: Rtype, rdata: &[u8]) -> Result<Place, ZoneError> {
        if nsec3::is_hashed(rtype, rdata) && owner.is_within(apex) {
            // An NSEC3 owner that spells no hash is kept as the name it is.
            if let Some(hash) = nsec3::owner_hash(owner, apex) {
                return Ok(Place::Hash(hash));
            }
        }
        let key = OwnerKey::new(owner, apex)
            .ok_or_else(|| ZoneError::OutsideZone { owner: boxed(owner), apex: boxed(apex) })?;
        if rtype == Rtype::SOA && key.depth() > 0 {
            return Err(ZoneError::SoaBelowApex { owner: boxed(owner) });
        }
        Ok(Place::Owner(key))
    }
}

/// Checks a record's type and its RDATA.
pub(crate) fn check_record(owner: NameRef<'_>, rtype: Rtype, rdata: &[u8]) -> Result<(), ZoneError> {
    // 0 is reserved; OPT and 128 to 255 are for questions and for transport (RFC 6895 §3.1).
    if matches!(rtype.0, 0 | 41 | 128..=255) {
        return Err(ZoneError::NotData { owner: boxed(owner), rtype });
    }
    if rdata.len() > usize::from(u16::MAX) {
        let source = wire::WireError::Rdata;
        return Err(ZoneError::MalformedRdata { owner: boxed(owner), rtype, source });
    }
    rdata::check(rtype, rdata).map_err(|source| ZoneError::MalformedRdata { owner: boxed(owner), rtype, source })
}

/// Checks which RRsets stand at one name.
pub(crate) fn check_node(apex: NameRef<'_>, key: &[u8], contents: &Contents) -> Result<(), ZoneError> {
    if let Some(rtype) = contents.too_many {
        return Err(ZoneError::SeveralRecords { owner: owner_of(apex, key), rtype });
    }
    if contents.cname && contents.other_than_cname {
        return Err(ZoneError::CnameAndOtherData { owner: owner_of(apex, key) });
    }
    Ok(())
}

fn owner_of(apex: NameRef<'_>, key: &[u8]) -> Box<Name> {
    Box::new(key::name_of(key, apex).unwrap_or_else(|| apex.to_owned()))
}
