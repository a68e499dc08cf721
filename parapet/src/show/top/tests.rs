//! What `parapet top` shows.

use super::*;
use crate::control::defences::{TopRates, TopRow};
use crate::show::defences::tests::armed;

const NOW: f64 = 1_800_000_000.0;

fn row(key: &str, per_s: f64, dropped_per_s: f64, reason: Option<&str>) -> TopRow {
    let rates = TopRates {
        per_s,
        minute_per_s: per_s / 4.0,
        served_per_s: per_s - dropped_per_s,
        slipped_per_s: 0.0,
        dropped_per_s,
    };
    TopRow { key: key.to_owned(), rates, reason: reason.map(str::to_owned) }
}

fn example() -> TopAnswer {
    TopAnswer {
        node: "ams-1".to_owned(),
        at_unix_s: NOW,
        all: row("", 410_002.5, 408_000.0, None).rates,
        sources: vec![row("192.0.2.66", 4000.0, 3990.0, Some("client")), row("198.51.100.1", 1.25, 0.0, None)],
        prefixes: vec![row("192.0.2.0/24", 4000.0, 3990.0, Some("client"))],
        names: vec![row("www.example.com.", 4000.0, 3990.0, Some("client"))],
        suffixes: vec![row("shop.example.com.", 400_000.0, 400_000.0, Some("random-name"))],
        zones: vec![row("example.com.", 410_000.0, 408_000.0, Some("random-name"))],
        types: vec![row("A", 410_000.0, 408_000.0, Some("random-name"))],
        reasons: vec![row("random-name dropped", 400_000.0, 400_000.0, None)],
        armed: armed(),
    }
}

#[test]
fn everything_is_on_one_page() {
    let want = "\
ams-1: 410002 queries a second (102501 over the minute): 2002 served, 0 slipped, 408000 dropped
armed: random-source (node) for 12s

filter                per s  minute
random-name dropped  400000  100000

source        per s  minute  served  slipped  dropped  mostly
192.0.2.66     4000    1000      10        0     3990  client
198.51.100.1    1.2     0.3     1.2        0        0  -

prefix        per s  minute  served  slipped  dropped  mostly
192.0.2.0/24   4000    1000      10        0     3990  client

suffix              per s  minute  served  slipped  dropped  mostly
shop.example.com.  400000  100000       0        0   400000  random-name

name              per s  minute  served  slipped  dropped  mostly
www.example.com.   4000    1000      10        0     3990  client

zone           per s  minute  served  slipped  dropped  mostly
example.com.  410000  102500    2000        0   408000  random-name
";
    let got = page(&example(), View::All, 5, NOW, Style::Plain);
    assert_eq!(got, want, "\n{got}");
}

#[test]
fn a_view_shows_its_own_rows_alone() {
    let want = "\
ams-1: 410002 queries a second (102501 over the minute): 2002 served, 0 slipped, 408000 dropped
armed: random-source (node) for 12s

source      per s  minute  served  slipped  dropped  mostly
192.0.2.66   4000    1000      10        0     3990  client
";
    assert_eq!(page(&example(), View::Sources, 1, NOW, Style::Plain), want);
    let nothing = page(&TopAnswer::default(), View::All, 5, NOW, Style::Plain);
    assert!(nothing.ends_with("they look at nothing then.\n"), "{nothing}");
}

#[test]
fn every_view_has_a_key_of_its_own() {
    for view in View::value_variants() {
        assert_eq!(View::of_key(view.key()), Some(*view));
        assert_ne!(view.key(), 'q');
    }
    assert_eq!(View::of_key('S'), Some(View::Sources));
    assert_eq!(View::of_key('x'), None);
}

#[test]
fn nodes_stand_beside_each_other() {
    let nodes = [("ams-1".to_owned(), Ok(example())), ("fra-1".to_owned(), Err("no connection".to_owned()))];
    let want = "\
node    per s  served  slipped  dropped  first source           first suffix                first reason
ams-1  410002    2002        0   408000  192.0.2.66 (4000)      shop.example.com. (400000)  random-name dropped (400000)
fra-1       -       -        -        -  silent: no connection
";
    let got = fleet(&nodes);
    assert_eq!(got, want, "\n{got}");
}

#[test]
fn intervals_have_a_least() {
    assert_eq!(parse_interval("0"), Ok(INTERVAL_MIN));
    assert_eq!(parse_interval("5"), Ok(Duration::from_secs(5)));
    assert!(parse_interval("often").is_err() && parse_interval("1e300").is_err());
}
