//! Random dynamic updates, names and types that come and go, wildcards, cuts, DS, aliases, empty non-terminals: after each
//! the edge, which follows by differences, answers as the origin does, proofs and all; and so it does after a start from
//! its disk.

use parapet_lab::{Dnssec, ZoneSpec, zone_text};
use parapet_tests::Random;

use crate::equal::{check_equal, wait_until_signed};
use crate::scene::Scene;

const NAMES: [&str; 14] =
    ["a", "b.a", "c.b.a", "d", "*.d", "x.d", "e.f.g", "f.g", "*.g", "cut", "ns.cut", "deep.cut.h", "h", "www"];
const DATA: [&str; 10] = [
    "A 192.0.2.1",
    "A 192.0.2.2",
    "AAAA 2001:db8::1",
    "TXT \"some text\"",
    "NS ns.cut.@",
    "NS ns.elsewhere.example.",
    "DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "CNAME www.@",
    "MX 10 x.d.@",
    "DNAME h.@",
];
const ROUNDS: usize = 14;
const LINES_MAX: usize = 7;

fn update(random: &mut Random) -> String {
    let line = |random: &mut Random| {
        let name = random.pick(&NAMES);
        let data = random.pick(&DATA);
        let rtype = data.split(' ').next().unwrap_or_default();
        match random.below(5) {
            0 => format!("update delete {name}.@"),
            1 => format!("update delete {name}.@ {rtype}"),
            2 => format!("update delete {name}.@ {data}"),
            _ => format!("update add {name}.@ {} {data}", 300 + 60 * random.below(3)),
        }
    };
    (0..=random.below(LINES_MAX)).map(|_| line(random)).collect::<Vec<_>>().join("\n")
}

fn follows(name: &str, dnssec: Option<Dnssec>, seed: u64) {
    let zone = format!("{name}.test");
    let scene = Scene::new(name);
    let spec = ZoneSpec::text(&zone, zone_text::small(&zone)).dynamic();
    let spec = dnssec.map_or(spec.clone(), |dnssec| spec.signed(dnssec));
    let named = scene.origin().zone(spec).start().expect("named");
    let mut edge = scene.edge().zone(&zone).start().expect("parapet");
    wait_until_signed(&scene, &named, &zone, dnssec);
    let mut random = Random::new(seed);
    for round in 0..ROUNDS {
        let lines = update(&mut random).replace('@', &format!("{zone}."));
        println!("round {round}:\n{lines}");
        named.update(&zone, &lines).expect("an update");
        check_equal(&scene, &named, &edge, &zone);
        if round % 5 == 4 {
            edge.kill().expect("parapet ends");
            edge.start_again().expect("parapet");
            check_equal(&scene, &named, &edge, &zone);
        }
    }
}

#[test]
fn unsigned() {
    follows("plain", None, 1);
}

#[test]
fn signed_with_nsec() {
    follows("nsec", Some(Dnssec::Nsec), 2);
}

#[test]
fn signed_with_nsec3() {
    follows("nsec3", Some(Dnssec::Nsec3), 3);
}

#[test]
fn signed_with_nsec3_and_opt_out() {
    follows("optout", Some(Dnssec::Nsec3OptOut), 4);
}
