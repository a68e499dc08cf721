//! What the service decides: NOTIFY, expiry and recovery, several origins, configuration, disk.

mod support;

use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use support::primary::{Asked, Primary, Reply, Rr, ZONE, a, ns, soa, soa_with};
use support::{Edge, config, dump, free_address, wait_for};
use wire::{Class, Flags, Header, Name, Opcode, Rcode, Rtype, Section, Writer};

fn zone_parts(origins: &[(&str, std::net::SocketAddr)], more: &str) -> String {
    let origin =
        |(name, address): &(&str, std::net::SocketAddr)| format!("[origin.{name}]\naddresses = [\"{address}\"]\n");
    let names: Vec<String> = origins.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!(
        "{}[zone.\"zone.test\"]\norigins = [{}]\n{more}\n[zone.\"zone.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\n\
         refresh_s_min = 1\nexpire_s_min = 1\njitter_percent = 0\n",
        origins.iter().map(origin).collect::<String>(),
        names.join(", "),
    )
}

fn settings(state: &Path, origin: std::net::SocketAddr) -> config::Config {
    config(state, &zone_parts(&[("fake", origin)], ""))
}

fn whole(first: Rr) -> Vec<Rr> {
    vec![first.clone(), ns(), a("www.zone.test", 1), first]
}

/// Answers every question from a zone with this SOA, whole.
fn serve(first: Rr) -> impl Fn(&Asked) -> Reply + Send {
    move |asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(std::slice::from_ref(&first))]),
        _ => Reply::Messages(vec![asked.answer(&whole(first.clone()))]),
    }
}

/// Sends a NOTIFY from an address and gives the answer's code.
fn notify(from: &str, to: std::net::SocketAddr, zone: &str, serial: Option<u32>) -> Rcode {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(77);
    writer.set_flags(Flags::default().with_opcode(Opcode::NOTIFY).with_aa(true));
    let name: Name = zone.parse().unwrap();
    writer.question(name.as_ref(), Rtype::SOA, Class::IN).unwrap();
    if let Some(serial) = serial {
        let Rr(_, rtype, rdata) = soa(serial);
        writer.record(Section::Answer, name.as_ref(), rtype, Class::IN, 0, &rdata).unwrap();
    }
    let length = writer.finish();
    let socket = UdpSocket::bind(from).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&buffer[..length], to).unwrap();
    let (length, _) = socket.recv_from(&mut buffer).unwrap();
    let header = Header::parse(&buffer[..length]).unwrap();
    assert!(header.flags.qr() && header.flags.opcode() == Opcode::NOTIFY && header.id == 77);
    header.flags.rcode()
}

#[test]
fn notify_goes_straight_to_ixfr() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa(1)));
    let edge = Edge::start(&settings(state.path(), primary.address));
    edge.wait_for_serial(ZONE, 1);
    let asked_before = primary.asked().len();
    primary.follow(|asked| match asked.question {
        Rtype::IXFR => {
            assert_eq!(asked.serial, Some(1));
            Reply::Messages(vec![asked.answer(&[soa(2), soa(1), soa(2), a("new.zone.test", 2), soa(2)])])
        }
        _ => panic!("{} was not to be asked for", asked.question),
    });
    assert_eq!(notify("127.0.0.1:0", edge.notify_at, ZONE, Some(2)), Rcode::NOERROR);
    edge.wait_for_serial(ZONE, 2);
    let asked = primary.asked();
    assert_eq!(asked.len(), asked_before + 1);
    assert!(asked[asked_before].tcp);
    // What we have is no news.
    assert_eq!(notify("127.0.0.1:0", edge.notify_at, ZONE, Some(2)), Rcode::NOERROR);
    // Strangers and zones that are not ours.
    assert_eq!(notify("127.0.0.2:0", edge.notify_at, ZONE, Some(3)), Rcode::REFUSED);
    assert_eq!(notify("127.0.0.1:0", edge.notify_at, "other.test", Some(3)), Rcode::NOTAUTH);
    assert_eq!(primary.asked().len(), asked_before + 1);
    edge.stop();
}

