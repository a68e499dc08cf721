//! An answer as sections of RRsets that borrow from the snapshot and the question: nothing here allocates.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use arrayvec::ArrayVec;
use wire::{Name, NameRef, Rtype, Section};

use crate::node::{Rdatas, Stored};
use crate::tree::{Entry, KEY_BYTES_MAX};
use crate::{key, zone};

/// Aliases (CNAME, DNAME) followed within one answer; a longer chain ends there, and the client asks on.
pub const ALIASES_MAX: usize = 16;
/// RRsets in the answer section: two for each DNAME, or all that one name owns for ANY.
pub const ANSWER_RRSETS_MAX: usize = 2 * ALIASES_MAX + 32;
/// RRsets in the authority section: SOA or NS, and proofs, one for each wildcard on the way.
pub const AUTHORITY_RRSETS_MAX: usize = ALIASES_MAX + 8;
/// RRsets in the additional section: two addresses for each of 32 servers.
pub const ADDITIONAL_RRSETS_MAX: usize = 64;

/// What the zone says about a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer section has what was asked for, perhaps behind aliases. NOERROR, authoritative.
    Found,
    /// The aliases in the answer section lead out of the zone, in a circle or too far. NOERROR, authoritative.
    Alias,
    /// The name is there, the type is not; the authority section has the SOA and the proof (RFC 2308 §2.2). NOERROR,
    /// authoritative.
    NoData,
    /// The name is not there; the authority section has the SOA and the proof (RFC 2308 §2.1). NXDOMAIN, authoritative,
    /// also behind aliases (RFC 6604 §3).
    NxDomain,
    /// The name is below a cut: the authority section has its NS and DS or the proof that there is none, the additional
    /// section has glue. NOERROR; authoritative only if aliases led here.
    Delegation,
    /// A DNAME in the answer section made a name that is too long. YXDOMAIN (RFC 6672 §2.2), authoritative.
    NameTooLong,
    /// The name is not in this zone; the sections are empty.
    NotInZone,
}

/// The sections of an answer. Make one for each question: it costs nothing until it is filled.
pub struct Answer<'a> {
    apex: NameRef<'a>,
    answer: ArrayVec<Rrset<'a>, ANSWER_RRSETS_MAX>,
    authority: ArrayVec<Rrset<'a>, AUTHORITY_RRSETS_MAX>,
    additional: ArrayVec<Rrset<'a>, ADDITIONAL_RRSETS_MAX>,
    /// The names that DNAME records made.
    pub(crate) synthesized: ArrayVec<Name, ALIASES_MAX>,
    left_out: bool,
    wildcard: bool,
}

/// An RRset of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Rrset<'a> {
    pub(crate) owner: Owner<'a>,
    pub(crate) rtype: Rtype,
    pub(crate) ttl: u32,
    pub(crate) data: Data<'a>,
    pub(crate) rrsig_ttl: u32,
    pub(crate) rrsigs: Rdatas<'a>,
    pub(crate) required: bool,
}

/// Where an owner name is to be had.
#[derive(Clone, Copy)]
pub(crate) enum Owner<'a> {
    /// Spelled as it is in the question or in RDATA.
    Name(NameRef<'a>),
    /// A synthesized name from this octet on.
    Synthesized { index: u8, skip: u8 },
    /// An entry of the tree of names.
    Entry(Entry<'a>),
    /// An entry of the tree of hashes.
    Hash(Entry<'a>),
}

#[derive(Clone, Copy)]
pub(crate) enum Data<'a> {
    Stored(Rdatas<'a>),
    /// The target of a synthesized CNAME.
    Synthesized(u8),
}

impl<'a> Rrset<'a> {
    pub(crate) fn new(owner: Owner<'a>, stored: &Stored<'a>, dnssec_ok: bool) -> Rrset<'a> {
        let (rrsig_ttl, rrsigs) = if dnssec_ok { (stored.rrsig_ttl, stored.rrsigs) } else { (0, Rdatas::EMPTY) };
        let data = Data::Stored(stored.rdatas);
        Rrset { owner, rtype: stored.rtype, ttl: stored.ttl, data, rrsig_ttl, rrsigs, required: false }
    }

    fn is_same(&self, other: &Rrset<'_>) -> bool {
        match (&self.data, &other.data) {
            (Data::Stored(a), Data::Stored(b)) => a.is(b) && self.rtype == other.rtype,
            _ => false,
        }
    }

    pub(crate) fn stored(&self) -> Rdatas<'a> {
        match self.data {
            Data::Stored(rdatas) => rdatas,
            Data::Synthesized(_) => Rdatas::EMPTY,
        }
    }
}

