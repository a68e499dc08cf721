//! `parapet run`: both forms, what it gives up, what it refuses, and how it ends.

mod support;

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::signal::Signal;
use support::{Daemon, failure, http_get, http_get_as, network, parapet, rcode};

/// Response codes.
const SERVFAIL: u8 = 2;
const REFUSED: u8 = 5;

#[test]
fn the_short_form_answers() {
    let daemon = Daemon::short(&[]);
    assert_eq!(rcode(daemon.address(), "www.example.net"), REFUSED);
    assert_eq!(rcode(daemon.address(), "www.example.com"), SERVFAIL);
}

#[test]
fn the_file_form_finds_the_only_node_and_a_named_one() {
    let text = network(&["example.com"]);
    let daemon = Daemon::with_file(&text, &[]);
    assert_eq!(daemon.status()["node"], "one");
    let text = format!("{text}[node.two]\nlisten = [\"127.0.0.1:0\"]\nstate_dir = \"state\"\n");
    let daemon = Daemon::with_file(&text, &["--node", "two"]);
    assert_eq!(daemon.status()["node"], "two");
}

#[test]
fn no_capability_is_kept() {
    let daemon = Daemon::short(&[]);
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    // The threads of the lanes and the runtime have no more than the first.
    for thread in fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap() {
        let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    }
}

#[test]
fn root_becomes_the_user_and_hands_over_the_state_folder() {
    assert!(nix::unistd::geteuid().is_root(), "this test changes users: run it as root");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let state = folder.path().join("state");
    let arguments = ["run", "--origin", "127.0.0.1:1", "--zone", "z", "--listen", "127.0.0.1:0", "--user", "nobody"];
    let arguments = [&arguments[..], &["--state", state.to_str().unwrap()]].concat();
    let daemon = Daemon::again(folder, &arguments);
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let owner = |path: &str| fs::metadata(path).unwrap().uid();
    assert_eq!(owner(&format!("/proc/{}/fd/..", daemon.pid())), nobody.uid.as_raw());
    assert_eq!(owner(daemon.path("state/lock").to_str().unwrap()), nobody.uid.as_raw());
}

#[test]
fn an_unknown_user_is_a_wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let output = parapet([
        "run",
        "--origin",
        "127.0.0.1:1",
        "--zone",
        "z",
        "--listen",
        "127.0.0.1:0",
        "--state",
        state,
        "--user",
        "nobody-here",
    ]);
    let (code, text) = failure(&output);
    assert_eq!(
        (code, text.as_str()),
        (2, "parapet: there is no user \"nobody-here\": create it (`useradd --system nobody-here`) or name another\n")
    );
}

#[test]
fn a_port_in_use_says_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let (code, text) =
        failure(&parapet(["run", "--origin", "127.0.0.1:1", "--zone", "z", "--listen", &address, "--state", state]));
    assert_eq!(code, 1);
    assert!(text.starts_with(&format!("parapet: cannot listen on {address} over UDP: the port is in use; ")), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!folder.path().join("control.sock").exists(), "the control socket goes with the failure");
}

#[test]
fn a_state_folder_that_can_t_be_says_what_to_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let state = file.path().join("state");
    let state = state.to_str().unwrap();
    let (code, text) = failure(&parapet([
        "run",
        "--origin",
        "127.0.0.1:1",
        "--zone",
        "z",
        "--listen",
        "127.0.0.1:0",
        "--state",
        state,
    ]));
    assert_eq!(code, 1);
    assert!(text.starts_with(&format!("parapet: the state folder {state} cannot be made (")), "{text}");
    assert!(
        text.ends_with("): make a folder that this user may write to, or name another with state_dir or --state\n"),
        "{text}"
    );
}

#[test]
fn two_daemons_share_neither_state_nor_control_socket() {
    let daemon = Daemon::short(&[]);
    let run = |state: &std::path::Path, control: &std::path::Path| {
        let state = state.to_str().unwrap();
        let arguments = ["run", "--origin", "127.0.0.1:1", "--zone", "z", "--listen", "127.0.0.1:0", "--state", state];
        let (code, text) = failure(&parapet([&arguments[..], &["--control", control.to_str().unwrap()]].concat()));
        assert_eq!((code, text.lines().count()), (1, 1), "{text}");
        text
    };
    let text = run(&daemon.path("state"), &daemon.path("other.sock"));
    assert!(text.contains(" is in use by another parapet: stop that one, "), "{text}");
    let text = run(&daemon.path("other"), &daemon.control());
    assert!(text.starts_with("parapet: another parapet answers at "), "{text}");
    let text = run(&daemon.path("other"), &daemon.path("log"));
    assert!(text.contains("log stands where the control socket should: "), "{text}");
}

