//! The services' addresses come before the edge binds and go however it ends; what others put on `lo` stays.

use parapet_lab::{Edge, until};
use serde_json::Value;

use crate::scene::{DEADLINE, Scene, keeper, status_line, wait_for_status};

const BOTH: [&str; 2] = ["192.0.2.53", "2001:db8:53::53"];
const BOTH_ON_LO: [&str; 2] = ["192.0.2.53/32", "2001:db8:53::53/128"];

fn signal(scene: &Scene, signal: &str, pid: u32) {
    scene.node.run("sh", &["-c", &format!("kill -{signal} {pid}")]).expect("kill");
}

/// Whether the address is there and whether it is the node's own, as it says itself.
fn address(status: &Value, wanted: &str) -> (bool, bool) {
    let addresses = status["addresses"].as_array().expect("addresses");
    let found = addresses.iter().find(|address| address["address"] == wanted);
    let found = found.unwrap_or_else(|| panic!("no {wanted} in {status}"));
    (found["present"].as_bool().expect("a bool"), found["ours"].as_bool().expect("a bool"))
}

#[test]
fn they_come_with_the_node_and_go_with_it() {
    let scene = Scene::new("addresses");
    // The edge binds them one by one: they must be there before.
    let mut edge = scene.edge("", "", &BOTH).start().expect("parapet");
    scene.wait_for_lo(&BOTH_ON_LO);
    let status = wait_for_status(&edge, "its addresses", |status| status["addresses"].is_array());
    assert_eq!(BOTH.map(|wanted| address(&status, wanted)), [(true, true); 2]);
    assert_eq!(edge.stop().expect("parapet ends").code(), Some(0));
    assert!(scene.on_lo().is_empty(), "{:?} is left when it has ended", scene.on_lo());

    edge.start_again().expect("parapet");
    scene.wait_for_lo(&BOTH_ON_LO);
    edge.kill().expect("parapet ends");
    scene.wait_for_lo(&[]);

    // At once again: the keeper of the run before may still be at work.
    for _ in 0..5 {
        edge.start_again().expect("parapet");
        scene.wait_for_lo(&BOTH_ON_LO);
        edge.kill().expect("parapet ends");
    }
    edge.start_again().expect("parapet");
    edge.process().wait_for_output("a service's address is on lo", DEADLINE).expect("it says so");
    scene.wait_for_lo(&BOTH_ON_LO);
    edge.stop().expect("parapet ends");
    assert!(scene.on_lo().is_empty(), "{:?}", scene.on_lo());
}

#[test]
fn what_daemon_and_keeper_left_is_taken_away_or_over() {
    let scene = Scene::new("addresses-left");
    let kill_both = |edge: &Edge| {
        // The keeper cannot do anything about this order.
        signal(&scene, "KILL", keeper(edge));
        edge.process().wait_for_output("keeps the services' addresses has ended", DEADLINE).expect("it notices");
        edge.kill().expect("parapet ends");
        assert_eq!(scene.on_lo().len(), 2, "they are left");
    };
    let edge = scene.edge("", "", &BOTH).start().expect("parapet");
    kill_both(&edge);
    // The same again takes them over, and so away at its end.
    let edge = scene.edge("", "", &BOTH).start().expect("parapet");
    let status = wait_for_status(&edge, "its addresses", |status| status["addresses"].is_array());
    assert_eq!(BOTH.map(|wanted| address(&status, wanted)), [(true, true); 2]);
    kill_both(&edge);
    // With other addresses, those that are not wanted any more go.
    let edge = scene.edge("", "", &["192.0.2.54", "2001:db8:53::53"]).start().expect("parapet");
    scene.wait_for_lo(&["192.0.2.54/32", "2001:db8:53::53/128"]);
    kill_both(&edge);
    // Also when the node puts none there any more.
    let edge = scene.edge("", "manage_addresses = false", &BOTH).start().expect("parapet");
    scene.wait_for_lo(&[]);
    edge.stop().expect("parapet ends");
}

