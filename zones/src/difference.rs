//! Differences between two versions of a zone (RFC 1995), and the form in which a journal keeps them.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use wire::{NameRef, Rtype, rdata::Soa};

use crate::{ZoneError, check};

/// What one version of a zone deletes and adds; the deletions come first, and both SOA records are among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    deletions: Records,
    additions: Records,
}

/// Records in one block: each is its owner, type, TTL, length of RDATA, RDATA.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Records {
    octets: Vec<u8>,
    count: usize,
    /// The serial of the SOA among them.
    serial: Option<u32>,
}

/// One record of a difference.
#[derive(Debug, Clone, Copy)]
pub struct ChangedRecord<'d> {
    /// The owner.
    pub owner: NameRef<'d>,
    /// The type.
    pub rtype: Rtype,
    /// The TTL in seconds.
    pub ttl: u32,
    /// Uncompressed RDATA.
    pub rdata: &'d [u8],
}

impl Difference {
    /// A difference that changes nothing yet.
    #[must_use]
    pub fn new() -> Difference {
        Difference::default()
    }

    /// Deletes a record; `rdata` is uncompressed.
    ///
    /// # Errors
    /// Why no zone can hold such a record.
    pub fn delete(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), ZoneError> {
        self.deletions.push(owner, rtype, ttl, rdata)
    }

    /// Adds a record; `rdata` is uncompressed.
    ///
    /// # Errors
    /// Why no zone can hold such a record.
    pub fn add(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), ZoneError> {
        self.additions.push(owner, rtype, ttl, rdata)
    }

    /// The serial that it starts from, if it deletes a SOA.
    #[must_use]
    pub fn from_serial(&self) -> Option<u32> {
        self.deletions.serial
    }

    /// The serial that it leads to, if it adds a SOA.
    #[must_use]
    pub fn to_serial(&self) -> Option<u32> {
        self.additions.serial
    }

    /// The records that it deletes.
    pub fn deletions(&self) -> impl Iterator<Item = ChangedRecord<'_>> {
        self.deletions.iter()
    }

    /// The records that it adds.
    pub fn additions(&self) -> impl Iterator<Item = ChangedRecord<'_>> {
        self.additions.iter()
    }

    /// How many records it deletes and adds.
    #[must_use]
    pub fn record_count(&self) -> usize {
        self.deletions.count + self.additions.count
    }

    /// Its memory.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.deletions.octets.len() + self.additions.octets.len()
    }

    /// Appends it to `out` in the form that [`decode`](Self::decode) reads: two counted blocks of records. Framing and
    /// checksums are the journal's.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for records in [&self.deletions, &self.additions] {
            out.extend_from_slice(&(records.octets.len() as u64).to_be_bytes());
            out.extend_from_slice(&records.octets);
        }
    }

    /// Reads what [`encode`](Self::encode) wrote; it fills `bytes`.
    ///
    /// # Errors
    /// [`ZoneError::Corrupt`], or why no zone can hold one of its records.
    pub fn decode(bytes: &[u8]) -> Result<Difference, ZoneError> {
        let (deletions, rest) = Records::decode(bytes)?;
        let (additions, rest) = Records::decode(rest)?;
        if rest.is_empty() {
            Ok(Difference { deletions, additions })
        } else {
            Err(ZoneError::Corrupt("difference: something follows its end"))
        }
    }
}

impl Records {
    fn push(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), ZoneError> {
        check::check_record(owner, rtype, rdata)?;
        if rtype == Rtype::SOA {
            self.serial = Soa::parse(rdata).ok().map(|soa| soa.serial);
        }
        self.octets.extend_from_slice(owner.as_bytes());
        self.octets.extend_from_slice(&rtype.0.to_be_bytes());
        self.octets.extend_from_slice(&ttl.to_be_bytes());
        self.octets.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.octets.extend_from_slice(rdata);
        self.count += 1;
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = ChangedRecord<'_>> {
        let mut rest = self.octets.as_slice();
        std::iter::from_fn(move || read_record(&mut rest))
    }

    fn decode(bytes: &[u8]) -> Result<(Records, &[u8]), ZoneError> {
        let cut_off = ZoneError::Corrupt("difference: cut off");
        let Some((len, rest)) = bytes.split_first_chunk::<8>() else { return Err(cut_off) };
        let len = usize::try_from(u64::from_be_bytes(*len)).unwrap_or(usize::MAX);
        let Some((mut octets, rest)) = rest.split_at_checked(len) else { return Err(cut_off) };
        let mut records = Records::default();
        while !octets.is_empty() {
            let record = read_record(&mut octets).ok_or(ZoneError::Corrupt("difference: malformed record"))?;
            records.push(record.owner, record.rtype, record.ttl, record.rdata)?;
        }
        Ok((records, rest))
    }
}

fn read_record<'d>(rest: &mut &'d [u8]) -> Option<ChangedRecord<'d>> {
    let owner = NameRef::parse(rest).ok()?;
    let (fixed, after) = rest.get(owner.as_bytes().len()..)?.split_first_chunk::<8>()?;
    let [r0, r1, t0, t1, t2, t3, l0, l1] = *fixed;
    let (rdata, after) = after.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    *rest = after;
    let (rtype, ttl) = (Rtype(u16::from_be_bytes([r0, r1])), u32::from_be_bytes([t0, t1, t2, t3]));
    Some(ChangedRecord { owner, rtype, ttl, rdata })
}
