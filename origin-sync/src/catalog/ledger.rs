//! Which catalog has which zone, on disk: with it a restart serves the same zones, whether or not the catalogs are whole
//! and their origins there. One file for all catalogs, so that a zone that moved is in one of them.
//!
//! ```text
//! parapet catalogs 1
//! catalog <name> <serial>
//! zone <label> <zone> <coo or -> <yes: the catalog has it> <group>…        of the catalog above
//! crc32 <of all lines above>
//! ```
//!
//! Labels and groups are octets: all but printable ASCII is written `\xHH`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::{LABEL_BYTES_MAX, Name, NameBox};

use crate::catalog::content::{CatalogContent, GROUPS_MAX, Label, Member};
use crate::catalog::plan::{Owner, Owners};
use crate::disk;
use crate::error::Error;

const FIRST_LINE: &str = "parapet catalogs 1";
/// What stands for nothing.
const NONE: &str = "-";
/// A TXT string has no more octets (RFC 1035 §3.3).
const GROUP_BYTES_MAX: usize = 255;

/// The file.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
}

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// What each catalog said when that was carried out last.
    pub contents: Vec<(NameBox, Arc<CatalogContent>)>,
    /// Who has what.
    pub owners: Arc<Owners>,
}

impl Ledger {
    pub(crate) fn new(state_dir: &Path) -> Ledger {
        Ledger { path: state_dir.join("catalogs") }
    }

    /// Reads it; nothing when there is none. One that is damaged is set aside, and `note` is told.
    ///
    /// # Errors
    /// [`Error::Disk`] when the system does not let us.
    pub(crate) fn load(&self, note: &mut dyn FnMut(String)) -> Result<Entries, Error> {
        let Some(bytes) = disk::read(&self.path)? else {
            return Ok(Entries::default());
        };
        if let Some(entries) = decode(&bytes) {
            return Ok(entries);
        }
        note(format!("{} is damaged; set aside", self.path.display()));
        disk::set_aside(&self.path)?;
        Ok(Entries::default())
    }

    /// Writes it in place of what was there; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Disk`]; what was there still counts.
    pub(crate) fn save(&self, entries: &Entries) -> Result<(), Error> {
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(disk::TEMPORARY);
        let temporary = PathBuf::from(temporary);
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(encode(entries).as_bytes())?;
            file.sync_all()
        };
        write().map_err(disk::error("write", &temporary))?;
        fs::rename(&temporary, &self.path).map_err(disk::error("put in place", &self.path))?;
        self.path.parent().map_or(Ok(()), disk::sync_folder)
    }
}

pub(crate) fn encode(entries: &Entries) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    for (catalog, content) in &entries.contents {
        let _ = writeln!(text, "catalog {catalog} {}", content.serial);
        for (label, member) in &content.members {
            let owned = entries.owners.get(&member.zone).is_some_and(|owner| owner.catalog == *catalog);
            let coo = member.coo.as_ref().map_or(NONE.into(), ToString::to_string);
            let _ = write!(text, "zone {} {} {coo} {}", escape(label), member.zone, if owned { "yes" } else { "no" });
            for group in &member.groups {
                let _ = write!(text, " {}", escape(group));
            }
            text.push('\n');
        }
    }
    let crc = crc32fast::hash(text.as_bytes());
    let _ = writeln!(text, "crc32 {crc:08x}");
    text
}

pub(crate) fn decode(bytes: &[u8]) -> Option<Entries> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (lines, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let covered = text.get(..=lines.len())?;
    if crc != format!("crc32 {:08x}", crc32fast::hash(covered.as_bytes())) {
        return None;
    }
    decode_lines(lines)
}

/// What stands between the first line and the checksum.
pub(crate) fn decode_lines(lines: &str) -> Option<Entries> {
    let mut lines = lines.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let mut entries = Entries::default();
    let mut owners = Owners::new();
    let mut current: Option<(NameBox, CatalogContent)> = None;
    for line in lines {
        let mut words = line.split(' ');
        match words.next()? {
            "catalog" => {
                close(&mut entries, current.take());
                let content = CatalogContent { members: BTreeMap::new(), serial: 0 };
                let (name, serial) = (name(words.next()?)?, words.next()?.parse().ok()?);
                current = Some((name, CatalogContent { serial, ..content }));
            }
            "zone" => {
                let (catalog, content) = current.as_mut()?;
                let (label, member, owned) = zone(&mut words)?;
                if owned {
                    let owner = Owner { catalog: catalog.clone(), label: label.clone() };
                    owners.insert(member.zone.clone(), owner);
                }
                content.members.insert(label, member);
            }
            _ => return None,
        }
    }
    close(&mut entries, current);
    entries.owners = Arc::new(owners);
    Some(entries)
}

