//! Where the configuration comes from: a network file, or the short form of the command line. Both can be read again.

use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use config::{Config, Diagnostic, Diagnostics, Network, Parsed, SecretFile, SecretFiles, ShortForm};

use crate::failure::Failure;

/// Largest file with a secret.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What `parapet run` was given.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A network file and this machine's name in it.
    File { path: PathBuf, node: Option<String> },
    /// The command line.
    Short(Box<ShortForm>),
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The file can't be read.
    Unreadable(String),
    /// The file is wrong.
    Wrong(Diagnostics),
    /// The node is not in the file.
    NoNode(String),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) | Self::NoNode(why) => f.write_str(why),
            Self::Wrong(diagnostics) => diagnostics.fmt(f),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Unreadable(why) | LoadError::NoNode(why) => Failure::Configuration(why),
            LoadError::Wrong(diagnostics) => {
                eprintln!("{diagnostics}");
                Failure::Said
            }
        }
    }
}

impl Source {
    /// Reads the file; the short form has no text.
    pub(crate) fn read(&self) -> Result<String, LoadError> {
        match self {
            Self::File { path, .. } => read_network(path),
            Self::Short(_) => Ok(String::new()),
        }
    }

    /// Checks the configuration with this text in the file's place.
    pub(crate) fn parse(&self, text: &str) -> Result<Parsed<Config>, LoadError> {
        match self {
            Self::File { path, node } => {
                let parsed = Network::parse(text, &path.to_string_lossy(), &Disk);
                let Parsed { value: network, warnings } = parsed.map_err(LoadError::Wrong)?;
                let config = choose_node(&network, path, node.as_deref())?;
                Ok(Parsed { value: config, warnings })
            }
            Self::Short(form) => form.to_config(&Disk).map_err(LoadError::Wrong),
        }
    }

    /// The file, if there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Short(_) => None,
        }
    }
}

/// Reads and checks a network file.
pub(crate) fn load_network(path: &Path) -> Result<Parsed<Network>, LoadError> {
    Network::parse(&read_network(path)?, &path.to_string_lossy(), &Disk).map_err(LoadError::Wrong)
}

fn read_network(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path)
        .map_err(|why| LoadError::Unreadable(format!("cannot read the network file {}: {why}", path.display())))
}

/// The named node, or the only one.
pub(crate) fn choose_node(network: &Network, path: &Path, node: Option<&str>) -> Result<Config, LoadError> {
    let mut names = network.nodes.keys();
    let name = match (node, names.next(), names.next()) {
        (Some(name), _, _) => name,
        (None, Some(only), None) => only,
        (None, None, _) => {
            return Err(LoadError::NoNode(format!("{} has no node: add a [node.NAME]", path.display())));
        }
        (None, Some(_), Some(_)) => {
            let names: Vec<_> = network.nodes.keys().map(String::as_str).collect();
            let names = names.join(", ");
            return Err(LoadError::NoNode(format!(
                "{} has several nodes: say --node with one of {names}",
                path.display()
            )));
        }
    };
    network.for_node(name).map_err(|unknown| LoadError::NoNode(format!("{}: {unknown}", path.display())))
}

/// Secret files on the disk.
pub(crate) struct Disk;

impl SecretFiles for Disk {
    fn read(&self, path: &Path) -> Result<SecretFile, String> {
        const WORLD_READABLE: u32 = 0o004;
        let file = File::open(path).map_err(|why| why.to_string())?;
        let metadata = file.metadata().map_err(|why| why.to_string())?;
        if !metadata.is_file() {
            return Err("not a file".to_owned());
        }
        let mut text = String::new();
        let read = file.take(SECRET_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|why| why.to_string())?;
        if read as u64 > SECRET_FILE_BYTES_MAX {
            return Err(format!("longer than {SECRET_FILE_BYTES_MAX} bytes"));
        }
        Ok(SecretFile { text, world_readable: metadata.permissions().mode() & WORLD_READABLE != 0 })
    }
}

/// A diagnostic as JSON, as `check --json` and the control socket show it.
pub(crate) fn diagnostic_to_json(diagnostic: &Diagnostic) -> serde_json::Value {
    let Diagnostic { file, line, column, severity, item, found, expected } = diagnostic;
    serde_json::json!({
        "file": file, "line": line, "column": column, "severity": severity.to_string(),
        "item": item, "found": found, "expected": expected,
    })
}