#[test]
fn an_administrators_address_is_left_alone() {
    let scene = Scene::new("addresses-admin");
    let ip = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        scene.node.run("ip", &arguments).expect("ip");
    };
    ip("address add 192.0.2.53/32 dev lo");
    ip("address add 2001:db8:53::54/128 dev up0");
    let edge = scene.edge("", "", &["192.0.2.53", "192.0.2.54", "2001:db8:53::54"]).start().expect("parapet");
    let status = wait_for_status(&edge, "its addresses", |status| status["addresses"].is_array());
    assert_eq!(address(&status, "192.0.2.53"), (true, false));
    assert_eq!(address(&status, "2001:db8:53::54"), (true, false));
    assert_eq!(address(&status, "192.0.2.54"), (true, true));

    // What is ours is put back when somebody takes it away, and the log says so.
    ip("address del 192.0.2.54/32 dev lo");
    edge.process().wait_for_output("was put back", DEADLINE).expect("it says so");
    scene.wait_for_lo(&["192.0.2.53/32", "192.0.2.54/32"]);
    // What was not ours and goes is ours from then on.
    ip("address del 192.0.2.53/32 dev lo");
    wait_for_status(&edge, "the address", |status| address(status, "192.0.2.53") == (true, true));
    // And what somebody puts in the place of ours is theirs.
    let theirs = "address del 192.0.2.54/32 dev lo\naddress add 192.0.2.54/31 dev lo\n";
    scene.node.program("ip").args(["-batch", "-"]).input(theirs).run().and_then(|run| run.success()).expect("ip");
    wait_for_status(&edge, "the address", |status| address(status, "192.0.2.54") == (true, false));
    edge.stop().expect("parapet ends");
    assert_eq!(scene.on_lo().into_iter().collect::<Vec<_>>(), ["192.0.2.54/31"]);
}

#[test]
fn the_keeper_has_one_capability_and_cannot_be_told_to_end() {
    let scene = Scene::new("addresses-keeper");
    let edge = scene.edge("user = \"nobody\"", "", &BOTH).start().expect("parapet");
    scene.wait_for_lo(&BOTH_ON_LO);
    let keeper = keeper(&edge);
    const NET_ADMIN: &str = "0000000000001000";
    const NONE: &str = "0000000000000000";
    for (set, wanted) in
        [("CapEff:", NET_ADMIN), ("CapPrm:", NET_ADMIN), ("CapInh:", NONE), ("CapBnd:", NONE), ("CapAmb:", NONE)]
    {
        assert_eq!(status_line(keeper, set), wanted, "{set}");
    }
    assert_eq!(status_line(keeper, "NoNewPrivs:"), "1");
    assert!(status_line(keeper, "Uid:").split_whitespace().all(|id| id != "0"));
    assert_eq!(status_line(edge.process().pid(), "CapPrm:"), NONE);
    for name in ["INT", "TERM", "HUP", "QUIT"] {
        signal(&scene, name, keeper);
    }
    // It goes on with its work.
    scene.node.run("ip", &["address", "del", "192.0.2.53/32", "dev", "lo"]).expect("ip");
    edge.process().wait_for_output("was put back", DEADLINE).expect("it says so");
    edge.kill().expect("parapet ends");
    scene.wait_for_lo(&[]);
    let gone = || (!std::path::Path::new(&format!("/proc/{keeper}")).exists()).then_some(());
    until("the keeper's end", DEADLINE, gone).expect("it ends with the daemon");
}

#[test]
fn without_the_right_to_it_the_node_says_what_to_do() {
    let scene = Scene::new("addresses-right");
    let edge = scene.edge("", "", &BOTH);
    let state = edge.state_folder().expect("a folder");
    let folder = state.parent().expect("a folder");
    let running = edge.start().expect("parapet");
    running.stop().expect("parapet ends");
    let file = folder.join("network.toml");
    let binary = parapet_lab::parapet_binary().expect("parapet");
    // As root in a container.
    let run = |file: &std::path::Path| {
        let program = scene.node.program("setpriv").arg("--bounding-set=-net_admin").arg(binary.to_string_lossy());
        program.args(["run", "--node", "n", "--config"]).arg(file.to_string_lossy())
    };
    let ended = run(&file).run().expect("it ends");
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("manage_addresses = false"), "{}", ended.stderr);
    assert!(ended.stderr.contains("192.0.2.53"), "{}", ended.stderr);
    assert!(scene.on_lo().is_empty());
    // When somebody has put them there, no right is needed.
    for address in BOTH_ON_LO {
        scene.node.run("ip", &["address", "add", address, "dev", "lo"]).expect("ip");
    }
    let process = run(&file).spawn("unprivileged").expect("parapet");
    process.wait_for_output("was there already", DEADLINE).expect("it starts");
    process.wait_for_output("running", DEADLINE).expect("it starts");
    process.stop().expect("parapet ends");
    assert_eq!(scene.on_lo().len(), 2);
}
