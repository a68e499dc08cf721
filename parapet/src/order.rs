//! `parapet purge` and `parapet fill`: orders to one node or to all, acknowledged by each.

use origin_sync::duration_words;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{FillArguments, OrderArguments, PurgeArguments, ReloadArguments};
use crate::control::defences::Imported;
use crate::control::protocol::{
    Answer, Fill, FillOutcome, Filled, Purge, Purged, PurgedZone, Reload, Reloaded, Request,
};
use crate::defend;
use crate::failure::Failure;
use crate::nodes::{NodeAnswer, ask_all};
use crate::reload::unix_s;
use crate::show::{print, print_json, table};
use crate::source::load_network;
use crate::target::Target;

pub(crate) fn purge(arguments: &PurgeArguments) -> Result<(), Failure> {
    let purge = Purge { name: arguments.name.clone(), subtree: arguments.subtree };
    order(&arguments.order, &Request::Purge(purge))
}

pub(crate) fn fill(arguments: &FillArguments) -> Result<(), Failure> {
    order(&arguments.order, &Request::Fill(Fill { zone: arguments.zone.clone() }))
}

pub(crate) fn reload(arguments: &ReloadArguments) -> Result<(), Failure> {
    order(&arguments.order, &Request::Reload(Reload { now: arguments.now }))
}

/// Gives an order to one node or to all, and says what came of it.
pub(crate) fn order(arguments: &OrderArguments, request: &Request) -> Result<(), Failure> {
    let answers = gather(arguments, request)?;
    tell_of(arguments, answers, Some(request))
}

/// Asks one node by its control socket, or all of the file by their APIs. Without `--all` a failure is a failure.
pub(crate) fn gather(arguments: &OrderArguments, request: &Request) -> Result<Vec<NodeAnswer>, Failure> {
    if !arguments.all {
        let answer = Target::find(&arguments.show)?.0.ask(request)?;
        return Ok(vec![NodeAnswer { node: String::new(), outcome: Ok(answer) }]);
    }
    let Some(file) = &arguments.show.config else {
        return Err(Failure::Configuration("--all needs the network file: --config FILE".to_owned()));
    };
    Ok(ask_all(&load_network(file)?.value, request))
}

/// Says what came of an order.
pub(crate) fn tell(arguments: &OrderArguments, answers: Vec<NodeAnswer>) -> Result<(), Failure> {
    tell_of(arguments, answers, None)
}

fn tell_of(arguments: &OrderArguments, answers: Vec<NodeAnswer>, request: Option<&Request>) -> Result<(), Failure> {
    match answers.first().map(|answer| &answer.outcome) {
        Some(Ok(answer)) if !arguments.all => tell_one(arguments, answer, request),
        _ => tell_all(arguments, &answers, request),
    }
}

/// One node.
fn tell_one(arguments: &OrderArguments, answer: &Answer, request: Option<&Request>) -> Result<(), Failure> {
    let words = describe(answer, request).ok_or_else(|| Failure::runtime(OTHER_VERSION))?;
    if arguments.show.json {
        return match answer {
            Answer::Purged(purged) => print_json(purged),
            Answer::Filled(filled) => print_json(filled),
            Answer::Reloaded(reloaded) => print_json(reloaded),
            Answer::OrderGiven(given) => print_json(given),
            Answer::Imported(imported) => print_json(imported),
            _ => Ok(()),
        }
        .and_then(|()| judge(answer));
    }
    print(&(words + "\n"))?;
    judge(answer)
}

/// An answer that says that nothing was done.
fn judge(answer: &Answer) -> Result<(), Failure> {
    if let Answer::Reloaded(Reloaded::Refused { .. }) = answer { Err(Failure::Said) } else { Ok(()) }
}

/// A node's part of `--all --json`.
#[derive(Serialize)]
struct Acknowledgement {
    node: String,
    acknowledged: bool,
    /// What the node answered, or why there is no answer.
    #[serde(flatten)]
    answer: Value,
}

