//! `parapet anycast`: what nodes announce, to whom, and why not.

mod fleet;
mod node;
mod routes;
mod words;

use anycast::Status;
use clap::{Args, Subcommand};

pub(crate) use self::words::summary;
use super::style::Style;
use super::{control_path, print, print_json};
use crate::cli::ShowArguments;
use crate::control::client::ask;
use crate::control::protocol::{Answer, Request, Routes};
use crate::failure::Failure;
use crate::nodes::ask_all;
use crate::reload::unix_s;
use crate::source::load_network;

const EXAMPLES: &str = "\
Examples:
    parapet anycast                              this machine's node: state, health, routes, routers, fleet
    parapet anycast --json                       the same for machines; docs/status.md says what each item means
    parapet anycast --all --config network.toml  every node beside the others
    parapet anycast routes r1                    what the router r1 sent (nothing of it is ever installed)

States: up (announced), degraded (announced worse, so that others are preferred), draining (withdrawn by
hand or about to stop, still answering), down (withdrawn: it cannot answer, or health is not known).";

const ROUTES_EXAMPLES: &str = "\
Examples:
    parapet anycast routes r1
    parapet anycast routes r1 --config network.toml --node ams-1 --json

At most routes_kept_max of [node.NAME.anycast.neighbour.NAME] are kept.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct AnycastArguments {
    /// All nodes of the network file beside each other, by their HTTP APIs.
    #[arg(long, requires = "config", conflicts_with = "node")]
    all: bool,

    #[command(flatten)]
    show: ShowArguments,

    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the routes that a router sent.
    Routes(RoutesArguments),
}

#[derive(Debug, Args)]
#[command(after_long_help = ROUTES_EXAMPLES)]
struct RoutesArguments {
    /// The neighbour's name in the file.
    #[arg(value_name = "NEIGHBOUR")]
    neighbour: String,

    #[command(flatten)]
    show: ShowArguments,
}

const OTHER_VERSION: &str = "the daemon answered another question: it may be of another version";
/// What is said of a node without anycast.
const NOTHING: &str = "this node announces nothing: it has no [node.NAME.anycast]";

pub(crate) fn anycast(arguments: &AnycastArguments) -> Result<(), Failure> {
    match &arguments.what {
        Some(What::Routes(routes)) => return show_routes(routes),
        None if arguments.all => return all_nodes(&arguments.show),
        None => {}
    }
    match ask(&control_path(&arguments.show)?, &Request::Anycast)? {
        Answer::Anycast(status) if arguments.show.json => print_json(&status),
        Answer::Anycast(None) => print(&format!("{NOTHING}\n")),
        Answer::Anycast(Some(status)) => print(&node::node(&status, unix_s(), Style::of_stdout())),
        _ => Err(Failure::runtime(OTHER_VERSION)),
    }
}

fn show_routes(arguments: &RoutesArguments) -> Result<(), Failure> {
    let request = Request::Routes(Routes { neighbour: arguments.neighbour.clone() });
    match ask(&control_path(&arguments.show)?, &request)? {
        Answer::Routes(routes) if arguments.show.json => print_json(&routes),
        Answer::Routes(routes) => print(&routes::table(&routes)),
        _ => Err(Failure::runtime(OTHER_VERSION)),
    }
}

/// What a node said of its part.
type Said = Result<Option<Box<Status>>, String>;

fn all_nodes(show: &ShowArguments) -> Result<(), Failure> {
    let Some(file) = &show.config else {
        return Err(Failure::Configuration("--all needs the network file: --config FILE".to_owned()));
    };
    let network = load_network(file)?.value;
    let said = |answer: crate::nodes::NodeAnswer| {
        let said: Said = match answer.outcome {
            Ok(Answer::Anycast(status)) => Ok(status),
            Ok(_) => Err("it answered another question: it may be of another version".to_owned()),
            Err(why) => Err(why.to_string()),
        };
        (answer.node, said)
    };
    let nodes: Vec<(String, Said)> = ask_all(&network, &Request::Anycast).into_iter().map(said).collect();
    if show.json {
        return print_json(&nodes.iter().map(fleet::to_json).collect::<Vec<_>>());
    }
    print(&fleet::table(&nodes, unix_s(), Style::of_stdout()))
}

#[cfg(test)]
pub(crate) mod tests;
