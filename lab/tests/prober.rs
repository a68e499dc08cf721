//! The prober before a real server. Needs root and NSD (scripts/setup).

use std::time::Duration;

use parapet_lab::{
    Lab, Nsd, ZoneSpec,
    prober::{Expected, INTERVAL, Outcome, Prober, Question, Region},
    topologies, until, zone_text,
};

const DEADLINE: Duration = Duration::from_secs(40);
const STEADY: Duration = Duration::from_millis(300);
const ZONE: &str = "example.com";

#[test]
fn it_sees_who_answers_what_is_lost_and_what_is_stale() {
    let lab = Lab::new("prober").expect("a lab");
    let net = lab.build(&topologies::pair()).expect("a network");
    let server = net.host("server");
    let zone = ZoneSpec::text(ZONE, zone_text::small(ZONE));
    let mut nsd = Nsd::at(server).option("nsid: ascii_ams-1").zone(zone).start().expect("nsd");
    let regions = [("west", vec![server.v4(), server.v6()]), ("east", vec![server.v4()])]
        .map(|(name, addresses)| Region { name: name.to_owned(), namespace: net.host("client").clone(), addresses });
    let prober = Prober::start(&regions, &Question::soa(ZONE)).expect("a prober");
    let seen = prober.wait_until_answered(STEADY, DEADLINE).expect("answers");
    assert_eq!(seen, [["ams-1"], ["ams-1"]]);

    let down_us = prober.now_us();
    nsd.stop().expect("nsd ends");
    let missed = || prober.records(down_us, u64::MAX).iter().all(|record| record.missed() > 20).then_some(());
    until("losses in both regions", DEADLINE, missed).expect("losses");
    nsd.start_again().expect("nsd");
    prober.wait_until_answered(STEADY, DEADLINE).expect("answers again");
    let up_us = prober.now_us();
    for record in prober.decided(down_us, up_us).expect("a record") {
        let lost = record.probes.iter().filter(|probe| probe.outcome == Outcome::Lost).count();
        assert_eq!(record.missed(), lost, "{}", record.region);
        assert!(lost > 20 && record.gap_us_max() >= 20 * 5000, "{}: {lost}", record.region);
        assert!(record.disturbed_us() >= record.gap_us_total());
        assert_eq!(record.answerers().into_keys().collect::<Vec<_>>(), ["ams-1"]);
    }

    prober.expect(Expected::SerialFrom(2));
    let stale = |outcome| matches!(outcome, Outcome::Stale { .. });
    let seen = || {
        let records = prober.records(up_us, u64::MAX);
        records.iter().all(|record| record.probes.iter().any(|probe| stale(probe.outcome))).then_some(())
    };
    until("stale answers", DEADLINE, seen).expect("serial 1 where 2 is expected");

    let asked_us = prober.now_us();
    let [west, east] = <[_; 2]>::try_from(prober.stop()).expect("two regions");
    for record in [&west, &east] {
        assert!(record.is_decided(), "{}", record.region);
        // It asks on, whatever comes back, and makes up for what it was late.
        let due = asked_us / INTERVAL.as_micros() as u64;
        let sent = record.probes.iter().filter(|probe| probe.sent_us < asked_us).count() as u64;
        assert!(sent.abs_diff(due) <= due / 50 + 20, "{}: {sent} of {due}", record.region);
    }
    assert!(west.probes.iter().zip(0_usize..).all(|(probe, number)| usize::from(probe.address) == number % 2));
    assert!(west.lateness.median_us < INTERVAL.as_micros() as u64 * 10, "{:?}", west.lateness);
}
