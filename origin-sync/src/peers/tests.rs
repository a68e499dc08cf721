//! What other nodes get, asked as this program's own client asks and read as it reads.

use std::time::Duration;

use wire::{Message, Name, Section, edns::Edns, rdata};
use zones::{Difference, Limits as ZoneLimits, Zone, ZoneBuilder, ZoneSlot, ZoneState};

use super::*;
use crate::copy::Copy;
use crate::notify::Target;
use crate::settings::resolve;
use crate::transfer::{Answer, Interpreter, Limits, Progress};
use crate::tsig::{Key, Request as ClientRequest, Verifier};

const LIMITS: Limits = Limits { records_max: 1_000_000, bytes_max: 1 << 30 };
const DOWNSTREAM: &str = "192.0.2.2:4000";
const FILE: &str = "[network]\nnode_key = \"k\"\n[key.k]\nsecret = \"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\"\n\
    [key.other]\nsecret = \"QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\"\n\
    [node.up]\nlisten = [\"192.0.2.1:53\"]\nstate_dir = \"/none\"\n\
    [node.down]\nlisten = [\"192.0.2.2:53\"]\nstate_dir = \"/none\"\nupstream = [\"up\"]\n\
    [origin.o]\naddresses = [\"192.0.2.9\"]\n[zone.\"example\"]\norigins = [\"o\"]\n";

struct NoFiles;

impl config::SecretFiles for NoFiles {
    fn read(&self, _: &std::path::Path) -> Result<config::SecretFile, String> {
        Err("no files".into())
    }
}

struct World {
    config: config::Config,
    peers: Peers,
    slot: Arc<ZoneSlot>,
    offer: Arc<Offer>,
    history: Arc<History>,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn soa(serial: u32) -> Vec<u8> {
    let numbers = [serial, 3600, 600, 86_400, 300].map(u32::to_be_bytes).concat();
    [&[0, 0][..], &numbers].concat()
}

/// `example.` with so many TXT records of 200 octets.
fn zone(serial: u32, records: u32) -> Arc<Zone> {
    let apex = name("example.");
    let mut builder = ZoneBuilder::new(apex, ZoneLimits::NONE);
    builder.add(apex.as_ref(), Rtype::SOA, 60, &soa(serial)).unwrap();
    builder.add(apex.as_ref(), Rtype::NS, 60, b"\x01b\x07example\0").unwrap();
    for number in 0..records {
        let owner = name(&format!("n{:06}.example.", number / 3));
        builder.add(owner.as_ref(), Rtype::TXT, 60, &txt(number)).unwrap();
    }
    Arc::new(builder.finish().unwrap())
}

fn txt(number: u32) -> Vec<u8> {
    let mut rdata = vec![200; 201];
    rdata[1..5].copy_from_slice(&number.to_be_bytes());
    rdata
}

fn step(from: u32, add: Option<u32>) -> Difference {
    let apex = name("example.");
    let mut difference = Difference::new();
    difference.delete(apex.as_ref(), Rtype::SOA, 60, &soa(from)).unwrap();
    difference.add(apex.as_ref(), Rtype::SOA, 60, &soa(from + 1)).unwrap();
    if let Some(number) = add {
        difference.add(name(&format!("added{from}.example.")).as_ref(), Rtype::TXT, 60, &txt(number)).unwrap();
    }
    difference
}

impl World {
    fn new() -> World {
        let network = config::Network::parse(FILE, "test", &NoFiles).unwrap().value;
        let config = network.for_node("up").unwrap();
        let (notifier, _) = Notifier::new();
        let keeping = Arc::new(Keeping::default());
        let slot = Arc::new(ZoneSlot::new(name("example.")));
        let history = Arc::new(History::new(Arc::clone(&keeping)));
        let offer = Arc::new(Offer::new(Arc::clone(&slot), Arc::clone(&history)));
        let settings = resolve(&config).unwrap().pop().unwrap();
        let target = Target { zone: 1, settings, mailbox: Arc::default(), offer: Arc::clone(&offer) };
        notifier.set_table(std::iter::once(Arc::new(target)));
        let peers = Peers::new(Instant::now(), Arc::new(notifier), keeping, Access::new(&config).unwrap());
        World { config, peers, slot, offer, history }
    }

    fn serving(zone: Arc<Zone>) -> World {
        let world = World::new();
        world.slot.publish(ZoneState::Serving(zone));
        world.expires_in(1000);
        world.offer.set_path(&Path::from_origin());
        world
    }

