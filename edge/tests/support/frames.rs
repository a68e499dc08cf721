//! Queries as frames of Ethernet, and what has to be right of the frames that answer them, to the last bit of a checksum.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wire::{Class, Flags, Name, Rtype, Writer, edns::option};

const MACS_BYTES: usize = 12;
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const UDP: u8 = 17;

/// From whom to whom a datagram goes, and with which VLAN tags: each of a type and a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) macs: [[u8; 6]; 2],
    pub(crate) tags: Vec<[u8; 4]>,
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
}

impl Route {
    pub(crate) fn new(client: &str, server: &str) -> Route {
        let (client, server) = (client.parse().unwrap(), server.parse().unwrap());
        Route { macs: [SERVER_MAC, CLIENT_MAC], tags: Vec::new(), client, server }
    }

    pub(crate) fn tagged(mut self, tag: [u8; 4]) -> Route {
        self.tags.push(tag);
        self
    }

    /// The frame that carries a message from the client to the server.
    pub(crate) fn carry(&self, message: &[u8]) -> Vec<u8> {
        let (from, to) = (self.client, self.server);
        let bytes = (8 + message.len()) as u16;
        let mut udp = [from.port(), to.port(), bytes, 0].map(u16::to_be_bytes).concat();
        udp.extend_from_slice(message);
        let sum = !sum(&[&pseudo_header(from.ip(), to.ip(), bytes), &udp]);
        udp[6..8].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
        let mut frame = self.macs.concat();
        frame.extend(self.tags.iter().flatten());
        match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut ip = vec![0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 57, UDP, 0, 0];
                ip[2..4].copy_from_slice(&(20 + bytes).to_be_bytes());
                ip.extend([from.octets(), to.octets()].concat());
                let checksum = !self::sum(&[&ip]);
                ip[10..12].copy_from_slice(&checksum.to_be_bytes());
                frame.extend([8, 0]);
                frame.extend(ip);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.extend([0x86, 0xdd, 0x60, 1, 2, 3]);
                frame.extend(bytes.to_be_bytes());
                frame.extend([UDP, 57]);
                frame.extend([from.octets(), to.octets()].concat());
            }
            _ => panic!("both of one family"),
        }
        frame.extend(udp);
        frame
    }

    /// What a well-formed frame carries, and between whom. Says nothing of checksums.
    pub(crate) fn read(frame: &[u8]) -> Option<(Route, Vec<u8>)> {
        let macs = [frame.get(..6)?.try_into().ok()?, frame.get(6..12)?.try_into().ok()?];
        let (mut tags, mut rest) = (Vec::new(), frame.get(MACS_BYTES..)?);
        while let [0x81, 0, ..] | [0x88, 0xa8, ..] = rest {
            tags.push(rest.get(..4)?.try_into().ok()?);
            rest = &rest[4..];
        }
        let (kind, ip) = rest.split_at_checked(2)?;
        let (from, to, udp): (IpAddr, IpAddr, _) = match kind {
            [8, 0] => {
                let bytes = usize::from(u16::from_be_bytes(ip.get(2..4)?.try_into().ok()?));
                let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
                (address(12)?.into(), address(16)?.into(), ip.get(20..bytes)?)
            }
            [0x86, 0xdd] => {
                let bytes = usize::from(u16::from_be_bytes(ip.get(4..6)?.try_into().ok()?));
                let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?));
                (address(8)?.into(), address(24)?.into(), ip.get(40..40 + bytes)?)
            }
            _ => return None,
        };
        let number = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
        let (client, server) = (SocketAddr::new(from, number(0)?), SocketAddr::new(to, number(2)?));
        (usize::from(number(4)?) == udp.len()).then_some(())?;
        Some((Route { macs, tags, client, server }, udp[8..].to_vec()))
    }

    /// The message in a frame that answers one of this route. All that it is carried by has to be right.
    pub(crate) fn open(&self, frame: &[u8]) -> Vec<u8> {
        let (back, message) = Route::read(frame).expect("a frame with a datagram");
        let [server, client] = self.macs;
        let expected =
            Route { macs: [client, server], tags: self.tags.clone(), client: self.server, server: self.client };
        assert_eq!(back, expected, "where it goes");
        let ip = &frame[MACS_BYTES + 4 * self.tags.len() + 2..];
        let udp = match self.client.ip() {
            IpAddr::V4(_) => {
                let (ip, udp) = ip.split_at(20);
                assert_eq!((ip[0], ip[1], ip[8], ip[9]), (0x45, 0, 64, UDP));
                assert_eq!(ip[4..8], [0, 0, 0x40, 0], "whole, and never to be parted");
                assert_eq!(sum(&[ip]), 0xffff, "the header's checksum");
                udp
            }
            IpAddr::V6(_) => {
                assert_eq!((&ip[..4], ip[6], ip[7]), (&[0x60, 0, 0, 0][..], UDP, 64));
                &ip[40..]
            }
        };
        assert_eq!(udp.len(), 8 + message.len(), "nothing stands behind it");
        assert_ne!(udp[6..8], [0, 0], "there is a checksum");
        let pseudo = pseudo_header(self.server.ip(), self.client.ip(), udp.len() as u16);
        assert_eq!(sum(&[&pseudo, udp]), 0xffff, "the checksum");
        message
    }
}

