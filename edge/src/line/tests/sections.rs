//! Sections of answers out of zones: what is in them, and what is left out when it does not fit.

use std::fmt::Write;

use zones::ZoneState;

use super::{
    Case, query, render,
    zone::{EXAMPLE_COM, publish, zone, zones},
};
use crate::Transport;

const SOA: &str = "! example.com. 300 SOA ns1.example.com. host.example.com. 7";

fn case() -> Case {
    Case { zones: zones(), ..Case::new() }
}

fn check(text: &str, expected: &str) {
    case().check(text, expected);
}

#[test]
fn data_is_answered_and_no_more() {
    check(
        "wWw.example.com A rd",
        "NOERROR qr aa rd
        ? wWw.example.com. IN A
        = wWw.example.com. 300 A 192.0.2.80
        = wWw.example.com. 300 A 192.0.2.81",
    );
    check(
        "example.com MX",
        "NOERROR qr aa
        ? example.com. IN MX
        = example.com. 3600 MX 10 mail.example.com.
        + mail.example.com. 3600 A 192.0.2.25
        + mail.example.com. 3600 AAAA 2001:db8::25",
    );
    check(
        "x.wild.example.com TXT edns",
        "NOERROR qr aa
        ? x.wild.example.com. IN TXT
        = x.wild.example.com. 300 TXT \"any\"
        opt 1232",
    );
}

#[test]
fn what_is_not_there() {
    check("www.example.com AAAA", &format!("NOERROR qr aa\n? www.example.com. IN AAAA\n{SOA}"));
    check("b.c.example.com A", &format!("NOERROR qr aa\n? b.c.example.com. IN A\n{SOA}"));
    check("nothing.example.com A edns", &format!("NXDOMAIN qr aa\n? nothing.example.com. IN A\n{SOA}\nopt 1232"));
    check("nothing.example.com ANY", &format!("NXDOMAIN qr aa\n? nothing.example.com. IN ANY\n{SOA}"));
}

#[test]
fn aliases() {
    check(
        "alias.example.com A",
        "NOERROR qr aa
        ? alias.example.com. IN A
        = alias.example.com. 300 CNAME www.example.com.
        = www.example.com. 300 A 192.0.2.80
        = www.example.com. 300 A 192.0.2.81",
    );
    check(
        "away.example.com A",
        "NOERROR qr aa
        ? away.example.com. IN A
        = away.example.com. 300 CNAME www.example.org.",
    );
    // RFC 6604 §3: the code is that of the last name.
    check(
        "dead.example.com A",
        &format!("NXDOMAIN qr aa\n? dead.example.com. IN A\n= dead.example.com. 300 CNAME nothing.example.com.\n{SOA}"),
    );
    check(
        "oak.tree.example.com A",
        "NOERROR qr aa
        ? oak.tree.example.com. IN A
        = tree.example.com. 300 DNAME wood.example.com.
        = oak.tree.example.com. 300 CNAME oak.wood.example.com.
        = oak.wood.example.com. 300 A 192.0.2.9",
    );
    let long = ["x".repeat(60), "y".repeat(60), "z".repeat(60), "w".repeat(50)].join(".");
    let mut case = case();
    let records = "
        example.com 3600 SOA ns1.example.com host.example.com 7 3600 600 86400 300
        example.com 3600 NS ns1.example.com
        t.example.com 300 DNAME a-rather-long-name-in-front.wood.example.com";
    publish(&case.zones, "example.com", ZoneState::Serving(zone("example.com", records)));
    case.settings.udp_payload_bytes_max = 1232;
    let answer = case.respond(&query(&format!("{long}.t.example.com A edns")), Transport::Udp);
    assert_eq!(render(&answer)[0], "YXDOMAIN qr aa");
}

#[test]
fn referrals_are_not_authoritative() {
    check(
        "www.sub.example.com A",
        "NOERROR qr
        ? www.sub.example.com. IN A
        ! sub.example.com. 3600 NS ns.sub.example.com.
        ! sub.example.com. 3600 NS ns2.example.net.
        + ns.sub.example.com. 3600 A 192.0.2.53
        + ns.sub.example.com. 3600 AAAA 2001:db8::53",
    );
    check("sub.example.com DS", &format!("NOERROR qr aa\n? sub.example.com. IN DS\n{SOA}"));
}

#[test]
fn any_gets_one_rrset_over_every_transport() {
    for tcp in ["", " tcp"] {
        let text = format!("example.com ANY{tcp}");
        let transport = if tcp.is_empty() { Transport::Udp } else { Transport::Tcp };
        let lines = render(&case().respond(&query(&text), transport));
        let types: Vec<&str> = lines[2..].iter().map(|line| line.split(' ').nth(3).unwrap()).collect();
        assert_eq!(lines[0], "NOERROR qr aa");
        assert!(!types.is_empty() && types.iter().all(|&rtype| rtype == types[0]), "{lines:?}");
    }
    check(
        "oak.tree.example.com ANY",
        "NOERROR qr aa
        ? oak.tree.example.com. IN ANY
        = tree.example.com. 300 DNAME wood.example.com.
        = oak.tree.example.com. 300 CNAME oak.wood.example.com.
        = oak.wood.example.com. 300 A 192.0.2.9",
    );
}

