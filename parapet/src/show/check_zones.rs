//! `parapet check-zones`: one verdict over all zones, in the form that Nagios, Icinga and cron take (the Monitoring Plugins'
//! guidelines): a first line with the state, measured values behind a `|`, further lines, and the state as exit code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use origin_sync::{ProblemLimits, Severity, ZoneStatus, problems};
use serde::Serialize;

use super::fleet::{Cell, NodeZones, rows};
use super::matrix;
use crate::zones_summary::{count, summary, troubled};

/// Problems that are told line by line.
const LINES_MAX: usize = 200;
/// A node that is behind the others is looked at again after this: a change takes a moment to reach them all.
pub(super) const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// The states of a plugin, with their exit codes. For the worst of several, unknown is worse than a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl State {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn of(severity: Option<Severity>) -> Self {
        match severity {
            None => Self::Ok,
            Some(Severity::Warning) => Self::Warning,
            Some(Severity::Critical) => Self::Critical,
        }
    }
}

/// What is said, and how it ends.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) state: State,
    summary: String,
    measured: Vec<String>,
    lines: Vec<(Severity, String)>,
}

/// The verdict as JSON.
#[derive(Serialize)]
struct VerdictJson<'v> {
    state: &'static str,
    summary: &'v str,
    problems: Vec<ProblemJson<'v>>,
}

#[derive(Serialize)]
struct ProblemJson<'v> {
    severity: Severity,
    what: &'v str,
}

impl Verdict {
    /// For when nothing could be found out.
    pub(crate) fn unknown(why: &str) -> Self {
        Self { state: State::Unknown, summary: why.to_owned(), measured: Vec::new(), lines: Vec::new() }
    }

    /// In the form of a plugin.
    pub(crate) fn to_text(&self) -> String {
        // A `|` in the text would begin the measured values.
        let clean = |text: &str| text.replace('|', "/").replace('\n', " ");
        let mut text = format!("ZONES {}: {}", self.state.as_str(), clean(&self.summary));
        if !self.measured.is_empty() {
            let _ = write!(text, " | {}", self.measured.join(" "));
        }
        text.push('\n');
        for (severity, line) in self.lines.iter().take(LINES_MAX) {
            let _ = writeln!(text, "{}: {}", severity.as_str().to_uppercase(), clean(line));
        }
        if self.lines.len() > LINES_MAX {
            let _ = writeln!(text, "and {} more", self.lines.len() - LINES_MAX);
        }
        text
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        let problems = self.lines.iter().map(|(severity, what)| ProblemJson { severity: *severity, what }).collect();
        serde_json::to_string_pretty(&VerdictJson { state: self.state.as_str(), summary: &self.summary, problems })
    }
}

/// Judges the zones of one node.
pub(crate) fn judge(mut zones: Vec<ZoneStatus>, wanted: &[String], limits: &ProblemLimits) -> Verdict {
    let missing: Vec<_> = wanted.iter().filter(|name| zones.iter().all(|zone| zone.zone != **name)).cloned().collect();
    zones.retain(|zone| wanted.is_empty() || wanted.contains(&zone.zone));
    apply(&mut zones, limits);
    let mut lines: Vec<_> =
        missing.iter().map(|name| (Severity::Critical, format!("{name} the node has no such zone"))).collect();
    for zone in troubled(&zones) {
        lines.extend(zone.problems.iter().map(|problem| (problem.severity, format!("{} {}", zone.zone, problem.why))));
    }
    let worst = lines.iter().map(|(severity, _)| *severity).max();
    let summary = match missing.as_slice() {
        [] if zones.is_empty() => "the node has no zones".to_owned(),
        [] => summary(&zones),
        [only] => format!("the node has no zone {only}"),
        several => format!("the node has no zones {}", several.join(", ")),
    };
    let state = if zones.is_empty() && missing.is_empty() { State::Unknown } else { State::of(worst) };
    Verdict { state, summary, measured: measured(&zones, limits), lines }
}

