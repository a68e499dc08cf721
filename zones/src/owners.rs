//! Walking a zone name by name in canonical order, for those who check it as a whole: digests, signatures, chains.
//!
//! NSEC3 records, which a zone keeps by their hash, come where their owner's name has its place among the others.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::cmp::Ordering;

use wire::{Name, NameRef, Rtype};

use crate::key::{self, OWNER_KEY_BYTES_MAX, OwnerKey};
use crate::node::{Node, Stored};
use crate::nsec3;
use crate::tree::{Entry, KEY_BYTES_MAX};
use crate::zone::hash_owner;
use crate::{Nsec3Params, Zone, ZoneRrset};

/// A name and all that it owns.
#[derive(Clone, Copy)]
pub struct ZoneOwner<'a> {
    name: NameRef<'a>,
    node: Node<'a>,
    /// The NSEC3 record whose hash the name spells.
    hashed: Node<'a>,
}

impl<'a> ZoneOwner<'a> {
    /// The name, in lower case.
    #[must_use]
    pub fn name(&self) -> NameRef<'a> {
        self.name
    }

    /// Its RRsets in ascending order of type.
    pub fn rrsets(&self) -> impl Iterator<Item = ZoneRrset<'a>> + use<'a> {
        let (owner, hashed) = (self.name, self.hashed);
        let mut node = self.node.rrsets().peekable();
        let mut hashed = hashed.rrsets().peekable();
        std::iter::from_fn(move || {
            let hashed_first = match (node.peek(), hashed.peek()) {
                (Some(a), Some(b)) => b.rtype.0 < a.rtype.0,
                (a, _) => a.is_none(),
            };
            let stored = if hashed_first { hashed.next()? } else { node.next()? };
            Some(rrset_of(owner, &stored))
        })
    }

    /// Its RRset of a type, if it has records.
    #[must_use]
    pub fn rrset(&self, rtype: Rtype) -> Option<ZoneRrset<'a>> {
        let stored = self.node.rrset(rtype).or_else(|| self.hashed.rrset(rtype))?;
        Some(rrset_of(self.name, &stored))
    }

    /// Whether it owns anything beside an NSEC3 record that its name happens to spell.
    #[must_use]
    pub fn exists(&self) -> bool {
        !self.node.0.is_empty()
    }
}

fn rrset_of<'a>(owner: NameRef<'a>, stored: &Stored<'a>) -> ZoneRrset<'a> {
    let Stored { rtype, ttl, rdatas, rrsig_ttl, rrsigs, .. } = *stored;
    ZoneRrset { owner, rtype, ttl, rdatas, rrsig_ttl, rrsigs }
}

/// The next entry of a tree, with its key at hand.
struct Cursor<'z, I> {
    entries: I,
    entry: Option<Entry<'z>>,
    key: Vec<u8>,
    key_of: fn(&Entry<'z>, &mut Vec<u8>),
}

impl<'z, I: Iterator<Item = Entry<'z>>> Cursor<'z, I> {
    fn new(entries: I, key_of: fn(&Entry<'z>, &mut Vec<u8>)) -> Self {
        let mut cursor = Cursor { entries, entry: None, key: Vec::with_capacity(OWNER_KEY_BYTES_MAX), key_of };
        cursor.advance();
        cursor
    }

    fn advance(&mut self) {
        self.entry = self.entries.next();
        if let Some(entry) = &self.entry {
            (self.key_of)(entry, &mut self.key);
        }
    }

    fn node(&self) -> Node<'z> {
        Node(self.entry.as_ref().map_or(&[], |entry| entry.value()))
    }
}

/// The key of a name that spells a hash: its label has no octet that a key escapes.
fn hash_key(entry: &Entry<'_>, key: &mut Vec<u8>) {
    let mut buffer = [0; KEY_BYTES_MAX];
    key.clear();
    key.extend_from_slice(&nsec3::encode(entry.key(&mut buffer)));
    key.push(0);
}

