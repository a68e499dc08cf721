//! Orders count at once, over what the file says, and over restarts of every kind; where they cannot be read, the file alone
//! counts and that is said.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use parapet_lab::Edge;

use crate::scene::{DEADLINE, Scene, ZONE, defences};

const BLOCKED: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 9);

fn is_answered(scene: &Scene) -> bool {
    scene.ask(BLOCKED, &format!("n1.{ZONE}")).is_some()
}

fn kept(edge: &Edge) -> PathBuf {
    edge.state().join("defences.json")
}

fn order(edge: &Edge, arguments: &[&str]) {
    edge.ask(arguments).unwrap_or_else(|why| panic!("parapet {}: {why}", arguments.join(" ")));
}

#[test]
fn they_outlive_a_kill_and_end_when_they_are_taken_back() {
    let scene = Scene::new("floods-orders");
    let mut edge = scene.edge("");
    assert!(is_answered(&scene));
    order(&edge, &["block", "198.18.9.0/24", "--why", "a test"]);
    order(&edge, &["defences", "set", "client", "observe"]);
    assert!(!is_answered(&scene), "at once");
    edge.kill().expect("an end");
    edge.start_again().expect("parapet");
    scene.wait(&edge);
    assert!(!is_answered(&scene), "after a kill");
    let said = defences(&edge);
    let client = said["filters"].as_array().expect("filters").iter().find(|one| one["filter"] == "client").cloned();
    assert_eq!(client.expect("a filter")["mode"], "observe");
    order(&edge, &["defences", "restore"]);
    assert!(is_answered(&scene), "the file alone counts");
    edge.start_again().expect("parapet");
    scene.wait(&edge);
    assert!(is_answered(&scene), "after a restart too");
}

#[test]
fn torn_or_of_another_version_they_are_ignored_and_that_is_said() {
    let scene = Scene::new("floods-torn-orders");
    let mut edge = scene.edge("");
    for (break_it, why) in [
        ((|text| text[..text.len() / 2].to_owned()) as fn(&str) -> String, "torn, or not ours"),
        (|text| text.replace("\"version\": 1", "\"version\": 7"), "version 7, where this one reads version 1"),
    ] {
        order(&edge, &["block", "198.18.9.0/24"]);
        assert!(!is_answered(&scene));
        edge.stop().expect("an end");
        let text = std::fs::read_to_string(kept(&edge)).expect("the orders");
        std::fs::write(kept(&edge), break_it(&text)).expect("writing a file");
        edge.start_again().expect("parapet");
        scene.wait(&edge);
        assert!(is_answered(&scene), "the file alone counts");
        let said = |log: String| (log.contains(why) && log.contains("the file alone counts")).then_some(());
        edge.process().wait_until("a word on it", DEADLINE, || said(edge.process().output())).expect("a word on it");
        assert!(!kept(&edge).exists() && kept(&edge).with_extension("json.bad").exists());
    }
}
