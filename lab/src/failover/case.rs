//! What can befall an edge.

use super::{Node, Seat};
use crate::{LabError, faults::Fault};

/// What befalls it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Case {
    /// Its daemon is killed: SIGKILL.
    Kill,
    /// All of its processes stop at once, and their sockets stay open: SIGSTOP.
    Freeze,
    /// It is taken out of service as is planned for that.
    Drain,
    /// Its uplinks carry nothing more, and nothing says so.
    Cut,
    /// It does not reach the origin any more; the caller changes the zone there.
    Stale,
}

/// What befell it, to be repaired.
#[must_use]
pub struct Fallen {
    case: Case,
    faults: Vec<Fault>,
}

impl Case {
    /// All of them.
    pub const ALL: [Case; 5] = [Case::Kill, Case::Freeze, Case::Drain, Case::Cut, Case::Stale];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Case::Kill => "kill",
            Case::Freeze => "freeze",
            Case::Drain => "drain",
            Case::Cut => "cut",
            Case::Stale => "stale",
        }
    }

    /// Let it happen.
    pub fn befall(self, node: &mut Node, seat: &Seat) -> Result<Fallen, LabError> {
        let mut faults = Vec::new();
        match self {
            Case::Kill => node.kill()?,
            Case::Freeze => node.freeze()?,
            Case::Drain => node.drain()?,
            Case::Cut => {
                for uplink in &seat.uplinks {
                    faults.push(Fault::cut(&seat.host, &uplink.interface)?);
                }
            }
            Case::Stale => faults.push(Fault::cut(&seat.host, &seat.origin_interface)?),
        }
        Ok(Fallen { case: self, faults })
    }
}

impl Fallen {
    /// Undo it.
    pub fn repair(self, node: &mut Node) -> Result<(), LabError> {
        match self.case {
            Case::Kill => node.start_again()?,
            Case::Freeze => node.thaw()?,
            Case::Drain => node.undrain()?,
            Case::Cut | Case::Stale => {}
        }
        self.faults.into_iter().try_for_each(Fault::end)
    }
}
