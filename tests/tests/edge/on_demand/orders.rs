//! `parapet purge` and `parapet fill`: on one node and on all, acknowledged by each, as often as one likes.

use parapet_lab::scripted::Scripted;
use parapet_lab::{Edge, Namespace, Output, Rtype, parapet_binary};

use super::{ZONE, ask_until, before_scripted, number, number_at};
use crate::scene::Scene;

/// Two nodes, each with an API that the other's operator may use.
const NETWORK: &str = "[node.edge1]\nlisten = [\"@EDGE1@:53\"]\nstate_dir = \"@STATE@/one\"\n[node.edge1.api]\n\
    listen = \"@EDGE1@:8053\"\ntoken_file = \"@TOKEN@\"\n[node.edge2]\nlisten = [\"@EDGE2@:53\"]\n\
    state_dir = \"@STATE@/two\"\n[node.edge2.api]\nlisten = \"@EDGE2@:8053\"\ntoken_file = \"@TOKEN@\"\n\
    [origin.first]\naddresses = [\"@ORIGIN@\"]\n[zone.\"od.test\"]\norigins = [\"first\"]\nmode = \"on-demand\"\n";
const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

#[test]
fn a_purged_name_is_asked_for_again_and_others_are_not() {
    let (scene, origin, edge) = before_scripted("od-purge", "");
    let names = ["www.od.test", "a.sub.od.test", "b.a.sub.od.test", "sub.od.test", "other.od.test"];
    let numbers = || names.map(|name| number_at(&scene, &edge, name));
    let first = numbers();
    assert_eq!(numbers(), first, "all are cached");

    edge.ask(&["purge", "www.od.test"]).expect("parapet purge");
    let second = numbers();
    assert_ne!(second[0], first[0], "www was purged");
    assert_eq!(second[1..], first[1..], "the others were not");

    edge.ask(&["purge", "sub.od.test", "--subtree"]).expect("parapet purge --subtree");
    let third = numbers();
    assert_eq!((third[0], third[4]), (second[0], second[4]), "not below sub");
    assert!((1..4).all(|at| third[at] != second[at]), "sub and all below: {second:?} {third:?}");

    // Idempotent: what is not there is purged as well.
    for _ in 0..2 {
        edge.ask(&["purge", "never-asked.od.test"]).expect("parapet purge");
    }
    assert_eq!(numbers(), third);
    assert!(edge.ask(&["purge", "www.not-ours.example"]).is_err(), "no zone of ours");
    assert!(origin.count() < 20);
}

/// What is in the cache is asked for anew; clients notice nothing.
#[test]
fn a_zone_that_is_filled_again_has_new_answers() {
    let (scene, origin, edge) = before_scripted("od-fill", "");
    let names = ["www.od.test", "mail.od.test", "ftp.od.test"];
    let first = names.map(|name| number_at(&scene, &edge, name));
    edge.ask(&["fill", ZONE]).expect("parapet fill");
    for (name, first) in names.into_iter().zip(first) {
        ask_until(&scene, &edge, (name, Rtype::TXT), |reply| (number(reply) != first).then_some(()));
    }
    assert!(origin.count() <= 9, "{} questions for three names", origin.count());
    assert!(edge.ask(&["fill", "not-ours.example"]).is_err(), "no zone of ours");
}

fn parapet(host: &Namespace, arguments: &[&str]) -> Output {
    let binary = parapet_binary().expect("the parapet binary");
    host.program(&binary.to_string_lossy()).args(arguments).run().expect("parapet ends by itself")
}

#[test]
fn all_nodes_are_told_and_each_acknowledges() {
    let scene = Scene::new("od-all-nodes");
    let origin = Scripted::start(scene.host("origin"), &[ZONE]).expect("a scripted origin");
    let folder = scene.lab.folder();
    let token = folder.join("token");
    std::fs::write(&token, TOKEN).expect("a token");
    let text = NETWORK
        .replace("@EDGE1@", &scene.host("edge1").v4().to_string())
        .replace("@EDGE2@", &scene.host("edge2").v4().to_string())
        .replace("@ORIGIN@", &scene.host("origin").v4().to_string())
        .replace("@TOKEN@", &token.to_string_lossy())
        .replace("@STATE@", &folder.to_string_lossy());
    let path = folder.join("network.toml");
    std::fs::write(&path, &text).expect("writing a file");
    let file = path.to_string_lossy();
    let start = |node: &str| Edge::at(scene.host(node)).file(&text, node).start().expect("parapet");
    let (one, two) = (start("edge1"), start("edge2"));
    let numbers = || [&one, &two].map(|edge| number_at(&scene, edge, "www.od.test"));
    let first = numbers();
    assert_eq!(numbers(), first, "both have it cached");

    let output = parapet(scene.client(), &["purge", "www.od.test", "--all", "--config", &file]);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.contains("edge1") && output.stdout.contains("edge2"), "each by its name: {output:?}");
    let second = numbers();
    assert!(first.iter().zip(second).all(|(first, second)| *first != second), "{first:?} {second:?}");

    // A node that does not answer is named, and the order is not reported as done.
    two.kill().expect("the second node ends");
    let output = parapet(scene.client(), &["purge", "www.od.test", "--all", "--config", &file]);
    assert!(!output.status.success(), "{output:?}");
    assert!((output.stdout + &output.stderr).contains("edge2"), "who is missing");
    assert_ne!(number_at(&scene, &one, "www.od.test"), second[0], "the first was told all the same");
    assert!(origin.count() >= 5);
}
