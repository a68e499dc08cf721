//! What the kernel lane answers is what the sockets answer, octet for octet: every question of the comparison with the peers.

use std::str::FromStr;

use parapet_lab::zone_text;
use parapet_tests::{Question, Signing, ZoneFile};
use wire::{Name, Rtype};

use crate::scene::{Asked, Scene};

/// Questions whose answers are held in memory at one time.
const CHUNK: usize = 4_000;
/// So many answers there is room for: more than are asked for.
const ANSWERS: u32 = 262_144;
/// Of the answers that fit a place of the lane's table, so many at least it gives when they are asked for again, in hundredths:
/// a set of places may be full of others.
const HUNDREDTHS_MIN: usize = 90;
/// A place of the lane's table has room for a name and a body (all between question and OPT) of so many octets.
const NAME_BYTES_MAX: usize = 128;
const BODY_BYTES_MAX: usize = 544;

/// The generated questions about the zones rich in wildcards, empty non-terminals, cuts, aliases, DNAMEs, odd labels and large
/// RRsets; unsigned, and signed in four ways.
#[test]
fn rich_zones_are_answered_as_by_the_sockets() {
    let scene = Scene::new("kernel-answers");
    let zones = parapet_tests::rich_zones(scene.host("client"), scene.lab.folder());
    let questions = parapet_tests::rich_questions(&zones, 8_000, 1);
    assert!(questions.len() >= 20_000, "{} questions", questions.len());
    compare(&scene, &zones, &questions);
}

/// The signed root zone with all questions that a root server was asked, with DO and without.
#[test]
fn the_root_zone_is_answered_as_by_the_sockets() {
    let scene = Scene::new("kernel-root");
    let text = zone_text::root().expect("the root zone");
    let zones = [ZoneFile::make(scene.host("client"), scene.lab.folder(), ".", &text, Signing::Unsigned)];
    let asked = zone_text::root_questions().expect("the root's questions");
    let different: std::collections::BTreeSet<&str> = asked.lines().collect();
    let question = |line: &str, dnssec| {
        let (name, rtype) = line.split_once(' ').expect("NAME TYPE");
        let name = Name::from_str(name).expect("a name");
        Question { name, rtype: Rtype::from_str(rtype.trim()).expect("a type"), dnssec, udp_bytes_max: Some(1232) }
    };
    let questions: Vec<Question> =
        different.into_iter().flat_map(|line| [false, true].map(|dnssec| question(line, dnssec))).collect();
    compare(&scene, &zones, &questions);
}

/// Asks by the sockets, twice, which is how answers come to be at hand below, and then again by the kernel lane.
fn compare(scene: &Scene, zones: &[ZoneFile], questions: &[Question]) {
    let origin = scene.origin_with_files(zones);
    let edge = scene.edge_with_zones(zones, ANSWERS);
    let (mut fitting, mut answered) = (0, 0);
    for questions in questions.chunks(CHUNK) {
        // What is less likely to be asked for again is at hand when it was.
        let above = scene.other().ask_all(questions);
        assert!(scene.other().ask_all(questions) == above, "not even the sockets say the same twice");
        let before = Asked::of(&edge);
        let below = scene.client().ask_all(questions);
        answered += Asked::of(&edge).answered - before.answered;
        for ((question, above), below) in questions.iter().zip(&above).zip(&below) {
            assert!(above == below, "{question}: by the sockets\n{above:02x?}\nby the kernel lane\n{below:02x?}");
            fitting += usize::from(fits(question, above));
        }
    }
    drop(origin);
    println!("{} questions, {fitting} answers that fit, {answered} given by the kernel lane", questions.len());
    let enough = answered as usize * 100 >= fitting * HUNDREDTHS_MIN;
    assert!(enough, "{answered} of {fitting} answers that fit: {:#}", Asked::of(&edge).all);
}

/// Whether the kernel lane has room for an answer: a whole one, without an error.
fn fits(question: &Question, answer: &[u8]) -> bool {
    let is_whole_and_fine = answer[2] & 2 == 0 && answer[3] & 15 == 0;
    let name_bytes = question.name.as_bytes().len();
    let opt_bytes = if question.udp_bytes_max.is_some() { 11 } else { 0 };
    let body_bytes = answer.len().saturating_sub(12 + name_bytes + 4 + opt_bytes);
    is_whole_and_fine && name_bytes <= NAME_BYTES_MAX && body_bytes <= BODY_BYTES_MAX
}
