//! BFD with BIRD, over IPv4 and IPv6: it comes up at 50 ms × 3, and each side notices long before any hold time that the
//! other one is frozen.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use parapet_lab::routers::Bird;
use parapet_lab::{Edge, until};
use serde_json::Value;

use crate::scene::{DEADLINE, Scene, wait_for_status};

/// Of BGP, so long that it does not come into it.
const HOLD_TIME_S: u32 = 90;
/// 150 ms, and much for a machine that has other things to do.
const NOTICED_MAX: Duration = Duration::from_secs(3);

fn addresses() -> [IpAddr; 2] {
    ["10.99.0.1", "fd00:99::1"].map(|address| address.parse().expect("an address"))
}

fn bird(scene: &Scene) -> Bird {
    let session = |name: &str, local: &str, remote: &str| {
        format!(
            "protocol bgp {name} {{ local {local} as 64501; neighbor {remote} as 65010; bfd on; ttl security on; passive on; error wait time 1, 2;\n\
             hold time {HOLD_TIME_S}; ipv4 {{ import all; export none; }}; ipv6 {{ import all; export none; }}; }}\n"
        )
    };
    Bird::at(&scene.router)
        .config("router id 10.99.0.2;\nprotocol device { }\n")
        .config("protocol bfd { interface \"*\" { interval 50 ms; multiplier 3; }; }\n")
        .config(&session("v4", "10.99.0.2", "10.99.0.1"))
        .config(&session("v6", "fd00:99::2", "fd00:99::1"))
        .start()
        .expect("BIRD")
}

fn node(scene: &Scene) -> Edge {
    let neighbour = |name: &str, address: &str| {
        format!(
            "[node.n.anycast.neighbour.{name}]\naddress = \"{address}\"\nas = 64501\nhold_time_s = {HOLD_TIME_S}\n\
             [node.n.anycast.neighbour.{name}.bfd]\ninterval_ms = 50\nmultiplier = 3\n"
        )
    };
    let neighbours = neighbour("v4", "10.99.0.2") + &neighbour("v6", "fd00:99::2");
    scene.edge("", &neighbours, &["192.0.2.53"]).start().expect("parapet")
}

/// Whether all neighbours are as wanted.
fn all(status: &Value, wanted: impl Fn(&Value) -> bool) -> bool {
    status["neighbours"].as_array().is_some_and(|all| all.len() == 2 && all.iter().all(wanted))
}

fn wait_until_all_is_up(edge: &Edge, bird: &Bird) -> Value {
    for address in addresses() {
        until(format!("BFD with {address}"), DEADLINE, || (bird.bfd_state(address)? == "Up").then_some(()))
            .expect("BIRD's session is up");
    }
    wait_for_status(edge, "BGP and BFD with both", |status| {
        all(status, |neighbour| {
            neighbour["state"] == "established"
                && neighbour["bfd"]["state"] == "up"
                && neighbour["bfd"]["detection_ms"] == 150.0
                && neighbour["bfd"]["transmit_ms"] == 50.0
        })
    })
}

#[test]
fn a_frozen_router_is_noticed() {
    let scene = Scene::new("bfd-router");
    let bird = bird(&scene);
    let edge = node(&scene);
    wait_until_all_is_up(&edge, &bird);
    bird.freeze().expect("SIGSTOP");
    let frozen = Instant::now();
    edge.process().wait_for_output("the BFD session has left up", DEADLINE).expect("it notices");
    let took = frozen.elapsed();
    println!("a frozen BIRD was noticed after {took:?}");
    assert!(took < NOTICED_MAX, "{took:?}");
    // The sessions end at once, with it.
    wait_for_status(&edge, "no BGP session", |status| all(status, |neighbour| neighbour["state"] != "established"));
    assert!(frozen.elapsed() < Duration::from_secs(u64::from(HOLD_TIME_S)));
    bird.thaw().expect("SIGCONT");
    // BIRD starts BFD anew together with BGP, which may be one more change.
    let status = wait_until_all_is_up(&edge, &bird);
    assert!(all(&status, |neighbour| neighbour["bfd"]["flaps"].as_u64() >= Some(1)), "{status}");
}

#[test]
fn a_frozen_node_is_noticed() {
    let scene = Scene::new("bfd-node");
    let bird = bird(&scene);
    let edge = node(&scene);
    wait_until_all_is_up(&edge, &bird);
    let pid = edge.process().pid().to_string();
    scene.node.run("sh", &["-c", &format!("kill -STOP {pid}")]).expect("SIGSTOP");
    let frozen = Instant::now();
    for address in addresses() {
        until("BIRD's session is down", DEADLINE, || (bird.bfd_state(address)? != "Up").then_some(()))
            .expect("it notices");
    }
    let took = frozen.elapsed();
    println!("a frozen node was noticed after {took:?}");
    assert!(took < NOTICED_MAX, "{took:?}");
    for name in ["v4", "v6"] {
        until("BIRD's BGP session ends", DEADLINE, || (!bird.is_established(name)).then_some(())).expect("it ends");
    }
    scene.node.run("sh", &["-c", &format!("kill -CONT {pid}")]).expect("SIGCONT");
    wait_until_all_is_up(&edge, &bird);
    // Stopping on purpose is no broken path: BIRD is told.
    edge.stop().expect("parapet ends");
    for address in addresses() {
        until("BIRD's session is down", DEADLINE, || (bird.bfd_state(address)? != "Up").then_some(()))
            .expect("it hears");
    }
}
