//! Whether a lane has more to answer than it can, and what it leaves out then: the worst first.

use std::cell::Cell;

/// The pressure on one lane.
#[derive(Debug, Default)]
pub struct Pressure {
    /// Queries with this penalty or more are left out; 0 while there is no pressure.
    refused_from: Cell<u8>,
}

impl Pressure {
    /// Whether a query with this penalty is served now. What has none always is.
    #[inline]
    pub(crate) fn serves(&self, penalty: u8) -> bool {
        let from = self.refused_from.get();
        penalty == 0 || from == 0 || penalty < from
    }
}
