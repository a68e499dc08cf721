//! The edge asks itself, over real sockets: what it says of right answers, of wrong ones, and of lanes that hang.

mod support;

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use config::{DefenceMode, Defences, Filter};
use edge::{
    Check, Edge, EdgeContext, Miss, MissHandler, NotifyHandler, NotifyOutcome, OnDemand, SelfCheck, SelfCheckSettings,
    Settings, Waiter, bind,
};
use filters::Filters;
use health::{Reading, State};
use support::DEADLINE;
use wire::{Class, Flags, Name, Opcode, Rtype, Writer};
use zones::{Limits, ZoneBuilder, ZoneSlot, ZoneState, Zones};

/// Holds up every lane that hears a NOTIFY, until the test lets go.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl NotifyHandler for Gate {
    fn handle(&self, _: &[u8], _: SocketAddr, _: &mut [u8]) -> NotifyOutcome {
        let mut shut = self.shut.lock().unwrap();
        while *shut {
            shut = self.opened.wait(shut).unwrap();
        }
        NotifyOutcome::Refuse
    }
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

/// Counts the questions that would go to an origin.
#[derive(Default)]
struct Counter(Mutex<Vec<Miss>>);

impl MissHandler for Counter {
    fn miss(&self, miss: Miss, _: Waiter) {
        self.0.lock().unwrap().push(miss);
    }

    fn prefetch(&self, _: Miss) {}
}

struct Running {
    // First, so that it ends before the gate does.
    edge: Option<Edge>,
    address: SocketAddr,
    zones: Arc<Zones>,
    settings: Arc<ArcSwap<SelfCheckSettings>>,
    answers: health::Reader,
    load: health::Reader,
    gate: Arc<Gate>,
    misses: Arc<Counter>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gate.set(false);
        drop(self.edge.take());
    }
}

fn start(listen: &str, workers: usize) -> Running {
    start_with(listen, workers, support::filters_but_for_loopback())
}

