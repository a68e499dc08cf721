//! Differences between two versions of a zone (RFC 1995), and the snapshot that follows from applying them.

use wire::{NameRef, Rtype, rdata::Soa};

use crate::check::{self, Limits, Place};
use crate::error::boxed;
use crate::node::{Node, NodeDraft};
use crate::tree::{Edit, Tree};
use crate::zone::Totals;
use crate::{Zone, ZoneError};

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
            totals.subtract(key, Node(entry.value()));
        }
        for change in name {
            change.make(&mut draft)?;
        }
        let start = values.len();
        draft.write(&mut values);
        let node = Node(&values[start..]);
        if !draft.is_empty() {
            check::check_node(apex, key, node)?;
            totals.add(key, node);
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
