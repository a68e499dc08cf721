//! Orders about defences: `parapet defences set|normal|restore`, `parapet block`, `parapet allow`, `parapet known-good`. Each
//! counts at once, over what the network file says, and over restarts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use config::{DefenceMode, Filter, Prefix};
use origin_sync::duration_words;

use crate::cli::{OrderArguments, parse_zone};
use crate::control::client::ask;
use crate::control::defences::{
    GoodSource, IMPORT_SOURCES_MAX, ImportKnownGood, ImportSource, Imported, KnownGood, Ordered,
};
use crate::control::protocol::{Answer, Request};
use crate::failure::Failure;
use crate::nodes::NodeAnswer;
use crate::order::{gather, order, tell};
use crate::reload::unix_s;
use crate::services::defences::orders::{List, Order};
use crate::show::arguments::parse_time;
use crate::show::defences::show_known_good;
use crate::show::{control_path, print, print_json};

/// Lines of a file of known-good sources that are read.
const IMPORT_LINES_MAX: usize = 4_000_000;
/// Lines that are said to be wrong.
const WRONG_MAX: usize = 20;
const EXPORT_HEADER: &str = "\
# Sources that a node of Parapet knows to be good: `parapet known-good import` takes them over.
# The address, and if you like since when, until when (Unix seconds) and why.
";
/// What stands for all filters together.
const ALL: &str = "all";

const SET_EXAMPLES: &str = "\
Examples:
  What would the limit of clients do? Count it, and do nothing:
    parapet defences set client observe
    parapet defences
  Nobody is limited by anything, on all nodes:
    parapet defences set all off --all --config /etc/parapet/network.toml

Each filter goes as far as both its own mode and that of `all` let it. It counts at once and over
restarts, until `parapet defences restore` or until it is set again.
Filters: blocked, query-of-death, malformed, client, prefix, repetition, unknown-source, miss,
random-name, response-rate, stream. Exit codes: 0 done, 1 it could not be done, 2 wrong usage.";

const NORMAL_EXAMPLES: &str = "\
Examples:
  A product is launched tomorrow; ten times as many queries are no attack:
    parapet defences normal 20000
    parapet defences normal 15000 --zone shop.example.com
  Go by what was learned again:
    parapet defences normal --learned

Exit codes: 0 done, 1 it could not be done, 2 wrong usage.";

const RESTORE_EXAMPLES: &str = "\
Examples:
    parapet defences restore
    parapet defences restore --all --config /etc/parapet/network.toml

All modes, normal rates and listed sources are those of the network file again. What was learned stays.
Exit codes: 0 done, 1 it could not be done, 2 wrong usage.";

const RELEASE_EXAMPLES: &str = "\
Examples:
  What is kept away since its like crashed or hung an answer, and the third of it answered again:
    parapet defences
    parapet defences release 3
  All of it, once the new version is installed:
    parapet defences release all

It counts at once. What killed is kept in the state folder under queries-of-death: a restart before its
time is over (quarantine_s) keeps it away again. To have nothing kept away at all:
`parapet defences set query-of-death off`.
Exit codes: 0 done, 1 it could not be done, 2 wrong usage.";

const BLOCK_EXAMPLES: &str = "\
Examples:
  For ten minutes, on this machine's node:
    parapet block 192.0.2.0/24 --for 10m --why 'flood of the 3rd'
  On all nodes, until it is taken back, and back:
    parapet block 2001:db8::/48 --all --config /etc/parapet/network.toml
    parapet block 2001:db8::/48 --remove --all --config /etc/parapet/network.toml

It counts at once and over restarts. Who is allowed (`parapet allow`) is answered all the same.
`parapet defences` lists who is blocked, `parapet explain-source ADDRESS` says what becomes of one.
Exit codes: 0 done, 1 it could not be done, 2 wrong usage.";

