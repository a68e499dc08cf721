//! `--all`: every node beside the others.

use origin_sync::Severity;

use super::super::style::Style;
use super::super::table::render;
use super::Said;
use super::words::{armed, rate};
use crate::control::defences::{DefencesStatus, Explained};

pub(super) fn defences(nodes: &[Said<DefencesStatus>], now_unix_s: f64, style: Style) -> String {
    let row = |(node, said): &Said<DefencesStatus>| match said {
        Ok(status) => {
            let effect =
                |name: &str| -> u64 { status.filters.iter().filter_map(|filter| filter.effects.get(name)).sum() };
            vec![
                node.clone(),
                status.mode.clone(),
                rate(status.normal.per_s),
                rate(status.normal.normal_per_s),
                effect("slipped").to_string(),
                effect("dropped").to_string(),
                status.known_good_learned.to_string(),
                armed(&status.armed, now_unix_s),
            ]
        }
        Err(why) => silent(node, 6, why),
    };
    let rows: Vec<_> = nodes.iter().map(row).collect();
    let header = ["node", "mode", "now#", "normal#", "slipped#", "dropped#", "known good#", "armed"];
    let table = render(&header, &rows);
    let severities = nodes.iter().map(|(_, said)| match said {
        Ok(status) => (!status.armed.is_empty()).then_some(Severity::Warning),
        Err(_) => Some(Severity::Critical),
    });
    let lines = table.lines().zip(std::iter::once(None).chain(severities));
    let line = |(line, severity): (&str, Option<Severity>)| match severity {
        Some(_) => style.paint(severity, line) + "\n",
        None => format!("{line}\n"),
    };
    lines.map(line).collect()
}

pub(super) fn explained(nodes: &[Said<Explained>]) -> String {
    let row = |(node, said): &Said<Explained>| match said {
        Ok(explained) => vec![
            node.clone(),
            explained.outcome.clone(),
            explained.filter.clone().unwrap_or_else(|| "-".to_owned()),
            explained.penalty.to_string(),
            explained.rates.map_or("-".to_owned(), |rates| rate(rates.per_s)),
            explained.standing.clone(),
        ],
        Err(why) => silent(node, 4, why),
    };
    render(&["node", "outcome", "by", "penalty#", "per s#", "standing"], &nodes.iter().map(row).collect::<Vec<_>>())
}

/// A node that said nothing: strokes, and why in the last column.
fn silent(node: &str, strokes: usize, why: &str) -> Vec<String> {
    let strokes = std::iter::repeat_n("-".to_owned(), strokes);
    std::iter::once(node.to_owned()).chain(strokes).chain([format!("silent: {why}")]).collect()
}
