//! Sessions as they should be: both directions, collisions, announcing, the end.

use super::*;

#[tokio::test]
async fn both_connect_and_one_session_comes_of_it() {
    for _ in 0..5 {
        let (node, router) = pair(|_, _| {});
        node.announce(&["192.0.2.0/24"]);
        router.announce(&["198.51.100.0/24"]);
        node.established("router").await;
        router.established("node").await;
        router.routes("node", &["192.0.2.0/24"]).await;
        node.routes("router", &["198.51.100.0/24"]).await;
        let status = node.status("router");
        assert_eq!((status.flaps, status.problem, status.hold_time_s), (0, None, Some(9)));
        assert_eq!(router.status("node").flaps, 0);
        node.speaker.stop("").await;
        router.speaker.stop("").await;
    }
}

#[tokio::test]
async fn one_of_two_waits() {
    for (node_waits, router_waits) in [(true, false), (false, true)] {
        let (node, router) = pair(|a, b| {
            a.neighbours[0].passive = node_waits;
            b.neighbours[0].passive = router_waits;
        });
        node.established("router").await;
        router.established("node").await;
        node.speaker.stop("").await;
        router.speaker.stop("").await;
    }
}

#[tokio::test]
async fn ipv6_with_both_families() {
    let listen = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);
    let (node, router) = pair(|a, b| {
        for side in [a, b] {
            side.listen = vec![SocketAddr::new(listen, 0)];
            side.neighbours[0].address = SocketAddr::new(listen, 0);
            side.neighbours[0].source = Some(listen);
            side.neighbours[0].ipv6 = true;
            side.neighbours[0].next_hop_ipv4 = Some(Ipv4Addr::LOCALHOST);
        }
    });
    node.announce(&["192.0.2.0/24", "2001:db8:53::/48"]);
    router.routes("node", &["192.0.2.0/24", "2001:db8:53::/48"]).await;
}

#[tokio::test]
async fn withdrawals_are_on_the_wire_when_flushed_says_so() {
    let (node, router) = pair(|_, _| {});
    in_time("nobody to tell", node.speaker.flushed()).await;
    node.established("router").await;
    for round in 0..20 {
        let prefixes: &[&str] = if round % 2 == 0 { &["192.0.2.0/24"] } else { &[] };
        let updates = node.status("router").updates_sent;
        node.announce(prefixes);
        in_time("adverts on the wire", node.speaker.flushed()).await;
        let status = node.status("router");
        assert_eq!(status.prefixes_announced, prefixes.len() as u64);
        assert_eq!(status.updates_sent, updates + 1);
        router.routes("node", prefixes).await;
    }
}

#[tokio::test]
async fn stop_says_why() {
    let (node, router) = pair(|_, _| {});
    node.established("router").await;
    router.established("node").await;
    in_time("the end", node.speaker.stop("node is being replaced")).await;
    let (sent, words) = router.notified("node", 6, 2).await;
    assert!(!sent && words.contains("node is being replaced"), "{words}");
    assert!(node.speaker.neighbours().is_empty() || node.status("router").state == "idle");
    // The listener is gone as well.
    let refused = router.problem("node", &["refuses the connection"]).await;
    assert!(refused.contains(&node.address.to_string()), "{refused}");
}

#[tokio::test]
async fn hold_time_ends_a_silent_session() {
    let (listener, node) = hand_router(|anycast| anycast.neighbours[0].hold_time_s = 3).await;
    let mut router = HandRouter::accept(&listener).await;
    router.establish(3).await;
    node.established("router").await;
    let since = Instant::now();
    let notification = router.receive_type(NOTIFICATION).await;
    assert_eq!(notification[..2], [4, 0], "hold timer expired");
    assert!(since.elapsed() > Duration::from_secs(2), "{:?}", since.elapsed());
    let last = node.status("router").last_notification.unwrap();
    assert_eq!((last.sent, last.code), (true, 4));
}

#[tokio::test]
async fn the_routers_notification_is_seen_though_it_resets_the_connection() {
    let (listener, node) = hand_router(|_| {}).await;
    let mut router = HandRouter::accept(&listener).await;
    router.establish(9).await;
    node.established("router").await;
    router.send(&message(NOTIFICATION, &[6, 4])).await;
    // What it has not read makes its end a reset.
    drop(router);
    assert!(!node.notified("router", 6, 4).await.0);
    assert_eq!(node.status("router").flaps, 1);
}

#[tokio::test]
async fn a_router_that_comes_back_is_told_again() {
    let (listener, node) = hand_router(|_| {}).await;
    node.announce(&["192.0.2.0/24"]);
    for _ in 0..3 {
        let mut router = HandRouter::accept(&listener).await;
        router.establish(9).await;
        assert!(router.receive_type(UPDATE).await.ends_with(&[24, 192, 0, 2]));
    }
}
