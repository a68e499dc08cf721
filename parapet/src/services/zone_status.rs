//! Watches the zones: publishes as the node's health whether one of them has a critical problem, and logs problems when
//! they come and when they go.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use origin_sync::{OriginSync, ProblemKind, Severity, ZoneStatus};

use crate::zones_summary::{in_words, severity, summary, troubled};

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looking takes at most one part in so many of the time; with very many zones there are fewer looks.
const LOOK_PART: u32 = 50;
/// The longest time between two looks.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(5);
/// A watch that says nothing for so long is down.
pub(super) const LIFETIME: Duration = Duration::from_secs(15);
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

/// Looks at the zones until origin-sync ends.
pub(super) async fn watch(sync: Weak<OriginSync>, health: health::Publisher, seen: Arc<ArcSwap<Seen>>) {
    let mut known = Known::new();
    while let Some(zones) = sync.upgrade().map(|sync| sync.survey()) {
        let started = Instant::now();
        health.publish(state(&zones), started);
        seen.store(Arc::new(look(&zones)));
        let now = problems(&zones);
        tell(&known, &now, &zones);
        known = now;
        drop(zones);
        tokio::time::sleep((started.elapsed() * LOOK_PART).clamp(LOOK_EVERY, LOOK_EVERY_MAX)).await;
    }
}

fn state(zones: &[ZoneStatus]) -> health::State {
    let critical = zones.iter().any(|zone| severity(zone) == Some(Severity::Critical));
    if critical { health::State::Degraded } else { health::State::Up }
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
