//! Names that a signed zone proves not to exist are not asked for (RFC 8198): a flood of random names costs the origin a
//! few questions.

use parapet_lab::counters::Counters;
use parapet_lab::{Dnssec, Named, ZoneSpec, zone_text};
use wire::{Rcode, Rtype};

use super::{FILE, PATIENCE, ZONE};
use crate::equal::wait_until_signed;
use crate::scene::Scene;

const SYNTHESISED: u16 = 29;
const NAMES: u32 = 300;

/// Packets at the origin while [`NAMES`] random names are asked for; and how many answers say that they were synthesised.
fn random_names(name: &str, settings: &str) -> (u64, u32) {
    let scene = Scene::new(name);
    let host = scene.host("origin");
    let named = Named::at(host).zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).signed(Dnssec::Nsec));
    let named = named.start().expect("named");
    wait_until_signed(&scene, &named, ZONE, Some(Dnssec::Nsec));
    let questions = Counters::of_arrivals(host, &[("questions", scene.host("edge1").addresses())]).expect("counters");
    let edge = scene.edge_with_file(&format!("{FILE}misses_per_s_max = 100000\n{settings}")).start().expect("parapet");
    // One name that is there, so that what proves others away has a beginning.
    assert_eq!(scene.ask(edge.v4(), "www.od.test", Rtype::A).rcode, Rcode::NOERROR);
    let mut synthesised = 0;
    for number in 0..NAMES {
        let label = number.wrapping_mul(2_654_435_761);
        let answer = scene.ask_patiently(edge.v4(), &format!("r{label:x}.od.test"), Rtype::A, PATIENCE);
        assert_eq!((answer.rcode, answer.aa), (Rcode::NXDOMAIN, true), "{answer}");
        let types: Vec<Rtype> = answer.authority.keys().map(|key| key.rtype).collect();
        assert!(types.contains(&Rtype::NSEC) && types.contains(&Rtype::SOA), "{answer}");
        synthesised += u32::from(answer.extended_errors.contains(&SYNTHESISED));
    }
    // What is there is still found, and a wildcard makes names.
    assert_eq!(scene.ask(edge.v4(), "mail.od.test", Rtype::A).rcode, Rcode::NOERROR);
    let wild = scene.ask(edge.v4(), "x.wild.od.test", Rtype::A);
    assert_eq!((wild.rcode, wild.answer.is_empty()), (Rcode::NOERROR, false), "{wild}");
    (questions.packets("questions").expect("counters"), synthesised)
}

#[test]
fn random_names_cost_the_origin_a_few_questions() {
    let (packets, synthesised) = random_names("od-nsec", "");
    assert!(packets < u64::from(NAMES) / 5, "{packets} packets at the origin for {NAMES} names");
    assert!(synthesised > NAMES / 2, "{synthesised} of {NAMES} say that they were synthesised");
}

#[test]
fn without_synthesis_the_origin_sees_them_all() {
    let (packets, synthesised) = random_names("od-no-nsec", "synthesise = false\n");
    assert!(packets >= u64::from(NAMES), "{packets} packets at the origin for {NAMES} names");
    assert_eq!(synthesised, 0);
}
