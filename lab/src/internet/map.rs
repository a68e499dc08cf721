//! The plan in words, for those who want to see where they are.

use std::fmt::{self, Write as _};

use super::plan::{Line, Plan, Purpose, Region};

/// Writing to a string cannot fail.
fn put(text: &mut String, line: fmt::Arguments) {
    let _ = text.write_fmt(line);
    text.push('\n');
}

/// What is where, and how far it is from there to elsewhere; delays are one way.
pub(super) fn draw(plan: &Plan) -> String {
    let mut text = String::new();
    for region in Region::ALL {
        put(&mut text, format_args!("{region}"));
        for site in plan.sites.iter().filter(|site| site.region == region) {
            let transits = plan.lines_of(&site.name).filter(|(line, first)| !first && is_transit(line));
            let ways: Vec<String> =
                transits.map(|(line, _)| format!("{} {}", line.first, milliseconds(line))).collect();
            let edges = site.edges.join(" ");
            put(&mut text, format_args!("   site {:<6}{edges:<14} to {}", site.name, ways.join(", ")));
        }
        for client in plan.clients.iter().filter(|client| client.region == region) {
            let access = plan.lines.iter().find(|line| line.second == client.name);
            let way = access.map_or_else(String::new, |line| format!("{} {}", line.first, milliseconds(line)));
            put(&mut text, format_args!("   client      {:<14}to {way}", client.name));
        }
    }
    for provider in &plan.providers {
        let own =
            |line: &&Line| line.purpose == Purpose::Backbone && line.first.starts_with(&format!("{}-", provider.name));
        let backbone: Vec<String> = plan.lines.iter().filter(own).map(pair).collect();
        put(&mut text, format_args!("{:<12}AS {}: {}", provider.name, provider.as_number, backbone.join(", ")));
    }
    let peerings: Vec<String> = plan.lines.iter().filter(|line| line.purpose == Purpose::Peering).map(pair).collect();
    put(&mut text, format_args!("peering     {}", peerings.join(", ")));
    text
}

fn is_transit(line: &Line) -> bool {
    matches!(line.purpose, Purpose::Transit { .. })
}

fn pair(line: &Line) -> String {
    format!("{}–{} {}", line.first, line.second, milliseconds(line))
}

fn milliseconds(line: &Line) -> String {
    format!("{} ms", line.quality.delay.as_millis())
}
