//! A node with deliberately delayed input: what poisons the others, a zone or a network file, has not reached it yet.

use parapet_lab::{Edge, ZoneSpec, until, zone_text};
use serde_json::Value;
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, status, wait_for_status};

const ZONE: &str = "example.com";
const GOOD: &str = "good.example.com";

const FILE: &str = "[node.edge1]\nlisten = [\"@FIRST@\"]\nstate_dir = \"@STATE1@\"\n\
    [node.edge2]\nlisten = [\"@SECOND@\"]\nstate_dir = \"@STATE2@\"\ndelay_s = 3600\n\
    [key.transfer]\nkey_file = \"@KEY@\"\n[origin.bind]\naddresses = [\"@ORIGIN@\"]\nkey = \"transfer\"\n\
    [zone.\"example.com\"]\norigins = [\"bind\"]\n";

fn node_status(edge: &Edge) -> Value {
    let output = edge.ask(&["status", "--json"]).expect("parapet status --json");
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// Puts another text in the place of the node's file, as deployment tools do.
fn rewrite(edge: &Edge, text: &str) {
    let path = edge.folder().join("network.toml");
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("writing a file");
    std::fs::rename(&new, &path).expect("putting it in place");
}

#[test]
fn a_bad_zone_and_a_bad_file_reach_the_others_and_not_the_node_that_is_late() {
    let scene = Scene::new("delayed");
    let (first, second) = (scene.host("edge1"), scene.host("edge2"));
    let spec = ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic();
    let named = scene.origin().notify(second.v4()).zone(spec).start().expect("named");
    let builders = [Edge::at(first), Edge::at(second)];
    let state = |place: usize| builders[place].state_folder().expect("a state folder").to_string_lossy().into_owned();
    let file = FILE
        .replace("@FIRST@", &format!("{}:53", first.v4()))
        .replace("@SECOND@", &format!("{}:53", second.v4()))
        .replace("@STATE1@", &state(0))
        .replace("@STATE2@", &state(1))
        .replace("@ORIGIN@", &scene.host("origin").v4().to_string())
        .replace("@KEY@", &scene.key.file.to_string_lossy());
    let [prompt, late] = builders;
    let prompt = prompt.file(&file, "edge1").start().expect("parapet");
    let late = late.file(&file, "edge2").start().expect("parapet");
    // The first copy waits for nobody.
    named.update(ZONE, &format!("update add {GOOD} 300 A 192.0.2.80")).expect("an update");
    prompt.wait_for_zone(ZONE, 2, DEADLINE).expect("the zone");
    late.ask(&["fill", ZONE]).expect("parapet fill");
    late.wait_for_zone(ZONE, 2, DEADLINE).expect("the zone");

    // A change takes away what matters. It is on the prompt node at once, and known to the late one.
    named.update(ZONE, &format!("update delete {GOOD} A")).expect("an update");
    prompt.wait_for_zone(ZONE, 3, DEADLINE).expect("the change");
    assert_eq!(scene.ask(prompt.v4(), GOOD, Rtype::A).rcode, Rcode::NXDOMAIN);
    let held = wait_for_status(&late, ZONE, "the change to be held", |zone| zone["held"]["serial"] == 3);
    assert_eq!((&held["serial"], &held["problems"]), (&Value::from(2), &Value::Array(Vec::new())), "{held:#}");
    let good = || scene.ask(late.v4(), GOOD, Rtype::A);
    assert_eq!((good().rcode, good().answer.len()), (Rcode::NOERROR, 1));

    // A file without the zone: the prompt node drops it at once, the late one knows that a newer file is there.
    let bad = file.replace("[zone.\"example.com\"]", "[zone.\"example.org\"]");
    for edge in [&prompt, &late] {
        rewrite(edge, &bad);
    }
    until("the zone to go", DEADLINE, || {
        (scene.ask(prompt.v4(), ZONE, Rtype::SOA).rcode == Rcode::REFUSED).then_some(())
    })
    .expect("the prompt node follows the file");
    until("the file to wait", DEADLINE, || node_status(&late)["config"]["waits_until_unix_s"].as_f64())
        .expect("the late node sees the file");
    assert_eq!((good().rcode, good().answer.len()), (Rcode::NOERROR, 1));

    // By hand it goes faster: the held copy, then the file.
    late.ask(&["fill", ZONE]).expect("parapet fill");
    late.wait_for_zone(ZONE, 3, DEADLINE).expect("what was held");
    assert_eq!(status(&late, ZONE)["held"], Value::Null);
    late.ask(&["reload", "--now"]).expect("parapet reload --now");
    until("the zone to go", DEADLINE, || {
        (scene.ask(late.v4(), ZONE, Rtype::SOA).rcode == Rcode::REFUSED).then_some(())
    })
    .expect("the late node follows at last");
}
