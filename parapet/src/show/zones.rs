//! `parapet zones` for people: a table with the problem zones first.

use std::cmp::Reverse;
use std::fmt::Write as _;

use origin_sync::{AttemptResult, OriginStatus, Problem, ZoneStatus, duration_words};

use super::style::Style;
use super::table::render;
use crate::zones_summary::{severity, summary};

/// The longest name that stands in the table whole; with it the table is at most 120 columns wide.
const NAME_CHARS_MAX: usize = 34;
const COLUMNS: [&str; 10] =
    ["zone", "state", "mode", "serial#", "behind#", "age#", "expires#", "next#", "last attempt", "via"];

/// A row for each zone, those with problems first with a line for each problem; and the sum of it.
pub(crate) fn table(zones: &[ZoneStatus], problems_only: bool, style: Style) -> String {
    let shown = sorted(zones, problems_only);
    let rows: Vec<_> = shown.iter().map(|zone| row(zone)).collect();
    let mut text = String::new();
    if !rows.is_empty() {
        let table = render(&COLUMNS, &rows);
        let mut lines = table.lines();
        text.extend(lines.next().into_iter().flat_map(|header| [header, "\n"]));
        for (zone, line) in shown.iter().zip(lines) {
            let painted = if zone.problems.is_empty() { line.to_owned() } else { style.paint(severity(zone), line) };
            let _ = writeln!(text, "{painted}");
            if zone.zone.chars().count() > NAME_CHARS_MAX && !zone.problems.is_empty() {
                let _ = writeln!(text, "  {}", zone.zone);
            }
            for problem in &zone.problems {
                let _ = writeln!(text, "  {}", problem_line(problem, style));
            }
        }
        text.push('\n');
    }
    let worst = zones.iter().filter_map(severity).max();
    let _ = writeln!(text, "{}", style.paint(worst, &summary(zones)));
    text
}

/// The zones in the order in which they are shown: the worst first, alike ones by name.
pub(crate) fn sorted(zones: &[ZoneStatus], problems_only: bool) -> Vec<&ZoneStatus> {
    let mut shown: Vec<_> = zones.iter().filter(|zone| !problems_only || !zone.problems.is_empty()).collect();
    shown.sort_by_key(|zone| (Reverse(severity(zone)), zone.problems.first().map(|problem| problem.kind)));
    shown
}

pub(super) fn problem_line(problem: &Problem, style: Style) -> String {
    format!("{}: {}", style.paint(Some(problem.severity), problem.severity.as_str()), problem.why)
}

fn row(zone: &ZoneStatus) -> Vec<String> {
    let asked_last = zone.origins.iter().filter(|origin| origin.last_attempt_age_s.is_some());
    let asked_last =
        asked_last.min_by(|a, b| a.last_attempt_age_s.unwrap_or(0.0).total_cmp(&b.last_attempt_age_s.unwrap_or(0.0)));
    vec![
        shortened(&zone.zone),
        zone.state.as_str().to_owned(),
        zone.mode.as_str().to_owned(),
        number(zone.serial),
        if zone.serials_behind > 0 { zone.serials_behind.to_string() } else { "-".to_owned() },
        time(zone.age_s),
        time(zone.expires_in_s),
        if zone.attempting { "now".to_owned() } else { time(zone.next_attempt_in_s) },
        asked_last
            .map_or("-".to_owned(), |origin| format!("{}, {} ago", result(origin), time(origin.last_attempt_age_s))),
        asked_last.map_or("-".to_owned(), via),
    ]
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        None => name.to_owned(),
        Some(_) => name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect(),
    }
}

/// What came of the last attempt, in a word.
fn result(origin: &OriginStatus) -> &str {
    match origin.last_result {
        Some(AttemptResult::UpToDate) => "same",
        Some(AttemptResult::Updated) => origin.last_question.as_deref().unwrap_or("new"),
        Some(AttemptResult::Failed) => "failed",
        None => "-",
    }
}

/// How the last attempt went over the wire.
fn via(origin: &OriginStatus) -> String {
    let transport = origin.last_transport.map_or("-", |transport| transport.as_str());
    match origin.last_key {
        Some(_) => format!("{transport}+tsig"),
        None => transport.to_owned(),
    }
}

pub(super) fn number(number: Option<u32>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

fn time(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), duration_words)
}