fn close(entries: &mut Entries, catalog: Option<(NameBox, CatalogContent)>) {
    entries.contents.extend(catalog.map(|(name, content)| (name, Arc::new(content))));
}

fn zone<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<(Label, Member, bool)> {
    let label = unescape(words.next()?, LABEL_BYTES_MAX)?;
    let zone = name(words.next()?)?;
    let coo = match words.next()? {
        NONE => None,
        text => Some(name(text)?),
    };
    let owned = match words.next()? {
        "yes" => true,
        "no" => false,
        _ => return None,
    };
    let groups = words.take(GROUPS_MAX).map(|word| unescape(word, GROUP_BYTES_MAX)).collect::<Option<_>>()?;
    Some((label, Member { zone, groups, coo }, owned))
}

fn name(text: &str) -> Option<NameBox> {
    Some(NameBox::from(&text.parse::<Name>().ok()?))
}

fn escape(octets: &[u8]) -> String {
    // An empty word would be lost.
    if octets.is_empty() {
        return "\\".into();
    }
    let mut text = String::with_capacity(octets.len());
    for &octet in octets {
        match octet {
            b'\\' | 0..=b' ' | 0x7f.. => drop(write!(text, "\\x{octet:02x}")),
            _ => text.push(char::from(octet)),
        }
    }
    text
}

fn unescape(text: &str, bytes_max: usize) -> Option<Box<[u8]>> {
    if text == "\\" {
        return Some(Box::default());
    }
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        if octet == b'\\' {
            let (code, after) = rest.split_first_chunk::<3>()?;
            let digits = std::str::from_utf8(code).ok()?.strip_prefix('x')?;
            octets.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            octets.push(octet);
        }
    }
    (octets.len() <= bytes_max).then_some(octets.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(text: &str) -> NameBox {
        name(text).unwrap()
    }

    fn entries() -> Entries {
        let member = |zone: &str, coo: Option<&str>, groups: &[&[u8]]| Member {
            zone: boxed(zone),
            groups: groups.iter().map(|group| Box::from(*group)).collect(),
            coo: coo.map(boxed),
        };
        let first = CatalogContent {
            serial: 7,
            members: BTreeMap::from([
                (Box::from(&b"one"[..]), member("one.example.", None, &[b"bulk", b"", b"two words\n\\x\xff"])),
                (Box::from(&b"\0 \\"[..]), member("a\\.b\\032c.example.", Some("second."), &[])),
            ]),
        };
        let second = CatalogContent {
            serial: u32::MAX,
            members: BTreeMap::from([(Box::from(&b"x"[..]), member("one.example.", None, &[]))]),
        };
        let owner = |label: &[u8]| Owner { catalog: boxed("first.test."), label: Box::from(label) };
        Entries {
            contents: vec![(boxed("first.test."), Arc::new(first)), (boxed("second."), Arc::new(second))],
            owners: Arc::new(Owners::from([
                (boxed("one.example."), owner(b"one")),
                (boxed("a\\.b\\032c.example."), owner(b"\0 \\")),
            ])),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for entries in [Entries::default(), entries()] {
            assert_eq!(decode(encode(&entries).as_bytes()), Some(entries));
        }
    }

    #[test]
    fn damage_is_noticed_and_set_aside() {
        let text = encode(&entries()).into_bytes();
        for at in 0..text.len() {
            let mut wrong = text.clone();
            wrong[at] ^= 1;
            assert_eq!(decode(&wrong), None, "octet {at}");
            assert_eq!(decode(&text[..at]), None, "cut at {at}");
        }
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(folder.path());
        let mut notes = Vec::new();
        assert_eq!(ledger.load(&mut |note| notes.push(note)).unwrap(), Entries::default());
        ledger.save(&entries()).unwrap();
        assert_eq!(ledger.load(&mut |note| notes.push(note)).unwrap(), entries());
        assert_eq!(notes, [""; 0]);
        fs::write(folder.path().join("catalogs"), &text[1..]).unwrap();
        assert_eq!(ledger.load(&mut |note| notes.push(note)).unwrap(), Entries::default());
        assert_eq!(notes.len(), 1);
        assert!(folder.path().join("catalogs.damaged").exists());
    }
}
