//! The node as a whole: whether it is asked so much more than usual that only known-good sources are served.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use config::{DefenceMode, Filter};
use zerocopy::{FromBytes, IntoBytes, KnownLayout};

use super::{cells::Switch, window::Window};
use crate::Policy;

/// Sources are random if such a part of the queries that no other filter has anything against comes from sources that were
/// never heard of before. In a flash crowd each new resolver soon asks for a second name; even one of very many resolvers
/// that all begin within a second has less.
const FIRST_SEEN_PART: f64 = 0.8;

/// What the node is asked, a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    pub(crate) queries: f64,
    /// Queries without a penalty before the filter of unknown sources.
    pub(crate) clean: f64,
    /// Queries from sources that were never heard of before.
    pub(crate) first_seen: f64,
}

/// What lanes have to know of the node.
#[derive(Debug, Default, FromBytes, IntoBytes, KnownLayout)]
#[repr(C, align(64))]
pub(crate) struct Node {
    pub(crate) miss: Switch,
    pub(crate) random_source: Switch,
    window_start_us: AtomicU64,
    window_marks: [AtomicU32; 3],
    /// Not 0: enough was seen to say what is normal.
    is_ready: AtomicU32,
    /// What is normal, in queries a second, as the bits of an f64.
    normal_per_s: AtomicU64,
    zeros: [AtomicU64; 3],
}

impl Node {
    pub(crate) fn set_normal(&self, normal_per_s: f64, ready: bool) {
        self.normal_per_s.store(normal_per_s.to_bits(), Relaxed);
        self.is_ready.store(u32::from(ready), Relaxed);
    }

    fn normal_per_s(&self) -> f64 {
        f64::from_bits(self.normal_per_s.load(Relaxed))
    }

    pub(crate) fn window(&self) -> Window<'_, 3> {
        Window { start_us: &self.window_start_us, marks: &self.window_marks }
    }

    /// Arms what these rates call for.
    pub(crate) fn judge(&self, rates: Rates, policy: &Policy) {
        if self.is_ready.load(Relaxed) == 0 {
            return;
        }
        let times_normal = rates.queries / self.normal_per_s().max(1.0);
        let (defences, may) = (&policy.defences, |filter| policy.mode(filter) != DefenceMode::Off);
        if times_normal > f64::from(defences.miss_threshold) && may(Filter::Miss) {
            self.miss.arm(rates.queries);
        }
        if times_normal > f64::from(defences.random_source_threshold)
            && rates.first_seen > FIRST_SEEN_PART * rates.clean
            && may(Filter::UnknownSource)
        {
            self.random_source.arm(rates.queries);
        }
    }
}
