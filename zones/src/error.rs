//! What can go wrong when a zone is built, changed, written or read.

use wire::{Name, NameRef, Rtype, WireError};

/// Why an attempt on a zone failed. The zone it started from, if any, is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// A record's owner is neither the apex nor below it.
    #[error("{owner} is outside the zone {apex}")]
    OutsideZone {
        /// The record's owner.
        owner: Box<Name>,
        /// The zone.
        apex: Box<Name>,
    },
    /// RDATA does not have the fields of its type.
    #[error("{owner} {rtype}: malformed data: {source}")]
    MalformedRdata {
        /// The record's owner.
        owner: Box<Name>,
        /// The record's type.
        rtype: Rtype,
        /// What is wrong with it.
        source: WireError,
    },
    /// The type has no place in a zone: a question type, OPT, TSIG.
    #[error("{owner} {rtype}: not a type that a zone can hold")]
    NotData {
        /// The record's owner.
        owner: Box<Name>,
        /// The record's type.
        rtype: Rtype,
    },
    /// The zone has no SOA record at its apex.
    #[error("no SOA record at the apex")]
    NoSoa,
    /// A SOA record below the apex.
    #[error("SOA record at {owner}, which is not the apex")]
    SoaBelowApex {
        /// The record's owner.
        owner: Box<Name>,
    },
    /// A CNAME beside data that may not stand with it (RFC 1034 §3.6.2, RFC 4034 §2.5).
    #[error("{owner} has a CNAME record and other data")]
    CnameAndOtherData {
        /// The owner.
        owner: Box<Name>,
    },
    /// More than one record of a type that takes one: SOA, CNAME, DNAME.
    #[error("{owner} has more than one {rtype} record")]
    SeveralRecords {
        /// The owner.
        owner: Box<Name>,
        /// The type.
        rtype: Rtype,
    },
    /// More records than the limit.
    #[error("more than {records_max} records")]
    TooManyRecords {
        /// The limit.
        records_max: u64,
    },
    /// More memory than the limit.
    #[error("more than {bytes_max} bytes")]
    TooManyBytes {
        /// The limit.
        bytes_max: u64,
    },
    /// A difference that does not start at the zone's serial.
    #[error("the difference starts at serial {found}, the zone is at {expected}")]
    OutOfSequence {
        /// The serial of the SOA that the difference deletes.
        found: u32,
        /// The serial of the zone.
        expected: u32,
    },
    /// A difference deletes a record that is not there.
    #[error("deletes {owner} {rtype}, which is not there")]
    NotThere {
        /// The record's owner.
        owner: Box<Name>,
        /// The record's type.
        rtype: Rtype,
    },
    /// A difference adds a record that is there already.
    #[error("adds {owner} {rtype}, which is there already")]
    AlreadyThere {
        /// The record's owner.
        owner: Box<Name>,
        /// The record's type.
        rtype: Rtype,
    },
    /// A snapshot or an encoded difference is cut off, altered or malformed.
    #[error("corrupt: {0}")]
    Corrupt(&'static str),
    /// A snapshot of a format that this version does not read.
    #[error("snapshot format {found}, expected {expected}")]
    Format {
        /// The format found.
        found: u32,
        /// The format this version writes.
        expected: u32,
    },
    /// The snapshot could not be written.
    #[error("writing the snapshot: {0}")]
    Write(#[from] std::io::Error),
}

/// An owner for an error message.
pub(crate) fn boxed(owner: NameRef<'_>) -> Box<Name> {
    Box::new(owner.to_owned())
}
