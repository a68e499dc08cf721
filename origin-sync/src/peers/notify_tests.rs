//! The NOTIFY task against a node that is a socket of the loopback interface, and a node's queue against a made-up clock.

use domain::tsig::ServerTransaction;
use tokio::time::timeout;
use wire::{Message, Name, Section, rdata};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState};

use super::super::{Path, PeerCounters};
use super::*;
use crate::tsig::Key;

/// Whatever is waited for comes within this time.
const DEADLINE: Duration = Duration::from_secs(20);

struct NoFiles;

impl config::SecretFiles for NoFiles {
    fn read(&self, _: &std::path::Path) -> Result<config::SecretFile, String> {
        Err("no files".into())
    }
}

/// The configuration of the node `up`, with the node `down` at an address.
fn config(down: SocketAddr) -> config::Config {
    let text = format!(
        "[network]\nnode_key = \"k\"\n[key.k]\nsecret = \"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\"\n\
         [node.up]\nlisten = [\"192.0.2.1:53\"]\nstate_dir = \"/none\"\n\
         [node.down]\nlisten = [\"{down}\"]\nstate_dir = \"/none\"\nupstream = [\"up\"]\n\
         [origin.o]\naddresses = [\"192.0.2.9\"]\n[zone.\"example\"]\norigins = [\"o\"]\n"
    );
    config::Network::parse(&text, "test", &NoFiles).unwrap().value.for_node("up").unwrap()
}

fn zone(serial: u32) -> Arc<zones::Zone> {
    let apex: Name = "example.".parse().unwrap();
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let soa = [&[0, 0][..], &[serial, 3600, 600, 86_400, 300].map(u32::to_be_bytes).concat()].concat();
    builder.add(apex.as_ref(), Rtype::SOA, 60, &soa).unwrap();
    Arc::new(builder.finish().unwrap())
}

fn offer() -> (Arc<ZoneSlot>, Arc<Offer>) {
    let slot = Arc::new(ZoneSlot::new("example.".parse().unwrap()));
    slot.publish(ZoneState::Serving(zone(1)));
    let offer = Arc::new(Offer::new(Arc::clone(&slot), Arc::default()));
    offer.set_expires(Some(Duration::from_secs(100_000)));
    offer.set_path(&Path::from_origin());
    (slot, offer)
}

/// A node that takes NOTIFYs, and the task that sends them.
struct World {
    node: UdpSocket,
    key: Key,
    outbox: Arc<Outbox>,
    task: tokio::task::JoinHandle<()>,
}

/// A NOTIFY that was received.
struct Heard {
    bytes: Vec<u8>,
    from: SocketAddr,
    serial: u32,
}

impl World {
    async fn new() -> World {
        let node = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let config = config(node.local_addr().unwrap());
        let outbox = Arc::new(Outbox::new(Arc::new(PeerCounters::default())));
        outbox.set_access(Arc::new(Access::new(&config).unwrap()));
        let task = tokio::spawn(run(Arc::clone(&outbox), Instant::now()));
        World { node, key: Key::new(&config.keys["k."]).unwrap(), outbox, task }
    }

    async fn hear(&self) -> Heard {
        let mut buffer = vec![0; 2000];
        let (length, from) = timeout(DEADLINE, self.node.recv_from(&mut buffer)).await.expect("a NOTIFY").unwrap();
        buffer.truncate(length);
        let message = Message::parse(&buffer).unwrap();
        assert_eq!(message.header.flags.opcode(), Opcode::NOTIFY);
        let record = message.records().next().unwrap().unwrap();
        assert_eq!((record.section, record.rtype), (Section::Answer, Rtype::SOA));
        let mut soa = Vec::new();
        record.decompress_rdata(&mut soa).unwrap();
        let serial = rdata::Soa::parse(&soa).unwrap().serial;
        Heard { bytes: buffer, from, serial }
    }

    async fn answer(&self, heard: &Heard, rcode: Rcode, signed: bool) {
        let mut request = DomainMessage::from_octets(heard.bytes.clone()).unwrap();
        let now = Time48::from_u64(unix_now_s());
        let transaction =
            ServerTransaction::request(self.key.inner(), &mut request, now).unwrap().expect("a signature");
        let mut out = vec![0; 1000];
        let mut writer = Writer::new(&mut out, 500).unwrap();
        writer.set_id(Header::parse(&heard.bytes).unwrap().id);
        writer.set_flags(Flags::default().with_qr(true).with_opcode(Opcode::NOTIFY).with_rcode(rcode));
        let mut length = writer.finish();
        if signed {
            length = seal::sign_answer(&mut out, length, transaction, unix_now_s()).unwrap();
        }
        self.node.send_to(&out[..length], heard.from).await.unwrap();
    }

