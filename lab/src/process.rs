//! Programs in namespaces: described, started, watched, ended.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, setns},
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill, killpg},
    },
    unistd::{Pid, getppid},
};

use crate::{LabError, Namespace, keeper, sweep, until};

/// A program that is run to its end may take this long unless told otherwise.
const RUN_DEADLINE: Duration = Duration::from_secs(30);
/// A process told to end gets this long before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// For nice(1): what is measured goes before everything else on its core.
const MEASURED_NICENESS: &str = "-20";
/// Of a failed program's output, the end that a message shows.
const TAIL_BYTES: usize = 3000;

/// A program about to run in a namespace: arguments, environment, core, input.
#[derive(Clone)]
#[must_use]
pub struct Program {
    namespace: Namespace,
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: Option<PathBuf>,
    input: Option<Vec<u8>>,
    piped: bool,
    core: Option<usize>,
    deadline: Duration,
}

/// What a program that ended wrote.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

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

impl Output {
    /// An error unless the status is success.
    pub fn success(self) -> Result<Output, LabError> {
        if self.status.success() {
            return Ok(self);
        }
        let output = tail(&format!("{}{}", self.stdout, self.stderr), TAIL_BYTES).to_owned();
        Err(LabError::Failed { command: self.command, status: self.status.to_string(), output })
    }
}

impl Program {
    pub(crate) fn new(namespace: &Namespace, program: &str) -> Program {
        Program {
            namespace: namespace.clone(),
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: None,
            input: None,
            piped: false,
            core: None,
            deadline: RUN_DEADLINE,
        }
    }

