//! Zones that are filled on demand, before an origin that does what a test says: slow, wrong, lame, silent, dead.

mod support;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use cache::{CachedAnswer, Failure, Filled, Kind};
use origin_sync::{Health, OnDemandStatus, Refilled};
use support::primary::{Asked, Primary, Reply, Rr, a, ns, soa, soa_with};
use support::{Edge, config, free_address, wait_for};
use wire::{Class, Flags, Message, Name, Query, Rcode, Rtype, Section, Writer, edns};
use zones::ZoneState;

const ZONE: &str = "zone.test.";

/// How long an answer may take that is expected.
const SOON: Duration = Duration::from_secs(10);

/// A network file's part: one origin for each list of addresses, and the zone.
fn parts(origins: &[SocketAddr], zone: &str) -> String {
    let mut text = String::new();
    for (number, address) in origins.iter().enumerate() {
        text.push_str(&format!("[origin.o{number}]\naddresses = [\"{address}\"]\n"));
    }
    let names: Vec<_> = (0..origins.len()).map(|number| format!("\"o{number}\"")).collect();
    format!(
        "{text}[zone.\"zone.test\"]\norigins = [{}]\nmode = \"on-demand\"\n[zone.\"zone.test\".on_demand]\n{zone}",
        names.join(", ")
    )
}

