//! Reads a catalog zone (RFC 9432 §4): which zones it lists, and what it says of each. No I/O, no clock.
//!
//! ```text
//! version.$CATZ            TXT "2"        the schema; exactly one record              §4.2.1
//! <label>.zones.$CATZ      PTR member     exactly one record to a label               §4.1
//! coo.<label>.zones.$CATZ  PTR $NEWCATZ   the member may move there; exactly one      §4.3.1
//! group.<label>.zones…     TXT value      any number of records                       §4.3.2
//! *.ext.…, all else                       not ours: passed over                       §4.4, §4.3
//! ```
//!
//! TTLs mean nothing here (§4.1), and classes other than IN never get into a copy.

use std::collections::{BTreeMap, HashSet};

use wire::{NameBox, NameRef, Rtype};
use zones::{Zone, ZoneRrset};

/// The schema that this reads.
const VERSION: &[u8] = b"2";
/// Labels of the longest name that has a meaning, below the catalog's apex: `coo.<label>.zones`.
const DEPTH_MAX: usize = 3;
/// Values of the group property that are kept for a member.
pub(crate) const GROUPS_MAX: usize = 8;

/// The label of a member node, unique within its catalog and in lower case.
pub(crate) type Label = Box<[u8]>;

/// What a catalog says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CatalogContent {
    /// The serial that it says it at.
    pub serial: u32,
    /// The zones that it lists.
    pub members: BTreeMap<Label, Member>,
}

/// A zone that a catalog lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The zone.
    pub zone: NameBox,
    /// Values of its group property, in the order of their octets.
    pub groups: Box<[Box<[u8]>]>,
    /// The catalog that may take the zone over.
    pub coo: Option<NameBox>,
}

/// Why a catalog zone is broken (RFC 9432 §5.1): it must not be processed, and its members stay what they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CatalogError {
    /// There is no version property.
    #[error("there is no TXT record at version.{catalog} (RFC 9432 §4.2.1)")]
    NoVersion {
        /// The catalog.
        catalog: NameBox,
    },
    /// The version property has several records.
    #[error("{count} TXT records stand at version.{catalog}, where RFC 9432 §4.2.1 wants one")]
    SeveralVersions {
        /// The catalog.
        catalog: NameBox,
        /// How many.
        count: usize,
    },
    /// It is of another schema.
    #[error("its version is {found}, and only \"2\" is known (RFC 9432 §4.2.1)")]
    UnknownVersion {
        /// The version, as text.
        found: String,
    },
    /// A member node has several PTR records.
    #[error("{count} PTR records stand at {node}, where RFC 9432 §4.1 wants one")]
    SeveralZones {
        /// The member node.
        node: NameBox,
        /// How many.
        count: usize,
    },
    /// A coo property has several PTR records.
    #[error("{count} PTR records stand at {node}, where RFC 9432 §4.3.1 wants one")]
    SeveralOwners {
        /// The property's node.
        node: NameBox,
        /// How many.
        count: usize,
    },
    /// Two member nodes list one zone.
    #[error("{zone} is listed twice, the second time at {node} (RFC 9432 §4.1)")]
    ListedTwice {
        /// The zone.
        zone: NameBox,
        /// The second of its nodes.
        node: NameBox,
    },
    /// It lists more zones than it may.
    #[error("it lists more zones than members_max allows ({members_max})")]
    TooManyMembers {
        /// The bound.
        members_max: u64,
    },
}

impl CatalogError {
    /// A short fixed text for metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            CatalogError::NoVersion { .. } => "no-version",
            CatalogError::SeveralVersions { .. } => "several-versions",
            CatalogError::UnknownVersion { .. } => "unknown-version",
            CatalogError::SeveralZones { .. } => "several-zones",
            CatalogError::SeveralOwners { .. } => "several-owners",
            CatalogError::ListedTwice { .. } => "listed-twice",
            CatalogError::TooManyMembers { .. } => "too-many-members",
        }
    }
}

/// What is known of a member while the catalog is read: its properties may stand without it.
#[derive(Default)]
struct Draft {
    zone: Option<NameBox>,
    groups: Vec<Box<[u8]>>,
    coo: Option<NameBox>,
}

/// Reads a copy of a catalog zone.
///
/// # Errors
/// Why it is broken; all of it is not to be used then.
pub(crate) fn parse(zone: &Zone, members_max: u64) -> Result<CatalogContent, CatalogError> {
    let mut reader = Reader { apex: zone.apex(), members_max, version: false, drafts: BTreeMap::new(), listed: 0 };
    let mut outcome = Ok(());
    zone.for_each_rrset(|rrset| {
        if outcome.is_ok() && !rrset.rdatas.is_empty() {
            outcome = reader.rrset(&rrset);
        }
    });
    outcome?;
    if !reader.version {
        return Err(CatalogError::NoVersion { catalog: NameBox::new(zone.apex()) });
    }
    reader.finish(zone.serial())
}

