//! Just enough of a DNS client to ask a server one question over UDP and read the reply. It shares no code with the
//! servers it asks, so that it cannot share their mistakes.

use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use crate::{LabError, Namespace, until};

/// The port of DNS.
pub const PORT: u16 = 53;
/// How long one attempt waits for its reply.
const ATTEMPT: Duration = Duration::from_millis(500);
/// Attempts at one question before there is no reply.
const ATTEMPTS_MAX: u32 = 4;
/// The payload size offered by EDNS, RFC 6891.
const PAYLOAD_BYTES: u16 = 1232;
/// The type of EDNS' record, RFC 6891.
const OPT: u16 = 41;
/// The option by which a server says who it is, RFC 5001.
const NSID: u16 = 3;

/// The type of a record.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rtype(pub u16);

#[allow(missing_docs)]
impl Rtype {
    pub const A: Rtype = Rtype(1);
    pub const NS: Rtype = Rtype(2);
    pub const CNAME: Rtype = Rtype(5);
    pub const SOA: Rtype = Rtype(6);
    pub const MX: Rtype = Rtype(15);
    pub const TXT: Rtype = Rtype(16);
    pub const AAAA: Rtype = Rtype(28);
    pub const DS: Rtype = Rtype(43);
    pub const DNSKEY: Rtype = Rtype(48);
    pub const ANY: Rtype = Rtype(255);
}

/// A record of a reply: its type, TTL and data as they stood in the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its type.
    pub rtype: Rtype,
    /// Its TTL in seconds.
    pub ttl_s: u32,
    /// Its data; names in it may be compressed.
    pub rdata: Vec<u8>,
}

/// A reply, reduced to what experiments look at.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The RCODE of the header.
    pub rcode: u8,
    /// Authoritative answer.
    pub aa: bool,
    /// Truncated.
    pub tc: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The whole message.
    pub message: Vec<u8>,
    /// From sending to receiving.
    pub elapsed: Duration,
}

impl Reply {
    /// The IPv4 addresses of the answer.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let v4 = |record: &Record| <[u8; 4]>::try_from(record.rdata.as_slice()).ok().map(IpAddr::from);
        self.answers.iter().filter(|record| record.rtype == Rtype::A).filter_map(v4).collect()
    }

    /// The strings of the TXT records of the answer, those of one record joined.
    pub fn texts(&self) -> Vec<String> {
        let text = |record: &Record| {
            let mut rest = record.rdata.as_slice();
            let mut text = Vec::new();
            while let Some((&length, tail)) = rest.split_first() {
                let (string, tail) = tail.split_at_checked(usize::from(length)).unwrap_or((tail, &[]));
                text.extend_from_slice(string);
                rest = tail;
            }
            String::from_utf8_lossy(&text).into_owned()
        };
        self.answers.iter().filter(|record| record.rtype == Rtype::TXT).map(text).collect()
    }

    /// The serial of the SOA record of the answer.
    pub fn serial(&self) -> Option<u32> {
        let soa = self.answers.iter().find(|record| record.rtype == Rtype::SOA)?;
        // RFC 1035 §3.3.13: two names and five numbers of 32 bits, the serial being the first.
        let from = soa.rdata.len().checked_sub(20)?;
        Some(u32::from_be_bytes(soa.rdata.get(from..from + 4)?.try_into().ok()?))
    }

    /// Who answered, as far as it says so to who asks with [`encode_query_for_nsid`].
    pub fn nsid(&self) -> Option<&[u8]> {
        self.option(NSID)
    }

    /// The data of the first EDNS option with this code.
    pub(crate) fn option(&self, code: u16) -> Option<&[u8]> {
        let (fixed, next) = self.opt()?;
        option(self.message.get(fixed + 10..next)?, code)
    }

    /// The upper bits of the RCODE, RFC 6891 §6.1.3; none without EDNS.
    pub(crate) fn extended_rcode(&self) -> Option<u8> {
        let (fixed, _) = self.opt()?;
        self.message.get(fixed + 4).copied()
    }

    /// Where the OPT record's type stands, and where the record ends.
    fn opt(&self) -> Option<(usize, usize)> {
        let number = |offset: usize| Some(u16::from_be_bytes(self.message.get(offset..offset + 2)?.try_into().ok()?));
        let mut offset = 12;
        for _ in 0..number(4)? {
            offset = skip_name(&self.message, offset)? + 4;
        }
        for _ in 0..u32::from(number(6)?) + u32::from(number(8)?) {
            offset = skip_record(&self.message, offset)?;
        }
        for _ in 0..number(10)? {
            let fixed = skip_name(&self.message, offset)?;
            let next = skip_record(&self.message, offset)?;
            if number(fixed)? == OPT {
                return Some((fixed, next));
            }
            offset = next;
        }
        None
    }
}

/// The data of the first option with this code in the data of an OPT record, RFC 6891 §6.1.2.
fn option(mut options: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk::<4>() {
        let (data, tail) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        if u16::from_be_bytes([c0, c1]) == wanted {
            return Some(data);
        }
        options = tail;
    }
    None
}