const ALLOW_EXAMPLES: &str = "\
Examples:
  A monitoring service that must never be limited:
    parapet allow 198.51.100.0/24 --why monitoring
  A customer's resolver, for an hour, while you look at why it was limited:
    parapet allow 203.0.113.7 --for 1h
    parapet explain-source 203.0.113.7

Anybody may send with these addresses as their source: list few. `parapet known-good add` is milder.
Exit codes: 0 done, 1 it could not be done, 2 wrong usage.";

const KNOWN_GOOD_EXAMPLES: &str = "\
Examples:
    parapet known-good list                    how many were learned, and who is listed by hand
    parapet known-good add 203.0.113.0/24      a large resolver that must be answered in every flood
    parapet known-good export good.txt         all that this node learned, an address a line
    parapet known-good import good.txt --all --config /etc/parapet/network.toml

Known-good sources are answered while random sources flood, and may send more than others
(known_good_factor). They are learned from behaviour; a list is for whom you know better.
Exit codes: 0 done, 1 it could not be done, 2 wrong usage.";

#[derive(Debug, Args)]
#[command(after_long_help = SET_EXAMPLES)]
pub(crate) struct SetArguments {
    /// The filter, or `all`.
    #[arg(value_name = "FILTER", value_parser = filters())]
    filter: String,

    /// How far it may go.
    #[arg(value_name = "MODE", value_parser = modes())]
    mode: String,

    #[command(flatten)]
    order: OrderArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = NORMAL_EXAMPLES)]
pub(crate) struct NormalArguments {
    /// Queries a second that are normal.
    #[arg(value_name = "RATE", required_unless_present = "learned", value_parser = clap::value_parser!(u32).range(1..))]
    per_s: Option<u32>,

    /// Go by what the file says, or was learned, again.
    #[arg(long, conflicts_with = "per_s")]
    learned: bool,

    /// Of a zone, instead of the node.
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    zone: Option<String>,

    #[command(flatten)]
    order: OrderArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = RESTORE_EXAMPLES)]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    order: OrderArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = RELEASE_EXAMPLES)]
pub(crate) struct ReleaseArguments {
    /// The numbers that `parapet defences` shows, or `all`.
    #[arg(value_name = "NUMBER", required = true, value_parser = parse_release)]
    what: Vec<Option<u32>>,

    #[command(flatten)]
    order: OrderArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// An address or a prefix.
    #[arg(value_name = "PREFIX", value_parser = parse_prefix)]
    prefix: Prefix,

    /// End by itself after so long: seconds, or a number with s, m, h, d.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_lasting, conflicts_with = "remove")]
    lasts: Option<Duration>,

    /// Why, for those who look at it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,

    /// Take it off instead; from all lists, also where the network file has it.
    #[arg(long)]
    remove: bool,

    #[command(flatten)]
    order: OrderArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = BLOCK_EXAMPLES)]
pub(crate) struct BlockArguments {
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = ALLOW_EXAMPLES)]
pub(crate) struct AllowArguments {
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = KNOWN_GOOD_EXAMPLES)]
pub(crate) struct KnownGoodArguments {
    #[command(subcommand)]
    what: KnownGoodOrder,
}

#[derive(Debug, Subcommand)]
enum KnownGoodOrder {
    /// Show who is known to be good.
    List(OrderArguments),
    /// List a source by hand.
    Add(ListArguments),
    /// Take a source off the list. What was learned of it stays.
    Remove(RemoveArguments),
    /// Write what was learned to a file, an address a line; `-` for standard output.
    Export(ExportArguments),
    /// Take over what another node learned, from such a file; `-` for standard input.
    Import(ImportArguments),
}

#[derive(Debug, Args)]
struct RemoveArguments {
    /// An address or a prefix, as it was listed.
    #[arg(value_name = "PREFIX", value_parser = parse_prefix)]
    prefix: Prefix,

    #[command(flatten)]
    order: OrderArguments,
}

#[derive(Debug, Args)]
struct ExportArguments {
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    show: crate::cli::ShowArguments,
}

#[derive(Debug, Args)]
struct ImportArguments {
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    order: OrderArguments,
}

