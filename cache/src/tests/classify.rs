//! What of a response is kept, for how long, and what is not.

use std::time::{Duration, Instant};

use wire::{Rcode, Rtype};

use super::{check, judge, name, response};
use crate::{CachedAnswer, Kind, TtlLimits, Unfit};

#[test]
fn an_answer_is_kept_with_its_own_ttls() {
    check(
        "example.com",
        "www.example.com A aa
         = www.example.com 300 A 192.0.2.1
         = www.example.com 200 A 192.0.2.2
         = www.example.com 300 RRSIG A 3 example.com
         = www.example.com 100 AAAA ::1
         ! example.com 60 NS ns.example.com
         + ns.example.com 30 A 192.0.2.53",
        "NOERROR Found aa 200
         = www.example.com. 200 A 2
         = www.example.com. 200 RRSIG 1",
    );
}

#[test]
fn a_ttl_with_the_highest_bit_is_zero() {
    check(
        "example.com",
        "www.example.com A aa
         = www.example.com 2147483648 A 192.0.2.1",
        "NOERROR Found aa 0
         = www.example.com. 0 A 1",
    );
}

#[test]
fn limits_hold_for_each_rrset() {
    let limits = TtlLimits { ttl_s_max: 100, negative_ttl_s_max: 10, ..TtlLimits::default() };
    let judged = |text| super::render(&judge("example.com", text, &limits, Instant::now()).unwrap());
    let found = judged("www.example.com A aa\n= www.example.com 300 A 192.0.2.1");
    assert_eq!(found, ["NOERROR Found aa 100", "= www.example.com. 100 A 1"]);
    let negative = judged("www.example.com A aa NXDOMAIN\n! example.com 300 SOA 300");
    assert_eq!(negative, ["NXDOMAIN NxDomain aa 10", "! example.com. 10 SOA 1"]);
}

#[test]
fn aliases_are_followed_as_far_as_the_zone_goes() {
    check(
        "example.com",
        "a.example.com A aa
         = a.example.com 300 CNAME b.example.com
         = b.example.com 60 CNAME c.example.com
         = b.example.com 60 RRSIG CNAME 3 example.com
         = c.example.com 100 A 192.0.2.1
         = d.example.com 10 A 192.0.2.1",
        "NOERROR Found aa 60
         = a.example.com. 300 CNAME 1
         = b.example.com. 60 CNAME 1
         = b.example.com. 60 RRSIG 1
         = c.example.com. 100 A 1",
    );
    // What another zone says is not this origin's to say, not even the code.
    for rcode in ["NOERROR", "NXDOMAIN"] {
        check(
            "example.com",
            &format!(
                "a.example.com A aa {rcode}
                 = a.example.com 300 CNAME www.example.net
                 = www.example.net 10 A 192.0.2.1
                 ! example.net 5 SOA 5"
            ),
            "NOERROR Alias aa 300
             = a.example.com. 300 CNAME 1",
        );
    }
    check(
        "example.com",
        "a.example.com A aa
         = a.example.com 300 CNAME b.example.com
         = b.example.com 60 CNAME a.example.com",
        "NOERROR Alias aa 60
         = a.example.com. 300 CNAME 1
         = b.example.com. 60 CNAME 1",
    );
    // The origin follows no further, as one that is not authoritative for the target may.
    check(
        "example.com",
        "a.example.com A aa
         = a.example.com 300 CNAME b.sub.example.com",
        "NOERROR Alias aa 300
         = a.example.com. 300 CNAME 1",
    );
    check(
        "example.com",
        "a.example.com CNAME aa\n= a.example.com 30 CNAME b.example.net",
        "NOERROR Found aa 30\n= a.example.com. 30 CNAME 1",
    );
}