#[test]
fn a_state_folder_of_somebody_else_says_what_to_do() {
    assert!(nix::unistd::geteuid().is_root(), "this test changes users: run it as root");
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = folder.path().join("parapet");
    fs::copy(env!("CARGO_BIN_EXE_parapet"), &binary).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let state = folder.path().to_str().unwrap();
    let arguments = ["run", "--origin", "127.0.0.1:1", "--zone", "z", "--listen", "127.0.0.1:0", "--state", state];
    let mut command = Command::new(binary);
    command.args(arguments).uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    let (code, text) = failure(&command.output().unwrap());
    assert_eq!(code, 1);
    assert!(
        text.starts_with(&format!("parapet: the state folder {state} is not writable (Permission denied")),
        "{text}"
    );
}

#[test]
fn wrong_files_say_everything_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.toml");
    fs::write(&file, network(&["example.com"]).replace("workers", "wrokers").replace("127.0.0.1:1", "localhost"))
        .unwrap();
    let (code, text) = failure(&parapet(["run", "--config", file.to_str().unwrap()]));
    assert_eq!(code, 2);
    let places: Vec<_> = text.lines().map(|line| line.split(": ").next().unwrap()).collect();
    let file = file.to_str().unwrap();
    assert_eq!(places, [format!("{file}:3:1"), format!("{file}:6:14")], "{text}");
}

#[test]
fn an_unknown_node_is_told_which_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("network.toml");
    fs::write(&file, network(&["example.com"])).unwrap();
    let (code, text) = failure(&parapet(["run", "--config", file.to_str().unwrap(), "--node", "two"]));
    assert_eq!(
        (code, text),
        (2, format!("parapet: {}: there is no [node.two] in the network file; it has one\n", file.display()))
    );
}

#[test]
fn wrong_usage_has_exit_code_2() {
    let check = |arguments: &[&str], want: &str| {
        let (code, text) = failure(&parapet(arguments));
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(want), "{text}");
    };
    check(&["run"], "--config <FILE>|--origin <ADDR[:PORT]>");
    check(&["run", "--origin", "ns1.example.com"], "an address, with a port if it is not 53");
    check(&["run", "--origin", "192.0.2.53"], "--zone <NAME>");
    check(&["run", "--config", "a.toml", "--zone", "z"], "cannot be used with");
    check(&["run", "--origin", "192.0.2.53", "--zone", "a..b"], "there is a dot too many");
    check(&["run", "--config", "/nowhere/network.toml"], "cannot read the network file /nowhere/network.toml: ");
}

#[test]
fn a_missing_key_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let arguments = ["run", "--origin", "127.0.0.1:1", "--zone", "z", "--listen", "127.0.0.1:0", "--state", state];
    let (code, text) = failure(&parapet([&arguments[..], &["--tsig-key", "/nowhere/transfer.key"]].concat()));
    assert_eq!(code, 2);
    assert!(text.contains("\"/nowhere/transfer.key\": No such file or directory"), "{text}");
}

#[test]
fn sigterm_and_sigint_stop_gracefully() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::short(&[]);
        daemon.signal(signal);
        assert_eq!(daemon.wait(), Some(0), "{signal}");
        assert!(!daemon.control().exists(), "{signal}: the control socket is gone");
        assert!(daemon.log().lines().last().unwrap().contains("stopped"), "{}", daemon.log());
    }
}

#[test]
fn a_killed_daemon_s_socket_is_replaced() {
    let folder = Daemon::short(&[]).kill();
    let state = folder.path().join("state");
    assert!(state.join("control.sock").exists());
    let arguments = [
        "run",
        "--origin",
        "127.0.0.1:1",
        "--zone",
        "z",
        "--listen",
        "127.0.0.1:0",
        "--state",
        state.to_str().unwrap(),
    ];
    let daemon = Daemon::again(folder, &arguments);
    assert_eq!(daemon.status()["state"], "up");
}

#[test]
fn metrics_are_served_over_http() {
    let daemon = Daemon::short(&["--metrics", "127.0.0.1:0"]);
    rcode(daemon.address(), "www.example.net");
    let metrics = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    let (status, body) = http_get(metrics, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    for line in [
        "parapet_role_up{role=\"edge\"} 1",
        "parapet_queries_total{transport=\"udp\",family=\"ipv4\"} 1",
        "parapet_responses_total{rcode=\"REFUSED\"} 1",
        "parapet_zones{state=\"pending\"} 1",
        "parapet_config_good 1",
        "# TYPE parapet_queries_total counter",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} in\n{body}");
    }
    let (_, body) = http_get_as(metrics, "/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(body.contains("# TYPE parapet_queries counter\n") && body.ends_with("# EOF\n"), "{body}");
    assert_eq!(http_get(metrics, "/health"), ("HTTP/1.1 200 OK".to_owned(), "up\n".to_owned()));
}

#[test]
fn the_log_can_be_json() {
    let daemon = Daemon::short(&["--log", "json"]);
    let line = support::wait_for("a log line", || {
        daemon.log().lines().find(|line| line.contains("\"running\"")).map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["message"], &line["node"], &line["level"]), (&"running".into(), &"edge".into(), &"INFO".into()));
}