/// A serial that was set back: nothing is taken, but the status says so at once.
#[test]
fn notify_of_a_lower_serial_is_looked_into() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa(7)));
    let edge = Edge::start(&settings(state.path(), primary.address));
    edge.wait_for_serial(ZONE, 7);
    // What a NOTIFY says while an attempt runs, the attempt's success answers.
    wait_for("the attempt's end", || (!edge.status(ZONE).attempting).then_some(()));
    primary.follow(|asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(&[soa(3)])]),
        question => panic!("{question} was not to be asked for"),
    });
    assert_eq!(notify("127.0.0.1:0", edge.notify_at, ZONE, Some(3)), Rcode::NOERROR);
    let status = edge.wait_for_error(ZONE, "the origin has serial 3, lower than our 7");
    assert_eq!((status.serial, status.origins[0].serial), (Some(7), Some(3)));
    edge.stop();
}

#[test]
fn a_zone_that_is_pulled_follows_without_notify() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa(1)));
    let parts = format!(
        "[origin.o]\naddresses = [\"{}\"]\n[zone.\"zone.test\"]\norigins = [\"o\"]\nmode = \"pull\"\npull_interval_s = 1\n",
        primary.address
    );
    let edge = Edge::start(&config(state.path(), &parts));
    for serial in 1..4 {
        primary.follow(serve(soa(serial)));
        edge.wait_for_serial(ZONE, serial);
    }
    // One second, not the hour that the SOA says.
    assert!(edge.status(ZONE).next_attempt_in_s.unwrap_or_default() <= 1.0);
    edge.stop();
}

/// RFC 7314: what an origin that is a secondary has left of its copy is all that ours is good for, after a restart too.
#[test]
fn what_the_origin_has_left_caps_the_expiry() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(|asked: &Asked| {
        let option = asked.bytes.windows(4).any(|window| window == [0, 9, 0, 0]);
        assert!(option, "{} without EDNS EXPIRE", asked.question);
        let records = if asked.question == Rtype::SOA { vec![soa(1)] } else { vec![soa(1), ns(), soa(1)] };
        Reply::Messages(vec![asked.answer_with_expire(&records, 100)])
    });
    let config = settings(state.path(), primary.address);
    let edge = Edge::start(&config);
    edge.wait_for_serial(ZONE, 1);
    let left = wait_for("the expiry", || edge.status(ZONE).expires_in_s);
    assert!(left > 50.0 && left <= 100.0, "{left}");
    drop(primary);
    edge.stop();
    let edge = Edge::start(&config);
    let left = edge.status(ZONE).expires_in_s.unwrap();
    assert!(left > 50.0 && left <= 101.0, "{left} after a restart");
    edge.stop();
}

#[test]
fn a_transfer_that_notify_asked_for_is_retried() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa(1)));
    let edge = Edge::start(&settings(state.path(), primary.address));
    edge.wait_for_serial(ZONE, 1);
    let mut failures_left = 2;
    primary.follow(move |asked| match asked.question {
        Rtype::SOA => Reply::Messages(vec![asked.answer(&[soa(2)])]),
        _ if failures_left > 0 => {
            failures_left -= 1;
            Reply::ThenClose(vec![])
        }
        _ => Reply::Messages(vec![asked.answer(&whole(soa(2)))]),
    });
    let started = Instant::now();
    notify("127.0.0.1:0", edge.notify_at, ZONE, Some(2));
    edge.wait_for_serial(ZONE, 2);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    edge.stop();
}

