//! Programs in namespaces: described, run to their end or started to stay.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sched::{CloneFlags, sched_setaffinity, setns},
    sys::{
        prctl::set_pdeathsig,
        signal::{SigSet, Signal},
    },
    unistd::{Pid, getppid},
};

use crate::{
    LabError, Namespace, cores, keeper,
    process::{Process, TAIL_BYTES, read, tail},
    sweep,
};

/// A program that is run to its end may take this long unless told otherwise.
const RUN_DEADLINE: Duration = Duration::from_secs(30);
/// For nice(1): what is measured goes before everything else on its core.
const MEASURED_NICENESS: i8 = -20;

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
    niceness: Option<i8>,
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
            niceness: None,
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

    /// Its niceness, from -20, the most urgent, to 19: what keeps time by milliseconds, as routers do, is not to wait for
    /// what only takes its time.
    pub fn niceness(mut self, niceness: i8) -> Program {
        self.niceness = Some(niceness);
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
        self.namespace.lab().processes.forget(&process);
        Ok(output)
    }

    /// Start it and let it run; what it writes goes to a file `LABEL-N.out` of the run's folder.
    pub fn spawn(self, label: &str) -> Result<Process, LabError> {
        Ok(self.start(label, false)?.0)
    }

    fn start(&self, label: &str, split: bool) -> Result<(Process, PathBuf), LabError> {
        let lab = self.namespace.lab();
        let number = lab.processes.number();
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
        let process = lab.processes.add(label, child, output);
        Ok((process, stdout))
    }

    fn command(&self) -> Result<Command, LabError> {
        let lab = self.namespace.lab();
        let program = find_program(&self.program)?;
        let mut command = match self.niceness.or(self.core.map(|_| MEASURED_NICENESS)) {
            Some(niceness) => {
                let mut nice = Command::new(find_program("nice")?);
                nice.args(["-n", &niceness.to_string()]).arg(&program);
                nice
            }
            None => Command::new(&program),
        };
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
        let cores = self.core.map(cores::only).transpose()?;
        let between_fork_and_exec = move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET)?;
            // What the lab blocks in order to clean up on it, its children are to hear.
            SigSet::empty().thread_set_mask()?;
            set_pdeathsig(Signal::SIGKILL)?;
            if getppid() != parent {
                return Err(std::io::Error::other("the lab ended meanwhile"));
            }
            if let Some(cores) = &cores {
                sched_setaffinity(Pid::from_raw(0), cores)?;
            }
            Ok(())
        };
        // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe functions may be
        // called: it makes five system calls, takes no lock and allocates only on the way to failing.
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
        "tc" | "ip" => "iproute2",
        "dnsdist" => "dnsdist",
        "unbound" => "unbound",
        "bird" => "bird2",
        "gobgpd" | "gobgp" => "gobgpd",
        "exabgp" => "exabgp",
        "ping" => "iputils-ping",
        "ethtool" => "ethtool",
        "bpftool" => "bpftool",
        "clang" => "clang",
        "chrt" | "unshare" => "util-linux",
        "renice" => "bsdutils",
        _ => "what provides it",
    }
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
