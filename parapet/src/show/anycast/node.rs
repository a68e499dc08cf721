//! `parapet anycast` for people.

use std::fmt::Write as _;

use anycast::{AddressStatus, CheckStatus, MemberStatus, NeighbourStatus, ServiceStatus, Status};
use origin_sync::{Severity, duration_words};

use super::super::style::Style;
use super::super::table::render;
use super::words::{ESTABLISHED, bfd, list, protection, severity_of, since, yes_or_no};

/// All of a node's part in anycast; `now_unix_s` is the reader's time.
pub(super) fn node(status: &Status, now_unix_s: f64, style: Style) -> String {
    let mut text = String::new();
    let state = style.paint(severity_of(&status.state), &status.state);
    let _ = writeln!(text, "state          {state} for {}", since(status.since_unix_s, now_unix_s));
    for why in &status.why {
        let _ = writeln!(text, "why            {why}");
    }
    if let Some(order) = &status.by_hand {
        let reason = if order.reason.is_empty() { "no reason given" } else { &order.reason };
        let _ = writeln!(
            text,
            "drained        by hand {} ago ({reason}); `parapet undrain` ends it",
            since(order.since_unix_s, now_unix_s)
        );
    }
    let _ = writeln!(text, "transitions    {} since the start", status.transitions);
    let mut section = |lines: Vec<String>| {
        if lines.len() > 1 {
            text.push('\n');
            text.extend(lines.iter().flat_map(|line| [line.as_str(), "\n"]));
        }
    };
    section(checks(&status.checks, style));
    section(services(&status.services, style));
    section(neighbours(&status.neighbours, now_unix_s, style));
    section(addresses(&status.addresses, style));
    section(fleet(&status.fleet, style));
    text
}

/// A table's lines, each row in the colour of its severity; and what is said below it.
fn lines(header: &[&str], rows: Vec<(Vec<String>, Option<Severity>, Vec<String>)>, style: Style) -> Vec<String> {
    let cells: Vec<_> = rows.iter().map(|(cells, _, _)| cells.clone()).collect();
    let table = render(header, &cells);
    let mut table = table.lines();
    let mut lines: Vec<String> = table.next().map(str::to_owned).into_iter().collect();
    for ((_, severity, below), line) in rows.into_iter().zip(table) {
        lines.push(if severity.is_some() { style.paint(severity, line) } else { line.to_owned() });
        lines.extend(below.into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn checks(checks: &[CheckStatus], style: Style) -> Vec<String> {
    let row = |check: &CheckStatus| {
        let leave = if check.state == "up" { "-" } else { ["at once", "if others stay"][usize::from(check.soft)] };
        let cells = vec![check.name.clone(), check.state.clone(), leave.to_owned(), check.why.clone()];
        (cells, severity_of(&check.state), Vec::new())
    };
    lines(&["health", "state", "leaves", "why"], checks.iter().map(row).collect(), style)
}

fn services(services: &[ServiceStatus], style: Style) -> Vec<String> {
    let row = |service: &ServiceStatus| {
        let prefixes: Vec<_> = service.prefixes.iter().map(ToString::to_string).collect();
        let (med, prepend, communities) = match &service.route {
            None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
            Some(route) => (
                route.med.map_or("-".to_owned(), |med| med.to_string()),
                route.prepend.to_string(),
                list(&route.communities),
            ),
        };
        let quota = service.quota.as_ref().map(|quota| {
            let may = if quota.granted { "may leave" } else { "may not leave" };
            format!("quota: {may}: {} others go on, {} must", quota.remaining, quota.nodes_min)
        });
        let cells =
            vec![service.name.clone(), yes_or_no(service.announced), med, prepend, communities, list(&prefixes)];
        (cells, (!service.announced).then_some(Severity::Warning), quota.into_iter().collect())
    };
    let header = ["service", "announced", "med#", "prepend#", "communities", "prefixes"];
    lines(&header, services.iter().map(row).collect(), style)
}

fn neighbours(neighbours: &[NeighbourStatus], now_unix_s: f64, style: Style) -> Vec<String> {
    let row = |neighbour: &NeighbourStatus| {
        let cells = vec![
            neighbour.name.clone(),
            neighbour.address.to_string(),
            neighbour.remote_as.to_string(),
            neighbour.state.clone(),
            since(neighbour.since_unix_s, now_unix_s),
            list(&neighbour.families),
            neighbour.hold_time_s.map_or("-".to_owned(), |hold| format!("{hold}s")),
            neighbour.prefixes_announced.to_string(),
            (neighbour.received.kept + neighbour.received.not_kept).to_string(),
            neighbour.flaps.to_string(),
            bfd(neighbour),
            protection(neighbour),
        ];
        let severity = (neighbour.state != ESTABLISHED).then_some(Severity::Critical);
        (cells, severity, below_neighbour(neighbour, now_unix_s, style))
    };
    let header = [
        "neighbour",
        "address",
        "AS#",
        "state",
        "for#",
        "families",
        "hold#",
        "out#",
        "in#",
        "flaps#",
        "BFD",
        "secured",
    ];
    lines(&header, neighbours.iter().map(row).collect(), style)
}

/// What is wrong with a session, or was.
fn below_neighbour(neighbour: &NeighbourStatus, now_unix_s: f64, style: Style) -> Vec<String> {
    let mut below = Vec::new();
    if let Some(problem) = &neighbour.problem {
        below.push(format!("{}: {problem}", style.paint(Some(Severity::Critical), "problem")));
    }
    if let Some(last) = &neighbour.last_notification {
        let (who, ago) = (if last.sent { "sent" } else { "received" }, since(last.at_unix_s, now_unix_s));
        below.push(format!("last NOTIFICATION: {who} {ago} ago, {}/{}: {}", last.code, last.subcode, last.words));
    }
    if let Some(bfd) = neighbour.bfd.as_ref().filter(|bfd| bfd.state != "up") {
        below.push(format!(
            "BFD {}: this side says {:?}, the router {:?}",
            bfd.state, bfd.diagnostic, bfd.remote_diagnostic
        ));
    }
    let received = &neighbour.received;
    if received.treated_as_withdraw + received.attributes_discarded > 0 {
        below.push(format!(
            "malformed (RFC 7606): {} UPDATEs treated as withdrawals, {} attributes discarded",
            received.treated_as_withdraw, received.attributes_discarded
        ));
    }
    below
}

fn addresses(addresses: &[AddressStatus], style: Style) -> Vec<String> {
    let row = |address: &AddressStatus| {
        let on_lo = match (address.present, address.ours) {
            (true, true) => "yes, put there by this node",
            (true, false) => "yes, not by this node, which leaves it there",
            (false, _) => "no",
        };
        let cells = vec![address.address.to_string(), on_lo.to_owned()];
        let bad = !address.present || address.problem.is_some();
        (cells, bad.then_some(Severity::Critical), address.problem.iter().cloned().collect())
    };
    lines(&["address", "on lo"], addresses.iter().map(row).collect(), style)
}

fn fleet(fleet: &[MemberStatus], style: Style) -> Vec<String> {
    let row = |member: &MemberStatus| {
        let heard = member.heard_s_ago.map_or("never".to_owned(), |ago| format!("{} ago", duration_words(ago)));
        let cells = vec![member.node.clone(), member.state.clone(), list(&member.announces), heard, member.why.clone()];
        (cells, severity_of(&member.state), Vec::new())
    };
    lines(&["other node", "state", "announces", "heard", "why"], fleet.iter().map(row).collect(), style)
}
