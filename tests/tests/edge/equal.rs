//! Whether an edge has what its origin has: the origin's zone is transferred by `dig`, both are asked about all that is in
//! it and much that is near, and what differs has to be listed.

use std::net::SocketAddr;

use parapet_lab::{Dnssec, Edge, Named, dns, until};
use parapet_tests::compare::{self, Asked, Case, Subject, World};
use parapet_tests::{Contents, Question, differences, generator};
use wire::Rtype;

use crate::scene::{DEADLINE, Scene};

/// Questions about one state of a zone, beyond those about the RRsets that it has.
const QUESTIONS: usize = 250;

/// `named` signs in the background: the zone is ready when its chain of denial is, which comes last.
pub(crate) fn wait_until_signed(scene: &Scene, named: &Named, zone: &str, dnssec: Option<Dnssec>) {
    let denial = match dnssec {
        None => return,
        Some(Dnssec::Nsec) => Rtype::NSEC,
        Some(Dnssec::Nsec3 | Dnssec::Nsec3OptOut) => Rtype::NSEC3,
    };
    let missing = format!("nowhere.{zone}");
    let signed = || {
        let answer = scene.ask(named.v4(), &missing, Rtype::A);
        answer.authority.keys().any(|key| key.rtype == denial).then_some(())
    };
    until(format!("{zone} signed"), DEADLINE, signed).expect("a signed zone");
}

/// Waits until the edge has the origin's serial, and compares.
pub(crate) fn check_equal(scene: &Scene, named: &Named, edge: &Edge, zone: &str) {
    // `named` goes on signing in steps of its own: what counts is compared with the same serial before and after.
    let serial = |server| dns::serial(scene.client(), server, zone);
    let compared = until(format!("{zone} the same at origin and edge"), DEADLINE, || {
        let before = serial(named.v4())?;
        if serial(edge.v4())? != before {
            return None;
        }
        let difference = first_difference(scene, named, edge, zone, u64::from(before));
        (serial(named.v4())? == before).then_some(difference.map(|text| format!("serial {before}: {text}")))
    });
    let difference = compared.unwrap_or_else(|error| panic!("{error}"));
    assert!(difference.is_none(), "{zone}: {}", difference.unwrap_or_default());
}

fn first_difference(scene: &Scene, named: &Named, edge: &Edge, zone: &str, seed: u64) -> Option<String> {
    let zone = transfer(scene, named, zone);
    let questions = generator::questions(&zone, 2 * zone.rrsets.len() + QUESTIONS, seed);
    let world = World::new([&zone]);
    let ours = ask(scene, edge.v4(), &questions);
    let theirs = ask(scene, named.v4(), &questions);
    for ((question, ours), theirs) in questions.iter().zip(&ours).zip(&theirs) {
        let case = Case { question, ours: &ours.whole, peer: Subject::Named, theirs: &theirs.whole, world: &world };
        let unlisted = case.differing().into_iter().find(|facet| differences::listed(&case, *facet).is_none());
        if let Some(facet) = unlisted {
            return Some(case.describe(facet));
        }
    }
    None
}

fn ask(scene: &Scene, server: std::net::IpAddr, questions: &[Question]) -> Vec<Asked> {
    let server = SocketAddr::new(server, dns::PORT);
    let asked = scene.client().enter(|| compare::ask_everything(server, questions)).expect("the client's namespace");
    asked.unwrap_or_else(|errors| panic!("{server}: {errors:#?}"))
}

/// The origin's zone as `dig` transfers it.
fn transfer(scene: &Scene, named: &Named, zone: &str) -> Contents {
    let key = scene.key.file.to_string_lossy();
    let server = format!("@{}", named.v4());
    let text = scene.client_runs("dig", &["-k", &key, &server, zone, "AXFR", "+noall", "+answer"]);
    Contents::read(zone, &text)
}
