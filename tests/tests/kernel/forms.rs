//! Every form that a question may have: the plain ones are answered by the kernel lane, all others are passed up, and either
//! way the answer is the one that the sockets give, over IPv4 and IPv6.

use parapet_lab::{Edge, until};
use wire::Rtype;

use crate::message::{AD, CD, DO, Message, RD, option};
use crate::scene::{Asked, Client, DEADLINE, Scene, required};

/// Who is to answer, when the same was asked by the sockets before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    /// The kernel lane.
    Kernel,
    /// The sockets, for the question is not as plain as the kernel lane's are.
    Sockets,
    /// Whichever can: bits that mean nothing, answers that may not be kept.
    Either,
    /// Nobody.
    None,
}

const NSID: u16 = 3;
const CLIENT_SUBNET: u16 = 8;
const KEEPALIVE: u16 = 11;
const PADDING: u16 = 12;

/// Questions of a plain form, whatever is answered to them.
fn plain() -> Vec<(By, Message)> {
    let www = || Message::new("www.example.com", Rtype::A);
    let mut forms = Vec::new();
    for flags in [0, RD, CD, AD, RD | CD | AD] {
        forms.push((By::Kernel, www().flags(flags)));
        forms.push((By::Kernel, www().flags(flags).opt(1232, DO, &[])));
    }
    for size in [0, 511, 512, 513, 1231, 1232, 1233, 4096, 65_535] {
        forms.push((By::Kernel, www().opt(size, 0, &[])));
        forms.push((By::Kernel, www().opt(size, DO, &[])));
    }
    for name in ["WWW.EXAMPLE.COM", "wWw.eXaMpLe.CoM", "www.EXAMPLE.com"] {
        forms.push((By::Kernel, Message::new(name, Rtype::A)));
    }
    // Data of every kind, no data, an alias, wildcards, referrals with glue and with DS.
    let answers = [
        ("example.com", Rtype::SOA),
        ("example.com", Rtype::NS),
        ("example.com", Rtype::MX),
        ("example.com", Rtype::TXT),
        ("_dns._udp.example.com", Rtype::SRV),
        ("alias.example.com", Rtype::A),
        ("alias.example.com", Rtype::CNAME),
        ("www.example.com", Rtype::AAAA),
        ("www.example.com", Rtype::TXT),
        ("empty.nonterminal.example.com", Rtype::A),
        ("any.wild.example.com", Rtype::A),
        ("a.b.c.wild.example.com", Rtype::A),
        ("a.b.sub.example.com", Rtype::A),
        ("signed.example.com", Rtype::NS),
        ("signed.example.com", Rtype::DS),
    ];
    for (name, rtype) in answers {
        forms.push((By::Kernel, Message::new(name, rtype)));
        forms.push((By::Kernel, Message::new(name, rtype).opt(1232, DO, &[])));
    }
    // Names that do not exist.
    for name in ["nowhere.example.com", "a.b.c.nowhere.example.com", "NoWhere.Www.example.COM"] {
        forms.push((By::Kernel, Message::new(name, Rtype::A)));
        forms.push((By::Kernel, Message::new(name, Rtype::MX).opt(1232, 0, &[])));
    }
    forms
}

