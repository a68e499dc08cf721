//! A small flood arms a defence, and its end lets it rest: both are events with queries of that moment, in the log and in the
//! state folder, and a client is answered all along.

use parapet_lab::attack::Attack;

use crate::scene::{FLOODER, Scene, events, wait_for_event};

#[test]
fn one_client_too_many() {
    let scene = Scene::new("floods-client");
    let edge = scene.edge("client_per_s = 20\nprefix_per_s = 40\n");
    let witness = scene.witness();
    witness.goes_on(5);
    let attack = scene.attack(Attack::Client, 600);
    let armed = wait_for_event(&edge, "client", "armed", 0);
    assert_eq!(armed["scope"], "node");
    assert!(armed["per_s"].as_f64().expect("a rate") >= 10.0, "{armed:#}");
    let samples = armed["samples"].as_array().expect("samples");
    assert!((1..=10).contains(&samples.len()), "{armed:#}");
    let flooder = FLOODER.split_once(".0/").expect("a prefix").0;
    for sample in samples {
        assert!(sample["source"].as_str().expect("a source").starts_with(flooder), "{sample}");
        assert_eq!(sample["filter"], "client");
    }
    witness.goes_on(20);
    attack.stop().expect("an attack that was sent");
    let rested = wait_for_event(&edge, "client", "rested", 0);
    assert!(rested["armed_s"].as_f64().expect("a time") > 1.0, "{rested:#}");
    witness.was_answered();
    let log = edge.process().output();
    assert!(log.contains("a defence is armed") && log.contains("a defence rests"), "{log}");
    assert_eq!(events(&edge, "client").len(), 2);
}

#[test]
fn random_sources() {
    let scene = Scene::new("floods-sources");
    let edge = scene.edge("normal_per_s = 50\nmiss_threshold = 5\nrandom_source_threshold = 10\n");
    let witness = scene.witness();
    witness.goes_on(30);
    let attack = scene.attack(Attack::RandomSources, 3000);
    let armed = wait_for_event(&edge, "random-source", "armed", 0);
    assert_eq!((&armed["scope"], armed["normal_per_s"].as_f64()), (&"node".into(), Some(50.0)), "{armed:#}");
    assert!(!armed["samples"].as_array().expect("samples").is_empty());
    witness.goes_on(50);
    attack.stop().expect("an attack that was sent");
    wait_for_event(&edge, "random-source", "rested", 0);
    witness.was_answered();
}
