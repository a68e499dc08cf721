//! How an answer's RRsets are kept: one behind the other, in as few bytes as can be read without effort.
//!
//! ```text
//! +---------+-------+------+-----+-------+- - - - -+- - - - - - - - - - +
//! | section | owner | type | TTL | count | name    | length, RDATA …    |
//! |   u8    |  u8   | u16  | u32 |  u16  | if 0xff | u16, octets        |
//! +---------+-------+------+-----+-------+- - - - -+- - - - - - - - - - +
//! ```
//!
//! `owner` is how many labels to take off the name in the question, which most owners are, or end; 0xff: a name follows.
//! Signatures are an RRset of type RRSIG behind the one they cover. RDATA is uncompressed and fits its type.

use wire::{NameRef, Rtype, Section, WireError};

/// An owner that is written out.
const OWNER_FOLLOWS: u8 = 0xff;
/// Set in `section` for addresses without which a referral leads nowhere (RFC 9471 §3.1).
const REQUIRED: u8 = 0x80;
const HEADER_BYTES: usize = 10;

/// One RRset of an answer.
#[derive(Debug, Clone, Copy)]
pub struct CachedRrset<'a> {
    /// Where it stands.
    pub section: Section,
    /// Its type; RRSIG for signatures.
    pub rtype: Rtype,
    /// Its TTL in seconds when the answer arrived, within the limits.
    pub ttl_s: u32,
    /// Glue that a referral cannot do without.
    pub is_required_glue: bool,
    owner: OwnerName<'a>,
    rdatas: Rdatas<'a>,
}

/// Where an owner name is to be had.
#[derive(Debug, Clone, Copy)]
pub enum OwnerName<'a> {
    /// In the question, without so many labels on the left.
    InQuestion(u8),
    /// Here.
    Name(NameRef<'a>),
}

impl<'a> CachedRrset<'a> {
    /// The owner name, in the case of the question `qname` as far as it is part of it.
    #[must_use]
    pub fn owner<'q>(&self, qname: NameRef<'q>) -> NameRef<'q>
    where
        'a: 'q,
    {
        match self.owner {
            OwnerName::InQuestion(labels) => qname.strip_labels(usize::from(labels)).unwrap_or(qname),
            OwnerName::Name(name) => name,
        }
    }

    /// The RDATA of its records.
    #[must_use]
    pub fn rdatas(&self) -> Rdatas<'a> {
        self.rdatas
    }
}

/// The RDATA of an RRset's records, uncompressed.
#[derive(Debug, Clone, Copy)]
pub struct Rdatas<'a> {
    bytes: &'a [u8],
    left: u16,
}

impl<'a> Iterator for Rdatas<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (length, rest) = self.bytes.split_first_chunk::<2>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.bytes = rest;
        Some(rdata)
    }
}

/// The RRsets of an answer in the order in which they are sent.
#[derive(Debug, Clone, Copy)]
pub struct Rrsets<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Rrsets<'a> {
    type Item = CachedRrset<'a>;

    fn next(&mut self) -> Option<CachedRrset<'a>> {
        let (header, mut rest) = self.0.split_first_chunk::<HEADER_BYTES>()?;
        let &[section, owner, r0, r1, t0, t1, t2, t3, c0, c1] = header;
        let owner = if owner == OWNER_FOLLOWS {
            let name = NameRef::parse(rest).ok()?;
            rest = rest.get(name.as_bytes().len()..)?;
            OwnerName::Name(name)
        } else {
            OwnerName::InQuestion(owner)
        };
        let rdatas = Rdatas { bytes: rest, left: u16::from_be_bytes([c0, c1]) };
        let mut walked = rdatas;
        while walked.next().is_some() {}
        self.0 = walked.bytes;
        Some(CachedRrset {
            section: match section & !REQUIRED {
                0 => Section::Answer,
                1 => Section::Authority,
                _ => Section::Additional,
            },
            rtype: Rtype(u16::from_be_bytes([r0, r1])),
            ttl_s: u32::from_be_bytes([t0, t1, t2, t3]),
            is_required_glue: section & REQUIRED != 0,
            owner,
            rdatas,
        })
    }
}

/// Writes the bytes of an answer: the name in its question in lower case, and RRsets behind it.
#[derive(Debug)]
pub(crate) struct RrsetWriter<'q> {
    qname: NameRef<'q>,
    bytes: Vec<u8>,
}

/// What stands in front of an RRset's data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RrsetHead<'a> {
    pub(crate) section: Section,
    pub(crate) owner: NameRef<'a>,
    pub(crate) rtype: Rtype,
    pub(crate) ttl_s: u32,
    pub(crate) required: bool,
}

impl<'q> RrsetWriter<'q> {
    pub(crate) fn new(qname: NameRef<'q>) -> RrsetWriter<'q> {
        RrsetWriter { qname, bytes: qname.as_bytes().to_ascii_lowercase() }
    }

    /// Appends an RRset; `rdatas` writes each record's RDATA to the buffer it is given.
    ///
    /// # Errors
    /// What `rdatas` says, or that RDATA became too long when its names were decompressed; nothing was appended.
    pub(crate) fn push(
        &mut self,
        head: &RrsetHead<'_>,
        mut rdatas: impl Iterator<Item = impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>>,
    ) -> Result<(), WireError> {
        let start = self.bytes.len();
        let section = match head.section {
            Section::Answer => 0,
            Section::Authority => 1,
            Section::Additional => 2,
        };
        let owner = labels_off(self.qname, head.owner).unwrap_or(OWNER_FOLLOWS);
        self.bytes.push(section | if head.required { REQUIRED } else { 0 });
        self.bytes.push(owner);
        self.bytes.extend_from_slice(&head.rtype.0.to_be_bytes());
        self.bytes.extend_from_slice(&head.ttl_s.to_be_bytes());
        self.bytes.extend_from_slice(&[0, 0]);
        if owner == OWNER_FOLLOWS {
            self.bytes.extend_from_slice(head.owner.as_bytes());
        }
        let mut count = 0u16;
        let written = rdatas.try_for_each(|write| {
            let at = self.bytes.len();
            self.bytes.extend_from_slice(&[0, 0]);
            write(&mut self.bytes)?;
            let length = u16::try_from(self.bytes.len().saturating_sub(at + 2)).map_err(|_| WireError::Rdata)?;
            if let Some(place) = self.bytes.get_mut(at..at + 2) {
                place.copy_from_slice(&length.to_be_bytes());
            }
            count = count.saturating_add(1);
            Ok(())
        });
        if let Some(place) = self.bytes.get_mut(start + HEADER_BYTES - 2..start + HEADER_BYTES) {
            place.copy_from_slice(&count.to_be_bytes());
        }
        if written.is_err() || count == 0 {
            self.bytes.truncate(start);
        }
        written
    }

    /// Appends an RRset whose RDATA is uncompressed.
    pub(crate) fn push_rdatas(&mut self, head: &RrsetHead<'_>, rdatas: &[impl AsRef<[u8]>]) -> Result<(), WireError> {
        let write = |rdata| {
            move |out: &mut Vec<u8>| {
                out.extend_from_slice(AsRef::<[u8]>::as_ref(rdata));
                Ok(())
            }
        };
        self.push(head, rdatas.iter().map(write))
    }

    pub(crate) fn finish(self) -> Box<[u8]> {
        self.bytes.into()
    }
}

/// How many labels to take off `qname` to get `owner`.
fn labels_off(qname: NameRef<'_>, owner: NameRef<'_>) -> Option<u8> {
    if !qname.is_within(owner) {
        return None;
    }
    u8::try_from(qname.label_count() - owner.label_count()).ok()
}