/// All others.
fn odd() -> Vec<(By, Message)> {
    let www = || Message::new("www.example.com", Rtype::A);
    let named = |octets: &[u8]| Message { name: octets.to_vec(), ..www() };
    let plain_opt = www().opt(1232, 0, &[]).more;
    let mut forms = vec![
        // Header bits that a query has no use for: AA, TC, RA, the reserved one, an RCODE.
        (By::Either, www().flags(0x0400)),
        (By::Either, www().flags(0x0200)),
        (By::Either, www().flags(0x0080)),
        (By::Either, www().flags(0x0040)),
        (By::Either, www().flags(0x0003)),
        (By::None, www().flags(0x8000)),
        // Other counts than one question, and one OPT record at most.
        (By::Sockets, www().counts([0, 0, 0, 0])),
        (By::Sockets, www().counts([2, 0, 0, 0])),
        (By::Sockets, www().counts([1, 1, 0, 0])),
        (By::Sockets, www().counts([1, 0, 1, 0])),
        (By::Sockets, www().counts([1, 0, 0, 1])),
        (By::Sockets, www().counts([0x0100, 0, 0, 0])),
        (By::Sockets, www().more(&plain_opt).counts([1, 1, 0, 0])),
        (By::Sockets, www().more(&plain_opt)),
        (By::Sockets, www().opt(1232, 0, &[]).opt(1232, 0, &[])),
        (By::Sockets, www().more(&[0])),
        (By::Sockets, www().opt(1232, 0, &[]).more(&[0])),
        // EDNS that is not of version 0, or with flags and codes that nobody has defined.
        (By::Sockets, www().opt(1232, 0x0001_0000, &[])),
        (By::Sockets, www().opt(1232, 0x00ff_8000, &[])),
        (By::Either, www().opt(1232, 0x4000, &[])),
        (By::Either, www().opt(1232, 0x0100_0000, &[])),
        // Options.
        (By::Sockets, www().opt(1232, 0, &option(NSID, &[]))),
        (By::Sockets, www().opt(1232, 0, &option(CLIENT_SUBNET, &[0, 1, 24, 0, 192, 0, 2]))),
        (By::Sockets, www().opt(1232, 0, &option(KEEPALIVE, &[]))),
        (By::Sockets, www().opt(1232, 0, &option(PADDING, &[0; 100]))),
        (By::Sockets, www().opt(1232, 0, &option(65_001, b"unknown"))),
        (By::Sockets, www().opt(1232, 0, &[0])),
        (By::Sockets, www().opt(1232, 0, &[0, 3, 0, 9, 0])),
        // An OPT record that belongs to a name, and one whose length is not its own.
        (By::Sockets, www().counts([1, 0, 0, 1]).more(&[1, b'x', 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0])),
        (By::Sockets, www().counts([1, 0, 0, 1]).more(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 1])),
        (By::Sockets, www().counts([1, 0, 0, 1]).more(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0])),
        // Another record where OPT stands.
        (By::Sockets, www().counts([1, 0, 0, 1]).more(&[0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4])),
        // Names that are none, or hide what they are: pointers, unknown kinds of labels, an end that is missing.
        (By::Sockets, named(&[0xc0, 12])),
        (By::Sockets, named(&[3, b'w', b'w', b'w', 0xc0, 12])),
        (By::Sockets, named(&[0x40, 1, 0])),
        (By::Sockets, named(&[0x80, 0])),
        (By::Sockets, named(&[[63; 64]; 4].concat())),
        (By::Either, named(&[0])),
        (By::Either, named(&[&[63][..], &[b'x'; 63], b"\x07example\x03com\0"].concat())),
        (By::Either, named(&long_name())),
        (By::Either, named(b"\x03w\0w\x07example\x03com\0")),
        (By::Either, named(b"\x03w.w\x07example\x03com\0")),
        (By::Either, named(b"\x03\xff\xfe\xfd\x07example\x03com\0")),
        // A zone that is not ours.
        (By::Sockets, Message::new("www.example.net", Rtype::A)),
        (By::Sockets, Message::new("example.co", Rtype::A)),
    ];
    // Opcodes and classes; NOTIFY means something, UPDATE might.
    forms.extend([1, 2, 4, 5, 6, 15].map(|opcode| (By::Sockets, www().flags(opcode << 11))));
    forms.extend([0, 3, 4, 254, 255, 257].map(|class| (By::Sockets, www().class(class))));
    // What is made from the name itself, in the client's own case (RFC 6672 §2.3), and negative answers.
    let names = [
        "files.ftp.example.com",
        "FILES.ftp.example.com",
        "FiLeS.fTp.eXample.com",
        "None.FTP.example.com",
        "nOwHere.example.com",
    ];
    forms.extend(names.map(|name| (By::Either, Message::new(name, Rtype::A))));
    forms.extend(names.map(|name| (By::Either, Message::new(name, Rtype::TXT).opt(1232, DO, &[]))));
    // Types that are questions only, or none at all.
    let types = [Rtype(0), Rtype::OPT, Rtype::TSIG, Rtype::AXFR, Rtype::IXFR, Rtype(249), Rtype(253), Rtype(254)];
    forms.extend(types.map(|rtype| (By::Sockets, Message::new("www.example.com", rtype))));
    let types = [Rtype::ANY, Rtype(65_535), Rtype(4_711), Rtype::RRSIG, Rtype::NSEC, Rtype::DNSKEY];
    forms.extend(types.map(|rtype| (By::Either, Message::new("www.example.com", rtype))));
    forms
}

/// A name of 255 octets in the zone.
fn long_name() -> Vec<u8> {
    let mut name = [&[63][..], &[b'n'; 63]].concat().repeat(3);
    name.extend_from_slice(&[&[49][..], &[b'n'; 49]].concat());
    name.extend_from_slice(b"\x07example\x03com\0");
    assert_eq!(name.len(), 255);
    name
}

#[test]
fn plain_questions_are_answered_below_and_odd_ones_above() {
    let scene = Scene::new("kernel-forms");
    let _origin = scene.origin(parapet_lab::zone_text::small("example.com"));
    let edge = scene.edge(&required(), "");
    let forms: Vec<(By, Message)> = plain().into_iter().chain(odd()).collect();
    let pairs = [(scene.other(), scene.client()), (scene.other_v6(), scene.client_v6())];
    for (above, below) in pairs {
        compare(&edge, above, below, &forms);
    }
}

fn compare(edge: &Edge, above: Client<'_>, below: Client<'_>, forms: &[(By, Message)]) {
    let messages: Vec<Vec<u8>> = (1..).zip(forms).map(|(id, (_, message))| message.to_bytes(id)).collect();
    let silent = forms.iter().filter(|(by, _)| *by == By::None).count();
    let answers = forms.len() - silent;
    let by_sockets = above.exchange_all(&messages, answers);
    // The second time it is at hand, whatever it is.
    assert!(above.exchange_all(&messages, answers) == by_sockets, "not even the sockets say the same twice");
    for (place, (by, message)) in forms.iter().enumerate() {
        let id = u16::try_from(place + 1).expect("an id");
        let before = Asked::of(edge);
        let wanted = &by_sockets[place];
        let got = match by {
            By::None => below.exchange_all(&messages[place..=place], 0).remove(0),
            _ => below.exchange(&messages[place]),
        };
        let server = below.server;
        assert!(got == *wanted, "{server}, {:02x?}: {got:02x?}, by the sockets {wanted:02x?}", message.to_bytes(id));
        let by_kernel = match by {
            By::Kernel => 1,
            By::Sockets => 0,
            By::Either | By::None => continue,
        };
        let counted = || (Asked::of(edge).answered - before.answered == by_kernel).then_some(());
        let found = until("what the kernel lane counts", DEADLINE, counted);
        found.unwrap_or_else(|error| {
            panic!("{error}: {server}, {by:?}, {:02x?}: {:#}", message.to_bytes(id), Asked::of(edge).all)
        });
    }
}
