//! Zones on disk: a snapshot, and a journal of the differences since. What is published is on disk first.
//!
//! ```text
//! state_dir/zones/<zone>/snapshot        the zone at some serial, generation g
//!                        journal.<g>     differences since (see the journal module)
//!                        journal.<g+1>   differences since a compaction to generation g+1 was begun
//!                        meta            when an origin last confirmed the zone
//! ```
//!
//! A snapshot is written beside the old one and renamed over it, so one of them is always whole. A compaction first turns
//! to the next journal, then writes the snapshot that this journal continues; until the rename, the old snapshot and both
//! journals say the same. A file that cannot be read is set aside as `*.damaged`, and a full transfer follows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::{NameBox, NameRef};
use zones::{Difference, Zone};

use crate::disk::{self, MetaRecord};
use crate::error::Error;
use crate::journal::{self, Entry, Tail};
use crate::peers::{History, Keeping};

/// A journal smaller than this is never worth a new snapshot.
pub(crate) const JOURNAL_BYTES_MIN: u64 = 64 << 10;
/// A journal larger than this always is, so that a start stays short.
pub(crate) const JOURNAL_BYTES_MAX: u64 = 4 << 20;
/// In between, a journal may grow to this part of its snapshot.
const SNAPSHOT_PARTS: u64 = 4;
/// What is gathered before it is written to a snapshot, at least and at most.
const WRITE_BUFFER_BYTES_MIN: usize = 4 << 10;
const WRITE_BUFFER_BYTES_MAX: usize = 1 << 20;

/// The folder of all zones.
#[derive(Debug)]
pub(crate) struct Store {
    root: Arc<Path>,
    keeping: Arc<Keeping>,
}

impl Store {
    /// Makes the folder if it is not there, and checks that it can be written to.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn open(state_dir: &Path) -> Result<Store, Error> {
        let root = state_dir.join("zones");
        fs::create_dir_all(&root).map_err(disk::error("create the folder", &root))?;
        let probe = root.join(".writable");
        File::create(&probe).map_err(disk::error("write to the folder", &root))?;
        fs::remove_file(&probe).map_err(disk::error("write to the folder", &root))?;
        Ok(Store { root: root.into(), keeping: Arc::default() })
    }

    /// The place of one zone, of which nothing has been read yet.
    pub(crate) fn zone(&self, apex: NameRef<'_>) -> ZoneStore {
        let history = Arc::new(History::new(Arc::clone(&self.keeping)));
        ZoneStore { root: Arc::clone(&self.root), apex: NameBox::new(apex), state: Mutex::default(), history }
    }

    /// Whether the differences of all zones are kept in memory, too.
    pub(crate) fn keeping(&self) -> Arc<Keeping> {
        Arc::clone(&self.keeping)
    }

    /// Folders of zones other than those given.
    pub(crate) fn strangers<'a>(&self, known: impl Iterator<Item = NameRef<'a>>) -> Vec<PathBuf> {
        let known: std::collections::HashSet<String> = known.map(disk::folder_name).collect();
        let Ok(entries) = fs::read_dir(&self.root) else {
            return Vec::new();
        };
        let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders
            .filter(|entry| !known.contains(&*entry.file_name().to_string_lossy()))
            .map(|entry| entry.path())
            .collect()
    }
}

/// What was found on disk.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The zone.
    pub zone: Zone,
    /// When an origin last confirmed it.
    pub refreshed_unix_s: u64,
}

/// The files of one zone. Its methods block; call them where blocking is allowed.
#[derive(Debug)]
pub(crate) struct ZoneStore {
    root: Arc<Path>,
    apex: NameBox,
    state: Mutex<State>,
    /// The last differences, as far as nodes downstream may ask for them.
    history: Arc<History>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// The generation and size of the snapshot on disk.
    snapshot: Option<(u64, u64)>,
    /// The generation of the journal that is appended to, and its size; 0 when there is no file yet.
    journal: (u64, u64),
    /// The highest generation that was given out.
    generation: u64,
    compacting: bool,
}

/// A compaction that was begun: a snapshot of this generation is to be written.
#[derive(Debug)]
#[must_use]
pub(crate) struct Compaction {
    generation: u64,
}