struct Reader<'z> {
    apex: NameRef<'z>,
    members_max: u64,
    version: bool,
    drafts: BTreeMap<Label, Draft>,
    listed: u64,
}

impl Reader<'_> {
    fn rrset(&mut self, rrset: &ZoneRrset<'_>) -> Result<(), CatalogError> {
        let depth = rrset.owner.label_count().saturating_sub(self.apex.label_count());
        let mut labels = [&[][..]; DEPTH_MAX];
        if depth > DEPTH_MAX {
            return Ok(());
        }
        labels.iter_mut().zip(rrset.owner.labels().take(depth)).for_each(|(place, label)| *place = label);
        match (labels, rrset.rtype) {
            ([b"version", [], []], Rtype::TXT) => self.version(rrset),
            ([label, b"zones", []], Rtype::PTR) => self.member(label, rrset),
            ([b"coo", label, b"zones"], Rtype::PTR) => self.coo(label, rrset),
            ([b"group", label, b"zones"], Rtype::TXT) => {
                let values = rrset.rdatas.filter_map(only_string).take(GROUPS_MAX);
                self.draft(label).groups.extend(values.map(Box::from));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn version(&mut self, rrset: &ZoneRrset<'_>) -> Result<(), CatalogError> {
        let mut rdatas = rrset.rdatas;
        match (rdatas.next(), rrset.rdatas.count()) {
            (Some(rdata), 1) if only_string(rdata) == Some(VERSION) => self.version = true,
            (Some(rdata), 1) => return Err(CatalogError::UnknownVersion { found: text(rdata) }),
            (_, count) => {
                return Err(CatalogError::SeveralVersions { catalog: NameBox::new(self.apex), count });
            }
        }
        Ok(())
    }

    fn member(&mut self, label: &[u8], rrset: &ZoneRrset<'_>) -> Result<(), CatalogError> {
        let zone =
            only_name(rrset).map_err(|count| CatalogError::SeveralZones { node: NameBox::new(rrset.owner), count })?;
        self.listed += 1;
        if self.listed > self.members_max {
            return Err(CatalogError::TooManyMembers { members_max: self.members_max });
        }
        self.draft(label).zone = zone;
        Ok(())
    }

    fn coo(&mut self, label: &[u8], rrset: &ZoneRrset<'_>) -> Result<(), CatalogError> {
        let catalog =
            only_name(rrset).map_err(|count| CatalogError::SeveralOwners { node: NameBox::new(rrset.owner), count })?;
        self.draft(label).coo = catalog;
        Ok(())
    }

    /// The draft of a label's member. A zone has its names in order, so it is the last one that was touched.
    fn draft(&mut self, label: &[u8]) -> &mut Draft {
        self.drafts.entry(label.to_ascii_lowercase().into_boxed_slice()).or_default()
    }

    fn finish(self, serial: u32) -> Result<CatalogContent, CatalogError> {
        let mut members = BTreeMap::new();
        let mut listed = HashSet::with_capacity(self.drafts.len());
        for (label, draft) in self.drafts {
            // Properties of a label without a zone mean nothing.
            let Some(zone) = draft.zone else { continue };
            if !listed.insert(zone.clone()) {
                return Err(CatalogError::ListedTwice { zone, node: node(&label, self.apex) });
            }
            let mut groups = draft.groups;
            groups.sort();
            members.insert(label, Member { zone, groups: groups.into_boxed_slice(), coo: draft.coo });
        }
        Ok(CatalogContent { serial, members })
    }
}

/// The name of a label's member node.
fn node(label: &[u8], apex: NameRef<'_>) -> NameBox {
    let node = apex.to_owned().prepend(b"zones").and_then(|zones| zones.prepend(label));
    // It came from a name of this length.
    node.map_or_else(|_| NameBox::new(apex), |node| NameBox::from(&node))
}

/// The one name of a PTR RRset, or how many there are instead.
fn only_name(rrset: &ZoneRrset<'_>) -> Result<Option<NameBox>, usize> {
    let mut rdatas = rrset.rdatas;
    match (rdatas.next(), rrset.rdatas.count()) {
        (Some(rdata), 1) => Ok(NameRef::parse(rdata).ok().map(NameBox::new)),
        (_, count) => Err(count),
    }
}

/// The one character-string of a TXT record; a record of several is none that we understand.
fn only_string(rdata: &[u8]) -> Option<&[u8]> {
    let (length, string) = rdata.split_first()?;
    (string.len() == usize::from(*length)).then_some(string)
}

/// A TXT record's strings as people can read them.
fn text(rdata: &[u8]) -> String {
    let mut rest = rdata;
    let mut strings = Vec::new();
    while let Some((length, after)) = rest.split_first() {
        let (string, after) = after.split_at(usize::from(*length).min(after.len()));
        strings.push(format!("\"{}\"", string.escape_ascii()));
        rest = after;
    }
    strings.join(" ")
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
