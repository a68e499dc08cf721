//! The fourth room: which zone, and what it has for the question.

use filters::{Kind, Verdict};
use wire::{Question, Rcode, Rtype, Section};
use zones::{Answer, Outcome, Zone, ZoneSlot, ZoneState};

use crate::kernel::Promise;
use crate::line::{
    answer,
    judge::{Asker, Finding},
    on_demand,
    promote::{Origin, Promotable, Whole},
    reply::{ExtendedError, Reply},
};

/// How far a question has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The answer is written.
    Written,
    /// The origin of the zone with this number in the cache has to be asked.
    Miss(u64),
    /// The filters would not have it answered.
    Withheld(Verdict),
}

/// Answers a question of class IN.
pub(super) fn answer(reply: &mut Reply<'_, '_>, question: &Question<'_>, asker: &Asker<'_>) -> Step {
    if let Some((rcode, error)) = judge_type(question.rtype) {
        return refuse(reply, asker, None, rcode, error);
    }
    let context = asker.context;
    let Some(slot) = context.zones.find(question.name, question.rtype) else {
        return refuse(reply, asker, None, Rcode::REFUSED, Some(ExtendedError::NotAuthoritative));
    };
    let origin = Origin::of(slot, context);
    let state = slot.state();
    match &**state {
        ZoneState::Serving(zone) => answer_from(reply, question, asker, (slot, zone), origin),
        ZoneState::OnDemand { id } => on_demand::answer(reply, question, (*id, slot), asker, origin),
        ZoneState::Pending => refuse(reply, asker, Some(slot), Rcode::SERVFAIL, Some(ExtendedError::NotReady)),
        ZoneState::Expired(_) => refuse(reply, asker, Some(slot), Rcode::SERVFAIL, Some(ExtendedError::InvalidData)),
    }
}

/// Answers with a code.
pub(super) fn refuse(
    reply: &mut Reply<'_, '_>,
    asker: &Asker<'_>,
    slot: Option<&ZoneSlot>,
    rcode: Rcode,
    error: Option<ExtendedError>,
) -> Step {
    match asker.judge(slot, Finding::ERROR) {
        Verdict::Serve => {
            reply.refuse(rcode, error);
            Step::Written
        }
        withheld => Step::Withheld(withheld),
    }
}

/// Answers from a zone's copy.
fn answer_from(
    reply: &mut Reply<'_, '_>,
    question: &Question<'_>,
    asker: &Asker<'_>,
    (slot, zone): (&ZoneSlot, &Zone),
    origin: Option<Origin>,
) -> Step {
    let mut found = Answer::new();
    let outcome = zone.find(question.name, question.rtype, reply.dnssec_ok(), &mut found);
    let told = (!asker.is_exempt() || origin.is_some()).then(|| kind_and_ttl_s(zone, outcome, &found));
    if let Some((kind, ttl_s)) = told {
        let verdict = judge_found(asker, slot, (kind, ttl_s), &found);
        if verdict != Verdict::Serve {
            return Step::Withheld(verdict);
        }
    }
    if outcome == Outcome::Found && has_targets(question.rtype) {
        zone.find_additional(reply.dnssec_ok(), &mut found);
    }
    let whole = answer::write(reply, question.rtype, outcome, &found);
    if let (Some(origin), Some((kind, ttl_s)), Whole::Yes) = (origin, told, whole) {
        // Of names that anybody can make up there are too many.
        let promise = match kind {
            Kind::Answer | Kind::NoData if !found.is_from_wildcard() => Promise::Some,
            _ => Promise::Little,
        };
        reply.promotable = Some(Promotable { origin, kind, ttl_s, promise, life: None });
    }
    Step::Written
}

/// What was found, and for how long nobody has to ask again.
fn kind_and_ttl_s(zone: &Zone, outcome: Outcome, found: &Answer<'_>) -> (Kind, u32) {
    let least_ttl_s = || found.section(Section::Answer).map(|rrset| rrset.ttl()).min().unwrap_or_default();
    // A name that is an alias exists, wherever it leads to. Not so what a DNAME makes: any name will do.
    let exists = || found.section(Section::Answer).next().is_some_and(|first| first.rtype() != Rtype::DNAME);
    match outcome {
        Outcome::Found | Outcome::Alias | Outcome::NameTooLong => (Kind::Answer, least_ttl_s()),
        Outcome::NoData => (Kind::NoData, zone.negative_ttl_s()),
        Outcome::NxDomain if exists() => (Kind::Answer, least_ttl_s()),
        Outcome::NxDomain => (Kind::NoName, zone.negative_ttl_s()),
        Outcome::Delegation => {
            let servers = found.section(Section::Authority).next();
            (Kind::Referral, servers.map_or(0, |servers| servers.ttl()))
        }
        Outcome::NotInZone => (Kind::Error, 0),
    }
}

fn judge_found(asker: &Asker<'_>, slot: &ZoneSlot, (kind, ttl_s): (Kind, u32), found: &Answer<'_>) -> Verdict {
    let judge = |cut| asker.judge(Some(slot), Finding { kind, ttl_s, cut, is_hit: false });
    match found.section(Section::Authority).next() {
        Some(servers) if kind == Kind::Referral => judge(Some(servers.owner().as_ref())),
        _ => judge(None),
    }
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