fn filters() -> PossibleValuesParser {
    PossibleValuesParser::new(std::iter::once(ALL).chain(Filter::ALL.map(Filter::as_str)))
}

fn modes() -> PossibleValuesParser {
    PossibleValuesParser::new(DefenceMode::ALL.map(DefenceMode::as_str))
}

fn parse_prefix(text: &str) -> Result<Prefix, String> {
    text.parse().map_err(|why| format!("expected {why}"))
}

/// None: all.
fn parse_release(text: &str) -> Result<Option<u32>, String> {
    if text == ALL {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("expected a number that `parapet defences` shows, or {ALL}"))
}

/// An order must last a little to be one.
fn parse_lasting(text: &str) -> Result<Duration, String> {
    let seconds = parse_time(text)?;
    let lasts = Duration::try_from_secs_f64(seconds).map_err(|_| "expected a time that is not so long".to_owned())?;
    if lasts < Duration::from_secs(1) { Err("expected at least a second".to_owned()) } else { Ok(lasts) }
}

pub(crate) fn set(arguments: &SetArguments) -> Result<(), Failure> {
    let filter = (arguments.filter != ALL).then(|| arguments.filter.clone());
    give(&arguments.order, Order::SetMode { filter, mode: Some(arguments.mode.clone()) })
}

pub(crate) fn normal(arguments: &NormalArguments) -> Result<(), Failure> {
    give(&arguments.order, Order::SetNormal { zone: arguments.zone.clone(), per_s: arguments.per_s })
}

pub(crate) fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    give(&arguments.order, Order::Restore)
}

pub(crate) fn release(arguments: &ReleaseArguments) -> Result<(), Failure> {
    // Any "all" among them means all, whatever stands beside it.
    let numbers: Option<Vec<u32>> = arguments.what.iter().copied().collect();
    give(&arguments.order, Order::Release { numbers: numbers.unwrap_or_default() })
}

pub(crate) fn block(arguments: &BlockArguments) -> Result<(), Failure> {
    list(&arguments.list, List::Block)
}

pub(crate) fn allow(arguments: &AllowArguments) -> Result<(), Failure> {
    list(&arguments.list, List::Allow)
}

fn list(arguments: &ListArguments, list: List) -> Result<(), Failure> {
    let until_unix_s = arguments.lasts.map(|lasts| (unix_s() + lasts.as_secs_f64()).round() as u64);
    let put = Order::Put {
        prefix: arguments.prefix.to_string(),
        list: (!arguments.remove).then_some(list),
        until_unix_s,
        why: arguments.why.clone(),
    };
    give(&arguments.order, put)
}

pub(crate) fn known_good(arguments: &KnownGoodArguments) -> Result<(), Failure> {
    match &arguments.what {
        KnownGoodOrder::List(order) => show_known_good(order),
        KnownGoodOrder::Add(arguments) => list(arguments, List::KnownGood),
        KnownGoodOrder::Remove(arguments) => {
            let put =
                Order::Put { prefix: arguments.prefix.to_string(), list: None, until_unix_s: None, why: String::new() };
            give(&arguments.order, put)
        }
        KnownGoodOrder::Export(arguments) => export(arguments),
        KnownGoodOrder::Import(arguments) => import(arguments),
    }
}

fn give(arguments: &OrderArguments, given: Order) -> Result<(), Failure> {
    order(arguments, &Request::DefenceOrder(given))
}

fn export(arguments: &ExportArguments) -> Result<(), Failure> {
    let Answer::KnownGood(known) = ask(&control_path(&arguments.show)?, &Request::KnownGood)? else {
        return Err(Failure::runtime("the daemon answered another question: it may be of another version"));
    };
    let KnownGood { learned, .. } = *known;
    let line =
        |good: &GoodSource| format!("{} {} {} {}\n", good.address, good.since_unix_s, good.until_unix_s, good.why);
    let mut text: String = learned.iter().map(line).collect();
    if arguments.file == Path::new("-") {
        return print(&text);
    }
    text.insert_str(0, EXPORT_HEADER);
    let file = &arguments.file;
    fs::write(file, text).map_err(|why| Failure::Runtime(format!("cannot write {}: {why}", file.display())))?;
    match arguments.show.json {
        true => print_json(&serde_json::json!({ "exported": learned.len() })),
        false => print(&format!("{} sources are in {}\n", learned.len(), file.display())),
    }
}

