//! What was learned outlives a restart; where it cannot be read that is said, and the edge starts as if it were new.

use std::path::PathBuf;

use parapet_lab::Edge;

use crate::scene::{DEADLINE, Scene};

/// Known good within seconds, and judged by a low rate.
const QUICK: &str = "known_good_after_s = 1\nnormal_per_s_min = 1\n";

fn kept(edge: &Edge) -> PathBuf {
    edge.state().join("defences.learned")
}

/// How many known-good sources it knew when it started, by its log.
fn known_good(edge: &Edge) -> Option<u32> {
    let log = edge.process().output();
    let line = log.lines().find(|line| line.contains("the defences know what was learned before"))?;
    line.split_once("known_good=")?.1.split(' ').next()?.parse().ok()
}

#[test]
fn known_good_sources_are_known_after_a_restart() {
    let scene = Scene::new("floods-learned");
    let mut edge = scene.edge(QUICK);
    let witness = scene.witness();
    witness.goes_on(80);
    witness.was_answered();
    edge.stop().expect("an end");
    assert!(kept(&edge).exists());
    edge.start_again().expect("parapet");
    scene.wait(&edge);
    let known =
        edge.process().wait_until("what was learned", DEADLINE, || known_good(&edge)).expect("what was learned");
    assert_eq!(known, 1, "the client");
    // It is kept again, though nobody asked.
    edge.start_again().expect("parapet");
    scene.wait(&edge);
    let known =
        edge.process().wait_until("what was learned", DEADLINE, || known_good(&edge)).expect("what was learned");
    assert_eq!(known, 1, "the client");
}

#[test]
fn torn_or_of_another_version_it_is_set_aside_and_that_is_said() {
    let scene = Scene::new("floods-torn");
    let mut edge = scene.edge(QUICK);
    for (break_it, why) in [
        ((|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 3)) as fn(&mut Vec<u8>), "torn"),
        (|bytes| bytes[11] = 99, "format 99"),
        (|bytes| bytes[20] ^= 1, "checksum"),
        (|bytes| *bytes = b"something else".to_vec(), "no file of learned state"),
    ] {
        edge.stop().expect("an end");
        let mut bytes = std::fs::read(kept(&edge)).expect("what was learned");
        break_it(&mut bytes);
        std::fs::write(kept(&edge), bytes).expect("writing a file");
        edge.start_again().expect("parapet");
        scene.wait(&edge);
        let said = |log: String| (log.contains(why) && log.contains("starts as if it were new")).then_some(());
        edge.process().wait_until("a word on it", DEADLINE, || said(edge.process().output())).expect("a word on it");
        assert!(kept(&edge).with_extension("learned.bad").exists());
        assert!(scene.ask([198, 18, 9, 9].into(), "n1.example.com").is_some(), "it answers");
    }
    // Killed, it has what it kept before.
    edge.stop().expect("an end");
    edge.start_again().expect("parapet");
    edge.kill().expect("an end");
    edge.start_again().expect("parapet");
    scene.wait(&edge);
    assert!(scene.ask([198, 18, 9, 9].into(), "n1.example.com").is_some());
}