/// All nodes of the file.
fn tell_all(arguments: &OrderArguments, answers: &[NodeAnswer], request: Option<&Request>) -> Result<(), Failure> {
    let missing = answers.iter().filter(|answer| answer.outcome.is_err()).count();
    if arguments.show.json {
        print_json(&answers.iter().map(acknowledge).collect::<Vec<_>>())?;
    } else {
        let rows: Vec<_> = answers.iter().map(|answer| row(answer, request)).collect();
        print(&table::render(&["node", "acknowledged", "result"], &rows))?;
    }
    match missing {
        0 => answers.iter().filter_map(|answer| answer.outcome.as_ref().ok()).try_for_each(judge),
        _ => Err(Failure::Runtime(format!(
            "{missing} of {} nodes did not acknowledge: ask again, which does no harm to the others",
            answers.len()
        ))),
    }
}

fn acknowledge(answer: &NodeAnswer) -> Acknowledgement {
    let value = match &answer.outcome {
        Ok(answer) => json!(answer),
        Err(why) => json!({ "error": why.to_string() }),
    };
    Acknowledgement { node: answer.node.clone(), acknowledged: answer.outcome.is_ok(), answer: value }
}

fn row(answer: &NodeAnswer, request: Option<&Request>) -> Vec<String> {
    let (acknowledged, result) = match &answer.outcome {
        Ok(answer) => ("yes", describe(answer, request).unwrap_or_else(|| OTHER_VERSION.to_owned())),
        Err(why) => ("no", why.to_string()),
    };
    vec![answer.node.clone(), acknowledged.to_owned(), result]
}

const OTHER_VERSION: &str = "the daemon answered another question: it may be of another version";

/// The answer to an order, for people.
fn describe(answer: &Answer, request: Option<&Request>) -> Option<String> {
    match answer {
        Answer::OrderGiven(given) => match request {
            Some(Request::DefenceOrder(order)) => Some(defend::describe(order, given)),
            _ => None,
        },
        Answer::Imported(imported) => Some(describe_imported(imported)),
        Answer::Purged(Purged { zones }) => Some(zones.iter().map(describe_purged).collect::<Vec<_>>().join("; ")),
        Answer::Filled(filled) => Some(describe_filled(filled)),
        Answer::Reloaded(reloaded) => Some(describe_reloaded(reloaded)),
        _ => None,
    }
}

fn describe_purged(purged: &PurgedZone) -> String {
    let PurgedZone { zone, mode, removed } = purged;
    match (mode.as_str(), removed) {
        ("on-demand", 0) => format!("{zone}: nothing was cached"),
        ("on-demand", 1) => format!("{zone}: 1 answer forgotten"),
        ("on-demand", _) => format!("{zone}: {removed} answers forgotten"),
        _ => format!("{zone}: a full copy, nothing to purge; `parapet fill {zone}` fetches it anew"),
    }
}

fn describe_imported(imported: &Imported) -> String {
    let taken = match imported.taken {
        1 => "1 source is known good".to_owned(),
        taken => format!("{taken} sources are known good"),
    };
    match imported.left {
        0 => taken,
        left => format!("{taken}; {left} are not: their time is over, or there was no room"),
    }
}

fn describe_reloaded(reloaded: &Reloaded) -> String {
    match reloaded {
        Reloaded::Applied => "the file is in force".to_owned(),
        Reloaded::Unchanged => "nothing has changed that could be applied".to_owned(),
        Reloaded::Waits { until_unix_s } => format!(
            "the file is newer than the one in force, and waits for {} more; `parapet reload --now` does not",
            duration_words(until_unix_s - unix_s())
        ),
        Reloaded::Refused { why } => format!("the file is wrong; the one before stays in force:\n{}", why.join("\n")),
    }
}

fn describe_filled(filled: &Filled) -> String {
    let zone = &filled.zone;
    match &filled.outcome {
        FillOutcome::Fetched { serial, records } => {
            format!("{zone}: fetched whole, serial {serial}, {records} records")
        }
        FillOutcome::Refilled { asked, answered, failed, left } => {
            let rest = match (failed, left) {
                (0, 0) => String::new(),
                (_, 0) => format!(", {failed} failed"),
                _ => format!(", {failed} failed, no time for {left}"),
            };
            format!("{zone}: {answered} of {asked} cached answers fetched anew{rest}")
        }
    }
}
