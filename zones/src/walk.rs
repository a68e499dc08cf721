//! Walking a zone record by record, in pieces: each goes on where the one before stopped, as a transfer out needs it.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::ops::ControlFlow;

use wire::{Name, NameRef, Rtype};

use crate::Zone;
use crate::key;
use crate::node::Node;
use crate::zone::hash_owner;

/// One record of a zone.
#[derive(Debug, Clone, Copy)]
pub struct ZoneRecord<'z> {
    /// The owner, in lower case.
    pub owner: NameRef<'z>,
    /// The type.
    pub rtype: Rtype,
    /// The TTL in seconds.
    pub ttl: u32,
    /// Uncompressed RDATA.
    pub rdata: &'z [u8],
}

/// A place before a record of one snapshot; the default is that before its first.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// Whether the names are done, and the key is that of a hash.
    hashed: bool,
    /// Of the owner that is next, or of none: then the first one is.
    key: Vec<u8>,
    /// Its records that are done.
    skipped: usize,
}

/// Where a walk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// The visitor stopped it; the cursor stands before the record that it stopped at.
    Stopped,
    /// All records are done.
    End,
}

impl Zone {
    /// Visits the records from `cursor` on until `visit` breaks or none are left: the names in canonical order, the
    /// apex first, then the NSEC3 records in that of their hashes. At each name the types ascend, each with the
    /// signatures that cover it behind it.
    pub fn walk(&self, cursor: &mut Cursor, mut visit: impl FnMut(ZoneRecord<'_>) -> ControlFlow<()>) -> Walked {
        if !cursor.hashed {
            let owner = |key: &[u8]| key::name_of(key, self.apex());
            if self.walk_tree(cursor, owner, &mut visit) == Walked::Stopped {
                return Walked::Stopped;
            }
            *cursor = Cursor { hashed: true, ..Cursor::default() };
        }
        self.walk_tree(cursor, |key| hash_owner(key, self.apex()), &mut visit)
    }

    fn walk_tree(
        &self,
        cursor: &mut Cursor,
        owner: impl Fn(&[u8]) -> Option<Name>,
        visit: &mut impl FnMut(ZoneRecord<'_>) -> ControlFlow<()>,
    ) -> Walked {
        let tree = if cursor.hashed { &self.hashes } else { &self.owners };
        let from = std::mem::take(&mut cursor.key);
        for entry in tree.iter_from(&from) {
            entry.key_into(&mut cursor.key);
            // The records done are those of the very name that the cursor stood at.
            if cursor.key != from {
                cursor.skipped = 0;
            }
            let Some(owner) = owner(&cursor.key) else { continue };
            let flow = records(owner.as_ref(), Node(entry.value())).skip(cursor.skipped).try_for_each(|record| {
                visit(record)?;
                cursor.skipped += 1;
                ControlFlow::Continue(())
            });
            if flow.is_break() {
                return Walked::Stopped;
            }
        }
        Walked::End
    }
}

fn records<'n>(owner: NameRef<'n>, node: Node<'n>) -> impl Iterator<Item = ZoneRecord<'n>> {
    node.rrsets().flat_map(move |rrset| {
        let rdatas = rrset.rdatas.map(move |rdata| ZoneRecord { owner, rtype: rrset.rtype, ttl: rrset.ttl, rdata });
        let signature = move |rdata| ZoneRecord { owner, rtype: Rtype::RRSIG, ttl: rrset.rrsig_ttl, rdata };
        rdatas.chain(rrset.rrsigs.map(signature))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, zone_of};

    type Line = (String, Rtype, u32, Vec<u8>);

    fn line(record: ZoneRecord<'_>) -> Line {
        (record.owner.to_string(), record.rtype, record.ttl, record.rdata.to_vec())
    }

    /// All records by the visitor that knows nothing of cursors.
    fn expected(zone: &Zone) -> Vec<Line> {
        let mut lines = Vec::new();
        zone.for_each_rrset(|rrset| {
            let owner = rrset.owner.to_string();
            lines.extend(rrset.rdatas.map(|rdata| (owner.clone(), rrset.rtype, rrset.ttl, rdata.to_vec())));
            lines.extend(rrset.rrsigs.map(|rdata| (owner.clone(), Rtype::RRSIG, rrset.rrsig_ttl, rdata.to_vec())));
        });
        lines
    }

    fn zone(names: usize) -> Zone {
        let mut records: Vec<(String, &str, String)> = vec![
            ("example.".into(), "SOA", "ns.example. root.example. 7 3600 600 86400 300".into()),
            ("example.".into(), "NS", "ns.example.".into()),
            ("example.".into(), "NSEC3PARAM", "1 0 12 aabbccdd".into()),
            ("example.".into(), "TXT", "one".into()),
        ];
        for number in 0..names {
            for address in 0..number % 7 {
                records.push((format!("h{number}.example."), "A", format!("192.0.2.{address}")));
            }
        }
        for hash in ["0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"] {
            let data = "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA".into();
            records.push((format!("{hash}.example."), "NSEC3", data));
        }
        let lines: Vec<(&str, &str, &str)> = records.iter().map(|(o, t, d)| (o.as_str(), *t, d.as_str())).collect();
        zone_of("example.", &lines)
    }

    #[test]
    fn pieces_of_any_size_make_the_whole() {
        let mut random = Random::new(3);
        for names in [0, 1, 10, 3000] {
            let zone = zone(names);
            let all = expected(&zone);
            assert_eq!(all.len() as u64, zone.record_count());
            for most in [1, 3, 50, usize::MAX] {
                let (mut cursor, mut found) = (Cursor::default(), Vec::new());
                loop {
                    let mut left = if most == 1 { 1 } else { 1 + random.below(most.min(1 << 30)) };
                    let walked = zone.walk(&mut cursor, |record| {
                        if left == 0 {
                            return ControlFlow::Break(());
                        }
                        left -= 1;
                        found.push(line(record));
                        ControlFlow::Continue(())
                    });
                    if walked == Walked::End {
                        break;
                    }
                }
                assert_eq!(found, all, "{names} names, at most {most} records at once");
            }
        }
    }

    #[test]
    fn the_apex_comes_first() {
        let mut first = None;
        let walked = zone(5).walk(&mut Cursor::default(), |record| {
            first = Some((record.owner.to_string(), record.rtype));
            ControlFlow::Break(())
        });
        assert_eq!((first, walked), (Some(("example.".into(), Rtype::NS)), Walked::Stopped));
    }
}
