//! IPv4 routes over a session of IPv6, with an IPv6 next hop (RFC 8950), at the routers that take them.

use parapet_lab::routers::RouterKind;

use crate::scene::{Plan, Scene, neighbour, next_hop_is_right};

#[test]
fn ipv4_over_ipv6() {
    let kinds = vec![RouterKind::Bird, RouterKind::Frr, RouterKind::ExaBgp];
    let scene = Scene::new("next-hops", &Plan { kinds, extended_next_hop: true, ..Plan::new() });
    for session in scene.sessions.iter().filter(|session| session.edge.is_ipv6()) {
        let routes = scene.routes(session);
        for route in &routes {
            let is_right = next_hop_is_right(&scene, session, route);
            assert!(is_right, "{}: {routes:#?}", session.name);
        }
        let shown = neighbour(&scene.edge, &session.name);
        assert!(shown["families"].to_string().contains("ipv4 over ipv6"), "{shown:#}");
    }
}
