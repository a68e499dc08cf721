//! `parapet status` for people.

use std::fmt::Write as _;

use origin_sync::duration_words as duration;

use crate::control::kernel_lane::KernelLaneStatus;
use crate::control::protocol::Status;
use crate::reload::unix_s;

pub(crate) fn status(status: &Status) -> String {
    let mut text = String::new();
    let listen: Vec<_> = status.listen.iter().map(ToString::to_string).collect();
    let roles: Vec<_> = status.roles.iter().map(|role| format!("{} ({})", role.role, role.state)).collect();
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
        ("API", status.api.map_or("-".to_owned(), |address| address.to_string())),
        ("state folder", status.state_dir.display().to_string()),
        (
            "configuration",
            match config.delay_s {
                0 => format!("{file}, {} reloads, {} refused", config.reloads, config.reloads_refused),
                delay_s => format!(
                    "{file}, {} reloads, {} refused; input delayed by {}",
                    config.reloads,
                    config.reloads_refused,
                    duration(delay_s.into())
                ),
            },
        ),
        ("zones", status.zones_summary.clone()),
        ("defences", status.defences.clone().unwrap_or_else(|| "-".to_owned())),
        ("anycast", status.anycast.clone().unwrap_or_else(|| "-".to_owned())),
        (
            "queries",
            format!(
                "{} received, {} dropped, {} answers truncated",
                queries.received, queries.dropped, queries.truncated
            ),
        ),
        ("kernel lane", status.kernel_lane.as_ref().map_or_else(|| "-".to_owned(), KernelLaneStatus::summary)),
        ("TCP", format!("{} connections open", queries.tcp_connections_open)),
    ];
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<14} {value}");
    }
    if !status.zone_problems.is_empty() {
        text.push_str("\nZones with problems:\n");
        for problem in &status.zone_problems {
            let _ = writeln!(text, "  {problem}");
        }
    }
    let lane: Vec<_> = status.kernel_lane.iter().flat_map(KernelLaneStatus::problems).collect();
    if !lane.is_empty() {
        text.push_str("\nThe kernel lane is less than it might be:\n");
        for problem in lane {
            let _ = writeln!(text, "  {problem}");
        }
    }
    if !config.restart_needed.is_empty() {
        let _ =
            writeln!(text, "\nChanged in the file, and waiting for a restart: {}", config.restart_needed.join(", "));
    }
    if let Some(until) = config.waits_until_unix_s {
        let wait = duration(until - unix_s());
        let _ = writeln!(text, "\nA newer network file waits for its time: {wait} more, or `parapet reload --now`");
    }
    if !config.refused.is_empty() {
        let _ = writeln!(text, "\nThe file as it stands now is wrong; the configuration before it stays in force:");
        for line in &config.refused {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}