fn edge(state: &Path, origins: &[SocketAddr], zone: &str) -> Edge {
    Edge::start(&config(state, &parts(origins, zone)))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The zone's number, from its slot, as a lane has it.
fn id(edge: &Edge) -> u64 {
    match **edge.zones.get(name(ZONE).as_ref()).unwrap().state() {
        ZoneState::OnDemand { id } => id,
        ref other => panic!("{other:?}"),
    }
}

fn ask(edge: &Edge, qname: &str, qtype: Rtype) -> Receiver<Filled> {
    let (done, filled) = channel();
    edge.sync().on_demand().ask(id(edge), name(qname).as_ref(), qtype, move |answer| drop(done.send(answer)));
    filled
}

fn fill(edge: &Edge, qname: &str) -> Filled {
    ask(edge, qname, Rtype::A).recv_timeout(SOON).expect("an answer")
}

fn answer(filled: Filled) -> std::sync::Arc<CachedAnswer> {
    match filled {
        Filled::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn failure(filled: Filled) -> Failure {
    match filled {
        Filled::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

fn status(edge: &Edge) -> OnDemandStatus {
    edge.sync().on_demand().status(id(edge)).unwrap()
}

/// Waits for a status that is what the test wants; it is published now and then.
fn wait_for_status(edge: &Edge, what: &str, is: impl Fn(&OnDemandStatus) -> bool) -> OnDemandStatus {
    wait_for(what, || Some(status(edge)).filter(&is))
}

/// What an origin says: code, AA, records, and a server cookie behind the echoed client cookie.
struct Says<'a> {
    rcode: Rcode,
    aa: bool,
    tc: bool,
    answer: &'a [Rr],
    authority: &'a [Rr],
    cookie: Option<&'a [u8]>,
    /// Octets changed in the question's name.
    case: bool,
}

const GOOD: Says<'static> =
    Says { rcode: Rcode::NOERROR, aa: true, tc: false, answer: &[], authority: &[], cookie: None, case: false };

fn say(asked: &Asked, says: &Says<'_>) -> Vec<u8> {
    let query = Query::parse(&asked.bytes).unwrap();
    let question = query.question.unwrap();
    let mut buffer = vec![0; 4096];
    let mut writer = Writer::new(&mut buffer, 4096).unwrap();
    writer.set_id(asked.id);
    writer.set_flags(Flags::default().with_qr(true).with_aa(says.aa).with_tc(says.tc).with_rcode(says.rcode));
    let mut qname = question.name.to_owned();
    if says.case {
        qname.make_ascii_lowercase();
    }
    writer.question(qname.as_ref(), question.rtype, Class::IN).unwrap();
    for (section, records) in [(Section::Answer, says.answer), (Section::Authority, says.authority)] {
        for Rr(owner, rtype, rdata) in records {
            writer.record(section, name(owner).as_ref(), *rtype, Class::IN, 300, rdata).unwrap();
        }
    }
    let upper = (says.rcode.0 >> 4) as u8;
    let client = query.edns.and_then(|edns| edns.option(edns::option::COOKIE)).map(|cookie| cookie[..8].to_vec());
    let options = |options: &mut wire::OptionWriter<'_, '_>| match (client, says.cookie) {
        (Some(client), Some(server)) => options.option(edns::option::COOKIE, &[&client, server].concat()),
        _ => Ok(()),
    };
    writer.opt(1232, upper, 0, true, options).unwrap();
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

fn qname(asked: &Asked) -> Name {
    Message::parse(&asked.bytes).unwrap().questions().next().unwrap().0
}

/// One A record for whatever is asked.
fn good(asked: &Asked) -> Vec<u8> {
    say(asked, &Says { answer: &[a(&qname(asked).to_string(), 7)], ..GOOD })
}

fn reply(message: Vec<u8>) -> Reply {
    Reply::Messages(vec![message])
}

#[test]
fn one_question_for_all_and_nothing_of_a_client_in_it() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| {
        std::thread::sleep(Duration::from_millis(100));
        reply(good(asked))
    });
    let edge = edge(state.path(), &[origin.address], "");
    let waiting: Vec<_> = (0..50).map(|_| ask(&edge, "WWW.zone.test", Rtype::A)).collect();
    for filled in waiting {
        let answer = answer(filled.recv_timeout(SOON).unwrap());
        assert_eq!((answer.kind(), answer.rcode()), (Kind::Found, Rcode::NOERROR));
    }
    // In the cache by now: nothing is asked.
    answer(fill(&edge, "www.zone.test"));
    let asked = origin.asked();
    let [asked] = &asked[..] else { panic!("{} questions", asked.len()) };
    let query = Query::parse(&asked.bytes).unwrap();
    assert_eq!(query.header.flags, Flags::default());
    let edns = query.edns.unwrap();
    assert_eq!((edns.udp_size, edns.dnssec_ok), (1232, true));
    let options: Vec<_> = edns.options().map(|(code, data)| (code, data.len())).collect();
    assert_eq!(options, [(edns::option::COOKIE, 8)]);
    let status = wait_for_status(&edge, "the answer", |status| status.upstreams[0].answered_total == 1);
    assert_eq!((status.misses_total, status.coalesced_total, status.upstreams[0].asked_total), (50, 49, 1));
    assert_eq!((status.upstreams[0].health, status.cache_entries), (Health::Up, 1));
    assert!(status.upstreams[0].srtt_ms.unwrap() >= 100.0);
    edge.stop();
}

#[test]
fn ports_ids_and_case_are_drawn_anew_for_each_question() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| reply(good(asked)));
    let edge = edge(state.path(), &[origin.address], "");
    for number in 0..100 {
        answer(fill(&edge, &format!("a-name-with-many-letters-{number:03}.zone.test")));
    }
    let asked = origin.asked();
    let count = |of: &dyn Fn(&Asked) -> Vec<u8>| asked.iter().map(of).collect::<HashSet<_>>().len();
    assert_eq!(asked.len(), 100);
    assert!(count(&|asked| asked.peer.port().to_be_bytes().to_vec()) > 90);
    assert!(count(&|asked| asked.id.to_be_bytes().to_vec()) > 90);
    assert!(count(&|asked| qname(asked).as_bytes()[..20].to_vec()) > 90);
    // The cookie is the origin's own.
    assert_eq!(count(&|asked| Query::parse(&asked.bytes).unwrap().edns.unwrap().option(10).unwrap().to_vec()), 1);
    edge.stop();
}

#[test]
fn without_random_case_names_are_asked_for_in_lower_case() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| reply(good(asked)));
    let edge = edge(state.path(), &[origin.address], "case_randomisation = false");
    answer(fill(&edge, "WwW.ZONE.test"));
    assert_eq!(qname(&origin.asked()[0]).as_bytes(), name("www.zone.test").as_bytes());
    edge.stop();
}

