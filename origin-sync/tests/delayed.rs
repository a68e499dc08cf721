//! Deliberately delayed input: new copies are held, and served when they have been known for so long.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use origin_sync::HeldStatus;
use support::primary::{Asked, Primary, Reply, Rr, ZONE, a, ns, soa, soa_with};
use support::{Edge, config, wait_for};
use wire::Rtype;

/// Longer than any test.
const HOUR_S: u32 = 3600;

/// A zone with short timers, on a node whose input is late.
fn settings(state: &Path, origin: std::net::SocketAddr, delay_s: u32) -> config::Config {
    let parts = format!(
        "[origin.fake]\naddresses = [\"{origin}\"]\n[zone.\"zone.test\"]\norigins = [\"fake\"]\n\
         [zone.\"zone.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\nrefresh_s_min = 1\nexpire_s_min = 1\n\
         jitter_percent = 0\n"
    );
    let mut config = config(state, &parts);
    config.node.delay_s = delay_s;
    config
}

/// Answers every question from a zone with this SOA, whole.
fn serve(first: Rr) -> impl Fn(&Asked) -> Reply + Send {
    move |asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(std::slice::from_ref(&first))]),
        _ => Reply::Messages(vec![asked.answer(&[first.clone(), ns(), a("www.zone.test", 1), first.clone()])]),
    }
}

/// The origin has a new serial, and says so.
fn change(edge: &Edge, primary: &Primary, serial: u32) {
    primary.follow(serve(soa(serial)));
    edge.notify(ZONE, serial);
}

fn wait_for_held(edge: &Edge, serial: u32) -> HeldStatus {
    wait_for(&format!("serial {serial} is held"), || edge.status(ZONE).held.filter(|held| held.serial == serial))
}

/// Serial 1 is served, serial 2 is held.
fn with_one_held(state: &Path, delay_s: u32) -> (Edge, Primary) {
    let primary = Primary::start(serve(soa(1)));
    let edge = Edge::start(&settings(state, primary.address, delay_s));
    edge.wait_for_serial(ZONE, 1);
    assert_eq!(edge.status(ZONE).held, None);
    change(&edge, &primary, 2);
    wait_for_held(&edge, 2);
    (edge, primary)
}

#[test]
fn a_new_copy_is_served_when_it_has_been_known_for_the_delay() {
    let state = tempfile::tempdir().unwrap();
    let told = Instant::now();
    let (edge, primary) = with_one_held(state.path(), 2);
    let status = edge.status(ZONE);
    assert_eq!((status.serial, status.delay_s), (Some(1), 2));
    assert!(status.problems.is_empty(), "{:?}", status.problems);
    edge.wait_for_serial(ZONE, 2);
    assert!(told.elapsed() >= Duration::from_secs(2));
    wait_for("nothing is held", || edge.status(ZONE).held.is_none().then_some(()));
    // It is on disk, as any copy that is served.
    edge.stop();
    primary.follow(|_| Reply::ThenSilence(Vec::new()));
    let edge = Edge::start(&settings(state.path(), primary.address, HOUR_S));
    assert_eq!(edge.serial(ZONE), Some(2));
    edge.stop();
}

#[test]
fn what_is_held_survives_no_restart() {
    let state = tempfile::tempdir().unwrap();
    let (edge, primary) = with_one_held(state.path(), HOUR_S);
    edge.stop();
    let edge = Edge::start(&settings(state.path(), primary.address, HOUR_S));
    assert_eq!(edge.serial(ZONE), Some(1));
    let held = wait_for_held(&edge, 2);
    assert!(held.held_s < 60.0 && held.served_in_s > 3500.0, "{held:?}");
    assert_eq!(edge.serial(ZONE), Some(1));
    edge.stop();
}

#[test]
fn nothing_is_fetched_while_a_copy_is_held_and_the_next_waits_for_its_own_time_alone() {
    let state = tempfile::tempdir().unwrap();
    let (edge, primary) = with_one_held(state.path(), 4);
    let held = Instant::now();
    let fetched = || primary.asked().iter().filter(|asked| asked.question != Rtype::SOA).count();
    let before = fetched();
    std::thread::sleep(Duration::from_secs(1));
    change(&edge, &primary, 3);
    let told = Instant::now();
    wait_for("the origin is asked", || (edge.status(ZONE).origins[0].serial == Some(3)).then_some(()));
    assert_eq!((fetched(), edge.status(ZONE).held.map(|held| held.serial)), (before, Some(2)));
    edge.wait_for_serial(ZONE, 2);
    assert!(held.elapsed() >= Duration::from_millis(3500));
    assert_eq!(wait_for_held(&edge, 3).serial, 3);
    edge.wait_for_serial(ZONE, 3);
    // Without what was remembered it would be four seconds after serial 2, which was three seconds after this.
    let waited = told.elapsed();
    assert!(waited >= Duration::from_millis(3900) && waited < Duration::from_millis(6500), "{waited:?}");
    edge.stop();
}

#[test]
fn an_operator_has_the_last_word() {
    let state = tempfile::tempdir().unwrap();
    let (edge, _primary) = with_one_held(state.path(), HOUR_S);
    let transfer = edge.runtime.block_on(edge.sync().retransfer(ZONE)).unwrap().unwrap();
    let fetched = edge.runtime.block_on(transfer.outcome()).unwrap();
    assert_eq!((fetched.serial, edge.serial(ZONE)), (2, Some(2)));
    wait_for("nothing is held", || edge.status(ZONE).held.is_none().then_some(()));
    edge.stop();
}

#[test]
fn a_delay_that_is_taken_back_holds_nothing_any_more() {
    let state = tempfile::tempdir().unwrap();
    let (edge, primary) = with_one_held(state.path(), HOUR_S);
    edge.runtime.block_on(edge.sync().apply(&settings(state.path(), primary.address, 0))).unwrap();
    edge.wait_for_serial(ZONE, 2);
    change(&edge, &primary, 3);
    edge.wait_for_serial(ZONE, 3);
    edge.stop();
}

#[test]
fn a_copy_expires_by_contact_with_the_origin_and_not_by_its_age() {
    let state = tempfile::tempdir().unwrap();
    let short = |serial| soa_with(serial, [1, 1, 3]);
    let primary = Primary::start(serve(short(1)));
    let edge = Edge::start(&settings(state.path(), primary.address, HOUR_S));
    edge.wait_for_serial(ZONE, 1);
    primary.follow(serve(short(2)));
    edge.notify(ZONE, 2);
    wait_for_held(&edge, 2);
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        assert_eq!(edge.serial(ZONE), Some(1));
        std::thread::sleep(Duration::from_millis(100));
    }
    primary.follow(|_| Reply::ThenSilence(Vec::new()));
    wait_for("it expires", || edge.is_expired(ZONE).then_some(()));
    // The origin is back: what was served is good again, what is held goes on waiting.
    primary.follow(serve(short(2)));
    edge.wait_for_serial(ZONE, 1);
    assert_eq!(edge.status(ZONE).held.map(|held| held.serial), Some(2));
    edge.stop();
}
