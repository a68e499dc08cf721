//! An on-demand zone answers as its origin does: the same generated questions to both, with DO and without, over UDP and
//! TCP; at the edge first from the origin, then from the cache.

use std::net::{IpAddr, SocketAddr};

use parapet_lab::{Named, ZoneSpec, dns};
use parapet_tests::answer::Rrsets;
use parapet_tests::compare::{self, Case, NAMED_OPTIONS, Subject, World};
use parapet_tests::{Answer, Question, Signing, ZoneFile, ask, generator, rich_text};

use wire::{Rcode, Rtype};

use crate::scene::Scene;

/// Questions about each zone, beyond two for each of its RRsets.
const QUESTIONS: usize = 700;
/// What the edge says to origins that it takes over UDP.
const ORIGIN_PAYLOAD_BYTES: usize = 1232;
/// Differences that a message shows.
const SHOWN_MAX: usize = 12;
/// A cached answer is at most this old: the whole test is over before.
const AGE_S_MAX: u32 = 120;

fn file(zone: &str) -> String {
    format!(
        "[node.edge1]\nlisten = [\"@LISTEN@\"]\nstate_dir = \"@STATE@\"\n[node.edge1.limits]\nudp_payload_bytes_max = 4096\n\
         [origin.first]\naddresses = [\"@ORIGIN@\"]\n[zone.\"{zone}\"]\norigins = [\"first\"]\nmode = \"on-demand\"\n\
         [zone.\"{zone}\".on_demand]\nmisses_per_s_max = 100000\nmisses_in_flight_max = 4096\n"
    )
}

/// What differs between two answers to one question; TTLs of the cache's may be less, by its age, and the zone's own NS
/// RRset, which `named` adds to answers, is optional.
fn differing(world: &World, question: &Question, ours: &Answer, theirs: &Answer) -> Vec<String> {
    let case = Case { question, ours, peer: Subject::Named, theirs, world };
    let mut differences = Vec::new();
    // An origin that cannot answer (two aliases that lead to each other) leaves the edge without an answer, and no more.
    if theirs.rcode == Rcode::SERVFAIL && ours.rcode == Rcode::SERVFAIL {
        return differences;
    }
    let header = |answer: &Answer| (answer.rcode, answer.aa, answer.ra, answer.ad);
    if header(ours) != header(theirs) {
        differences.push(format!("header: {:?}, the origin's {:?}", header(ours), header(theirs)));
    }
    let theirs_is_large = theirs.length > ORIGIN_PAYLOAD_BYTES;
    for (section, ours, theirs) in [
        ("answer", ours.answer.clone(), theirs.answer.clone()),
        ("authority", case.authority(ours), case.authority(theirs)),
        // The edge asks with less room than this client has; `named` leaves out of a referral what would not fit.
        ("glue", case.own_glue(ours), case.own_glue(theirs)),
    ] {
        let some_left_out = theirs_is_large && ours.keys().all(|key| theirs.contains_key(key));
        if section == "glue" && (some_left_out || question.udp_bytes_max != Some(4096)) {
            continue;
        }
        if let Some(why) = rrsets_differ(&ours, &theirs) {
            differences.push(format!("{section}: {why}"));
        }
    }
    differences
}

fn rrsets_differ(ours: &Rrsets, theirs: &Rrsets) -> Option<String> {
    if !ours.keys().eq(theirs.keys()) {
        return Some(format!("{}\n      the origin's {}", describe(ours), describe(theirs)));
    }
    ours.iter().zip(theirs).find_map(|((key, (our_ttl_s, our_data)), (_, (their_ttl_s, their_data)))| {
        let younger = our_ttl_s <= their_ttl_s && our_ttl_s + AGE_S_MAX >= *their_ttl_s;
        let what = format!("{} {}", key.owner, key.rtype);
        (our_data != their_data)
            .then(|| format!("{what}: other data"))
            .or_else(|| (!younger).then(|| format!("{what}: TTL {our_ttl_s}, the origin's {their_ttl_s}")))
    })
}

fn describe(rrsets: &Rrsets) -> String {
    parapet_tests::answer::describe(rrsets)
}

fn ask_udp(scene: &Scene, server: IpAddr, questions: &[Question]) -> Vec<Answer> {
    let server = SocketAddr::new(server, dns::PORT);
    let asked = scene.client().enter(|| compare::ask_everything(server, questions)).expect("the client's namespace");
    let asked = asked.unwrap_or_else(|errors| panic!("{server}: {:#?}", &errors[..errors.len().min(SHOWN_MAX)]));
    asked.into_iter().map(|asked| asked.whole).collect()
}

fn ask_tcp(scene: &Scene, server: IpAddr, questions: &[Question]) -> Vec<Answer> {
    let server = SocketAddr::new(server, dns::PORT);
    let asked = scene.client().enter(|| ask::ask_all_tcp(server, questions)).expect("the client's namespace");
    let parse = |(question, bytes): (&Question, Vec<u8>)| Answer::parse(question, &bytes).expect("an answer");
    questions.iter().zip(asked).map(parse).collect()
}

fn answers_as_the_origin(name: &str, signing: Signing) {
    let zone = format!("{name}.test.");
    let scene = Scene::new(name);
    let made = ZoneFile::make(scene.client(), scene.lab.folder(), &zone, &rich_text(&zone, signing), signing);
    let named = Named::at(scene.host("origin")).options(NAMED_OPTIONS).zone(ZoneSpec::file(&zone, &made.path));
    let named = named.start().expect("named");
    let edge = scene.edge_with_file(&file(&zone)).start().expect("parapet");
    let questions = generator::questions(&made.contents, 2 * made.contents.rrsets.len() + QUESTIONS, 11);
    let theirs = ask_udp(&scene, named.v4(), &questions);
    let passes = [
        ("from the origin", ask_udp(&scene, edge.v4(), &questions)),
        ("from the cache", ask_udp(&scene, edge.v4(), &questions)),
        ("over TCP", ask_tcp(&scene, edge.v4(), &questions)),
    ];
    let world = World::new([&made.contents]);
    let mut found = Vec::new();
    for (pass, ours) in &passes {
        for ((question, ours), theirs) in questions.iter().zip(ours).zip(&theirs) {
            if is_meta(question) {
                continue;
            }
            let differences = differing(&world, question, ours, theirs);
            if !differences.is_empty() {
                found.push(format!("{pass}, {question}:\n      {}", differences.join("\n      ")));
            }
        }
    }
    let shown = &found[..found.len().min(SHOWN_MAX)];
    assert!(found.is_empty(), "{} of {} answers differ:\n  {}", found.len(), 3 * questions.len(), shown.join("\n  "));
}

/// Questions whose answers are the server's own business: ANY and RRSIG may be answered with any subset (RFC 8482), and the
/// edge asks with DO where the client did not.
fn is_meta(question: &Question) -> bool {
    [Rtype::ANY, Rtype::RRSIG].contains(&question.rtype)
}

#[test]
fn an_unsigned_zone() {
    answers_as_the_origin("od-plain", Signing::Unsigned);
}

#[test]
fn a_zone_signed_with_nsec() {
    answers_as_the_origin("od-nsec", Signing::Nsec);
}

#[test]
fn a_zone_signed_with_nsec3() {
    answers_as_the_origin("od-nsec3", Signing::Nsec3);
}
