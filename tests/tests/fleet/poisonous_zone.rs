//! A zone whose new copy fails its check at every node that has it.

use std::time::{Duration, Instant};

use parapet_lab::routers::BirdRoute;

use crate::scene::{DEADLINE, EDGES, Scene, ZONE};

/// Longer than any node takes to make up its mind, several times over.
const SETTLED: Duration = Duration::from_secs(5);

/// Looks for a while whether at least one edge stays with the router.
fn check_never_nobody(scene: &Scene, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        assert_ne!(scene.announcing(), [0_usize; 0], "nobody announces");
    }
}

#[test]
fn the_node_with_delayed_input_takes_over() {
    let scene = Scene::new("fleet-poison-delayed", "delay_s = 3600");
    let (_, metric) = scene.route(2).expect("a route by the third edge");
    assert_eq!(metric, 100, "it is the last choice of those that are up");
    scene.set_www("192.0.2.66");
    scene.edges[0].wait_for_zone(ZONE, 2, DEADLINE).expect("the poison");
    for edge in [0, 1] {
        scene.wait_for_route(edge, "gone", |route| route.is_none());
        assert_ne!(scene.announcing(), [0_usize; 0]);
    }
    check_never_nobody(&scene, SETTLED);
    let (_, metric) = scene.route(2).expect("a route by the third edge");
    let status = scene.status(2);
    assert_eq!((metric, status["state"].as_str()), (100, Some("up")), "{status:#}");
    let status = scene.status(0);
    assert!(status["why"].to_string().contains("192.0.2.80 is not among the answers"), "{status:#}");
    assert_eq!(status["services"][0]["quota"]["granted"], true, "{status:#}");
    scene.set_www("192.0.2.80");
    for edge in [0, 1] {
        scene.wait_for_route(edge, "back", |route| route.is_some_and(|it| it.1 == 0));
    }
}

#[test]
fn where_all_fail_all_stay_and_are_announced_worse() {
    let scene = Scene::new("fleet-poison-all", "");
    scene.set_www("192.0.2.66");
    let worse = |route: Option<(BirdRoute, u32)>| {
        route.is_some_and(|(route, metric)| {
            metric == 1000 && route.attribute("BGP.as_path") == Some("65010 65010 65010 65010")
        })
    };
    for edge in 0..EDGES.len() {
        scene.wait_for_route(edge, "worse", worse);
    }
    check_never_nobody(&scene, SETTLED);
    for edge in 0..EDGES.len() {
        scene.wait_for_route(edge, "still worse", worse);
        let status = scene.status(edge);
        assert_eq!(status["state"], "degraded", "{status:#}");
        assert!(status["why"].to_string().contains("too few other nodes announce it and are well"), "{status:#}");
    }
    scene.set_www("192.0.2.80");
    for edge in 0..EDGES.len() {
        scene.wait_for_route(edge, "up again", |route| route.is_some_and(|it| it.1 == 0));
    }
}
