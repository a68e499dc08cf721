//! `parapet anycast --all`: every node beside the others.

use anycast::Status;
use origin_sync::Severity;
use serde_json::{Value, json};

use super::super::style::Style;
use super::super::table::render;
use super::words::{announced, established, list, severity_of, since};
use super::{NOTHING, Said};

/// A row for each node, and the sum: how many announce each service.
pub(super) fn table(nodes: &[(String, Said)], now_unix_s: f64, style: Style) -> String {
    let rows: Vec<_> = nodes.iter().map(|(node, said)| row(node, said, now_unix_s)).collect();
    let table = render(&["node", "state", "for#", "announces", "sessions#", "BFD#", "why"], &rows);
    let mut text = String::new();
    let severities = nodes.iter().map(|(_, said)| severity(said));
    for (line, severity) in table.lines().zip(std::iter::once(None).chain(severities)) {
        text.push_str(&if severity.is_some() { style.paint(severity, line) } else { line.to_owned() });
        text.push('\n');
    }
    text.push('\n');
    for (service, (announcing, all)) in sum(nodes) {
        let line = format!("{service}: {announcing} of {all} nodes announce it");
        let severity = (announcing == 0).then_some(Severity::Critical);
        text.push_str(&if severity.is_some() { style.paint(severity, &line) } else { line });
        text.push('\n');
    }
    text
}

pub(super) fn to_json((node, said): &(String, Said)) -> Value {
    match said {
        Ok(status) => json!({ "node": node, "anycast": status, "error": null }),
        Err(why) => json!({ "node": node, "anycast": null, "error": why }),
    }
}

fn severity(said: &Said) -> Option<Severity> {
    match said {
        Ok(Some(status)) => severity_of(&status.state),
        Ok(None) => None,
        Err(_) => Some(Severity::Critical),
    }
}

fn row(node: &str, said: &Said, now_unix_s: f64) -> Vec<String> {
    let none = || "-".to_owned();
    let silent = |state: &str, why: &str| {
        vec![node.to_owned(), state.to_owned(), none(), none(), none(), none(), why.to_owned()]
    };
    match said {
        Err(why) => silent("silent", why),
        Ok(None) => silent("-", NOTHING),
        Ok(Some(status)) => vec![
            node.to_owned(),
            status.state.clone(),
            since(status.since_unix_s, now_unix_s),
            list(&announced(status).map(str::to_owned).collect::<Vec<_>>()),
            format!("{}/{}", established(status), status.neighbours.len()),
            bfd(status),
            status.why.join("; "),
        ],
    }
}

fn bfd(status: &Status) -> String {
    let sessions: Vec<_> = status.neighbours.iter().filter_map(|neighbour| neighbour.bfd.as_ref()).collect();
    let up = sessions.iter().filter(|session| session.state == "up").count();
    if sessions.is_empty() { "-".to_owned() } else { format!("{up}/{}", sessions.len()) }
}

/// Of each service how many nodes announce it, and how many should.
fn sum(nodes: &[(String, Said)]) -> std::collections::BTreeMap<&str, (usize, usize)> {
    let mut sum = std::collections::BTreeMap::<&str, (usize, usize)>::new();
    let known = nodes.iter().filter_map(|(_, said)| said.as_ref().ok()?.as_deref());
    for service in known.flat_map(|status| &status.services) {
        let (announcing, all) = sum.entry(&service.name).or_default();
        *announcing += usize::from(service.announced);
        *all += 1;
    }
    sum
}