#[test]
fn aliases_end_in_what_the_zone_says_there() {
    check(
        "example.com",
        "a.example.com A aa NXDOMAIN
         = a.example.com 300 CNAME b.example.com
         ! example.com 3600 SOA 60",
        "NXDOMAIN NxDomain aa 60
         = a.example.com. 300 CNAME 1
         ! example.com. 60 SOA 1",
    );
    check(
        "example.com",
        "a.example.com A aa
         = a.example.com 30 CNAME b.example.com
         ! example.com 3600 SOA 60",
        "NOERROR NoData aa 30
         = a.example.com. 30 CNAME 1
         ! example.com. 60 SOA 1",
    );
    check(
        "example.com",
        "a.example.com A aa
         = a.example.com 300 CNAME b.sub.example.com
         ! sub.example.com 100 NS ns.sub.example.com
         + ns.sub.example.com 50 A 192.0.2.1",
        "NOERROR Referral aa 50
         = a.example.com. 300 CNAME 1
         ! sub.example.com. 100 NS 1
         # ns.sub.example.com. 50 A 1",
    );
}

#[test]
fn dname_and_the_alias_it_makes() {
    check(
        "example.com",
        "x.d.example.com A aa
         = d.example.com 300 DNAME e.example.com
         = d.example.com 300 RRSIG DNAME 3 example.com
         = x.d.example.com 300 CNAME x.e.example.com
         = x.e.example.com 20 A 192.0.2.1",
        "NOERROR Found aa 20
         = d.example.com. 300 DNAME 1
         = d.example.com. 300 RRSIG 1
         = x.d.example.com. 300 CNAME 1
         = x.e.example.com. 20 A 1",
    );
    check(
        "example.com",
        "x.d.example.com A aa YXDOMAIN
         = d.example.com 300 DNAME e.example.com",
        "YXDOMAIN Error aa 300
         = d.example.com. 300 DNAME 1",
    );
    check("example.com", "x.example.com A aa YXDOMAIN", "the response has the code YXDOMAIN");
}

#[test]
fn no_such_name_and_no_such_data_of_rfc_2308() {
    // Types 1 and 2 of NXDOMAIN: with and without NS.
    for ns in ["", "! example.com 86400 NS ns.example.com"] {
        check(
            "example.com",
            &format!("x.example.com A aa NXDOMAIN\n{ns}\n! example.com 600 SOA 3600\n+ ns.example.com 5 A 192.0.2.1"),
            "NXDOMAIN NxDomain aa 600
             ! example.com. 600 SOA 1",
        );
        check(
            "example.com",
            &format!("x.example.com A aa\n{ns}\n! example.com 3600 SOA 30"),
            "NOERROR NoData aa 30
             ! example.com. 30 SOA 1",
        );
    }
    // Type 3: without SOA it is for those who wait alone.
    check("example.com", "x.example.com A aa", "NOERROR NoData aa 0");
    check("example.com", "x.example.com A aa NXDOMAIN", "NXDOMAIN NxDomain aa 0");
    let unsaid = judge("example.com", "x.example.com A aa", &TtlLimits::default(), Instant::now()).unwrap();
    assert!(!unsaid.is_kept());
    // The SOA of a zone that does not hold the name says nothing.
    check("example.com", "x.example.com A aa NXDOMAIN\n! sub.example.com 600 SOA 600", "NXDOMAIN NxDomain aa 0");
    check("example.com", "x.example.com A aa NXDOMAIN\n! com 600 SOA 600", "NXDOMAIN NxDomain aa 0");
    // An origin that has the zone below as well.
    check(
        "example.com",
        "x.sub.example.com A aa NXDOMAIN\n! sub.example.com 600 SOA 600",
        "NXDOMAIN NxDomain aa 600\n! sub.example.com. 600 SOA 1",
    );
}

