//! The state folder: made if need be, ours alone while we run, and writable.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{User, chown};

use crate::failure::Failure;

/// Held while the daemon runs, so that no second one writes to the same folder.
#[derive(Debug)]
pub(crate) struct StateFolder {
    _lock: Flock<File>,
}

/// Makes the folder while we still may, gives it to the user that we become, and takes it.
pub(crate) fn take(folder: &Path, user: Option<&User>) -> Result<StateFolder, Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o750).create(folder);
    made.map_err(|why| unusable(folder, "cannot be made", &why))?;
    give(folder, folder, user)?;
    let path = folder.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(|why| unusable(folder, "is not writable", &why))?;
    give(folder, &path, user)?;
    match Flock::lock(lock, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(StateFolder { _lock: lock }),
        Err((_, Errno::EWOULDBLOCK)) => Err(Failure::Runtime(format!(
            "the state folder {} is in use by another parapet: stop that one, or give this one a folder of its own",
            folder.display()
        ))),
        Err((_, why)) => Err(unusable(folder, "cannot be locked", &why.into())),
    }
}

/// Finds out whether we may still write to the folder, now that privileges are given up.
pub(crate) fn probe(folder: &Path) -> Result<(), Failure> {
    let path = folder.join("probe");
    let probe = File::create(&path).and_then(|_| fs::remove_file(&path));
    probe.map_err(|why| unusable(folder, "is not writable", &why))
}

fn give(folder: &Path, path: &Path, user: Option<&User>) -> Result<(), Failure> {
    let Some(user) = user else { return Ok(()) };
    chown(path, Some(user.uid), Some(user.gid))
        .map_err(|why| unusable(folder, &format!("cannot be given to the user {:?}", user.name), &why.into()))
}

fn unusable(folder: &Path, what: &str, why: &io::Error) -> Failure {
    Failure::Runtime(format!(
        "the state folder {} {what} ({why}): make a folder that this user may write to, or name another with state_dir or --state",
        folder.display()
    ))
}
