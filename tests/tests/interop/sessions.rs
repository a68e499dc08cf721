//! A session comes up with each router, whoever opens it, with and without TCP MD5 and TTL security, and the router sees
//! the prefixes with all their attributes.

use parapet_lab::routers::RouterKind;

use crate::scene::{EDGE_AS, OF_ROUTERS, Opens, PREFIXES, Plan, Scene, Session, count, neighbour, next_hop_is_right};

/// What the routers see, and what the edge says of them.
fn check(scene: &Scene, plan: &Plan) {
    for session in &scene.sessions {
        let name = &session.name;
        let routes = scene.routes(session);
        for prefix in PREFIXES {
            let route = routes.iter().find(|route| route.prefix == prefix);
            let route = route.unwrap_or_else(|| panic!("{name}: no {prefix} in {routes:#?}"));
            assert_eq!(route.as_path, [EDGE_AS, EDGE_AS], "{name}: once more than once: {route:#?}");
            assert_eq!(route.med, Some(50), "{name}: {route:#?}");
            assert_eq!(route.communities, ["65010:100"], "{name}: {route:#?}");
            assert_eq!(route.large_communities, ["65010:1:2"], "{name}: {route:#?}");
            assert_eq!(route.extended_communities, ["rt:65010:100"], "{name}: {route:#?}");
            if prefix.contains(':') == session.edge.is_ipv6() {
                assert!(next_hop_is_right(scene, session, route), "{name}: {route:#?}");
            }
        }
        let shown = neighbour(&scene.edge, name);
        assert_eq!(shown["md5"], plan.password, "{shown:#}");
        assert_eq!(shown["ttl_security"], plan.ttl_security, "{shown:#}");
        assert_eq!(shown["hold_time_s"], 3, "{shown:#}");
        assert_eq!(shown["prefixes_announced"], PREFIXES.len(), "{shown:#}");
        assert!(count(&shown["flaps"]) <= flaps_max(scene, session, plan), "{shown:#}");
        assert!(shown["problem"].is_null(), "{shown:#}");
        let words = |list: &str| format!("{}", shown[list]);
        assert!(words("families").contains("\"ipv4\"") && words("families").contains("\"ipv6\""), "{shown:#}");
        assert!(words("capabilities").contains("\"route-refresh\""), "{shown:#}");
        check_received(scene, session);
    }
    let installed = scene.net.host("edge").run("ip", &["route", "show"]).expect("the edge's routes").stdout;
    assert!(!installed.contains("198.51.100.0"), "{installed}");
}

/// FRR 8.4 opens a connection of its own beside the edge's, and when that ends as the session on the edge's comes up, the end
/// (`BGP_Stop` after its NOTIFICATION, `TCP_connection_open_failed`) is applied to the session: it logs `Established->Clearing`
/// with `debug bgp neighbor-events`, and closes. Nobody else loses a session for a collision.
fn flaps_max(scene: &Scene, session: &Session, plan: &Plan) -> u64 {
    u64::from(plan.opens == Opens::Both && scene.kind(session) == RouterKind::Frr)
}

/// What the router announces is counted and kept to be shown: at least the prefix of the session's own family. GoBGP and
/// ExaBGP announce the other one with a next hop that nobody has agreed to.
fn check_received(scene: &Scene, session: &Session) {
    let own =
        OF_ROUTERS.into_iter().find(|prefix| prefix.contains(':') == session.edge.is_ipv6()).expect("one of each");
    scene.wait(session, "the router's prefixes", || {
        let shown = scene.edge.ask(&["anycast", "routes", &session.name, "--json"]);
        shown.is_ok_and(|output| output.stdout.contains(own))
    });
    let received = &neighbour(&scene.edge, &session.name)["received"];
    assert!(count(&received["announced"]) >= 1 && count(&received["kept"]) >= 1, "{received:#}");
}

#[test]
fn both_sides_open_with_md5_and_ttl_security() {
    let plan = Plan { password: true, ttl_security: true, ..Plan::new() };
    let scene = Scene::new("sessions", &plan);
    check(&scene, &plan);
}

#[test]
fn the_edge_opens() {
    let plan = Plan { opens: Opens::Edge, password: true, ..Plan::new() };
    let scene = Scene::new("edge-opens", &plan);
    check(&scene, &plan);
}

#[test]
fn the_routers_open() {
    let plan = Plan { opens: Opens::Router, ..Plan::new() };
    let scene = Scene::new("routers-open", &plan);
    check(&scene, &plan);
}
