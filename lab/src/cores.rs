//! Which core a program or a thread of the lab stays on.

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::LabError;

/// This core alone.
pub(crate) fn only(core: usize) -> Result<CpuSet, LabError> {
    let mut cores = CpuSet::new();
    cores.set(core).map_err(LabError::errno(format!("choosing core {core}")))?;
    Ok(cores)
}

/// Keeps the current thread, and what it starts from now on, on this core.
pub(crate) fn stay_on(core: usize) -> Result<(), LabError> {
    let cores = only(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores).map_err(LabError::errno(format!("staying on core {core}")))
}