    fn expires_in(&self, seconds: u64) {
        let until = self.peers.started.elapsed() + Duration::from_secs(seconds) + Duration::from_millis(900);
        self.offer.set_expires(Some(until));
    }

    fn key(&self, key: &str) -> Key {
        Key::new(&self.config.keys[&format!("{key}.")]).unwrap()
    }

    fn request(&self, question: Rtype, have: Option<u32>, key: &str) -> (Vec<u8>, Verifier) {
        let apex = name("example.");
        let request = ClientRequest { id: 7, apex: apex.as_ref(), question, have, edns: true, path: true };
        request.build(Some(&self.key(key)), unix_now_s()).unwrap()
    }

    /// One answer to a question from the downstream node, verified.
    fn ask(&self, question: Rtype, is_udp: bool) -> Vec<u8> {
        let (request, mut verifier) = self.request(question, Some(0), "k");
        let mut out = vec![0; if is_udp { 1232 } else { MESSAGE_BYTES_MAX }];
        let PeerAnswer::Answer(length) = self.peers.query(&request, DOWNSTREAM.parse().unwrap(), is_udp, &mut out)
        else {
            panic!("no answer")
        };
        verifier.check(out[..length].to_vec(), question, unix_now_s()).unwrap()
    }

    fn begin(&self, question: Rtype, have: Option<u32>) -> (Box<TransferOut>, Verifier) {
        let (request, verifier) = self.request(question, have, "k");
        let mut out = vec![0; MESSAGE_BYTES_MAX];
        match self.peers.transfer(&request, DOWNSTREAM.parse().unwrap(), &mut out) {
            PeerTransfer::Stream(stream) => (stream, verifier),
            other => panic!("{other:?}"),
        }
    }