impl<'a> Answer<'a> {
    /// An answer with empty sections.
    #[must_use]
    #[inline]
    pub fn new() -> Answer<'a> {
        Answer {
            apex: NameRef::ROOT,
            answer: ArrayVec::new(),
            authority: ArrayVec::new(),
            additional: ArrayVec::new(),
            synthesized: ArrayVec::new(),
            left_out: false,
            wildcard: false,
        }
    }

    /// Empties the sections.
    pub fn clear(&mut self) {
        self.answer.clear();
        self.authority.clear();
        self.additional.clear();
        self.synthesized.clear();
        self.left_out = false;
        self.wildcard = false;
    }

    /// The RRsets of a section in the order they should be written.
    pub fn section(&self, section: Section) -> impl ExactSizeIterator<Item = AnswerRrset<'_>> {
        let rrsets = match section {
            Section::Answer => self.answer.as_slice(),
            Section::Authority => self.authority.as_slice(),
            Section::Additional => self.additional.as_slice(),
        };
        rrsets.iter().map(|rrset| AnswerRrset { rrset, answer: self })
    }

    /// Did a section have no room for all that belongs there? Glue that is required and missing truncates a referral
    /// (RFC 9471 §2.1).
    #[must_use]
    pub fn left_out(&self) -> bool {
        self.left_out
    }

    /// Did a wildcard answer for any name on the way (RFC 4592)?
    #[must_use]
    pub fn is_from_wildcard(&self) -> bool {
        self.wildcard
    }

    pub(crate) fn start(&mut self, apex: NameRef<'a>) {
        self.clear();
        self.apex = apex;
    }

    pub(crate) fn mark_wildcard(&mut self) {
        self.wildcard = true;
    }

    pub(crate) fn push_answer(&mut self, rrset: Rrset<'a>) {
        self.left_out |= self.answer.try_push(rrset).is_err();
    }

    /// Appends to the authority section what is not there yet: one NSEC may prove two things.
    pub(crate) fn push_authority(&mut self, rrset: Rrset<'a>) {
        if !self.authority.iter().any(|other| other.is_same(&rrset)) {
            self.left_out |= self.authority.try_push(rrset).is_err();
        }
    }

    pub(crate) fn push_additional(&mut self, rrset: Rrset<'a>) {
        let there = self.additional.iter().chain(&self.answer).any(|other| other.is_same(&rrset));
        if !there {
            self.left_out |= self.additional.try_push(rrset).is_err();
        }
    }

    /// Is the RRset an alias that was followed before?
    pub(crate) fn has_answer(&self, rrset: &Rrset<'_>) -> bool {
        self.answer.iter().any(|other| other.is_same(rrset))
    }

    /// The RRset at a place of the answer section.
    pub(crate) fn answer_at(&self, index: usize) -> Option<Rrset<'a>> {
        self.answer.get(index).copied()
    }
}

impl Default for Answer<'_> {
    fn default() -> Self {
        Answer::new()
    }
}

/// One RRset of an answer, ready to be written.
#[derive(Clone, Copy)]
pub struct AnswerRrset<'v> {
    rrset: &'v Rrset<'v>,
    answer: &'v Answer<'v>,
}

/// An owner name, borrowed where the answer has it at hand.
#[allow(clippy::large_enum_variant)] // it lives on the stack for as long as a record takes to write
pub enum OwnerName<'v> {
    /// As the question or RDATA spells it.
    Borrowed(NameRef<'v>),
    /// Put together from the snapshot, in lower case.
    Owned(Name),
}

impl OwnerName<'_> {
    /// The name.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        match self {
            OwnerName::Borrowed(name) => *name,
            OwnerName::Owned(name) => name.as_ref(),
        }
    }
}

impl<'v> AnswerRrset<'v> {
    /// The owner.
    #[must_use]
    #[inline]
    pub fn owner(&self) -> OwnerName<'v> {
        match &self.rrset.owner {
            Owner::Name(name) => OwnerName::Borrowed(*name),
            Owner::Synthesized { index, skip } => {
                let name = self.answer.synthesized.get(usize::from(*index)).map(Name::as_bytes);
                let name = name.and_then(|name| NameRef::parse(name.get(usize::from(*skip)..)?).ok());
                OwnerName::Borrowed(name.unwrap_or(self.answer.apex))
            }
            Owner::Entry(entry) => self.owned(key::name_of(entry.key(&mut [0; KEY_BYTES_MAX]), self.answer.apex)),
            Owner::Hash(entry) => self.owned(zone::hash_owner(entry.key(&mut [0; KEY_BYTES_MAX]), self.answer.apex)),
        }
    }

    fn owned(&self, name: Option<Name>) -> OwnerName<'v> {
        // Snapshots are checked when they are read, so every entry has a name.
        OwnerName::Owned(name.unwrap_or_else(|| self.answer.apex.to_owned()))
    }

    /// The type.
    #[must_use]
    pub fn rtype(&self) -> Rtype {
        self.rrset.rtype
    }

    /// The TTL in seconds.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        self.rrset.ttl
    }

    /// The records' RDATA, uncompressed.
    #[must_use]
    pub fn rdatas(&self) -> AnswerRdatas<'v> {
        match self.rrset.data {
            Data::Stored(rdatas) => AnswerRdatas::Stored(rdatas),
            Data::Synthesized(index) => {
                AnswerRdatas::One(self.answer.synthesized.get(usize::from(index)).map(Name::as_bytes))
            }
        }
    }

    /// The TTL of the signatures in seconds.
    #[must_use]
    pub fn rrsig_ttl(&self) -> u32 {
        self.rrset.rrsig_ttl
    }

    /// RDATA of the RRSIG records that cover the RRset, if they were asked for. They have its owner.
    #[must_use]
    pub fn rrsigs(&self) -> Rdatas<'v> {
        self.rrset.rrsigs
    }

    /// Glue of a server below the cut: without it the referral leads nowhere (RFC 9471 §2.1).
    #[must_use]
    pub fn is_required_glue(&self) -> bool {
        self.rrset.required
    }
}

/// The RDATA of an RRset.
#[derive(Debug, Clone, Copy)]
pub enum AnswerRdatas<'v> {
    /// As the snapshot has them.
    Stored(Rdatas<'v>),
    /// Made for this answer.
    One(Option<&'v [u8]>),
}

impl<'v> Iterator for AnswerRdatas<'v> {
    type Item = &'v [u8];

    #[inline]
    fn next(&mut self) -> Option<&'v [u8]> {
        match self {
            AnswerRdatas::Stored(rdatas) => rdatas.next(),
            AnswerRdatas::One(rdata) => rdata.take(),
        }
    }
}
