//! Builds a zone from all its records, as an AXFR delivers them.
//!
//! Origins send a zone in, or nearly in, canonical order. Records in order go straight into pages, so that memory never
//! holds more than the zone itself; strays are set aside and worked in at the end.

use wire::{Name, NameRef, Rtype};

use crate::check::{self, Limits, Place};
use crate::node::{Node, NodeDraft};
use crate::tree::{Edit, Tree, TreeBuilder};
use crate::zone::Totals;
use crate::{Zone, ZoneError};

/// Strays are worked in by this many names at a time, which bounds the memory it takes.
const STRAY_NAMES_AT_ONCE: usize = 4096;

/// Gathers the records of a zone. Class IN is understood.
pub struct ZoneBuilder {
    apex: Name,
    limits: Limits,
    owners: Side,
    hashes: Side,
    /// The owner of the last record kept among the names: the next is often the same.
    last_owner: Name,
    records: u64,
}

/// One of the two trees in the making.
#[derive(Default)]
struct Side {
    tree: TreeBuilder,
    /// The name being gathered; any in `draft`.
    key: Vec<u8>,
    draft: NodeDraft,
    value: Vec<u8>,
    strays: Strays,
    totals: Totals,
}

/// Records that came out of order: their octets in one block, and where each starts.
#[derive(Default)]
struct Strays {
    octets: Vec<u8>,
    records: Vec<Stray>,
}

#[derive(Clone, Copy)]
struct Stray {
    /// The first octets of the key, which decide most comparisons without a look at the block.
    head: u64,
    start: u64,
}

impl ZoneBuilder {
    /// Starts a zone without records.
    #[must_use]
    pub fn new(apex: Name, limits: Limits) -> ZoneBuilder {
        let apex = apex.to_ascii_lowercase();
        ZoneBuilder {
            apex,
            limits,
            owners: Side::default(),
            hashes: Side::default(),
            last_owner: Name::root(),
            records: 0,
        }
    }

    /// Adds a record; `rdata` is uncompressed. A record that is there already is merged with it, so the SOA at the end
    /// of an AXFR does no harm.
    ///
    /// # Errors
    /// Why the zone cannot hold the record, or a limit that it would exceed.
    pub fn add(&mut self, owner: NameRef<'_>, rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<(), ZoneError> {
        check::check_record(owner, rtype, rdata)?;
        self.records += 1;
        // A few records more than the limit may still merge; the final count is checked at the end.
        self.limits.check(self.records.saturating_sub(2), self.bytes())?;
        let same_owner = !self.owners.draft.is_empty() && self.last_owner.as_bytes() == owner.as_bytes();
        if same_owner && rtype != Rtype::SOA && !crate::nsec3::is_hashed(rtype, rdata) {
            self.owners.draft.add(rtype, ttl, rdata);
            return Ok(());
        }
        match Place::of(self.apex.as_ref(), owner, rtype, rdata)? {
            Place::Owner(key) => {
                if self.owners.add(self.apex.as_ref(), key.as_bytes(), rtype, ttl, rdata)? {
                    self.last_owner = owner.to_owned();
                }
                Ok(())
            }
            Place::Hash(hash) => self.hashes.add(self.apex.as_ref(), &hash, rtype, ttl, rdata).map(drop),
        }
    }

    fn bytes(&self) -> usize {
        self.owners.bytes() + self.hashes.bytes()
    }

    /// Closes the zone and checks it as a whole.
    ///
    /// # Errors
    /// What the zone lacks or has too much of.
    pub fn finish(self) -> Result<Zone, ZoneError> {
        let apex = self.apex.as_ref();
        let (owners, mut totals) = self.owners.finish(apex)?;
        let (hashes, hashed) = self.hashes.finish(apex)?;
        totals.records += hashed.records;
        let zone = Zone::new(self.apex, owners, hashes, totals)?;
        zone.check_limits(&self.limits)?;
        Ok(zone)
    }
}

impl Side {
    /// Adds a record. True if it joined the name being gathered, false if it strayed.
    fn add(&mut self, apex: NameRef<'_>, key: &[u8], rtype: Rtype, ttl: u32, rdata: &[u8]) -> Result<bool, ZoneError> {
        if self.draft.is_empty() {
            self.key.extend_from_slice(key);
        } else if key > self.key.as_slice() {
            self.close_name(apex)?;
            self.key.clear();
            self.key.extend_from_slice(key);
        } else if key != self.key {
            self.strays.push(key, rtype, ttl, rdata);
            return Ok(false);
        }
        self.draft.add(rtype, ttl, rdata);
        Ok(true)
    }