#[test]
fn expires_and_recovers_with_a_lower_serial() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa_with(50, [1, 1, 3])));
    let config = settings(state.path(), primary.address);
    let edge = Edge::start(&config);
    edge.wait_for_serial(ZONE, 50);
    primary.follow(|_| Reply::ThenClose(vec![]));
    wait_for("expired", || edge.is_expired(ZONE).then_some(()));
    wait_for("the status", || (edge.status(ZONE).state == origin_sync::ZoneCondition::Expired).then_some(()));
    edge.kill();
    // Expiry holds across a restart.
    let edge = Edge::start(&config);
    assert!(edge.is_expired(ZONE));
    primary.follow(serve(soa_with(7, [3600, 1, 86_400])));
    edge.wait_for_serial(ZONE, 7);
    edge.stop();
    let edge = Edge::start(&config);
    assert_eq!(edge.serial(ZONE), Some(7));
    edge.stop();
}

#[test]
fn an_expired_copy_may_be_served_on() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa_with(50, [1, 1, 2])));
    let parts = zone_parts(&[("fake", primary.address)], "on_expire = \"serve\"");
    let edge = Edge::start(&config(state.path(), &parts));
    edge.wait_for_serial(ZONE, 50);
    primary.follow(|_| Reply::ThenClose(vec![]));
    wait_for("stale", || (edge.status(ZONE).state == origin_sync::ZoneCondition::Stale).then_some(()));
    assert_eq!(edge.serial(ZONE), Some(50));
    primary.follow(serve(soa_with(50, [3600, 1, 86_400])));
    wait_for("serving", || (edge.status(ZONE).state == origin_sync::ZoneCondition::Serving).then_some(()));
    edge.stop();
}

#[test]
fn another_origin_when_the_first_fails() {
    let state = tempfile::tempdir().unwrap();
    let (dead, good) = (free_address(), Primary::start(serve(soa(5))));
    let parts = zone_parts(&[("dead", dead), ("good", good.address)], "");
    let edge = Edge::start(&config(state.path(), &parts));
    edge.wait_for_serial(ZONE, 5);
    wait_for("both in the status", || {
        let status = edge.status(ZONE);
        let [dead, good] = &status.origins[..] else { panic!("two origins") };
        let told =
            dead.last_error_kind.as_deref() == Some("connect") && good.serial == Some(5) && good.last_error.is_none();
        (told && status.last_error.is_none()).then_some(())
    });
    edge.stop();
}

#[test]
fn soa_over_tcp_when_udp_says_nothing_or_is_truncated() {
    for truncated in [false, true] {
        let state = tempfile::tempdir().unwrap();
        let primary = Primary::start(serve(soa_with(1, [1, 1, 86_400])));
        let edge = Edge::start(&settings(state.path(), primary.address));
        edge.wait_for_serial(ZONE, 1);
        primary.follow(move |asked| match (asked.question, asked.tcp) {
            (Rtype::SOA, false) if truncated => {
                let mut message = asked.answer(&[]);
                message[2] |= 2;
                Reply::Messages(vec![message])
            }
            (Rtype::SOA, false) => Reply::Messages(vec![]),
            _ => serve(soa_with(2, [3600, 1, 86_400]))(asked),
        });
        edge.wait_for_serial(ZONE, 2);
        edge.stop();
    }
}

#[test]
fn forged_datagrams_are_passed_over() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa_with(1, [1, 1, 86_400])));
    let edge = Edge::start(&settings(state.path(), primary.address));
    edge.wait_for_serial(ZONE, 1);
    primary.follow(|asked| match asked.question {
        Rtype::SOA if !asked.tcp => {
            let mut forged = asked.answer(&[soa(1000)]);
            forged[1] ^= 1;
            Reply::Messages(vec![vec![0; 3], forged, asked.answer(&[soa(2)])])
        }
        _ => serve(soa(2))(asked),
    });
    edge.wait_for_serial(ZONE, 2);
    edge.stop();
}

