//! Who may send a NOTIFY, what it wakes, and what is answered.

use domain::base::Name as DomainName;
use domain::base::iana::{Opcode as DomainOpcode, Rtype as DomainRtype};
use domain::base::message_builder::AdditionalBuilder;
use domain::tsig::ClientTransaction;

use super::*;
use crate::settings::resolve;
use crate::tsig::Key;

/// The secret `AAAA…` or `BBBB…`, in base64 and as it is.
const SECRETS: [(&str, [u8; 24]); 2] =
    [("QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB", *b"AAAAAAAAAAAAAAAAAAAAAAAA"), ("", *b"BBBBBBBBBBBBBBBBBBBBBBBB")];

struct NoFiles;

impl config::SecretFiles for NoFiles {
    fn read(&self, _: &std::path::Path) -> Result<config::SecretFile, String> {
        Err("no such file".into())
    }
}

struct Bench {
    notifier: Notifier,
    woken: mpsc::Receiver<u64>,
    mailbox: Arc<Mailbox>,
}

/// A notifier for `zone.test.` from an origin at 192.0.2.1 with a key.
fn bench(more: &str) -> Bench {
    let text = format!(
        "[node.test]\nlisten = [\"127.0.0.1:53\"]\nstate_dir = \"/none\"\n[key.transfer]\nsecret = \"{}\"\n\
         [origin.one]\naddresses = [\"192.0.2.1\"]\nkey = \"transfer\"\n{more}\n[zone.\"zone.test\"]\norigins = [\"one\"]\n",
        SECRETS[0].0
    );
    let config = config::Network::parse(&text, "test.toml", &NoFiles).unwrap().value.for_node("test").unwrap();
    let zone = resolve(&config).unwrap().remove(0);
    let (notifier, woken) = Notifier::new();
    let mailbox = Arc::<Mailbox>::default();
    let offer = Arc::new(crate::peers::Offer::new(Arc::new(zones::ZoneSlot::new(zone.apex.to_name())), Arc::default()));
    let target = Target { zone: 5, settings: zone, mailbox: Arc::clone(&mailbox), offer };
    notifier.set_table(std::iter::once(Arc::new(target)));
    Bench { notifier, woken, mailbox }
}

fn key(secret: usize) -> Arc<DomainKey> {
    let algorithm = config::KeyAlgorithm::HmacSha256;
    let key = config::Key { name: "transfer.".into(), algorithm, secret: SECRETS[secret].1.to_vec() };
    Arc::clone(Key::new(&key).unwrap().inner())
}

fn message(zone: &str, serial: Option<u32>) -> AdditionalBuilder<Vec<u8>> {
    let name: DomainName<Vec<u8>> = zone.parse().unwrap();
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(4711);
    builder.header_mut().set_opcode(DomainOpcode::NOTIFY);
    let mut question = builder.question();
    question.push((&name, DomainRtype::SOA)).unwrap();
    let mut answer = question.answer();
    if let Some(serial) = serial {
        let ttl = domain::base::Ttl::ZERO;
        let soa = domain::rdata::Soa::new(&name, &name, domain::base::Serial(serial), ttl, ttl, ttl, ttl);
        answer.push((&name, ttl, soa)).unwrap();
    }
    answer.additional()
}

impl Bench {
    fn send(&self, message: &[u8], peer: [u8; 4]) -> Vec<u8> {
        let mut out = [0; 1232];
        match self.notifier.handle(message, (peer, 4000).into(), &mut out) {
            Outcome::Answer(length) => out[..length].to_vec(),
            Outcome::Ignore => Vec::new(),
        }
    }

    fn rcode(&self, message: &[u8], peer: [u8; 4]) -> Rcode {
        let answer = self.send(message, peer);
        let header = Header::parse(&answer).unwrap();
        assert!(header.flags.qr() && header.flags.opcode() == Opcode::NOTIFY && header.id == 4711);
        header.flags.rcode()
    }
}

const ORIGIN: [u8; 4] = [192, 0, 2, 1];
const STRANGER: [u8; 4] = [198, 51, 100, 7];

#[test]
fn the_origin_may_and_a_stranger_may_not() {
    let bench = bench("");
    assert_eq!(bench.rcode(&message("zone.test", Some(7)).finish(), ORIGIN), Rcode::NOERROR);
    assert_eq!(bench.mailbox.take(), Some(Notice { serial: Some(7), upstream: Some(0) }));
    assert_eq!(bench.rcode(&message("ZONE.test", None).finish(), ORIGIN), Rcode::NOERROR);
    assert_eq!(bench.mailbox.take(), Some(Notice { serial: None, upstream: Some(0) }));
    assert_eq!(bench.rcode(&message("zone.test", Some(7)).finish(), STRANGER), Rcode::REFUSED);
    assert_eq!(bench.rcode(&message("www.zone.test", Some(7)).finish(), ORIGIN), Rcode::NOTAUTH);
    assert_eq!(bench.rcode(&message("other.test", Some(7)).finish(), STRANGER), Rcode::NOTAUTH);
    assert_eq!(bench.mailbox.take(), None);
    let counters = bench.notifier.counters();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!([read(&counters.accepted), read(&counters.refused), read(&counters.not_ours)], [2, 1, 2]);
}