    /// Takes a transfer as an edge does: what it made of it, and the messages' lengths.
    fn take(&self, question: Rtype, base: Option<&Arc<Zone>>) -> (Answer, Zone, Vec<usize>) {
        let have = base.map(|base| base.serial()).filter(|_| question == Rtype::IXFR);
        let (mut stream, mut verifier) = self.begin(question, have);
        let apex = name("example.");
        let mut interpreter = Interpreter::new(apex, 7, question, have, LIMITS);
        let mut copy = Copy::new(apex, question, LIMITS);
        let (mut out, mut lengths) = (vec![0; MESSAGE_BYTES_MAX], Vec::new());
        loop {
            let NextPeerMessage::Message(length) = stream.next(&mut out) else { panic!("it ends too early") };
            lengths.push(length);
            let message = verifier.check(out[..length].to_vec(), question, unix_now_s()).unwrap();
            if let Progress::Done(answer) = interpreter.message(&message, &mut copy).unwrap() {
                verifier.done().unwrap();
                assert_eq!(stream.next(&mut out), NextPeerMessage::End);
                let zone = match copy.finish(base).unwrap() {
                    crate::copy::Next::Whole(zone) | crate::copy::Next::Differences(zone, _) => zone,
                };
                return (answer, zone, lengths);
            }
        }
    }
}

fn records(zone: &Zone) -> Vec<String> {
    let mut lines = Vec::new();
    let _ = zone.walk(&mut zones::Cursor::default(), |record| {
        lines.push(format!("{} {} {} {:?}", record.owner, record.rtype, record.ttl, record.rdata));
        std::ops::ControlFlow::Continue(())
    });
    lines
}

fn options(message: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let message = Message::parse(message).unwrap();
    let opt = message.records().flatten().find(|record| record.rtype == Rtype::OPT).expect("an OPT record");
    let edns = Edns::from_record(opt.class.0, opt.ttl, opt.rdata()).unwrap();
    edns.options().map(|(code, data)| (code, data.to_vec())).collect()
}

fn rcode(message: &[u8]) -> Rcode {
    wire::Header::parse(message).unwrap().flags.rcode()
}

#[test]
fn a_whole_zone_arrives_as_it_is() {
    for count in [0, 1, 300, 5000] {
        let ours = zone(9, count);
        let (answer, theirs, lengths) = World::serving(Arc::clone(&ours)).take(Rtype::AXFR, None);
        assert_eq!(answer, Answer::Whole);
        assert!(records(&theirs) == records(&ours), "{count}");
        // Every message but the last is full: no further record of 201 octets would fit.
        let (_, full) = lengths.split_last().unwrap();
        assert!(full.iter().all(|&length| length > MESSAGE_BYTES_MAX - 300), "{lengths:?}");
    }
}

#[test]
fn differences_lead_to_what_we_have() {
    let base = zone(1, 2000);
    let steps: Vec<Difference> = (1..=900).map(|serial| step(serial, Some(serial))).collect();
    let ours = Arc::new(base.apply_all(&steps, &ZoneLimits::NONE).unwrap());
    let world = World::serving(Arc::clone(&ours));
    world.history.push(&steps);
    let (answer, theirs, lengths) = world.take(Rtype::IXFR, Some(&base));
    assert_eq!((answer, lengths.len() > 3), (Answer::Differences, true));
    assert!(records(&theirs) == records(&ours));
    // From where the differences don't begin, or where they are more than the zone, all of it comes.
    let older = zone(0, 2000);
    let (answer, theirs, _) = world.take(Rtype::IXFR, Some(&older));
    assert!(answer == Answer::Whole && records(&theirs) == records(&ours));
    world.history.clear();
    assert_eq!(world.take(Rtype::IXFR, Some(&base)).0, Answer::Whole);
    let counters = world.peers.counters();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((read(&counters.ixfr), read(&counters.axfr)), (1, 2));
}

/// A copy may be published a moment after its differences were kept.
#[test]
fn differences_end_at_the_copy_that_is_served() {
    let base = zone(1, 2000);
    let steps: Vec<Difference> = (1..=3).map(|serial| step(serial, None)).collect();
    let ours = Arc::new(base.apply_all(&steps[..2], &ZoneLimits::NONE).unwrap());
    let world = World::serving(Arc::clone(&ours));
    world.history.push(&steps);
    let (answer, theirs, _) = world.take(Rtype::IXFR, Some(&base));
    assert_eq!((answer, theirs.serial()), (Answer::Differences, 3));
}

#[test]
fn who_is_up_to_date_gets_a_single_soa() {
    let world = World::serving(zone(9, 10));
    for have in [9, 10] {
        let (request, mut verifier) = world.request(Rtype::IXFR, Some(have), "k");
        let mut out = vec![0; MESSAGE_BYTES_MAX];
        let PeerTransfer::Answer(length) = world.peers.transfer(&request, DOWNSTREAM.parse().unwrap(), &mut out) else {
            panic!("no single answer")
        };
        let answer = verifier.check(out[..length].to_vec(), Rtype::IXFR, unix_now_s()).unwrap();
        let header = wire::Header::parse(&answer).unwrap();
        assert_eq!((header.flags.rcode(), header.flags.aa(), header.ancount), (Rcode::NOERROR, true, 1));
    }
}

#[test]
fn soa_answers_tell_the_serial_the_expiry_and_the_way() {
    let world = World::serving(zone(9, 10));
    for (question, is_udp) in [(Rtype::SOA, true), (Rtype::SOA, false), (Rtype::IXFR, true)] {
        let answer = world.ask(question, is_udp);
        let message = Message::parse(&answer).unwrap();
        let record = message.records().next().unwrap().unwrap();
        assert_eq!((record.rtype, record.section, message.header.ancount), (Rtype::SOA, Section::Answer, 1));
        let mut bytes = Vec::new();
        record.decompress_rdata(&mut bytes).unwrap();
        assert_eq!(rdata::Soa::parse(&bytes).unwrap().serial, 9);
    }
}

#[test]
fn what_is_not_good_is_not_given_out() {
    let world = World::new();
    let check = |what: &str| {
        assert_eq!(rcode(&world.ask(Rtype::SOA, true)), Rcode::SERVFAIL, "{what}");
        let (request, _) = world.request(Rtype::AXFR, None, "k");
        let mut out = vec![0; MESSAGE_BYTES_MAX];
        let answer = world.peers.transfer(&request, DOWNSTREAM.parse().unwrap(), &mut out);
        let PeerTransfer::Answer(length) = answer else { panic!("{what}: {answer:?}") };
        assert_eq!(rcode(&out[..length]), Rcode::SERVFAIL, "{what}");
    };
    check("pending");
    world.slot.publish(ZoneState::Serving(zone(9, 10)));
    check("nobody knows for how long it is good");
    world.offer.set_expires(Some(world.peers.started.elapsed()));
    check("expired, and served nevertheless");
    world.slot.publish(ZoneState::Expired(Some(zone(9, 10))));
    world.expires_in(1000);
    check("expired");
}

#[test]
fn strangers_stay_strangers() {
    let world = World::serving(zone(9, 10));
    let mut out = vec![0; MESSAGE_BYTES_MAX];
    let (request, _) = world.request(Rtype::AXFR, None, "k");
    for address in ["192.0.2.1:53", "192.0.2.9:53", "[2001:db8::2]:53"] {
        let peer = address.parse().unwrap();
        assert!(matches!(world.peers.transfer(&request, peer, &mut out), PeerTransfer::Stranger), "{address}");
        assert!(matches!(world.peers.query(&request, peer, true, &mut out), PeerAnswer::Stranger), "{address}");
    }
    // The downstream node as a system with both families shows it.
    let mapped = "[::ffff:192.0.2.2]:4000".parse().unwrap();
    assert!(matches!(world.peers.transfer(&request, mapped, &mut out), PeerTransfer::Stream(_)));
}

#[test]
fn signatures_that_do_not_hold_get_no_more_than_that() {
    let world = World::serving(zone(9, 10));
    let peer = DOWNSTREAM.parse().unwrap();
    let tsig_error = |bytes: &[u8]| {
        let record = Message::parse(bytes).unwrap().records().last().unwrap().unwrap();
        let rdata = record.rdata();
        u16::from_be_bytes([rdata[rdata.len() - 4], rdata[rdata.len() - 3]])
    };
    let check = |request: &[u8], error: u16| {
        let mut out = vec![0; MESSAGE_BYTES_MAX];
        let PeerTransfer::Answer(length) = world.peers.transfer(request, peer, &mut out) else { panic!("{error}") };
        assert_eq!((rcode(&out[..length]), tsig_error(&out[..length])), (Rcode::NOTAUTH, error));
        assert!(length <= request.len() + 16, "{length} bytes for {}", request.len());
    };
    let (mut wrong_mac, _) = world.request(Rtype::AXFR, None, "k");
    let at = wrong_mac.len() - 10;
    wrong_mac[at] ^= 1;
    check(&wrong_mac, 16);
    check(&world.request(Rtype::AXFR, None, "other").0, 17);
    let apex = name("example.");
    let request =
        ClientRequest { id: 7, apex: apex.as_ref(), question: Rtype::AXFR, have: None, edns: true, path: true };
    let (old, _) = request.build(Some(&world.key("k")), unix_now_s() - 1000).unwrap();
    let mut out = vec![0; MESSAGE_BYTES_MAX];
    let PeerTransfer::Answer(length) = world.peers.transfer(&old, peer, &mut out) else { panic!("BADTIME") };
    assert_eq!(rcode(&out[..length]), Rcode::NOTAUTH);
    assert_eq!(world.peers.counters().bad_signature.load(Ordering::Relaxed), 3);
}

#[test]
fn other_zones_and_other_questions() {
    let world = World::serving(zone(9, 10));
    let peer = DOWNSTREAM.parse().unwrap();
    let ask = |apex: &str, question: Rtype| {
        let apex = name(apex);
        let request = ClientRequest { id: 7, apex: apex.as_ref(), question, have: None, edns: true, path: true };
        request.build(Some(&world.key("k")), unix_now_s()).unwrap()
    };
    let mut out = vec![0; MESSAGE_BYTES_MAX];
    let PeerTransfer::Answer(length) = world.peers.transfer(&ask("other.", Rtype::AXFR).0, peer, &mut out) else {
        panic!("a zone that is not ours")
    };
    assert_eq!(rcode(&out[..length]), Rcode::NOTAUTH);
    let PeerTransfer::Answer(length) = world.peers.transfer(&ask("example.", Rtype::IXFR).0, peer, &mut out) else {
        panic!("IXFR without a serial")
    };
    assert_eq!(rcode(&out[..length]), Rcode::FORMERR);
    for (apex, question) in [("other.", Rtype::SOA), ("example.", Rtype::A), ("www.example.", Rtype::SOA)] {
        let (request, mut verifier) = ask(apex, question);
        let PeerAnswer::Sign(signer) = world.peers.query(&request, peer, true, &mut out) else {
            panic!("{apex} {question}")
        };
        // Somebody else answers it, and has it signed.
        let mut writer = wire::Writer::new(&mut out, 1232 - signer.bytes()).unwrap();
        writer.set_id(7);
        writer.set_flags(wire::Flags::default().with_qr(true));
        let length = writer.finish();
        let length = signer.sign(&mut out, length);
        verifier.check(out[..length].to_vec(), question, unix_now_s()).unwrap();
    }
}

#[test]
fn only_so_many_transfers_run() {
    let world = World::serving(zone(9, 10));
    let running: Vec<_> = (0..access::TRANSFERS_PER_NODE_MAX).map(|_| world.begin(Rtype::AXFR, None)).collect();
    assert_eq!(world.peers.transfers_running(), running.len());
    let (request, mut verifier) = world.request(Rtype::AXFR, None, "k");
    let mut out = vec![0; MESSAGE_BYTES_MAX];
    let PeerTransfer::Answer(length) = world.peers.transfer(&request, DOWNSTREAM.parse().unwrap(), &mut out) else {
        panic!("one too many")
    };
    let refused = verifier.check(out[..length].to_vec(), Rtype::AXFR, unix_now_s());
    assert!(refused.is_ok() && rcode(&out) == Rcode::SERVFAIL, "{refused:?}");
    drop(running);
    assert_eq!(world.peers.transfers_running(), 0);
    world.begin(Rtype::AXFR, None);
}

/// Any bytes from the downstream node's address: no panic, and an answer to nothing that is not signed.
#[test]
fn any_bytes() {
    let world = World::serving(zone(9, 10));
    let (request, _) = world.request(Rtype::IXFR, Some(3), "k");
    let tsig = wire::Query::parse(&request).unwrap().tsig.unwrap();
    let peer = DOWNSTREAM.parse().unwrap();
    let mut out = vec![0; MESSAGE_BYTES_MAX];
    for length in 0..request.len() {
        assert!(matches!(world.peers.transfer(&request[..length], peer, &mut out), PeerTransfer::Stranger));
    }
    for bit in 0..request.len() * 8 {
        let mut flipped = request.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // Not signed are the message's id (but the original one in the TSIG record), the case of the key's name, and that
        // record's class and TTL, which have one value only (RFC 8945 §4.2).
        let free = (0..2).contains(&(bit / 8)) || (tsig + 5..tsig + 11).contains(&(bit / 8));
        let streams = matches!(world.peers.transfer(&flipped, peer, &mut out), PeerTransfer::Stream(_));
        assert!(!streams || free || flipped.eq_ignore_ascii_case(&request), "bit {bit}");
        let _ = world.peers.query(&flipped, peer, true, &mut out);
    }
}

#[test]
fn who_asks_for_them_gets_options() {
    let world = World::serving(zone(9, 10));
    let form = |message: &[u8]| {
        let access = world.peers.access.load();
        let mut out = vec![0; 1232];
        let Ok(request) = Request::verify(&access, message, DOWNSTREAM.parse::<SocketAddr>().unwrap().ip(), &mut out)
        else {
            panic!("it is signed")
        };
        request.form(&access)
    };
    let mut buffer = vec![0; 1232];
    let mut writer = wire::Writer::new(&mut buffer, 1000).unwrap();
    let apex = name("example.");
    writer.question(apex.as_ref(), Rtype::SOA, Class::IN).unwrap();
    let asked = |options: &mut wire::OptionWriter<'_, '_>| {
        options.option(wire::edns::option::EXPIRE, &[])?;
        options.option(PATH_OPTION, PATH_QUESTION)
    };
    writer.opt(1232, 0, 0, false, asked).unwrap();
    let length = writer.finish();
    let (length, _) =
        seal::sign_request(&mut buffer, length, Arc::clone(world.key("k").inner()), unix_now_s()).unwrap();
    let form = form(&buffer[..length]);
    let (good, soa) = world.peers.good(&world.offer).unwrap();
    let mut out = vec![0; 1232];
    let length = form.soa(&mut out, 1232, &soa, &Provenance::new(&good, world.offer.path())).unwrap();
    let found = options(&out[..length]);
    let path = b"\x01\0\x02up".to_vec();
    assert_eq!(found, [(wire::edns::option::EXPIRE, 1000u32.to_be_bytes().to_vec()), (PATH_OPTION, path)]);
    // Without room it is truncated, and still has its OPT record.
    let length = form.soa(&mut out, 140, &soa, &Provenance::new(&good, world.offer.path())).unwrap();
    assert!(wire::Header::parse(&out).unwrap().flags.tc());
    assert_eq!(options(&out[..length]), []);
}
