//! The example zones of the RFCs and the answers that they print.

use wire::{Name, Rtype};

use super::signer::{sign_nsec, sign_nsec3};
use crate::Zone;
use crate::nsec3::Nsec3Params;
use crate::testing::{ask, build, parse_zone};

fn zone(origin: &str, text: &str) -> Zone {
    build(origin.parse::<Name>().unwrap().as_ref(), &parse_zone(origin, text))
}

fn check(zone: &Zone, qname: &str, qtype: Rtype, dnssec_ok: bool, expected: &[&str]) {
    assert_eq!(ask(zone, qname, qtype, dnssec_ok), expected, "{qname} {qtype}");
}

/// RFC 4592 §2.2.1.
#[test]
fn rfc4592_section_2_2_1() {
    let zone = zone(
        "example.",
        "
        @                 3600 IN SOA ns.example.com. root.example.com. 1 3600 600 86400 300
        @                 3600 IN NS  ns.example.com.
        @                 3600 IN NS  ns.example.net.
        *                 3600 IN TXT \"this is a wildcard\"
        *                 3600 IN MX  10 host1.example.
        sub.*             3600 IN TXT \"this is not a wildcard\"
        host1             3600 IN A   192.0.2.1
        _ssh._tcp.host1   3600 IN SRV 0 0 22 host1.example.
        _ssh._tcp.host2   3600 IN SRV 0 0 22 host2.example.
        subdel            3600 IN NS  ns.example.com.
        subdel            3600 IN NS  ns.example.net.
        ",
    );
    // "The following responses would be synthesized from one of the wildcards in the zone"
    check(&zone, "host3.example.", Rtype::MX, false, &["Found", "an host3.example. MX"]);
    check(&zone, "host3.example.", Rtype::A, false, &["NoData", "ns example. SOA"]);
    check(&zone, "foo.bar.example.", Rtype::TXT, false, &["Found", "an foo.bar.example. TXT"]);
    // "The following responses would not be synthesized from any of the wildcards in the zone"
    check(&zone, "host1.example.", Rtype::MX, false, &["NoData", "ns example. SOA"]);
    check(&zone, "sub.*.example.", Rtype::MX, false, &["NoData", "ns example. SOA"]);
    check(&zone, "_telnet._tcp.host1.example.", Rtype::SRV, false, &["NxDomain", "ns example. SOA"]);
    check(&zone, "host.subdel.example.", Rtype::A, false, &["Delegation", "ns subdel.example. NS"]);
    check(&zone, "ghost.*.example.", Rtype::MX, false, &["NxDomain", "ns example. SOA"]);
    // §2.2.2: empty non-terminals exist.
    check(&zone, "_tcp.host1.example.", Rtype::A, false, &["NoData", "ns example. SOA"]);
    check(&zone, "host2.example.", Rtype::MX, false, &["NoData", "ns example. SOA"]);
    // §2.3: the wildcard asked for by its own name.
    check(&zone, "*.example.", Rtype::TXT, false, &["Found", "an *.example. TXT"]);
}

/// RFC 4035 Appendix A, unsigned.
const RFC4035_ZONE: &str = "
    @        3600 IN SOA ns1.example. bugs.x.w.example. 1081539377 3600 300 3600000 3600
    @        3600 IN NS  ns1.example.
    @        3600 IN NS  ns2.example.
    @        3600 IN MX  1 xx.example.
    a        3600 IN NS  ns1.a.example.
    a        3600 IN NS  ns2.a.example.
    a        3600 IN DS  57855 5 1 B6DCD485719ADCA18E5F3D48A2331627FDD3636B
    ns1.a    3600 IN A   192.0.2.5
    ns2.a    3600 IN A   192.0.2.6
    ai       3600 IN A   192.0.2.9
    ai       3600 IN AAAA 2001:db8::f00:baa9
    b        3600 IN NS  ns1.b.example.
    b        3600 IN NS  ns2.b.example.
    ns1.b    3600 IN A   192.0.2.7
    ns2.b    3600 IN A   192.0.2.8
    ns1      3600 IN A   192.0.2.1
    ns2      3600 IN A   192.0.2.2
    *.w      3600 IN MX  1 ai.example.
    x.w      3600 IN MX  1 xx.example.
    x.y.w    3600 IN MX  1 xx.example.
    xx       3600 IN A   192.0.2.10
    xx       3600 IN AAAA 2001:db8::f00:baaa
