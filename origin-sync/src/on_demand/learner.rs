//! Teaches the cache what signed answers prove not to be there: fetches a zone's keys when they are wanted, and verifies
//! beside the questions, a bounded number of answers at a time. An answer that finds no room teaches nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Cache, Ticket, TtlLimits};
use tokio::task::JoinSet;

use super::denial::{Untaught, ZoneKeys, read_keys, verify_proofs};
use crate::notify::unix_now_s;
use crate::settings::ZoneSettings;

/// Answers that are verified at one time.
const LESSONS_MAX: usize = 4;
/// How long keys that were asked for are waited for.
const KEYS_WAIT: Duration = Duration::from_secs(10);
/// How long a zone whose keys are of no use is not asked for them.
const KEYS_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What is known of a zone's keys.
#[derive(Debug)]
enum ZoneState {
    /// They were asked for.
    Asked { at: Duration },
    /// They are at hand.
    Known(Arc<ZoneKeys>),
    /// They could not be had, or do not verify.
    Useless { until: Duration },
}

/// An answer to learn from.
pub(super) struct Lesson {
    pub(super) id: u64,
    pub(super) zone: Arc<ZoneSettings>,
    pub(super) response: Vec<u8>,
    pub(super) limits: TtlLimits,
    pub(super) ticket: Ticket,
}

/// What came of a lesson.
pub(super) enum Learnt {
    /// The zone's keys.
    Keys(u64, Result<ZoneKeys, Untaught>),
    /// Proofs are in the cache.
    Proofs(u64),
    /// Nothing, and why.
    Nothing(u64, Untaught),
}

/// Whether a zone's keys are to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    Keys,
    Nothing,
}

/// The learner.
#[derive(Default)]
pub(super) struct Learner {
    zones: HashMap<u64, ZoneState>,
    pub(super) lessons: JoinSet<Learnt>,
}

impl Learner {
    /// Takes an answer with proofs.
    pub(super) fn study(&mut self, lesson: Lesson, cache: &Arc<Cache>, now: Duration) -> Want {
        match self.zones.get(&lesson.id) {
            Some(ZoneState::Known(keys)) if keys.until_unix_s > unix_now_s() => {
                if self.lessons.len() < LESSONS_MAX {
                    let (keys, cache) = (Arc::clone(keys), Arc::clone(cache));
                    self.lessons.spawn_blocking(move || lesson.learn(&keys, &cache));
                }
                Want::Nothing
            }
            Some(ZoneState::Asked { at }) if now < *at + KEYS_WAIT => Want::Nothing,
            Some(ZoneState::Useless { until }) if now < *until => Want::Nothing,
            _ => {
                self.zones.insert(lesson.id, ZoneState::Asked { at: now });
                Want::Keys
            }
        }
    }

    /// Takes the answer to the question for a zone's keys.
    pub(super) fn take_keys(&mut self, lesson: Lesson) {
        if matches!(self.zones.get(&lesson.id), Some(ZoneState::Asked { .. })) && self.lessons.len() < LESSONS_MAX {
            self.lessons.spawn_blocking(move || lesson.read_keys());
        }
    }

    /// Takes the end of a lesson: the zone that learnt something.
    pub(super) fn ended(&mut self, learnt: Learnt, now: Duration) -> Option<u64> {
        match learnt {
            Learnt::Keys(id, Ok(keys)) => {
                tracing::debug!(zone = id, until_unix_s = keys.until_unix_s, "the zone's keys are at hand");
                self.zones.insert(id, ZoneState::Known(Arc::new(keys)));
                None
            }
            Learnt::Keys(id, Err(why)) => {
                tracing::warn!(zone = id, %why, "the zone's keys are of no use; nothing is proven by its NSEC records");
                self.zones.insert(id, ZoneState::Useless { until: now + KEYS_AGAIN_AFTER });
                None
            }
            Learnt::Proofs(id) => Some(id),
            Learnt::Nothing(id, why) => {
                tracing::debug!(zone = id, %why, "an answer proves nothing");
                // Perhaps by keys that came after ours.
                if matches!(why, Untaught::Unverified { .. }) {
                    self.zones.insert(id, ZoneState::Useless { until: now + KEYS_WAIT });
                }
                None
            }
        }
    }

    /// Forgets a zone's keys.
    pub(super) fn forget(&mut self, id: u64) {
        self.zones.remove(&id);
    }
}

impl Lesson {
    fn read_keys(self) -> Learnt {
        let anchors = &self.zone.config.dnssec.trust_anchors;
        Learnt::Keys(self.id, read_keys(&self.response, self.zone.apex.as_ref(), anchors, unix_now_s()))
    }

    fn learn(mut self, keys: &ZoneKeys, cache: &Cache) -> Learnt {
        let (apex, now_unix_s) = (self.zone.apex.as_ref(), unix_now_s());
        match verify_proofs(&self.response, apex, keys, now_unix_s) {
            Ok(until_unix_s) => {
                let left_s = u32::try_from(until_unix_s.saturating_sub(now_unix_s)).unwrap_or(u32::MAX);
                self.limits.negative_ttl_s_max = self.limits.negative_ttl_s_max.min(left_s);
                cache.learn_denial(self.id, apex, &self.response, &self.limits, Instant::now(), self.ticket);
                Learnt::Proofs(self.id)
            }
            Err(why) => Learnt::Nothing(self.id, why),
        }
    }
}
