//! Other programs as origins, in the foreground.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A daemon that ends with this value.
pub(crate) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program; what it says goes to `log` in `folder`.
pub(crate) fn start(program: &str, package: &str, arguments: &[&str], folder: &Path) -> Daemon {
    let log = fs::File::create(folder.join("log")).unwrap();
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program} ({error}): install Debian's package {package}"));
    Daemon(child)
}
