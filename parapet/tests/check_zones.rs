//! `parapet check-zones`: exit codes and the first line, as monitoring takes them; and the views of `parapet zones` on a zone
//! that is well.

mod support;

use serde_json::Value;
use support::origin::Origin;
use support::{Daemon, network, parapet, wait_for};

/// What the check says, and its exit code.
fn check(daemon: &Daemon, arguments: &[&str]) -> (i32, String) {
    let control = daemon.control();
    let output = parapet([&["check-zones", "--control", control.to_str().unwrap()], arguments].concat());
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn good() -> Daemon {
    let daemon = Daemon::short_before(Origin::start(7).address, &[]);
    wait_for("the copy", || (daemon.ask("zones").unwrap()[0]["serial"] == 7).then_some(()));
    daemon
}

#[test]
fn all_is_well() {
    let daemon = good();
    let (code, text) = check(&daemon, &[]);
    let (said, measured) = text.trim_end().split_once(" | ").unwrap();
    assert_eq!((code, said), (0, "ZONES OK: 1 zone: 1 serving; no problems"));
    let labels: Vec<_> = measured.split(' ').map(|value| value.split('=').next().unwrap()).collect();
    let want = ["zones", "serving", "warning", "critical", "age_max", "lag_max", "failing_max", "expires_in_min"];
    assert_eq!(labels, want, "{text}");
    assert_eq!(check(&daemon, &["--quiet"]), (0, String::new()));
    assert_eq!(check(&daemon, &["example.com", "--quiet"]).0, 0);
    let (code, text) = check(&daemon, &["--json"]);
    let verdict: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &verdict["state"], &verdict["problems"]), (0, &"OK".into(), &serde_json::json!([])));
}

#[test]
fn limits_can_be_set() {
    let daemon = good();
    let (code, text) = check(&daemon, &["--age", "0,1d"]);
    // The age has whole seconds.
    wait_for("a warning", || (check(&daemon, &["--age", "0,1d"]).0 == 1).then_some(()));
    assert!(code <= 1, "{text}");
    let (code, text) = check(&daemon, &["--age", "0,0"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("\nCRITICAL: example.com. not refreshed for "), "{text}");
}

#[test]
fn a_zone_that_is_not_there_is_critical() {
    let (code, text) = check(&good(), &["example.org"]);
    assert_eq!(code, 2);
    assert!(text.starts_with("ZONES CRITICAL: the node has no zone example.org. | zones=0;"), "{text}");
}

#[test]
fn rounds_that_fail_are_a_warning_and_a_zone_without_a_copy_is_more() {
    let daemon = Daemon::with_file(&network(&["example.com"]), &[]);
    let text = wait_for("a warning", || {
        let (code, text) = check(&daemon, &[]);
        (code == 1).then_some(text)
    });
    assert!(
        text.starts_with("ZONES WARNING: 1 zone: 1 pending; 1 warning: example.com. 3 failed rounds in "),
        "{text}"
    );
    assert!(text.contains("cannot connect to 127.0.0.1:1"), "{text}");
    wait_for("a critical one", || (check(&daemon, &["--pending", "0,1s"]).0 == 2).then_some(()));
}

/// Whatever keeps the check from finding out anything is UNKNOWN, never OK and never one of the others.
#[test]
fn what_is_not_known_is_unknown() {
    let check = |arguments: &[&str], want: &str| {
        let output = parapet([&["check-zones"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(want), "{text}");
    };
    check(&["--control", "/nowhere/control.sock"], "ZONES UNKNOWN: no parapet runs with the control socket /nowhere");
    check(&["--all", "--config", "/nowhere/network.toml"], "ZONES UNKNOWN: cannot read the network file /nowhere");
    check(&["--lag", "soon"], "expected two limits");
    check(&["--all"], "--config <FILE>");
}

#[test]
fn everything_about_one_zone() {
    let daemon = good();
    let control = daemon.control();
    let output = parapet(["zones", "example.com", "--control", control.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = text.lines().map(|line| line.get(..17).unwrap_or(line).trim()).collect();
    let want = [
        "zone",
        "state",
        "mode",
        "serial",
        "copy",
        "confirmed",
        "expires",
        "signatures",
        "verified",
        "last attempt",
        "next attempt",
        "last NOTIFY",
        "since the start",
        "",
        "origin",
        "serial",
        "last attempt",
        "result",
        "last transfer",
    ];
    assert_eq!(names, want, "{text}");
    assert!(text.contains("  last attempt   ") && text.contains(" ago: AXFR over tcp, unsigned, took "), "{text}");
}

/// No line of the table is wider than terminals are.
#[test]
fn the_table_fits_a_terminal() {
    let long = format!("{}.example.com", "a".repeat(60));
    let daemon = Daemon::with_file(&network(&["example.com", &long]), &[]);
    let control = daemon.control();
    // A name that is cut stands whole with its problem; each zone has its failed rounds in its own time.
    let problem = format!("\n  {long}.\n  warning: ");
    let text = wait_for("the problem of the zone with the long name", || {
        let output = parapet(["zones", "--control", control.to_str().unwrap()]);
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains(&problem).then_some(text)
    });
    for line in text.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("  ")) {
        assert!(line.chars().count() <= 120, "{} columns: {line}", line.chars().count());
    }
}
