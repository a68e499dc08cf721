//! The network file of a node with delayed input: the file in force is kept in the state folder, and a changed one counts
//! only once it has lain in its place, unchanged, for `delay_s`.
//!
//! ```text
//!   file changed ──▶ waits ── unchanged for delay_s, or `parapet reload --now` ──▶ checked ──▶ in force, kept
//!                      ▲ │
//!                      └─┘ changed again: waits anew
//! ```
//!
//! A start goes by the file that was kept, unless the one in its place has lain there for long enough.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use config::{Config, Parsed, peek_state_dir};

use crate::source::{LoadError, Source};
use crate::state_file;

/// Its name in the state folder.
const NAME: &str = "network.in-force.toml";

/// The file in force, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    /// Its text.
    pub(crate) text: String,
}

/// How the file in its place stands to the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has the same text.
    Same,
    /// It is newer, and may not count before then.
    Waits { until: SystemTime },
    /// It is newer, and has lain there for long enough.
    Due,
}

/// What a node starts with.
pub(crate) struct Start {
    pub(crate) parsed: Parsed<Config>,
    pub(crate) in_force: InForce,
    /// Why the file in its place does not count: for the log, once there is one.
    pub(crate) told: Option<String>,
}

/// Chooses what a node starts with.
///
/// # Errors
/// Why there is no configuration at all.
pub(crate) fn start(source: &Source) -> Result<Start, LoadError> {
    let placed = source.read();
    if let Some(start) = start_with_kept(source, placed.as_deref().ok()) {
        return Ok(start);
    }
    let text = placed?;
    Ok(Start { parsed: source.parse(&text)?, in_force: InForce { text }, told: None })
}

/// The kept file, if it counts rather than the one in its place.
fn start_with_kept(source: &Source, placed: Option<&str>) -> Option<Start> {
    let Source::File { path, node } = source else { return None };
    let state_dir = peek_state_dir(placed.unwrap_or_default(), &path.to_string_lossy(), node.as_deref());
    let kept = fs::read_to_string(state_dir.join(NAME)).ok()?;
    if placed == Some(kept.as_str()) {
        return None;
    }
    let parsed = source.parse(&kept).ok()?;
    let delay = Duration::from_secs(parsed.value.node.delay_s.into());
    if delay.is_zero() {
        return None;
    }
    let told = match placed.map(|_| standing(path, delay)) {
        Some(Standing::Waits { .. }) => "the network file is newer than the one in force; it waits".to_owned(),
        // Whether it is any good, reading it tells.
        Some(_) => match source.parse(placed?) {
            Ok(_) => return None,
            Err(why) => format!("the network file is wrong, and the one that was in force before counts: {why}"),
        },
        None => {
            format!("the network file {} cannot be read, and the one that was in force before counts", path.display())
        }
    };
    Some(Start { parsed, in_force: InForce { text: kept }, told: Some(told) })
}

impl InForce {
    /// How the file in its place, with this text, stands to this one.
    pub(crate) fn standing(&self, path: &Path, text: &str, delay: Duration) -> Standing {
        if self.text == text { Standing::Same } else { standing(path, delay) }
    }

    /// Keeps it for the next start, where the node's input is delayed; else nothing is kept.
    pub(crate) fn keep(&self, config: &Config) {
        let path = config.node.state_dir.join(NAME);
        let done = if config.node.delay_s > 0 { write(&path, &self.text) } else { remove(&path) };
        if let Err(why) = done {
            tracing::error!(path = %path.display(), %why, "the network file in force is not kept: a restart goes by the newest");
        }
    }
}

/// How a file stands that differs from the one in force. Its time of change counts, which tools that copy times along
/// cannot set.
fn standing(path: &Path, delay: Duration) -> Standing {
    let Ok(metadata) = fs::metadata(path) else { return Standing::Due };
    let since = u64::try_from(metadata.ctime()).unwrap_or(0);
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    let now = SystemTime::now();
    // A clock that was set back must not make it wait for years.
    let changed = (UNIX_EPOCH + Duration::new(since, nanoseconds)).min(now);
    match changed + delay {
        until if until > now => Standing::Waits { until },
        _ => Standing::Due,
    }
}

/// Nothing is written where the same text is there already.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    state_file::write(path, text.as_bytes())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