";

/// RFC 4035 Appendix B.
#[test]
fn rfc4035_appendix_b() {
    let apex: Name = "example.".parse().unwrap();
    let mut records = parse_zone("example.", RFC4035_ZONE);
    sign_nsec(apex.as_ref(), &mut records);
    let zone = build(apex.as_ref(), &records);
    // B.1 Answer
    check(&zone, "x.w.example.", Rtype::MX, true, &["Found", "an x.w.example. MX +sig"]);
    // B.2 Name error
    check(
        &zone,
        "ml.example.",
        Rtype::A,
        true,
        &["NxDomain", "ns example. SOA +sig", "ns b.example. NSEC +sig", "ns example. NSEC +sig"],
    );
    // B.3 No data error
    check(&zone, "ns1.example.", Rtype::MX, true, &["NoData", "ns example. SOA +sig", "ns ns1.example. NSEC +sig"]);
    // B.4 Referral to signed zone
    check(
        &zone,
        "mc.a.example.",
        Rtype::MX,
        true,
        &[
            "Delegation",
            "ns a.example. NS",
            "ns a.example. DS +sig",
            "ar ns1.a.example. A required",
            "ar ns2.a.example. A required",
        ],
    );
    // B.5 Referral to unsigned zone
    check(
        &zone,
        "mc.b.example.",
        Rtype::MX,
        true,
        &[
            "Delegation",
            "ns b.example. NS",
            "ns b.example. NSEC +sig",
            "ar ns1.b.example. A required",
            "ar ns2.b.example. A required",
        ],
    );
    // B.6 Wildcard expansion
    check(
        &zone,
        "a.z.w.example.",
        Rtype::MX,
        true,
        &["Found", "an a.z.w.example. MX +sig", "ns x.y.w.example. NSEC +sig"],
    );
    // B.7 Wildcard no data error
    check(
        &zone,
        "a.z.w.example.",
        Rtype::AAAA,
        true,
        &["NoData", "ns example. SOA +sig", "ns x.y.w.example. NSEC +sig", "ns *.w.example. NSEC +sig"],
    );
    // B.8 DS child zone no data error
    check(&zone, "example.", Rtype::DS, true, &["NoData", "ns example. SOA +sig", "ns example. NSEC +sig"]);
}

/// RFC 5155 Appendix A, unsigned.
const RFC5155_ZONE: &str = "
    @        3600 IN SOA ns1.example. bugs.x.w.example. 1 3600 300 3600000 3600
    @        3600 IN NS  ns1.example.
    @        3600 IN NS  ns2.example.
    @        3600 IN MX  1 xx.example.
    2t7b4g4vsa5smi47k61mv5bv1a22bojr 3600 IN A 192.0.2.127
    a        3600 IN NS  ns1.a.example.
    a        3600 IN NS  ns2.a.example.
    a        3600 IN DS  58470 5 1 3079F1593EBAD6DC121E202A8B766A6A4837206C
    ns1.a    3600 IN A   192.0.2.5
    ns2.a    3600 IN A   192.0.2.6
    ai       3600 IN A   192.0.2.9
    ai       3600 IN AAAA 2001:db8::f00:baa9
    c        3600 IN NS  ns1.c.example.
    c        3600 IN NS  ns2.c.example.
    ns1.c    3600 IN A   192.0.2.7
    ns2.c    3600 IN A   192.0.2.8
    ns1      3600 IN A   192.0.2.1
    ns2      3600 IN A   192.0.2.2
    *.w      3600 IN MX  1 ai.example.
    x.w      3600 IN MX  1 xx.example.
    x.y.w    3600 IN MX  1 xx.example.
    xx       3600 IN A   192.0.2.10
    xx       3600 IN AAAA 2001:db8::f00:baaa
