//! The chain: which filter looks at a query after which. The same for all lanes, and the only place that knows the order, but
//! for the kernel lane's program: `edge/kernel/filters.h` says the same in C, and `edge/tests/kernel_filters.rs` that it does.

use config::Filter;
use wire::NameRef;

use crate::{
    Admission, Effect, Found, Gate, Kind, LaneCounts, Proof, Verdict, View, ZoneNumber,
    names::KNOWN_NAME_PENALTY,
    sample::Sample,
    score::Score,
    sources::Source,
    verdict::{Finding, PENALTY_MAX},
};

/// What a message that cannot be read is worth less.
const MALFORMED_PENALTY: u8 = 40;
/// What a query of a source that is not known to be good is worth less, above capacity.
const UNKNOWN_PENALTY: u8 = 10;

/// What has killed, from a source that nothing else is done to.
const DEADLY: Admission = Admission {
    verdict: Verdict::Drop(Filter::QueryOfDeath),
    penalty: PENALTY_MAX,
    worst: Some(Filter::QueryOfDeath),
    exempt: false,
    known_good: true,
};

/// The first half: by source and question.
pub(crate) fn admit(gate: &Gate<'_>, view: &View<'_>) -> Admission {
    let (filters, policy, now) = (&gate.lane.filters, &*gate.policy, gate.now);
    let sources = &filters.sources;
    if policy.all_off() {
        return Admission::EXEMPT;
    }
    if sources.is_allowed(view, policy) {
        // What kills does so whoever asks it.
        return if gate.is_deadly(view) { DEADLY } else { Admission::EXEMPT };
    }
    let counts = &*gate.lane.counts;
    counts.query();
    gate.lane.pressure.looked_at();
    let mut score = Score::new(policy, counts);
    let heard = score.ask(Filter::Blocked, || sources.blocked(view, policy))
        && score.ask(Filter::QueryOfDeath, || filters.quarantine.find(view, now));
    let source = if heard { sources.look_up(view, policy, counts, &gate.clock) } else { Source::NOT_LOOKED_UP };
    let _ = heard
        && score.ask(Filter::Malformed, || malformed(view))
        && score.ask(Filter::Client, || sources.client(&source, policy, &gate.clock))
        && score.ask(Filter::Prefix, || sources.prefix(view, &source, policy, &gate.clock))
        && score.ask(Filter::Repetition, || sources.repetition(view, &source, policy, &gate.clock))
        && count_clean(&score, counts)
        && score.ask(Filter::UnknownSource, || {
            match view.proof {
                _ if source.known_good => Finding::Fine,
                Proof::None if filters.names.random_source_armed() => sources.unknown(&source, now),
                // Nothing against them but that others are known: matters only where not all can be served.
                _ if gate.lane.pressure.is_on() => Finding::Penalty(UNKNOWN_PENALTY),
                _ => Finding::Fine,
            }
        });
    let verdict = above_capacity(gate, &score, 0);
    count(gate, verdict);
    if verdict != Verdict::Serve {
        // The others are sampled when more is known of them.
        gate.lane.sampler.offer(now, || Sample::new(view, None, &score, verdict, now));
    }
    Admission { verdict, penalty: score.penalty, worst: score.worst, exempt: false, known_good: source.known_good }
}

/// Above capacity the worst are left out: asked once, and again where more was found against it than `before`.
fn above_capacity(gate: &Gate<'_>, score: &Score<'_>, before: u8) -> Verdict {
    match (score.verdict, score.worst) {
        (Verdict::Serve, Some(filter)) if score.penalty > before && !gate.lane.pressure.serves(score.penalty) => {
            Verdict::Drop(filter)
        }
        (Verdict::Slip(filter), _) if !gate.lane.pressure.serves(score.penalty.max(score.slip_penalty)) => {
            Verdict::Drop(filter)
        }
        (verdict, _) => verdict,
    }
}

/// The verdict stands: tells the pressure what it could leave out and does not, and counts.
fn settle(gate: &Gate<'_>, verdict: Verdict, score: &Score<'_>, admission: &Admission) {
    // Those that are not known have that penalty as soon as there is pressure.
    let penalty = if admission.known_good { score.penalty } else { score.penalty.max(UNKNOWN_PENALTY) };
    match verdict {
        Verdict::Serve => gate.lane.pressure.bore(penalty),
        Verdict::Slip(_) => gate.lane.pressure.bore(penalty.max(score.slip_penalty)),
        Verdict::Drop(_) => {}
    }
    count(gate, verdict);
}

