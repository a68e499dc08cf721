//! `parapet zones ZONE` for people: everything of a zone, and of each of its origins.

use std::fmt::Write as _;

use origin_sync::{AttemptResult, CheckResult, OnDemandStatus, OriginStatus, ZoneStatus, duration_words};

use super::style::Style;
use super::zones::{number, problem_line};

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
    if let Some(held) = &zone.held {
        let (known, wait) = (duration_words(held.held_s), duration_words(held.served_in_s));
        line(
            "held",
            format!("serial {}, known for {known}, served in {wait} (or `parapet fill {}`)", held.serial, zone.zone),
        );
    }
    let (memory, disk) = (bytes(zone.heap_bytes), bytes(zone.snapshot_bytes + zone.journal_bytes));
    line("copy", format!("{} records, {memory} in memory, {disk} on disk", zone.records));
    let refresh = zone.refresh_s.map_or(String::new(), |refresh| format!(", every {}", duration_words(refresh as f64)));
    line("confirmed", zone.age_s.map_or("never".to_owned(), |age| format!("{} ago{refresh}", duration_words(age))));
    let whole = zone.expire_s.map_or(String::new(), |expire| format!(" of {}", duration_words(expire as f64)));
    line("expires", zone.expires_in_s.map_or("-".to_owned(), |left| format!("in {}{whole}", duration_words(left))));
    line("signatures", signatures(zone));
    line("verified", verified(zone));
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
    if let Some(catalog) = &zone.as_catalog {
        let (members, owned, clashes) = (catalog.members, catalog.owned, catalog.clashes);
        let pending = catalog.pending;
        line("members", format!("{members} listed, {owned} served for it, {clashes} clash, {pending} pending"));
    }
    if let Some(questions) = &zone.on_demand {
        text.push_str(&questions_detail(questions));
    }
    for origin in &zone.origins {
        text.push_str(&origin_detail(origin));
    }
    text
}

/// What clients asked for and the cache did not have.
fn questions_detail(questions: &OnDemandStatus) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<16} {value}");
    };
    line(
        "misses",
        format!(
            "{}: {} joined another, {} over budget, {} answered stale, {} failed; {} prefetched",
            questions.misses_total,
            questions.coalesced_total,
            questions.over_budget_total,
            questions.stale_total,
            questions.failed_total,
            questions.prefetched_total
        ),
    );
    let (in_flight, waiting) = (questions.in_flight, questions.clients_waiting);
    line("now", format!("{in_flight} questions in flight, {waiting} clients wait"));
    let (answers, denials) = (questions.cache_entries, questions.cache_denials);
    line("cache", format!("{answers} answers, {denials} denials, {}", bytes(questions.cache_bytes)));
    for up in &questions.upstreams {
        let rtt = up.srtt_ms.map_or(String::new(), |srtt_ms| format!(", {srtt_ms:.1} ms"));
        let error = up.last_error.as_ref().map_or(String::new(), |error| format!("; last: {error}"));
        let health = format!("{:?}", up.health).to_lowercase();
        line(
            "questions to",
            format!(
                "{} {}: {health}{rtt}; {} asked, {} answered, {} failed, {} timed out{error}",
                up.origin, up.address, up.asked_total, up.answered_total, up.failed_total, up.timeouts_total
            ),
        );
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

/// What came of the checks that a copy has to pass before it serves.
fn verified(zone: &ZoneStatus) -> String {
    let word = |result: Option<CheckResult>| match result {
        None => "not looked at",
        Some(CheckResult::Absent) => "nothing there",
        Some(CheckResult::Unsupported) => "unknown algorithm",
        Some(CheckResult::Verified) => "holds",
        Some(CheckResult::Broken) => "broken",
    };
    let error = zone.check_error.as_ref().map_or(String::new(), |error| format!("; {error}"));
    format!("ZONEMD: {}; DNSSEC: {}{error}", word(zone.zonemd), word(zone.dnssec))
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
