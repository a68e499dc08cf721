//! A zone at one serial: an immutable snapshot.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use wire::{Name, NameBox, NameRef, Rtype, rdata::Soa};

use crate::key::{self, OWNER_KEY_BYTES_MAX};
use crate::node::{Contents, Node, Rdatas};
use crate::nsec3::{self, Nsec3Params};
use crate::tree::{KEY_BYTES_MAX, Tree};
use crate::{Limits, ZoneError};

/// The numbers of the SOA record that a secondary acts on (RFC 1035 §3.3.13), in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoaTimers {
    /// The version of the zone.
    pub serial: u32,
    /// How often to ask whether the serial changed.
    pub refresh_s: u32,
    /// How soon to ask again after a failure.
    pub retry_s: u32,
    /// How long to answer without having reached the origin.
    pub expire_s: u32,
    /// The TTL of negative answers, with the SOA's own TTL as a bound (RFC 2308 §5).
    pub minimum_s: u32,
}

/// How the zone proves that something is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Not at all: it is not signed, or has no chain that could be used.
    Unsigned,
    /// By NSEC records (RFC 4034 §4).
    Nsec,
    /// By NSEC3 records (RFC 5155).
    Nsec3(Nsec3Params),
}

/// What is counted over all nodes, so that a look-up knows what it need not look for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) records: u64,
    /// Nodes with NS records below the apex.
    pub(crate) cuts: u64,
    /// Nodes with a DNAME record.
    pub(crate) dnames: u64,
    /// Wildcards, and nodes below them.
    pub(crate) wildcards: u64,
}

impl Totals {
    /// Counts one node in.
    pub(crate) fn add(&mut self, key: &[u8], contents: &Contents) {
        let one = Totals::of(key, contents);
        self.records += one.records;
        self.cuts += one.cuts;
        self.dnames += one.dnames;
        self.wildcards += one.wildcards;
    }

    /// Counts one node out.
    pub(crate) fn subtract(&mut self, key: &[u8], contents: &Contents) {
        let one = Totals::of(key, contents);
        self.records = self.records.saturating_sub(one.records);
        self.cuts = self.cuts.saturating_sub(one.cuts);
        self.dnames = self.dnames.saturating_sub(one.dnames);
        self.wildcards = self.wildcards.saturating_sub(one.wildcards);
    }

    fn of(key: &[u8], contents: &Contents) -> Totals {
        Totals {
            records: contents.records,
            cuts: u64::from(!key.is_empty() && contents.ns),
            dnames: u64::from(contents.dname),
            wildcards: u64::from(key::has_wildcard(key)),
        }
    }
}

/// An immutable snapshot of a zone. Cloning shares everything; [`Zone::apply`] makes the next one and shares what it
/// does not change.
///
/// Owners are kept in lower case (RFC 4343 allows it): an answer spells a name as the question or the record that led to
/// it does, and else in lower case.
#[derive(Clone)]
pub struct Zone {
    apex: NameBox,
    pub(crate) owners: Tree,
    /// NSEC3 records by the hash that their owner spells: no names that exist.
    pub(crate) hashes: Tree,
    pub(crate) totals: Totals,
    timers: SoaTimers,
    soa_ttl_s: u32,
    denial: Denial,
    apex_dname: bool,
    /// The apex's RRsets again: every negative answer needs its SOA.
    apex_node: Box<[u8]>,
}

/// One RRset of a zone.
#[derive(Debug, Clone, Copy)]
pub struct ZoneRrset<'z> {
    /// The owner, in lower case.
    pub owner: NameRef<'z>,
    /// The type.
    pub rtype: Rtype,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The records. None if the zone holds only signatures for the type.
    pub rdatas: Rdatas<'z>,
    /// The TTL of the signatures.
    pub rrsig_ttl: u32,
    /// The RRSIG records that cover the RRset.
    pub rrsigs: Rdatas<'z>,
}

