//! Single rules, each by the RFC that makes it.

use wire::{Name, Rtype, Section};

use crate::testing::{ask, zone_of};
use crate::{Answer, Outcome, Zone};

const SOA: (&str, &str, &str) = ("example.", "SOA", "ns.example. root.example. 1 3600 600 86400 300");
const NS: (&str, &str, &str) = ("example.", "NS", "ns.example.");

fn zone(records: &[(&str, &str, &str)]) -> Zone {
    zone_of("example.", &[&[SOA, NS], records].concat())
}

/// RFC 2308 §5: the TTL of negative answers is the SOA's, with its minimum field as a bound.
#[test]
fn negative_ttl() {
    let zone = zone(&[]);
    let qname: Name = "none.example.".parse().unwrap();
    let mut answer = Answer::new();
    assert_eq!(zone.find(qname.as_ref(), Rtype::A, false, &mut answer), Outcome::NxDomain);
    assert_eq!(answer.section(Section::Authority).map(|rrset| rrset.ttl()).collect::<Vec<_>>(), [300]);
    assert_eq!(zone.find(zone.apex(), Rtype::SOA, false, &mut answer), Outcome::Found);
    assert_eq!(answer.section(Section::Answer).map(|rrset| rrset.ttl()).collect::<Vec<_>>(), [3600]);
}

/// RFC 1034 §4.3.2 step 3a: CNAME chains, in the zone, out of it, into a cut, in a circle.
#[test]
fn cname_chains() {
    let zone = zone(&[
        ("a.example.", "CNAME", "B.example."),
        ("b.example.", "CNAME", "c.example."),
        ("c.example.", "A", "192.0.2.1"),
        ("out.example.", "CNAME", "www.example.net."),
        ("none.example.", "CNAME", "gone.example."),
        ("down.example.", "CNAME", "www.sub.example."),
        ("sub.example.", "NS", "ns.example.net."),
        ("x.example.", "CNAME", "y.example."),
        ("y.example.", "CNAME", "x.example."),
        ("*.wild.example.", "CNAME", "c.example."),
        ("*.round.example.", "CNAME", "x.round.example."),
    ]);
    let chain = ["an A.example. CNAME", "an B.example. CNAME", "an c.example. A"];
    assert_eq!(ask(&zone, "A.example.", Rtype::A, false), [&["Found"][..], &chain].concat());
    assert_eq!(ask(&zone, "a.example.", Rtype::CNAME, false), ["Found", "an a.example. CNAME"]);
    assert_eq!(ask(&zone, "a.example.", Rtype::ANY, false), ["Found", "an a.example. CNAME"]);
    assert_eq!(ask(&zone, "out.example.", Rtype::A, false), ["Alias", "an out.example. CNAME"]);
    assert_eq!(ask(&zone, "none.example.", Rtype::A, false), ["NxDomain", "an none.example. CNAME", "ns example. SOA"]);
    assert_eq!(
        ask(&zone, "down.example.", Rtype::A, false),
        ["Delegation", "an down.example. CNAME", "ns sub.example. NS"]
    );
    assert_eq!(ask(&zone, "x.example.", Rtype::A, false), ["Alias", "an x.example. CNAME", "an y.example. CNAME"]);
    assert_eq!(
        ask(&zone, "q.wild.example.", Rtype::A, false),
        ["Found", "an q.wild.example. CNAME", "an c.example. A"]
    );
    assert_eq!(ask(&zone, "q.round.example.", Rtype::A, false)[..2], ["Alias", "an q.round.example. CNAME"]);
}

/// A chain that never ends is cut off.
#[test]
fn long_chains_end() {
    let names: Vec<String> = (0..40).map(|i| format!("c{i}.example.")).collect();
    let records: Vec<(&str, &str, &str)> =
        names.windows(2).map(|pair| (pair[0].as_str(), "CNAME", pair[1].as_str())).collect();
    let lines = ask(&zone(&records), "c0.example.", Rtype::A, false);
    assert_eq!(lines.len(), 1 + crate::ALIASES_MAX + 1);
    assert_eq!(lines[0], "Alias");
}

/// RFC 1034 §4.3.2 step 3b and RFC 9471: glue below the cut is required, that of siblings is welcome.
#[test]
fn glue() {
    let zone = zone(&[
        ("a.example.", "NS", "ns.b.example."),
        ("a.example.", "NS", "ns.a.example."),
        ("a.example.", "NS", "ns.example.net."),
        ("a.example.", "NS", "ns.example."),
        ("b.example.", "NS", "ns.b.example."),
        ("ns.example.", "A", "192.0.2.1"),
        ("ns.a.example.", "A", "192.0.2.2"),
        ("ns.a.example.", "AAAA", "2001:db8::2"),
        ("ns.b.example.", "A", "192.0.2.3"),
    ]);
    let referral = [
        "Delegation",
        "ns a.example. NS",
        "ar ns.a.example. A required",
        "ar ns.a.example. AAAA required",
        "ar ns.b.example. A",
        "ar ns.example. A",
    ];
    for (qname, qtype) in [("a.example.", Rtype::A), ("a.example.", Rtype::NS), ("ns.a.example.", Rtype::A)] {
        assert_eq!(ask(&zone, qname, qtype, false), referral, "{qname} {qtype}");
    }
    assert_eq!(ask(&zone, "a.example.", Rtype::DS, false), ["NoData", "ns example. SOA"]);
    assert_eq!(ask(&zone, "x.a.example.", Rtype::DS, false), referral);
}

