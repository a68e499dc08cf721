//! What outlives a restart, in the folder `anycast` of the state folder: that somebody drained the node, and how often its
//! routes came and went.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::decide::Damping;
use crate::{ByHand, Error};

/// The folder in the state folder.
const FOLDER: &str = "anycast";
/// Somebody drained the node, while this file is there.
const DRAINED: &str = "drained.json";
/// The flaps.
const FLAPS: &str = "flaps.json";
/// A longer file is none of ours.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
}

/// What is kept of the routes' flaps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flaps {
    /// Whether something is announced: a run that ended like that did not end in peace.
    pub(crate) announced: bool,
    /// The hold-down that was last ordered.
    pub(crate) hold_s: f64,
    /// When this was written.
    pub(crate) unix_s: f64,
}

impl Kept {
    /// Makes the folder if there is none.
    pub(crate) fn open(state_dir: &Path) -> Result<Kept, Error> {
        let folder = state_dir.join(FOLDER);
        let made = fs::create_dir_all(&folder);
        made.map_err(|source| Error::Disk { action: "make the folder", path: folder.clone(), source })?;
        Ok(Kept { folder })
    }

    /// The order that drains the node. One that cannot be read is obeyed: a node that was drained must not announce
    /// itself because of a bad disk, and whoever drained it can take that back.
    pub(crate) fn drained(&self) -> Option<ByHand> {
        match self.read(DRAINED) {
            Ok(by_hand) => by_hand,
            Err(why) => {
                let path = self.folder.join(DRAINED);
                tracing::error!(%why, path = %path.display(), "the order that drained this node is damaged: obeyed until `parapet undrain`");
                Some(ByHand { since_unix_s: unix_s(), reason: format!("{} is damaged", path.display()) })
            }
        }
    }

    /// Keeps the order.
    pub(crate) fn drain(&self, order: &ByHand) -> Result<(), Error> {
        self.write(DRAINED, order)
    }

    /// Forgets it.
    pub(crate) fn undrain(&self) -> Result<(), Error> {
        let path = self.folder.join(DRAINED);
        let removed = match fs::remove_file(&path) {
            Err(why) if why.kind() != ErrorKind::NotFound => Err(why),
            _ => self.sync_folder(),
        };
        removed.map_err(|source| Error::Disk { action: "remove", path, source })
    }

    /// The hold-down that an earlier run leaves to this one. Having ended while announced counts as a flap: a daemon that
    /// crashes again and again must wait longer each time, too.
    pub(crate) fn damping(&self, now: Instant, max: Duration) -> Damping {
        let flaps: Option<Flaps> = self.read(FLAPS).unwrap_or_else(|why| {
            tracing::warn!(%why, folder = %self.folder.display(), "what was kept of flaps is damaged, and forgotten");
            None
        });
        let Some(flaps) = flaps else { return Damping::default() };
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let (hold, age) = (seconds(flaps.hold_s).min(max), seconds(unix_s() - flaps.unix_s));
        let mut damping = Damping::remembered(hold, age, now);
        if flaps.announced {
            if age >= hold + max {
                damping = Damping::default();
            }
            damping.flap(now, max);
        }
        damping
    }

    /// Keeps the flaps.
    pub(crate) fn keep(&self, flaps: &Flaps) -> Result<(), Error> {
        self.write(FLAPS, flaps)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let path = self.folder.join(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => return Err(io::Error::other("it is too long")),
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            _ => {}
        }
        Ok(Some(serde_json::from_slice(&fs::read(&path)?)?))
    }

    /// Writes beside, syncs, renames: there is the old file or the new one, whole.
    fn write<T: Serialize>(&self, name: &str, content: &T) -> Result<(), Error> {
        let (path, beside) = (self.folder.join(name), self.folder.join(format!("{name}.tmp")));
        let write = || {
            let mut file = File::create(&beside)?;
            file.write_all(&serde_json::to_vec(content)?)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            self.sync_folder()
        };
        write().map_err(|source| Error::Disk { action: "write", path: path.clone(), source })
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

/// Now, in Unix seconds.
pub(crate) fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    fn order() -> ByHand {
        ByHand { since_unix_s: 1.5, reason: "a new disk".into() }
    }

    #[test]
    fn an_order_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path()).unwrap();
        assert_eq!(kept.drained(), None);
        kept.drain(&order()).unwrap();
        assert_eq!(Kept::open(folder.path()).unwrap().drained(), Some(order()));
        kept.undrain().unwrap();
        kept.undrain().unwrap();
        assert_eq!(Kept::open(folder.path()).unwrap().drained(), None);
    }

    #[test]
    fn a_torn_order_drains() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path()).unwrap();
        kept.drain(&order()).unwrap();
        let path = folder.path().join(FOLDER).join(DRAINED);
        let whole = fs::read(&path).unwrap();
        for bytes in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..bytes]).unwrap();
            assert!(kept.drained().is_some_and(|order| order.reason.ends_with("is damaged")), "{bytes} bytes");
        }
        fs::write(&path, vec![b' '; FILE_BYTES_MAX as usize + 1]).unwrap();
        assert!(kept.drained().is_some());
    }

    #[test]
    fn a_run_that_did_not_end_in_peace_is_a_flap() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::open(folder.path()).unwrap();
        let now = Instant::now();
        let hold_s = |announced, hold_s, age_s| {
            kept.keep(&Flaps { announced, hold_s, unix_s: unix_s() - age_s }).unwrap();
            kept.damping(now, MAX).hold().as_secs()
        };
        assert_eq!(kept.damping(now, MAX), Damping::default());
        assert_eq!(hold_s(true, 0.0, 1000.0), 1, "the first");
        assert_eq!(hold_s(true, 1.0, 5.0), 2);
        assert_eq!(hold_s(true, 32.0, 5.0), 60);
        assert_eq!(hold_s(true, 60.0, 121.0), 1, "long after");
        assert_eq!(hold_s(false, 8.0, 5.0), 8, "in peace");
        assert!(kept.damping(now, MAX).over(now + Duration::from_secs(4)));
        assert!(!kept.damping(now, MAX).over(now + Duration::from_secs(2)));
        fs::write(folder.path().join(FOLDER).join(FLAPS), "{").unwrap();
        assert_eq!(kept.damping(now, MAX), Damping::default());
    }
}
