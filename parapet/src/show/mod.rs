//! `parapet status` and `parapet zones`: what a running node says of itself, for people or as JSON.

mod style;
pub(crate) mod table;
mod text;
mod zones;

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{ShowArguments, ZonesArguments};
use crate::control::client::ask;
use crate::control::protocol::{Answer, Request};
use crate::failure::Failure;
use crate::show::style::Style;
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
    let Answer::Zones(mut zones) = ask(&control_path(&arguments.show)?, &Request::Zones)? else {
        return Err(Failure::runtime("the daemon answered another question: it may be of another version"));
    };
    if let Some(missing) = arguments.zones.iter().find(|name| zones.iter().all(|zone| zone.zone != **name)) {
        return Err(Failure::Runtime(format!("the node has no zone {missing}: `parapet zones` lists those it has")));
    }
    if !arguments.zones.is_empty() {
        zones.retain(|zone| arguments.zones.contains(&zone.zone));
    }
    let style = Style::of_stdout();
    if arguments.show.json {
        zones.retain(|zone| !arguments.problems || !zone.problems.is_empty());
        print_json(&zones)
    } else if arguments.zones.is_empty() {
        print(&self::zones::table(&zones, arguments.problems, style))
    } else {
        zones.retain(|zone| !arguments.problems || !zone.problems.is_empty());
        print(&self::zones::details(&zones, style))
    }
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
