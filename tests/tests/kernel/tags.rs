//! Frames as they stand on the wire, with VLAN tags (IEEE 802.1Q) and without: the answer has the tags of its question, and
//! addresses, ports and checksums that are right.

use std::net::{Ipv6Addr, UdpSocket};

use parapet_lab::zone_text;
use wire::Rtype;

use crate::message::{DO, Message};
use crate::scene::{Asked, DEADLINE, Scene, TRUNK, ZONE, required};

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];
const PORT: u16 = 5353;
const UDP: u8 = 17;
/// Tag protocol identifiers: of a customer's tag, and of a provider's around it.
const CUSTOMER: u16 = 0x8100;
const PROVIDER: u16 = 0x88a8;

/// The two ends of a packet, IPv4 or IPv6.
#[derive(Clone)]
struct Ends {
    from: Vec<u8>,
    to: Vec<u8>,
}

/// The ones' complement sum of RFC 1071.
fn sum(octets: &[u8]) -> u16 {
    let mut sum: u64 =
        octets.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A UDP datagram's checksum covers that as well (RFC 768, RFC 8200 §8.1).
fn pseudo_header(ends: &Ends, bytes: u16) -> Vec<u8> {
    [&ends.from[..], &ends.to, &[0, UDP], &bytes.to_be_bytes()].concat()
}

/// An IP packet with a UDP datagram from a client's port to port 53.
fn packet(ends: &Ends, message: &[u8]) -> Vec<u8> {
    let bytes = 8 + message.len() as u16;
    let ports = [PORT.to_be_bytes(), 53u16.to_be_bytes()].concat();
    let mut datagram = [&ports[..], &bytes.to_be_bytes(), &[0, 0], message].concat();
    let checksum = !sum(&[&pseudo_header(ends, bytes)[..], &datagram].concat());
    datagram[6..8].copy_from_slice(&checksum.to_be_bytes());
    let header = if ends.from.len() == 4 {
        let mut header = [&[0x45, 0][..], &(20 + bytes).to_be_bytes(), &[0, 1, 0, 0, 9, UDP, 0, 0]].concat();
        header.extend_from_slice(&[&ends.from[..], &ends.to].concat());
        let checksum = !sum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    } else {
        [&[0x60, 0, 0, 0][..], &bytes.to_be_bytes(), &[UDP, 9], &ends.from, &ends.to].concat()
    };
    [header, datagram].concat()
}

fn tags(tags: &[(u16, u16)]) -> Vec<u8> {
    tags.iter().flat_map(|(kind, id)| [kind.to_be_bytes(), id.to_be_bytes()].concat()).collect()
}

fn ethertype(ends: &Ends) -> [u8; 2] {
    if ends.from.len() == 4 { [8, 0] } else { [0x86, 0xdd] }
}

/// The DNS message of an answer to what `ends` sent, all around it checked.
fn message_of(frame: &[u8], mac: [u8; 6], ends: &Ends, around: &[u8]) -> Vec<u8> {
    let ethernet = [&CLIENT_MAC[..], &mac, around, &ethertype(ends)].concat();
    assert_eq!(frame[..ethernet.len()], ethernet, "Ethernet");
    let packet = &frame[ethernet.len()..];
    let back = Ends { from: ends.to.clone(), to: ends.from.clone() };
    let addresses = [&back.from[..], &back.to].concat();
    let (datagram, bytes) = if ends.from.len() == 4 {
        assert_eq!((packet[0], packet[8], packet[9], sum(&packet[..20])), (0x45, 64, UDP, 0xffff), "IPv4");
        assert_eq!(packet[12..20], addresses);
        (&packet[20..], u16::from_be_bytes([packet[2], packet[3]]) - 20)
    } else {
        assert_eq!((packet[0], packet[6], packet[7]), (0x60, UDP, 64), "IPv6");
        assert_eq!(packet[8..40], addresses);
        (&packet[40..], u16::from_be_bytes([packet[4], packet[5]]))
    };
    assert_eq!(datagram[..6], [&53u16.to_be_bytes()[..], &PORT.to_be_bytes(), &bytes.to_be_bytes()].concat(), "UDP");
    assert_eq!(datagram.len(), usize::from(bytes), "nothing behind it");
    assert_ne!(datagram[6..8], [0, 0], "a checksum that says that there is none");
    assert_eq!(sum(&[&pseudo_header(&back, bytes)[..], datagram].concat()), 0xffff, "UDP's checksum");
    datagram[8..].to_vec()
}

#[test]
fn answers_leave_with_the_tags_of_their_questions() {
    let scene = Scene::new("kernel-tags");
    let _origin = scene.origin(zone_text::small(ZONE));
    let host = scene.host("edge");
    let tap = host.tap(TRUNK).expect("a tap device");
    host.address(TRUNK, [10, 7, 0, 1].into(), 24).expect("an address");
    let v6 = |end| [0xfd, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end];
    host.address(TRUNK, v6(1).into(), 64).expect("an address");
    // A fresh address is tentative for a moment.
    let bound = || host.enter(|| UdpSocket::bind((Ipv6Addr::from(v6(1)), 0)).ok()).expect("the edge's namespace");
    parapet_lab::until("an address to bind to", DEADLINE, bound).expect("an address");
    let mac = host.hardware_address(TRUNK).expect("a MAC address");
    let edge = scene.edge(&required().replace("\"]", &format!("\", \"{TRUNK}\"]")), "");

    let ends =
        [Ends { from: vec![10, 7, 0, 2], to: vec![10, 7, 0, 1] }, Ends { from: v6(2).to_vec(), to: v6(1).to_vec() }];
    // A tag's upper bits are its priority; 0 is a priority without a VLAN.
    let around = [
        tags(&[]),
        tags(&[(CUSTOMER, 7)]),
        tags(&[(CUSTOMER, 0xa007)]),
        tags(&[(CUSTOMER, 0)]),
        tags(&[(PROVIDER, 100), (CUSTOMER, 7)]),
        tags(&[(CUSTOMER, 100), (CUSTOMER, 7)]),
    ];
    let questions = [
        Message::new("www.example.com", Rtype::A),
        Message::new("a.wild.example.com", Rtype::A).opt(1232, DO, &[]),
        Message::new("sub.example.com", Rtype::NS).opt(512, 0, &[]),
        Message::new("example.com", Rtype::MX),
    ];
    let messages: Vec<Vec<u8>> = (1..).zip(&questions).map(|(id, question)| question.to_bytes(id)).collect();
    // The second time it is at hand, whatever it is.
    let ask = || messages.iter().map(|message| scene.other().exchange(message).expect("an answer")).collect();
    let wanted: Vec<_> = ask();
    assert_eq!(wanted, ask());
    let before = Asked::of(&edge).answered;
    let mut asked = 0;
    for around in &around {
        for ends in &ends {
            for (message, wanted) in messages.iter().zip(&wanted) {
                let ethernet = [&mac[..], &CLIENT_MAC, around, &ethertype(ends)].concat();
                tap.send(&[ethernet, packet(ends, message)].concat()).expect("a frame that is sent");
                let answer = tap.receive(DEADLINE, |frame| frame.starts_with(&CLIENT_MAC)).unwrap_or_else(|error| {
                    panic!("{error}: tags {around:02x?}, {message:02x?}: {:#}", Asked::of(&edge).all)
                });
                assert_eq!(message_of(&answer, mac, ends, around), *wanted, "tags {around:02x?}");
                asked += 1;
            }
        }
    }
    // The kernel of the test machine may know nothing of VLANs: nobody else can have answered.
    parapet_lab::until("all to be counted", DEADLINE, || (Asked::of(&edge).answered == before + asked).then_some(()))
        .unwrap_or_else(|error| panic!("{error}, {asked} asked: {:#}", Asked::of(&edge).all));
}
