//! What becomes of a query.

use config::Filter;

/// What becomes of a query, so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Serve,
    /// It gets a truncated answer without records: a real client asks again over TCP.
    Slip(Filter),
    /// Nobody is answered.
    Drop(Filter),
}

/// What the first half of the chain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The sum of its penalties, 0 to 100: the best are served first.
    pub penalty: u8,
    /// Who gave the greatest penalty.
    pub worst: Option<Filter>,
    /// Nothing may be done to it: its source is on the list of those that are never limited, or all defences are off.
    pub exempt: bool,
    /// Its source is known to be good.
    pub known_good: bool,
}

impl Admission {
    /// Nothing may be done to it.
    pub const EXEMPT: Admission =
        Admission { verdict: Verdict::Serve, penalty: 0, worst: None, exempt: true, known_good: true };
}

/// What has so many penalties is dropped whatever the capacity.
pub(crate) const PENALTY_MAX: u8 = 100;

/// What one filter found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Nothing.
    Fine,
    /// It is worth so much less; [`PENALTY_MAX`] is nothing at all.
    Penalty(u8),
    /// It is to prove its source.
    Slip,
    /// It is not answered, whatever the capacity.
    Drop,
}
