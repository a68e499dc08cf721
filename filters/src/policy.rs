//! What the operator decided, made ready for the way of a query.

use config::{DefenceMode, Defences, Filter};

use crate::sources::Limits;

/// The defences that hold, swapped whole.
#[derive(Clone, Debug)]
pub struct Policy {
    /// As they stand in the file, with what orders changed.
    pub defences: Defences,
    modes: [DefenceMode; Filter::ALL.len()],
    all_off: bool,
    pub(crate) limits: Limits,
}

impl Policy {
    pub(crate) fn new(defences: &Defences) -> Policy {
        let modes = Filter::ALL.map(|filter| defences.mode_of(filter));
        let all_off = modes.iter().all(|mode| *mode == DefenceMode::Off);
        Policy { defences: defences.clone(), modes, all_off, limits: Limits::new(defences) }
    }

    /// How far a filter goes.
    #[inline]
    pub fn mode(&self, filter: Filter) -> DefenceMode {
        self.modes.get(filter as usize).copied().unwrap_or(DefenceMode::Off)
    }

    /// Whether nothing is looked at.
    pub fn all_off(&self) -> bool {
        self.all_off
    }
}
