//! Origins that are slow, wrong or not alone: a client gets the right answer or none, and what is forged never.

use std::collections::BTreeSet;
use std::time::Duration;

use parapet_lab::Rtype;
use parapet_lab::scripted::{Behaviour, FORGED, Scripted};
use wire::Rcode;

use super::{FILE, PATIENCE, ZONE, ask_once, ask_until, before_scripted, extended_errors, number_at};
use crate::scene::{DEADLINE, Scene};

/// DNS cookies (RFC 7873).
const COOKIE: u16 = 10;

/// No answer, or SERVFAIL, as long as the origin does so; the right one when it does right again.
fn never_believed(name: &str, behaviour: Behaviour) {
    let (scene, origin, edge) = before_scripted(name, "");
    origin.behave(behaviour);
    for number in 0..3 {
        let (rcode, errors) = extended_errors(&scene, &edge, &format!("n{number}.od.test"), wire::Rtype::A);
        assert_eq!(rcode, Rcode::SERVFAIL, "{behaviour:?}");
        assert!(errors.iter().any(|code| (22..=23).contains(code)), "a reason that fits: {errors:?}");
    }
    origin.behave(Behaviour::Right);
    ask_until(&scene, &edge, ("n0.od.test", Rtype::TXT), |reply| (reply.rcode == 0).then_some(()));
}

/// The right answer, whatever it takes.
fn answered_all_the_same(name: &str, behaviour: Behaviour) -> (Scene, Scripted) {
    let (scene, origin, edge) = before_scripted(name, "");
    origin.behave(behaviour);
    for number in 0..5 {
        let name = format!("n{number}.od.test");
        let reply = ask_once(scene.client(), edge.v4(), &name, Rtype::A);
        assert_eq!((reply.rcode, reply.answers.len()), (0, 1), "{behaviour:?} {name}");
        assert_ne!(reply.answers[0].rdata, FORGED, "{behaviour:?} {name}");
        // From the cache as well.
        let again = ask_once(scene.client(), edge.v4(), &name, Rtype::A);
        assert_eq!(again.answers[0].rdata, reply.answers[0].rdata, "{behaviour:?} {name}");
    }
    (scene, origin)
}

#[test]
fn a_slow_origin_is_waited_for() {
    answered_all_the_same("od-slow", Behaviour::Slow(Duration::from_millis(500)));
}

#[test]
fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let (_scene, origin) = answered_all_the_same("od-truncated", Behaviour::Truncated);
    let asked = origin.asked();
    assert_eq!(asked.iter().filter(|asked| asked.tcp).count(), 5, "each once over TCP");
}

#[test]
fn forged_answers_are_not_believed() {
    answered_all_the_same("od-forged", Behaviour::Forged);
}

/// Some load balancers answer in lower case; the name is right then, and only the protection is gone.
#[test]
fn an_origin_that_loses_the_case_is_understood() {
    answered_all_the_same("od-case", Behaviour::LostCase);
}

#[test]
fn a_wrong_id_is_not_believed() {
    never_believed("od-wrong-id", Behaviour::WrongId);
}

#[test]
fn an_answer_to_another_question_is_not_believed() {
    never_believed("od-wrong-question", Behaviour::WrongQuestion);
}

#[test]
fn a_lame_origin_is_not_believed() {
    never_believed("od-lame", Behaviour::Lame);
}

#[test]
fn an_origin_that_refuses() {
    never_believed("od-refused", Behaviour::Refused);
}

#[test]
fn an_origin_that_fails() {
    never_believed("od-servfail", Behaviour::Servfail);
}

#[test]
fn an_origin_that_is_silent() {
    never_believed("od-silent", Behaviour::Silent);
}

/// Ports, ids and letters' case that nobody can guess, and a cookie; over 100 questions chance cannot look like design.
#[test]
fn questions_to_the_origin_are_hard_to_forge_answers_to() {
    let (scene, origin, edge) = before_scripted("od-random", "");
    for number in 0..100 {
        ask_once(scene.client(), edge.v4(), &format!("letters-of-a-name-{number}.od.test"), Rtype::A);
    }
    let asked = origin.asked();
    let different = |of: Vec<u16>| of.into_iter().collect::<BTreeSet<_>>().len();
    let ports = different(asked.iter().map(|asked| asked.from.port()).collect());
    let ids = different(asked.iter().map(|asked| asked.id).collect());
    assert!(ports > 90 && ids > 90, "{ports} ports and {ids} ids in {} questions", asked.len());
    let steps = asked.windows(2).filter(|pair| pair[1].id == pair[0].id.wrapping_add(1)).count();
    assert!(steps < 10, "ids that count up");
    let cases: BTreeSet<String> =
        asked.iter().map(|asked| asked.name.trim_matches(|c: char| !c.is_alphabetic()).to_owned()).collect();
    assert!(cases.len() > 90, "{} ways to write the same letters", cases.len());
    assert!(asked.iter().all(|asked| asked.options.contains(&COOKIE)), "a cookie in each question");
}

