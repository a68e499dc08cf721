//! Reading the configuration again: what differs is applied, and a wrong one changes nothing.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use config::{Changes, Config, Diagnostic, Limits, Node, Parsed, Severity};
use tokio::sync::oneshot;

use crate::control::protocol::{ConfigStatus, Reloaded};
use crate::in_force::{InForce, Standing};
use crate::source::{LoadError, Source};

/// The configuration in force, and where the next one comes from.
#[derive(Debug)]
pub(crate) struct Reload {
    source: Source,
    current: Config,
    in_force: InForce,
    /// When a newer file may count.
    due: Option<Instant>,
    status: Arc<ArcSwap<ConfigStatus>>,
}

/// What came of reading the configuration again.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It means the same as before, or what differs waits for a restart.
    Unchanged,
    /// What differs is to be applied.
    Changed(Box<Config>),
    /// It is wrong; the one in force stays.
    Refused,
    /// It is newer, and waits for its time.
    Waits,
}

/// Whether a newer file has to wait where the node's input is delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It has.
    Delayed,
    /// Somebody wants it now.
    Now,
}

/// Somebody wants the configuration to be read again.
#[derive(Debug)]
pub(crate) struct ReloadOrder {
    /// Whether a newer file need not wait.
    pub(crate) now: bool,
    /// Is told what came of it.
    pub(crate) done: oneshot::Sender<Reloaded>,
}

impl Reload {
    pub(crate) fn new(source: Source, current: Config, in_force: InForce) -> Self {
        let file = source.file().map(ToOwned::to_owned);
        let delay_s = current.node.delay_s;
        let status = ConfigStatus { file, loaded_unix_s: unix_s(), delay_s, ..ConfigStatus::default() };
        in_force.keep(&current);
        Self { source, current, in_force, due: None, status: Arc::new(ArcSwap::from_pointee(status)) }
    }

    /// When to read the configuration again because a newer file may count then.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What the control socket and the metrics show.
    pub(crate) fn status(&self) -> Arc<ArcSwap<ConfigStatus>> {
        Arc::clone(&self.status)
    }

    /// Reads the configuration again. The caller applies what is [`Outcome::Changed`].
    pub(crate) fn read_again(&mut self, cause: &'static str, haste: Haste) -> Outcome {
        let text = match self.source.read() {
            Ok(text) => text,
            Err(error) => return self.refuse(error, cause),
        };
        if haste == Haste::Delayed
            && let Some(until) = self.must_wait(&text)
        {
            return self.wait(until, cause);
        }
        self.set_waiting(None);
        match self.source.parse(&text) {
            Ok(Parsed { value: new, warnings }) => {
                log_diagnostics(&warnings);
                self.in_force.text = text;
                self.in_force.keep(&new);
                self.accept(new, cause)
            }
            Err(error) => self.refuse(error, cause),
        }
    }

    /// Whether the node's input is delayed.
    pub(crate) fn is_delayed(&self) -> bool {
        self.current.node.delay_s > 0
    }

    /// What whoever ordered it is told.
    pub(crate) fn answer(&self, outcome: &Outcome) -> Reloaded {
        let status = self.status.load();
        match outcome {
            Outcome::Unchanged => Reloaded::Unchanged,
            Outcome::Changed(_) => Reloaded::Applied,
            Outcome::Refused => Reloaded::Refused { why: status.refused.clone() },
            Outcome::Waits => Reloaded::Waits { until_unix_s: status.waits_until_unix_s.unwrap_or(0.0) },
        }
    }

    /// Until when the file in its place must wait.
    fn must_wait(&self, text: &str) -> Option<SystemTime> {
        let delay = Duration::from_secs(self.current.node.delay_s.into());
        match self.in_force.standing(self.source.file()?, text, delay) {
            Standing::Waits { until } if !delay.is_zero() => Some(until),
            _ => None,
        }
    }