#[test]
fn proofs_go_with_what_they_prove() {
    check(
        "example.com",
        "x.example.com A aa NXDOMAIN
         ! example.com 3600 SOA 600
         ! example.com 3600 RRSIG SOA 2 example.com
         ! w.example.com 3600 NSEC y.example.com A
         ! w.example.com 3600 RRSIG NSEC 3 example.com
         ! example.com 300 NSEC a.example.com NS SOA
         ! example.com 300 RRSIG NSEC 2 example.com",
        "NXDOMAIN NxDomain aa 300
         ! example.com. 600 SOA 1
         ! example.com. 600 RRSIG 1
         ! w.example.com. 600 NSEC 1
         ! w.example.com. 600 RRSIG 1
         ! example.com. 300 NSEC 1
         ! example.com. 300 RRSIG 1",
    );
    // An answer from a wildcard.
    check(
        "example.com",
        "x.example.com A aa
         = x.example.com 3600 A 192.0.2.1
         = x.example.com 3600 RRSIG A 2 example.com
         ! w.example.com 300 NSEC y.example.com A",
        "NOERROR Found aa 300
         = x.example.com. 3600 A 1
         = x.example.com. 3600 RRSIG 1
         ! w.example.com. 300 NSEC 1",
    );
}

#[test]
fn referrals_have_their_glue_and_no_aa() {
    check(
        "example.com",
        "www.sub.example.com A
         ! sub.example.com 3600 NS ns.sub.example.com
         ! sub.example.com 3600 NS ns.example.com
         ! sub.example.com 3600 NS ns.example.net
         ! sub.example.com 900 DS
         ! sub.example.com 900 RRSIG DS 3 example.com
         + ns.example.com 10 A 192.0.2.1
         + ns.sub.example.com 600 A 192.0.2.2
         + ns.sub.example.com 700 AAAA ::2
         + ns.example.net 600 A 192.0.2.3
         + other.example.com 600 A 192.0.2.4",
        "NOERROR Referral 600
         ! sub.example.com. 3600 NS 3
         ! sub.example.com. 900 DS 1
         ! sub.example.com. 900 RRSIG 1
         # ns.sub.example.com. 600 A 1
         # ns.sub.example.com. 700 AAAA 1
         + ns.example.com. 10 A 1",
    );
    // A server that sets AA nevertheless does not make us say so.
    check(
        "example.com",
        "www.sub.example.com A aa\n! sub.example.com 60 NS ns.example.net",
        "NOERROR Referral 60\n! sub.example.com. 60 NS 1",
    );
}

#[test]
fn addresses_go_with_those_who_name_them() {
    check(
        "example.com",
        "example.com MX aa
         = example.com 600 MX 10 mail.example.com
         = example.com 600 MX 20 mail.example.net
         + mail.example.com 60 A 192.0.2.1
         + mail.example.com 60 RRSIG A 3 example.com
         + mail.example.net 60 A 192.0.2.2
         + www.example.com 60 A 192.0.2.3
         + mail.example.com 60 TXT what",
        "NOERROR Found aa 600
         = example.com. 600 MX 2
         + mail.example.com. 60 A 1
         + mail.example.com. 60 RRSIG 1",
    );
}

#[test]
fn any_and_signatures_alone() {
    check(
        "example.com",
        "www.example.com ANY aa
         = www.example.com 600 A 192.0.2.1
         = www.example.com 600 TXT text
         = www.example.com 600 RRSIG A 3 example.com
         = www.example.com 600 RRSIG TXT 3 example.com",
        "NOERROR Found aa 600
         = www.example.com. 600 A 1
         = www.example.com. 600 RRSIG 1
         = www.example.com. 600 TXT 1
         = www.example.com. 600 RRSIG 1",
    );
    check(
        "example.com",
        "www.example.com RRSIG aa
         = www.example.com 600 RRSIG A 3 example.com
         = www.example.com 500 RRSIG TXT 3 example.com",
        "NOERROR Found aa 500
         = www.example.com. 500 RRSIG 2",
    );
    check(
        "example.com",
        "b.example.com NSEC aa
         = b.example.com 600 NSEC d.example.com A
         = b.example.com 600 RRSIG NSEC 3 example.com",
        "NOERROR Found aa 600
         = b.example.com. 600 NSEC 1
         = b.example.com. 600 RRSIG 1",
    );
}