fn import(arguments: &ImportArguments) -> Result<(), Failure> {
    let file = &arguments.file;
    let read =
        if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { fs::read_to_string(file) };
    let text = read.map_err(|why| Failure::Runtime(format!("cannot read {}: {why}", file.display())))?;
    let sources = read_sources(&text).map_err(|why| {
        Failure::Configuration(
            why.into_iter().map(|why| format!("{}:{why}", file.display())).collect::<Vec<_>>().join("\n"),
        )
    })?;
    let mut answers: Vec<NodeAnswer> = Vec::new();
    for batch in sources.chunks(IMPORT_SOURCES_MAX) {
        let request = Request::ImportKnownGood(ImportKnownGood { sources: batch.to_vec() });
        let more = gather(&arguments.order, &request)?;
        answers = if answers.is_empty() { more } else { answers.into_iter().zip(more).map(add).collect() };
    }
    if answers.is_empty() {
        return Err(Failure::Configuration(format!("{}: there is no source in it", file.display())));
    }
    tell(&arguments.order, answers)
}

/// What a node said to two batches.
fn add((first, second): (NodeAnswer, NodeAnswer)) -> NodeAnswer {
    let outcome = match (first.outcome, second.outcome) {
        (Ok(Answer::Imported(first)), Ok(Answer::Imported(second))) => {
            Ok(Answer::Imported(Imported { taken: first.taken + second.taken, left: first.left + second.left }))
        }
        (Err(why), _) => Err(why),
        (_, second) => second,
    };
    NodeAnswer { node: first.node, outcome }
}

/// A source in each line: its address, and if it is known since when and until when; more words, and what follows `#`, are
/// remarks. All that is wrong, by line.
fn read_sources(text: &str) -> Result<Vec<ImportSource>, Vec<String>> {
    let mut wrong = Vec::new();
    let mut sources = BTreeMap::new();
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if number > IMPORT_LINES_MAX {
            wrong.push(format!("{number}: error: more than {IMPORT_LINES_MAX} lines"));
            break;
        }
        match read_source(line.split('#').next().unwrap_or_default()) {
            Ok(Some(source)) => drop(sources.insert(source.address, source)),
            Ok(None) => {}
            Err(why) if wrong.len() < WRONG_MAX => wrong.push(format!("{number}: error: {why}")),
            Err(_) => {}
        }
    }
    if wrong.is_empty() { Ok(sources.into_values().collect()) } else { Err(wrong) }
}

fn read_source(line: &str) -> Result<Option<ImportSource>, String> {
    let mut words = line.split_whitespace();
    let Some(address) = words.next() else { return Ok(None) };
    let address = address.parse().map_err(|_| format!("{address:?}: expected an address such as \"192.0.2.53\""))?;
    let mut time = || {
        let word = words.next();
        word.map(|word| word.parse().map_err(|_| format!("{word:?}: expected a time in Unix seconds"))).transpose()
    };
    Ok(Some(ImportSource { address, since_unix_s: time()?, until_unix_s: time()? }))
}

