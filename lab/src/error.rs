//! What can go wrong in a lab; each variant names the attempt, each message what to do.

use std::{io, path::PathBuf, time::Duration};

/// An attempt of the lab that failed.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Namespaces need root.
    #[error("the lab makes network namespaces and needs root; run it with sudo or in a root container")]
    NotRoot,
    /// A program of another package is not installed.
    #[error("{program} is not installed; run scripts/setup, or: apt-get install {package}")]
    Missing {
        /// The program's name.
        program: String,
        /// Debian's package that has it.
        package: &'static str,
    },
    /// The parapet binary was not found.
    #[error("no parapet binary at {}; build it (cargo build -p parapet) or set PARAPET_BIN", looked_at.display())]
    NoParapet {
        /// Where it should have been.
        looked_at: PathBuf,
    },
    /// The kernel refused something asked for over netlink.
    #[error("{doing}: {why}")]
    Netlink {
        /// What was asked for.
        doing: String,
        /// The kernel's or the library's words.
        why: String,
    },
    /// A file, socket or process could not be used.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A condition did not come true in time.
    #[error("waited {waited:?} in vain for {what}{details}")]
    NotReady {
        /// The condition.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// What was last seen; begins with a line break where there is something.
        details: String,
    },
    /// A program ended with another status than success.
    #[error("{command} ended with {status}:\n{output}")]
    Failed {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The topology or a server's description does not hold together.
    #[error("{0}")]
    Invalid(String),
}

impl LabError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
        let doing = doing.into();
        move |source| LabError::Io { doing, source }
    }

    pub(crate) fn errno(doing: impl Into<String>) -> impl FnOnce(nix::Error) -> LabError {
        let doing = doing.into();
        move |errno| LabError::Io { doing, source: errno.into() }
    }
}
