//! `parapet purge` and `parapet fill`, on one node and on all.

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use support::origin::Origin;
use support::{Daemon, address_of, failure, parapet, wait_for};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn text_of(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn serial(daemon: &Daemon) -> Value {
    daemon.ask("zones").unwrap()[0]["serial"].clone()
}

#[test]
fn fill_fetches_a_full_copy_whole_and_says_what_came() {
    let origin = Origin::start(7);
    let daemon = Daemon::short_before(origin.address, &[]);
    wait_for("the first copy", || (serial(&daemon) == 7).then_some(()));
    let control = daemon.control();
    let fill = || parapet(["fill", "Example.COM", "--control", control.to_str().unwrap()]);
    assert_eq!(text_of(&fill()), "example.com.: fetched whole, serial 7, 2 records\n");
    // Even backwards: an operator has the last word.
    origin.serial.store(5, Ordering::SeqCst);
    assert_eq!(text_of(&fill()), "example.com.: fetched whole, serial 5, 2 records\n");
    assert_eq!(text_of(&fill()), "example.com.: fetched whole, serial 5, 2 records\n");
    assert_eq!(serial(&daemon), 5);
    let output = parapet(["fill", "example.com", "--json", "--control", control.to_str().unwrap()]);
    let filled: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(filled, json!({ "zone": "example.com.", "outcome": "fetched", "serial": 5, "records": 2 }));
}

#[test]
fn fill_says_why_not() {
    let daemon = Daemon::short(&[]);
    let control = daemon.control();
    let (code, text) = failure(&parapet(["fill", "example.com", "--control", control.to_str().unwrap()]));
    assert_eq!(code, 1);
    assert!(text.starts_with("parapet: no origin gave the zone: "), "{text}");
    let (code, text) = failure(&parapet(["fill", "example.net", "--control", control.to_str().unwrap()]));
    assert_eq!(
        (code, text.as_str()),
        (1, "parapet: this node has no zone example.net.: `parapet zones` lists its zones\n")
    );
}

#[test]
fn a_full_copy_has_nothing_to_purge() {
    let daemon = Daemon::short(&[]);
    let control = daemon.control();
    let purge = |name: &str| parapet(["purge", name, "--subtree", "--control", control.to_str().unwrap()]);
    assert_eq!(
        text_of(&purge("www.Example.com")),
        "example.com.: a full copy, nothing to purge; `parapet fill example.com.` fetches it anew\n"
    );
    let (code, text) = failure(&purge("www\\.example.com"));
    assert_eq!(
        (code, text.as_str()),
        (1, "parapet: no zone of this node has the name www\\.example.com.: `parapet zones` lists its zones\n")
    );
}

#[test]
fn what_was_cached_is_forgotten_or_fetched_anew() {
    let origin = Origin::start(1);
    let daemon = Daemon::short_before(origin.address, &["--mode", "on-demand"]);
    let (control, server) = (daemon.control(), daemon.address());
    let order = |arguments: &[&str]| text_of(&parapet([arguments, &["--control", control.to_str().unwrap()]].concat()));
    let last = |name: &str| address_of(server, name).map(|address| address[3]);
    for name in ["www.example.com", "a.www.example.com", "ftp.example.com"] {
        assert_eq!(last(name), Some(1));
    }
    origin.serial.store(2, Ordering::SeqCst);
    assert_eq!(last("www.example.com"), Some(1), "it is cached");

    assert_eq!(order(&["purge", "WWW.example.com"]), "example.com.: 1 answer forgotten\n");
    assert_eq!(order(&["purge", "www.example.com"]), "example.com.: nothing was cached\n");
    assert_eq!((last("www.example.com"), last("a.www.example.com")), (Some(2), Some(1)));

    origin.serial.store(3, Ordering::SeqCst);
    assert_eq!(order(&["purge", "www.example.com", "--subtree"]), "example.com.: 2 answers forgotten\n");
    assert_eq!((last("www.example.com"), last("a.www.example.com")), (Some(3), Some(3)));
    assert_eq!(last("ftp.example.com"), Some(1));

    origin.serial.store(4, Ordering::SeqCst);
    let filled = order(&["fill", "example.com"]);
    assert!(filled.starts_with("example.com.: ") && filled.contains("cached answers fetched anew"), "{filled}");
    for name in ["www.example.com", "a.www.example.com", "ftp.example.com"] {
        assert_eq!(last(name), Some(4), "{name}");
    }
}

#[test]
fn wrong_usage_is_said_at_once() {
    let (code, text) = failure(&parapet(["purge", "example..com"]));
    assert_eq!(code, 2);
    assert!(text.contains("no empty label"), "{text}");
    let (code, text) = failure(&parapet(["fill", "example.com", "--all"]));
    assert_eq!(code, 2);
    assert!(text.contains("--config"), "{text}");
}

/// Two nodes that run, and one that doesn't, before an origin.
struct Fleet {
    one: Daemon,
    two: Daemon,
    _folder: tempfile::TempDir,
    file: String,
}

impl Fleet {
    fn start(origin: &Origin) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, format!("{TOKEN}\n")).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let mut text = format!(
            "[defaults.node]\nlisten = [\"127.0.0.1:0\"]\nworkers = 1\n[defaults.node.api]\ntoken_file = \"token\"\n\
             [origin.a]\naddresses = [\"{}\"]\n[zone.\"example.com\"]\norigins = [\"a\"]\n",
            origin.address
        );
        for node in ["one", "two", "three"] {
            let state = folder.path().join(node);
            text.push_str(&format!(
                "[node.{node}]\nstate_dir = {state:?}\napi.listen = \"127.0.0.1:{}\"\n",
                free_port()
            ));
        }
        let file = folder.path().join("network.toml");
        fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let start = |node: &str| Daemon::of_file(&file, node, &folder.path().join(node));
        Self { one: start("one"), two: start("two"), file: file.clone(), _folder: folder }
    }
}

