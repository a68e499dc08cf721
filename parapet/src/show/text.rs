//! The answers of a node, for people.

use std::fmt::Write as _;

use super::table::{duration, render};
use crate::control::protocol::{Status, Transfer, Zone, ZoneCounts, ZoneOrigin};

pub(crate) fn status(status: &Status) -> String {
    let mut text = String::new();
    let listen: Vec<_> = status.listen.iter().map(ToString::to_string).collect();
    let roles: Vec<_> = status.roles.iter().map(|role| format!("{} ({})", role.role, role.state)).collect();
    let zones = &status.zones;
    let queries = &status.queries;
    let config = &status.config;
    let file = config.file.as_ref().map_or("the command line".to_owned(), |file| file.display().to_string());
    let lines = [
        ("node", format!("{} of {}", status.node, status.network)),
        ("state", format!("{}, up for {}", status.state, duration(status.uptime_s))),
        ("process", format!("{}, version {}", status.pid, status.version)),
        ("roles", roles.join(", ")),
        ("listen", listen.join(", ")),
        ("metrics", status.metrics.map_or("-".to_owned(), |address| format!("http://{address}/metrics"))),
        ("state folder", status.state_dir.display().to_string()),
        ("configuration", format!("{file}, {} reloads, {} refused", config.reloads, config.reloads_refused)),
        ("zones", zone_counts(zones)),
        (
            "queries",
            format!(
                "{} received, {} dropped, {} answers truncated",
                queries.received, queries.dropped, queries.truncated
            ),
        ),
        ("TCP", format!("{} connections open", queries.tcp_connections_open)),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<14} {value}");
    }
    if !config.restart_needed.is_empty() {
        let _ =
            writeln!(text, "\nChanged in the file, and waiting for a restart: {}", config.restart_needed.join(", "));
    }
    if !config.refused.is_empty() {
        let _ = writeln!(text, "\nThe file as it stands now is wrong; the configuration before it stays in force:");
        for line in &config.refused {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

fn zone_counts(zones: &ZoneCounts) -> String {
    let stale = if zones.stale > 0 { format!(", {} served though expired", zones.stale) } else { String::new() };
    format!("{} serving, {} pending, {} expired{stale}", zones.serving, zones.pending, zones.expired)
}

const ZONE_COLUMNS: [&str; 10] =
    ["zone", "state", "serial#", "age#", "expires#", "next#", "origin", "at origin#", "asked#", "last result"];

/// A row for each zone and origin.
pub(crate) fn zones(zones: &[Zone]) -> String {
    if zones.is_empty() {
        return "The node has no zones.\n".to_owned();
    }
    let rows: Vec<_> = zones.iter().flat_map(zone_rows).collect();
    render(&ZONE_COLUMNS, &rows)
}

/// What holds for the zone stands in its first row.
fn zone_rows(zone: &Zone) -> Vec<Vec<String>> {
    let next = if zone.attempting { "now".to_owned() } else { time(zone.next_attempt_in_s) };
    let mut head = vec![
        zone.zone.clone(),
        zone.state.clone(),
        number(zone.serial),
        time(zone.age_s),
        time(zone.expires_in_s),
        next,
    ];
    let mut rows = Vec::new();
    for origin in &zone.origins {
        let mut row = std::mem::replace(&mut head, vec![String::new(); 6]);
        row.push(format!("{} {}", origin.origin, origin.address));
        row.push(number(origin.serial));
        row.push(origin.last_attempt_age_s.map_or("-".to_owned(), |age| format!("{} ago", duration(age))));
        row.push(result(origin));
        rows.push(row);
    }
    if rows.is_empty() {
        rows.push(head);
    }
    rows
}

fn result(origin: &ZoneOrigin) -> String {
    match (&origin.last_error, origin.last_result.as_deref(), &origin.last_transfer) {
        (Some(error), _, _) => format!("failed: {error}"),
        (None, Some("updated"), Some(transfer)) => {
            let Transfer { question, records, took_ms, .. } = transfer;
            format!("{question} of {records} records in {took_ms:.1} ms")
        }
        (None, Some(result), _) => result.replace('_', " "),
        (None, None, _) => "not asked yet".to_owned(),
    }
}

fn number(number: Option<u32>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

fn time(seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), duration)
}