/// An order in words, once it was given.
pub(crate) fn describe(order: &Order, given: &Ordered) -> String {
    let mut words = match order {
        Order::SetMode { filter, mode } => {
            let filter = filter.as_deref().unwrap_or(ALL);
            let mode = mode.as_deref().unwrap_or("as the file has it");
            format!("{filter} is {mode}")
        }
        Order::Put { prefix, list, until_unix_s, .. } => {
            let what = match list {
                Some(List::Block) => "blocked",
                Some(List::Allow) => "never limited",
                Some(List::KnownGood) => "known good",
                None => "on no list",
            };
            let lasts = |until: u64| format!(" for {}", duration_words(until as f64 - unix_s()));
            format!("{prefix} is {what}{}", until_unix_s.map_or(String::new(), lasts))
        }
        Order::SetNormal { zone, per_s } => {
            let whom = zone.as_deref().unwrap_or("the node");
            match per_s {
                Some(per_s) => format!("{per_s} queries a second are normal for {whom}"),
                None => format!("what is normal for {whom} is as the file has it, or as it was learned"),
            }
        }
        Order::Restore => "the network file alone counts again".to_owned(),
        Order::Release { numbers } if numbers.is_empty() => "nothing is kept away for a query of death".to_owned(),
        Order::Release { numbers } => {
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            format!("{} may be asked for again", numbers.join(", "))
        }
    };
    if !given.changed {
        words.push_str(", as it was before");
    }
    for more in given.note.iter().chain(&given.not_kept) {
        words.push_str("; ");
        words.push_str(more);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_sources_is_read_whole_or_said_to_be_wrong_by_line() {
        let text = "# good\n192.0.2.1\n\n 2001:db8::1 1000 2000 behaved # a remark\n192.0.2.1\n";
        let source = |address: &str, since_unix_s, until_unix_s| ImportSource {
            address: address.parse().unwrap(),
            since_unix_s,
            until_unix_s,
        };
        let want = [source("192.0.2.1", None, None), source("2001:db8::1", Some(1000), Some(2000))];
        assert_eq!(read_sources(text).unwrap(), want);
        let wrong = read_sources("192.0.2.1\nresolver.example\n192.0.2.0/24\n192.0.2.2 soon\n").unwrap_err();
        let want = [
            "2: error: \"resolver.example\": expected an address such as \"192.0.2.53\"",
            "3: error: \"192.0.2.0/24\": expected an address such as \"192.0.2.53\"",
            "4: error: \"soon\": expected a time in Unix seconds",
        ];
        assert_eq!(wrong, want);
    }

    #[test]
    fn orders_are_told_in_words() {
        let check = |order: Order, changed: bool, note: Option<&str>, want: &str| {
            let given = Ordered { changed, not_kept: None, note: note.map(str::to_owned) };
            assert_eq!(describe(&order, &given), want);
        };
        let set = |filter: Option<&str>| Order::SetMode {
            filter: filter.map(str::to_owned),
            mode: Some("observe".to_owned()),
        };
        check(set(None), true, None, "all is observe");
        check(set(Some("client")), false, None, "client is observe, as it was before");
        check(set(Some("client")), true, Some("all of them are off"), "client is observe; all of them are off");
        let put = |list, until_unix_s| Order::Put {
            prefix: "192.0.2.0/24".to_owned(),
            list,
            until_unix_s,
            why: String::new(),
        };
        check(put(Some(List::Block), None), true, None, "192.0.2.0/24 is blocked");
        check(put(None, None), true, None, "192.0.2.0/24 is on no list");
        let until = (unix_s() + 600.2) as u64;
        assert!(
            describe(&put(Some(List::Allow), Some(until)), &Ordered { changed: true, not_kept: None, note: None })
                .starts_with("192.0.2.0/24 is never limited for ")
        );
        let normal = |zone: Option<&str>, per_s| Order::SetNormal { zone: zone.map(str::to_owned), per_s };
        check(normal(Some("example.com."), Some(7)), true, None, "7 queries a second are normal for example.com.");
        check(
            normal(None, None),
            true,
            None,
            "what is normal for the node is as the file has it, or as it was learned",
        );
        let release = |numbers: &[u32]| Order::Release { numbers: numbers.to_vec() };
        check(release(&[3, 5]), true, Some("until"), "3, 5 may be asked for again; until");
        check(release(&[]), false, None, "nothing is kept away for a query of death, as it was before");
        check(Order::Restore, false, None, "the network file alone counts again, as it was before");
    }
}
