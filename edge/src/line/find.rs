//! The fourth room: which zone, and what it has for the question.

use wire::{Question, Rcode, Rtype};
use zones::{Answer, Outcome, ZoneState};

use crate::line::{
    Context, answer, on_demand,
    reply::{ExtendedError, Reply},
};

/// How far a question has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The answer is written.
    Written,
    /// The origin of the zone with this number in the cache has to be asked.
    Miss(u64),
}

/// Answers a question of class IN.
pub(super) fn answer(reply: &mut Reply<'_, '_>, question: &Question<'_>, context: &Context<'_>) -> Step {
    let refuse = |reply: &mut Reply<'_, '_>, rcode, error| {
        reply.refuse(rcode, error);
        Step::Written
    };
    if let Some((rcode, error)) = judge_type(question.rtype) {
        return refuse(reply, rcode, error);
    }
    let Some(slot) = context.zones.find(question.name, question.rtype) else {
        return refuse(reply, Rcode::REFUSED, Some(ExtendedError::NotAuthoritative));
    };
    let state = slot.state();
    let zone = match &**state {
        ZoneState::Serving(zone) => zone,
        ZoneState::OnDemand { id } => {
            return on_demand::answer(reply, question, *id, slot.apex(), context.on_demand, context.counters);
        }
        ZoneState::Pending => return refuse(reply, Rcode::SERVFAIL, Some(ExtendedError::NotReady)),
        ZoneState::Expired(_) => return refuse(reply, Rcode::SERVFAIL, Some(ExtendedError::InvalidData)),
    };
    let mut found = Answer::new();
    let outcome = zone.find(question.name, question.rtype, reply.dnssec_ok(), &mut found);
    if outcome == Outcome::Found && has_targets(question.rtype) {
        zone.find_additional(reply.dnssec_ok(), &mut found);
    }
    answer::write(reply, question.rtype, outcome, &found);
    Step::Written
}

/// Types whose data name hosts that a client looks up next.
fn has_targets(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::NS | Rtype::MX | Rtype::SRV | Rtype::SVCB | Rtype::HTTPS)
}

/// Types that no zone has an answer to, and what they get instead.
fn judge_type(rtype: Rtype) -> Option<(Rcode, Option<ExtendedError>)> {
    match rtype {
        Rtype::ANY => None,
        // Copies of a zone are the origin's to give.
        Rtype::AXFR | Rtype::IXFR => Some((Rcode::REFUSED, Some(ExtendedError::Prohibited))),
        Rtype::MAILA | Rtype::MAILB | Rtype::TKEY => Some((Rcode::NOTIMP, Some(ExtendedError::NotSupported))),
        // OPT, TSIG, NXNAME (RFC 9824 §3.5) and those that nobody has defined: they can be no data.
        rtype if rtype.is_meta() => Some((Rcode::FORMERR, None)),
        _ => None,
    }
}
