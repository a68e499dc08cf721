//! `parapet top`: who asks for what now, and what becomes of it; live in a terminal, or as lines, or as JSON.

mod render;
mod screen;

use std::thread::sleep;
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::render::{View, fleet, page};
use self::screen::{Key, Screen, Waited};
use super::defences::{all_nodes, to_json};
use super::style::Style;
use super::{print, print_json};
use crate::cli::OrderArguments;
use crate::control::defences::{AskTop, TOP_ROWS, TOP_ROWS_MAX, TopAnswer};
use crate::control::protocol::{Answer, Request};
use crate::failure::Failure;
use crate::reload::unix_s;
use crate::target::Target;

const EXAMPLES: &str = "\
Examples:
    parapet top                                  live; q ends it, and a letter shows one view in full
    parapet top --view sources --rows 50 --once  the fifty heaviest sources, once
    parapet top --json                           once, for machines
    parapet top --json --interval 5              a line of JSON every five seconds
    parapet top --config network.toml --node nyc-1
    parapet top --all --config network.toml      every node beside the others, once

Keys: a all, s sources, p prefixes, n names, u suffixes, z zones, t types, r reasons, q quit.
Rates are queries a second over the last few seconds, and over the last minute, made from samples. Of
suffixes the deepest are shown that have most of what is asked: where random names are asked for.
`mostly` is the filter that most of its queries met.";

/// The shortest time between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(200);
/// The time between two looks, unless something else is said.
const INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct TopArguments {
    /// Show it once.
    #[arg(long)]
    once: bool,

    /// Look again after so many seconds [default: 2].
    #[arg(long, value_name = "SECONDS", value_parser = parse_interval, conflicts_with_all = ["once", "all"])]
    interval: Option<Duration>,

    /// What to show.
    #[arg(long, value_enum, default_value_t = View::All)]
    view: View,

    /// Rows of each kind [default: as many as fit, or 20].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(TOP_ROWS_MAX)))]
    rows: Option<u32>,

    #[command(flatten)]
    order: OrderArguments,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let seconds = super::arguments::parse_time(text)?;
    let interval = Duration::try_from_secs_f64(seconds).map_err(|_| "expected a shorter time".to_owned())?;
    Ok(interval.max(INTERVAL_MIN))
}

pub(crate) fn top(arguments: &TopArguments) -> Result<(), Failure> {
    let show = &arguments.order.show;
    if arguments.order.all {
        return of_all(arguments);
    }
    let (target, _) = Target::find(show)?;
    let rows = arguments.rows.unwrap_or(TOP_ROWS);
    if show.json {
        return json(&target, rows, arguments.interval);
    }
    match Screen::open() {
        Some(screen) if !arguments.once => live(&target, arguments, screen),
        _ => lines(&target, arguments, rows),
    }
}

fn ask(target: &Target, rows: u32) -> Result<TopAnswer, Failure> {
    match target.ask(&Request::Top(AskTop { rows }))? {
        Answer::Top(top) => Ok(*top),
        _ => Err(Failure::runtime("the daemon answered another question: it may be of another version")),
    }
}

/// Every node of the file, once.
fn of_all(arguments: &TopArguments) -> Result<(), Failure> {
    let said = |answer| if let Answer::Top(top) = answer { Some(*top) } else { None };
    let rows = arguments.rows.unwrap_or(TOP_ROWS);
    let nodes = all_nodes(&arguments.order.show, &Request::Top(AskTop { rows }), said)?;
    if arguments.order.show.json {
        return print_json(&nodes.iter().map(|node| to_json("top", node)).collect::<Vec<_>>());
    }
    print(&fleet(&nodes))
}

fn json(target: &Target, rows: u32, interval: Option<Duration>) -> Result<(), Failure> {
    let Some(interval) = interval else { return print_json(&ask(target, rows)?) };
    loop {
        let line = serde_json::to_string(&ask(target, rows)?).map_err(Failure::runtime)?;
        print_or_end(&(line + "\n"))?;
        sleep(interval);
    }
}

/// Without a terminal: a page after the other.
fn lines(target: &Target, arguments: &TopArguments, rows: u32) -> Result<(), Failure> {
    loop {
        print_or_end(&page(&ask(target, rows)?, arguments.view, rows as usize, unix_s(), Style::of_stdout()))?;
        if arguments.once {
            return Ok(());
        }
        print_or_end("\n")?;
        sleep(arguments.interval.unwrap_or(INTERVAL));
    }
}

/// Prints; who reads no more ends the command.
fn print_or_end(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()) {
        Ok(()) => Ok(()),
        Err(why) if why.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(why) => Err(Failure::runtime(why)),
    }
}

/// In a terminal: one page, drawn again and again.
fn live(target: &Target, arguments: &TopArguments, mut screen: Screen) -> Result<(), Failure> {
    let (mut view, interval) = (arguments.view, arguments.interval.unwrap_or(INTERVAL));
    let mut top = ask(target, TOP_ROWS_MAX);
    // A node that cannot be asked at first is a failure; one that goes away meanwhile may come back.
    if let Err(why) = top {
        drop(screen);
        return Err(why);
    }
    loop {
        let size = screen.size();
        let text = match &top {
            Ok(top) => page(
                top,
                view,
                arguments.rows.map_or(size.rows_of(view), |rows| rows as usize),
                unix_s(),
                screen.style(),
            ),
            Err(failure) => failure.why().unwrap_or_default(),
        };
        screen.draw(&text, size)?;
        match screen.wait(interval)? {
            Waited::Passed => top = ask(target, TOP_ROWS_MAX),
            Waited::Pressed(Key::Quit) => return Ok(()),
            Waited::Pressed(Key::Letter(letter)) => view = View::of_key(letter).unwrap_or(view),
        }
    }
}

impl View {
    fn of_key(letter: char) -> Option<Self> {
        Self::value_variants().iter().copied().find(|view| view.key() == letter.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests;