#[test]
fn requests_leave_from_the_source_address() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa_with(1, [1, 1, 86_400])));
    let parts = zone_parts(&[("fake", primary.address)], "");
    let parts = parts.replacen("[zone", "source_v4 = \"127.0.0.77\"\n[zone", 1);
    let edge = Edge::start(&config(state.path(), &parts));
    edge.wait_for_serial(ZONE, 1);
    let asked = wait_for("a transfer and a SOA query", || {
        let asked = primary.asked();
        (asked.iter().any(|asked| asked.tcp) && asked.iter().any(|asked| !asked.tcp)).then_some(asked)
    });
    assert!(asked.iter().all(|asked| asked.peer.ip() == std::net::IpAddr::from([127, 0, 0, 77])), "{asked:?}");
    edge.stop();
}

#[test]
fn a_configuration_is_applied_zone_by_zone() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa(1)));
    let with = settings(state.path(), primary.address);
    let without = config(state.path(), &format!("[origin.fake]\naddresses = [\"{}\"]\n", primary.address));
    let edge = Edge::start(&without);
    assert!(edge.sync().status().is_empty());
    let apply = |config| edge.runtime.block_on(edge.sync().apply(config)).unwrap();
    let applied = |added, removed, changed| origin_sync::Applied { added, removed, changed };
    assert_eq!(apply(&with), applied(1, 0, 0));
    edge.wait_for_serial(ZONE, 1);
    let folder = state.path().join("zones/zone.test");
    assert!(folder.join("snapshot").is_file());
    let asked = primary.asked().len();
    assert_eq!(apply(&with), applied(0, 0, 0));
    assert_eq!(primary.asked().len(), asked);
    assert_eq!(apply(&without), applied(0, 1, 0));
    assert!(edge.zones.get(ZONE.parse::<Name>().unwrap().as_ref()).is_none());
    assert!(!folder.exists());
    assert_eq!(notify("127.0.0.1:0", edge.notify_at, ZONE, Some(3)), Rcode::NOTAUTH);
    assert_eq!(apply(&with), applied(1, 0, 0));
    edge.wait_for_serial(ZONE, 1);
    edge.stop();
}

#[test]
fn a_damaged_snapshot_is_set_aside_and_fetched_anew() {
    let state = tempfile::tempdir().unwrap();
    let primary = Primary::start(serve(soa(1)));
    let config = settings(state.path(), primary.address);
    let edge = Edge::start(&config);
    edge.wait_for_serial(ZONE, 1);
    let before = dump(&edge.zone(ZONE).unwrap());
    edge.stop();
    let snapshot = state.path().join("zones/zone.test/snapshot");
    let good = std::fs::read(&snapshot).unwrap();
    for at in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        std::fs::write(&snapshot, &bad).unwrap();
        let edge = Edge::start(&config);
        edge.wait_for_serial(ZONE, 1);
        assert_eq!(dump(&edge.zone(ZONE).unwrap()), before);
        assert_eq!(std::fs::read(state.path().join("zones/zone.test/snapshot.damaged")).unwrap(), bad);
        edge.stop();
    }
}

#[test]
fn many_zones_from_one_origin() {
    const ZONES: usize = 300;
    let state = tempfile::tempdir().unwrap();
    // Whatever the question, the answer is made for the name that was asked for.
    let primary = Primary::start(|asked| {
        let name = wire::Message::parse(&asked.bytes).unwrap().questions().next().unwrap().0;
        let mut first = soa(1);
        first.0 = name.to_string();
        Reply::Messages(vec![asked.answer_for(&name, &[first.clone(), first])])
    });
    let mut parts = format!("[origin.fake]\naddresses = [\"{}\"]\n", primary.address);
    (0..ZONES).for_each(|n| parts.push_str(&format!("[zone.\"z{n}.test\"]\norigins = [\"fake\"]\n")));
    let config = config(state.path(), &parts);
    let edge = Edge::start(&config);
    wait_for("all zones", || (0..ZONES).all(|n| edge.serial(&format!("z{n}.test.")) == Some(1)).then_some(()));
    edge.stop();
    drop(primary);
    let edge = Edge::start(&config);
    assert!((0..ZONES).all(|n| edge.serial(&format!("z{n}.test.")) == Some(1)));
    edge.kill();
}