impl Zone {
    /// Visits every name that owns something, in canonical order (RFC 4034 §6.1).
    ///
    /// # Errors
    /// The first that `visit` returns; it ends the walk.
    pub fn try_for_each_owner<E>(&self, mut visit: impl FnMut(&ZoneOwner<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut names = Cursor::new(self.owners.iter(), |entry, key| entry.key_into(key));
        let mut hashes = Cursor::new(self.hashes.iter(), hash_key);
        loop {
            let order = match (&names.entry, &hashes.entry) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), Some(_)) => names.key.cmp(&hashes.key),
            };
            let key = if order == Ordering::Greater { &hashes.key } else { &names.key };
            let node = if order == Ordering::Greater { Node(&[]) } else { names.node() };
            let hashed = if order == Ordering::Less { Node(&[]) } else { hashes.node() };
            if let Some(name) = key::name_of(key, self.apex()) {
                visit(&ZoneOwner { name: name.as_ref(), node, hashed })?;
            }
            if order != Ordering::Greater {
                names.advance();
            }
            if order != Ordering::Less {
                hashes.advance();
            }
        }
    }

    /// Visits the names below `name` that own something, without NSEC3 records, in canonical order.
    ///
    /// # Errors
    /// The first that `visit` returns; it ends the walk.
    pub fn try_for_each_below<E>(
        &self,
        name: NameRef<'_>,
        mut visit: impl FnMut(&ZoneOwner<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(above) = OwnerKey::new(name, self.apex()) else { return Ok(()) };
        let mut key = above.as_bytes().to_vec();
        while let Some(entry) = self.owners.seek(&key).after() {
            entry.key_into(&mut key);
            if !key.starts_with(above.as_bytes()) {
                break;
            }
            if let Some(name) = key::name_of(&key, self.apex()) {
                visit(&ZoneOwner { name: name.as_ref(), node: Node(entry.value()), hashed: Node(&[]) })?;
            }
        }
        Ok(())
    }

    /// What a name owns; nothing for one that is not there.
    #[must_use]
    pub fn owner<'a>(&'a self, name: NameRef<'a>) -> ZoneOwner<'a> {
        let key = OwnerKey::new(name, self.apex());
        let entry = key.and_then(|key| self.owners.get(key.as_bytes()));
        let hash = nsec3::owner_hash(name, self.apex());
        let hashed = hash.and_then(|hash| self.hashes.get(&hash));
        let node = |entry: Option<Entry<'a>>| Node(entry.map_or(&[], |entry| entry.value()));
        ZoneOwner { name, node: node(entry), hashed: node(hashed) }
    }

    /// Whether a name is below a delegation or a DNAME, so that the zone does not speak for it.
    #[must_use]
    pub fn is_occluded(&self, name: NameRef<'_>) -> bool {
        let above = std::iter::successors(name.parent(), |name| name.parent());
        above.take_while(|above| above.is_within(self.apex())).any(|above| {
            let owner = self.owner(above);
            let cut = above != self.apex() && owner.node.rrset(Rtype::NS).is_some();
            cut || owner.node.rrset(Rtype::DNAME).is_some()
        })
    }

    /// The name before another in canonical order that owns something.
    #[must_use]
    pub fn name_before(&self, name: NameRef<'_>) -> Option<Name> {
        let key = OwnerKey::new(name, self.apex())?;
        self.name_of_entry(&self.owners.seek(key.as_bytes()).before()?)
    }

    /// The name after another in canonical order that owns something.
    #[must_use]
    pub fn name_after(&self, name: NameRef<'_>) -> Option<Name> {
        let key = OwnerKey::new(name, self.apex())?;
        self.name_of_entry(&self.owners.seek(key.as_bytes()).after()?)
    }

    fn name_of_entry(&self, entry: &Entry<'_>) -> Option<Name> {
        let mut key = Vec::new();
        entry.key_into(&mut key);
        key::name_of(&key, self.apex())
    }

    /// The owner of the NSEC3 record for a name in a chain: its hash below the apex.
    #[must_use]
    pub fn nsec3_owner(&self, params: &Nsec3Params, name: NameRef<'_>) -> Option<Name> {
        hash_owner(&params.hash(name), self.apex())
    }

    /// The owner that a hash spells.
    #[must_use]
    pub fn hash_owner(&self, hash: &[u8]) -> Option<Name> {
        if hash.len() > nsec3::HASH_BYTES_MAX { None } else { hash_owner(hash, self.apex()) }
    }

    /// The owner of the NSEC3 record of a chain before the one whose owner is given; the last one before the first.
    #[must_use]
    pub fn nsec3_before_owner(&self, params: &Nsec3Params, owner: NameRef<'_>) -> Option<Name> {
        let hash = nsec3::owner_hash(owner, self.apex())?;
        let entry = self.nsec3_before(params, &hash)?;
        let mut buffer = [0; KEY_BYTES_MAX];
        hash_owner(entry.key(&mut buffer), self.apex())
    }

    /// Visits the NSEC3 records of a chain in the order of their hashes.
    ///
    /// # Errors
    /// The first that `visit` returns; it ends the walk.
    pub fn try_for_each_nsec3<E>(
        &self,
        params: &Nsec3Params,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = [0; KEY_BYTES_MAX];
        for entry in self.hashes.iter() {
            let rrset = Node(entry.value()).rrset(Rtype::NSEC3);
            let found = rrset.and_then(|mut rrset| rrset.rdatas.find(|rdata| params.matches(rdata)));
            if let Some(rdata) = found {
                visit(entry.key(&mut buffer), rdata)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, ZoneBuilder};

    fn zone() -> Zone {
        let apex: Name = "example".parse().unwrap();
        let mut builder = ZoneBuilder::new(apex, Limits::NONE);
        let soa = [&b"\0\0"[..], &[0; 20]].concat();
        builder.add(apex.as_ref(), Rtype::SOA, 60, &soa).unwrap();
        let nsec3 = [&b"\x01\0\0\0\0\x14"[..], &[7; 20], &[0, 1, 0x40]].concat();
        let mut covers = Rtype::NSEC3.0.to_be_bytes().to_vec();
        covers.extend([13, 2].iter().chain(&[0; 14]).chain(b"\x07example\0sig"));
        for (owner, rtype, rdata) in [
            ("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example", Rtype::NSEC3, &nsec3[..]),
            ("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example", Rtype::RRSIG, &covers),
            ("0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM.example", Rtype::A, &[192, 0, 2, 1]),
            ("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example", Rtype::CAA, b"\0\x05issue"),
            ("b4um86eghhds6nea196smvmlo4ors995.example", Rtype::NSEC3, &nsec3),
            ("a.example", Rtype::A, &[192, 0, 2, 2]),
            ("x.a.example", Rtype::A, &[192, 0, 2, 3]),
            ("cut.example", Rtype::NS, b"\x02ns\x03cut\x07example\0"),
            ("ns.cut.example", Rtype::A, &[192, 0, 2, 4]),
            ("d.example", Rtype::DNAME, b"\x01x\0"),
            ("e.d.example", Rtype::A, &[192, 0, 2, 5]),
        ] {
            builder.add(owner.parse::<Name>().unwrap().as_ref(), rtype, 60, rdata).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn names_and_hashes_come_in_one_canonical_order() {
        let (zone, mut seen, mut types) = (zone(), Vec::new(), Vec::new());
        zone.try_for_each_owner(|owner| {
            seen.push(owner.name().to_owned());
            types.push(owner.rrsets().map(|rrset| rrset.rtype.to_string()).collect::<Vec<_>>().join(" "));
            Ok::<_, ()>(())
        })
        .unwrap();
        assert!(seen.is_sorted() && seen.len() == 9, "{seen:?}");
        let merged = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example".parse::<Name>().unwrap();
        let at = seen.iter().position(|name| *name == merged).unwrap();
        assert_eq!(types[at], "A NSEC3 CAA");
        assert_eq!(zone.owner(merged.as_ref()).rrset(Rtype::NSEC3).map(|rrset| rrset.rrsigs.count()), Some(1));
        assert!(zone.owner(merged.as_ref()).exists());
        let alone: Name = "B4UM86EGHHDS6NEA196SMVMLO4ORS995.example".parse().unwrap();
        assert!(!zone.owner(alone.as_ref()).exists() && zone.owner(alone.as_ref()).rrset(Rtype::NSEC3).is_some());
        let stopped = zone.try_for_each_owner(|owner| if owner.name() == merged.as_ref() { Err(()) } else { Ok(()) });
        assert_eq!(stopped, Err(()));
    }

    #[test]
    fn neighbours_cuts_and_what_is_below() {
        let zone = zone();
        let name = |text: &str| text.parse::<Name>().unwrap();
        let occluded = |text: &str| zone.is_occluded(name(text).as_ref());
        assert!(occluded("ns.cut.example") && occluded("e.d.example") && occluded("a.b.d.example"));
        assert!(!occluded("cut.example") && !occluded("d.example") && !occluded("x.a.example") && !occluded("example"));
        assert_eq!(zone.name_after(name("a.example").as_ref()), Some(name("x.a.example")));
        assert_eq!(zone.name_before(name("b.example").as_ref()), Some(name("x.a.example")));
        assert_eq!(zone.name_before(name("example").as_ref()), None);
        let mut below = Vec::new();
        let all = zone.try_for_each_below(name("a.example").as_ref(), |owner| {
            below.push(owner.name().to_string());
            Ok::<_, ()>(())
        });
        assert_eq!((all, below), (Ok(()), vec!["x.a.example.".to_owned()]));
    }
}
