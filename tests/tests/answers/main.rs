//! Parapet, fed by a real `named`, gives the answers that `named`, NSD and Knot give for the same zones, name by name and
//! type by type; what differs is listed with the RFC that decides (`tests/src/differences.rs`, `tests/answers.md`).

mod setting;

use std::collections::BTreeSet;
use std::str::FromStr;

use parapet_tests::compare::{Asked, Case, Outcome, Subject, World};
use parapet_tests::differences::{self, DIFFERENCES};
use parapet_tests::{Question, ZoneFile, generator};
use setting::Setting;
use wire::{Name, Rtype};

/// Questions whose answers are held in memory at one time.
const CHUNK: usize = 5_000;
/// The payload size that lets most answers through whole.
const LARGE: Option<u16> = Some(4096);

/// At least 20,000 generated questions about zones rich in wildcards, empty non-terminals, cuts, aliases, DNAMEs, odd
/// labels and large RRsets; unsigned, and signed with NSEC and three kinds of NSEC3.
#[test]
fn rich_zones_are_answered_as_by_the_peers() {
    let (lab, net) = setting::build("answers");
    let zones = setting::rich_zones(&lab, &net);
    let setting = setting::start(lab, net, &zones);
    let questions = parapet_tests::rich_questions(&zones, 8_000, 1);
    assert!(questions.len() >= 20_000, "{} questions", questions.len());
    let outcome = compare_with_peers(&setting, &zones, &questions);
    println!("{} questions, {outcome}", questions.len());
    assert!(outcome.unlisted.is_empty(), "{outcome}");
    let used: BTreeSet<_> = outcome.by_rule.keys().copied().collect();
    let idle: Vec<_> = DIFFERENCES.iter().map(|entry| entry.name).filter(|name| !used.contains(name)).collect();
    assert!(idle.is_empty(), "listed differences that are none any more: {idle:?}");
}

/// The real signed root zone of 2017-08-21 with all of the 49,739 questions that a root server was asked, each with DO
/// and without, those that were asked again left out.
#[test]
fn the_root_zone_is_answered_as_by_the_peers() {
    let (lab, net) = setting::build("root");
    let text = parapet_lab::zone_text::root().expect("the root zone");
    let zones = [ZoneFile::make(net.host("client"), lab.folder(), ".", &text, parapet_tests::Signing::Unsigned)];
    let setting = setting::start(lab, net, &zones);
    let asked = parapet_lab::zone_text::root_questions().expect("the root's questions");
    assert_eq!(asked.lines().count(), 49_739);
    let different: BTreeSet<&str> = asked.lines().collect();
    let questions: Vec<Question> =
        different.into_iter().flat_map(|line| [false, true].map(|dnssec| real_question(line, dnssec))).collect();
    let outcome = compare_with_peers(&setting, &zones, &questions);
    println!("{} questions, {outcome}", questions.len());
    assert!(outcome.unlisted.is_empty(), "{outcome}");
}

/// What is said over UDP without TC is all that is said over TCP, and TC is set only where it would not have fitted
/// (RFC 2181 §9, RFC 9471 §3.1).
#[test]
fn answers_over_udp_are_whole_or_say_that_they_are_not() {
    let (lab, net) = setting::build("truncation");
    let zones = setting::rich_zones(&lab, &net);
    let setting = setting::start(lab, net, &zones);
    let world = World::new(zones.iter().map(|zone| &zone.contents));
    let sizes = [None, Some(512), Some(1232), Some(1400), Some(4096)];
    let mut questions = Vec::new();
    for (seed, zone) in (100..).zip(&zones) {
        let some = generator::questions(&zone.contents, 900, seed);
        let sized = some.into_iter().zip(sizes.iter().cycle()).map(|(mut question, size)| {
            question.udp_bytes_max = *size;
            question.dnssec &= size.is_some();
            question
        });
        questions.extend(sized);
    }
    let (udp, tcp) = setting.ask_udp_and_tcp(&questions);
    let mut truncated = 0;
    for ((question, udp), tcp) in questions.iter().zip(udp).zip(tcp) {
        let case = Case { question, ours: &udp, peer: Subject::Parapet, theirs: &tcp, world: &world };
        assert!(udp.length <= question.answer_bytes_max(), "{question}: {} bytes", udp.length);
        assert!(!tcp.tc, "{question}: truncated over TCP");
        if udp.tc {
            truncated += 1;
            assert!(tcp.length > question.answer_bytes_max(), "{question}: truncated, whole {} bytes", tcp.length);
        } else {
            assert_eq!((udp.rcode, udp.aa), (tcp.rcode, tcp.aa), "{question}");
            assert_eq!(udp.answer, tcp.answer, "{question}");
            assert_eq!(case.authority(&udp), case.authority(&tcp), "{question}");
            assert_eq!(case.own_glue(&udp), case.own_glue(&tcp), "{question}");
        }
    }
    assert!(truncated > 100, "only {truncated} answers were truncated");
}

/// The list for people is the list that the comparison uses.
#[test]
fn the_list_for_people_is_up_to_date() {
    let wanted = differences::markdown();
    if include_str!("../../answers.md") != wanted {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/answers.md");
        std::fs::write(path, wanted).expect("writing the list");
        panic!("tests/answers.md is out of date: cp {path} tests/answers.md");
    }
}

fn real_question(line: &str, dnssec: bool) -> Question {
    let (name, rtype) = line.split_once(' ').expect("NAME TYPE");
    Question {
        name: Name::from_str(name).unwrap_or_else(|error| panic!("{name}: {error}")),
        rtype: Rtype::from_str(rtype.trim()).unwrap_or_else(|error| panic!("{rtype}: {error}")),
        dnssec,
        udp_bytes_max: LARGE,
    }
}

fn compare_with_peers(setting: &Setting, zones: &[ZoneFile], questions: &[Question]) -> Outcome {
    let world = World::new(zones.iter().map(|zone| &zone.contents));
    let mut outcome = Outcome::default();
    for questions in questions.chunks(CHUNK) {
        let (ours, theirs) = setting.ask_everyone(questions);
        for (peer, theirs) in &theirs {
            for ((question, ours), theirs) in questions.iter().zip(&ours).zip(theirs) {
                judge(&mut outcome, &world, question, ours, *peer, theirs);
            }
        }
    }
    outcome
}

fn judge(outcome: &mut Outcome, world: &World, question: &Question, ours: &Asked, peer: Subject, theirs: &Asked) {
    let case = Case { question, ours: &ours.whole, peer, theirs: &theirs.whole, world };
    for facet in case.differing() {
        match differences::listed(&case, facet) {
            Some(entry) => *outcome.by_rule.entry(entry.name).or_default() += 1,
            None => outcome.unlisted(facet, &case),
        }
    }
}