#[test]
fn wrong_answers_are_passed_over_or_asked_for_over_tcp() {
    type Wrong = fn(&Asked) -> Vec<Vec<u8>>;
    let cases: [(&str, Wrong, bool); 6] = [
        ("wrong id", |asked| vec![good(&Asked { id: asked.id ^ 1, ..asked.clone() }), good(asked)], false),
        ("garbage", |asked| vec![vec![], vec![0; 3], vec![0xff; 40], good(asked)], false),
        ("many wrong ids", |asked| vec![good(&Asked { id: asked.id ^ 1, ..asked.clone() }); 20], true),
        (
            "wrong question",
            |asked| {
                let mut bytes = asked.bytes.clone();
                bytes[13] ^= 1;
                vec![say(&Asked { bytes, ..asked.clone() }, &GOOD)]
            },
            true,
        ),
        ("wrong case", |asked| vec![say(asked, &Says { case: true, answer: &[a("www.zone.test", 9)], ..GOOD })], true),
        ("truncated", |asked| vec![say(asked, &Says { tc: true, ..GOOD })], true),
    ];
    for (what, wrong, over_tcp) in cases {
        let state = tempfile::tempdir().unwrap();
        let origin =
            Primary::start(move |asked| if asked.tcp { reply(good(asked)) } else { Reply::Messages(wrong(asked)) });
        let edge = edge(state.path(), &[origin.address], "origin_timeout_ms = 5000");
        let answer = answer(fill(&edge, "www.zone.test"));
        assert_eq!(answer.kind(), Kind::Found, "{what}");
        assert_eq!(answer.rrsets().next().unwrap().rdatas().next().unwrap(), [192, 0, 2, 7], "{what}");
        let asked: Vec<_> = origin.asked().iter().map(|asked| asked.tcp).collect();
        assert_eq!(asked, if over_tcp { vec![false, true] } else { vec![false] }, "{what}");
        edge.stop();
    }
}

#[test]
fn a_cookie_is_learnt_and_brought() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| {
        let query = Query::parse(&asked.bytes).unwrap();
        let cookie = query.edns.unwrap().option(edns::option::COOKIE).unwrap();
        let rr = a(&qname(asked).to_string(), 7);
        let says = Says { cookie: Some(b"a-server-cookie!"), ..GOOD };
        match &cookie[8..] {
            b"a-server-cookie!" => reply(say(asked, &Says { answer: &[rr], ..says })),
            _ => reply(say(asked, &Says { rcode: Rcode::BADCOOKIE, aa: false, ..says })),
        }
    });
    let edge = edge(state.path(), &[origin.address], "");
    answer(fill(&edge, "a.zone.test"));
    answer(fill(&edge, "b.zone.test"));
    assert_eq!(origin.asked().iter().map(|asked| asked.tcp).collect::<Vec<_>>(), [false, false, false]);
    // Who says nothing of cookies any more is not believed over UDP, but over TCP.
    origin.follow(|asked| reply(good(asked)));
    answer(fill(&edge, "c.zone.test"));
    answer(fill(&edge, "d.zone.test"));
    assert_eq!(origin.asked().iter().map(|asked| asked.tcp).collect::<Vec<_>>()[3..], [false, true, false]);
    edge.stop();
}

