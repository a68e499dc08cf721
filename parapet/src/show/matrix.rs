//! `parapet zones --all` for people: nodes beside each other while they fit, else what they have in common.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use origin_sync::{Severity, ZoneCondition};

use super::fleet::{Cell, NodeZones, Row};
use super::style::Style;
use super::table::render;

/// Nodes that stand beside each other; more don't fit the width of a terminal.
const COLUMNS_MAX: usize = 6;
/// Nodes that are named where several have the same.
const NAMED_MAX: usize = 8;
/// Problems that are told in words.
const PROBLEMS_MAX: usize = 200;

/// Every zone on every node, rows with something wrong first; then what is wrong in words, and the sum of it.
pub(crate) fn matrix(nodes: &[NodeZones], rows: &[Row<'_>], problems_only: bool, style: Style) -> String {
    let mut shown: Vec<_> = rows.iter().filter(|row| !problems_only || row.severity().is_some()).collect();
    shown.sort_by_key(|row| Reverse(row.severity()));
    let mut text = if shown.is_empty() {
        String::new()
    } else if nodes.len() <= COLUMNS_MAX {
        columns(nodes, &shown, style)
    } else {
        groups(nodes, &shown, style)
    };
    if !text.is_empty() {
        text.push('\n');
    }
    for line in troubles(nodes, &shown).iter().take(PROBLEMS_MAX) {
        let _ = writeln!(text, "{}", style.paint(Some(line.0), &format!("{}: {}", line.0.as_str(), line.1)));
    }
    let silent = nodes.iter().any(|node| node.zones.is_err()).then_some(Severity::Critical);
    let worst = rows.iter().filter_map(Row::severity).max().max(silent);
    let _ = writeln!(text, "{}", style.paint(worst, &summary(nodes, rows)));
    text
}

fn columns(nodes: &[NodeZones], rows: &[&Row<'_>], style: Style) -> String {
    let titles: Vec<String> = nodes.iter().map(|node| format!("{}#", node.node)).collect();
    let header: Vec<&str> = std::iter::once("zone").chain(titles.iter().map(String::as_str)).collect();
    let cells = |row: &&Row<'_>| -> Vec<String> {
        std::iter::once(row.zone.to_owned()).chain(row.cells.iter().map(in_short)).collect()
    };
    let table = render(&header, &rows.iter().map(cells).collect::<Vec<_>>());
    let mut lines = table.lines();
    let mut text = format!("{}\n", lines.next().unwrap_or_default());
    for (row, line) in rows.iter().zip(lines) {
        let painted = row.severity().map_or(line.to_owned(), |severity| style.paint(Some(severity), line));
        let _ = writeln!(text, "{painted}");
    }
    text
}

/// A cell: the serial; how far behind it is; `!` where the node has something to say of it.
fn in_short(cell: &Cell<'_>) -> String {
    let Cell::Has { status, behind } = cell else {
        return if matches!(cell, Cell::Silent) { "silent" } else { "missing" }.to_owned();
    };
    let mut text = match (status.state, status.serial) {
        (ZoneCondition::Serving, Some(serial)) => serial.to_string(),
        (state, Some(serial)) => format!("{} {serial}", state.as_str()),
        (_, None) => status.state.as_str().to_owned(),
    };
    if *behind > 0 {
        let _ = write!(text, " -{behind}");
    }
    if !status.problems.is_empty() {
        text.push_str(" !");
    }
    text
}

/// For each zone, which nodes have the same.
fn groups(nodes: &[NodeZones], rows: &[&Row<'_>], style: Style) -> String {
    let mut text = String::new();
    for row in rows {
        let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (node, cell) in nodes.iter().zip(&row.cells) {
            alike.entry(in_short(cell)).or_default().push(&node.node);
        }
        let mut alike: Vec<_> = alike.into_iter().collect();
        alike.sort_by_key(|(_, nodes)| Reverse(nodes.len()));
        let said: Vec<_> = alike.iter().map(|(what, nodes)| format!("{what} on {}", named(nodes))).collect();
        let line = format!("{}  {}", row.zone, said.join("; "));
        let painted = row.severity().map_or(line.clone(), |severity| style.paint(Some(severity), &line));
        let _ = writeln!(text, "{painted}");
    }
    text
}

fn named(nodes: &[&str]) -> String {
    if nodes.len() > NAMED_MAX { format!("{} nodes", nodes.len()) } else { nodes.join(", ") }
}

/// What is wrong, in words, worst first.
pub(crate) fn troubles(nodes: &[NodeZones], rows: &[&Row<'_>]) -> Vec<(Severity, String)> {
    let silent = nodes.iter().filter_map(|node| Some((node, node.zones.as_ref().err()?)));
    let mut found: Vec<_> =
        silent.map(|(node, why)| (Severity::Critical, format!("{} is silent: {why}", node.node))).collect();
    for row in rows {
        for (node, cell) in nodes.iter().zip(&row.cells) {
            match cell {
                Cell::Silent => {}
                Cell::Missing => {
                    found.push((
                        Severity::Critical,
                        format!("{} {}: other nodes have it, this one does not", node.node, row.zone),
                    ));
                }
                Cell::Has { status, behind } => {
                    if *behind > 0 {
                        let newest = row.newest.unwrap_or_default();
                        let what = format!("{behind} behind serial {newest}, which other nodes have");
                        found.push((Severity::Warning, format!("{} {}: {what}", node.node, row.zone)));
                    }
                    let problems = status.problems.iter();
                    found.extend(
                        problems
                            .map(|problem| (problem.severity, format!("{} {}: {}", node.node, row.zone, problem.why))),
                    );
                }
            }
        }
    }
    found.sort_by_key(|(severity, _)| Reverse(*severity));
    found
}

/// One line: `3 nodes, 12 zones: all of 2 nodes as they should be; 1 node silent`.
pub(crate) fn summary(nodes: &[NodeZones], rows: &[Row<'_>]) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let of = |severity| rows.iter().filter(|row| row.severity() == Some(severity)).count();
    let silent = nodes.iter().filter(|node| node.zones.is_err()).count();
    let mut parts = Vec::new();
    for (number, what) in [(of(Severity::Critical), "critical"), (of(Severity::Warning), "warning")] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    if silent > 0 {
        parts.push(format!("{} silent", count(silent, "node")));
    }
    let how = if parts.is_empty() { "no problems".to_owned() } else { parts.join(", ") };
    format!("{}, {}: {how}", count(nodes.len(), "node"), count(rows.len(), "zone"))
}

#[cfg(test)]
mod tests {
    use super::super::fleet::rows;
    use super::super::fleet::tests::{node, zone};
    use super::*;

    #[test]
    fn nodes_stand_beside_each_other_while_they_fit() {
        let mut nodes = vec![
            node("ams-1", &[zone("a.", 7), zone("b.", 12)]),
            node("nyc-1", &[zone("a.", 7), zone("b.", 9)]),
            NodeZones { node: "sin-1".to_owned(), zones: Err("no answer".to_owned()) },
        ];
        let want = "\
zone  ams-1  nyc-1   sin-1
b.       12   9 -3  silent
a.        7      7  silent

critical: sin-1 is silent: no answer
warning: nyc-1 b.: 3 behind serial 12, which other nodes have
3 nodes, 2 zones: 1 warning, 1 node silent
";
        assert_eq!(matrix(&nodes, &rows(&nodes), false, Style::Plain), want);
        nodes.extend((0..9).map(|number| node(&format!("n{number}"), &[zone("a.", 7), zone("b.", 12)])));
        let want = "b.  12 on 10 nodes; 9 -3 on nyc-1; silent on sin-1\n";
        assert!(matrix(&nodes, &rows(&nodes), false, Style::Plain).starts_with(want));
    }
}