/// Turned off, letters stay as the client wrote them, in lower case at the origin.
#[test]
fn case_and_cookies_can_be_turned_off() {
    let scene = Scene::new("od-plain");
    let origin = Scripted::start(scene.host("origin"), &[ZONE]).expect("a scripted origin");
    let file = FILE.replace("[zone.\"od.test\"]\n", "cookies = false\n[zone.\"od.test\"]\n");
    let edge = scene.edge_with_file(&format!("{file}case_randomisation = false\n")).start().expect("parapet");
    for number in 0..20 {
        ask_once(scene.client(), edge.v4(), &format!("n{number}.od.test"), Rtype::A);
    }
    for asked in origin.asked() {
        assert_eq!(asked.name, asked.name.to_ascii_lowercase());
        assert!(!asked.options.contains(&COOKIE), "{asked:?}");
    }
}

/// Questions to an edge with two origins: enough that chance does not decide.
const QUESTIONS: u32 = 120;

/// An edge before two origins, one of which does as `behaviour` says.
fn the_other_one_answers(name: &str, behaviour: Option<Behaviour>) {
    let scene = Scene::new(name);
    let bad = Scripted::start(scene.host("origin"), &[ZONE]).expect("a scripted origin");
    let good = Scripted::start(scene.host("edge3"), &[ZONE]).expect("another");
    let dead = match behaviour {
        Some(behaviour) => {
            bad.behave(behaviour);
            Some(bad)
        }
        None => {
            drop(bad);
            None
        }
    };
    let addresses = format!("addresses = [\"@ORIGIN@\", \"{}\"]", scene.host("edge3").v4());
    // More than a fast machine can ask in a second: what is above the budget would be SERVFAIL too.
    let file = format!("{}misses_per_s_max = 100000\n", FILE.replace("addresses = [\"@ORIGIN@\"]", &addresses));
    let edge = scene.edge_with_file(&file).start().expect("parapet");
    for number in 1000..1000 + QUESTIONS {
        let name = format!("n{number}.od.test");
        let reply = ask_once(scene.client(), edge.v4(), &name, Rtype::A);
        assert_eq!((reply.rcode, reply.answers.len()), (0, 1), "{name}, the other origin {behaviour:?}");
    }
    assert!(good.count() >= QUESTIONS);
    // It is not asked first each time: what does not work is left alone.
    if let Some(bad) = &dead {
        // Chance has it asked half as often as all others; of thirty questions it had twenty now and then.
        assert!(bad.count() < QUESTIONS * 2 / 3, "{} questions to an origin that does not work", bad.count());
    }
    // And when it is back and the other one is gone, it is found again.
    let Some(bad) = dead else { return };
    bad.behave(Behaviour::Right);
    good.behave(Behaviour::Silent);
    let mut number = 100;
    parapet_lab::until("an answer from the origin that is back", DEADLINE, || {
        number += 1;
        let answer = scene.ask_patiently(edge.v4(), &format!("n{number}.od.test"), wire::Rtype::A, PATIENCE);
        (answer.rcode == Rcode::NOERROR).then_some(())
    })
    .expect("the origin that is back");
}

#[test]
fn of_two_origins_one_is_silent() {
    the_other_one_answers("od-two-silent", Some(Behaviour::Silent));
}

#[test]
fn of_two_origins_one_is_not_there() {
    the_other_one_answers("od-two-dead", None);
}

#[test]
fn of_two_origins_one_fails() {
    the_other_one_answers("od-two-servfail", Some(Behaviour::Servfail));
}

#[test]
fn of_two_origins_one_is_lame() {
    the_other_one_answers("od-two-lame", Some(Behaviour::Lame));
}

/// Of two that work, the faster one gets the questions.
#[test]
fn the_nearer_origin_is_asked() {
    let scene = Scene::new("od-nearer");
    let far = Scripted::start(scene.host("origin"), &[ZONE]).expect("a scripted origin");
    let near = Scripted::start(scene.host("edge3"), &[ZONE]).expect("another");
    far.behave(Behaviour::Slow(Duration::from_millis(120)));
    let addresses = format!("addresses = [\"@ORIGIN@\", \"{}\"]", scene.host("edge3").v4());
    let edge = scene.edge_with_file(&FILE.replace("addresses = [\"@ORIGIN@\"]", &addresses)).start().expect("parapet");
    for number in 0..60 {
        number_at(&scene, &edge, &format!("n{number}.od.test"));
    }
    assert!(
        near.count() > 2 * far.count(),
        "{} questions to the near one, {} to the far one",
        near.count(),
        far.count()
    );
}
