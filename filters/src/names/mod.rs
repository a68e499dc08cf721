//! What is known of names: what is normal for the node and its zones, where random names are asked for, and how many
//! answers of a kind went to whom.

use config::Defences;
use wire::NameRef;

use crate::{Admission, Counts, Event, Found, Now, Policy, View, ZoneNumber, verdict::Finding};

/// All that is known of names.
#[derive(Debug)]
pub(crate) struct Names {}

/// Normal rates that were set by hand: the zone, and queries a second.
pub type NormalByHand = Vec<(ZoneNumber, u32)>;

impl Names {
    pub(crate) fn new(_seed: [u64; 2]) -> Names {
        Names {}
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        0
    }

    /// Whether only known-good sources are served now.
    pub(crate) fn random_source_armed(&self) -> bool {
        false
    }

    /// The answer is not at hand: its origin would have to be asked.
    pub(crate) fn miss(
        &self,
        _view: &View<'_>,
        _admission: &Admission,
        _zone: (ZoneNumber, NameRef<'_>),
        _now: Now,
    ) -> Finding {
        Finding::Fine
    }

    pub(crate) fn random_name(
        &self,
        _view: &View<'_>,
        _admission: &Admission,
        _found: &Found<'_>,
        _defences: &Defences,
        _now: Now,
    ) -> Finding {
        Finding::Fine
    }

    pub(crate) fn response_rate(
        &self,
        _view: &View<'_>,
        _found: &Found<'_>,
        _defences: &Defences,
        _now: Now,
    ) -> Finding {
        Finding::Fine
    }

    pub(crate) fn tick(&self, _counts: &Counts, _policy: &Policy, _now: Now) -> Vec<Event> {
        Vec::new()
    }
}