#[test]
fn states_of_a_zone() {
    let case = Case::new();
    let ede = |code: &str| format!("SERVFAIL qr\n? www.example.com. IN A\nopt 1232 ede={code}");
    publish(&case.zones, "example.com", ZoneState::Pending);
    case.check("www.example.com A", "SERVFAIL qr\n? www.example.com. IN A");
    case.check("www.example.com A edns", &ede("000e"));
    publish(&case.zones, "example.com", ZoneState::Expired(Some(zone("example.com", EXAMPLE_COM))));
    case.check("www.example.com A edns", &ede("0018"));
    publish(&case.zones, "example.com", ZoneState::Expired(None));
    case.check("www.example.com A edns", &ede("0018"));
    publish(&case.zones, "example.com", ZoneState::Serving(zone("example.com", EXAMPLE_COM)));
    case.check(
        "x.wild.example.com TXT",
        "NOERROR qr aa\n? x.wild.example.com. IN TXT\n= x.wild.example.com. 300 TXT \"any\"",
    );
}

/// `example.com` with more data than a datagram holds.
fn large() -> Case {
    let mut records = String::from(EXAMPLE_COM);
    for number in 0..100 {
        let _ = writeln!(records, "many.example.com 300 A 198.51.100.{number}");
        let _ = writeln!(records, "many.example.com 300 RRSIG A");
    }
    for number in 0..40 {
        let _ = writeln!(records, "lots.example.com 300 MX 1 m{number}.example.com");
        let _ = writeln!(records, "m{number}.example.com 300 A 192.0.2.{number}");
    }
    for number in 0..30 {
        let _ = writeln!(records, "cut.example.com 300 NS n{number}.cut.example.com");
        let _ = writeln!(records, "n{number}.cut.example.com 300 A 192.0.2.{number}");
        let _ = writeln!(records, "n{number}.cut.example.com 300 AAAA 2001:db8::{number}");
        let _ = writeln!(records, "beside.example.com 300 NS n{number}.example.net");
    }
    let case = Case::new();
    publish(&case.zones, "example.com", ZoneState::Serving(zone("example.com", &records)));
    case
}

#[test]
fn what_does_not_fit_is_truncated() {
    let case = large();
    case.check("many.example.com A", "NOERROR qr aa tc\n? many.example.com. IN A");
    case.check("many.example.com A size=1231", "NOERROR qr aa tc\n? many.example.com. IN A\nopt 1232");
    let over_tcp = render(&case.respond(&query("many.example.com A tcp"), Transport::Tcp));
    assert_eq!((over_tcp[0].as_str(), over_tcp.len()), ("NOERROR qr aa", 102));
    assert_eq!((case.stats().truncated, case.stats().queries_total()), (2, 3));
}

#[test]
fn the_size_is_the_lesser_of_the_clients_and_ours() {
    // 30 NS: about 600 bytes.
    let mut case = large();
    let is_truncated = |case: &Case, text: &str| {
        let answer = case.respond(&query(text), Transport::Udp);
        (render(&answer)[0].contains("tc"), answer.len())
    };
    assert!(is_truncated(&case, "x.beside.example.com A").0);
    assert!(is_truncated(&case, "x.beside.example.com A size=511").0);
    let (truncated, length) = is_truncated(&case, "x.beside.example.com A size=65535");
    assert!(!truncated && length > 512);
    assert!(!is_truncated(&case, &format!("x.beside.example.com A size={length}")).0);
    assert!(is_truncated(&case, &format!("x.beside.example.com A size={}", length - 1)).0);
    case.settings.udp_payload_bytes_max = 512;
    assert!(is_truncated(&case, "x.beside.example.com A size=65535").0);
    assert_eq!(render(&case.respond(&query("x.beside.example.com A size=4000"), Transport::Udp))[2], "opt 512");
}

#[test]
fn additional_data_is_dropped_without_a_word() {
    let case = large();
    let answer = case.respond(&query("lots.example.com MX size=1000"), Transport::Udp);
    let lines = render(&answer);
    let of = |sign: &str| lines.iter().filter(|line| line.starts_with(sign)).count();
    assert_eq!(lines[0], "NOERROR qr aa");
    assert_eq!(of("="), 40);
    assert!((1..40).contains(&of("+")), "{}", of("+"));
    assert!(answer.len() <= 1000);
}

#[test]
fn glue_that_does_not_fit_truncates_a_referral() {
    // RFC 9471 §3.1: what fits is sent, and TC says that there is more.
    let case = large();
    let answer = case.respond(&query("x.cut.example.com A edns"), Transport::Udp);
    let lines = render(&answer);
    assert_eq!(lines[0], "NOERROR qr tc");
    assert_eq!(lines.iter().filter(|line| line.starts_with('!')).count(), 30);
    assert!(lines.iter().any(|line| line.starts_with('+')));
    let over_tcp = render(&case.respond(&query("x.cut.example.com A tcp"), Transport::Tcp));
    assert_eq!((over_tcp[0].as_str(), over_tcp.len()), ("NOERROR qr", 92));
}

#[test]
fn signatures_only_for_those_who_ask() {
    let case = large();
    let of = |text: &str, rtype: &str| {
        let lines = render(&case.respond(&query(text), Transport::Tcp));
        lines.iter().filter(|line| line.contains(rtype)).count()
    };
    assert_eq!(of("many.example.com A tcp", " RRSIG "), 0);
    // All made-up signatures are the same one record.
    assert_eq!(of("many.example.com A tcp do", " RRSIG "), 1);
    assert_eq!(of("many.example.com A tcp edns", " RRSIG "), 0);
}
