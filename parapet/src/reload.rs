//! Reading the configuration again: what differs is applied, and a wrong one changes nothing.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use config::{Changes, Config, Diagnostic, Limits, Node, Parsed, Severity};

use crate::control::protocol::ConfigStatus;
use crate::source::{LoadError, Source};

/// The configuration in force, and where the next one comes from.
#[derive(Debug)]
pub(crate) struct Reload {
    source: Source,
    current: Config,
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
}

impl Reload {
    pub(crate) fn new(source: Source, current: Config) -> Self {
        let file = source.file().map(ToOwned::to_owned);
        let status = ConfigStatus { file, loaded_unix_s: unix_s(), ..ConfigStatus::default() };
        Self { source, current, status: Arc::new(ArcSwap::from_pointee(status)) }
    }

    /// What the control socket and the metrics show.
    pub(crate) fn status(&self) -> Arc<ArcSwap<ConfigStatus>> {
        Arc::clone(&self.status)
    }

    /// Reads the configuration again. The caller applies what is [`Outcome::Changed`].
    pub(crate) fn read_again(&mut self, cause: &'static str) -> Outcome {
        match self.source.load() {
            Ok(Parsed { value: new, warnings }) => {
                log_diagnostics(&warnings);
                self.accept(new, cause)
            }
            Err(error) => {
                self.refuse(error, cause);
                Outcome::Refused
            }
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

    fn refuse(&self, error: LoadError, cause: &'static str) {
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
    }
}

/// Sockets, folders and users stay as they are; only what the lanes and the zones read can change under way.
fn keep_what_needs_a_restart(current: &Config, mut new: Config) -> Config {
    new.keep_bound_anycast(current);
    let Node { identity, limits, upstream, upstream_fallback, transfer_addresses, anycast, delay_s, .. } = new.node;
    let limits = Limits { cache_bytes_max: current.node.limits.cache_bytes_max, ..limits };
    let node = Node {
        identity,
        limits,
        upstream,
        upstream_fallback,
        transfer_addresses,
        anycast,
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