/// RFC 1034 §4.2.1: what stands below a cut or a DNAME is hidden; the topmost of them decides.
#[test]
fn occlusion() {
    let zone = zone(&[
        ("cut.example.", "NS", "ns.example.net."),
        ("deeper.cut.example.", "NS", "ns.example.org."),
        ("x.deeper.cut.example.", "A", "192.0.2.1"),
        ("dname.cut.example.", "DNAME", "example.net."),
        ("d.example.", "DNAME", "example.net."),
        ("cut.d.example.", "NS", "ns.example.net."),
    ]);
    for qname in ["x.deeper.cut.example.", "q.dname.cut.example.", "none.cut.example."] {
        assert_eq!(ask(&zone, qname, Rtype::A, false), ["Delegation", "ns cut.example. NS"], "{qname}");
    }
    let synthesized = ["Alias", "an d.example. DNAME", "an q.cut.d.example. CNAME"];
    assert_eq!(ask(&zone, "q.cut.d.example.", Rtype::A, false), synthesized);
}

/// RFC 1034 §3.7, RFC 2782, RFC 9460 §4.1: addresses of targets in the zone.
#[test]
fn additional() {
    let zone = zone(&[
        ("ns.example.", "A", "192.0.2.1"),
        ("example.", "MX", "10 mail.example."),
        ("example.", "MX", "20 mail.example."),
        ("example.", "MX", "30 mail.example.net."),
        ("mail.example.", "A", "192.0.2.2"),
        ("mail.example.", "AAAA", "2001:db8::2"),
        ("_s._tcp.example.", "SRV", "0 0 1 mail.example."),
        ("self.example.", "HTTPS", "1 . alpn=h2"),
        ("self.example.", "A", "192.0.2.3"),
        ("alias.example.", "HTTPS", "0 self.example."),
        ("nowhere.example.", "HTTPS", "0 ."),
        ("nowhere.example.", "A", "192.0.2.4"),
    ]);
    let additional = |qname: &str, qtype| {
        let qname: Name = qname.parse().unwrap();
        let mut answer = Answer::new();
        assert_eq!(zone.find(qname.as_ref(), qtype, false, &mut answer), Outcome::Found);
        zone.find_additional(false, &mut answer);
        let rrsets = answer.section(Section::Additional);
        rrsets.map(|rrset| format!("{} {}", rrset.owner().as_ref(), rrset.rtype())).collect::<Vec<_>>()
    };
    assert_eq!(additional("example.", Rtype::MX), ["mail.example. A", "mail.example. AAAA"]);
    assert_eq!(additional("example.", Rtype::NS), ["ns.example. A"]);
    assert_eq!(additional("_s._tcp.example.", Rtype::SRV), ["mail.example. A", "mail.example. AAAA"]);
    assert_eq!(additional("self.example.", Rtype::HTTPS), ["self.example. A"]);
    assert_eq!(additional("alias.example.", Rtype::HTTPS), ["self.example. A", "self.example. HTTPS"]);
    assert_eq!(additional("nowhere.example.", Rtype::HTTPS), Vec::<String>::new());
    assert_eq!(additional("example.", Rtype::SOA), Vec::<String>::new());
}

/// RFC 4343: case is no difference, and the question's spelling is the answer's.
#[test]
fn case() {
    let zone = zone(&[("www.Example.", "A", "192.0.2.1")]);
    assert_eq!(ask(&zone, "WwW.eXaMpLe.", Rtype::A, false), ["Found", "an WwW.eXaMpLe. A"]);
    assert_eq!(ask(&zone, "www.example.com.", Rtype::A, false), ["NotInZone"]);
}

/// The root zone has no labels above it.
#[test]
fn root_zone() {
    let zone = zone_of(
        ".",
        &[
            (".", "SOA", "a. b. 1 3600 600 86400 300"),
            (".", "NS", "a.root."),
            ("com.", "NS", "ns.com."),
            ("ns.com.", "A", "192.0.2.1"),
        ],
    );
    assert_eq!(ask(&zone, "www.example.com.", Rtype::A, false), ["Delegation", "ns com. NS", "ar ns.com. A required"]);
    assert_eq!(ask(&zone, "org.", Rtype::A, false), ["NxDomain", "ns . SOA"]);
    assert_eq!(ask(&zone, ".", Rtype::NS, false), ["Found", "an . NS"]);
}
