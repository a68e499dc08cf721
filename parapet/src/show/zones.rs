//! `parapet zones` for people: a table with the problem zones first, or everything of single zones.

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

fn problem_line(problem: &Problem, style: Style) -> String {
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

/// Everything of each zone.
pub(crate) fn details(zones: &[ZoneStatus], style: Style) -> String {
    let zones: Vec<_> = zones.iter().map(|zone| detail(zone, style)).collect();
    zones.join("\n")
}

fn detail(zone: &ZoneStatus, style: Style) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<16} {value}");
    };
    line("zone", zone.zone.clone());
    let catalog = zone.catalog.as_ref().map_or(String::new(), |catalog| format!(", member of the catalog {catalog}"));
    line("state", format!("{} for {}", zone.state.as_str(), duration_words(zone.state_age_s)));
    line("mode", format!("{}{catalog}", zone.mode.as_str()));
    for problem in &zone.problems {
        line("problem", problem_line(problem, style));
    }
    line("serial", serial(zone));
    let (memory, disk) = (bytes(zone.heap_bytes), bytes(zone.snapshot_bytes + zone.journal_bytes));
    line("copy", format!("{} records, {memory} in memory, {disk} on disk", zone.records));
    let refresh = zone.refresh_s.map_or(String::new(), |refresh| format!(", every {}", duration_words(refresh as f64)));
    line("confirmed", zone.age_s.map_or("never".to_owned(), |age| format!("{} ago{refresh}", duration_words(age))));
    let whole = zone.expire_s.map_or(String::new(), |expire| format!(" of {}", duration_words(expire as f64)));
    line("expires", zone.expires_in_s.map_or("-".to_owned(), |left| format!("in {}{whole}", duration_words(left))));
    line("signatures", signatures(zone));
    line(
        "last attempt",
        match (zone.last_attempt_age_s, &zone.last_error) {
            (None, _) => "-".to_owned(),
            (Some(age), None) => format!("{} ago, succeeded", duration_words(age)),
            (Some(age), Some(error)) => format!("{} ago, failed: {error}", duration_words(age)),
        },
    );
    line(
        "next attempt",
        match zone.next_attempt_in_s {
            Some(wait) => format!("in {}", duration_words(wait)),
            None => "now".to_owned(),
        },
    );
    line("last NOTIFY", zone.last_notify_age_s.map_or("-".to_owned(), |age| format!("{} ago", duration_words(age))));
    let totals = &zone.totals;
    line(
        "since the start",
        format!(
            "{} AXFR, {} IXFR ({} given up for AXFR), {}; {} times up to date, {} failed; {} NOTIFYs",
            totals.axfr,
            totals.ixfr,
            totals.fallback,
            bytes(totals.transfer_bytes),
            totals.up_to_date,
            totals.failed,
            totals.notifies
        ),
    );
    for origin in &zone.origins {
        text.push_str(&origin_detail(origin));
    }
    text
}

fn serial(zone: &ZoneStatus) -> String {
    let serial = number(zone.serial);
    match zone.serials_behind {
        0 => serial,
        behind => format!("{serial}, {behind} behind an origin for {}", duration_words(zone.lag_s)),
    }
}

fn signatures(zone: &ZoneStatus) -> String {
    match zone.first_signature_expires_in_s {
        None => "-".to_owned(),
        Some(left) if left > 0.0 => format!("the first dies in {}", duration_words(left)),
        Some(left) => format!("the first died {} ago", duration_words(-left)),
    }
}

fn origin_detail(origin: &OriginStatus) -> String {
    let key = origin.key.as_ref().map_or("no key".to_owned(), |key| format!("key {key}"));
    let mut text = format!("\norigin           {} {} ({key})\n", origin.origin, origin.address);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<14} {value}");
    };
    let ahead = if origin.lag_s > 0.0 {
        format!(", newer than ours for {}", duration_words(origin.lag_s))
    } else {
        String::new()
    };
    line("serial", format!("{}{ahead}", number(origin.serial)));
    line(
        "last attempt",
        match origin.last_attempt_age_s {
            None => "-".to_owned(),
            Some(age) => {
                let question = origin.last_question.as_deref().unwrap_or("-");
                let signed = origin.last_key.as_ref().map_or(", unsigned".to_owned(), |key| format!(", TSIG {key}"));
                let transport = origin.last_transport.map_or("-", |transport| transport.as_str());
                let took = origin.last_took_ms.unwrap_or(0.0);
                format!("{} ago: {question} over {transport}{signed}, took {took:.1} ms", duration_words(age))
            }
        },
    );
    line(
        "result",
        match (&origin.last_error, origin.last_result) {
            (Some(error), _) => format!("failed, {} in a row: {error}", origin.failures),
            (None, Some(AttemptResult::Updated)) => "a new copy".to_owned(),
            (None, Some(_)) => "up to date".to_owned(),
            (None, None) => "-".to_owned(),
        },
    );
    if let Some(last) = &origin.last_transfer {
        line(
            "last transfer",
            format!(
                "{} over {} to {}: {} records, {}, {:.1} ms",
                last.question,
                last.transport.as_str(),
                last.serial,
                last.records,
                bytes(last.bytes),
                last.took_ms
            ),
        );
    }
    if let Some(fallback) = &origin.last_fallback {
        line("last fallback", fallback.clone());
    }
    text
}

fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1000.0, unit + 1);
    }
    let unit_name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {unit_name}") }
}

fn number(number: Option<u32>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

fn time(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), duration_words)
}