#[test]
fn another_origin_when_one_is_dead_silent_lame_or_refuses() {
    type Bad = Option<fn(&Asked) -> Reply>;
    let cases: [(&str, Bad); 5] = [
        ("dead", None),
        ("silent", Some(|_| Reply::Messages(vec![]))),
        ("lame", Some(|asked| reply(say(asked, &Says { aa: false, ..GOOD })))),
        ("refuses", Some(|asked| reply(say(asked, &Says { aa: false, rcode: Rcode::REFUSED, ..GOOD })))),
        ("fails", Some(|asked| reply(say(asked, &Says { aa: false, rcode: Rcode::SERVFAIL, ..GOOD })))),
    ];
    for (what, bad) in cases {
        let state = tempfile::tempdir().unwrap();
        let bad = bad.map(Primary::start);
        let good = Primary::start(|asked| reply(good(asked)));
        let bad_address = bad.as_ref().map_or_else(free_address, |bad| bad.address);
        let edge = edge(state.path(), &[bad_address, good.address], "");
        for number in 0..12 {
            answer(fill(&edge, &format!("{number}.zone.test")));
        }
        let status = wait_for_status(&edge, what, |status| status.upstreams[1].answered_total == 12);
        let asked_bad = status.upstreams[0].asked_total;
        assert!((1..12).contains(&asked_bad), "{what}: {asked_bad} questions");
        assert_eq!(status.failed_total, 0, "{what}");
        edge.stop();
    }
}

#[test]
fn a_dead_origin_is_not_hammered_and_its_return_is_noticed() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|_| Reply::Messages(vec![]));
    let edge = edge(state.path(), &[origin.address], "origin_timeout_ms = 100");
    assert_eq!(failure(fill(&edge, "a.zone.test")), Failure::NoOrigin);
    let before = origin.asked().len();
    assert_eq!(before, 3);
    // Failed a moment ago; and for other names the origin is down.
    assert_eq!(failure(fill(&edge, "a.zone.test")), Failure::NoOrigin);
    for number in 0..500 {
        assert_eq!(failure(fill(&edge, &format!("b{number}.zone.test"))), Failure::NoOrigin);
    }
    assert!(origin.asked().len() - before <= 5, "{} questions", origin.asked().len() - before);
    wait_for_status(&edge, "it is down", |status| status.upstreams[0].health == Health::Down);
    origin.follow(|asked| reply(good(asked)));
    let mut number = 0;
    wait_for("it is back", || {
        number += 1;
        matches!(fill(&edge, &format!("c{number}.zone.test")), Filled::Answer(_)).then_some(())
    });
    edge.stop();
}

#[test]
fn what_is_too_old_stands_in_for_a_silent_origin() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| {
        let rr = a(&qname(asked).to_string(), 7);
        reply(say(asked, &Says { answer: &[rr], ..GOOD }))
    });
    let edge = edge(
        state.path(),
        &[origin.address],
        "ttl_s_max = 1\nclient_wait_ms = 300\norigin_timeout_ms = 400\nstale_s_max = 3600",
    );
    let first = answer(fill(&edge, "www.zone.test"));
    origin.follow(|_| Reply::Messages(vec![]));
    wait_for("its life is over", || (!first.is_fresh(Instant::now())).then_some(()));
    let started = Instant::now();
    assert!(matches!(fill(&edge, "www.zone.test"), Filled::Stale(_)));
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
    // The question has gone on; when the origin answers again, the new answer is in the cache for the next one.
    origin.follow(|asked| reply(good(asked)));
    wait_for("a fresh one", || matches!(fill(&edge, "www.zone.test"), Filled::Answer(_)).then_some(()));
    edge.stop();
}

#[test]
fn without_stale_there_is_none() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| reply(good(asked)));
    let edge = edge(state.path(), &[origin.address], "ttl_s_max = 1\nstale_s_max = 0\norigin_timeout_ms = 100");
    let first = answer(fill(&edge, "www.zone.test"));
    origin.follow(|_| Reply::Messages(vec![]));
    wait_for("its life is over", || (!first.is_fresh(Instant::now())).then_some(()));
    assert_eq!(failure(fill(&edge, "www.zone.test")), Failure::NoOrigin);
    edge.stop();
}