/// Judges the zones of several nodes. `behind` holds the nodes and zones that were behind the others a moment ago: only
/// what stays behind counts.
pub(crate) fn judge_all(
    nodes: &mut [NodeZones],
    wanted: &[String],
    limits: &ProblemLimits,
    behind: &BTreeSet<(String, String)>,
) -> Verdict {
    for zones in nodes.iter_mut().filter_map(|node| node.zones.as_mut().ok()) {
        zones.retain(|zone| wanted.is_empty() || wanted.contains(&zone.zone));
        apply(zones, limits);
    }
    let mut rows = rows(nodes);
    let names: Vec<_> = nodes.iter().map(|node| node.node.clone()).collect();
    for row in &mut rows {
        for (cell, node) in row.cells.iter_mut().zip(&names) {
            if let Cell::Has { behind: serials, .. } = cell
                && !behind.contains(&(node.clone(), row.zone.to_owned()))
            {
                *serials = 0;
            }
        }
    }
    let mut lines = matrix::troubles(nodes, &rows.iter().collect::<Vec<_>>());
    let absent = wanted.iter().filter(|name| rows.iter().all(|row| row.zone != **name));
    lines.extend(absent.map(|name| (Severity::Critical, format!("{name} no node has such a zone"))));
    lines.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    let worst = lines.first().map(|(severity, _)| *severity);
    let mut text = matrix::summary(nodes, &rows);
    if let Some((_, first)) = lines.first() {
        let _ = write!(text, "; {}{first}", if lines.len() > 1 { "the worst: " } else { "" });
    }
    let all: Vec<_> = nodes.iter().flat_map(|node| node.zones.iter().flatten().cloned()).collect();
    let mut measured = measured(&all, limits);
    let silent = nodes.iter().filter(|node| node.zones.is_err()).count();
    measured.insert(0, format!("nodes={};;;0 silent={silent};;0;0", nodes.len()));
    let state = if nodes.is_empty() { State::Unknown } else { State::of(worst) };
    Verdict { state, summary: text, measured, lines }
}

/// Which nodes are behind others in which zones.
pub(crate) fn who_is_behind(nodes: &[NodeZones]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for row in rows(nodes) {
        for (node, cell) in nodes.iter().zip(&row.cells) {
            if matches!(cell, Cell::Has { behind, .. } if *behind > 0) {
                found.insert((node.node.clone(), row.zone.to_owned()));
            }
        }
    }
    found
}

/// Finds the problems by these limits instead of the daemon's.
fn apply(zones: &mut [ZoneStatus], limits: &ProblemLimits) {
    for zone in zones {
        zone.problems = problems(zone, limits);
    }
}

