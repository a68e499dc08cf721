//! `parapet status`: what a node says of itself, and of its configuration as the file changes.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::{Daemon, failure, network, parapet, replace, wait_for};

#[test]
fn a_node_says_how_it_is() {
    let daemon = Daemon::short(&["--node", "ams-1"]);
    let status = daemon.status();
    assert_eq!(
        (&status["node"], &status["state"], &status["pid"]),
        (&json!("ams-1"), &json!("up"), &json!(daemon.pid()))
    );
    assert_eq!(status["config"]["file"], Value::Null);
    assert_eq!(status["zones"], json!({ "serving": 0, "pending": 1, "expired": 0, "stale": 0, "on_demand": 0 }));

    let output = parapet(["status", "--state", daemon.path("state").to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("node           ams-1 of parapet\nstate          up, up for "), "{text}");
}

#[test]
fn the_node_is_found_by_its_file_too() {
    let daemon = Daemon::with_file(&network(&["example.com"]), &[]);
    let file = daemon.path("network.toml");
    let output = parapet(["status", "--json", "--config", file.to_str().unwrap()]);
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["config"]["file"], json!(file));
}

#[test]
fn without_a_daemon_it_says_so() {
    let (code, text) = failure(&parapet(["status", "--control", "/nowhere/control.sock"]));
    assert_eq!(code, 1);
    assert_eq!(
        text,
        "parapet: no parapet runs with the control socket /nowhere/control.sock: start one, or name the right socket with --control or --state\n"
    );
}

#[test]
fn the_socket_is_its_owner_s_alone() {
    let daemon = Daemon::short(&[]);
    let mode = fs::metadata(daemon.control()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_socket_speaks_json_lines_and_survives_nonsense() {
    let daemon = Daemon::short(&[]);
    let stream = UnixStream::connect(daemon.control()).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut ask = |line: &[u8]| {
        (&stream).write_all(line).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    assert!(ask(b"\xff\xfe nonsense\n")["error"].as_str().unwrap().starts_with("not a request: "));
    assert!(ask(b"{\"request\":\"shutdown\"}\n")["error"].as_str().unwrap().contains("unknown variant"));
    assert_eq!(ask(b"{\"request\":\"status\"}\n")["status"]["state"], "up");

    // A line without an end is refused once it is too long, and nothing more is read.
    let stream = UnixStream::connect(daemon.control()).unwrap();
    (&stream).write_all(&vec![b' '; 64 * 1024]).unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "{\"error\":\"the request is too long\"}\n");
}

/// The status, once it fits.
fn wait_for_config(daemon: &Daemon, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, || Some(daemon.status()["config"].clone()).filter(&fits))
}

#[test]
fn a_changed_file_is_applied_and_a_wrong_one_is_not() {
    let daemon = Daemon::with_file(&network(&["example.com"]), &[]);
    let file = daemon.path("network.toml");

    replace(&file, &network(&["example.com", "example.net"]));
    wait_for_config(&daemon, "the new zone", |config| config["reloads"] == 1);
    assert_eq!(daemon.status()["zones"]["pending"], 2);

    replace(&file, &network(&["example.com", "example..net"]).replace("workers", "wrokers"));
    let config = wait_for_config(&daemon, "the refusal", |config| config["reloads_refused"] == 1);
    assert_eq!(config["reloads"], 1);
    assert_eq!(config["refused"].as_array().unwrap().len(), 2, "{config:#}");
    assert_eq!(daemon.status()["zones"]["pending"], 2);
    let log = daemon.log();
    assert!(
        log.contains("network.toml:3:1: error: node.one.wrokers: ") && log.contains("network.toml:9:7: error: "),
        "{log}"
    );
    let text = String::from_utf8(parapet(["status", "--control", daemon.control().to_str().unwrap()]).stdout).unwrap();
    assert!(
        text.contains("The file as it stands now is wrong; the configuration before it stays in force:\n  "),
        "{text}"
    );

    replace(&file, &network(&["example.com"]));
    wait_for_config(&daemon, "the mended file", |config| config["reloads"] == 2 && config["refused"] == json!([]));
    assert_eq!(daemon.status()["zones"]["pending"], 1);
}

#[test]
fn what_was_bound_waits_for_a_restart() {
    let daemon = Daemon::with_file(&network(&["example.com"]), &[]);
    let address = daemon.address();
    replace(
        &daemon.path("network.toml"),
        &network(&["example.com"]).replace("workers = 1", "workers = 2\nlog = \"json\""),
    );
    let config = wait_for_config(&daemon, "the warning", |config| config["restart_needed"] != json!([]));
    assert_eq!((&config["restart_needed"], &config["reloads"]), (&json!(["workers", "log"]), &json!(0)));
    assert_eq!(daemon.address(), address);
}

#[test]
fn sighup_reads_the_file_again() {
    let daemon = Daemon::with_file(&network(&["example.com"]), &[]);
    daemon.signal(Signal::SIGHUP);
    wait_for("the log", || daemon.log().contains("nothing is to be done cause=\"SIGHUP\"").then_some(()));
    assert_eq!(daemon.status()["config"]["reloads"], 0);
}
