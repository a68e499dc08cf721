//! Running processes: watched, written to, ended.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::{LabError, keeper, receive::run_time, until};

/// A process told to end gets this long before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// Of a failed program's output, the end that a message shows.
pub(crate) const TAIL_BYTES: usize = 3000;

/// A running process. Dropping the handle does not end it: [`Process::stop`], [`Process::kill`] or the lab's end do.
#[derive(Clone)]
pub struct Process {
    inner: Arc<Running>,
}

struct Running {
    label: String,
    pid: Pid,
    output: PathBuf,
    child: Mutex<Child>,
}

/// All processes of a lab.
#[derive(Default)]
pub(crate) struct Registry {
    processes: Mutex<Vec<Process>>,
    counter: AtomicU32,
}

impl Process {
    /// The label it was spawned with.
    pub fn label(&self) -> &str {
        &self.inner.label
    }

    /// Its process id, which is also its process group.
    pub fn pid(&self) -> u32 {
        self.inner.pid.as_raw().unsigned_abs()
    }

    /// All it has written so far, both streams, bytes that are no UTF-8 replaced.
    pub fn output(&self) -> String {
        read(&self.inner.output)
    }

    /// Write to its standard input; see [`crate::Program::piped`].
    pub fn write(&self, text: &str) -> Result<(), LabError> {
        let mut child = lock(&self.inner.child);
        let input = child.stdin.as_mut();
        let input = input.ok_or_else(|| LabError::Invalid(format!("{} was not started with a pipe", self.label())))?;
        let written = input.write_all(text.as_bytes()).and_then(|()| input.flush());
        written.map_err(LabError::io(format!("writing to {}", self.inner.label)))
    }

    /// The exit status, if it has ended.
    pub fn status(&self) -> Option<ExitStatus> {
        lock(&self.inner.child).try_wait().ok().flatten()
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        self.status().is_none()
    }

    /// Wait for its end.
    pub fn wait(&self, deadline: Duration) -> Result<ExitStatus, LabError> {
        let what = format!("the end of {}", self.inner.label);
        until(what, deadline, || self.status()).map_err(|error| self.explain(error))
    }

