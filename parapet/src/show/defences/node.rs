//! `parapet defences` of one node: everything, what matters in a flood first.

use std::fmt::Write as _;

use origin_sync::{Severity, duration_words};

use super::super::style::Style;
use super::super::table::render;
use super::words::{armed, mebibytes, rate};
use crate::control::defences::{
    DefencesStatus, FilterStatus, ListedStatus, NormalStatus, QuarantineStatus, SettingStatus, SuffixStatus,
};
use crate::services::defences::report::KeptEvent;

/// Zones, suffixes, listed sources and events that are shown; `--json` has all.
const ROWS_MAX: usize = 10;
/// Queries shown of an event.
const SAMPLES_MAX: usize = 3;
const WOULD: [&str; 3] = ["would-penalise", "would-slip", "would-drop"];

pub(super) fn node(status: &DefencesStatus, settings: bool, now_unix_s: f64, style: Style) -> String {
    let mut text = head(status, now_unix_s, style);
    let mut section = |lines: String| {
        if !lines.is_empty() {
            text.push('\n');
            text.push_str(&lines);
        }
    };
    section(filters(&status.filters, style));
    section(normal(status));
    section(suffixes(&status.suffixes));
    section(lists(&status.lists, now_unix_s));
    section(quarantine(&status.quarantine, now_unix_s));
    section(events(&status.events, now_unix_s));
    if settings {
        section(all_settings(&status.settings));
    }
    text
}

fn head(status: &DefencesStatus, now_unix_s: f64, style: Style) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11} {value}");
    };
    line("mode", format!("{} ({})", status.mode, status.mode_by));
    let severity = (!status.armed.is_empty()).then_some(Severity::Warning);
    line("armed", style.paint(severity, &armed(&status.armed, now_unix_s)));
    let new = status.first_seen;
    line("queries", format!("{} looked at, {new} of them from sources never heard of before", status.queries));
    let listed = status.lists.iter().filter(|listed| listed.list.is_some()).count();
    line("known good", format!("{} learned; {listed} sources on lists", status.known_good_learned));
    line("learned", learned(status, now_unix_s));
    line("memory", format!("{}, taken at the start", mebibytes(status.memory_bytes)));
    for problem in &status.problems {
        line("problem", style.paint(Some(Severity::Critical), problem));
    }
    text
}

fn learned(status: &DefencesStatus, now_unix_s: f64) -> String {
    let learned = &status.learned;
    let before = match (&learned.refused, learned.loaded) {
        (Some(why), _) => format!("nothing from before the start: {why}"),
        (None, true) => "known from before the start".to_owned(),
        (None, false) => "since the start".to_owned(),
    };
    match (&learned.not_kept, learned.kept_unix_s) {
        (Some(why), _) => format!("{before}; NOT KEPT for the next: {why}"),
        (None, Some(kept)) => format!("{before}; kept {} ago", duration_words(now_unix_s - kept)),
        (None, None) => format!("{before}; not kept yet"),
    }
}

fn filters(filters: &[FilterStatus], style: Style) -> String {
    let effect = |filter: &FilterStatus, name: &str| filter.effects.get(name).copied().unwrap_or(0);
    let observes =
        filters.iter().any(|filter| filter.mode == "observe" || WOULD.iter().any(|name| effect(filter, name) > 0));
    let mut header = vec!["filter", "mode", "by", "state", "penalised#", "slipped#", "dropped#"];
    let would = ["would penalise#", "would slip#", "would drop#"];
    header.extend(would.iter().filter(|_| observes));
    let row = |filter: &FilterStatus| {
        let state = match filter.armed {
            Some(true) => "armed",
            Some(false) => "rests",
            None => "looks",
        };
        let state = if filter.mode == "off" { "-" } else { state };
        let mut row = vec![filter.filter.clone(), filter.mode.clone(), filter.by.clone(), state.to_owned()];
        let effects = ["penalised", "slipped", "dropped"].iter().chain(WOULD.iter().filter(|_| observes));
        row.extend(effects.map(|name| effect(filter, name).to_string()));
        row
    };
    let table = render(&header, &filters.iter().map(row).collect::<Vec<_>>());
    let armed = std::iter::once(false).chain(filters.iter().map(|filter| filter.armed == Some(true)));
    let line = |(line, armed): (&str, bool)| match armed {
        true => style.paint(Some(Severity::Warning), line) + "\n",
        false => format!("{line}\n"),
    };
    table.lines().zip(armed).map(line).collect()
}

