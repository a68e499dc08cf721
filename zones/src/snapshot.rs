//! The form of a snapshot on disk: the leaf pages as they are in memory, each with a checksum.
//!
//! ```text
//! magic (8) | format (4) | length (4) | header | CRC-32 (4)        header: apex, serial, records, pages of both trees
//! page*                                                            length (4) | CRC-32 (4) | page
//! end (8)
//! ```
//!
//! Inner nodes are not kept; they follow from the pages. Reading trusts nothing: what is cut off, altered or malformed
//! is refused, and what is accepted is as good as if it had been built here.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::io::Write;

use wire::{Name, NameRef};

use crate::key;
use crate::node::{Contents, Node};
use crate::tree::{PageLoader, Tree};
use crate::zone::Totals;
use crate::{Zone, ZoneError, check};

const MAGIC: &[u8; 8] = b"PARAZONE";
const END: &[u8; 8] = b"ENOZARAP";
/// Raised whenever the pages or this frame change their meaning.
const FORMAT: u32 = 1;
/// Apex, serial, count of records, and of the pages of each tree.
const HEADER_FIXED_BYTES: usize = 4 + 8 + 8 + 8;

const CUT_OFF: ZoneError = ZoneError::Corrupt("snapshot: cut off");

impl Zone {
    /// Writes the snapshot. It comes in pieces of a few kilobytes; buffer them.
    ///
    /// # Errors
    /// [`ZoneError::Write`].
    pub fn write_to(&self, out: &mut impl Write) -> Result<(), ZoneError> {
        let trees = [&self.owners, &self.hashes];
        let mut header = Vec::with_capacity(HEADER_FIXED_BYTES + wire::NAME_BYTES_MAX);
        header.extend_from_slice(self.apex().as_bytes());
        header.extend_from_slice(&self.serial().to_be_bytes());
        header.extend_from_slice(&self.record_count().to_be_bytes());
        for tree in trees {
            header.extend_from_slice(&(tree.pages().count() as u64).to_be_bytes());
        }
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT.to_be_bytes())?;
        out.write_all(&(header.len() as u32).to_be_bytes())?;
        out.write_all(&header)?;
        out.write_all(&crc32fast::hash(&header).to_be_bytes())?;
        for page in trees.into_iter().flat_map(Tree::pages) {
            out.write_all(&(page.len() as u32).to_be_bytes())?;
            out.write_all(&crc32fast::hash(page).to_be_bytes())?;
            out.write_all(page)?;
        }
        out.write_all(END)?;
        Ok(())
    }

    /// Reads a snapshot that fills `bytes`.
    ///
    /// # Errors
    /// [`ZoneError::Corrupt`] with what is wrong, [`ZoneError::Format`] for another version's file.
    pub fn read_from(bytes: &[u8]) -> Result<Zone, ZoneError> {
        let mut input = Input(bytes);
        if input.take(MAGIC.len())? != MAGIC {
            return Err(ZoneError::Corrupt("snapshot: not one"));
        }
        let format = input.u32()?;
        if format != FORMAT {
            return Err(ZoneError::Format { found: format, expected: FORMAT });
        }
        let header = input.header()?;
        let apex = header.apex.as_ref();
        let mut totals = Totals::default();
        let owners = input.tree(header.owner_pages, |key, contents| {
            totals.add(key, contents);
            key::is_valid(key, apex.as_bytes().len()) && check::check_node(apex, key, contents).is_ok()
        })?;
        let mut hashed = Totals::default();
        let hashes = input.tree(header.hash_pages, |key, contents| {
            hashed.add(key, contents);
            !key.is_empty() && key.len() <= crate::nsec3::HASH_BYTES_MAX && apex_takes_hash(apex, key)
        })?;
        totals.records += hashed.records;
        if input.take(END.len())? != END || !input.0.is_empty() {
            return Err(ZoneError::Corrupt("snapshot: no end where it should be"));
        }
        let zone = Zone::new(header.apex, owners, hashes, totals)?;
        if zone.record_count() != header.records || zone.serial() != header.serial {
            return Err(ZoneError::Corrupt("snapshot: header and records disagree"));
        }
        Ok(zone)
    }
}

/// Is there room for the label of a hash below the apex?
fn apex_takes_hash(apex: NameRef<'_>, hash: &[u8]) -> bool {
    apex.as_bytes().len() + 1 + (hash.len() * 8).div_ceil(5) <= wire::NAME_BYTES_MAX
}

struct Header {
    apex: Name,
    serial: u32,
    records: u64,
    owner_pages: u64,
    hash_pages: u64,
}

struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], ZoneError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, ZoneError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*taken))
    }

    fn u64(&mut self) -> Result<u64, ZoneError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(u64::from_be_bytes(*taken))
    }

    fn header(&mut self) -> Result<Header, ZoneError> {
        let len = self.u32()? as usize;
        let header = self.take(len)?;
        if self.u32()? != crc32fast::hash(header) {
            return Err(ZoneError::Corrupt("snapshot: wrong checksum of the header"));
        }
        let malformed = ZoneError::Corrupt("snapshot: malformed header");
        let Ok(apex) = NameRef::parse(header) else { return Err(malformed) };
        let mut rest = Input(header);
        rest.take(apex.as_bytes().len())?;
        let header = Header {
            apex: apex.to_owned().to_ascii_lowercase(),
            serial: rest.u32()?,
            records: rest.u64()?,
            owner_pages: rest.u64()?,
            hash_pages: rest.u64()?,
        };
        if rest.0.is_empty() { Ok(header) } else { Err(malformed) }
    }

    /// Reads the pages of a tree; `entries` judges keys and what is in their nodes.
    fn tree(&mut self, pages: u64, mut entries: impl FnMut(&[u8], &Contents) -> bool) -> Result<Tree, ZoneError> {
        let mut loader = PageLoader::default();
        for _ in 0..pages {
            let (len, checksum) = (self.u32()?, self.u32()?);
            let page = self.take(len as usize)?;
            if crc32fast::hash(page) != checksum {
                return Err(ZoneError::Corrupt("snapshot: wrong checksum of a page"));
            }
            let sound =
                loader.push(page, |key, value| Node(value).validate().is_some_and(|contents| entries(key, &contents)));
            if !sound {
                return Err(ZoneError::Corrupt("snapshot: malformed page"));
            }
        }
        Ok(loader.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, zone_of};

    fn sample() -> Zone {
        zone_of(
            "example.",
            &[
                ("example.", "SOA", "ns.example. root.example. 7 3600 600 86400 300"),
                ("example.", "NS", "ns.example."),
                ("example.", "NSEC3PARAM", "1 0 12 aabbccdd"),
                ("ns.example.", "A", "192.0.2.1"),
                ("*.w.example.", "MX", "1 ai.example."),
                (
                    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.",
                    "NSEC3",
                    "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA",
                ),
            ],
        )
    }

    fn rrsets(zone: &Zone) -> Vec<String> {
        let mut list = Vec::new();
        zone.for_each_rrset(|rrset| {
            list.push(format!("{} {} {} {:?}", rrset.owner, rrset.rtype, rrset.ttl, rrset.rdatas.collect::<Vec<_>>()));
        });
        list
    }

    #[test]
    fn a_snapshot_returns_as_it_was() {
        let zone = sample();
        let mut bytes = Vec::new();
        zone.write_to(&mut bytes).unwrap();
        let read = Zone::read_from(&bytes).unwrap();
        assert_eq!(rrsets(&read), rrsets(&zone));
        assert_eq!((read.serial(), read.record_count()), (7, 6));
        assert_eq!(read.denial(), zone.denial());
        assert_eq!(read.totals, zone.totals);
        assert_eq!(read.heap_bytes(), zone.heap_bytes());
    }

    #[test]
    fn damaged_snapshots_are_refused() {
        let mut bytes = Vec::new();
        sample().write_to(&mut bytes).unwrap();
        for len in 0..bytes.len() {
            assert!(Zone::read_from(&bytes[..len]).is_err());
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Zone::read_from(&damaged).is_err(), "octet {at}");
        }
        bytes.push(0);
        assert!(Zone::read_from(&bytes).is_err());
        bytes.truncate(8);
        bytes.extend([0, 0, 0, 9]);
        assert!(matches!(Zone::read_from(&bytes), Err(ZoneError::Format { found: 9, expected: FORMAT })));
    }

    /// Pages with right checksums and wrong contents: no panic, and what is accepted can be searched.
    #[test]
    fn hostile_pages_never_panic() {
        let mut bytes = Vec::new();
        sample().write_to(&mut bytes).unwrap();
        let header_len = u32::from_be_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let page_at = 16 + header_len + 4 + 8;
        let page_len = u32::from_be_bytes(bytes[page_at - 8..page_at - 4].try_into().unwrap()) as usize;
        let mut random = Random::new(6);
        let mut accepted = 0;
        for _ in 0..30_000 {
            let mut hostile = bytes.clone();
            for _ in 0..=random.below(2) {
                hostile[page_at + random.below(page_len)] = random.next() as u8;
            }
            let checksum = crc32fast::hash(&hostile[page_at..page_at + page_len]).to_be_bytes();
            hostile[page_at - 4..page_at].copy_from_slice(&checksum);
            if let Ok(zone) = Zone::read_from(&hostile) {
                accepted += 1;
                let qname: Name = "a.b.w.example.".parse().unwrap();
                let mut answer = crate::Answer::new();
                zone.find(qname.as_ref(), wire::Rtype::MX, true, &mut answer);
                zone.for_each_rrset(|rrset| assert!(rrset.rdatas.count() + rrset.rrsigs.count() > 0));
            }
        }
        assert!(accepted > 0);
    }
}
