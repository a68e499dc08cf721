//! `parapet status`, `parapet zones` and `parapet check-zones`: what running nodes say of themselves, for people, for
//! monitoring or as JSON.

pub(crate) mod anycast;
pub(crate) mod arguments;
mod check_zones;
pub(crate) mod defences;
mod detail;
mod fleet;
mod matrix;
pub(crate) mod style;
pub(crate) mod table;
mod text;
pub(crate) mod top;
mod zones;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use origin_sync::ZoneStatus;
use serde::Serialize;

use self::arguments::{CheckZonesArguments, ZonesArguments};
use self::check_zones::{LOOK_AGAIN_AFTER, Verdict, judge, judge_all, who_is_behind};
use self::fleet::{FleetJson, NodeZones, rows};
use self::style::Style;
use crate::cli::ShowArguments;
use crate::control::client::ask;
use crate::control::protocol::{Answer, Request};
use crate::failure::Failure;
use crate::nodes::ask_all;
use crate::source::{choose_node, load_network};

/// Where the control socket is unless something else is said: the schema's default of `state_dir`, and its socket.
const CONTROL_DEFAULT: &str = "/var/lib/parapet/control.sock";

pub(crate) fn status(arguments: &ShowArguments) -> Result<(), Failure> {
    match ask(&control_path(arguments)?, &Request::Status)? {
        Answer::Status(status) if arguments.json => print_json(&status),
        Answer::Status(status) => print(&text::status(&status)),
        _ => Err(Failure::runtime("the daemon answered another question: it may be of another version")),
    }
}

pub(crate) fn zones(arguments: &ZonesArguments) -> Result<(), Failure> {
    if arguments.all {
        return zones_of_all(arguments);
    }
    let mut zones = ask_zones(&arguments.show)?;
    if let Some(missing) = arguments.zones.iter().find(|name| zones.iter().all(|zone| zone.zone != **name)) {
        return Err(Failure::Runtime(format!("the node has no zone {missing}: `parapet zones` lists those it has")));
    }
    if !arguments.zones.is_empty() {
        zones.retain(|zone| arguments.zones.contains(&zone.zone));
    }
    let style = Style::of_stdout();
    if !arguments.show.json && arguments.zones.is_empty() {
        return print(&self::zones::table(&zones, arguments.problems, style));
    }
    zones.retain(|zone| !arguments.problems || !zone.problems.is_empty());
    if arguments.show.json { print_json(&zones) } else { print(&detail::details(&zones, style)) }
}

fn zones_of_all(arguments: &ZonesArguments) -> Result<(), Failure> {
    let mut nodes = ask_nodes(&arguments.show)?;
    if !arguments.zones.is_empty() {
        for zones in nodes.iter_mut().filter_map(|node| node.zones.as_mut().ok()) {
            zones.retain(|zone| arguments.zones.contains(&zone.zone));
        }
    }
    let mut rows = rows(&nodes);
    if arguments.show.json {
        rows.retain(|row| !arguments.problems || row.severity().is_some());
        return print_json(&FleetJson::new(&nodes, &rows));
    }
    print(&matrix::matrix(&nodes, &rows, arguments.problems, Style::of_stdout()))
}

/// Exits as a monitoring plugin does: also when nothing could be found out.
pub(crate) fn check_zones(arguments: &CheckZonesArguments) -> ExitCode {
    let verdict = look_at_zones(arguments)
        .unwrap_or_else(|failure| Verdict::unknown(&failure.why().unwrap_or("the configuration is wrong".to_owned())));
    let quiet = arguments.quiet && verdict.state == check_zones::State::Ok;
    let printed = match (quiet, arguments.show.json) {
        (true, _) => Ok(()),
        (false, false) => print(&verdict.to_text()),
        (false, true) => verdict.to_json().map_err(Failure::runtime).and_then(|text| print(&(text + "\n"))),
    };
    let state = if printed.is_ok() { verdict.state } else { check_zones::State::Unknown };
    ExitCode::from(state.code())
}

fn look_at_zones(arguments: &CheckZonesArguments) -> Result<Verdict, Failure> {
    let limits = arguments.limits();
    if !arguments.all {
        return Ok(judge(ask_zones(&arguments.show)?, &arguments.zones, &limits));
    }
    let mut nodes = ask_nodes(&arguments.show)?;
    let mut behind = who_is_behind(&nodes);
    if !behind.is_empty() {
        thread::sleep(LOOK_AGAIN_AFTER);
        nodes = ask_nodes(&arguments.show)?;
        let still = who_is_behind(&nodes);
        behind.retain(|what| still.contains(what));
    }
    Ok(judge_all(&mut nodes, &arguments.zones, &limits, &behind))
}

/// The zones of one node, by name.
fn ask_zones(arguments: &ShowArguments) -> Result<Vec<ZoneStatus>, Failure> {
    match ask(&control_path(arguments)?, &Request::Zones)? {
        Answer::Zones(zones) => Ok(zones),
        _ => Err(Failure::runtime("the daemon answered another question: it may be of another version")),
    }
}

/// The zones of every node of the network file.
fn ask_nodes(arguments: &ShowArguments) -> Result<Vec<NodeZones>, Failure> {
    let Some(file) = &arguments.config else {
        return Err(Failure::Configuration("--all needs the network file: --config FILE".to_owned()));
    };
    let network = load_network(file)?.value;
    let zones = |answer: crate::nodes::NodeAnswer| NodeZones {
        node: answer.node,
        zones: match answer.outcome {
            Ok(Answer::Zones(zones)) => Ok(zones),
            Ok(_) => Err("it answered another question: it may be of another version".to_owned()),
            Err(why) => Err(why.to_string()),
        },
    };
    Ok(ask_all(&network, &Request::Zones).into_iter().map(zones).collect())
}

pub(crate) fn control_path(arguments: &ShowArguments) -> Result<PathBuf, Failure> {
    if let Some(control) = &arguments.control {
        return Ok(control.clone());
    }
    if let Some(state) = &arguments.state {
        return Ok(state.join("control.sock"));
    }
    if let Some(file) = &arguments.config {
        let network = load_network(file)?.value;
        return Ok(choose_node(&network, file, arguments.node.as_deref())?.node.control);
    }
    Ok(PathBuf::from(CONTROL_DEFAULT))
}

pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::runtime)?;
    print(&(text + "\n"))
}

/// Prints; a reader that has gone, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    use std::io::{ErrorKind, Write as _};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => Err(Failure::runtime(why)),
        _ => Ok(()),
    }
}
