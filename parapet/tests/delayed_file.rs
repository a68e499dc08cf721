//! A node with delayed input: a changed network file waits, and a start goes by the one in force.

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::{Daemon, failure, network, parapet, rcode, replace, wait_for};

const REFUSED: u8 = 5;

/// A file with these zones for a node that is late by so much.
fn file(delay_s: u32, zones: &[&str]) -> String {
    network(zones).replace("workers = 1\n", &format!("workers = 1\ndelay_s = {delay_s}\n"))
}

fn has(daemon: &Daemon, zone: &str) -> bool {
    rcode(daemon.address(), zone) != REFUSED
}

fn waits_until(daemon: &Daemon) -> Option<f64> {
    daemon.status()["config"]["waits_until_unix_s"].as_f64()
}

fn put(daemon: &Daemon, text: &str) {
    replace(&daemon.path("network.toml"), text);
}

fn again(daemon: Daemon) -> Daemon {
    let folder = daemon.kill();
    let config = folder.path().join("network.toml").to_str().unwrap().to_owned();
    Daemon::again(folder, &["run", "--config", &config])
}

#[test]
fn a_changed_file_counts_once_it_has_lain_there_for_the_delay() {
    let daemon = Daemon::with_file(&file(3, &["one.test"]), &[]);
    assert_eq!(waits_until(&daemon), None);
    put(&daemon, &file(3, &["one.test", "two.test"]));
    let changed = Instant::now();
    wait_for("the file waits", || waits_until(&daemon));
    assert!(!has(&daemon, "two.test"));
    wait_for("the new zone", || has(&daemon, "two.test").then_some(()));
    assert!(changed.elapsed() >= Duration::from_millis(2900), "{:?}", changed.elapsed());
    wait_for("nothing waits", || waits_until(&daemon).is_none().then_some(()));
}

#[test]
fn a_file_that_changes_again_waits_anew_and_one_that_is_taken_back_never_counts() {
    let daemon = Daemon::with_file(&file(3600, &["one.test"]), &[]);
    put(&daemon, &file(3600, &["two.test"]));
    let first = wait_for("the file waits", || waits_until(&daemon));
    std::thread::sleep(Duration::from_millis(50));
    put(&daemon, &file(3600, &["three.test"]));
    wait_for("it waits for longer", || waits_until(&daemon).filter(|until| *until > first));
    put(&daemon, &file(3600, &["one.test"]));
    wait_for("nothing waits", || waits_until(&daemon).is_none().then_some(()));
    assert!(has(&daemon, "one.test"));
}

#[test]
fn a_start_goes_by_the_file_in_force() {
    let daemon = Daemon::with_file(&file(3600, &["one.test"]), &[]);
    put(&daemon, &file(3600, &["two.test"]));
    wait_for("the file waits", || waits_until(&daemon));
    let daemon = again(daemon);
    assert!(has(&daemon, "one.test") && !has(&daemon, "two.test"));
    wait_for("the file waits", || waits_until(&daemon));
    // Even one that nobody could read.
    put(&daemon, "[node.one]\nstate_dir = \"state\"\nlisten = [\n");
    let daemon = again(daemon);
    assert!(has(&daemon, "one.test"));
    // SIGHUP shortens nothing; an operator does.
    put(&daemon, &file(3600, &["two.test"]));
    daemon.signal(Signal::SIGHUP);
    wait_for("the file waits", || waits_until(&daemon));
    assert!(!has(&daemon, "two.test"));
    let control = daemon.control();
    let reload = |arguments: &[&str]| {
        parapet(["reload", "--control", control.to_str().unwrap()].iter().copied().chain(arguments.iter().copied()))
    };
    let said = String::from_utf8(reload(&[]).stdout).unwrap();
    assert!(said.starts_with("the file is newer than the one in force, and waits for "), "{said}");
    assert_eq!(reload(&["--now"]).stdout, b"the file is in force\n");
    assert!(has(&daemon, "two.test") && !has(&daemon, "one.test"));
    assert_eq!(reload(&["--now"]).stdout, b"nothing has changed that could be applied\n");
    let daemon = again(daemon);
    assert!(has(&daemon, "two.test"));
}

#[test]
fn a_wrong_file_is_refused_with_its_reasons() {
    let daemon = Daemon::with_file(&network(&["one.test"]), &[]);
    put(&daemon, "[node.one]\nlisten = 7\n");
    let control = daemon.control();
    let output = parapet(["reload", "--control", control.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.starts_with("the file is wrong; the one before stays in force:\n"), "{text}");
    assert!(text.contains("node.one.listen: found 7"), "{text}");
    assert_eq!(failure(&output).0, 2);
}

#[test]
fn without_a_delay_nothing_is_kept() {
    let daemon = Daemon::with_file(&file(3600, &["one.test"]), &[]);
    let kept = daemon.path("state").join("network.in-force.toml");
    assert!(kept.exists());
    put(&daemon, &network(&["one.test"]));
    let output = parapet(["reload", "--now", "--control", daemon.control().to_str().unwrap()]);
    assert!(output.status.success());
    assert!(!kept.exists());
    put(&daemon, &network(&["two.test"]));
    wait_for("the new zone, at once", || has(&daemon, "two.test").then_some(()));
}
