//! What an operator sees of a small flood on a real edge, and does about it: `top`, `explain-source`, and orders by the control
//! socket and by the HTTP API.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;

use parapet_lab::attack::Attack;
use parapet_lab::{Edge, until};
use serde_json::Value;

use crate::scene::{DEADLINE, FLOODER, Scene, ZONE, defences, question};

const CLIENT: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 9);

fn json(edge: &Edge, arguments: &[&str]) -> Value {
    let output = edge.ask(arguments).unwrap_or_else(|why| panic!("parapet {}: {why}", arguments.join(" ")));
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// Waits until `parapet top` is as wanted.
fn wait_for_top(edge: &Edge, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let found = until(what, DEADLINE, || {
        last = json(edge, &["top", "--json"]);
        wanted(&last).then(|| last.clone())
    });
    found.unwrap_or_else(|error| panic!("{error}; last: {last:#}"))
}

fn key(top: &Value, rows: &str) -> String {
    top[rows][0]["key"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn one_who_floods_is_on_top_and_explained() {
    let scene = Scene::new("floods-top");
    let edge = scene.edge("client_per_s = 20\nprefix_per_s = 40\n");
    let network = FLOODER.split_once(".0/").expect("a prefix").0;
    let attack = scene.attack(Attack::Client, 600);
    let top = wait_for_top(&edge, "the flooding source", |top| key(top, "sources").starts_with(network));
    assert_eq!(key(&top, "prefixes"), FLOODER, "{top:#}");
    assert!(key(&top, "names").ends_with(".example.com."), "{top:#}");
    let source = key(&top, "sources");
    // The budget may fill up between two looks.
    let explained = until("why it is limited", DEADLINE, || {
        let explained = json(&edge, &["explain-source", &source, "--json"]);
        (explained["filter"] == "client").then_some(explained)
    })
    .expect("an explanation");
    assert!(explained["penalty"].as_u64() >= Some(40), "{explained:#}");
    let words = edge.ask(&["explain-source", &source]).expect("an explanation").stdout;
    assert!(words.starts_with(&source) && words.contains("(client)"), "{words}");
    // Nobody has to wait for a restart to be rid of it.
    edge.ask(&["block", FLOODER, "--for", "10m", "--why", "it floods"]).expect("an order");
    wait_for_top(&edge, "all of it to be dropped", |top| {
        top["sources"][0]["reason"] == "blocked" && top["sources"][0]["served_per_s"].as_f64() == Some(0.0)
    });
    attack.stop().expect("an attack that was sent");
}

#[test]
fn random_names_are_told_by_their_suffix() {
    let scene = Scene::new("floods-suffix");
    let edge = scene.edge("");
    let attack = scene.attack(Attack::RandomNames, 600);
    wait_for_top(&edge, "the suffix", |top| key(top, "suffixes") == format!("{ZONE}."));
    attack.stop().expect("an attack that was sent");
}

#[test]
fn what_killed_before_the_start_is_kept_away_until_it_is_released() {
    let scene = Scene::new("floods-release");
    let mut edge = scene.edge("");
    let (killer, other) = (format!("n7.{ZONE}"), format!("n8.{ZONE}"));
    assert!(scene.ask(CLIENT, &killer).is_some());
    edge.stop().expect("parapet");
    // As a process leaves it that was killed while it answered: when, how many before, how, where.
    let folder = edge.state().join("queries-of-death");
    fs::create_dir_all(&folder).expect("a folder");
    let now_s = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
    fs::write(folder.join(format!("{now_s}-000-crash-answering.bin")), question(&killer)).expect("a message");
    edge.start_again().expect("parapet");
    scene.wait(&edge);
    assert!(scene.ask(CLIENT, &killer).is_none() && scene.ask(CLIENT, &other).is_some());
    let kept = defences(&edge)["quarantine"].as_array().expect("a quarantine").clone();
    assert!(!kept.is_empty() && kept.iter().any(|one| one["dropped"].as_u64() > Some(0)), "{kept:#?}");
    let refused = edge.ask(&["defences", "release", "4711"]).expect_err("nothing has that number");
    assert!(refused.to_string().contains("nothing with the number 4711"), "{refused}");
    for one in &kept {
        edge.ask(&["defences", "release", &one["number"].to_string()]).expect("an order");
    }
    assert!(scene.ask(CLIENT, &killer).is_some(), "at once");
    assert_eq!(defences(&edge)["quarantine"].as_array().map(Vec::len), Some(0));
}

#[test]
fn orders_go_to_all_nodes_of_the_file_by_their_apis() {
    let scene = Scene::new("floods-api");
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "0123456789abcdef0123456789abcdef").expect("a token");
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("a token");
    let api = format!(
        "[node.edge.api]\nlisten = \"127.0.0.1:8053\"\nurl = \"http://127.0.0.1:8053\"\ntoken_file = \"{}\"\n",
        token.display()
    );
    let mut edge = scene.edge(&api);
    let file = edge.folder().join("network.toml");
    let binary = parapet_lab::parapet_binary().expect("parapet");
    let order = |arguments: &[&str]| {
        let program = scene.host("edge").program(&binary.to_string_lossy()).args(arguments);
        let program = program.args(["--all", "--json", "--config", &file.to_string_lossy()]);
        let output = program.run().and_then(|output| output.success()).expect("an order");
        let answers: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!((&answers[0]["node"], &answers[0]["error"]), (&"edge".into(), &Value::Null), "{answers:#}");
        answers
    };
    let is_answered = || scene.ask(CLIENT, &format!("n1.{ZONE}")).is_some();
    assert!(is_answered());
    order(&["block", "198.18.9.0/24"]);
    assert!(!is_answered(), "at once");
    assert_eq!(order(&["explain-source", "198.18.9.9"])[0]["explained"]["filter"], "blocked");
    order(&["allow", "198.18.9.9"]);
    order(&["known-good", "add", "198.18.7.7"]);
    order(&["defences", "set", "client", "observe"]);
    assert!(is_answered(), "whoever is allowed is answered");
    edge.start_again().expect("parapet");
    scene.wait(&edge);
    let said = defences(&edge);
    let listed = |prefix: &str| -> Value {
        let lists = said["lists"].as_array().expect("lists");
        lists.iter().find(|listed| listed["prefix"] == prefix).map_or(Value::Null, |listed| listed["list"].clone())
    };
    assert_eq!([listed("198.18.9.0/24"), listed("198.18.9.9"), listed("198.18.7.7")], ["block", "allow", "known-good"]);
    order(&["defences", "restore"]);
    assert!(is_answered());
    assert_eq!(
        defences(&edge)["lists"].as_array().expect("lists").iter().filter(|one| one["by"] == "order").count(),
        0
    );
}
