//! Routers in namespaces: real BGP speakers of other makers, each with its control socket and files in the lab's folder.

mod bird;

use std::{fs, path::Path, process::ExitStatus, time::Duration};

use nix::sys::signal::Signal;

use crate::{LabError, Namespace, Process, Program};

pub use bird::{Bird, BirdBuilder, BirdRoute};

/// A router is to answer on its control socket within this time of its start.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// It answers one command within this time.
const COMMAND_DEADLINE: Duration = Duration::from_secs(20);
/// What one command answers is not longer than this; full tables are asked for by prefix.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One program of a router: how it is frozen, ended, started again.
pub struct Daemon {
    label: String,
    program: Program,
    process: Process,
}

impl Daemon {
    fn start(subject: &str, namespace: &Namespace, program: Program) -> Result<Daemon, LabError> {
        let label = format!("{subject}-{}", namespace.name());
        let process = program.clone().spawn(&label)?;
        Ok(Daemon { label, program, process })
    }

    /// Its process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// End it in its own orderly way.
    pub fn stop(&self) -> Result<ExitStatus, LabError> {
        self.process.stop()
    }

    /// Kill it: SIGKILL.
    pub fn kill(&self) -> Result<ExitStatus, LabError> {
        self.process.kill()
    }

    /// Stop its clock, so to speak: SIGSTOP. Its sockets stay open and say nothing more.
    pub fn freeze(&self) -> Result<(), LabError> {
        self.process.signal(Signal::SIGSTOP)
    }

    /// Let it go on.
    pub fn thaw(&self) -> Result<(), LabError> {
        self.process.signal(Signal::SIGCONT)
    }

    /// Start it again with the same arguments; ends it first where it still runs.
    fn start_again(&mut self) -> Result<(), LabError> {
        self.stop()?;
        self.process = self.program.clone().spawn(&self.label)?;
        Ok(())
    }
}

/// Write one file of a router's folder.
fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(LabError::io(format!("writing {}", path.display())))
}
