//! `parapet anycast`, `drain` and `undrain`.

mod support;

use support::{Daemon, announcing, failure, http_get, parapet, wait_for};

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

#[test]
fn a_node_is_drained_and_stays_so_over_a_restart() {
    let daemon = Daemon::with_file(&announcing("metrics = \"127.0.0.1:0\"\n"), &[]);
    let control = daemon.control();
    let control = control.to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let output = parapet(arguments.iter().copied().chain(["--control", control.as_str()]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(
        run(&["drain", "--reason", "kernel update", "--wait"]),
        "one is drained: all its routes are withdrawn, until `parapet undrain`\n"
    );
    assert_eq!(
        run(&["drain", "--reason", "kernel update"]),
        "one is drained, as it was before: its routes are being withdrawn, until `parapet undrain`\n"
    );
    let status = daemon.ask("anycast").unwrap();
    assert_eq!((&status["by_hand"]["reason"], status["state"] != "up"), (&"kernel update".into(), true));
    let metrics = daemon.status()["metrics"].as_str().unwrap().parse().unwrap();
    let (code, text) = http_get(metrics, "/health");
    assert!(code.contains("503") && text.contains("\nanycast: "), "{code} {text}");
    assert!(daemon.status()["anycast"].as_str().unwrap().contains("nothing announced"));
    // An order for another machine's node is refused by this one.
    let file = daemon.path("network.toml");
    let other = std::fs::read_to_string(&file).unwrap().replace("[node.one", "[node.two");
    std::fs::write(daemon.path("other.toml"), other).unwrap();
    let (code, text) = failure(&parapet(["undrain", "--config", daemon.path("other.toml").to_str().unwrap()]));
    assert_eq!((code, text.starts_with("parapet: this is the node one, not two: ")), (1, true), "{text}");

    let folder = daemon.kill();
    let config = folder.path().join("network.toml").to_str().unwrap().to_owned();
    let daemon = Daemon::again(folder, &["run", "--config", &config]);
    assert_eq!(daemon.ask("anycast").unwrap()["by_hand"]["reason"], "kernel update");
    assert_eq!(run(&["undrain"]), "one is announced again once its health allows; `parapet anycast` tells\n");
    assert_eq!(run(&["undrain"]), "one was not drained\n");
    assert!(daemon.ask("anycast").unwrap()["by_hand"].is_null());
}

#[test]
fn what_a_router_sent_is_asked_by_its_name() {
    let daemon = Daemon::with_file(&announcing(""), &[]);
    let control = daemon.control();
    let routes = |neighbour: &str| parapet(["anycast", "routes", neighbour, "--control", control.to_str().unwrap()]);
    assert_eq!(routes("r1").stdout, b"it has sent no route that is kept\n");
    let (code, text) = failure(&routes("r2"));
    assert_eq!((code, text.as_str()), (1, "parapet: there is no neighbour \"r2\"; this node has r1\n"));
}
