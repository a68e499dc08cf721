//! A running edge takes a changed file on SIGHUP and by itself, applies only what differs, and keeps what it has when the
//! file is wrong.

use parapet_lab::{Edge, ZoneSpec, zone_text};
use serde_json::Value;
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene};

const FILE: &str = "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[key.transfer]\nkey_file = \"@KEY@\"\n\
    [origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n[zone.\"one.test\"]\norigins = [\"bind\"]\n";
const SECOND: &str = "[zone.\"two.test\"]\norigins = [\"bind\"]\n";

fn rewrite(edge: &Edge, change: impl Fn(&str) -> String) {
    let path = edge.folder().join("network.toml");
    let text = std::fs::read_to_string(&path).expect("the network file");
    // As editors do it: a new file in place of the old one.
    let new = path.with_extension("new");
    std::fs::write(&new, change(&text)).expect("writing a file");
    std::fs::rename(&new, &path).expect("putting it in place");
}

fn status(edge: &Edge) -> Value {
    let output = edge.ask(&["status", "--json"]).expect("parapet status --json");
    serde_json::from_str(&output.stdout).expect("JSON")
}

fn hang_up(edge: &Edge) {
    // The lab's signals are those of its own library; `kill` is everywhere.
    let pid = edge.process().pid().to_string();
    edge.namespace().run("kill", &["-HUP", &pid]).expect("a signal");
}

fn wait(edge: &Edge, what: &str, wanted: impl Fn(&Value) -> bool) {
    parapet_lab::until(what, DEADLINE, || wanted(&status(edge)).then_some(()))
        .unwrap_or_else(|error| panic!("{error}: {:#}", status(edge)));
}

#[test]
fn zones_come_and_go_and_a_wrong_file_changes_nothing() {
    let scene = Scene::new("reload");
    let named = ["one.test", "two.test"]
        .into_iter()
        .fold(scene.origin(), |named, zone| named.zone(ZoneSpec::text(zone, zone_text::small(zone))));
    let _named = named.start().expect("named");
    let edge = scene.edge_with_file(FILE).start().expect("parapet");
    edge.wait_for_zone("one.test", 1, DEADLINE).expect("the first zone");
    assert_eq!(scene.ask(edge.v4(), "two.test", Rtype::SOA).rcode, Rcode::REFUSED);
    let pid = status(&edge)["pid"].clone();

    rewrite(&edge, |text| text.to_owned() + SECOND);
    hang_up(&edge);
    edge.wait_for_zone("two.test", 1, DEADLINE).expect("the second zone, after SIGHUP");

    rewrite(&edge, |text| text.replace(SECOND, "[zone.\"two.test\"]\norigins = [\"nobody\"]\n"));
    hang_up(&edge);
    wait(&edge, "the refusal", |status| status["config"]["refused"].as_array().is_some_and(|lines| !lines.is_empty()));
    for zone in ["one.test", "two.test"] {
        assert_eq!(scene.ask(edge.v4(), zone, Rtype::SOA).rcode, Rcode::NOERROR, "{zone}, with a wrong file");
    }

    // By itself, without a signal.
    rewrite(&edge, |text| text.replace("[zone.\"two.test\"]\norigins = [\"nobody\"]\n", ""));
    parapet_lab::until("the zone to go", DEADLINE, || {
        (scene.ask(edge.v4(), "two.test", Rtype::SOA).rcode == Rcode::REFUSED).then_some(())
    })
    .expect("the second zone goes");
    wait(&edge, "no refusal", |status| status["config"]["refused"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(scene.ask(edge.v4(), "one.test", Rtype::SOA).rcode, Rcode::NOERROR);
    assert_eq!(status(&edge)["pid"], pid, "the same process all along");
}