    /// Add an argument.
    pub fn arg(mut self, argument: impl AsRef<str>) -> Program {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Add arguments.
    pub fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Program {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Set a variable of the environment.
    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Run in this folder instead of the lab's.
    pub fn folder(mut self, folder: &Path) -> Program {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Give it this on standard input; without, it reads nothing.
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Program {
        self.input = Some(text.into());
        self
    }

    /// Keep its standard input open for [`Process::write`].
    pub fn piped(mut self) -> Program {
        self.piped = true;
        self
    }

    /// Pin it, all its threads and children, to one core, and give it the highest priority there: what is pinned is
    /// being measured, and does not wait for others.
    pub fn core(mut self, core: Option<usize>) -> Program {
        self.core = core;
        self
    }

    /// For [`Program::run`]: how long it may take.
    pub fn deadline(mut self, deadline: Duration) -> Program {
        self.deadline = deadline;
        self
    }

    /// Run to the end. Taking longer than the deadline is an error, a bad exit status is not: see [`Output::success`].
    pub fn run(self) -> Result<Output, LabError> {
        let command = self.to_string();
        let deadline = self.deadline;
        let (process, stdout) = self.start("run", true)?;
        let status = process.wait(deadline).inspect_err(|_| {
            let _ = process.kill();
        })?;
        let output = Output { command, status, stdout: read(&stdout), stderr: process.output() };
        let _ = fs::remove_file(&stdout);
        let _ = fs::remove_file(&process.inner.output);
        keeper::belongings().groups.remove(&process.inner.pid.as_raw());
        lock(&self.namespace.lab().processes.processes).retain(|other| !Arc::ptr_eq(&other.inner, &process.inner));
        Ok(output)
    }

    /// Start it and let it run; what it writes goes to a file `LABEL-N.out` of the run's folder.
    pub fn spawn(self, label: &str) -> Result<Process, LabError> {
        Ok(self.start(label, false)?.0)
    }

    fn start(&self, label: &str, split: bool) -> Result<(Process, PathBuf), LabError> {
        let lab = self.namespace.lab();
        let number = lab.processes.counter.fetch_add(1, Ordering::Relaxed);
        let output = lab.folder().join(format!("{label}-{number}.out"));
        let stdout = if split { lab.folder().join(format!("{label}-{number}.stdout")) } else { output.clone() };
        let input = match &self.input {
            Some(text) => input_file(&lab.folder().join(format!("{label}-{number}.in")), text)?,
            None if self.piped => Stdio::piped(),
            None => Stdio::null(),
        };
        let stderr = create(&output)?;
        let out =
            if split { create(&stdout)? } else { stderr.try_clone().map_err(LabError::io("sharing an output"))? };
        let mut command = self.command()?;
        command.stdin(input).stdout(out).stderr(stderr);
        let child = keeper::spawn(command).map_err(LabError::io(format!("starting {self}")))?;
        let running = Running {
            label: label.to_owned(),
            pid: Pid::from_raw(keeper::group(&child)),
            output,
            child: Mutex::new(child),
        };
        let process = Process { inner: Arc::new(running) };
        lock(&lab.processes.processes).push(process.clone());
        Ok((process, stdout))
    }

    fn command(&self) -> Result<Command, LabError> {
        let lab = self.namespace.lab();
        let program = find_program(&self.program)?;
        let mut command = match self.core {
            Some(_) => Command::new(find_program("nice")?),
            None => Command::new(&program),
        };
        if self.core.is_some() {
            command.args(["-n", MEASURED_NICENESS]).arg(&program);
        }
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env(sweep::MARK, lab.run())
            .current_dir(self.folder.as_deref().unwrap_or(lab.folder()))
            .process_group(0);
        self.prepare(&mut command)?;
        Ok(command)
    }

    #[allow(unsafe_code)]
    fn prepare(&self, command: &mut Command) -> Result<(), LabError> {
        let namespace = self.namespace.file().try_clone().map_err(LabError::io("duplicating a namespace"))?;
        let parent = Pid::this();
        let mut cores = CpuSet::new();
        if let Some(core) = self.core {
            cores.set(core).map_err(LabError::errno(format!("choosing core {core}")))?;
        }
        let pinned = self.core.is_some();
        let between_fork_and_exec = move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                return Err(std::io::Error::other("the lab ended meanwhile"));
            }
            if pinned {
                sched_setaffinity(Pid::from_raw(0), &cores)?;
            }
            Ok(())
        };
        // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe functions may be
        // called: it makes four system calls, takes no lock and allocates only on the way to failing.
        unsafe { command.pre_exec(between_fork_and_exec) };
        Ok(())
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
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

    /// Write to its standard input; see [`Program::piped`].
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

    /// Proportional resident memory of its process group: pages shared by n processes count 1/n for each.
    pub fn resident_bytes(&self) -> u64 {
        let of = |pid: u32| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find(|line| line.starts_with("Pss:"))?;
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

/// The path of a program in PATH or in the folders for administrators, which PATH often leaves out.
pub(crate) fn find_program(program: &str) -> Result<PathBuf, LabError> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administrators)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| LabError::Missing { program: program.to_owned(), package: package_of(program) })
}

fn package_of(program: &str) -> &'static str {
    match program {
        "named" => "bind9",
        "tsig-keygen" | "rndc" => "bind9 bind9-utils",
        "named-checkzone" | "named-compilezone" | "dnssec-keygen" | "dnssec-signzone" => "bind9-utils",
        "dig" | "nsupdate" => "bind9-dnsutils",
        "nsd" | "nsd-control" => "nsd",
        "knotd" | "knotc" => "knot",
        "kdig" | "kxdpgun" => "knot-dnsutils",
        "dnsperf" => "dnsperf",
        "nft" => "nftables",
        "ping" => "iputils-ping",
        _ => "what provides it",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn create(path: &Path) -> Result<File, LabError> {
    File::create(path).map_err(LabError::io(format!("creating {}", path.display())))
}

fn input_file(path: &Path, text: &[u8]) -> Result<Stdio, LabError> {
    create(path)?.write_all(text).map_err(LabError::io(format!("writing {}", path.display())))?;
    let file = File::open(path).map_err(LabError::io(format!("opening {}", path.display())))?;
    // The child keeps the file open; nobody else needs its name.
    let _ = fs::remove_file(path);
    Ok(file.into())
}

fn read(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn tail(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or_default()
}
