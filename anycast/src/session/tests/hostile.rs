//! Routers that flood, that do not read, that trickle: none costs memory, none holds anything up.

use super::*;
use crate::session::connection::UNSENT_BYTES_MAX;

#[tokio::test]
async fn byte_by_byte() {
    let (listener, node) = hand_router(|_| {}).await;
    let mut router = HandRouter::accept(&listener).await;
    router.stream.set_nodelay(true).unwrap();
    for byte in open(9).into_iter().chain(KEEPALIVE_MESSAGE) {
        router.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    node.established("router").await;
    assert_eq!(node.status("router").flaps, 0);
}

#[tokio::test]
async fn what_is_not_bgp_is_answered_by_a_notification() {
    let (listener, node) = hand_router(|_| {}).await;
    let mut router = HandRouter::accept(&listener).await;
    router.send(b"GET / HTTP/1.1\r\n\r\n").await;
    assert_eq!(router.receive_type(NOTIFICATION).await[..2], [1, 1], "connection not synchronized");
    assert_eq!(in_time("the end", router.stream.read(&mut [0; 1])).await.unwrap_or(0), 0);
    node.notified("router", 1, 1).await;
}

/// A withdrawal goes out while the router floods, and everybody else is served.
#[tokio::test]
async fn a_flood_holds_nothing_up() {
    let (listener, node) = hand_router(|_| {}).await;
    node.announce(&["192.0.2.0/24"]);
    let mut router = HandRouter::accept(&listener).await;
    router.establish(9).await;
    router.receive_type(UPDATE).await;
    let HandRouter { stream } = router;
    let (read, mut write) = stream.into_split();
    let flood = tokio::spawn(async move {
        let many = KEEPALIVE_MESSAGE.repeat(3000);
        while write.write_all(&many).await.is_ok() {}
    });
    let mut router = tokio::io::BufReader::new(read);
    for _ in 0..10 {
        node.announce(&[]);
        in_time("a withdrawal", node.speaker.flushed()).await;
        node.announce(&["192.0.2.0/24"]);
        in_time("an announcement", node.speaker.flushed()).await;
    }
    let mut updates = 0;
    while updates < 20 {
        let mut header = [0; 19];
        in_time("a message", router.read_exact(&mut header)).await.unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - 19];
        in_time("a message", router.read_exact(&mut body)).await.unwrap();
        updates += usize::from(header[18] == UPDATE && body.len() > 4);
    }
    assert_eq!(node.status("router").flaps, 0);
    flood.abort();
}

/// A router that reads nothing while adverts change all the time is given up: what waits for it has a bound.
#[tokio::test]
async fn a_router_that_does_not_read_is_given_up() {
    let (listener, node) = hand_router(|anycast| anycast.neighbours[0].hold_time_s = 30).await;
    socket2::SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
    let mut router = HandRouter::accept(&listener).await;
    router.establish(30).await;
    node.established("router").await;
    let prefixes: Vec<String> = (0..200).map(|i| format!("10.0.{i}.0/24")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut rounds = 0_u64;
    while node.status("router").flaps == 0 {
        assert!(Instant::now() < deadline, "not given up after {rounds} changes");
        node.announce(if rounds.is_multiple_of(2) { &prefixes } else { &[] });
        rounds += 1;
        tokio::task::yield_now().await;
    }
    let problem = node.problem("router", &["does not read"]).await;
    assert!(problem.contains(&format!("{} KiB", UNSENT_BYTES_MAX / 1024)), "{problem}");
}

/// One that reads nothing is given up after the hold time, though it sends all the time.
#[tokio::test]
async fn a_router_that_stops_reading_is_given_up_after_the_hold_time() {
    let (listener, node) = hand_router(|anycast| anycast.neighbours[0].hold_time_s = 3).await;
    socket2::SockRef::from(&listener).set_recv_buffer_size(2048).unwrap();
    let mut router = HandRouter::accept(&listener).await;
    router.establish(3).await;
    node.established("router").await;
    let (_unread, mut write) = router.stream.into_split();
    let alive = tokio::spawn(async move {
        while write.write_all(&KEEPALIVE_MESSAGE).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    // Enough for the buffers of both kernels, not for the bound of what waits.
    let prefixes: Vec<String> = (0..250).map(|i| format!("10.{i}.0.0/24")).collect();
    let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
    let stuck = || tokio::time::timeout(Duration::from_millis(100), node.speaker.flushed());
    let mut rounds = 0_u32;
    while stuck().await.is_ok() && node.status("router").flaps == 0 {
        node.announce(if rounds.is_multiple_of(2) { &prefixes } else { &[] });
        rounds += 1;
    }
    eventually("the end of the session", || node.status("router").flaps == 1).await;
    alive.abort();
}

#[tokio::test]
async fn many_connections_of_one_router() {
    let (_listener, node) = hand_router(|anycast| anycast.neighbours[0].passive = true).await;
    let mut kept = Vec::new();
    for _ in 0..50 {
        kept.push(HandRouter::connect(node.address, 255).await);
    }
    // The last one works like the first: others are closed, not kept.
    drop(kept);
    let deadline = Instant::now() + PATIENCE;
    while node.status("router").state != "established" {
        assert!(Instant::now() < deadline, "{:?}", node.status("router"));
        if let Ok(mut router) = HandRouter::connect(node.address, 255).await {
            let tried = tokio::time::timeout(
                Duration::from_secs(2),
                tokio::spawn(async move {
                    router.establish(9).await;
                    router
                }),
            );
            if let Ok(Ok(router)) = tried.await {
                node.established("router").await;
                drop(router);
                return;
            }
        }
    }
}
