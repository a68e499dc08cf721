//! `parapet defences` and `parapet explain-source`: how nodes defend themselves against floods, and what becomes of a source.

mod explain;
mod fleet;
mod known_good;
mod node;
mod words;

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use self::known_good::show_known_good;
pub(crate) use self::words::summary;
pub(in crate::show) use self::words::{armed, rate};
use super::style::Style;
use super::{print, print_json};
use crate::cli::{OrderArguments, ShowArguments};
use crate::control::defences::ExplainSource;
use crate::control::protocol::{Answer, Request};
use crate::defend::{self, NormalArguments, ReleaseArguments, RestoreArguments, SetArguments};
use crate::failure::Failure;
use crate::nodes::ask_all;
use crate::reload::unix_s;
use crate::source::load_network;
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
    parapet defences                              what is armed, what was done and why, what is normal, who is listed
    parapet defences --settings                   with every setting and who says so
    parapet defences --json                       the same for machines; docs/status.md says what each item means
    parapet defences --all --config network.toml  every node beside the others
    parapet defences set client observe           count what it would do, and do nothing
    parapet defences normal 20000                 what is normal, for a day that is not
    parapet defences restore                      as the network file has it
    parapet defences release 3                    answer again what once killed an answer

In a flood: `parapet top` shows who asks for what, `parapet explain-source ADDRESS` what becomes of one,
`parapet block PREFIX --for 10m` and `parapet allow PREFIX` what you know better.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
    parapet explain-source 192.0.2.66
    parapet explain-source 2001:db8::1 --json
    parapet explain-source 192.0.2.66 --all --config network.toml   what becomes of it at every node

Looking changes nothing. Exit codes: 0 told, 1 it could not be asked, 2 wrong usage.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct DefencesArguments {
    /// Also every setting, and who says so.
    #[arg(long, conflicts_with = "all")]
    settings: bool,

    #[command(flatten)]
    order: OrderArguments,

    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say how far a filter, or all of them, may go: off, observe or on.
    Set(SetArguments),
    /// Say how many queries a second are normal.
    Normal(NormalArguments),
    /// Forget all such orders: the network file alone counts again.
    Restore(RestoreArguments),
    /// Answer again what is kept away since its like crashed or hung an answer.
    Release(ReleaseArguments),
}

#[derive(Debug, Args)]
#[command(after_long_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainSourceArguments {
    /// The source's address.
    #[arg(value_name = "ADDRESS")]
    source: IpAddr,

    #[command(flatten)]
    order: OrderArguments,
}

const OTHER_VERSION: &str = "the daemon answered another question: it may be of another version";

pub(crate) fn defences(arguments: &DefencesArguments) -> Result<(), Failure> {
    match &arguments.what {
        Some(What::Set(set)) => return defend::set(set),
        Some(What::Normal(normal)) => return defend::normal(normal),
        Some(What::Restore(restore)) => return defend::restore(restore),
        Some(What::Release(release)) => return defend::release(release),
        None => {}
    }
    let show = &arguments.order.show;
    if arguments.order.all {
        let said = |answer| if let Answer::Defences(status) = answer { Some(*status) } else { None };
        let nodes = all_nodes(show, &Request::Defences, said)?;
        return match show.json {
            true => print_json(&nodes.iter().map(|node| to_json("defences", node)).collect::<Vec<_>>()),
            false => print(&fleet::defences(&nodes, unix_s(), Style::of_stdout())),
        };
    }
    match Target::find(show)?.0.ask(&Request::Defences)? {
        Answer::Defences(status) if show.json => print_json(&status),
        Answer::Defences(status) => print(&node::node(&status, arguments.settings, unix_s(), Style::of_stdout())),
        _ => Err(Failure::runtime(OTHER_VERSION)),
    }
}

pub(crate) fn explain_source(arguments: &ExplainSourceArguments) -> Result<(), Failure> {
    let show = &arguments.order.show;
    let request = Request::ExplainSource(ExplainSource { source: arguments.source });
    if arguments.order.all {
        let said = |answer| if let Answer::Explained(explained) = answer { Some(*explained) } else { None };
        let nodes = all_nodes(show, &request, said)?;
        return match show.json {
            true => print_json(&nodes.iter().map(|node| to_json("explained", node)).collect::<Vec<_>>()),
            false => print(&fleet::explained(&nodes)),
        };
    }
    match Target::find(show)?.0.ask(&request)? {
        Answer::Explained(explained) if show.json => print_json(&explained),
        Answer::Explained(explained) => print(&explain::explain(&explained, unix_s())),
        _ => Err(Failure::runtime(OTHER_VERSION)),
    }
}

/// A node, and what it said.
pub(super) type Said<T> = (String, Result<T, String>);

/// Asks every node of the network file.
pub(super) fn all_nodes<T>(
    show: &ShowArguments,
    request: &Request,
    said: impl Fn(Answer) -> Option<T>,
) -> Result<Vec<Said<T>>, Failure> {
    let Some(file) = &show.config else {
        return Err(Failure::Configuration("--all needs the network file: --config FILE".to_owned()));
    };
    let network = load_network(file)?.value;
    let answers = ask_all(&network, request).into_iter().map(|answer| {
        let what = answer.outcome.map_err(|why| why.to_string());
        let what = what.and_then(|answer| said(answer).ok_or_else(|| OTHER_VERSION.to_owned()));
        (answer.node, what)
    });
    Ok(answers.collect())
}

/// A node's part of `--all --json`.
pub(super) fn to_json<T: Serialize>(item: &str, (node, said): &Said<T>) -> Value {
    match said {
        Ok(said) => json!({ "node": node, item: said, "error": null }),
        Err(why) => json!({ "node": node, item: null, "error": why }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
