//! One thread that starts every child of this process. A parent-death signal comes when the *thread* that started the
//! child ends, not the process; so children are never started by a thread that may end before the lab does.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    process::{Child, Command},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError, mpsc},
    thread,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

/// Children asked for and not yet started; callers wait for their answer, so a few are plenty.
const JOBS_MAX: usize = 16;

type Job = (Command, mpsc::SyncSender<io::Result<Child>>);

/// What must go when this process is told to stop: process groups and folders.
#[derive(Default)]
pub(crate) struct Belongings {
    pub(crate) groups: BTreeSet<i32>,
    pub(crate) folders: BTreeSet<PathBuf>,
}

/// The belongings of all labs of this process.
pub(crate) fn belongings() -> MutexGuard<'static, Belongings> {
    static BELONGINGS: OnceLock<Mutex<Belongings>> = OnceLock::new();
    BELONGINGS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Start `command` from the keeper's thread.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<mpsc::SyncSender<Job>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (jobs, todo) = mpsc::sync_channel::<Job>(JOBS_MAX);
        thread::spawn(move || {
            for (mut command, answer) in todo {
                let child = command.spawn();
                if let Ok(child) = &child {
                    belongings().groups.insert(group(child));
                }
                // Whoever asked has gone away only if its thread was torn down; nothing is left to tell then.
                let _ = answer.send(child);
            }
        });
        jobs
    });
    let gone = || io::Error::other("the thread that starts processes has ended");
    let (answer, child) = mpsc::sync_channel(1);
    keeper.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// The process group of a child: each leads its own.
pub(crate) fn group(child: &Child) -> i32 {
    i32::try_from(child.id()).unwrap_or(i32::MAX)
}

/// Kill every process group and remove every folder of this process's labs.
pub(crate) fn drop_everything() {
    let all = std::mem::take(&mut *belongings());
    for group in all.groups {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    for folder in all.folders {
        let _ = std::fs::remove_dir_all(folder);
    }
}
