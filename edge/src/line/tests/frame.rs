//! All around the sections: header, EDNS, cookies, CHAOS, what is refused and how.

use super::{Case, NOW_S, query, render, unhex};
use crate::{DropReason, Transport};
use wire::{Class, Name, Rcode, Rtype, Section, Writer};

const REFUSED: &str = "REFUSED qr\n? example.net. IN A";

fn check(text: &str, expected: &str) {
    Case::new().check(text, expected);
}

#[test]
fn what_is_not_ours_is_refused() {
    check("example.net A", REFUSED);
    check("example.net A edns", "REFUSED qr\n? example.net. IN A\nopt 1232 ede=0014");
    check("example.net A HS edns", "REFUSED qr\n? example.net. HS A\nopt 1232 ede=0014");
    check("example.net A ANY", "REFUSED qr\n? example.net. ANY A");
    check(". NS", "REFUSED qr\n? . IN NS");
}

#[test]
fn case_and_flags_are_the_clients() {
    check("eXaMpLe.NeT A rd cd", "REFUSED qr rd cd\n? eXaMpLe.NeT. IN A");
    let answer = Case::new().respond(&query("eXaMpLe.NeT A"), Transport::Udp);
    assert_eq!(&answer[12..25], b"\x07eXaMpLe\x03NeT\0");
    // AD in a query asks for AD in the answer (RFC 6840 §5.7), which a server that does not validate never sets.
    check("example.net A ad", REFUSED);
}

#[test]
fn opcodes_that_are_not_there() {
    for (opcode, name) in [(1, "IQUERY"), (2, "STATUS"), (3, "OPCODE3"), (5, "UPDATE"), (6, "DSO"), (15, "OPCODE15")] {
        check(&format!("example.net SOA opcode={opcode} rd"), &format!("NOTIMP qr rd {name}"));
    }
}

#[test]
fn transfers_are_refused() {
    for rtype in ["AXFR", "IXFR"] {
        for tcp in ["", "tcp"] {
            check(
                &format!("example.net {rtype} edns {tcp}"),
                &format!("REFUSED qr\n? example.net. IN {rtype}\nopt 1232 ede=0012"),
            );
        }
    }
}

#[test]
fn types_that_cannot_be_asked_for() {
    check("example.net OPT", "FORMERR qr\n? example.net. IN OPT");
    check("example.net TSIG", "FORMERR qr\n? example.net. IN TSIG");
    check("example.net MAILB", "NOTIMP qr\n? example.net. IN MAILB");
    check("example.net TKEY", "NOTIMP qr\n? example.net. IN TKEY");
}

#[test]
fn edns_versions_and_unknown_options() {
    check("example.net A version=1", "BADVERS qr\n? example.net. IN A\nopt 1232");
    check("example.net A version=255 do nsid", "BADVERS qr\n? example.net. IN A\nopt 1232 do");
    check("example.net A do option=65001:0102 option=8:0001180000000000", &format!("{REFUSED}\nopt 1232 do ede=0014"));
    check("example.net A size=0", &format!("{REFUSED}\nopt 1232 ede=0014"));
}

#[test]
fn nsid_is_told_when_it_is_set() {
    let mut case = Case::new();
    case.check("example.net A nsid", &format!("{REFUSED}\nopt 1232 ede=0014"));
    case.settings.nsid = Some(b"ams-1".to_vec());
    case.check("example.net A nsid", &format!("{REFUSED}\nopt 1232 nsid=616d732d31 ede=0014"));
    case.check("example.net A edns", &format!("{REFUSED}\nopt 1232 ede=0014"));
    case.settings.nsid = Some(vec![7; 1000]);
    let answer = case.respond(&query("example.net A nsid"), Transport::Udp);
    assert!(render(&answer)[2].contains(&format!("nsid={}", "07".repeat(crate::NSID_BYTES_MAX))));
}

#[test]
fn tcp_keepalive_of_rfc_7828() {
    // 10 s in units of 100 ms.
    check("example.net A tcp keepalive", &format!("{REFUSED}\nopt 1232 keepalive=0064 ede=0014"));
    check("example.net A tcp edns", &format!("{REFUSED}\nopt 1232 ede=0014"));
    check("example.net A keepalive", &format!("{REFUSED}\nopt 1232 ede=0014"));
    check("example.net A tcp keepalive=0064", "FORMERR qr\n? example.net. IN A\nopt 1232");
}

