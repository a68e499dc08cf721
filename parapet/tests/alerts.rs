//! docs/alerts: the rules are sound, do what their tests say, and name only metrics that a running node exports. Needs
//! Debian's package prometheus, for promtool.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::{Daemon, http_get};

/// A node that has something of everything, and a router that is not there.
fn announcing() -> Daemon {
    Daemon::with_file(&support::announcing("metrics = \"127.0.0.1:0\"\n"), &[])
}

fn alerts(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/alerts").join(file)
}

/// Runs promtool, with a text on its standard input; what it says, if it is content.
fn promtool(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|why| panic!("promtool ({why}): install the package prometheus (scripts/setup)"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(said.into_owned()) } else { Err(said.into_owned()) }
}

#[test]
fn the_rules_are_sound() {
    let said = promtool(&["check", "rules", alerts("parapet.rules.yml").to_str().unwrap()], "").unwrap();
    assert!(said.contains("SUCCESS"), "{said}");
}

#[test]
fn the_rules_do_what_their_tests_say() {
    promtool(&["test", "rules", alerts("parapet.test.yml").to_str().unwrap()], "").unwrap();
}

/// Words that begin with `parapet_`.
fn metric_names(text: &str) -> BTreeSet<String> {
    let word = |at: usize| {
        let end =
            text[at..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map_or(text.len(), |end| at + end);
        text[at..end].to_owned()
    };
    text.match_indices("parapet_").map(|(at, _)| word(at)).collect()
}

#[test]
fn every_metric_of_the_rules_is_exported() {
    let daemon = announcing();
    let address = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    let (_, scraped) = http_get(address, "/metrics");
    let declared: BTreeSet<_> =
        scraped.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for file in ["parapet.rules.yml", "README.md"] {
        let named = metric_names(&fs::read_to_string(alerts(file)).unwrap());
        assert!(!named.is_empty(), "{file}");
        for name in named {
            assert!(declared.contains(name.as_str()), "{file} names {name}, which is not exported: {declared:#?}");
        }
    }
}

#[test]
fn every_rule_has_a_test() {
    let rules = fs::read_to_string(alerts("parapet.rules.yml")).unwrap();
    let tests = fs::read_to_string(alerts("parapet.test.yml")).unwrap();
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname: {name}\n")), "{name} has no test");
    }
}

/// Names, help and units are as Prometheus has them, all of them in the text that a plain HTTP client gets.
#[test]
fn the_metrics_are_as_prometheus_has_them() {
    let daemon = announcing();
    let address = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    let (_, scraped) = http_get(address, "/metrics");
    let said = promtool(&["check", "metrics"], &scraped).unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(said, "", "promtool finds nothing to say");
}