#[test]
fn a_miss_storm_stays_within_the_budget() {
    const NAMES: usize = 50_000;
    let state = tempfile::tempdir().unwrap();
    let origin =
        Primary::start(|asked| reply(say(asked, &Says { rcode: Rcode::NXDOMAIN, authority: &[soa(1)], ..GOOD })));
    let edge = edge(state.path(), &[origin.address], "misses_per_s_max = 100");
    let started = Instant::now();
    let (done, filled) = channel();
    for number in 0..NAMES {
        let done = done.clone();
        let told = move |answer| drop(done.send(answer));
        edge.sync().on_demand().ask(id(&edge), name(&format!("x{number}.zone.test")).as_ref(), Rtype::A, told);
    }
    let mut answered = 0;
    for _ in 0..NAMES {
        match filled.recv_timeout(SOON).expect("everyone is told") {
            Filled::Answer(answer) => {
                assert_eq!(answer.kind(), Kind::NxDomain);
                answered += 1;
            }
            Filled::Failed(Failure::OverBudget) => {}
            other => panic!("{other:?}"),
        }
    }
    let seconds = started.elapsed().as_secs() as usize + 1;
    let asked = origin.asked().len();
    assert!(asked <= 100 * seconds, "{asked} questions in {seconds} s");
    assert!(answered >= 80 && answered <= asked, "{answered} of {asked}");
    edge.stop();
}

#[test]
fn a_purge_reaches_what_is_under_way() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|_| Reply::Messages(vec![]));
    let edge = edge(state.path(), &[origin.address], "origin_timeout_ms = 3000");
    let waiting = ask(&edge, "www.zone.test", Rtype::A);
    wait_for("the question", || (origin.asked().len() == 1).then_some(()));
    let before = origin.asked()[0].clone();
    origin.follow(|asked| reply(good(asked)));
    let purge =
        |name: &str, subtree| edge.runtime.block_on(edge.sync().on_demand().purge(self::name(name).as_ref(), subtree));
    let outcome = purge("www.zone.test", false);
    assert_eq!((outcome[0].zone.as_str(), outcome[0].removed, outcome.len()), (ZONE, 0, 1));
    answer(waiting.recv_timeout(SOON).unwrap());
    let asked = origin.asked();
    assert_eq!(asked.len(), 2);
    assert_ne!((asked[1].id, asked[1].peer), (before.id, before.peer));
    // What is purged is gone, once.
    assert_eq!(purge("zone.test", false)[0].removed, 0);
    answer(fill(&edge, "a.www.zone.test"));
    assert_eq!(purge("WWW.zone.test", true)[0].removed, 2);
    assert_eq!(purge("www.zone.test", true)[0].removed, 0);
    assert_eq!(purge("elsewhere.test", true), []);
    assert_eq!(purge("test", true)[0].zone, ZONE);
    edge.stop();
}

/// Whoever keeps answers of the zone beside the cache knows by its generation when they are not of now.
#[test]
fn what_changes_in_the_cache_changes_the_zones_generation() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| reply(good(asked)));
    let edge = edge(state.path(), &[origin.address], "");
    let generation = || edge.zones.get(name(ZONE).as_ref()).unwrap().generation().expect("nothing changes now");
    let first = generation();
    answer(fill(&edge, "www.zone.test"));
    answer(fill(&edge, "a.www.zone.test"));
    assert_eq!(generation(), first, "there was nothing before");
    edge.runtime.block_on(edge.sync().on_demand().purge(name("www.zone.test").as_ref(), false));
    let purged = generation();
    assert_ne!(purged, first);
    // Fetched anew before its time.
    edge.runtime.block_on(edge.sync().on_demand().fill(name(ZONE).as_ref())).unwrap();
    assert_ne!(generation(), purged);
    edge.stop();
}

#[test]
fn a_fill_fetches_anew_what_the_cache_has() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| reply(good(asked)));
    let edge = edge(state.path(), &[origin.address], "misses_per_s_max = 40");
    for number in 0..20 {
        answer(fill(&edge, &format!("{number}.zone.test")));
    }
    origin.follow(|asked| match asked.question {
        Rtype::A => reply(say(asked, &Says { answer: &[a(&qname(asked).to_string(), 8)], ..GOOD })),
        _ => reply(say(asked, &Says { authority: &[soa(1)], ..GOOD })),
    });
    let outcome = edge.runtime.block_on(edge.sync().on_demand().fill(name(ZONE).as_ref()));
    assert_eq!(outcome, Some(Refilled { asked: 23, answered: 23, failed: 0, left: 0 }));
    let asked = origin.asked().len();
    assert_eq!(asked, 20 + 23);
    let answer = answer(fill(&edge, "7.zone.test"));
    assert_eq!(answer.rrsets().next().unwrap().rdatas().next().unwrap(), [192, 0, 2, 8]);
    assert_eq!(origin.asked().len(), asked);
    assert_eq!(edge.runtime.block_on(edge.sync().on_demand().fill(name("other.test").as_ref())), None);
    edge.stop();
}