/// A client inside a namespace with a socket to one server.
pub struct Client {
    socket: UdpSocket,
    next_id: u16,
}

impl Client {
    /// A client in `namespace` that asks `server`.
    pub fn new(namespace: &Namespace, server: SocketAddr) -> Result<Client, LabError> {
        let socket = namespace
            .enter(|| connect(server))?
            .map_err(LabError::io(format!("opening a socket to {server} in {}", namespace.name())))?;
        Ok(Client { socket, next_id: 1 })
    }

    /// Ask once and wait at most `timeout`; `None` where no reply came.
    pub fn ask_once(&mut self, name: &str, rtype: Rtype, timeout: Duration) -> Option<Reply> {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let query = encode_query(id, name, rtype)?;
        let start = Instant::now();
        self.socket.send(&query).ok()?;
        self.receive(id, start, timeout)
    }

    /// Ask, again if need be; no reply to any attempt is an error.
    pub fn ask(&mut self, name: &str, rtype: Rtype) -> Result<Reply, LabError> {
        (0..ATTEMPTS_MAX).find_map(|_| self.ask_once(name, rtype, ATTEMPT)).ok_or_else(|| LabError::NotReady {
            what: format!("a reply to {name} {rtype:?}"),
            waited: ATTEMPT * ATTEMPTS_MAX,
            details: String::new(),
        })
    }

    fn receive(&self, id: u16, start: Instant, timeout: Duration) -> Option<Reply> {
        let mut buffer = [0; 65_535];
        loop {
            let left = timeout.checked_sub(start.elapsed()).filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).ok()?;
            match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let reply = decode_reply(buffer.get(..length)?, id, start.elapsed());
                    if reply.is_some() {
                        return reply;
                    }
                }
                // Nobody listens (yet): the caller decides whether to ask again, but not in a tight loop.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    std::thread::sleep(Duration::from_millis(2).min(left));
                    return None;
                }
                Err(_) => return None,
            }
        }
    }
}

fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if server.is_ipv4() {
        (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket)
}

/// The serial that `server` answers with for `zone` to who asks from where this program runs, once.
pub fn serial_here(server: IpAddr, zone: &str) -> Option<u32> {
    let mut client = Client { socket: connect(SocketAddr::new(server, PORT)).ok()?, next_id: 1 };
    client.ask_once(zone, Rtype::SOA, ATTEMPT).filter(|reply| reply.aa)?.serial()
}

/// Ask `server` one question on port 53 from `namespace`; lost datagrams are sent again.
pub fn ask(namespace: &Namespace, server: IpAddr, name: &str, rtype: Rtype) -> Result<Reply, LabError> {
    Client::new(namespace, SocketAddr::new(server, PORT))?.ask(name, rtype)
}

/// The serial that `server` answers with for `zone` right now.
pub fn serial(namespace: &Namespace, server: IpAddr, zone: &str) -> Option<u32> {
    let mut client = Client::new(namespace, SocketAddr::new(server, PORT)).ok()?;
    client.ask_once(zone, Rtype::SOA, ATTEMPT).filter(|reply| reply.aa)?.serial()
}

/// Wait until `server` answers with authority for `zone` with this serial or a later one; gives the serial.
pub fn wait_for_serial(
    namespace: &Namespace,
    server: IpAddr,
    zone: &str,
    wanted: u32,
    deadline: Duration,
) -> Result<u32, LabError> {
    let mut client = Client::new(namespace, SocketAddr::new(server, PORT))?;
    let mut last = None;
    let found = until(format!("{zone} with serial {wanted} at {server}"), deadline, || {
        let reply = client.ask_once(zone, Rtype::SOA, ATTEMPT)?;
        last = Some((reply.rcode, reply.serial()));
        reply.serial().filter(|serial| reply.aa && serial.wrapping_sub(wanted) < 1 << 31)
    });
    found.map_err(|error| match error {
        LabError::NotReady { what, waited, .. } => {
            let details = last.map_or("; it never answered".to_owned(), |(rcode, serial)| {
                format!("; its last answer had RCODE {rcode} and serial {serial:?}")
            });
            LabError::NotReady { what, waited, details }
        }
        other => other,
    })
}

/// A query in wire format with EDNS; `None` for a name that is none. Dots in labels cannot be written.
pub fn encode_query(id: u16, name: &str, rtype: Rtype) -> Option<Vec<u8>> {
    let mut query = Vec::with_capacity(64);
    query.extend(id.to_be_bytes());
    query.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let length = u8::try_from(label.len()).ok().filter(|length| *length < 64)?;
        query.push(length);
        query.extend_from_slice(label.as_bytes());
    }
    query.push(0);
    query.extend(rtype.0.to_be_bytes());
    query.extend([0, 1]);
    // OPT: the root as owner, type 41, payload size as class, no extended RCODE, version 0, no flags, no options.
    query.extend([0, 0, 41]);
    query.extend(PAYLOAD_BYTES.to_be_bytes());
    query.extend([0; 6]);
    Some(query)
}

