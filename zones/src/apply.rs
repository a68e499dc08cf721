//! The snapshot that follows from applying differences to one.

use wire::NameRef;

use crate::check::{self, Limits, Place};
use crate::error::boxed;
use crate::node::{Node, NodeDraft};
use crate::tree::{Edit, Tree};
use crate::zone::Totals;
use crate::{ChangedRecord, Difference, Zone, ZoneError};

/// One change of one name, in the order the differences make it.
struct Change<'d> {
    hashed: bool,
    key: std::ops::Range<usize>,
    adds: bool,
    record: ChangedRecord<'d>,
}

/// The changes of a sequence of differences, by place.
#[derive(Default)]
struct Changes<'d> {
    keys: Vec<u8>,
    list: Vec<Change<'d>>,
}

impl Zone {
    /// The zone after one difference; shares with this one all that did not change.
    ///
    /// # Errors
    /// As [`apply_all`](Self::apply_all).
    pub fn apply(&self, difference: &Difference) -> Result<Zone, ZoneError> {
        self.apply_all(std::iter::once(difference), &Limits::NONE)
    }

    /// The zone after a sequence of differences, as if they were applied one by one, in a single pass. It is strict:
    /// records are deleted that are there and added that are not, and each difference starts at the serial where the one
    /// before ended. Checks of a whole name (CNAME and other data) look at the end of the sequence only.
    ///
    /// # Errors
    /// What does not fit the zone; this snapshot stays as it is.
    pub fn apply_all<'d>(
        &self,
        differences: impl IntoIterator<Item = &'d Difference>,
        limits: &Limits,
    ) -> Result<Zone, ZoneError> {
        let mut changes = Changes::default();
        let mut serial = self.serial();
        for difference in differences {
            match difference.from_serial() {
                Some(found) if found != serial => {
                    return Err(ZoneError::OutOfSequence { found, expected: serial });
                }
                _ => serial = difference.to_serial().unwrap_or(serial),
            }
            changes.gather(self.apex(), false, difference.deletions())?;
            changes.gather(self.apex(), true, difference.additions())?;
        }
        changes.sort();
        let mut totals = self.totals;
        let split = changes.list.partition_point(|change| !change.hashed);
        let (owners, hashes) = changes.list.split_at(split);
        let apex = self.apex();
        let owners = edit_tree(&self.owners, apex, owners, &changes.keys, &mut totals)?;
        let mut hashed = Totals { records: totals.records, ..Totals::default() };
        let hashes = edit_tree(&self.hashes, apex, hashes, &changes.keys, &mut hashed)?;
        totals.records = hashed.records;
        let zone = Zone::new(apex.to_owned(), owners, hashes, totals)?;
        zone.check_limits(limits)?;
        Ok(zone)
    }
}

impl<'d> Changes<'d> {
    fn gather(
        &mut self,
        apex: NameRef<'_>,
        adds: bool,
        records: impl Iterator<Item = ChangedRecord<'d>>,
    ) -> Result<(), ZoneError> {
        for record in records {
            let start = self.keys.len();
            let place = Place::of(apex, record.owner, record.rtype, record.rdata)?;
            let hashed = match &place {
                Place::Owner(key) => {
                    self.keys.extend_from_slice(key.as_bytes());
                    false
                }
                Place::Hash(hash) => {
                    self.keys.extend_from_slice(hash);
                    true
                }
            };
            self.list.push(Change { hashed, key: start..self.keys.len(), adds, record });
        }
        Ok(())
    }

    /// Brings changes of a name together; those of one name stay in their order.
    fn sort(&mut self) {
        let Changes { keys, list } = self;
        list.sort_by(|a, b| (a.hashed, &keys[a.key.clone()]).cmp(&(b.hashed, &keys[b.key.clone()])));
    }
}

fn edit_tree(
    tree: &Tree,
    apex: NameRef<'_>,
    changes: &[Change<'_>],
    keys: &[u8],
    totals: &mut Totals,
) -> Result<Tree, ZoneError> {
    let mut draft = NodeDraft::default();
    let mut values = Vec::new();
    let mut spans = Vec::new();
    for name in changes.chunk_by(|a, b| keys[a.key.clone()] == keys[b.key.clone()]) {
        let key = &keys[name[0].key.clone()];
        draft.clear();
        if let Some(entry) = tree.get(key) {
            draft.load(Node(entry.value()));
            totals.subtract(key, &Node(entry.value()).contents());
        }
        for change in name {
            change.make(&mut draft)?;
        }
        let start = values.len();
        draft.write(&mut values);
        if !draft.is_empty() {
            let contents = Node(&values[start..]).contents();
            check::check_node(apex, key, &contents)?;
            totals.add(key, &contents);
        }
        spans.push((key, (!draft.is_empty()).then_some(start..values.len())));
    }
    let edits: Vec<Edit<'_>> =
        spans.iter().map(|(key, span)| Edit { key, value: span.clone().map(|span| &values[span]) }).collect();
    Ok(tree.edit(&edits))
}

impl Change<'_> {
    fn make(&self, draft: &mut NodeDraft) -> Result<(), ZoneError> {
        let ChangedRecord { owner, rtype, ttl, rdata } = self.record;
        if self.adds {
            let added = draft.add_new(rtype, ttl, rdata);
            if added { Ok(()) } else { Err(ZoneError::AlreadyThere { owner: boxed(owner), rtype }) }
        } else {
            let deleted = draft.delete(rtype, rdata);
            if deleted { Ok(()) } else { Err(ZoneError::NotThere { owner: boxed(owner), rtype }) }
        }
    }
}