impl ZoneStore {
    /// Reads the zone; `None` when there is nothing whole. `note` is told what was dropped or set aside.
    ///
    /// # Errors
    /// [`Error::Disk`] when the system does not let us.
    pub(crate) fn load(&self, note: &mut dyn FnMut(String)) -> Result<Option<Loaded>, Error> {
        let mut state = self.lock();
        let files = disk::list(&self.dir())?;
        disk::remove(&files, |name| name.ends_with(disk::TEMPORARY))?;
        let path = self.snapshot_path();
        let Some(bytes) = disk::read(&path)? else {
            disk::remove_journals(&files, |_| true)?;
            return Ok(None);
        };
        let (header, zone) = match self.read_snapshot(&bytes) {
            Ok(found) => found,
            Err(why) => {
                note(format!("{} is damaged ({why}); set aside", path.display()));
                disk::set_aside(&path)?;
                disk::remove_journals(&files, |_| true)?;
                return Ok(None);
            }
        };
        *state = State { snapshot: Some((header.generation, bytes.len() as u64)), ..State::default() };
        drop(bytes);
        let mut loaded = Loaded { zone, refreshed_unix_s: header.refreshed_unix_s };
        disk::remove_journals(&files, |journal| journal < header.generation)?;
        self.replay(&mut state, header.generation, &mut loaded, note)?;
        // Journals that do not follow on the last one that fits.
        let newest = state.generation;
        disk::remove_journals(&files, |journal| journal > newest)?;
        if let Some(meta) = disk::read(&self.meta_path())?.as_deref().and_then(MetaRecord::parse)
            && meta.serial == loaded.zone.serial()
        {
            loaded.refreshed_unix_s = loaded.refreshed_unix_s.max(meta.refreshed_unix_s);
        }
        Ok(Some(loaded))
    }

    fn read_snapshot(&self, bytes: &[u8]) -> Result<(disk::SnapshotHeader, Zone), String> {
        let (header, content) = disk::SnapshotHeader::parse(bytes).ok_or("its header is wrong")?;
        let zone = Zone::read_from(content).map_err(|error| error.to_string())?;
        if !zone.apex().eq_ignore_case(self.apex.as_ref()) {
            return Err(format!("it is of the zone {}", zone.apex()));
        }
        Ok((header, zone))
    }

    /// Applies the journals that continue a snapshot, as far as they are whole and fit.
    fn replay(
        &self,
        state: &mut State,
        generation: u64,
        loaded: &mut Loaded,
        note: &mut dyn FnMut(String),
    ) -> Result<(), Error> {
        let mut last = generation;
        state.journal = (generation, 0);
        while let Some(bytes) = disk::read(&self.journal_path(last))? {
            let path = self.journal_path(last);
            let scan = journal::scan(&bytes).filter(|scan| scan.generation == last);
            let Some(scan) = scan else {
                if bytes.len() >= journal::HEADER_BYTES {
                    note(format!("{} has a wrong header; set aside", path.display()));
                    disk::set_aside(&path)?;
                } else {
                    fs::remove_file(&path).map_err(disk::error("remove", &path))?;
                }
                break;
            };
            let valid_bytes = apply_entries(&scan, loaded, &self.history);
            state.journal = (last, valid_bytes);
            if valid_bytes < bytes.len() as u64 {
                let torn = scan.tail == Tail::Torn && valid_bytes == scan.valid_bytes as u64;
                self.cut(&path, &bytes, valid_bytes, torn, note)?;
                break;
            }
            last += 1;
        }
        state.generation = state.journal.0.max(generation);
        Ok(())
    }

    /// Cuts off the end of a journal; what is more than a torn entry is kept aside.
    fn cut(
        &self,
        path: &Path,
        bytes: &[u8],
        valid: u64,
        torn: bool,
        note: &mut dyn FnMut(String),
    ) -> Result<(), Error> {
        let dropped = bytes.len() as u64 - valid;
        if torn {
            note(format!("{}: dropped {dropped} bytes of an unfinished entry", path.display()));
        } else {
            let aside = disk::aside(path);
            fs::write(&aside, bytes).map_err(disk::error("write", &aside))?;
            note(format!("{}: damaged from byte {valid} on; a copy is in {}", path.display(), aside.display()));
        }
        let file = OpenOptions::new().write(true).open(path).map_err(disk::error("open", path))?;
        file.set_len(valid).and_then(|()| file.sync_all()).map_err(disk::error("shorten", path))
    }

