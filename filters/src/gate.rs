//! How lanes ask: a lane for each thread, a gate for each batch.

use std::sync::Arc;

use arc_swap::Guard;
use wire::NameRef;

use crate::{
    Admission, Filters, Found, LaneCounts, Now, Policy, Pressure, Samples, Verdict, View, ZoneNumber, chain,
    sample::Sampler,
};

/// One thread's handle to the filters.
#[derive(Debug)]
pub struct Lane {
    pub(crate) filters: Arc<Filters>,
    pub(crate) counts: Arc<LaneCounts>,
    pub(crate) pressure: Pressure,
    pub(crate) sampler: Sampler,
}

impl Lane {
    pub(crate) fn new(filters: Arc<Filters>, counts: Arc<LaneCounts>, samples: Samples) -> Lane {
        Lane { filters, counts, pressure: Pressure::default(), sampler: Sampler::new(samples) }
    }

    /// The view for one batch of queries, received at `now`.
    pub fn gate(&self, now: Now) -> Gate<'_> {
        Gate { lane: self, policy: self.filters.policy.load(), now }
    }

    /// Whether the lane keeps up.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }
}

/// The filters as they stand for one batch of queries.
pub struct Gate<'l> {
    pub(crate) lane: &'l Lane,
    pub(crate) policy: Guard<Arc<Policy>>,
    pub(crate) now: Now,
}

impl Gate<'_> {
    /// Whether nothing is looked at: every query would be exempt.
    #[inline]
    pub fn is_off(&self) -> bool {
        self.policy.all_off()
    }

    /// The first half of the chain: by its source and its question. Says what becomes of it, and how good it is.
    #[inline]
    pub fn admit(&self, view: &View<'_>) -> Admission {
        chain::admit(self, view)
    }

    /// The second half, for a query whose answer would have to be asked for at the origin of a zone: its number and apex.
    #[inline]
    pub fn judge_miss(&self, view: &View<'_>, admission: &Admission, zone: (ZoneNumber, NameRef<'_>)) -> Verdict {
        chain::judge_miss(self, view, admission, zone)
    }

    /// The second half, for a query whose answer is known and not yet written.
    #[inline]
    pub fn judge(&self, view: &View<'_>, admission: &Admission, found: &Found<'_>) -> Verdict {
        chain::judge(self, view, admission, found)
    }
}
