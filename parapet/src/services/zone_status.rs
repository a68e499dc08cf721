//! Watches the zones: publishes as the node's health whether one of them has a critical problem, and logs problems when
//! they come and when they go.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use health::{Report, State};
use origin_sync::{OriginSync, ProblemKind, Severity, ZoneCondition, ZoneStatus};

use crate::zones_summary::{in_words, severity, summary, troubled};

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The same of a node that is announced: others may answer in its place as soon as it says that its copies are old.
const LOOK_EVERY_ANNOUNCED: Duration = Duration::from_millis(200);
/// Looking takes at most one part in so many of the time; with very many zones there are fewer looks.
const LOOK_PART: u32 = 50;
/// The longest time between two looks.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);
/// A watch that says nothing for so long is down.
pub(super) const LIFETIME: Duration = Duration::from_secs(15);
/// After a start, zones without a copy count for so long; one that never comes must not keep the node away for ever.
const FILL_MAX: Duration = Duration::from_secs(60);
/// Zones that are told of by name; the others are counted.
const NAMED_MAX: usize = 20;

/// What was seen last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// All zones in one line.
    pub(crate) summary: String,
    /// The worst zones, with what is wrong.
    pub(crate) problems: Vec<String>,
}

/// What is wrong with whom, to find out what has changed.
type Known = BTreeMap<(String, ProblemKind), Severity>;

/// Looks at the zones until origin-sync ends. A node that is `announced` waits for its first copies.
pub(super) async fn watch(
    sync: Weak<OriginSync>,
    health: health::Publisher,
    seen: Arc<ArcSwap<Seen>>,
    announced: bool,
) {
    let mut known = Known::new();
    let every = if announced { LOOK_EVERY_ANNOUNCED } else { LOOK_EVERY };
    let (begun, mut filling) = (Instant::now(), announced);
    while let Some(zones) = sync.upgrade().map(|sync| sync.survey()) {
        let started = Instant::now();
        filling =
            filling && begun.elapsed() < FILL_MAX && zones.iter().any(|zone| zone.state == ZoneCondition::Pending);
        health.publish_report(report(&zones, filling), started);
        seen.store(Arc::new(look(&zones)));
        let now = problems(&zones);
        tell(&known, &now, &zones);
        known = now;
        drop(zones);
        tokio::time::sleep((started.elapsed() * LOOK_PART).clamp(every, LOOK_EVERY_MAX)).await;
    }
}

/// How the node is by its zones. With old copies, or none yet, it had rather not be asked while others can be; other
/// problems are no reason to leave.
fn report(zones: &[ZoneStatus], filling: bool) -> Report {
    let old = |zone: &&ZoneStatus| {
        zone.problems.iter().any(|problem| matches!(problem.kind, ProblemKind::Expired | ProblemKind::TooOld))
    };
    let pending = zones.iter().filter(|zone| filling && zone.state == ZoneCondition::Pending).count();
    if let Some(worst) = zones.iter().find(old) {
        let more = zones.iter().filter(old).count() - 1;
        let more = if more > 0 { format!("; and {more} zones more") } else { String::new() };
        return Report::soft(State::Degraded, in_words(worst) + &more);
    }
    if pending > 0 {
        return Report::soft(State::Degraded, format!("{pending} zones have no copy yet, since the start"));
    }
    match zones.iter().find(|zone| severity(zone) == Some(Severity::Critical)) {
        Some(worst) => Report::hard(State::Degraded, in_words(worst)),
        None => Report::up(),
    }
}

/// What the zones are now, for `parapet status` and /health.
pub(crate) fn look(zones: &[ZoneStatus]) -> Seen {
    let troubled = troubled(zones);
    let mut problems: Vec<_> = troubled.iter().take(NAMED_MAX).map(|zone| in_words(zone)).collect();
    if troubled.len() > NAMED_MAX {
        problems.push(format!("and {} zones more: `parapet zones --problems` lists them", troubled.len() - NAMED_MAX));
    }
    Seen { summary: summary(zones), problems }
}

fn problems(zones: &[ZoneStatus]) -> Known {
    let of = |zone: &ZoneStatus| {
        let problem = |problem: &origin_sync::Problem| ((zone.zone.clone(), problem.kind), problem.severity);
        zone.problems.iter().map(problem).collect::<Vec<_>>()
    };
    zones.iter().flat_map(of).collect()
}

/// Logs what has changed, the first of it by name.
fn tell(known: &Known, now: &Known, zones: &[ZoneStatus]) {
    let why = |name: &str, kind: ProblemKind| {
        let zone = zones.iter().find(|zone| zone.zone == name);
        let problem = zone.and_then(|zone| zone.problems.iter().find(|problem| problem.kind == kind));
        problem.map_or(String::new(), |problem| problem.why.clone())
    };
    let new = now.iter().filter(|(what, severity)| known.get(*what).is_none_or(|before| before < *severity));
    let mut untold = 0;
    for (at, ((zone, kind), severity)) in new.enumerate() {
        match severity {
            _ if at >= NAMED_MAX => untold += 1,
            Severity::Critical => {
                tracing::error!(%zone, problem = kind.as_str(), why = why(zone, *kind), "the zone has a problem")
            }
            Severity::Warning => {
                tracing::warn!(%zone, problem = kind.as_str(), why = why(zone, *kind), "the zone has a problem")
            }
        }
    }
    let over = known.keys().filter(|what| !now.contains_key(*what));
    for (at, (zone, kind)) in over.enumerate() {
        if at < NAMED_MAX {
            tracing::info!(%zone, problem = kind.as_str(), "the zone no longer has this problem");
        } else {
            untold += 1;
        }
    }
    if untold > 0 {
        tracing::warn!(untold, "more problems came or went; `parapet zones --problems` lists those there are");
    }
}
