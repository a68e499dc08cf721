//! One run of the lab: its folder, its namespaces, and the promise to leave nothing behind.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use nix::{
    sys::signal::{SigSet, Signal},
    unistd::geteuid,
};

use crate::{LabError, Namespace, Network, Topology, keeper, process::Registry, sweep, wires};

/// Set in the environment, a run's folder is kept for reading afterwards.
const KEEP: &str = "PARAPET_LAB_KEEP";

/// One run: a folder, namespaces, processes. Dropping it ends the processes and removes the folder; the namespaces go
/// with the last handle and the last process in them.
pub struct Lab {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    name: String,
    run: String,
    folder: PathBuf,
    pub(crate) processes: Registry,
    pub(crate) wires: wires::Forwarder,
}

impl Lab {
    /// Begin a run called `name` (it appears in messages only). Sweeps up what killed labs left.
    pub fn new(name: &str) -> Result<Lab, LabError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            return Err(LabError::NotRoot);
        }
        let base = std::env::temp_dir().join("parapet-lab");
        sweep::sweep(&base);
        let pid = std::process::id();
        let start = sweep::start_time(pid).unwrap_or_default();
        let run = format!("{pid}-{start}-{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        let folder = base.join(&run);
        fs::create_dir_all(&folder).map_err(LabError::io(format!("creating {}", folder.display())))?;
        keeper::belongings().folders.insert(folder.clone());
        Ok(Lab {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                run,
                folder,
                processes: Registry::default(),
                wires: wires::Forwarder::default(),
            }),
        })
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The run's own folder: configurations, zones, outputs. Gone when the lab is.
    pub fn folder(&self) -> &Path {
        &self.inner.folder
    }

    /// A new, empty network namespace with only its loopback, which is up.
    pub fn namespace(&self, name: &str) -> Result<Namespace, LabError> {
        Namespace::new(&self.inner, name)
    }

    /// Build a whole network from its description.
    pub fn build(&self, topology: &Topology) -> Result<Network, LabError> {
        topology.build(self)
    }
}

impl Inner {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// A sub-folder for one server or host, created when first asked for.
    pub(crate) fn sub_folder(&self, name: &str) -> Result<PathBuf, LabError> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(LabError::io(format!("creating {}", folder.display())))?;
        Ok(folder)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            self.inner.processes.print_tails(&self.inner.name);
        }
        self.inner.processes.kill_all();
        self.inner.wires.stop();
        if std::env::var_os(KEEP).is_some() {
            eprintln!("lab {}: kept {}", self.inner.name, self.inner.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.inner.folder);
        }
        keeper::belongings().folders.remove(&self.inner.folder);
    }
}

/// Set once a signal has told this process to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Whether a signal has told this process to end: what fails now fails because its servers are being killed. The caller
/// has nothing more to do; the process is about to exit.
pub fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// From now on SIGINT, SIGTERM and SIGHUP end this process after every lab of it was cleaned up. Call it first thing in
/// `main`, before other threads exist: they inherit the signal mask.
pub fn clean_up_on_signals() -> Result<(), LabError> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().map_err(LabError::errno("blocking signals"))?;
    thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            ENDING.store(true, Ordering::SeqCst);
            eprintln!("\n{signal}: cleaning up");
            keeper::drop_everything();
            std::process::exit(128 + signal as i32);
        }
    });
    Ok(())
}