#[test]
fn prefixes_of_the_configuration_count() {
    let bench = bench("notify_from = [\"198.51.100.0/24\"]");
    assert_eq!(bench.rcode(&message("zone.test", Some(7)).finish(), STRANGER), Rcode::NOERROR);
    assert_eq!(bench.mailbox.take(), Some(Notice { serial: Some(7), upstream: None }));
    assert_eq!(bench.rcode(&message("zone.test", Some(7)).finish(), ORIGIN), Rcode::REFUSED);
}

/// Signs a NOTIFY, and gives the answer with the verdict on its signature.
fn signed(bench: &Bench, secret: usize, now: u64, peer: [u8; 4]) -> (Rcode, Result<(), String>) {
    let mut message = message("zone.test", Some(9));
    let transaction = ClientTransaction::request(key(secret), &mut message, Time48::from_u64(now)).unwrap();
    let answer = bench.send(&message.finish(), peer);
    let rcode = Header::parse(&answer).unwrap().flags.rcode();
    let mut answer = DomainMessage::from_octets(answer).unwrap();
    let verdict = transaction.answer(&mut answer, Time48::from_u64(now)).map_err(|error| error.to_string());
    (rcode, verdict)
}

#[test]
fn a_signature_lets_in_and_the_answer_is_signed_too() {
    let bench = bench("");
    assert_eq!(signed(&bench, 0, unix_now_s(), STRANGER), (Rcode::NOERROR, Ok(())));
    assert_eq!(bench.mailbox.take(), Some(Notice { serial: Some(9), upstream: None }));
}

#[test]
fn a_wrong_signature_keeps_out() {
    let bench = bench("");
    for peer in [ORIGIN, STRANGER] {
        let (rcode, verdict) = signed(&bench, 1, unix_now_s(), peer);
        assert_eq!((rcode, verdict), (Rcode::NOTAUTH, Err("server failed to verify MAC".into())));
    }
    let (rcode, _) = signed(&bench, 0, unix_now_s() - 1000, ORIGIN);
    assert_eq!(rcode, Rcode::NOTAUTH);
    assert_eq!(bench.mailbox.take(), None);
    assert_eq!(bench.notifier.counters().bad_signature.load(Ordering::Relaxed), 3);
}

#[test]
fn both_may_be_asked_for() {
    let bench = bench("notify_key_required = true");
    assert_eq!(bench.rcode(&message("zone.test", Some(7)).finish(), ORIGIN), Rcode::REFUSED);
    assert_eq!(signed(&bench, 0, unix_now_s(), STRANGER).0, Rcode::REFUSED);
    assert_eq!(bench.mailbox.take(), None);
    assert_eq!(signed(&bench, 0, unix_now_s(), ORIGIN), (Rcode::NOERROR, Ok(())));
    assert!(bench.mailbox.take().is_some());
}

#[test]
fn any_number_of_notifies_is_one_wake_with_the_newest_serial() {
    let mut bench = bench("");
    for serial in [7, 9, 8] {
        bench.rcode(&message("zone.test", Some(serial)).finish(), ORIGIN);
    }
    assert_eq!(bench.woken.try_recv().unwrap(), 5);
    assert!(bench.woken.try_recv().is_err());
    assert_eq!(bench.mailbox.take().unwrap().serial, Some(9));
    bench.rcode(&message("zone.test", Some(7)).finish(), ORIGIN);
    bench.rcode(&message("zone.test", None).finish(), ORIGIN);
    assert_eq!(bench.mailbox.take().unwrap().serial, None);
}

#[test]
fn a_full_queue_is_remembered() {
    let bench = bench("");
    for _ in 0..=WAKE_QUEUE_MAX {
        assert!(!bench.notifier.take_overflow());
        bench.rcode(&message("zone.test", Some(7)).finish(), ORIGIN);
        bench.mailbox.take();
    }
    assert!(bench.notifier.take_overflow());
}

#[test]
fn what_is_no_notify() {
    let bench = bench("");
    let mut query = message("zone.test", None).finish();
    query[2] = 0;
    assert!(bench.send(&query, ORIGIN).is_empty());
    let mut response = message("zone.test", None).finish();
    response[2] |= 0x80;
    assert!(bench.send(&response, ORIGIN).is_empty());
    let cut = &message("zone.test", Some(7)).finish()[..30];
    assert_eq!(bench.rcode(cut, ORIGIN), Rcode::FORMERR);
    let mut other_type = message("zone.test", None).finish();
    let at = other_type.len() - 3;
    other_type[at] = 1;
    assert_eq!(bench.rcode(&other_type, ORIGIN), Rcode::FORMERR);
}

#[test]
fn no_bytes_panic() {
    let bench = bench("");
    let mut message = message("zone.test", Some(7));
    ClientTransaction::request(key(0), &mut message, Time48::from_u64(unix_now_s())).unwrap();
    let good = message.finish();
    for at in 0..good.len() {
        for flip in [0x01, 0x10, 0x3f, 0x80, 0xc0, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            bench.send(&bad, ORIGIN);
            bench.send(&good[..at], ORIGIN);
            let mut small = [0; 20];
            bench.notifier.handle(&good, (ORIGIN, 53).into(), &mut small);
        }
    }
}