    /// Appends the name being gathered to the tree.
    fn close_name(&mut self, apex: NameRef<'_>) -> Result<(), ZoneError> {
        self.value.clear();
        self.draft.write(&mut self.value);
        self.draft.clear();
        // A stray may follow that makes a wrong node right only by being merged, never by being added: check now.
        let contents = Node(&self.value).contents();
        check::check_node(apex, &self.key, &contents)?;
        self.totals.add(&self.key, &contents);
        self.tree.push(&self.key, &self.value);
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.tree.bytes() + self.strays.octets.len() + self.strays.records.len() * size_of::<Stray>()
    }

    fn finish(mut self, apex: NameRef<'_>) -> Result<(Tree, Totals), ZoneError> {
        if !self.draft.is_empty() {
            self.close_name(apex)?;
        }
        let Side { tree, mut strays, mut totals, draft, .. } = self;
        let tree = tree.finish();
        strays.sort();
        let tree = strays.work_into(tree, apex, &mut totals, draft)?;
        Ok((tree, totals))
    }
}

/// A stray record as it stands in the block.
struct StrayRecord<'a> {
    key: &'a [u8],
    rtype: Rtype,
    ttl: u32,
    rdata: &'a [u8],
}

impl Strays {
    fn push(&mut self, key: &[u8], rtype: Rtype, ttl: u32, rdata: &[u8]) {
        let start = self.octets.len() as u64;
        let mut head = [0; 8];
        for (to, from) in head.iter_mut().zip(key) {
            *to = *from;
        }
        self.octets.extend_from_slice(&(key.len() as u16).to_be_bytes());
        self.octets.extend_from_slice(&rtype.0.to_be_bytes());
        self.octets.extend_from_slice(&ttl.to_be_bytes());
        self.octets.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
        self.octets.extend_from_slice(key);
        self.octets.extend_from_slice(rdata);
        self.records.push(Stray { head: u64::from_be_bytes(head), start });
    }

    fn read(octets: &[u8], stray: Stray) -> StrayRecord<'_> {
        let at = &octets[stray.start as usize..];
        let key_len = usize::from(u16::from_be_bytes([at[0], at[1]]));
        let rdata_len = usize::from(u16::from_be_bytes([at[8], at[9]]));
        StrayRecord {
            rtype: Rtype(u16::from_be_bytes([at[2], at[3]])),
            ttl: u32::from_be_bytes([at[4], at[5], at[6], at[7]]),
            key: &at[10..10 + key_len],
            rdata: &at[10 + key_len..10 + key_len + rdata_len],
        }
    }

    fn sort(&mut self) {
        let Strays { octets, records } = self;
        let key = |stray: &Stray| Strays::read(octets, *stray).key;
        records.sort_by(|a, b| a.head.cmp(&b.head).then_with(|| key(a).cmp(key(b))));
    }

    /// Merges the sorted strays into a tree.
    fn work_into(
        self,
        mut tree: Tree,
        apex: NameRef<'_>,
        totals: &mut Totals,
        mut draft: NodeDraft,
    ) -> Result<Tree, ZoneError> {
        let octets = &self.octets;
        let key = |stray: &Stray| Strays::read(octets, *stray).key;
        let mut names = self.records.chunk_by(|a, b| key(a) == key(b)).peekable();
        let (mut values, mut spans) = (Vec::new(), Vec::new());
        while names.peek().is_some() {
            values.clear();
            spans.clear();
            for name in names.by_ref().take(STRAY_NAMES_AT_ONCE) {
                let key = key(&name[0]);
                draft.clear();
                if let Some(entry) = tree.get(key) {
                    let node = Node(entry.value());
                    draft.load(node);
                    totals.subtract(key, &node.contents());
                }
                for stray in name {
                    let record = Strays::read(octets, *stray);
                    draft.add(record.rtype, record.ttl, record.rdata);
                }
                let start = values.len();
                draft.write(&mut values);
                let contents = Node(&values[start..]).contents();
                check::check_node(apex, key, &contents)?;
                totals.add(key, &contents);
                spans.push((key, start..values.len()));
            }
            let edits: Vec<Edit<'_>> =
                spans.iter().map(|(key, span)| Edit { key, value: Some(&values[span.clone()]) }).collect();
            tree = tree.edit(&edits);
        }
        Ok(tree)
    }
}