";

/// `named` may leave the NSEC3 record of an empty non-terminal behind when an update takes away what was below. It is the
/// closest provable encloser all the same (RFC 5155 §7.2.1): no record covers its hash.
#[test]
fn an_empty_non_terminal_that_left_its_nsec3_behind() {
    let apex: Name = "example.".parse().unwrap();
    let mut records = parse_zone("example.", RFC5155_ZONE);
    let params = Nsec3Params { iterations: 12, salt: Box::new([0xaa, 0xbb, 0xcc, 0xdd]) };
    sign_nsec3(apex.as_ref(), &mut records, &params, true);
    let below: Name = "w.example.".parse().unwrap();
    records.retain(|record| !record.owner.as_ref().is_within(below.as_ref()));
    let answer = ask(&build(apex.as_ref(), &records), "b.w.example.", Rtype::A, true);
    assert_eq!(answer[..2], ["NxDomain", "ns example. SOA +sig"]);
    assert_eq!(answer[2], "ns k8udemvp1j2f7eg6jebps17vp3n8i58h.example. NSEC3 +sig", "w.example.");
}

/// RFC 5155 Appendix B. Its authority NS of positive answers are left to the caller.
#[test]
fn rfc5155_appendix_b() {
    let apex: Name = "example.".parse().unwrap();
    let mut records = parse_zone("example.", RFC5155_ZONE);
    let params = Nsec3Params { iterations: 12, salt: Box::new([0xaa, 0xbb, 0xcc, 0xdd]) };
    sign_nsec3(apex.as_ref(), &mut records, &params, true);
    let zone = build(apex.as_ref(), &records);
    let soa = "ns example. SOA +sig";
    // B.1 Name error
    check(
        &zone,
        "a.c.x.w.example.",
        Rtype::A,
        true,
        &[
            "NxDomain",
            soa,
            "ns b4um86eghhds6nea196smvmlo4ors995.example. NSEC3 +sig",
            "ns 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 +sig",
            "ns 35mthgpgcu1qg68fab165klnsnk3dpvl.example. NSEC3 +sig",
        ],
    );
    // B.2 No data error
    check(
        &zone,
        "ns1.example.",
        Rtype::MX,
        true,
        &["NoData", soa, "ns 2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. NSEC3 +sig"],
    );
    // B.2.1 No data error, empty non-terminal
    check(
        &zone,
        "y.w.example.",
        Rtype::A,
        true,
        &["NoData", soa, "ns ji6neoaepv8b5o6k4ev33abha8ht9fgc.example. NSEC3 +sig"],
    );
    // B.3 Referral to an opt-out unsigned zone
    check(
        &zone,
        "mc.c.example.",
        Rtype::MX,
        true,
        &[
            "Delegation",
            "ns c.example. NS",
            "ns 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 +sig",
            "ns 35mthgpgcu1qg68fab165klnsnk3dpvl.example. NSEC3 +sig",
            "ar ns1.c.example. A required",
            "ar ns2.c.example. A required",
        ],
    );
    // B.4 Wildcard expansion
    check(
        &zone,
        "a.z.w.example.",
        Rtype::MX,
        true,
        &["Found", "an a.z.w.example. MX +sig", "ns q04jkcevqvmu85r014c7dkba38o0ji5r.example. NSEC3 +sig"],
    );
    // B.5 Wildcard no data error
    check(
        &zone,
        "a.z.w.example.",
        Rtype::AAAA,
        true,
        &[
            "NoData",
            soa,
            "ns k8udemvp1j2f7eg6jebps17vp3n8i58h.example. NSEC3 +sig",
            "ns q04jkcevqvmu85r014c7dkba38o0ji5r.example. NSEC3 +sig",
            "ns r53bq7cc2uvmubfu5ocmm6pers9tk9en.example. NSEC3 +sig",
        ],
    );
    // B.6 DS child zone no data error
    check(
        &zone,
        "example.",
        Rtype::DS,
        true,
        &["NoData", soa, "ns 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 +sig"],
    );
    // §7.2.4: DS at an opt-out delegation.
    check(
        &zone,
        "c.example.",
        Rtype::DS,
        true,
        &[
            "NoData",
            soa,
            "ns 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 +sig",
            "ns 35mthgpgcu1qg68fab165klnsnk3dpvl.example. NSEC3 +sig",
        ],
    );
    // §7.2.8: an NSEC3 owner is not a name that exists, but for the one that owns an address as well.
    let name_error = ask(&zone, "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.", Rtype::NSEC3, true);
    assert_eq!(name_error[0], "NxDomain");
    check(
        &zone,
        "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.",
        Rtype::A,
        true,
        &["Found", "an 2t7b4g4vsa5smi47k61mv5bv1a22bojr.example. A +sig"],
    );
    assert_eq!(ask(&zone, "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.", Rtype::NSEC3, true)[0], "NoData");
}

