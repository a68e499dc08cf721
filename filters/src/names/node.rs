//! The node as a whole: whether it is asked so much more than usual that only known-good sources are served.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use config::{DefenceMode, Filter};

use super::{
    cells::Switch,
    window::{Rates, Window},
};
use crate::Policy;

/// Random sources are those of which most were never heard of before.
pub(crate) const FIRST_SEEN_PART: f64 = 0.5;

/// What lanes have to know of the node.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) miss: Switch,
    pub(crate) random_source: Switch,
    pub(crate) window: Window,
    /// What is normal, in queries a second, as the bits of an f64.
    normal: AtomicU64,
    /// Enough was seen to say what is normal.
    ready: AtomicBool,
}

impl Node {
    pub(crate) fn set_normal(&self, normal_per_s: f64, ready: bool) {
        self.normal.store(normal_per_s.to_bits(), Relaxed);
        self.ready.store(ready, Relaxed);
    }

    fn normal_per_s(&self) -> f64 {
        f64::from_bits(self.normal.load(Relaxed))
    }

    /// Arms what these rates of queries and of sources never heard of before call for.
    pub(crate) fn judge(&self, Rates(per_s, first_seen_per_s): Rates, policy: &Policy) {
        if !self.ready.load(Relaxed) {
            return;
        }
        let times_normal = per_s / self.normal_per_s().max(1.0);
        let (defences, may) = (&policy.defences, |filter| policy.mode(filter) != DefenceMode::Off);
        if times_normal > f64::from(defences.miss_threshold) && may(Filter::Miss) {
            self.miss.arm(per_s);
        }
        if times_normal > f64::from(defences.random_source_threshold)
            && first_seen_per_s > FIRST_SEEN_PART * per_s
            && may(Filter::UnknownSource)
        {
            self.random_source.arm(per_s);
        }
    }
}
