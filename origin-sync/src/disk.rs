//! The small change of the state folder: names of files, headers, renames that survive a crash.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use wire::NameRef;

use crate::error::Error;

/// The end of the name of a file that is being written.
pub(crate) const TEMPORARY: &str = ".tmp";
/// The beginning of a journal's name; its generation follows.
pub(crate) const JOURNAL: &str = "journal.";
/// A folder's name is no longer than this (most file systems allow 255).
const FOLDER_NAME_BYTES_MAX: usize = 200;

/// Makes [`Error::Disk`] of what the system says.
pub(crate) fn error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Disk { action, path, source }
}

/// The name of a zone's folder: the zone's name in lower case without the dot at the end; `%` and two hexadecimal digits
/// for what is not a letter, digit, hyphen, underscore or the dot between labels. The root is `@`.
pub(crate) fn folder_name(apex: NameRef<'_>) -> String {
    let mut text = String::new();
    for label in apex.labels() {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            let byte = byte.to_ascii_lowercase();
            if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02x}"));
            }
        }
    }
    if text.is_empty() {
        return "@".into();
    }
    if text.len() > FOLDER_NAME_BYTES_MAX {
        // Each name that is too long gets its own end; the snapshot itself says which zone it is.
        let hash = text
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        text.truncate(FOLDER_NAME_BYTES_MAX - 17);
        text.push_str(&format!("%{hash:016x}"));
    }
    text
}

/// Reads a file; `None` when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(error("read", path)(source)),
    }
}

/// Makes sure that the names in a folder are on disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(error("sync the folder", folder))
}

/// Where a damaged file is kept.
pub(crate) fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    name.into()
}

/// Renames a damaged file, so that someone can look at it; an older one is replaced.
pub(crate) fn set_aside(path: &Path) -> Result<(), Error> {
    fs::rename(path, aside(path)).map_err(error("set aside", path))
}

/// The files of a folder; none when there is no folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>();
    match read() {
        Ok(files) => Ok(files),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(error("read the folder", folder)(source)),
    }
}

/// Removes those journals among some files whose generation is chosen.
pub(crate) fn remove_journals(files: &[PathBuf], choose: impl Fn(u64) -> bool) -> Result<(), Error> {
    remove(files, |name| name.strip_prefix(JOURNAL).and_then(|rest| rest.parse().ok()).is_some_and(&choose))
}

/// Removes those files whose name is chosen.
pub(crate) fn remove(files: &[PathBuf], choose: impl Fn(&str) -> bool) -> Result<(), Error> {
    for path in files {
        if path.file_name().and_then(|name| name.to_str()).is_some_and(&choose) {
            match fs::remove_file(path) {
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(error("remove", path)(source)),
                _ => {}
            }
        }
    }
    Ok(())
}

/// What stands before the zone in a snapshot file.
///
/// ```text
/// magic "PARASNAP" | version u32 | generation u64 | refreshed_unix_s u64 | crc32 u32 of the 28 bytes before | zone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SnapshotHeader {
    pub(crate) generation: u64,
    pub(crate) refreshed_unix_s: u64,
}

const SNAPSHOT_MAGIC: &[u8; 8] = b"PARASNAP";
const SNAPSHOT_VERSION: u32 = 1;

impl SnapshotHeader {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = SNAPSHOT_MAGIC.to_vec();
        bytes.extend_from_slice(&SNAPSHOT_VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.generation.to_be_bytes());
        bytes.extend_from_slice(&self.refreshed_unix_s.to_be_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the header, and gives what follows it.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(SnapshotHeader, &[u8])> {
        let (fields, rest) = bytes.split_at_checked(28)?;
        let (crc, content) = rest.split_first_chunk::<4>()?;
        let (magic, rest) = fields.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (refreshed, _) = rest.split_first_chunk::<8>()?;
        let right = magic == SNAPSHOT_MAGIC
            && u32::from_be_bytes(*version) == SNAPSHOT_VERSION
            && u32::from_be_bytes(*crc) == crc32fast::hash(fields);
        let (generation, refreshed_unix_s) = (u64::from_be_bytes(*generation), u64::from_be_bytes(*refreshed));
        right.then_some((SnapshotHeader { generation, refreshed_unix_s }, content))
    }
}

/// The content of a zone's `meta` file: a line of text with its own checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MetaRecord {
    pub(crate) serial: u32,
    pub(crate) refreshed_unix_s: u64,
}

impl MetaRecord {
    pub(crate) fn to_text(self) -> String {
        let line = format!("serial {} refreshed_unix_s {}", self.serial, self.refreshed_unix_s);
        format!("{line} crc32 {:08x}\n", crc32fast::hash(line.as_bytes()))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<MetaRecord> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut words = text.split_ascii_whitespace();
        let mut field = |name: &str| words.next().filter(|&word| word == name).and_then(|_| words.next());
        let serial = field("serial")?.parse().ok()?;
        let refreshed_unix_s = field("refreshed_unix_s")?.parse().ok()?;
        let meta = MetaRecord { serial, refreshed_unix_s };
        (meta.to_text() == text).then_some(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_are_legal_and_distinct() {
        let check = |apex: &str, folder: &str| {
            assert_eq!(folder_name(apex.parse::<wire::Name>().unwrap().as_ref()), folder);
        };
        check(".", "@");
        check("Example.COM.", "example.com");
        check("1/2.2.0.192.in-addr.arpa.", "1%2f2.2.0.192.in-addr.arpa");
        check("a\\.b.test.", "a%2eb.test");
        check("\\.", "%2e");
        let long = |end: &str| {
            let labels = vec!["x".repeat(60); 3].join(".");
            folder_name(format!("{labels}.{}{end}.", "y".repeat(50)).parse::<wire::Name>().unwrap().as_ref())
        };
        assert_eq!(long("a").len(), FOLDER_NAME_BYTES_MAX);
        assert_ne!(long("a"), long("b"));
    }

    #[test]
    fn headers_hold_against_any_flipped_bit() {
        let header = SnapshotHeader { generation: 7, refreshed_unix_s: 1_700_000_000 };
        let bytes = header.to_bytes();
        assert_eq!(SnapshotHeader::parse(&bytes), Some((header, &[][..])));
        let meta = MetaRecord { serial: 5, refreshed_unix_s: 1_700_000_000 };
        let text = meta.to_text().into_bytes();
        assert_eq!(MetaRecord::parse(&text), Some(meta));
        for bit in 0..8 {
            for at in 0..bytes.len() {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                assert_eq!(SnapshotHeader::parse(&bytes), None);
            }
            for at in 0..text.len() {
                let mut text = text.clone();
                text[at] ^= 1 << bit;
                assert_eq!(MetaRecord::parse(&text), None);
            }
        }
        assert_eq!(MetaRecord::parse(&text[..text.len() - 1]), None);
        assert_eq!(SnapshotHeader::parse(&bytes[..31]), None);
    }
}
