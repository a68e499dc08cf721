//! The command lines of `parapet zones` and `parapet check-zones`.

use clap::Args;
use origin_sync::{Levels, ProblemLimits};

use crate::cli::{ShowArguments, parse_zone};

const ZONES_EXAMPLES: &str = "\
Examples:
    parapet zones                              all of this node, those with problems first
    parapet zones --problems                   only those with problems
    parapet zones example.com                  everything about one, at each of its origins
    parapet zones --all --config network.toml  every node beside the others: who is behind, who is silent

docs/status.md says what each item of --json means. Colours: only on a terminal, and without NO_COLOR.";

const CHECK_EXAMPLES: &str = "\
Examples:
  Nagios, Icinga: all zones of this machine's node, or of all nodes
    parapet check-zones
    parapet check-zones --all --config /etc/parapet/network.toml
  cron, which mails what is printed:
    */5 * * * * parapet check-zones --quiet
  Own limits, each as WARNING,CRITICAL:
    parapet check-zones --lag 2m,15m --signature 3d,1d example.com

Times are seconds, or numbers with s, m, h, d. Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.";

#[derive(Debug, Args)]
#[command(after_long_help = ZONES_EXAMPLES)]
pub(crate) struct ZonesArguments {
    /// Only these zones.
    #[arg(value_name = "ZONE", value_parser = parse_zone)]
    pub(crate) zones: Vec<String>,

    /// Only zones that have a problem.
    #[arg(long)]
    pub(crate) problems: bool,

    /// All nodes of the network file beside each other, by their HTTP APIs.
    #[arg(long, requires = "config", conflicts_with = "node")]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) show: ShowArguments,
}

#[derive(Debug, Args)]
#[command(after_long_help = CHECK_EXAMPLES)]
pub(crate) struct CheckZonesArguments {
    /// Only these zones; one that the node lacks is critical.
    #[arg(value_name = "ZONE", value_parser = parse_zone)]
    pub(crate) zones: Vec<String>,

    /// All nodes of the network file, by their HTTP APIs; a node that is silent, lacks a zone or stays behind the others
    /// is a problem too.
    #[arg(long, requires = "config", conflicts_with = "node")]
    pub(crate) all: bool,

    /// Print nothing while all is well.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Time since an origin told a newer serial that has not arrived [default: 1m,10m].
    #[arg(long, value_name = "W,C", value_parser = parse_times)]
    lag: Option<Levels>,

    /// Time without a confirmation by an origin [default: 2 and 4 times the zone's refresh, at least 5m,30m].
    #[arg(long, value_name = "W,C", value_parser = parse_times)]
    age: Option<Levels>,

    /// Time that a zone waits for its first copy [default: 1m,5m].
    #[arg(long, value_name = "W,C", value_parser = parse_times)]
    pending: Option<Levels>,

    /// Rounds of failed attempts in a row that are a warning [default: 3].
    #[arg(long, value_name = "NUMBER")]
    failures: Option<u32>,

    /// Time of failed attempts that is critical [default: 30m].
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    failing: Option<f64>,

    /// What is left of the time to expire, in percent of all of it, while no origin confirms the copy [default: 25,10].
    #[arg(long, value_name = "W,C", value_parser = parse_numbers)]
    expires: Option<Levels>,

    /// Time until the first signature dies [default: the zone's expiry_margin_s, and a quarter of it].
    #[arg(long, value_name = "W,C", value_parser = parse_times)]
    signature: Option<Levels>,

    #[command(flatten)]
    pub(crate) show: ShowArguments,
}

impl CheckZonesArguments {
    /// Where problems begin.
    pub(crate) fn limits(&self) -> ProblemLimits {
        let default = ProblemLimits::default();
        ProblemLimits {
            pending_s: self.pending.unwrap_or(default.pending_s),
            age_s: self.age,
            lag_s: self.lag.unwrap_or(default.lag_s),
            failures: self.failures.unwrap_or(default.failures),
            failing_s: self.failing.unwrap_or(default.failing_s),
            expires_percent: self.expires.unwrap_or(default.expires_percent),
            signature_s: self.signature,
            ..default
        }
    }
}

/// `90`, `90s`, `5m`, `2h`, `7d`: seconds.
pub(crate) fn parse_time(text: &str) -> Result<f64, String> {
    let (number, unit_s) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3600.0),
        Some((at, 'd')) => (&text[..at], 86_400.0),
        _ => (text, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| "expected a time such as 90, 90s, 5m, 2h or 7d".to_owned())?;
    if !(number.is_finite() && number >= 0.0) {
        return Err("expected a time that is not negative".to_owned());
    }
    Ok(number * unit_s)
}

fn parse_number(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() { Ok(number) } else { Err("expected a number".to_owned()) }
}

fn parse_pair(text: &str, parse: fn(&str) -> Result<f64, String>) -> Result<Levels, String> {
    let (warning, critical) =
        text.split_once(',').ok_or("expected two limits with a comma between them: WARNING,CRITICAL")?;
    Ok(Levels::new(parse(warning)?, parse(critical)?))
}

fn parse_times(text: &str) -> Result<Levels, String> {
    parse_pair(text, parse_time)
}

fn parse_numbers(text: &str) -> Result<Levels, String> {
    parse_pair(text, parse_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_pairs_of_times() {
        assert_eq!(parse_times("90,2h"), Ok(Levels::new(90.0, 7200.0)));
        assert_eq!(parse_times("0.5d,7d"), Ok(Levels::new(43_200.0, 604_800.0)));
        assert_eq!(parse_numbers("25,10.5"), Ok(Levels::new(25.0, 10.5)));
        for wrong in ["", "5m", "5m,", ",5m", "5w,6w", "-1,2", "nan,1", "5ü,1", "inf,1"] {
            assert!(parse_times(wrong).is_err(), "{wrong}");
        }
    }
}
