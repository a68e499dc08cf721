//! Rise and fall: what is read counts once it has lasted.

use super::{Rules, Severity};

/// For each severity above the best, whether it is held to be reached.
#[derive(Debug)]
pub(super) struct Levels {
    worse: Threshold,
    unfit: Threshold,
    failed: Threshold,
}

/// One severity: reached after `fall` looks in a row at or above it, left after `rise` looks in a row below it.
#[derive(Clone, Copy, Debug)]
struct Threshold {
    severity: Severity,
    reached: bool,
    /// Looks in a row that say the contrary.
    contrary: u32,
}

impl Default for Levels {
    /// Nothing is known: held to have failed.
    fn default() -> Self {
        let threshold = |severity| Threshold { severity, reached: true, contrary: 0 };
        Self {
            worse: threshold(Severity::Worse),
            unfit: threshold(Severity::Unfit),
            failed: threshold(Severity::Failed),
        }
    }
}

impl Levels {
    /// Takes one look; `at_once` if it is certain enough to count by itself.
    pub(super) fn look(&mut self, read: Severity, at_once: bool, rules: &Rules) {
        for threshold in [&mut self.worse, &mut self.unfit, &mut self.failed] {
            threshold.look(read, at_once, rules);
        }
    }

    /// The severity that has lasted.
    pub(super) fn severity(&self) -> Severity {
        let reached = [self.failed, self.unfit, self.worse].into_iter().find(|threshold| threshold.reached);
        reached.map_or(Severity::Well, |threshold| threshold.severity)
    }
}

impl Threshold {
    fn look(&mut self, read: Severity, at_once: bool, rules: &Rules) {
        let says = read >= self.severity;
        if says == self.reached {
            self.contrary = 0;
            return;
        }
        self.contrary = self.contrary.saturating_add(1);
        let needed = if says { rules.fall } else { rules.rise };
        if self.contrary >= needed || (says && at_once) {
            self.reached = says;
            self.contrary = 0;
        }
    }
}