    /// Appends the differences that lead from one serial to another; they are on disk when this returns. The zone that
    /// they lead to may be due to be written by [`ZoneStore::compact`].
    ///
    /// # Errors
    /// [`Error::Disk`]; the journal is then as it was before. [`Error::Removed`].
    pub(crate) fn append(
        &self,
        differences: &[Difference],
        (from, to): (u32, u32),
        refreshed_unix_s: u64,
    ) -> Result<Appended, Error> {
        let mut payload = Vec::new();
        encode_differences(differences, &mut payload);
        let mut state = self.lock();
        let Some((_, snapshot_bytes)) = state.snapshot.filter(|_| !state.closed) else {
            return if state.closed { Err(Error::Removed) } else { Ok(Appended::TooLarge) };
        };
        let (generation, length) = state.journal;
        let mut bytes = if length == 0 { journal::header(generation) } else { Vec::new() };
        if !journal::encode(&Entry { refreshed_unix_s, from, to, payload: &payload }, &mut bytes) {
            return Ok(Appended::TooLarge);
        }
        self.write_journal(generation, length, &bytes)?;
        self.history.push(differences);
        state.journal.1 += bytes.len() as u64;
        state.generation = state.generation.max(generation);
        let limit = (snapshot_bytes / SNAPSHOT_PARTS).clamp(JOURNAL_BYTES_MIN, JOURNAL_BYTES_MAX);
        if state.journal.1 <= limit || state.compacting {
            return Ok(Appended::Done(None));
        }
        state.compacting = true;
        state.generation += 1;
        state.journal = (state.generation, 0);
        Ok(Appended::Done(Some(Compaction { generation: state.generation })))
    }

    fn write_journal(&self, generation: u64, length: u64, bytes: &[u8]) -> Result<(), Error> {
        let path = self.journal_path(generation);
        let mut options = OpenOptions::new();
        // A file without a header is the rest of an append that failed.
        let file = if length == 0 { options.write(true).create(true).truncate(true) } else { options.append(true) };
        let mut file = file.open(&path).map_err(disk::error("open", &path))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        if let Err(source) = written {
            // The half-written entry must not stand before the next one.
            let _ = file.set_len(length);
            return Err(disk::error("append to", &path)(source));
        }
        if length == 0 { disk::sync_folder(&self.dir()) } else { Ok(()) }
    }

    /// Writes the snapshot that a compaction needs: the zone as it was when [`ZoneStore::append`] asked for it.
    ///
    /// # Errors
    /// [`Error::Disk`]; what was on disk still counts.
    pub(crate) fn compact(&self, compaction: &Compaction, zone: &Zone, refreshed_unix_s: u64) -> Result<(), Error> {
        let written = self.write_snapshot(zone, compaction.generation, refreshed_unix_s);
        let outcome =
            written.and_then(|(temporary, bytes)| self.put_in_place(&temporary, compaction.generation, bytes));
        self.lock().compacting = false;
        outcome
    }

    /// Writes a whole zone in place of whatever was there; it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Disk`]; what was on disk still counts. [`Error::Removed`].
    pub(crate) fn save(&self, zone: &Zone, refreshed_unix_s: u64) -> Result<(), Error> {
        let generation = {
            let mut state = self.lock();
            if state.closed {
                return Err(Error::Removed);
            }
            state.generation += 1;
            state.generation
        };
        self.history.clear();
        fs::create_dir_all(self.dir()).map_err(disk::error("create the folder", &self.dir()))?;
        let (temporary, bytes) = self.write_snapshot(zone, generation, refreshed_unix_s)?;
        self.put_in_place(&temporary, generation, bytes)?;
        let mut state = self.lock();
        state.journal = (generation, 0);
        Ok(())
    }

    fn write_snapshot(&self, zone: &Zone, generation: u64, refreshed_unix_s: u64) -> Result<(PathBuf, u64), Error> {
        let path = self.dir().join(format!("snapshot.{generation}{}", disk::TEMPORARY));
        let write = || -> io::Result<u64> {
            let mut file = BufWriter::with_capacity(
                zone.heap_bytes().clamp(WRITE_BUFFER_BYTES_MIN, WRITE_BUFFER_BYTES_MAX),
                File::create(&path)?,
            );
            file.write_all(&disk::SnapshotHeader { generation, refreshed_unix_s }.to_bytes())?;
            zone.write_to(&mut file).map_err(io::Error::other)?;
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            Ok(file.metadata()?.len())
        };
        match write() {
            Ok(bytes) => Ok((path, bytes)),
            Err(source) => {
                let _ = fs::remove_file(&path);
                Err(disk::error("write", &path)(source))
            }
        }
    }

