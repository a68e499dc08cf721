//! What the keeper put on `lo`, on disk: written before it is put there, forgotten once it is away. A start after a run
//! that lost daemon and keeper both knows by it what to take away or over.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// The folder within the state folder.
const FOLDER: &str = "anycast";
/// The record within it.
const ADDRESSES: &str = "addresses";
/// How long a keeper before us may take to take its addresses away.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);
/// Pause between two looks at the lock.
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(10);
/// Bytes of a record; what is longer is none.
const RECORD_BYTES_MAX: u64 = 64 * 1024;

/// The record; no other keeper has it while it lives.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    addresses: BTreeSet<IpAddr>,
    _lock: Flock<File>,
}

impl Record {
    /// Reads the record in a state folder, after waiting for a keeper that still works on it.
    pub(super) fn open(state_dir: &Path) -> io::Result<Self> {
        let folder = state_dir.join(FOLDER);
        fs::DirBuilder::new().recursive(true).mode(0o750).create(&folder)?;
        let lock = take_lock(&folder.join("addresses.lock"))?;
        let path = folder.join(ADDRESSES);
        let mut text = String::new();
        match File::open(&path) {
            Ok(file) => drop(file.take(RECORD_BYTES_MAX).read_to_string(&mut text)?),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(why),
        }
        let addresses = text.lines().filter_map(|line| line.parse().ok()).collect();
        Ok(Self { path, addresses, _lock: lock })
    }

    /// What was put on `lo` and not taken away since.
    pub(super) fn addresses(&self) -> &BTreeSet<IpAddr> {
        &self.addresses
    }

    /// Writes down other addresses; none: the record goes.
    pub(super) fn set(&mut self, addresses: BTreeSet<IpAddr>) -> io::Result<()> {
        if addresses == self.addresses {
            return Ok(());
        }
        if addresses.is_empty() {
            match fs::remove_file(&self.path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
                _ => {}
            }
        } else {
            let text: String = addresses.iter().map(|address| format!("{address}\n")).collect();
            let new = self.path.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
        }
        self.addresses = addresses;
        Ok(())
    }
}

/// Whether an earlier run with this state folder may have left addresses on `lo`.
pub fn are_left_over(state_dir: &Path) -> bool {
    state_dir.join(FOLDER).join(ADDRESSES).exists()
}

fn take_lock(path: &Path) -> io::Result<Flock<File>> {
    let until = Instant::now() + LOCK_WAIT_MAX;
    let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((_, Errno::EWOULDBLOCK)) if Instant::now() >= until => {
                return Err(io::Error::other("another keeper still holds it"));
            }
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) => file = back,
            Err((_, why)) => return Err(why.into()),
        }
        thread::sleep(LOCK_LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_there_for_the_next_and_only_for_one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let some: BTreeSet<IpAddr> =
            ["192.0.2.53", "2001:db8::53"].iter().filter_map(|text| text.parse().ok()).collect();
        let mut record = Record::open(folder.path()).expect("a record");
        assert!(record.addresses().is_empty());
        record.set(some.clone()).expect("written");
        let next = {
            let path = folder.path().to_owned();
            thread::spawn(move || Record::open(&path))
        };
        drop(record);
        let mut next = next.join().expect("a thread").expect("a record");
        assert_eq!(next.addresses(), &some);
        next.set(BTreeSet::new()).expect("forgotten");
        drop(next);
        assert!(Record::open(folder.path()).expect("a record").addresses().is_empty());
        assert!(!folder.path().join("anycast/addresses").exists());
    }

    #[test]
    fn nonsense_in_a_record_is_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("anycast")).expect("a folder");
        fs::write(folder.path().join("anycast/addresses"), "192.0.2.53\n\nx\n192.0.2.54/32\n::1").expect("written");
        let record = Record::open(folder.path()).expect("a record");
        assert_eq!(record.addresses().len(), 2);
    }
}