/// RFC 6672 §2.2 (the table of substitutions), §2.4, §3.1.
#[test]
fn rfc6672_substitution() {
    let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(40)].join(".");
    let zone = zone(
        "example.",
        &format!(
            "
        @            3600 IN SOA   ns root 1 3600 600 86400 300
        @            3600 IN NS    ns
        ns           3600 IN A     192.0.2.1
        d            600  IN DNAME x.example.net.
        d            3600 IN A     192.0.2.2
        occluded.d   3600 IN A     192.0.2.3
        in           3600 IN DNAME target
        www.target   3600 IN A     192.0.2.4
        alias.target 3600 IN CNAME www.in
        loop         3600 IN DNAME loop.loop
        self         3600 IN DNAME self
        long         3600 IN DNAME {long}.
        "
        ),
    );
    check(&zone, "a.b.D.example.", Rtype::A, false, &["Alias", "an D.example. DNAME", "an a.b.D.example. CNAME"]);
    check(
        &zone,
        "occluded.d.example.",
        Rtype::A,
        false,
        &["Alias", "an d.example. DNAME", "an occluded.d.example. CNAME"],
    );
    check(&zone, "d.example.", Rtype::A, false, &["Found", "an d.example. A"]);
    check(&zone, "d.example.", Rtype::MX, false, &["NoData", "ns example. SOA"]);
    check(
        &zone,
        "www.in.example.",
        Rtype::A,
        false,
        &["Found", "an in.example. DNAME", "an www.in.example. CNAME", "an www.target.example. A"],
    );
    check(
        &zone,
        "alias.in.example.",
        Rtype::A,
        false,
        &[
            "Found",
            "an in.example. DNAME",
            "an alias.in.example. CNAME",
            "an alias.target.example. CNAME",
            "an in.example. DNAME",
            "an www.in.example. CNAME",
            "an www.target.example. A",
        ],
    );
    check(
        &zone,
        "none.in.example.",
        Rtype::A,
        false,
        &["NxDomain", "an in.example. DNAME", "an none.in.example. CNAME", "ns example. SOA"],
    );
    check(
        &zone,
        &format!("{}.long.example.", "x".repeat(30)),
        Rtype::A,
        false,
        &["NameTooLong", "an long.example. DNAME"],
    );
    let looped = ask(&zone, "x.loop.example.", Rtype::A, false);
    assert_eq!(looped[0], "Alias");
    assert_eq!(ask(&zone, "x.self.example.", Rtype::A, false)[0], "Alias");
    let synthesized: Name = "q.d.example.".parse().unwrap();
    let mut answer = crate::Answer::new();
    zone.find(synthesized.as_ref(), Rtype::A, false, &mut answer);
    let cname = answer.section(wire::Section::Answer).nth(1).unwrap();
    assert_eq!(cname.ttl(), 600);
    assert_eq!(cname.rdatas().collect::<Vec<_>>(), [b"\x01q\x01x\x07example\x03net\0"]);
}