impl Zone {
    /// Puts a zone together and reads off its apex what look-ups need at hand.
    pub(crate) fn new(apex: Name, owners: Tree, hashes: Tree, totals: Totals) -> Result<Zone, ZoneError> {
        let apex_node: Box<[u8]> = owners.get(&[]).map(|entry| entry.value()).ok_or(ZoneError::NoSoa)?.into();
        let node = Node(&apex_node);
        let soa = node.rrset(Rtype::SOA).ok_or(ZoneError::NoSoa)?;
        let mut rdatas = soa.rdatas;
        let parsed = rdatas.next().and_then(|rdata| Soa::parse(rdata).ok()).ok_or(ZoneError::NoSoa)?;
        let timers = SoaTimers {
            serial: parsed.serial,
            refresh_s: parsed.refresh,
            retry_s: parsed.retry,
            expire_s: parsed.expire,
            minimum_s: parsed.minimum,
        };
        let chain = node.rrset(Rtype::NSEC3PARAM).and_then(|mut rrset| rrset.rdatas.find_map(Nsec3Params::parse));
        let denial = match chain {
            Some(params) if hashes.len() > 0 => Denial::Nsec3(params),
            _ if node.rrset(Rtype::NSEC).is_some() => Denial::Nsec,
            _ => Denial::Unsigned,
        };
        let apex = NameBox::from(&apex);
        let (soa_ttl_s, apex_dname) = (soa.ttl, node.rrset(Rtype::DNAME).is_some());
        Ok(Zone { apex, owners, hashes, totals, timers, soa_ttl_s, denial, apex_dname, apex_node })
    }

    /// The zone's name.
    #[must_use]
    pub fn apex(&self) -> NameRef<'_> {
        self.apex.as_ref()
    }

    /// The serial of its SOA.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.timers.serial
    }

    /// The numbers of its SOA.
    #[must_use]
    pub fn soa(&self) -> SoaTimers {
        self.timers
    }

    /// The TTL of negative answers: the lesser of the SOA's TTL and its minimum field (RFC 2308 §5).
    #[must_use]
    pub fn negative_ttl_s(&self) -> u32 {
        self.soa_ttl_s.min(self.timers.minimum_s)
    }

    /// How it proves what is not there.
    #[must_use]
    pub fn denial(&self) -> &Denial {
        &self.denial
    }

    /// All records, signatures too.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        self.totals.records
    }

    /// The owners of records, those of NSEC3 records not counted.
    #[must_use]
    pub fn owner_count(&self) -> usize {
        self.owners.len()
    }

    /// The heap memory that it stands on, what it shares with other snapshots included.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.owners.bytes() + self.hashes.bytes() + self.apex_node.len()
    }

    pub(crate) fn apex_node(&self) -> Node<'_> {
        Node(&self.apex_node)
    }

    pub(crate) fn has_apex_dname(&self) -> bool {
        self.apex_dname
    }

    pub(crate) fn check_limits(&self, limits: &Limits) -> Result<(), ZoneError> {
        limits.check(self.record_count(), self.heap_bytes())
    }

    /// Visits every RRset: the names in canonical order, then the NSEC3 records in that of their hashes.
    pub fn for_each_rrset(&self, mut visit: impl FnMut(ZoneRrset<'_>)) {
        let mut key = Vec::with_capacity(OWNER_KEY_BYTES_MAX);
        for entry in self.owners.iter() {
            entry.key_into(&mut key);
            if let Some(owner) = key::name_of(&key, self.apex()) {
                visit_node(owner.as_ref(), Node(entry.value()), &mut visit);
            }
        }
        for entry in self.hashes.iter() {
            if let Some(owner) = hash_owner(entry.key(&mut [0; KEY_BYTES_MAX]), self.apex()) {
                visit_node(owner.as_ref(), Node(entry.value()), &mut visit);
            }
        }
    }
}

/// The owner name of an NSEC3 record.
pub(crate) fn hash_owner(hash: &[u8], apex: NameRef<'_>) -> Option<Name> {
    apex.to_owned().prepend(&nsec3::encode(hash)).ok()
}

fn visit_node<'n>(owner: NameRef<'n>, node: Node<'n>, visit: &mut impl FnMut(ZoneRrset<'n>)) {
    for rrset in node.rrsets() {
        visit(ZoneRrset {
            owner,
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            rdatas: rrset.rdatas,
            rrsig_ttl: rrset.rrsig_ttl,
            rrsigs: rrset.rrsigs,
        });
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Zone({} {}, {} records)", self.apex, self.serial(), self.record_count())
    }
}
