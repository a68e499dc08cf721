//! What is known of sources: how much each asks, and whether it is known to be good.

use config::Defences;

use crate::{LaneCounts, Now, Policy, Verdict, View, verdict::Finding};

/// All that is known of sources.
#[derive(Debug)]
pub(crate) struct Sources {}

/// What is known of one query's source, looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) known_good: bool,
}

impl Sources {
    pub(crate) fn new(_seed: [u64; 2]) -> Sources {
        Sources {}
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        0
    }

    /// Whether the list says that this source is never limited.
    pub(crate) fn is_allowed(&self, _view: &View<'_>, _policy: &Policy) -> bool {
        false
    }

    pub(crate) fn blocked(&self, _view: &View<'_>, _policy: &Policy) -> Finding {
        Finding::Fine
    }

    pub(crate) fn look_up(&self, _view: &View<'_>, _policy: &Policy, _counts: &LaneCounts, _now: Now) -> Source {
        Source { known_good: false }
    }

    pub(crate) fn client(&self, _source: &Source, _defences: &Defences, _now: Now) -> Finding {
        Finding::Fine
    }

    pub(crate) fn prefix(&self, _view: &View<'_>, _source: &Source, _defences: &Defences, _now: Now) -> Finding {
        Finding::Fine
    }

    pub(crate) fn repetition(&self, _view: &View<'_>, _source: &Source, _defences: &Defences, _now: Now) -> Finding {
        Finding::Fine
    }

    /// Asked only while the defence against random sources is armed, and only without a proof.
    pub(crate) fn unknown(&self, _view: &View<'_>, _source: &Source, _now: Now) -> Finding {
        Finding::Fine
    }

    /// Learns from what became of a query.
    pub(crate) fn learn(&self, _view: &View<'_>, _found: &crate::Found<'_>, _verdict: Verdict, _now: Now) {}
}