/// The ones' complement sum (RFC 1071) of parts of which all but the last have even lengths.
pub(crate) fn sum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn pseudo_header(from: IpAddr, to: IpAddr, bytes: u16) -> Vec<u8> {
    let octets = |ip| match ip {
        IpAddr::V4(ip) => Ipv4Addr::octets(&ip).to_vec(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip).to_vec(),
    };
    let mut header = [octets(from), octets(to)].concat();
    header.extend([0, UDP]);
    header.extend(bytes.to_be_bytes());
    header
}

/// A query's bytes from its text: `NAME TYPE` and then any of `CH` (a class), `id=N`, `rd`, `cd`, `ad`, `edns`, `do`,
/// `size=N`, `version=N`, `option=CODE:HEX`.
pub(crate) fn query(text: &str) -> Vec<u8> {
    let mut words = text.split_whitespace();
    let name: Name = words.next().unwrap().parse().unwrap();
    let rtype: Rtype = words.next().unwrap().parse().unwrap();
    let (mut class, mut flags, mut id) = (Class::IN, Flags::default(), 0x1234);
    let (mut edns, mut size, mut version, mut dnssec_ok) = (false, 1232, 0, false);
    let mut options: Vec<(u16, Vec<u8>)> = Vec::new();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        edns |= matches!(key, "edns" | "do" | "size" | "version" | "option" | "cookie");
        match key {
            "id" => id = value.parse().unwrap(),
            "rd" => flags = flags.with_rd(true),
            "cd" => flags = flags.with_cd(true),
            "ad" => flags = flags.with_ad(true),
            "edns" => {}
            "do" => dnssec_ok = true,
            "size" => size = value.parse().unwrap(),
            "version" => version = value.parse().unwrap(),
            "cookie" => options.push((option::COOKIE, unhex(value))),
            "option" => {
                let (code, data) = value.split_once(':').unwrap();
                options.push((code.parse().unwrap(), unhex(data)));
            }
            class_text => class = class_text.parse().unwrap(),
        }
    }
    let mut buffer = [0; 4096];
    let mut writer = Writer::new(&mut buffer, 4096).unwrap();
    writer.set_id(id);
    writer.set_flags(flags);
    writer.question(name.as_ref(), rtype, class).unwrap();
    if edns {
        let write = |writer: &mut wire::OptionWriter<'_, '_>| {
            options.iter().try_for_each(|(code, data)| writer.option(*code, data))
        };
        writer.opt(size, 0, version, dnssec_ok, write).unwrap();
    }
    let length = writer.finish();
    buffer[..length].to_vec()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
