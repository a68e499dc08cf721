//! How far defences go: off, observe, on; and sources that are never limited.

use std::net::Ipv4Addr;

use crate::scene::{Scene, ZONE, burst, defences, effect, rewrite, wait_for};

/// Budgets that a burst exceeds.
const SMALL: &str = "client_per_s = 20\nprefix_per_s = 20\n";
/// Queries of a burst.
const BURST: u32 = 400;
const ONE: Ipv4Addr = Ipv4Addr::new(198, 18, 9, 9);
const OTHER: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 7);

#[test]
fn observing_answers_everything_and_counts_what_would_be_dropped() {
    let scene = Scene::new("floods-observe");
    let edge = scene.edge(&format!("mode = \"observe\"\n{SMALL}"));
    assert_eq!(burst(&scene, ONE, BURST), BURST as usize);
    let said = wait_for(&edge, "what would be dropped", |said| effect(said, "client", "would-drop") > 0);
    assert_eq!((effect(&said, "client", "dropped"), effect(&said, "prefix", "dropped")), (0, 0), "{said:#}");
    assert_eq!(said["mode"], "observe");
}

#[test]
fn being_on_drops_what_is_too_much_and_nobody_else() {
    let scene = Scene::new("floods-on");
    let edge = scene.edge(SMALL);
    let answered = burst(&scene, ONE, BURST);
    assert!((1..BURST as usize / 2).contains(&answered), "{answered} of {BURST}");
    let said = wait_for(&edge, "what was dropped", |said| effect(said, "client", "dropped") > 0);
    assert_eq!(effect(&said, "client", "would-drop"), 0, "{said:#}");
    assert!(scene.ask(OTHER, &format!("n1.{ZONE}")).is_some(), "another client is answered");
}

#[test]
fn a_reload_changes_modes_and_budgets_without_a_restart() {
    let scene = Scene::new("floods-reload");
    let edge = scene.edge(SMALL);
    assert!(burst(&scene, ONE, BURST) < BURST as usize / 2);
    let pid = edge.process().pid();
    rewrite(&edge, |text| {
        text.replace(SMALL, "filters = { client = \"observe\", prefix = \"off\" }\nclient_per_s = 20\n")
    });
    let mode = |said: &serde_json::Value, filter: &str| {
        let filters = said["filters"].as_array().expect("a list of filters").iter();
        filters.filter(|entry| entry["filter"] == filter).map(|entry| entry["mode"].clone()).next().expect("a filter")
    };
    let before =
        wait_for(&edge, "the new modes", |said| mode(said, "client") == "observe" && mode(said, "prefix") == "off");
    assert_eq!(burst(&scene, OTHER, BURST), BURST as usize);
    let after = wait_for(&edge, "what would be dropped", |said| effect(said, "client", "would-drop") > 0);
    assert_eq!(effect(&after, "client", "dropped"), effect(&before, "client", "dropped"));
    // A file that contradicts itself changes nothing.
    rewrite(&edge, |text| text.replace("client_per_s = 20", "client_per_s = 20\nprefix_per_s = 10"));
    edge.process()
        .wait_until("the refusal", crate::scene::DEADLINE, || {
            edge.process().output().contains("prefix_per_s").then_some(())
        })
        .expect("a refusal");
    assert_eq!(mode(&defences(&edge), "client"), "observe");
    assert_eq!((edge.process().pid(), edge.process().is_running()), (pid, true));
}

#[test]
fn the_short_form_has_modes() {
    let scene = Scene::new("floods-short");
    let edge = scene.short_edge(&["--defences", "off"]);
    assert_eq!(burst(&scene, ONE, BURST), BURST as usize);
    let said = defences(&edge);
    assert_eq!((&said["mode"], &said["queries"]), (&"off".into(), &0.into()), "{said:#}");
    edge.stop().expect("an end");
    drop(edge);
    let edge = scene.short_edge(&["--defences", "observe"]);
    assert_eq!(defences(&edge)["mode"], "observe");
}

#[test]
fn whoever_is_allowed_is_never_limited() {
    /// More than a client may by default.
    const MANY: u32 = 3000;
    let scene = Scene::new("floods-allow");
    let edge = scene.short_edge(&["--allow", "198.18.9.0/24", "--allow", "2001:db8::/32"]);
    burst(&scene, ONE, MANY);
    let said = defences(&edge);
    assert_eq!((effect(&said, "client", "dropped"), effect(&said, "client", "penalised")), (0, 0), "{said:#}");
    burst(&scene, OTHER, MANY);
    wait_for(&edge, "another to be limited", |said| effect(said, "client", "dropped") > 0);
}