#[test]
fn cookies_are_given_renewed_and_asked_for() {
    const CLIENT: &str = "2464c4abcf10c957";
    const COOKIE: &str = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
    let mut case = Case::new();
    // Without a secret the option is an unknown one, whatever its length.
    case.check("example.net A cookie=01", &format!("{REFUSED}\nopt 1232 ede=0014"));
    case.settings.cookie_secrets = vec![unhex("e5e973e5a6b2a43f48e7dc849e37bfcf").try_into().unwrap()];
    let given = format!("{REFUSED}\nopt 1232 cookie={COOKIE} ede=0014");
    case.check(&format!("example.net A cookie={CLIENT}"), &given);
    case.check(&format!("example.net A cookie={COOKIE}"), &given);
    case.check(&format!("example.net A cookie={CLIENT}0000000000000000"), &given);
    case.check(&format!("example.net A cookie={CLIENT} cookie=00"), &given);
    for malformed in ["", "00", "2464c4abcf10c95701", &"00".repeat(41)] {
        case.check(&format!("example.net A cookie={malformed}"), "FORMERR qr\n? example.net. IN A\nopt 1232");
    }
    // A query without a question learns a cookie (RFC 7873 §5.4).
    case.check(&format!(". A noquestion cookie={CLIENT}"), &format!("NOERROR qr\nopt 1232 cookie={COOKIE}"));
    case.check(". A noquestion edns", "FORMERR qr\nopt 1232");

    case.settings.cookies_required = true;
    let bad = format!("BADCOOKIE qr\n? example.net. IN A\nopt 1232 cookie={COOKIE}");
    case.check(&format!("example.net A cookie={CLIENT}"), &bad);
    case.check(&format!("example.net A cookie={COOKIE}"), &given);
    case.check("example.net A", REFUSED);
    case.check(&format!("example.net A tcp cookie={CLIENT}"), &given);
    case.now_s = NOW_S + 3601;
    let answer = case.respond(&query(&format!("example.net A cookie={COOKIE}")), Transport::Udp);
    assert!(render(&answer)[0].starts_with("BADCOOKIE"));
}

#[test]
fn chaos_names_the_server_if_it_may() {
    let mut case = Case::new();
    for name in ["id.server", "hostname.bind", "version.server", "version.bind", "authors.bind"] {
        case.check(&format!("{name} TXT CH"), &format!("REFUSED qr\n? {name}. CH TXT"));
    }
    case.settings.id_server = Some("ams-1".to_owned());
    case.settings.version_bind = Some("none of your business".to_owned());
    for name in ["id.server", "HOSTNAME.bind"] {
        case.check(
            &format!("{name} TXT CH"),
            &format!("NOERROR qr aa\n? {name}. CH TXT\n= {name}. CH 0 TXT \"ams-1\""),
        );
    }
    for name in ["version.server", "version.bind"] {
        case.check(
            &format!("{name} TXT CH"),
            &format!("NOERROR qr aa\n? {name}. CH TXT\n= {name}. CH 0 TXT \"none of your business\""),
        );
    }
    case.check("id.server A CH", "NOERROR qr aa\n? id.server. CH A");
    case.settings.id_server = Some("x".repeat(300));
    let answer = case.respond(&query("id.server TXT CH"), Transport::Udp);
    assert!(render(&answer)[2].ends_with(&format!("\"{}\"", "x".repeat(255))));
}

#[test]
fn notify_goes_to_its_handler() {
    let mut case = Case::new();
    case.check("example.net SOA opcode=4", "REFUSED qr NOTIFY\n? example.net. IN SOA");
    case.peer = "192.0.2.1:53".parse().unwrap();
    case.check("example.net SOA opcode=4", "NOERROR qr NOTIFY\n? example.net. IN SOA");
    case.peer = "192.0.2.99:53".parse().unwrap();
    assert!(case.respond(&query("example.net SOA opcode=4"), Transport::Udp).is_empty());
    let stats = case.stats();
    assert_eq!((stats.dropped_for(DropReason::Notify), stats.rcode(Rcode::NOERROR)), (1, 1));
}

#[test]
fn responses_and_port_0_are_never_answered() {
    let mut case = Case::new();
    let mut message = query("example.net A");
    message[2] |= 0x80;
    assert!(case.respond(&message, Transport::Udp).is_empty());
    case.peer.set_port(0);
    assert!(case.respond(&query("example.net A"), Transport::Udp).is_empty());
    assert!(case.respond(&[], Transport::Tcp).is_empty());
    let stats = case.stats();
    for reason in [DropReason::Response, DropReason::PortZero, DropReason::Short] {
        assert_eq!(stats.dropped_for(reason), 1, "{reason:?}");
    }
    assert_eq!((stats.queries_total(), stats.answer_bytes), (3, 0));
}

/// A query signed with a key that nobody here knows.
fn signed(rdata: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(0x1234);
    writer.question("example.net".parse::<Name>().unwrap().as_ref(), Rtype::A, Class::IN).unwrap();
    writer.opt(1232, 0, 0, false, |_| Ok(())).unwrap();
    let key: Name = "key.example.".parse().unwrap();
    writer.record(Section::Additional, key.as_ref(), Rtype::TSIG, Class::ANY, 0, rdata).unwrap();
    let length = writer.finish();
    buffer[..length].to_vec()
}

#[test]
fn keys_are_unknown_here() {
    let algorithm = "0b686d61632d73686132353600";
    let time_and_fudge = "00005cf79f11012c";
    let rdata = |mac: &str, tail: &str| unhex(&format!("{algorithm}{time_and_fudge}{mac}1234{tail}"));
    let case = Case::new();
    let mac = format!("0020{}", "ab".repeat(32));
    let answer = case.respond(&signed(&rdata(&mac, "00000000")), Transport::Udp);
    let expected_rdata = format!("{algorithm}{time_and_fudge}0000123400110000");
    assert_eq!(
        render(&answer),
        ["NOTAUTH qr", "? example.net. IN A", "opt 1232", &format!("+ key.example. ANY 0 TSIG {expected_rdata}")]
    );
    for broken in [rdata(&mac, "0000"), rdata(&mac, "000000010000"), rdata("00ff", "00000000"), Vec::new()] {
        let answer = case.respond(&signed(&broken), Transport::Udp);
        assert_eq!(render(&answer), ["FORMERR qr", "? example.net. IN A", "opt 1232"], "{broken:02x?}");
    }
}