    /// Wait until `condition` gives a value; fails at once if the process ends before, and shows its output.
    pub fn wait_until<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T, LabError> {
        let start = Instant::now();
        let mut ended = false;
        let found = until(format!("{} ({what})", self.inner.label), deadline, || {
            ended = !self.is_running();
            condition().map(Some).or(ended.then_some(None))
        });
        match found {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.explain(LabError::NotReady {
                what: format!("{} ({what}): it has ended", self.inner.label),
                waited: start.elapsed(),
                details: String::new(),
            })),
            Err(error) => Err(self.explain(error)),
        }
    }

    /// Wait until its output has this text.
    pub fn wait_for_output(&self, text: &str, deadline: Duration) -> Result<(), LabError> {
        self.wait_until(&format!("it writes {text:?}"), deadline, || self.output().contains(text).then_some(()))
    }

    /// Send it (it alone, not its group) a signal.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        kill(self.inner.pid, signal).map_err(LabError::errno(format!("sending {signal} to {}", self.inner.label)))
    }

    /// Send a signal to it and to what it has started, as far as that stays in its process group.
    pub fn signal_group(&self, signal: Signal) -> Result<(), LabError> {
        killpg(self.inner.pid, signal).map_err(LabError::errno(format!("sending {signal} to {}", self.inner.label)))
    }

    /// End it: SIGTERM, and after a while SIGKILL. Waits for its children too: NSD's hold the sockets somewhat longer.
    /// Gives the exit status.
    pub fn stop(&self) -> Result<ExitStatus, LabError> {
        if self.is_running() {
            self.signal(Signal::SIGTERM)?;
        }
        match self.wait(STOP_DEADLINE).and_then(|status| self.wait_for_group().map(|()| status)) {
            Ok(status) => Ok(status),
            Err(_) => self.kill(),
        }
    }

    /// Kill its process group with SIGKILL and wait for its end.
    pub fn kill(&self) -> Result<ExitStatus, LabError> {
        let _ = killpg(self.inner.pid, Signal::SIGKILL);
        let status = self.wait(STOP_DEADLINE)?;
        self.wait_for_group()?;
        Ok(status)
    }

    fn wait_for_group(&self) -> Result<(), LabError> {
        let what = format!("the end of the children of {}", self.inner.label);
        until(what, STOP_DEADLINE, || self.group().is_empty().then_some(()))
    }

    /// Processor time, user and system, that its process group has used, ended members that were waited for included.
    pub fn cpu_time(&self) -> Duration {
        /// Ticks of `/proc/PID/stat`: USER_HZ, 100 on every Linux architecture Rust runs on but Alpha and IA-64.
        const TICK: Duration = Duration::from_millis(10);
        TICK * self.group().iter().map(|(_, ticks)| *ticks).sum()
    }

    /// The same, exact and of those members that live: what threads used that have ended is not in it.
    pub fn run_time(&self) -> Duration {
        let threads = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let members = self.group().into_iter().flat_map(|(pid, _)| threads(pid));
        members.filter_map(|thread| run_time(thread.path().to_str()?)).sum()
    }

    /// Proportional resident memory of its process group: pages shared by n processes count 1/n for each.
    pub fn resident_bytes(&self) -> u64 {
        self.memory_bytes("Pss:")
    }

    /// The part of it that is nobody else's file: what it took for itself. Its program's pages count more or less as others
    /// run the same program or end.
    pub fn own_bytes(&self) -> u64 {
        self.memory_bytes("Pss_Anon:")
    }

    fn memory_bytes(&self, what: &str) -> u64 {
        let of = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find(|line| line.starts_with(what))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        };
        self.group().iter().filter_map(|(pid, _)| of(*pid)).sum::<u64>() * 1024
    }

    /// Each living process of the group with its ticks of processor time.
    fn group(&self) -> Vec<(u32, u32)> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let member = |name: &str| {
            let pid: u32 = name.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            // proc(5), less the two fields before: 3 is the state, 5 the process group, 14 to 17 user
            // and system time, its own and that of children it has waited for.
            if matches!(fields.first(), Some(&"Z" | &"X")) {
                return None;
            }
            let group: i32 = fields.get(2)?.parse().ok()?;
            let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u32>().unwrap_or(0)).sum();
            (group == self.inner.pid.as_raw()).then_some((pid, ticks))
        };
        entries.flatten().filter_map(|entry| member(entry.file_name().to_str()?)).collect()
    }

    fn explain(&self, error: LabError) -> LabError {
        match error {
            LabError::NotReady { what, waited, .. } => {
                let output = self.output();
                LabError::NotReady {
                    what,
                    waited,
                    details: format!("; its output ends:\n{}", tail(&output, TAIL_BYTES)),
                }
            }
            other => other,
        }
    }
}

impl Registry {
    /// A number that no other process of this lab has.
    pub(crate) fn number(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// A process that was just started.
    pub(crate) fn add(&self, label: &str, child: Child, output: PathBuf) -> Process {
        let pid = Pid::from_raw(keeper::group(&child));
        let running = Running { label: label.to_owned(), pid, output, child: Mutex::new(child) };
        let process = Process { inner: Arc::new(running) };
        lock(&self.processes).push(process.clone());
        process
    }

    /// A process that has ended, and whose output was read.
    pub(crate) fn forget(&self, process: &Process) {
        let _ = fs::remove_file(&process.inner.output);
        keeper::belongings().groups.remove(&process.inner.pid.as_raw());
        lock(&self.processes).retain(|other| !Arc::ptr_eq(&other.inner, &process.inner));
    }

    /// For a failed test: the end of every process's output on standard error.
    pub(crate) fn print_tails(&self, lab: &str) {
        for process in lock(&self.processes).iter() {
            let output = process.output();
            if !output.is_empty() {
                eprintln!(
                    "--- lab {lab}, {} (pid {}) ---\n{}",
                    process.label(),
                    process.pid(),
                    tail(&output, TAIL_BYTES)
                );
            }
        }
    }

    pub(crate) fn kill_all(&self) {
        let processes = std::mem::take(&mut *lock(&self.processes));
        for process in &processes {
            let _ = killpg(process.inner.pid, Signal::SIGKILL);
        }
        for process in processes {
            let _ = process.wait(STOP_DEADLINE);
            keeper::belongings().groups.remove(&process.inner.pid.as_raw());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}
