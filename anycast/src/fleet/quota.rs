//! The quota of one service: whether this node may leave for a soft reason, and what it promises to others that would.
//!
//! ```text
//!            wish, nothing promised                 nodes_min grants
//!   resting ──────────────────────────> asking ────────────────────────> leaves (own.announces ends)
//!      ^                                  │
//!      └──────────────────────────────────┘
//!        INTENT_MAX is over; the wish is
//! ```
//!
//! Only who is well grants, so two that ask never count on each other; and who has granted does not ask before the promise
//! is over, whatever becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::OwnService;
use super::message::ServiceSays;
use crate::QuotaStatus;

/// Grants count only so long after the intent began.
pub(super) const INTENT_MAX: Duration = Duration::from_secs(1);
/// A promise holds for so long after it was sent, unless the other says before that its intent is over. Since it was sent
/// after the intent began, it outlasts every use that can be made of it.
pub(super) const PROMISE: Duration = Duration::from_secs(2);
/// The time between two intents that come to nothing.
const RETRY: Duration = Duration::from_secs(2);

/// One service.
#[derive(Debug, Default)]
pub(super) struct Quota {
    nodes_min: u32,
    intent: Option<Intent>,
    retry: Option<Instant>,
    /// Intents of others: number, and when it was last heard.
    asked: BTreeMap<String, (u64, Instant)>,
    /// Until when this node has promised to whom that it stays.
    promises: BTreeMap<String, Instant>,
    outcome: Option<(Outcome, Instant)>,
}

/// This node asks whether it may leave.
#[derive(Debug)]
struct Intent {
    number: u64,
    since: Instant,
    grants: BTreeSet<String>,
}

/// What came of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    granted: bool,
    remaining: u32,
}

impl Intent {
    fn counts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < INTENT_MAX
    }
}

impl Quota {
    pub(super) fn set_nodes_min(&mut self, nodes_min: u32) {
        self.nodes_min = nodes_min;
    }

    pub(super) fn nodes_min(&self) -> u32 {
        self.nodes_min
    }

    /// Follows what the node is and wishes; whether the others have to be told of an intent that began or ended.
    pub(super) fn follow(&mut self, own: OwnService, now: Instant, attempts: &mut u64) -> bool {
        self.promises.retain(|_, until| *until > now);
        self.asked.retain(|_, (_, heard)| now.saturating_duration_since(*heard) < INTENT_MAX);
        let before = self.intent.as_ref().map(|intent| intent.number);
        if !own.announces && before.is_some() {
            self.end(now);
        } else if !own.wishes {
            self.intent = None;
        } else if self.intent.as_ref().is_some_and(|intent| !intent.counts(now)) {
            self.end(now);
            self.retry = Some(now + RETRY);
        }
        let free = self.promises.is_empty() && self.retry.is_none_or(|retry| retry <= now);
        if self.intent.is_none() && own.announces && own.wishes && free {
            *attempts = attempts.wrapping_add(1);
            self.intent = Some(Intent { number: *attempts, since: now, grants: BTreeSet::new() });
        }
        before != self.intent.as_ref().map(|intent| intent.number)
    }

    fn end(&mut self, now: Instant) {
        if let Some(intent) = self.intent.take() {
            let remaining = u32::try_from(intent.grants.len()).unwrap_or(u32::MAX);
            let granted = remaining >= self.nodes_min;
            self.outcome = Some((Outcome { granted, remaining }, now));
        }
    }

    /// Hears what `name` says of the service; whether it has to be told something soon.
    pub(super) fn hear(&mut self, name: &str, says: &ServiceSays, now: Instant) -> bool {
        if !says.announces {
            // It may have promised; but it does not announce, so nobody can count on it.
            self.intent.iter_mut().for_each(|intent| intent.grants.retain(|granter| granter != name));
        } else if let Some(intent) = self.intent.as_mut().filter(|intent| says.grant == Some(intent.number)) {
            intent.grants.insert(name.to_owned());
        }
        let Some(number) = says.intent.filter(|_| says.announces) else {
            // Messages are heard in the order in which they were sent: the intent is over.
            self.asked.remove(name);
            self.promises.remove(name);
            return false;
        };
        self.asked.insert(name.to_owned(), (number, now));
        true
    }

    /// The grant for `name` in a message that is sent now, if there is one: a promise, which begins here.
    pub(super) fn grant(&mut self, name: &str, own: OwnService, now: Instant) -> Option<u64> {
        let (number, heard) = self.asked.get(name).copied()?;
        let current = now.saturating_duration_since(heard) < INTENT_MAX;
        if !current || self.intent.is_some() || !own.announces || !own.well {
            return None;
        }
        self.promises.insert(name.to_owned(), now + PROMISE);
        Some(number)
    }

    /// Whether this node may leave now.
    pub(super) fn granted(&self, now: Instant) -> bool {
        let enough = |intent: &Intent| intent.counts(now) && intent.grants.len() as u64 >= u64::from(self.nodes_min);
        self.promises.values().all(|until| *until <= now) && self.intent.as_ref().is_some_and(enough)
    }

    /// Whether grants are being waited for.
    pub(super) fn asks(&self, now: Instant) -> bool {
        self.intent(now).is_some()
    }

    /// The number of the intent, while grants for it count.
    pub(super) fn intent(&self, now: Instant) -> Option<u64> {
        self.intent.as_ref().filter(|intent| intent.counts(now)).map(|intent| intent.number)
    }

    /// When [`Quota::follow`] has something to do although nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.intent.as_ref().map(|intent| intent.since + INTENT_MAX)
    }

    /// What came of asking last; `unix_s_of` makes a time of day of it.
    pub(super) fn status(&self, unix_s_of: impl Fn(Instant) -> f64) -> Option<QuotaStatus> {
        let (Outcome { granted, remaining }, at) = self.outcome?;
        Some(QuotaStatus { granted, remaining, nodes_min: self.nodes_min, asked_unix_s: unix_s_of(at) })
    }
}