fn count(gate: &Gate<'_>, verdict: Verdict) {
    match verdict {
        Verdict::Serve => {}
        Verdict::Slip(filter) => gate.lane.counts.add(filter, Effect::Slipped),
        Verdict::Drop(filter) => gate.lane.counts.add(filter, Effect::Dropped),
    }
}

fn malformed(view: &View<'_>) -> Finding {
    if view.asked.is_none() { Finding::Penalty(MALFORMED_PENALTY) } else { Finding::Fine }
}

/// The second half, for what is not at hand.
pub(crate) fn judge_miss(
    gate: &Gate<'_>,
    view: &View<'_>,
    admission: &Admission,
    zone: (ZoneNumber, NameRef<'_>),
) -> Verdict {
    if admission.exempt {
        return Verdict::Serve;
    }
    let (filters, defences) = (&gate.lane.filters, &gate.policy.defences);
    gate.lane.counts.zones.miss(zone.0);
    let mut score = continue_with(gate, admission);
    score.ask(Filter::Miss, || filters.names.miss(view, admission, zone, (&filters.lanes(), defences, gate.now)));
    let verdict = above_capacity(gate, &score, admission.penalty);
    settle(gate, verdict, &score, admission);
    if verdict != Verdict::Serve {
        gate.lane.counts.zones.query(zone.0);
        // The others are when the origin has answered.
        gate.lane.sampler.offer(gate.now, || Sample::new(view, Some(zone.0), &score, verdict, gate.now));
    }
    verdict
}

/// The second half, for what has been found.
pub(crate) fn judge(gate: &Gate<'_>, view: &View<'_>, admission: &Admission, found: &Found<'_>) -> Verdict {
    if admission.exempt {
        return Verdict::Serve;
    }
    let (filters, defences) = (&gate.lane.filters, &gate.policy.defences);
    count_zone(gate, found);
    filters.names.found(view, found, 1, gate.now);
    let mut score = continue_with(gate, admission);
    let mut is_known = false;
    let goes_on = score.ask(Filter::RandomName, || match found.kind {
        Kind::NoName if !found.is_hit => {
            let finding = filters.names.random_name(view, admission, found, defences, gate.now);
            is_known = finding == Finding::Penalty(KNOWN_NAME_PENALTY);
            finding
        }
        _ => Finding::Fine,
    });
    if is_known {
        score.slip_penalty = KNOWN_NAME_PENALTY;
    }
    let mut verdict = above_capacity(gate, &score, admission.penalty);
    // What is left out anyway is not looked up in yet another table.
    if goes_on && verdict == Verdict::Serve {
        let finds = || match view.proof {
            Proof::None => filters.names.response_rate(view, admission, found, defences, gate.now),
            Proof::Cookie | Proof::Stream => Finding::Fine,
        };
        if !score.ask(Filter::ResponseRate, finds) {
            verdict = above_capacity(gate, &score, score.penalty);
        }
    }
    settle(gate, verdict, &score, admission);
    let zone = found.zone.map(|(number, _)| number);
    gate.lane.sampler.offer(gate.now, || Sample::new(view, zone, &score, verdict, gate.now));
    let armed = filters.names.random_source_armed();
    filters.sources.learn((view, admission, found), verdict, (&gate.policy, armed), &gate.clock);
    filters.quarantine.served(view, found, 1);
    verdict
}

/// Always true: the chain goes on.
fn count_clean(score: &Score<'_>, counts: &LaneCounts) -> bool {
    if score.penalty == 0 {
        counts.clean();
    }
    true
}

fn count_zone(gate: &Gate<'_>, found: &Found<'_>) {
    let Some((zone, _)) = found.zone else { return };
    gate.lane.counts.zones.query(zone);
    if found.kind == Kind::NoName {
        gate.lane.counts.zones.no_name(zone);
    }
}

fn continue_with<'g>(gate: &'g Gate<'_>, admission: &Admission) -> Score<'g> {
    let mut score = Score::new(&gate.policy, &gate.lane.counts);
    (score.penalty, score.worst) = (admission.penalty.min(PENALTY_MAX), admission.worst);
    score
}
