//! `parapet anycast`, `drain` and `undrain`.

mod support;

use support::{Daemon, failure, http_get, parapet, wait_for};

#[test]
fn a_node_that_announces_nothing_says_so() {
    let daemon = Daemon::short(&["--metrics", "127.0.0.1:0"]);
    let control = daemon.control();
    let control = control.to_str().unwrap();
    let output = parapet(["anycast", "--control", control]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "this node announces nothing: it has no [node.NAME.anycast]\n");
    assert_eq!(daemon.ask("anycast"), Some(serde_json::Value::Null));
    for command in [&["drain"][..], &["undrain"], &["anycast", "routes", "r1"]] {
        let (code, text) = failure(&parapet(command.iter().copied().chain(["--control", control])));
        assert_eq!(code, 1, "{text}");
        assert!(text.starts_with("parapet: this node announces nothing: "), "{text}");
    }
    let metrics = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    let (_, text) = wait_for("the metrics", || Some(http_get(metrics, "/metrics")));
    assert!(!text.contains("parapet_anycast"), "{text}");
}

#[test]
fn there_is_no_drain_of_all_nodes() {
    let (code, text) = failure(&parapet(["drain", "--all", "--config", "network.toml"]));
    assert_eq!(code, 2);
    assert!(text.contains("unexpected argument '--all'"), "{text}");
}