    fn wait(&mut self, until: SystemTime, cause: &'static str) -> Outcome {
        let left = until.duration_since(SystemTime::now()).unwrap_or_default();
        tracing::info!(cause, wait_s = left.as_secs(), "the network file is newer than the one in force; it waits");
        self.set_waiting(Some((until, left)));
        Outcome::Waits
    }

    fn set_waiting(&mut self, waiting: Option<(SystemTime, Duration)>) {
        self.due = waiting.map(|(_, left)| Instant::now() + left);
        let until = waiting.and_then(|(until, _)| until.duration_since(UNIX_EPOCH).ok());
        let waits_until_unix_s = until.map(|until| until.as_secs_f64());
        let before = self.status.load();
        if before.waits_until_unix_s != waits_until_unix_s {
            self.status.store(Arc::new(ConfigStatus { waits_until_unix_s, ..(**before).clone() }));
        }
    }

    fn accept(&mut self, new: Config, cause: &'static str) -> Outcome {
        let changes = Changes::between(&self.current, &new);
        let restart_needed: Vec<String> = changes.need_restart().map(str::to_owned).collect();
        if !restart_needed.is_empty() {
            tracing::warn!(items = restart_needed.join(", "), "these items changed and wait for a restart");
        }
        let before = self.status.load();
        let mut status = ConfigStatus { refused: Vec::new(), restart_needed, ..(**before).clone() };
        let config = keep_what_needs_a_restart(&self.current, new);
        status.delay_s = config.node.delay_s;
        let differs = config != self.current;
        if differs {
            status.reloads += 1;
            status.loaded_unix_s = unix_s();
        }
        self.status.store(Arc::new(status));
        if !differs {
            tracing::info!(cause, "the configuration was read again; nothing is to be done");
            return Outcome::Unchanged;
        }
        tracing::info!(
            cause,
            zones_added = changes.zones_added.len(),
            zones_removed = changes.zones_removed.len(),
            zones_changed = changes.zones_changed.len(),
            catalogs_changed = changes.catalogs.len(),
            "the configuration was read again; what differs is applied"
        );
        self.current = config.clone();
        Outcome::Changed(Box::new(config))
    }

    fn refuse(&self, error: LoadError, cause: &'static str) -> Outcome {
        let refused = match &error {
            LoadError::Wrong(diagnostics) => {
                log_diagnostics(&diagnostics.0);
                diagnostics.0.iter().map(ToString::to_string).collect()
            }
            other => {
                tracing::error!("{other}");
                vec![other.to_string()]
            }
        };
        tracing::error!(cause, "the configuration is wrong; the one before stays in force");
        let before = self.status.load();
        let reloads_refused = before.reloads_refused + 1;
        self.status.store(Arc::new(ConfigStatus { refused, reloads_refused, ..(**before).clone() }));
        Outcome::Refused
    }
}

/// Sockets, folders and users stay as they are; only what the lanes and the zones read can change under way.
fn keep_what_needs_a_restart(current: &Config, mut new: Config) -> Config {
    new.keep_bound_anycast(current);
    let Node { identity, limits, upstream, upstream_fallback, transfer_addresses, anycast, defences, delay_s, .. } =
        new.node;
    let limits = Limits { cache_bytes_max: current.node.limits.cache_bytes_max, ..limits };
    let node = Node {
        identity,
        limits,
        upstream,
        upstream_fallback,
        transfer_addresses,
        anycast,
        defences,
        delay_s,
        ..current.node.clone()
    };
    Config { node, ..new }
}

/// Logs each diagnostic, with its parts as fields.
pub(crate) fn log_diagnostics(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        match diagnostic.severity {
            Severity::Error => tracing::error!(target: "parapet::config", "{diagnostic}"),
            Severity::Warning => tracing::warn!(target: "parapet::config", "{diagnostic}"),
        }
    }
}

/// Now, in Unix seconds.
pub(crate) fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