fn normal(status: &DefencesStatus) -> String {
    let some = |per_s: Option<f64>| per_s.map_or("-".to_owned(), rate);
    let row = |normal: &NormalStatus| {
        vec![
            normal.scope.clone(),
            rate(normal.per_s),
            rate(normal.normal_per_s),
            if normal.by_hand { "by hand" } else { "learned" }.to_owned(),
            some(normal.misses_per_s),
            some(normal.no_names_per_s),
            rate(normal.miss_from_per_s),
            some(normal.random_source_from_per_s),
        ]
    };
    let shown = status.zones.iter().take(ROWS_MAX);
    let rows: Vec<_> = std::iter::once(&status.normal).chain(shown).map(row).collect();
    let header = ["rates", "now#", "normal#", "how", "misses#", "no name#", "miss arms at#", "random source at#"];
    let left_out = status.zones.len().saturating_sub(ROWS_MAX) as u64 + status.zones_left_out;
    render(&header, &rows) + &and_more(left_out, "zones")
}

fn suffixes(suffixes: &[SuffixStatus]) -> String {
    if suffixes.is_empty() {
        return String::new();
    }
    let row = |suffix: &SuffixStatus| {
        vec![
            suffix.suffix.clone(),
            rate(suffix.failed_per_s),
            rate(suffix.distinct_per_s),
            rate(suffix.borne_per_s),
            rate(suffix.found_per_s),
            duration_words(suffix.attacked_s),
        ]
    };
    let header = ["random names below", "failed#", "different#", "borne#", "found#", "for#"];
    render(&header, &suffixes.iter().take(ROWS_MAX).map(row).collect::<Vec<_>>())
        + &and_more(suffixes.len().saturating_sub(ROWS_MAX) as u64, "suffixes")
}

pub(super) fn lists(lists: &[ListedStatus], now_unix_s: f64) -> String {
    if lists.is_empty() {
        return String::new();
    }
    let ends = |until: u64| duration_words(until as f64 - now_unix_s);
    let row = |listed: &ListedStatus| {
        vec![
            listed.prefix.clone(),
            listed.list.map_or("on no list", |list| list.as_str()).to_owned(),
            listed.by.clone(),
            listed.until_unix_s.map_or("-".to_owned(), ends),
            if listed.why.is_empty() { "-".to_owned() } else { listed.why.clone() },
        ]
    };
    // Orders first: somebody gave them a moment ago.
    let (orders, others): (Vec<_>, Vec<_>) = lists.iter().partition(|listed| listed.by == "order");
    let rows: Vec<_> = orders.into_iter().chain(others).take(2 * ROWS_MAX).map(row).collect();
    render(&["source", "list", "by", "ends in#", "why"], &rows)
        + &and_more(lists.len().saturating_sub(2 * ROWS_MAX) as u64, "sources")
}

fn quarantine(quarantine: &[QuarantineStatus], now_unix_s: f64) -> String {
    if quarantine.is_empty() {
        return String::new();
    }
    let row = |kept: &QuarantineStatus| {
        let left = duration_words(kept.until_unix_s - now_unix_s);
        vec![kept.like.clone(), kept.number.to_string(), kept.deaths.to_string(), kept.dropped.to_string(), left]
    };
    let header = ["query of death, kept away", "number#", "deaths#", "dropped#", "ends in#"];
    render(&header, &quarantine.iter().map(row).collect::<Vec<_>>())
}

fn events(events: &[KeptEvent], now_unix_s: f64) -> String {
    if events.is_empty() {
        return String::new();
    }
    let mut text = "events, the last first\n".to_owned();
    for event in events.iter().take(ROWS_MAX) {
        let ago = duration_words(now_unix_s - event.unix_s);
        let (per_s, normal) = (rate(event.per_s), rate(event.normal_per_s));
        let lasted = event.armed_s.map_or(String::new(), |lasted| format!(", after {}", duration_words(lasted)));
        let normal =
            if event.normal_per_s > 0.0 { format!(" where {normal} are normal or borne") } else { String::new() };
        let _ = writeln!(
            text,
            "  {ago} ago: {} {} ({}){lasted}: {per_s} a second{normal}",
            event.defence, event.phase, event.scope
        );
        for sample in event.samples.iter().take(SAMPLES_MAX).filter(|_| event.phase == "armed") {
            let _ = writeln!(text, "    {sample}");
        }
    }
    text + &and_more(events.len().saturating_sub(ROWS_MAX) as u64, "events")
}

fn all_settings(settings: &[SettingStatus]) -> String {
    let value = |value: &serde_json::Value| if value.is_null() { "-".to_owned() } else { value.to_string() };
    let row = |setting: &SettingStatus| {
        let otherwise = setting.otherwise.as_ref().map_or("-".to_owned(), value);
        vec![setting.item.clone(), value(&setting.value), setting.by.clone(), otherwise]
    };
    render(&["setting", "value", "by", "without the order"], &settings.iter().map(row).collect::<Vec<_>>())
}

fn and_more(left_out: u64, what: &str) -> String {
    if left_out == 0 { String::new() } else { format!("and {left_out} more {what}; --json has them\n") }
}
