//! New configurations: who goes on notices nothing.

use std::fs;

use super::*;
use crate::session::Applied;

const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const SECOND_AS: u16 = 65030;

/// A node with the router `router`, and a second one that it does not know yet. The configuration with both.
async fn with_two_routers() -> (Node, Node, Node, Anycast) {
    let (router, second) = (
        node(ROUTER_AS, ROUTER, vec![neighbour("node", ROUTER, SocketAddr::new(NODE, 0), NODE_AS)]),
        node(SECOND_AS, SECOND, vec![neighbour("node", SECOND, SocketAddr::new(NODE, 0), NODE_AS)]),
    );
    let bound = [Speaker::bind(&router).unwrap(), Speaker::bind(&second).unwrap()];
    let mut anycast = node(
        NODE_AS,
        NODE,
        vec![
            neighbour("router", NODE, bound[0].addresses()[0], ROUTER_AS),
            neighbour("second", NODE, bound[1].addresses()[0], SECOND_AS),
        ],
    );
    let bound_node = Speaker::bind(&anycast).unwrap();
    let address = bound_node.addresses()[0];
    anycast.listen = vec![address];
    let [bound_router, bound_second] = bound;
    let started = |bound, mut anycast: Anycast| {
        anycast.neighbours[0].address = address;
        Node::start_bound(bound, &anycast)
    };
    let one = Anycast { neighbours: anycast.neighbours[..1].to_vec(), ..anycast.clone() };
    let node = Node::start_bound(bound_node, &one);
    node.announce(&["192.0.2.0/24"]);
    (node, started(bound_router, router), started(bound_second, second), anycast)
}

fn applied(added: usize, removed: usize, changed: usize) -> Applied {
    Applied { added, removed, changed }
}

#[tokio::test]
async fn neighbours_come_and_go() {
    let (node, router, second, both) = with_two_routers().await;
    router.routes("node", &["192.0.2.0/24"]).await;
    second.problem("node", &["before it says anything", "know this node's address"]).await;
    assert!(node.speaker.connections_refused() > 0);

    assert_eq!(node.speaker.apply(&both).await, applied(1, 0, 0));
    second.routes("node", &["192.0.2.0/24"]).await;
    assert_eq!(node.speaker.apply(&both).await, applied(0, 0, 0));

    let last = Anycast { neighbours: both.neighbours[1..].to_vec(), ..both.clone() };
    assert_eq!(node.speaker.apply(&last).await, applied(0, 1, 0));
    // Cease, Peer De-configured.
    assert!(!router.notified("node", 6, 3).await.0);
    assert_eq!(second.status("node").flaps, 0);
    assert_eq!(node.speaker.neighbours().len(), 1);
    assert!(node.speaker.routes("router").await.is_none());
}

#[tokio::test]
async fn a_changed_neighbour_begins_anew_alone() {
    let (node, router, second, mut both) = with_two_routers().await;
    node.speaker.apply(&both).await;
    router.established("node").await;
    second.established("node").await;
    both.neighbours[1].hold_time_s = 6;
    assert_eq!(node.speaker.apply(&both).await, applied(0, 0, 1));
    // Cease, Other Configuration Change.
    second.notified("node", 6, 6).await;
    second.routes("node", &["192.0.2.0/24"]).await;
    eventually("the new hold time", || second.status("node").hold_time_s == Some(6)).await;
    assert_eq!(router.status("node").flaps, 0);
    assert_eq!(second.status("node").flaps, 1);
}

#[tokio::test]
async fn a_new_password_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "old").unwrap();
    let mut configurations = Vec::new();
    let (node, router) = pair(|a, b| {
        a.neighbours[0].password_file = Some(file.clone());
        b.neighbours[0].password_file = Some(file.clone());
        configurations = vec![a.clone(), b.clone()];
    });
    configurations[0].neighbours[0].address = router.address;
    configurations[1].neighbours[0].address = node.address;
    node.established("router").await;
    router.established("node").await;
    assert_eq!(node.speaker.apply(&configurations[0]).await, applied(0, 0, 0), "the same password");

    fs::write(&file, "new").unwrap();
    assert_eq!(node.speaker.apply(&configurations[0]).await, applied(0, 0, 1));
    assert_eq!(router.speaker.apply(&configurations[1]).await, applied(0, 0, 1));
    node.established("router").await;
    router.established("node").await;

    // What can no longer be read stays as it was.
    fs::remove_file(&file).unwrap();
    assert_eq!(node.speaker.apply(&configurations[0]).await, applied(0, 0, 0));
    assert_eq!(node.status("router").flaps, 0);

    // A new one that cannot be read leaves no session without the password that it should have.
    configurations[0].neighbours[0].password_file = Some(folder.path().join("nowhere"));
    assert_eq!(node.speaker.apply(&configurations[0]).await, applied(0, 0, 1));
    node.problem("router", &["no password for neighbour router", "nowhere"]).await;
    in_time("nobody to tell", node.speaker.flushed()).await;
    fs::write(folder.path().join("nowhere"), "new").unwrap();
    assert_eq!(node.speaker.apply(&configurations[0]).await, applied(0, 0, 1));
    node.established("router").await;
}
