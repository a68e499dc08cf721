//! Tells when the network file changes on disk.
//!
//! Editors and deployment tools replace files rather than write them, so the folder is watched; what stands at the path
//! is then compared by its identity, size and time.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// A file is read once nothing has happened for this long.
const QUIET: Duration = Duration::from_millis(100);
/// But after this long at the latest.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// Watches one file.
#[derive(Debug)]
pub(crate) struct Watch {
    path: PathBuf,
    seen: Option<Identity>,
    events: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

/// What tells one state of a file from another: device, inode, size, and time of change with nanoseconds.
type Identity = (u64, u64, u64, i64, i64);

impl Watch {
    pub(crate) fn start(path: &Path) -> notify::Result<Self> {
        // One event that waits is as good as many.
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| changes_files(event.kind)) {
                let _ = sender.try_send(());
            }
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { path: path.to_owned(), seen: identity(path), events, _watcher: watcher })
    }

    /// Returns once the file has changed and come to rest.
    pub(crate) async fn changed(&mut self) {
        loop {
            if self.events.recv().await.is_none() {
                // The watcher is gone; SIGHUP still works.
                return std::future::pending().await;
            }
            self.rest().await;
            let now = identity(&self.path);
            // A file that is gone for a moment is about to be replaced.
            if now.is_some() && now != self.seen {
                self.seen = now;
                return;
            }
        }
    }

    async fn rest(&mut self) {
        let latest = Instant::now() + QUIET_MAX;
        tokio::select! {
            () = sleep_until(latest) => {}
            () = async { while let Ok(Some(())) = timeout(QUIET, self.events.recv()).await {} } => {}
        }
    }
}

fn changes_files(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.size(), metadata.ctime(), metadata.ctime_nsec()))
}