/// The same, and asks the server who it is (RFC 5001).
pub fn encode_query_for_nsid(id: u16, name: &str, rtype: Rtype) -> Option<Vec<u8>> {
    let mut query = encode_query(id, name, rtype)?;
    // The length of the OPT record's data comes last.
    query.truncate(query.len().checked_sub(2)?);
    query.extend([0, 4]);
    query.extend(NSID.to_be_bytes());
    query.extend([0, 0]);
    Some(query)
}

pub(crate) fn decode_reply(message: &[u8], id: u16, elapsed: Duration) -> Option<Reply> {
    let number = |offset: usize| Some(u16::from_be_bytes(message.get(offset..offset + 2)?.try_into().ok()?));
    let flags = number(2)?;
    if number(0)? != id || flags & 0x8000 == 0 {
        return None;
    }
    let mut offset = 12;
    for _ in 0..number(4)? {
        offset = skip_name(message, offset)? + 4;
    }
    let mut section = |count: u16| {
        let mut records = Vec::new();
        for _ in 0..count {
            let (record, next) = decode_record(message, offset)?;
            records.push(record);
            offset = next;
        }
        Some(records)
    };
    let answers = section(number(6)?)?;
    let authority = section(number(8)?)?;
    Some(Reply {
        rcode: (flags & 0xf) as u8,
        aa: flags & 0x0400 != 0,
        tc: flags & 0x0200 != 0,
        answers,
        authority,
        message: message.to_vec(),
        elapsed,
    })
}

fn decode_record(message: &[u8], offset: usize) -> Option<(Record, usize)> {
    let fixed = skip_name(message, offset)?;
    let head: &[u8; 10] = message.get(fixed..fixed + 10)?.try_into().ok()?;
    let [t0, t1, _, _, l0, l1, l2, l3, n0, n1] = *head;
    let end = fixed + 10 + usize::from(u16::from_be_bytes([n0, n1]));
    let record = Record {
        rtype: Rtype(u16::from_be_bytes([t0, t1])),
        ttl_s: u32::from_be_bytes([l0, l1, l2, l3]),
        rdata: message.get(fixed + 10..end)?.to_vec(),
    };
    Some((record, end))
}

fn skip_record(message: &[u8], offset: usize) -> Option<usize> {
    let fixed = skip_name(message, offset)?;
    let length: [u8; 2] = message.get(fixed + 8..fixed + 10)?.try_into().ok()?;
    Some(fixed + 10 + usize::from(u16::from_be_bytes(length)))
}

fn skip_name(message: &[u8], mut offset: usize) -> Option<usize> {
    loop {
        match *message.get(offset)? {
            0 => return Some(offset + 1),
            length if length < 64 => offset += 1 + usize::from(length),
            _ => return Some(offset + 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_read_back() {
        let mut message = encode_query(7, "www.example.com", Rtype::TXT).unwrap();
        message.truncate(message.len() - 11);
        message[2] = 0x84;
        message[6..12].copy_from_slice(&[0, 1, 0, 0, 0, 0]);
        message.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 1, 44, 0, 5, 1, b'a', 2, b'b', b'c']);
        let reply = decode_reply(&message, 7, Duration::ZERO).unwrap();
        assert_eq!((reply.rcode, reply.aa, reply.tc), (0, true, false));
        assert_eq!(reply.texts(), ["abc"]);
        assert_eq!(reply.answers[0].ttl_s, 300);
        assert!(decode_reply(&message, 8, Duration::ZERO).is_none());
        for end in 0..message.len() {
            assert!(decode_reply(&message[..end], 7, Duration::ZERO).is_none());
        }
    }

    #[test]
    fn who_answered_is_read() {
        let mut message = encode_query_for_nsid(7, "www.example.com", Rtype::A).unwrap();
        message[2] = 0x84;
        let length = message.len();
        message.extend(*b"ams-1");
        message[length - 1] = 5;
        message[length - 5] = 9;
        let nsid = |message: &[u8]| {
            decode_reply(message, 7, Duration::ZERO).and_then(|reply| reply.nsid().map(<[u8]>::to_vec))
        };
        assert_eq!(nsid(&message).as_deref(), Some(b"ams-1".as_slice()));
        for end in 0..message.len() {
            assert_eq!(nsid(&message[..end]), None);
        }
    }

    #[test]
    fn the_serial_is_found_behind_the_names() {
        let mut rdata = vec![0, 0];
        rdata.extend(2_017_082_100_u32.to_be_bytes());
        rdata.extend([0; 16]);
        let soa = Record { rtype: Rtype::SOA, ttl_s: 1, rdata };
        let reply = Reply {
            rcode: 0,
            aa: true,
            tc: false,
            answers: vec![soa],
            authority: vec![],
            message: vec![],
            elapsed: Duration::ZERO,
        };
        assert_eq!(reply.serial(), Some(2_017_082_100));
    }
}
