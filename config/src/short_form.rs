//! The short form of `parapet run`: one edge before some origins, without a file. It is written out as a network file
//! and checked like one, so both forms mean the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::check::{Parsed, SecretFiles};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::model::{Config, DefenceMode, KernelMode, Mode, Network};
use crate::prefix::Prefix;

/// How diagnostics name the short form.
const SHORT_FORM: &str = "command line";

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct ShortForm {
    /// The node's name.
    pub node: String,
    /// Hidden primaries; every zone has all of them.
    pub origins: Vec<SocketAddr>,
    /// Zones, each a domain name.
    pub zones: Vec<String>,
    /// Catalog zones, each a domain name.
    pub catalogs: Vec<String>,
    /// How the zones and the members of the catalogs are filled.
    pub mode: Mode,
    /// In mode pull: time between two fetches, if not the default.
    pub pull_interval_s: Option<u32>,
    /// Addresses to answer at.
    pub listen: Vec<SocketAddr>,
    /// The folder that keeps zones across restarts.
    pub state_dir: PathBuf,
    /// A key that signs requests to every origin, in the form of `tsig-keygen`.
    pub tsig_key: Option<PathBuf>,
    /// The control socket, if not control.sock in the state folder.
    pub control: Option<PathBuf>,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// The user to become.
    pub user: Option<String>,
    /// UDP lanes, 0 for one per core.
    pub workers: usize,
    /// Whether hot answers are given by a program in the kernel.
    pub kernel: KernelMode,
    /// Whether the log is JSON.
    pub log_json: bool,
    /// How far the defences against floods go.
    pub defences: DefenceMode,
    /// Sources that are never limited.
    pub allow: Vec<Prefix>,
}

impl ShortForm {
    /// The network file that means the same. Paths must be UTF-8.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let path = |path: &PathBuf| quote(&path.to_string_lossy());
        let _ = writeln!(text, "[node.{}]", quote(&self.node));
        let listen: Vec<_> = self.listen.iter().map(|address| quote(&address.to_string())).collect();
        let _ = writeln!(text, "listen = [{}]", listen.join(", "));
        let _ = writeln!(text, "state_dir = {}", path(&self.state_dir));
        if let Some(control) = &self.control {
            let _ = writeln!(text, "control = {}", path(control));
        }
        if let Some(metrics) = self.metrics {
            let _ = writeln!(text, "metrics = {}", quote(&metrics.to_string()));
        }
        if let Some(user) = &self.user {
            let _ = writeln!(text, "user = {}", quote(user));
        }
        let _ = writeln!(text, "workers = {}", self.workers);
        if self.log_json {
            let _ = writeln!(text, "log = \"json\"");
        }
        if self.kernel != KernelMode::default() {
            let _ = writeln!(text, "lanes.kernel = {}", quote(self.kernel.as_str()));
        }
        if self.defences != DefenceMode::default() {
            let _ = writeln!(text, "defences.mode = {}", quote(self.defences.as_str()));
        }
        if !self.allow.is_empty() {
            // A prefix that is said twice is meant once.
            let allow: BTreeSet<_> = self.allow.iter().collect();
            let allow: Vec<_> = allow.into_iter().map(|prefix| quote(&prefix.to_string())).collect();
            let _ = writeln!(text, "defences.allow = [{}]", allow.join(", "));
        }
        if let Some(file) = &self.tsig_key {
            let _ = writeln!(text, "\n[key.transfer]\nkey_file = {}", path(file));
        }
        let mut names = Vec::new();
        for (index, origin) in self.origins.iter().enumerate() {
            let name = format!("origin-{}", index + 1);
            let _ = writeln!(text, "\n[origin.{name}]\naddresses = [{}]", quote(&origin.to_string()));
            if self.tsig_key.is_some() {
                let _ = writeln!(text, "key = \"transfer\"");
            }
            names.push(quote(&name));
        }
        let _ = writeln!(text, "\n[defaults.zone]\nmode = {}", quote(self.mode.name()));
        if let Some(interval_s) = self.pull_interval_s {
            let _ = writeln!(text, "pull_interval_s = {interval_s}");
        }
        // A zone that is said twice is meant once.
        for zone in self.zones.iter().collect::<BTreeSet<_>>() {
            let _ = writeln!(text, "\n[zone.{}]\norigins = [{}]", quote(zone), names.join(", "));
        }
        for catalog in self.catalogs.iter().collect::<BTreeSet<_>>() {
            let _ = writeln!(text, "\n[catalog.{}]\norigins = [{}]", quote(catalog), names.join(", "));
        }
        text
    }

    /// The configuration, checked like a file. Diagnostics name the option instead of a place in a file.
    pub fn to_config(&self, files: &dyn SecretFiles) -> Result<Parsed<Config>, Diagnostics> {
        let text = self.to_toml();
        let parsed = Network::parse(&text, SHORT_FORM, files);
        let Parsed { value: network, warnings } = parsed.map_err(|all| Diagnostics(name_options(all.0)))?;
        match network.for_node(&self.node) {
            Ok(config) => Ok(Parsed { value: config, warnings: name_options(warnings) }),
            // A document without errors has the node that was written into it.
            Err(_) => Err(Diagnostics(name_options(warnings))),
        }
    }
}

/// Puts the option in the place of the item that it became.
fn name_options(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    const NODE_ITEMS: [(&str, &str); 10] = [
        (".defences.allow", "--allow"),
        (".defences", "--defences"),
        (".lanes", "--lanes"),
        (".listen", "--listen"),
        (".state_dir", "--state"),
        (".control", "--control"),
        (".metrics", "--metrics"),
        (".user", "--user"),
        (".workers", "--workers"),
        ("", "--node"),
    ];
    for diagnostic in &mut diagnostics {
        let option = match diagnostic.item.split('.').next() {
            Some("key") => "--tsig-key",
            Some("origin") => "--origin",
            Some("defaults") if diagnostic.item.ends_with("pull_interval_s") => "--pull-interval-s",
            Some("defaults") => "--mode",
            Some("zone") => "--zone",
            Some("catalog") => "--catalog",
            Some("node") => {
                let options = NODE_ITEMS.iter().find(|(item, _)| diagnostic.item.contains(item));
                options.map_or("--node", |(_, option)| option)
            }
            _ => continue,
        };
        diagnostic.item = option.to_owned();
        (diagnostic.line, diagnostic.column) = (0, 0);
    }
    diagnostics
}

/// A TOML basic string.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