fn start_with(listen: &str, workers: usize, filters: Arc<Filters>) -> Running {
    let sockets = bind(&[listen.parse().unwrap()], workers).expect("free ports");
    let address = sockets.addresses()[0];
    let (zones, gate, misses) = (Arc::new(Zones::new()), Arc::new(Gate::default()), Arc::new(Counter::default()));
    let now = Instant::now();
    let (health, _) = health::channel("edge", Duration::from_secs(3), now);
    let context = EdgeContext {
        zones: Arc::clone(&zones),
        settings: Arc::new(ArcSwap::from_pointee(Settings::default())),
        notify: Arc::clone(&gate) as Arc<dyn NotifyHandler>,
        transfers: None,
        on_demand: Some(OnDemand {
            cache: Arc::new(cache::Cache::new(1 << 20)),
            misses: Arc::clone(&misses) as Arc<dyn MissHandler>,
        }),
        filters,
        answers: None,
        deaths: None,
        health,
        kernel: None,
    };
    let mut edge = Edge::start(sockets, context).unwrap();
    let settings =
        SelfCheckSettings { interval: Duration::from_millis(20), service_addresses: Vec::new(), checks: Vec::new() };
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let (answers, answers_reader) = health::channel("answers", Duration::from_secs(10), now);
    let (load, load_reader) = health::channel("load", Duration::from_secs(10), now);
    edge.check_itself(SelfCheck { answers, load, settings: Arc::clone(&settings) }).unwrap();
    Running { edge: Some(edge), address, zones, settings, answers: answers_reader, load: load_reader, gate, misses }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A zone whose `www` has this address.
fn zone(apex: &str, www: [u8; 4]) -> ZoneState {
    let apex = name(apex);
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    let host = apex.prepend(b"ns").unwrap();
    let soa = [host.as_bytes(), host.as_bytes(), &[0; 20]].concat();
    builder.add(apex.as_ref(), Rtype::SOA, 300, &soa).unwrap();
    builder.add(apex.as_ref(), Rtype::NS, 300, host.as_bytes()).unwrap();
    builder.add(host.as_ref(), Rtype::A, 300, &[192, 0, 2, 1]).unwrap();
    let host = apex.prepend(b"www").unwrap();
    builder.add(host.as_ref(), Rtype::A, 300, &www).unwrap();
    ZoneState::Serving(Arc::new(builder.finish().unwrap()))
}

impl Running {
    fn publish(&self, apex: &str, state: ZoneState) {
        let slot = ZoneSlot::new(name(apex));
        slot.publish(state);
        self.zones.insert(&Arc::new(slot));
    }

    fn set(&self, change: impl FnOnce(&mut SelfCheckSettings)) {
        let mut settings = (**self.settings.load()).clone();
        change(&mut settings);
        self.settings.store(Arc::new(settings));
    }

    /// Waits until the answers are judged like this.
    fn wait_for(&self, what: &str, wanted: impl Fn(&Reading) -> bool) -> Reading {
        let until = Instant::now() + DEADLINE;
        loop {
            let reading = self.answers.read_report(Instant::now());
            if wanted(&reading) {
                return reading;
            }
            assert!(Instant::now() < until, "{what}: {reading:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until so many more questions have been answered.
    fn wait_for_questions(&self, more: u64) {
        let stats = || self.edge.as_ref().unwrap().stats().queries_total();
        let (until, enough) = (Instant::now() + DEADLINE, stats() + more);
        while stats() < enough {
            assert!(Instant::now() < until, "the edge no longer asks itself");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Has the lane that hears this stick.
    fn jam(&self, from: &UdpSocket) {
        let mut buffer = [0; 512];
        let mut writer = Writer::new(&mut buffer, 512).unwrap();
        writer.set_flags(Flags::default().with_opcode(Opcode::NOTIFY));
        writer.question(name("example.com").as_ref(), Rtype::SOA, Class::IN).unwrap();
        let length = writer.finish();
        from.send_to(&buffer[..length], self.address).unwrap();
    }
}

fn up(reading: &Reading) -> bool {
    reading.report.state == State::Up
}

fn soft(reading: &Reading) -> bool {
    (reading.report.state, reading.report.soft) == (State::Degraded, true)
}

fn hard(reading: &Reading) -> bool {
    (reading.report.state, reading.report.soft) == (State::Down, false) && !reading.silent
}

#[test]
fn right_answers_are_well_with_zones_and_without() {
    for listen in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
        let running = start(listen, 2);
        running.wait_for("no zone", up);
        running.publish("example.com", zone("example.com", [192, 0, 2, 80]));
        running.publish("pending.example", ZoneState::Pending);
        running.publish("expired.example", ZoneState::Expired(None));
        running.wait_for_questions(100);
        let reading = running.wait_for("a zone", up);
        assert_eq!(reading.report.why, "");
        assert_eq!(running.load.read(Instant::now()), State::Up);
    }
}

#[test]
fn many_zones_are_all_asked_for_and_one_that_is_wrong_is_found() {
    let running = start("127.0.0.1:0", 1);
    let slots = (0..300).map(|number| {
        let apex = format!("zone-{number}.example");
        let slot = ZoneSlot::new(name(&apex));
        // What is published as one zone is another: its name is not found there.
        let content = if number == 177 { "other.example" } else { &apex };
        slot.publish(zone(content, [192, 0, 2, 80]));
        Arc::new(slot)
    });
    running.zones.replace(slots.collect());
    let reading =
        running.wait_for("the wrong zone", |reading| soft(reading) && reading.report.why.contains("zone-177."));
    assert!(!reading.report.why.contains("; "), "and no other: {reading:?}");
    running.publish("zone-177.example", zone("zone-177.example", [192, 0, 2, 80]));
    running.wait_for("the zone is right again", up);
}

#[test]
fn a_check_wants_its_address() {
    let running = start("127.0.0.1:0", 1);
    running.publish("example.com", zone("example.com", [192, 0, 2, 80]));
    let check = |host: &str, expected: Option<IpAddr>| Check { name: name(host), rtype: Rtype::A, expected };
    let address = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    running.set(|settings| {
        settings.checks = vec![check("www.example.com", address("192.0.2.80")), check("ns.example.com", None)];
    });
    running.wait_for_questions(50);
    running.wait_for("both checks hold", up);

    running.publish("example.com", zone("example.com", [192, 0, 2, 66]));
    let reading = running.wait_for("a poisonous zone", soft);
    assert_eq!(reading.report.why, "www.example.com. A: 192.0.2.80 is not among the answers, which are 192.0.2.66");
    running.set(|settings| settings.checks[0].name = name("nobody.example.com"));
    running.wait_for("another check", |reading| reading.report.why.contains("nobody.example.com. A: NXDOMAIN"));
    running.set(|settings| settings.checks[0].name = name("elsewhere.example.org"));
    running.wait_for("what is not served here is not judged", up);
    running.set(|settings| settings.checks[0] = check("www.example.com", None));
    running.wait_for("any address", up);
}

#[test]
fn zones_without_a_copy_are_no_flood_at_their_origins() {
    let running = start("127.0.0.1:0", 1);
    for zone in 0..200 {
        running.publish(&format!("zone-{zone}.example"), ZoneState::OnDemand { id: zone });
    }
    let check = Check { name: name("www.zone-7.example"), rtype: Rtype::A, expected: None };
    running.set(|settings| settings.checks = vec![check]);
    running.wait_for_questions(200);
    running.wait_for("an edge without copies", up);
    let misses = running.misses.0.lock().unwrap();
    // From several addresses' points of view one question: it comes again after ten seconds at the soonest.
    assert!(misses.len() <= 3, "{misses:?}");
    assert!(misses.iter().all(|miss| miss.qtype == Rtype::A), "{misses:?}");
}

#[test]
fn a_lane_that_hangs_is_noticed_and_all_of_them_are_the_end() {
    // Threads are replaced, so what makes them hang has to come again and again.
    let off = |defences: &mut Defences| defences.filters[Filter::QueryOfDeath as usize] = DefenceMode::Off;
    let running = start_with("127.0.0.1:0", 2, support::filters_but_for_loopback_and(off));
    running.publish("example.com", zone("example.com", [192, 0, 2, 80]));
    running.wait_for("both lanes answer", up);
    running.gate.set(true);
    // The same port leads to the same lane. Again and again: all four ports of a turn may have led to it, or none.
    let (same_port, until) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Instant::now() + DEADLINE);
    let one_of_two = |reading: &Reading| soft(reading) && reading.report.why.contains("of 4 ports over UDP");
    while !one_of_two(&running.answers.read_report(Instant::now())) {
        running.jam(&same_port);
        let reading = running.answers.read_report(Instant::now());
        assert!(Instant::now() < until, "one of two lanes: {reading:?}");
        thread::sleep(Duration::from_millis(20));
    }
    // Sooner or later a port leads to the other lane.
    let until = Instant::now() + DEADLINE;
    let nobody_answers = |reading: &Reading| hard(reading) && reading.report.why.contains("does not answer over UDP");
    while !nobody_answers(&running.answers.read_report(Instant::now())) {
        running.jam(&UdpSocket::bind("127.0.0.1:0").unwrap());
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(5));
    }
    running.gate.set(false);
    running.wait_for("the lanes go on", up);
}

#[test]
fn an_address_that_is_not_here_is_no_service() {
    let running = start("0.0.0.0:0", 1);
    running.wait_for("the loopback address", up);
    // Documentation addresses are nobody's.
    running.set(|settings| settings.service_addresses = vec!["192.0.2.53".parse().unwrap()]);
    let reading = running.wait_for("the address is missing", hard);
    assert!(reading.report.why.starts_with("192.0.2.53:"), "{reading:?}");
    assert!(reading.report.why.contains("cannot be asked"), "{reading:?}");
    running.set(|settings| settings.service_addresses = vec!["127.0.0.77".parse().unwrap()]);
    running.wait_for("an address that is here", up);
}

#[test]
fn the_end_of_the_edge_reads_as_down() {
    let mut running = start("127.0.0.1:0", 1);
    running.wait_for("it runs", up);
    running.edge.take().unwrap().stop(Duration::ZERO);
    let reading = running.answers.read_report(Instant::now());
    assert_eq!((reading.silent, reading.report.why.as_str()), (true, "has ended"));
}

#[test]
fn its_own_questions_pass_every_filter() {
    let defences = Defences { block: vec!["127.0.0.0/8".parse().unwrap()], ..Defences::default() };
    let running = start_with("127.0.0.1:0", 1, Arc::new(Filters::new(&defences, [1, 2])));
    running.publish("example.com", zone("example.com", [192, 0, 2, 80]));
    running.wait_for("blocked sources", up);
    // Nobody else at its addresses is heard.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(running.address).unwrap();
    client.send(&[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1]).unwrap();
    let until = Instant::now() + DEADLINE;
    while running.edge.as_ref().unwrap().stats().dropped_for(edge::DropReason::Blocked) == 0 {
        assert!(Instant::now() < until);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(running.answers.read(Instant::now()), State::Up);
}