#[test]
fn a_prefetch_replaces_the_answer() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| reply(good(asked)));
    let edge = edge(state.path(), &[origin.address], "");
    answer(fill(&edge, "www.zone.test"));
    origin.follow(|asked| reply(say(asked, &Says { answer: &[a("www.zone.test", 8)], ..GOOD })));
    edge.sync().on_demand().prefetch(id(&edge), name("www.zone.test").as_ref(), Rtype::A);
    wait_for("the new answer", || {
        let answer = answer(fill(&edge, "www.zone.test"));
        (answer.rrsets().next().unwrap().rdatas().next().unwrap() == [192, 0, 2, 8]).then_some(())
    });
    assert_eq!(origin.asked().len(), 2);
    edge.stop();
}

#[test]
fn zones_come_change_and_go() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| reply(good(asked)));
    let other = Primary::start(|asked| reply(good(asked)));
    let edge = edge(state.path(), &[origin.address], "");
    let before = id(&edge);
    answer(fill(&edge, "a.zone.test"));
    let apply = |text: &str| edge.runtime.block_on(edge.sync().apply(&config(state.path(), text))).unwrap();
    let applied = |added, removed, changed| origin_sync::Applied { added, removed, changed };
    assert_eq!(apply(&parts(&[other.address], "")), applied(0, 0, 1));
    assert_eq!(id(&edge), before);
    answer(fill(&edge, "b.zone.test"));
    assert_eq!((origin.asked().len(), other.asked().len()), (1, 1));
    // What the cache has stays.
    answer(fill(&edge, "a.zone.test"));
    assert_eq!((origin.asked().len(), other.asked().len()), (1, 1));
    assert_eq!(apply(""), applied(0, 1, 0));
    assert!(edge.zones.get(name(ZONE).as_ref()).is_none());
    let (done, filled) = channel();
    edge.sync().on_demand().ask(before, name("a.zone.test").as_ref(), Rtype::A, move |answer| drop(done.send(answer)));
    assert_eq!(failure(filled.recv_timeout(SOON).unwrap()), Failure::Gone);
    assert_eq!(apply(&parts(&[origin.address], "")), applied(1, 0, 0));
    assert_ne!(id(&edge), before);
    answer(fill(&edge, "a.zone.test"));
    edge.stop();
}

#[test]
fn a_whole_copy_that_expires_is_a_cache_again() {
    let state = tempfile::tempdir().unwrap();
    let origin = Primary::start(|asked| match asked.question {
        Rtype::AXFR => {
            let soa = soa_with(3, [1, 1, 2]);
            reply(asked.answer(&[soa.clone(), ns(), a("www.zone.test", 1), soa]))
        }
        _ => reply(good(asked)),
    });
    let timers = "[zone.\"zone.test\".timers]\nretry_s_min = 1\nretry_s_max = 1\nrefresh_s_min = 1\nexpire_s_min = 1\n";
    let edge = edge(state.path(), &[origin.address], &format!("whole_records_max = 10\n{timers}"));
    let before = id(&edge);
    answer(fill(&edge, "www.zone.test"));
    edge.wait_for_serial(ZONE, 3);
    // Transfers and SOA queries fail from now on, questions do not.
    origin.follow(|asked| match asked.question {
        Rtype::A => reply(good(asked)),
        _ => reply(asked.error(Rcode::REFUSED)),
    });
    wait_for("the copy has expired", || edge.serial(ZONE).is_none().then_some(()));
    assert_eq!(id(&edge), before);
    assert_eq!(answer(fill(&edge, "other.zone.test")).kind(), Kind::Found);
    edge.stop();
}
