//! All zones in a few words: how many are well, and what is wrong with the others, worst first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use origin_sync::{Severity, ZoneCondition, ZoneStatus};

use crate::control::protocol::ZoneCounts;

/// Zones by their state.
pub(crate) fn count(zones: &[ZoneStatus]) -> ZoneCounts {
    let mut counts = ZoneCounts::default();
    for zone in zones {
        match zone.state {
            ZoneCondition::Serving => counts.serving += 1,
            ZoneCondition::Expired => counts.expired += 1,
            ZoneCondition::Stale => counts.stale += 1,
            ZoneCondition::Pending => counts.pending += 1,
            ZoneCondition::OnDemand => counts.on_demand += 1,
        }
    }
    counts
}

/// How bad the worst problem of a zone is.
pub(crate) fn severity(zone: &ZoneStatus) -> Option<Severity> {
    zone.problems.iter().map(|problem| problem.severity).max()
}

/// The zones that have problems, worst first; alike ones by their names.
pub(crate) fn troubled(zones: &[ZoneStatus]) -> Vec<&ZoneStatus> {
    let mut troubled: Vec<_> = zones.iter().filter(|zone| !zone.problems.is_empty()).collect();
    troubled.sort_by_key(|zone| (Reverse(severity(zone)), zone.problems.first().map(|problem| problem.kind)));
    troubled
}

/// One line: `12 zones: 11 serving, 1 expired; 1 critical: example.net. expired: not refreshed for …`.
pub(crate) fn summary(zones: &[ZoneStatus]) -> String {
    let ZoneCounts { serving, pending, expired, stale, on_demand } = count(zones);
    let states = [
        (serving, "serving"),
        (on_demand, "on demand"),
        (pending, "pending"),
        (expired, "expired"),
        (stale, "served though expired"),
    ];
    let states: Vec<_> =
        states.iter().filter(|(number, _)| *number > 0).map(|(number, state)| format!("{number} {state}")).collect();
    let total = match zones.len() {
        0 => return "no zones".to_owned(),
        1 => "1 zone".to_owned(),
        several => format!("{several} zones"),
    };
    format!("{total}: {}; {}", states.join(", "), trouble(zones))
}

fn trouble(zones: &[ZoneStatus]) -> String {
    let troubled = troubled(zones);
    let mut numbers: BTreeMap<Reverse<Severity>, usize> = BTreeMap::new();
    for severity in troubled.iter().filter_map(|zone| severity(zone)) {
        *numbers.entry(Reverse(severity)).or_default() += 1;
    }
    let numbers: Vec<_> =
        numbers.iter().map(|(Reverse(severity), number)| format!("{number} {}", severity.as_str())).collect();
    match troubled.as_slice() {
        [] => "no problems".to_owned(),
        [only] => format!("{}: {}", numbers.join(", "), in_words(only)),
        [worst, ..] => format!("{}, the worst: {}", numbers.join(", "), in_words(worst)),
    }
}

/// A zone and its worst problem.
pub(crate) fn in_words(zone: &ZoneStatus) -> String {
    let Some(worst) = zone.problems.first() else { return zone.zone.clone() };
    let more = match zone.problems.len() {
        0 | 1 => String::new(),
        several => format!(" (and {} more)", several - 1),
    };
    format!("{} {}{more}", zone.zone, worst.why)
}

#[cfg(test)]
mod tests {
    use origin_sync::{Problem, ProblemKind};

    use super::*;

    fn zone(name: &str, state: ZoneCondition, problems: &[(ProblemKind, Severity, &str)]) -> ZoneStatus {
        let problem =
            |&(kind, severity, why): &(ProblemKind, Severity, &str)| Problem { kind, severity, why: why.to_owned() };
        ZoneStatus {
            zone: name.to_owned(),
            state,
            problems: problems.iter().map(problem).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn one_line_says_it() {
        let good = zone("a.", ZoneCondition::Serving, &[]);
        let old = (ProblemKind::NotRefreshed, Severity::Warning, "not refreshed for 3h04m");
        let failing = (ProblemKind::Failing, Severity::Warning, "9 failed rounds");
        let expired = (ProblemKind::Expired, Severity::Critical, "expired: not refreshed for 7d00h");
        assert_eq!(summary(&[]), "no zones");
        assert_eq!(summary(std::slice::from_ref(&good)), "1 zone: 1 serving; no problems");
        let stuck = zone("b.", ZoneCondition::Serving, &[old, failing]);
        let want = "2 zones: 2 serving; 1 warning: b. not refreshed for 3h04m (and 1 more)";
        assert_eq!(summary(&[good.clone(), stuck.clone()]), want);
        let gone = zone("c.", ZoneCondition::Expired, &[expired]);
        let want =
            "3 zones: 2 serving, 1 expired; 1 critical, 1 warning, the worst: c. expired: not refreshed for 7d00h";
        assert_eq!(summary(&[good, stuck, gone]), want);
    }
}