    async fn wait_for(&self, what: &str, number: impl Fn(&PeerCounters) -> u64, wanted: u64) {
        let until = Instant::now() + DEADLINE;
        while number(&self.outbox.counters) != wanted {
            assert!(Instant::now() < until, "{what}: {:?}", self.outbox.counters);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn a_notify_is_repeated_until_it_is_acknowledged() {
    let world = World::new().await;
    let (_slot, offer) = offer();
    world.outbox.changed(1, &offer);
    let lost = world.hear().await;
    // Neither counts: one is not signed, the other is no answer to what was asked.
    world.answer(&lost, Rcode::NOERROR, false).await;
    world.node.send_to(&lost.bytes, lost.from).await.unwrap();
    let again = world.hear().await;
    assert_eq!((lost.serial, again.serial), (1, 1));
    world.answer(&again, Rcode::NOERROR, true).await;
    world.wait_for("it is acknowledged", |counters| counters.notifies_acknowledged.load(Ordering::Relaxed), 1).await;
}

#[tokio::test]
async fn a_newer_copy_takes_the_place_of_an_older() {
    let world = World::new().await;
    let (slot, offer) = offer();
    for serial in 1..5 {
        slot.publish(ZoneState::Serving(zone(serial)));
        world.outbox.changed(1, &offer);
        assert_eq!(world.hear().await.serial, serial);
    }
    slot.publish(ZoneState::Serving(zone(9)));
    world.outbox.changed(1, &offer);
    let last = world.hear().await;
    assert_eq!(last.serial, 9);
    // A node that has not the zone is told no more.
    world.answer(&last, Rcode::NOTAUTH, false).await;
    world.wait_for("it is refused", |counters| counters.notifies_refused.load(Ordering::Relaxed), 1).await;
}

#[tokio::test]
async fn of_what_is_not_good_nobody_is_told() {
    let world = World::new().await;
    let (_slot, bad) = offer();
    bad.set_expires(None);
    world.outbox.changed(1, &bad);
    let (_slot, good) = offer();
    world.outbox.changed(2, &good);
    world.hear().await;
    assert_eq!(world.outbox.counters.notifies_sent.load(Ordering::Relaxed), 1);
}

/// A node that nothing was sent to yet, and so many zones for it.
fn target(zones: u64, now: Instant) -> Target {
    let mut target = Target::new("down".into(), vec![([192, 0, 2, 2], 53).into(), ([192, 0, 2, 3], 53).into()]);
    target.not_before = now;
    let (_slot, offer) = offer();
    assert!((0..zones).all(|zone| target.changed(zone, &offer, now)));
    target
}

/// Sends what may be sent; how many that were.
fn send(target: &mut Target, now: Instant) -> usize {
    let key = Key::new(&config(([192, 0, 2, 2], 53).into()).keys["k."]).unwrap();
    let mut sent = 0;
    while target.may_send(now) {
        let zone_id = target.queue.pop_front().unwrap();
        let (id, _, transaction) = write_notify(&zone(1), &target.flights, key.inner()).unwrap();
        let address = target.address();
        target.fly(zone_id, id, Flight { zone: zone_id, address, deadline: now + ANSWER_WAIT, transaction });
        sent += 1;
    }
    sent
}

#[test]
fn a_node_that_answers_has_a_window_and_a_silent_one_is_probed() {
    let start = Instant::now();
    let mut target = target(100, start);
    assert_eq!(send(&mut target, start), WINDOW);
    let id = *target.flights.keys().next().unwrap();
    assert!(target.land(id, start));
    assert_eq!(send(&mut target, start), 1);
    let mut now = start;
    let (mut pauses, mut asked) = (Vec::new(), std::collections::HashSet::new());
    for _ in 0..10 {
        now = target.due(now);
        target.end_waits(now);
        pauses.push(target.not_before.saturating_duration_since(now).as_millis());
        now = now.max(target.not_before);
        let sent = send(&mut target, now);
        assert!(sent == 1 || (target.silent < SILENT_AFTER && sent == WINDOW), "{sent}");
        asked.extend(target.flights.values().map(|flight| flight.address));
    }
    assert_eq!(pauses, [0, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    assert_eq!(asked.len(), 2, "both addresses are tried");
    // Nothing was lost, and one answer opens the window again.
    assert_eq!((target.zones.len(), target.queue.len() + target.flights.len()), (99, 99));
    let id = *target.flights.keys().next().unwrap();
    target.land(id, now);
    assert_eq!(send(&mut target, now), WINDOW);
}

#[test]
fn a_change_reaches_a_silent_node_at_once() {
    let start = Instant::now();
    let mut target = target(1, start);
    let mut now = start;
    for _ in 0..8 {
        send(&mut target, now);
        now = target.due(now);
        target.end_waits(now);
        now = now.max(target.not_before);
    }
    target.end_waits(now + ANSWER_WAIT);
    now += ANSWER_WAIT;
    let (_slot, offer) = offer();
    assert!(!target.changed(0, &offer, now));
    assert!(target.changed(7, &offer, now));
    assert_eq!(send(&mut target, now), 1);
}
