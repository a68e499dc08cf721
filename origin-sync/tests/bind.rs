//! Against a real BIND: transfers, dynamic updates with NOTIFY, TSIG right and wrong, origin down and up, restart.

mod support;

use std::time::Instant;

use support::bind::{Named, zone_text};
use support::{Edge, config, dump, free_address, wait_for};

const ZONE: &str = "example.test.";

fn parts(origin: std::net::SocketAddr, key: &str) -> String {
    format!(
        "[origin.bind]\naddresses = [\"{origin}\"]\n{key}\n[zone.\"example.test\"]\norigins = [\"bind\"]\n\
         [zone.\"example.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\n"
    )
}

const KEY: &str = "key = \"transfer\"\nnotify_key_required = true";

#[test]
fn axfr_then_updates_by_notify_and_ixfr_then_restart_without_the_origin() {
    let (origin, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let notify_at = free_address();
    let named = Named::start_anywhere(origin.path(), ZONE, &zone_text(1, ""), notify_at);
    let config = config(state.path(), &parts(named.address, KEY));
    let edge = Edge::start_at(&config, notify_at);
    edge.wait_for_serial(ZONE, 1);
    assert_eq!(edge.zone(ZONE).unwrap().record_count(), 5);

    for step in 2..12u32 {
        let started = Instant::now();
        named.update(&format!("update add n{step}.example.test. 300 A 192.0.2.{step}"));
        edge.wait_for_serial(ZONE, step);
        assert!(started.elapsed().as_secs() < 5, "update {step} took {:?}", started.elapsed());
    }
    named.update("update delete www.example.test. TXT\nupdate delete n2.example.test.");
    edge.wait_for_serial(ZONE, 12);
    let counts = edge.sync().counts();
    assert_eq!((counts.axfr_total, counts.fallback_total), (1, 0), "{counts:?}");
    assert!(counts.ixfr_total >= 1, "{counts:?}");
    let status = edge.status(ZONE);
    assert_eq!(status.origins[0].key.as_deref(), Some("transfer.test."));
    assert_eq!(status.origins[0].last_transfer.as_ref().unwrap().question, "IXFR");
    assert!(status.journal_bytes > 0 && status.snapshot_bytes > 0);
    let before = dump(&edge.zone(ZONE).unwrap());
    assert_eq!(before.len(), 13);
    edge.kill();
    named.stop();

    let edge = Edge::start(&config);
    let zone = edge.zone(ZONE).expect("published before start returns");
    assert_eq!((zone.serial(), dump(&zone)), (12, before));
    edge.wait_for_error(ZONE, "cannot connect");
    assert_eq!(edge.serial(ZONE), Some(12));
    edge.stop();
}

#[test]
fn a_wrong_key_changes_nothing_and_says_why() {
    let (origin, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let notify_at = free_address();
    let named = Named::start_anywhere(origin.path(), ZONE, &zone_text(1, ""), notify_at);
    let edge = Edge::start_at(&config(state.path(), &parts(named.address, "key = \"wrong\"")), notify_at);
    edge.wait_for_error(ZONE, "the origin found our signature wrong (BADSIG)");
    assert!(edge.zone(ZONE).is_none());
    let edge_without = {
        let state = tempfile::tempdir().unwrap();
        let edge = Edge::start(&config(state.path(), &parts(named.address, "")));
        edge.wait_for_error(ZONE, "the origin answered AXFR with REFUSED");
        edge
    };
    edge_without.stop();
    // The right key by a new configuration mends it at once.
    let right = config(state.path(), &parts(named.address, KEY));
    let applied = edge.runtime.block_on(edge.sync().apply(&right)).unwrap();
    assert_eq!((applied.added, applied.removed, applied.changed), (0, 0, 1));
    edge.wait_for_serial(ZONE, 1);
    edge.stop();
}

#[test]
fn an_origin_that_goes_and_comes_back() {
    let (origin, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (notify_at, address) = (free_address(), free_address());
    let edge = Edge::start_at(&config(state.path(), &parts(address, KEY)), notify_at);
    edge.wait_for_error(ZONE, "cannot connect");
    let named = Named::start(origin.path(), address, ZONE, &zone_text(1, ""), notify_at);
    edge.wait_for_serial(ZONE, 1);
    named.stop();
    edge.runtime.block_on(edge.sync().retransfer(ZONE)).unwrap();
    edge.wait_for_error(ZONE, "cannot connect");
    assert_eq!(edge.serial(ZONE), Some(1));
    let named = Named::start(origin.path(), address, ZONE, "", notify_at);
    named.update("update add back.example.test. 300 A 192.0.2.9");
    edge.wait_for_serial(ZONE, 2);
    wait_for("no error any more", || edge.status(ZONE).last_error.is_none().then_some(()));
    edge.stop();
}