/// A port that nobody listens at right now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn all_nodes_acknowledge_or_are_named() {
    let origin = Origin::start(7);
    let fleet = Fleet::start(&origin);
    for daemon in [&fleet.one, &fleet.two] {
        wait_for("the first copy", || (serial(daemon) == 7).then_some(()));
    }
    origin.serial.store(9, Ordering::SeqCst);
    let output = parapet(["fill", "example.com", "--all", "--config", &fleet.file]);
    let shown = text_of(&output);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "node   acknowledged  result");
    assert_eq!(lines[1], "one    yes           example.com.: fetched whole, serial 9, 2 records");
    assert!(lines[2].starts_with("three  no            no answer from http://127.0.0.1:"), "{shown}");
    assert_eq!(lines[3], "two    yes           example.com.: fetched whole, serial 9, 2 records");
    assert_eq!(
        failure(&output),
        (1, "parapet: 1 of 3 nodes did not acknowledge: ask again, which does no harm to the others\n".to_owned())
    );
    assert_eq!((serial(&fleet.one), serial(&fleet.two)), (json!(9), json!(9)));

    let output = parapet(["purge", "www.example.com", "--all", "--json", "--config", &fleet.file]);
    assert_eq!(output.status.code(), Some(1));
    let answers: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        answers[0],
        json!({ "node": "one", "acknowledged": true,
            "purged": { "zones": [{ "zone": "example.com.", "mode": "full-copy", "removed": 0 }] } })
    );
    assert_eq!((&answers[1]["node"], &answers[1]["acknowledged"]), (&json!("three"), &json!(false)));
    assert!(answers[1]["error"].as_str().unwrap().starts_with("no answer from "), "{answers:#}");
}

/// A node whose process hangs takes connections, for the system does that, and says nothing.
#[test]
fn a_node_that_hangs_is_named_after_a_while() {
    let fleet = Fleet::start(&Origin::start(7));
    let text = fs::read_to_string(&fleet.file).unwrap();
    let (_, three) = text.split_once("[node.three]").unwrap();
    let (_, port) = three.trim_end().trim_end_matches('"').rsplit_once(':').unwrap();
    let _silent = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let output = parapet(["purge", "example.com", "--all", "--config", &fleet.file]);
    let shown = text_of(&output);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[2], format!("three  no            no answer from http://127.0.0.1:{port}: nothing came in time"));
    assert!(lines[1].starts_with("one    yes ") && lines[3].starts_with("two    yes "), "{shown}");
}

#[test]
fn what_a_node_refuses_and_a_wrong_token_are_told() {
    let fleet = Fleet::start(&Origin::start(7));
    let output = parapet(["fill", "example.net", "--all", "--config", &fleet.file]);
    let shown = text_of(&output);
    assert!(
        shown.lines().nth(1).unwrap()
            == "one    no            this node has no zone example.net.: `parapet zones` lists its zones",
        "{shown}"
    );
    let token = fleet._folder.path().join("token");
    fs::write(&token, "another token, as long as it has to be".replace(' ', "-")).unwrap();
    let output = parapet(["purge", "example.com", "--all", "--config", &fleet.file]);
    let shown = text_of(&output);
    assert!(
        shown.lines().nth(1).unwrap()
            == format!("one    no            it does not take the token in {}", token.display()),
        "{shown}"
    );
    fs::remove_file(&token).unwrap();
    let shown = text_of(&parapet(["purge", "example.com", "--all", "--config", &fleet.file]));
    assert!(shown.lines().nth(1).unwrap().contains("No such file"), "{shown}");
}
