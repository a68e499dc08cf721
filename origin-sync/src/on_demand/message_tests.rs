use super::*;
use wire::{Flags, Query, Writer};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn cookies(server: Option<&[u8]>) -> Cookies {
    Cookies { client: *b"client!!", server: server.map(<[u8]>::to_vec) }
}

fn question(cookies: Option<Cookies>) -> Question {
    Question { id: 0x1234, qname: name("wWw.ExamPle.TEST"), qtype: Rtype::AAAA, cookies }
}

/// A response with the given id, question and options.
fn response(id: u16, qname: &str, qtype: Rtype, flags: Flags, rcode: Rcode, cookie: Option<&[u8]>) -> Vec<u8> {
    let mut buffer = vec![0; 512];
    let mut writer = Writer::new(&mut buffer, 512).unwrap();
    writer.set_id(id);
    writer.set_flags(flags.with_qr(true).with_rcode(rcode));
    writer.question(name(qname).as_ref(), qtype, Class::IN).unwrap();
    let upper = (rcode.0 >> 4) as u8;
    let option = |options: &mut wire::OptionWriter<'_, '_>| match cookie {
        Some(cookie) => options.option(edns::option::COOKIE, cookie),
        None => Ok(()),
    };
    writer.opt(1232, upper, 0, true, option).unwrap();
    let length = writer.finish();
    buffer.truncate(length);
    buffer
}

fn plain(cookie: Option<&[u8]>) -> Vec<u8> {
    response(0x1234, "wWw.ExamPle.TEST", Rtype::AAAA, Flags::default(), Rcode::NOERROR, cookie)
}

#[test]
fn a_question_says_nothing_of_a_client() {
    for cookies in [None, Some(cookies(None)), Some(cookies(Some(b"server-cookie...")))] {
        let expected: Option<Vec<u8>> = cookies.as_ref().map(Cookies::option);
        let (bytes, _) = question(cookies).build(None, 0).unwrap();
        let query = Query::parse(&bytes).unwrap();
        assert_eq!((query.header.id, query.header.flags), (0x1234, Flags::default()));
        let asked = query.question.unwrap();
        assert_eq!(asked.name.as_bytes(), name("wWw.ExamPle.TEST").as_bytes());
        assert_eq!((asked.rtype, asked.class), (Rtype::AAAA, Class::IN));
        let edns = query.edns.unwrap();
        assert_eq!((edns.udp_size, edns.version, edns.dnssec_ok), (1232, 0, true));
        let options: Vec<_> = edns.options().map(|(code, data)| (code, data.to_vec())).collect();
        assert_eq!(options, expected.map(|cookie| (edns::option::COOKIE, cookie)).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn each_letter_has_a_case_of_its_own() {
    let qname = name("ab-1.Z.test");
    let mixed = |bits: &[u8]| randomise_case(&qname, bits).to_string();
    assert_eq!(mixed(&[]), "ab-1.z.test.");
    assert_eq!(mixed(&[0xff, 0xff]), "AB-1.Z.TEST.");
    // Bits stand for octets of the name: 0 is the length of the first label.
    assert_eq!(mixed(&[0b0000_0010, 0b0000_0010]), "Ab-1.z.tEst.");
    let long = vec![0xaa; wire::NAME_BYTES_MAX / 8 + 1];
    let longest = name(&format!("{}.{}.{}.{}", "x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(61)));
    let mixed = randomise_case(&longest, &long);
    assert_eq!(mixed, longest);
    assert!(
        mixed.to_string().starts_with("XxXx")
            && mixed.to_string().ends_with(".wWwW") | mixed.to_string().contains("wW")
    );
}

#[test]
fn what_a_message_is_to_a_question() {
    let heard = |rcode, truncated, server_cookie| Heard::Response { rcode, truncated, server_cookie };
    let asked = question(None);
    let judge = |message: &[u8]| super::judge(message, &asked, true);
    assert_eq!(judge(&plain(None)), heard(Rcode::NOERROR, false, None));
    let with = |id, qname, qtype, flags, rcode| response(id, qname, qtype, flags, rcode, None);
    let (good, none) = ("wWw.ExamPle.TEST", Flags::default());
    assert_eq!(
        judge(&with(0x1234, good, Rtype::AAAA, none.with_tc(true), Rcode::NOERROR)),
        heard(Rcode::NOERROR, true, None)
    );
    assert_eq!(judge(&with(0x1234, good, Rtype::AAAA, none, Rcode::BADCOOKIE)), heard(Rcode::BADCOOKIE, false, None));
    assert_eq!(judge(&with(0x1235, good, Rtype::AAAA, none, Rcode::NOERROR)), Heard::Stray);
    assert_eq!(judge(b"\x12\x34"), Heard::Stray);
    assert_eq!(judge(&with(0x1234, good, Rtype::A, none, Rcode::NOERROR)), Heard::Doubtful("another question"));
    assert_eq!(judge(&with(0x1234, "x.test", Rtype::AAAA, none, Rcode::NOERROR)), Heard::Doubtful("another question"));
    let lower = with(0x1234, "www.example.test", Rtype::AAAA, none, Rcode::NOERROR);
    assert_eq!(judge(&lower), Heard::Doubtful("another case in the question"));
    assert_eq!(super::judge(&lower, &asked, false), heard(Rcode::NOERROR, false, None));
    // A query is none, nor one with two questions or none.
    let mut query = plain(None);
    query[2] &= 0x7f;
    assert_eq!(judge(&query), Heard::Stray);
    let mut no_question = plain(None)[..12].to_vec();
    no_question[4..12].copy_from_slice(&[0; 8]);
    assert_eq!(judge(&no_question), Heard::Doubtful("no question"));
}

#[test]
fn cookies_are_compared() {
    let heard = |server_cookie: Option<&[u8]>| Heard::Response {
        rcode: Rcode::NOERROR,
        truncated: false,
        server_cookie: server_cookie.map(<[u8]>::to_vec),
    };
    let (fresh, known) = (question(Some(cookies(None))), question(Some(cookies(Some(b"01234567")))));
    for asked in [&fresh, &known] {
        assert_eq!(judge(&plain(Some(b"client!!server-cookie")), asked, true), heard(Some(b"server-cookie")));
        for wrong in [&b"client!?server-cookie"[..], b"client", b"client!!short", b""] {
            assert_eq!(judge(&plain(Some(wrong)), asked, true), Heard::Doubtful("another cookie"), "{wrong:?}");
        }
        assert_eq!(judge(&plain(Some(b"client!!")), asked, true), heard(None));
    }
    assert_eq!(judge(&plain(None), &fresh, true), heard(None));
    assert_eq!(judge(&plain(None), &known, true), Heard::Doubtful("no cookie"));
    assert_eq!(judge(&plain(None), &known, false), heard(None));
    assert_eq!(judge(&plain(Some(b"whatever")), &question(None), true), heard(None));
}