    fn put_in_place(&self, temporary: &Path, generation: u64, bytes: u64) -> Result<(), Error> {
        let mut state = self.lock();
        let newer = state.snapshot.is_some_and(|(there, _)| there > generation);
        if state.closed || newer {
            let _ = fs::remove_file(temporary);
            return if state.closed { Err(Error::Removed) } else { Ok(()) };
        }
        let path = self.snapshot_path();
        fs::rename(temporary, &path).map_err(disk::error("put in place", &path))?;
        disk::sync_folder(&self.dir())?;
        state.snapshot = Some((generation, bytes));
        disk::remove_journals(&disk::list(&self.dir())?, |journal| journal < generation)
    }

    /// Notes that an origin has confirmed the serial. It may be lost in a crash: then the zone expires earlier.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn note_refreshed(&self, serial: u32, refreshed_unix_s: u64) -> Result<(), Error> {
        let state = self.lock();
        if state.closed || state.snapshot.is_none() {
            return Ok(());
        }
        let path = self.meta_path();
        let temporary = self.dir().join(format!("meta{}", disk::TEMPORARY));
        fs::write(&temporary, MetaRecord { serial, refreshed_unix_s }.to_text())
            .map_err(disk::error("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(disk::error("put in place", &path))
    }

    /// The last differences that are kept in memory.
    pub(crate) fn history(&self) -> Arc<History> {
        Arc::clone(&self.history)
    }

    /// Sizes of the snapshot and the journal; `None` while something is being written.
    pub(crate) fn sizes(&self) -> Option<(u64, u64)> {
        let state = self.state.try_lock().ok()?;
        Some((state.snapshot.map_or(0, |(_, bytes)| bytes), state.journal.1))
    }

    /// Lets nothing more be written, and removes the files.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub(crate) fn remove(&self) -> Result<(), Error> {
        self.lock().closed = true;
        match fs::remove_dir_all(self.dir()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(disk::error("remove", &self.dir())(source)),
            _ => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Made when it is needed: a path kept for each of very many zones would be memory for nothing.
    fn dir(&self) -> PathBuf {
        self.root.join(disk::folder_name(self.apex.as_ref()))
    }

    fn snapshot_path(&self) -> PathBuf {
        self.dir().join("snapshot")
    }

    fn journal_path(&self, generation: u64) -> PathBuf {
        self.dir().join(format!("{}{generation}", disk::JOURNAL))
    }

    fn meta_path(&self) -> PathBuf {
        self.dir().join("meta")
    }
}

/// What became of an append.
#[derive(Debug)]
pub(crate) enum Appended {
    /// It is on disk; perhaps a compaction is due.
    Done(Option<Compaction>),
    /// Save the whole zone instead: the journal does not take a change this large, or there is no snapshot.
    TooLarge,
}

/// Applies entries as far as they fit; where in the journal the last of them ends.
fn apply_entries(scan: &journal::Scan<'_>, loaded: &mut Loaded, history: &History) -> u64 {
    let mut end = journal::HEADER_BYTES as u64;
    let mut fitting = Vec::new();
    let mut serial = loaded.zone.serial();
    for entry in &scan.entries {
        let Some(differences) = decode_differences(entry.payload).filter(|_| entry.from == serial) else {
            break;
        };
        serial = entry.to;
        end += (journal::ENTRY_HEADER_BYTES + entry.payload.len()) as u64;
        fitting.push((entry, end, differences));
    }
    let all = fitting.iter().flat_map(|(_, _, differences)| differences);
    if let Ok(zone) = loaded.zone.apply_all(all, &zones::Limits::NONE) {
        loaded.zone = zone;
        fitting.iter().for_each(|(_, _, differences)| history.push(differences));
        loaded.refreshed_unix_s = fitting.last().map_or(loaded.refreshed_unix_s, |(entry, ..)| entry.refreshed_unix_s);
        return end;
    }
    // One of them does not fit: keep those before it.
    let mut end = journal::HEADER_BYTES as u64;
    for (entry, entry_end, differences) in &fitting {
        let Ok(zone) = loaded.zone.apply_all(differences, &zones::Limits::NONE) else {
            break;
        };
        (loaded.zone, loaded.refreshed_unix_s, end) = (zone, entry.refreshed_unix_s, *entry_end);
    }
    end
}

/// Payload = (length u32 | difference)*
fn encode_differences(differences: &[Difference], out: &mut Vec<u8>) {
    for difference in differences {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        difference.encode(out);
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

pub(crate) fn decode_differences(mut payload: &[u8]) -> Option<Vec<Difference>> {
    let mut differences = Vec::new();
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        differences.push(Difference::decode(bytes).ok()?);
        payload = rest;
    }
    Some(differences)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
