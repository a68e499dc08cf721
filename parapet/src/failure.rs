//! How a command fails: what to say, and with which exit code.

use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration or the command line is wrong: exit code 2.
    Configuration(String),
    /// What was asked for could not be done: exit code 1.
    Runtime(String),
    /// Everything has been said already, and the configuration is wrong: exit code 2.
    Said,
}

impl Failure {
    pub(crate) fn runtime(why: impl ToString) -> Self {
        Self::Runtime(why.to_string())
    }

    /// Why, unless it has been said.
    pub(crate) fn why(&self) -> Option<String> {
        match self {
            Self::Configuration(why) | Self::Runtime(why) => Some(why.clone()),
            Self::Said => None,
        }
    }

    /// Says why on standard error and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Configuration(why) => {
                eprintln!("parapet: {why}");
                ExitCode::from(2)
            }
            Self::Runtime(why) => {
                eprintln!("parapet: {why}");
                ExitCode::from(1)
            }
            Self::Said => ExitCode::from(2),
        }
    }
}
