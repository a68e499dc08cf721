//! The topologies the lab knows by name.

use crate::Topology;

/// All of them.
pub fn all() -> Vec<Topology> {
    vec![hidden_origin(), pair(), two_edges()]
}

/// The topology called `name`.
pub fn find(name: &str) -> Option<Topology> {
    all().into_iter().find(|topology| topology.name == name)
}

/// A hidden origin, three edges and two clients, all around one router: whoever wants to reach the origin can, so that
/// packets that don't come prove something.
pub fn hidden_origin() -> Topology {
    Topology::new("hidden-origin", "a hidden origin, three edges and two clients around one router; IPv4 and IPv6")
        .router("router")
        .host("origin")
        .host("edge1")
        .host("edge2")
        .host("edge3")
        .host("client1")
        .host("client2")
        .link("router", "origin", 10)
        .link("router", "edge1", 11)
        .link("router", "edge2", 12)
        .link("router", "edge3", 13)
        .link("router", "client1", 21)
        .link("router", "client2", 22)
}

/// Two hosts and a wire: a server and what loads it.
pub fn pair() -> Topology {
    Topology::new("pair", "a server and a client on one wire: what the benchmarks of answers run on")
        .host("server")
        .host("client")
        .link("server", "client", 1)
}

/// Two edges behind one router that a client asks through, and a network of its own to the origin: what failing over is
/// tested on.
pub fn two_edges() -> Topology {
    Topology::new("two-edges", "two edges behind a router, a client, an origin on a network of its own")
        .router("router")
        .router("manage")
        .host("origin")
        .host("edge1")
        .host("edge2")
        .host("client")
        .link("router", "edge1", 11)
        .link("router", "edge2", 12)
        .link("router", "client", 21)
        .link("manage", "origin", 30)
        .link("manage", "edge1", 31)
        .link("manage", "edge2", 32)
}
