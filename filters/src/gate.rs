//! How lanes ask: a lane for each thread, a gate for each batch.

use std::{net::IpAddr, sync::Arc};

use arc_swap::Guard;
use config::{DefenceMode, Filter};
use wire::NameRef;

use crate::{
    Admission, Effect, Filters, Found, Hashes, LaneCounts, Now, Policy, Pressure, Proof, Samples, Verdict, View,
    ZoneNumber, chain, sample::Sampler, sources::Clock, verdict::Finding,
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
        let policy = self.filters.policy.load();
        let clock = Clock::new(now, &policy.limits);
        let gate = Gate { lane: self, policy, now, clock };
        self.filters.names.watch(&self.filters.lanes(), &gate.policy, now);
        gate
    }

    /// Whether the lane keeps up.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// Whether the connections of this source are never limited.
    pub fn is_stream_exempt(&self, source: IpAddr) -> bool {
        let view = View { source, proof: Proof::Stream, message: &[], asked: None, hashes: Hashes::default() };
        self.filters.sources.is_allowed(&view, &self.filters.policy.load())
    }

    /// The limits of connections would have one of this source wait, or closed. Counts it, and says whether that is done.
    pub fn limit_stream(&self, source: IpAddr, closes: bool) -> bool {
        let policy = self.filters.policy.load();
        let mode = policy.mode(Filter::Stream);
        let view = View { source, proof: Proof::Stream, message: &[], asked: None, hashes: Hashes::default() };
        if mode == DefenceMode::Off || self.filters.sources.is_allowed(&view, &policy) {
            return false;
        }
        let effect = match (mode, closes) {
            (DefenceMode::On, true) => Effect::Dropped,
            (DefenceMode::On, false) => Effect::Penalised,
            (_, true) => Effect::WouldDrop,
            (_, false) => Effect::WouldPenalise,
        };
        self.counts.add(Filter::Stream, effect);
        mode == DefenceMode::On
    }
}

/// The filters as they stand for one batch of queries.
pub struct Gate<'l> {
    pub(crate) lane: &'l Lane,
    pub(crate) policy: Guard<Arc<Policy>>,
    pub(crate) now: Now,
    pub(crate) clock: Clock,
}

impl Gate<'_> {
    /// Whether nothing is looked at: every query would be exempt.
    #[inline]
    pub fn is_off(&self) -> bool {
        self.policy.all_off()
    }

    /// Whether this message, but for its id, has killed a moment ago: to be asked before anything of it is read.
    #[inline]
    pub fn has_killed(&self, message: &[u8]) -> bool {
        self.lane.filters.quarantine.has_message(message, self.now) && self.is_kept_away()
    }

    /// Whether the like of this query has killed a moment ago: to be asked by who does not ask for anything else.
    #[inline]
    pub fn is_deadly(&self, view: &View<'_>) -> bool {
        self.lane.filters.quarantine.find(view, self.now) == Finding::Drop && self.is_kept_away()
    }

    /// Makes the hashes that the tables are looked up by, once for all of them. The question stays what it is after that.
    #[inline]
    pub fn make_hashes(&self, view: &mut View<'_>) {
        if !self.is_off() {
            self.lane.filters.sources.make_hashes(view, &self.policy);
        }
    }

    /// Brings near what the verdicts on these queries, of which the hashes are made, will need: for all queries of a batch
    /// before the first is admitted. In a loop that does nothing else the processor waits for dozens of them at once; without
    /// it the verdicts are the same.
    #[inline]
    pub fn touch_all<'v>(&self, views: impl Iterator<Item = &'v View<'v>>) {
        if self.is_off() {
            return;
        }
        let Filters { sources, names, .. } = &*self.lane.filters;
        std::hint::black_box(views.fold(0, |near, view| near ^ sources.touch(view) ^ names.touch(view)));
    }

    /// The hash by which all tables know a name, in whatever case it is written.
    #[inline]
    pub fn name_hash(&self, view: &View<'_>) -> u64 {
        self.lane.filters.names.hash(view)
    }

    /// What stands for all answers that are alike, to the rate of responses: kept beside an answer that others are to give.
    pub fn subject(&self, view: &View<'_>, found: &Found<'_>) -> u64 {
        self.lane.filters.names.subject(view, found)
    }

    /// Counts it, if what has killed is kept away at all.
    #[cold]
    fn is_kept_away(&self) -> bool {
        let on = self.policy.mode(Filter::QueryOfDeath) == DefenceMode::On;
        if on {
            self.lane.counts.add(Filter::QueryOfDeath, Effect::Dropped);
        }
        on
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
