//! The origin stays hidden: no transfer leaves the edge, strangers cannot notify or update it, nothing in any answer names
//! the origin, and no client's packet reaches it.

use parapet_lab::{ZoneSpec, counters::Counters, zone_text};
use parapet_tests::ask;
use wire::{Rcode, Rtype};

use crate::scene::{DEADLINE, Scene, notify_from, question, status};

const ZONE: &str = "example.com";

#[test]
fn no_transfer_no_update_no_notify_and_no_trace() {
    let scene = Scene::new("hidden");
    let origin = scene.host("origin");
    let arrivals = Counters::of_arrivals(origin, &[("clients", scene.client().addresses())]).expect("counters");
    let _named = scene.origin().zone(ZoneSpec::text(ZONE, zone_text::small(ZONE)).dynamic()).start().expect("named");
    let edge = scene.edge().zone(ZONE).start().expect("parapet");
    edge.wait_for_zone(ZONE, 1, DEADLINE).expect("the zone");
    let server = format!("@{}", edge.v4());

    for transport in ["+tcp", "+notcp"] {
        for kind in ["AXFR", "IXFR=1"] {
            let key = scene.key.file.to_string_lossy();
            for signed in [&["-k", &*key][..], &[]] {
                let arguments = [signed, &[&server, ZONE, kind, transport, "+tries=1"][..]].concat();
                let text = scene.client_runs("dig", &arguments);
                assert!(!text.contains("\tSOA\t") && !text.contains("192.0.2.80"), "{arguments:?}: {text}");
            }
        }
    }
    for kind in [Rtype::AXFR, Rtype::IXFR] {
        let message = question(ZONE, kind).to_bytes(8);
        let server = std::net::SocketAddr::new(edge.v4(), 53);
        let answer = scene
            .client()
            .enter(|| ask::exchange_tcp(server, &message, DEADLINE / 10))
            .expect("the client's namespace");
        let header = wire::Header::parse(&answer.expect("an answer")).expect("a header");
        assert_eq!((header.flags.rcode(), header.ancount), (Rcode::REFUSED, 0), "{kind}");
    }
    let lines = format!("server {}\nzone {ZONE}\nupdate add evil.{ZONE} 300 A 192.0.2.66\nsend\n", edge.v4());
    let update = scene.client().program("nsupdate").input(lines).run().expect("nsupdate");
    assert!(!update.status.success(), "an edge took an update: {update:?}");
    assert_eq!(scene.ask(edge.v4(), "evil.example.com", Rtype::A).rcode, Rcode::NXDOMAIN);

    let attempt = status(&edge, ZONE)["last_attempt_age_s"].as_f64().expect("an attempt");
    let answer = notify_from(scene.client(), &edge, ZONE);
    assert_eq!(answer, Rcode::REFUSED, "a stranger's NOTIFY");
    let later = status(&edge, ZONE)["last_attempt_age_s"].as_f64().expect("an attempt");
    assert!(later >= attempt, "a stranger's NOTIFY made the edge ask its origin");

    let traces = [
        scene.client_runs("dig", &["+nocmd", &server, "CH", "TXT", "version.bind"]),
        scene.client_runs("dig", &["+nocmd", &server, "CH", "TXT", "id.server"]),
        scene.client_runs("dig", &["+nocmd", &server, "CH", "TXT", "authors.bind"]),
        scene.client_runs("dig", &["+nocmd", &server, ZONE, "ANY", "+nsid", "+dnssec", "+cookie"]),
        scene.client_runs("dig", &["+nocmd", &server, "other.test", "SOA"]),
    ];
    for text in traces {
        for address in origin.addresses() {
            assert!(!text.contains(&address.to_string()), "the origin's address: {text}");
        }
        assert!(!text.contains("9.18") && !text.contains("transfer"), "the origin's version or key: {text}");
    }
    assert_eq!(arrivals.packets("clients").expect("counters"), 0, "a client's packets reached the origin");
}
