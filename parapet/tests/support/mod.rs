//! A `parapet` that runs for the length of a test.

#![allow(dead_code)] // Each test file uses its part of this.

pub(crate) mod origin;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How long a condition may take to come true.
const DEADLINE: Duration = Duration::from_secs(20);
/// Between two looks at a condition.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Runs a command to its end.
pub(crate) fn parapet<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_parapet")).args(arguments).output().unwrap()
}

/// Exit code and standard error of a command that fails.
pub(crate) fn failure(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Waits until `look` gives something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// A daemon with a folder of its own; it ends with the test.
pub(crate) struct Daemon {
    pub(crate) folder: TempDir,
    child: Child,
}

impl Daemon {
    /// In the short form, before an origin that is not there.
    pub(crate) fn short(extra: &[&str]) -> Self {
        Self::short_before("127.0.0.1:1".parse().unwrap(), extra)
    }

    /// In the short form, before this origin.
    pub(crate) fn short_before(origin: SocketAddr, extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let origin = origin.to_string();
        let mut arguments = vec!["run", "--origin", &origin, "--zone", "example.com", "--listen", "127.0.0.1:0"];
        arguments.extend(["--workers", "1", "--state", state.to_str().unwrap()]);
        arguments.extend(extra);
        Self::start(folder, &arguments)
    }

    /// With this text as network.toml; the state folder must be `state`.
    pub(crate) fn with_file(text: &str, extra: &[&str]) -> Self {
        Self::with_file_in(tempfile::tempdir().unwrap(), text, extra)
    }

    /// The same, in a folder that has other files already.
    pub(crate) fn with_file_in(folder: TempDir, text: &str, extra: &[&str]) -> Self {
        let file = folder.path().join("network.toml");
        fs::write(&file, text).unwrap();
        let mut arguments = vec!["run", "--config", file.to_str().unwrap()];
        arguments.extend(extra);
        Self::start(folder, &arguments)
    }

    /// One node of a file that several have; its state folder is elsewhere.
    pub(crate) fn of_file(file: &str, node: &str, state: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(state, folder.path().join("state")).unwrap();
        Self::start(folder, &["run", "--config", file, "--node", node])
    }

    fn start(folder: TempDir, arguments: &[&str]) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_parapet"));
        command.args(arguments).env_remove("PARAPET_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut daemon = Self { folder, child: command.spawn().unwrap() };
        wait_for("the daemon to run", || {
            if let Some(status) = daemon.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}: {}", daemon.log());
            }
            // The edge, which is the first of its roles: others may have to wait for a network that is not there.
            daemon.ask("status").filter(|status| status["roles"][0]["state"] == "up")
        });
        daemon
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.path("state/control.sock")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// The answer of `parapet status --json` or `parapet zones --json`.
    pub(crate) fn ask(&self, command: &str) -> Option<Value> {
        let output = parapet([command, "--json", "--control", self.control().to_str().unwrap()]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    pub(crate) fn status(&self) -> Value {
        self.ask("status").expect("the daemon answers")
    }

    /// Where it answers DNS.
    pub(crate) fn address(&self) -> SocketAddr {
        self.status()["listen"][0].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// Waits for the end; the exit code, if it was not killed.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        wait_for("the daemon to end", || self.child.try_wait().unwrap()).code()
    }

    /// Ends this one by SIGKILL and starts another in the same folder with these arguments.
    pub(crate) fn kill(mut self) -> TempDir {
        self.signal(Signal::SIGKILL);
        self.wait();
        let placeholder = tempfile::tempdir().unwrap();
        std::mem::replace(&mut self.folder, placeholder)
    }

    pub(crate) fn again(folder: TempDir, arguments: &[&str]) -> Self {
        Self::start(folder, arguments)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of the daemon:\n{}", self.log());
        }
    }
}

/// Asks a question over UDP and gives the answer's response code.
pub(crate) fn rcode(server: SocketAddr, name: &str) -> u8 {
    ask_a(server, name)[3] & 0x0f
}

/// The address of a name: what an answer with one A record ends with.
pub(crate) fn address_of(server: SocketAddr, name: &str) -> Option<[u8; 4]> {
    let answer = ask_a(server, name);
    let found = answer[3] & 0x0f == 0 && answer[6..8] == [0, 1];
    found.then(|| answer[answer.len() - 4..].try_into().unwrap())
}

/// The answer to a question for the A records of a name, over UDP.
fn ask_a(server: SocketAddr, name: &str) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    socket.send_to(&query, server).unwrap();
    let mut answer = [0; 512];
    let bytes = socket.recv(&mut answer).unwrap();
    assert!(bytes >= 12 && answer[..2] == query[..2], "an answer to the question");
    answer[..bytes].to_vec()
}

/// The body of an HTTP answer, and its status line.
pub(crate) fn http_get(server: SocketAddr, path: &str) -> (String, String) {
    http_get_as(server, path, "*/*")
}

/// The same, asked for in a form.
pub(crate) fn http_get_as(server: SocketAddr, path: &str, accept: &str) -> (String, String) {
    http(server, "GET", path, &format!("Accept: {accept}\r\n"), b"")
}

/// The same for any request; each of the headers ends its line.
pub(crate) fn http(server: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: parapet\r\nConnection: close\r\n{headers}\r\n").unwrap();
    stream.write_all(body).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

/// A network file for one node at a port that the system chooses.
pub(crate) fn network(zones: &[&str]) -> String {
    let mut text = String::from(
        "[node.one]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\nstate_dir = \"state\"\n[origin.a]\naddresses = [\"127.0.0.1:1\"]\n",
    );
    for zone in zones {
        text.push_str(&format!("[zone.\"{zone}\"]\norigins = [\"a\"]\n"));
    }
    text
}

/// A network file for one node, with these items, that would announce a service to a router that is not there.
pub(crate) fn announcing(items: &str) -> String {
    format!(
        "[anycast.dns]\nprefixes = [\"192.0.2.0/24\"]\naddresses = [\"192.0.2.53\"]\n\
         [node.one]\nlisten = [\"0.0.0.0:0\"]\nworkers = 1\nstate_dir = \"state\"\n{items}\
         [node.one.anycast]\nservices = [\"dns\"]\nas = 65010\nrouter_id = \"192.0.2.1\"\nmanage_addresses = false\n\
         [node.one.anycast.neighbour.r1]\naddress = \"127.0.0.1:1\"\nas = 64501\n\
         [origin.a]\naddresses = [\"127.0.0.1:1\"]\n[zone.\"example.com\"]\norigins = [\"a\"]\n"
    )
}

/// Replaces a file at once, as deployment tools do.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}
