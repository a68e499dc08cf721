//! What is known of the signatures of the copy that a zone has: when the first dies, and whether it was verified.
//!
//! ```text
//!   Unknown ── begin ──▶ Counting (what differences change meanwhile is kept) ── end ──▶ Known ── differences ──▶ Known
//!      ▲                                                                                   │
//!      └────────────────────────────── a whole transfer ◀──────────────────────────────────┘
//! ```

use std::sync::Arc;

use zones::Zone;

use crate::status::CheckResult;
use crate::validate::{SignatureTimes, TimesChange, is_signed};

/// Signatures that may come and go while the zone is counted, before the count begins anew.
const LATER_SIGNATURES_MAX: usize = 1_000_000;

/// What was verified of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checked {
    /// Its digest.
    pub zonemd: Option<CheckResult>,
    /// Its signatures.
    pub dnssec: Option<CheckResult>,
}

/// What is known of one zone's signatures.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    times: Times,
    /// The serial that was verified, and the outcome.
    checked: Option<(u32, Checked)>,
    error: Option<Arc<str>>,
    /// Whether their dying was told of.
    told: bool,
}

#[derive(Debug, Default)]
enum Times {
    #[default]
    Unknown,
    Counting {
        later: Vec<TimesChange>,
        /// The copy that is counted has been replaced, or too much has changed.
        outdated: bool,
    },
    Known(Box<SignatureTimes>),
}

/// What an examination of a copy found.
pub(crate) struct Examined {
    /// The copy's serial.
    pub serial: u32,
    /// Its signatures' times.
    pub times: SignatureTimes,
    /// What was verified, if that was wanted; why it does not pass, if it does not.
    pub checked: Option<Checked>,
    pub error: Option<Arc<str>>,
}

impl Signatures {
    /// Takes a new copy; `change` if it came as differences.
    pub(crate) fn updated(&mut self, zone: &Zone, checked: Checked, change: Option<&TimesChange>) {
        self.checked = Some((zone.serial(), checked));
        self.error = None;
        match (&mut self.times, change) {
            (Times::Known(times), Some(change)) => times.apply(change),
            (Times::Counting { later, outdated }, Some(change)) => {
                *outdated |= later.iter().map(TimesChange::len).sum::<usize>() > LATER_SIGNATURES_MAX;
                if *outdated {
                    later.clear();
                } else {
                    later.push(change.clone());
                }
            }
            (Times::Counting { outdated, .. }, None) => *outdated = true,
            (times, _) => *times = Times::Unknown,
        }
    }

    /// Forgets what was verified: something else is wanted now.
    pub(crate) fn forget_checks(&mut self) {
        self.checked = None;
        self.error = None;
    }

    /// Whether a copy is known to pass DNSSEC validation.
    pub(crate) fn is_checked(&self, zone: &Zone) -> bool {
        let passed = Some(CheckResult::Verified);
        self.checked.is_some_and(|(serial, checked)| serial == zone.serial() && checked.dnssec == passed)
    }

    /// Whether a copy should be examined.
    pub(crate) fn wants(&self, zone: &Zone, validate: bool) -> bool {
        match self.times {
            Times::Counting { .. } => false,
            Times::Unknown if is_signed(zone) => true,
            _ => validate && self.checked.is_none_or(|(_, checked)| checked.dnssec.is_none()),
        }
    }

    /// An examination begins.
    pub(crate) fn begin(&mut self) {
        self.times = Times::Counting { later: Vec::new(), outdated: false };
    }

    /// An examination has ended; `serial` is that of the copy now.
    pub(crate) fn end(&mut self, examined: Examined, serial: u32) {
        self.times = match std::mem::take(&mut self.times) {
            Times::Counting { later, outdated: false } => {
                let mut times = examined.times;
                later.iter().for_each(|change| times.apply(change));
                Times::Known(Box::new(times))
            }
            _ => Times::Unknown,
        };
        if let Some(checked) = examined.checked
            && serial == examined.serial
        {
            let zonemd = self.checked.and_then(|(_, before)| before.zonemd).or(checked.zonemd);
            self.checked = Some((serial, Checked { zonemd, ..checked }));
            self.error = examined.error;
        }
    }

    /// What was verified of the copy.
    pub(crate) fn checked(&self) -> Checked {
        self.checked.map(|(_, checked)| checked).unwrap_or_default()
    }

    /// Why the copy would not be taken today, if it was broken before it was looked at.
    pub(crate) fn error(&self) -> Option<Arc<str>> {
        self.error.clone()
    }

    /// When the first signature dies, as far as it is known.
    pub(crate) fn first_expires_unix_s(&self, now_unix_s: u64) -> Option<u64> {
        match &self.times {
            Times::Known(times) => times.first_unix_s(now_unix_s),
            _ => None,
        }
    }

    /// The moment that the first signature dies, once for each time that it comes nearer than the margin.
    pub(crate) fn dying(&mut self, now_unix_s: u64, margin_s: u32) -> Option<u64> {
        let near = self.first_expires_unix_s(now_unix_s).filter(|first| *first < now_unix_s + u64::from(margin_s));
        let told = std::mem::replace(&mut self.told, near.is_some());
        near.filter(|_| !told)
    }
}

#[cfg(test)]
#[path = "signatures_tests.rs"]
mod tests;