/// `label=value[unit];warning;critical;min`, as the guidelines have it.
fn measured(zones: &[ZoneStatus], limits: &ProblemLimits) -> Vec<String> {
    let troubled = troubled(zones);
    let of = |severity| {
        troubled.iter().filter(|zone| zone.problems.first().map(|problem| problem.severity) == Some(severity)).count()
    };
    let most = |value: fn(&ZoneStatus) -> Option<f64>| zones.iter().filter_map(value).reduce(f64::max);
    let least = |value: fn(&ZoneStatus) -> Option<f64>| zones.iter().filter_map(value).reduce(f64::min);
    let counts = count(zones);
    let levels = |levels: Option<origin_sync::Levels>| {
        levels.map_or(";".to_owned(), |levels| format!("{};{}", levels.warning, levels.critical))
    };
    let mut text = vec![
        format!("zones={};;;0", zones.len()),
        format!("serving={};;;0", counts.serving),
        format!("warning={};0;;0", of(Severity::Warning)),
        format!("critical={};;0;0", of(Severity::Critical)),
    ];
    let times = [
        ("age_max", most(|zone| zone.age_s), levels(limits.age_s)),
        ("lag_max", most(|zone| Some(zone.lag_s)), levels(Some(limits.lag_s))),
        ("failing_max", most(|zone| Some(zone.failing_s.unwrap_or(0.0))), format!(";{}", limits.failing_s)),
        ("expires_in_min", least(|zone| zone.expires_in_s), levels(None)),
        ("signature_in_min", least(|zone| zone.first_signature_expires_in_s), levels(None)),
    ];
    for (label, value, levels) in times {
        if let Some(value) = value {
            text.push(format!("{label}={value:.0}s;{levels};"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use origin_sync::ZoneCondition;

    use super::super::fleet::tests::{node, zone};
    use super::*;

    fn check(zones: Vec<ZoneStatus>, wanted: &[&str], state: State, want: &str) {
        let wanted: Vec<_> = wanted.iter().map(|&name| name.to_owned()).collect();
        let verdict = judge(zones, &wanted, &ProblemLimits::default());
        assert_eq!(verdict.state, state, "{}", verdict.to_text());
        assert_eq!(verdict.to_text(), want);
    }

    #[test]
    fn one_line_and_measured_values() {
        let good = ZoneStatus { age_s: Some(4.0), expires_in_s: Some(900.0), ..zone("a.", 1) };
        let want = "ZONES OK: 1 zone: 1 serving; no problems | zones=1;;;0 serving=1;;;0 warning=0;0;;0 \
            critical=0;;0;0 age_max=4s;;; lag_max=0s;60;600; failing_max=0s;;1800; expires_in_min=900s;;;\n";
        check(vec![good], &[], State::Ok, want);
    }

    #[test]
    fn what_is_wrong_is_told_line_by_line() {
        let expired = ZoneStatus { state: ZoneCondition::Expired, age_s: Some(700.0), ..zone("b.", 1) };
        let behind = ZoneStatus { lag_s: 61.0, serials_behind: 1, ..zone("c.", 1) };
        let want = "ZONES CRITICAL: 2 zones: 1 serving, 1 expired; 1 critical, 1 warning, the worst: \
            b. expired: not refreshed for 11m40s, clients get SERVFAIL | zones=2;;;0 serving=1;;;0 warning=1;0;;0 \
            critical=1;;0;0 age_max=700s;;; lag_max=61s;60;600; failing_max=0s;;1800;\n\
            CRITICAL: b. expired: not refreshed for 11m40s, clients get SERVFAIL\n\
            WARNING: c. 1 serial behind for 1m01s\n";
        check(vec![behind, expired], &[], State::Critical, want);
    }

    #[test]
    fn zones_that_are_not_there() {
        let verdict = judge(vec![zone("a.", 1)], &["b.".to_owned()], &ProblemLimits::default());
        assert_eq!(verdict.state, State::Critical);
        assert!(verdict.to_text().starts_with("ZONES CRITICAL: the node has no zone b. | "), "{}", verdict.to_text());
        assert_eq!(judge(Vec::new(), &[], &ProblemLimits::default()).state, State::Unknown);
    }

    #[test]
    fn a_bar_does_not_begin_the_measured_values() {
        let failing = ZoneStatus { failures: 3, last_error: Some("a | b\nc".to_owned()), ..zone("a.", 1) };
        let text = judge(vec![failing], &[], &ProblemLimits::default()).to_text();
        assert_eq!(text.matches('|').count(), 1, "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn several_nodes() {
        let silent = NodeZones { node: "c".to_owned(), zones: Err("no answer".to_owned()) };
        let mut nodes = [node("a", &[zone("x.", 7)]), node("b", &[zone("x.", 5)]), silent];
        let limits = ProblemLimits::default();
        let behind = who_is_behind(&nodes);
        assert_eq!(behind, BTreeSet::from([("b".to_owned(), "x.".to_owned())]));
        let text = judge_all(&mut nodes, &[], &limits, &behind).to_text();
        assert!(text.starts_with("ZONES CRITICAL: 3 nodes, 1 zone: 1 warning, 1 node silent; the worst: c is silent: no answer | nodes=3;;;0 silent=1;;0;0 zones=2;"), "{text}");
        assert!(text.contains("\nWARNING: b x.: 2 behind serial 7, which other nodes have\n"), "{text}");
        // What was not behind a moment ago is on its way.
        let verdict = judge_all(&mut nodes[..2], &[], &limits, &BTreeSet::new());
        assert_eq!(verdict.state, State::Ok, "{}", verdict.to_text());
    }
}
