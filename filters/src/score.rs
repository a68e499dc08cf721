//! Adds up what the filters find, as far as the operator lets each of them go.

use config::{DefenceMode, Filter};

use crate::{
    Effect, LaneCounts, Policy, Verdict,
    verdict::{Finding, PENALTY_MAX},
};

/// A truncated answer has to be sent as well: above capacity it counts as one to a query with this penalty, unless it is
/// about a name that is known to fail.
const SLIP_PENALTY: u8 = 30;

/// The score of one query on its way down the chain.
pub(crate) struct Score<'a> {
    policy: &'a Policy,
    counts: &'a LaneCounts,
    pub(crate) verdict: Verdict,
    pub(crate) penalty: u8,
    pub(crate) worst: Option<Filter>,
    worst_penalty: u8,
    /// What a truncated answer to it counts as, at least.
    pub(crate) slip_penalty: u8,
}

impl<'a> Score<'a> {
    pub(crate) fn new(policy: &'a Policy, counts: &'a LaneCounts) -> Score<'a> {
        Score {
            policy,
            counts,
            verdict: Verdict::Serve,
            penalty: 0,
            worst: None,
            worst_penalty: 0,
            slip_penalty: SLIP_PENALTY,
        }
    }

    /// Asks a filter, unless it is off, and adds what it finds. Says whether the chain goes on.
    #[inline]
    pub(crate) fn ask(&mut self, filter: Filter, find: impl FnOnce() -> Finding) -> bool {
        let mode = self.policy.mode(filter);
        if mode == DefenceMode::Off {
            return true;
        }
        let finding = find();
        if finding == Finding::Fine {
            return true;
        }
        if mode == DefenceMode::Observe {
            self.counts.add(filter, would(finding));
            return true;
        }
        self.add(filter, finding)
    }

    fn add(&mut self, filter: Filter, finding: Finding) -> bool {
        let penalty = match finding {
            Finding::Fine => return true,
            Finding::Penalty(penalty) => penalty,
            Finding::Slip => {
                self.verdict = Verdict::Slip(filter);
                return false;
            }
            Finding::Drop => PENALTY_MAX,
        };
        if penalty > self.worst_penalty {
            (self.worst, self.worst_penalty) = (Some(filter), penalty);
        }
        self.penalty = self.penalty.saturating_add(penalty).min(PENALTY_MAX);
        if self.penalty >= PENALTY_MAX {
            self.verdict = Verdict::Drop(self.worst.unwrap_or(filter));
            return false;
        }
        self.counts.add(filter, Effect::Penalised);
        true
    }
}

fn would(finding: Finding) -> Effect {
    match finding {
        Finding::Slip => Effect::WouldSlip,
        Finding::Penalty(penalty) if penalty < PENALTY_MAX => Effect::WouldPenalise,
        Finding::Fine | Finding::Penalty(_) | Finding::Drop => Effect::WouldDrop,
    }
}
