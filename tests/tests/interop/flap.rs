//! Links and routers come and go: every session comes back by itself, with all its routes.

use crate::scene::{Plan, Scene, host_name, wait_for_neighbour};

/// Keeps addresses of IPv6 while an interface is down, which Linux takes away otherwise.
const KEEP_ADDRESSES: &str = "net/ipv6/conf/all/keep_addr_on_down";

fn wait_until_all_left(scene: &Scene, flaps: &[u64]) {
    for (session, before) in scene.sessions.iter().zip(flaps) {
        wait_for_neighbour(&scene.edge, &session.name, "the end of the session", |neighbour| {
            neighbour["flaps"].as_u64().is_some_and(|now| now > *before)
        });
    }
}

#[test]
fn links_flap() {
    let scene = Scene::new("link-flap", &Plan { password: true, ..Plan::new() });
    let edge = scene.net.host("edge");
    edge.sysctl(KEEP_ADDRESSES, "1").expect("a kernel parameter");
    let flaps = scene.flaps();
    let links = |up: bool| {
        for router in &scene.routers {
            edge.set_up(host_name(router.kind()), up).expect("a link");
        }
    };
    links(false);
    wait_until_all_left(&scene, &flaps);
    scene.wait_for_no_routes();
    links(true);
    scene.wait_until_established();
    scene.wait_for_routes();
}

#[test]
fn routers_are_killed_and_start_again() {
    let mut scene = Scene::new("router-flap", &Plan::new());
    let flaps = scene.flaps();
    for router in &scene.routers {
        router.kill().expect("SIGKILL");
    }
    wait_until_all_left(&scene, &flaps);
    for router in &mut scene.routers {
        router.start_again().expect("a router");
    }
    scene.wait_until_established();
    scene.wait_for_routes();
}