#[test]
fn what_is_no_answer() {
    let lame = "the server is not authoritative for the zone";
    check("example.com", "www.example.com A\n= www.example.com 60 A 192.0.2.1", lame);
    check("example.com", "www.example.com A\n! example.com 60 NS ns.example.com", lame);
    check("example.com", "www.example.com A\n! com 60 NS ns.example.net", lame);
    check("example.com", "www.example.com A\n! other.example.com 60 NS ns.example.net", lame);
    check("example.com", "www.example.com A NXDOMAIN\n! example.com 60 SOA 60", lame);
    check("example.com", "www.example.com A", lame);
    check("example.com", "www.example.com A REFUSED", "the response has the code REFUSED");
    check("example.com", "www.example.com A aa SERVFAIL", "the response has the code SERVFAIL");
    check("example.com", "www.example.com A aa tc", "the response is truncated");
    check("example.com", "www.example.com A query", "the message is no response to a query");
    let ask = |qname: &str, qtype, text| {
        let (apex, qname, limits) = (name("example.com"), name(qname), TtlLimits::default());
        CachedAnswer::from_response(apex.as_ref(), qname.as_ref(), qtype, text, &limits, Instant::now()).map(|_| ())
    };
    let answer = response("www.example.com A aa\n= www.example.com 60 A 192.0.2.1");
    assert_eq!(ask("WWW.example.com", Rtype::A, &answer), Ok(()), "whatever its case");
    assert_eq!(ask("www.example.com", Rtype::AAAA, &answer), Err(Unfit::OtherQuestion));
    assert_eq!(ask("ww.example.com", Rtype::A, &answer), Err(Unfit::OtherQuestion));
    for length in 0..answer.len() {
        assert!(ask("www.example.com", Rtype::A, &answer[..length]).is_err(), "{length}");
    }
}

#[test]
fn data_of_a_name_in_another_case_are_its_own() {
    check(
        "EXAMPLE.com",
        "wWw.example.com A aa
         = WWW.example.com 60 A 192.0.2.1
         = www.EXAMPLE.com 60 A 192.0.2.2",
        "NOERROR Found aa 60
         = www.example.com. 60 A 2",
    );
}

#[test]
fn errors_are_kept_for_seconds() {
    let now = Instant::now();
    for (said, given) in [
        (Rcode::SERVFAIL, Rcode::SERVFAIL),
        (Rcode::REFUSED, Rcode::SERVFAIL),
        (Rcode::NOTAUTH, Rcode::SERVFAIL),
        (Rcode::NOTIMP, Rcode::NOTIMP),
        (Rcode::FORMERR, Rcode::FORMERR),
    ] {
        let error = CachedAnswer::from_error(name("x.example.com").as_ref(), Rtype::A, said, now);
        assert_eq!((error.kind(), error.rcode(), error.is_authoritative()), (Kind::Error, given, false));
        assert!(error.is_kept() && error.is_fresh(now + Duration::from_secs(1)));
        assert!(!error.is_usable(now + Duration::from_secs(5)), "RFC 9520: no failure stands in for an answer");
    }
}

#[test]
fn ages_are_whole_seconds() {
    let now = Instant::now();
    let limits = TtlLimits { stale_s_max: 10, ..TtlLimits::default() };
    let answer = judge("example.com", "www.example.com A aa\n= www.example.com 5 A 192.0.2.1", &limits, now).unwrap();
    let at = |ms| now + Duration::from_millis(ms);
    assert_eq!([0, 999, 1000, 4999].map(|ms| answer.expires_in_s(at(ms))), [5, 5, 4, 1]);
    assert!(answer.is_fresh(at(4999)) && !answer.is_fresh(at(5000)));
    assert!(answer.is_usable(at(14_999)) && !answer.is_usable(at(15_000)));
}
