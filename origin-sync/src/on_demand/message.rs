//! The question as it goes to an origin, and whether a message is the answer to it. No I/O; randomness comes in.
//!
//! Nothing of a client is in a question: the id, the case of the name (0x20) and the cookie are our own, there is no client
//! subnet, and RD is clear.

use std::sync::Arc;

use domain::base::iana::{Class as DomainClass, Opcode, Rtype as DomainRtype};
use domain::base::message_builder::AdditionalBuilder;
use domain::base::opt::UnknownOptData;
use domain::base::{MessageBuilder, Name as DomainName};
use domain::rdata::tsig::Time48;
use domain::tsig::ClientSequence;
use wire::{Class, Edns, Message, Name, NameRef, Opcode as WireOpcode, Rcode, Rtype, Section, edns};

use crate::error::{Error, TsigFault};
use crate::tsig::{Key as TsigKey, Verifier};

/// The datagram size that questions announce (DNS flag day 2020).
const UDP_PAYLOAD_BYTES: u16 = 1232;
/// A client cookie (RFC 7873 §4).
pub(crate) const CLIENT_COOKIE_BYTES: usize = 8;
/// A server cookie has from 8 to 32.
const SERVER_COOKIE_BYTES: std::ops::RangeInclusive<usize> = 8..=32;

/// The cookies of one address of an origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cookies {
    pub(crate) client: [u8; CLIENT_COOKIE_BYTES],
    /// What the server gave, if it has given one.
    pub(crate) server: Option<Vec<u8>>,
}

impl Cookies {
    fn option(&self) -> Vec<u8> {
        let mut option = self.client.to_vec();
        option.extend_from_slice(self.server.as_deref().unwrap_or_default());
        option
    }
}

/// A question about to be put.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) id: u16,
    /// The name as it is to stand in the message.
    pub(crate) qname: Name,
    pub(crate) qtype: Rtype,
    pub(crate) cookies: Option<Cookies>,
}

/// Gives each letter of a name a case of its own (0x20).
pub(crate) fn randomise_case(name: &Name, bits: &[u8]) -> Name {
    let mut mixed = name.as_bytes().to_vec();
    for (octet, index) in mixed.iter_mut().zip(0..) {
        let bit: usize = index;
        let upper = bits.get(bit / 8).is_some_and(|bits| bits >> (bit % 8) & 1 == 1);
        // Length octets are below 'A'.
        if upper { octet.make_ascii_uppercase() } else { octet.make_ascii_lowercase() }
    }
    NameRef::parse(&mixed).map_or(*name, NameRef::to_owned)
}

impl Question {
    /// The message, and what verifies its answer.
    ///
    /// # Errors
    /// [`TsigFault::NoRoom`], which cannot happen with names of legal length.
    pub(crate) fn build(&self, key: Option<&TsigKey>, unix_s: u64) -> Result<(Vec<u8>, Verifier), Error> {
        let full =
            || Error::Tsig { key: key.map_or_else(String::new, |key| key.name().to_owned()), fault: TsigFault::NoRoom };
        let mut message = self.unsigned().ok_or_else(full)?;
        let verifier = match key {
            None => Verifier::Unsigned,
            Some(key) => {
                let inner = Arc::clone(key.inner());
                let sequence = ClientSequence::request(inner, &mut message, Time48::from_u64(unix_s));
                Verifier::Signed(Box::new(sequence.map_err(|_| full())?), key.clone())
            }
        };
        Ok((message.finish(), verifier))
    }

    fn unsigned(&self) -> Option<AdditionalBuilder<Vec<u8>>> {
        let qname = DomainName::from_slice(self.qname.as_bytes()).ok()?;
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(self.id);
        builder.header_mut().set_opcode(Opcode::QUERY);
        let mut question = builder.question();
        question.push((qname, DomainRtype::from_int(self.qtype.0), DomainClass::IN)).ok()?;
        let mut additional = question.additional();
        let cookie = self.cookies.as_ref().map(Cookies::option);
        additional
            .opt(|opt| {
                opt.set_udp_payload_size(UDP_PAYLOAD_BYTES);
                opt.set_dnssec_ok(true);
                match cookie.and_then(|cookie| UnknownOptData::new(edns::option::COOKIE.into(), cookie).ok()) {
                    Some(cookie) => opt.push(&cookie),
                    None => Ok(()),
                }
            })
            .ok()?;
        Some(additional)
    }
}

/// What a message is to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Its answer, as far as header and question say.
    Response {
        /// The response code with its upper bits.
        rcode: Rcode,
        /// It was cut to fit the datagram.
        truncated: bool,
        /// The server's cookie, if the message bears our own.
        server_cookie: Option<Vec<u8>>,
    },
    /// Not its answer, but near enough that the next should come over TCP: the id is right, the rest is not.
    Doubtful(&'static str),
    /// Something else; anyone can send datagrams.
    Stray,
}

/// Compares a message with the question that was put (RFC 5452 §9.1). `forgeable`: it is a datagram, and so the case of
/// the name counts, and the cookie that the server used to give.
pub(crate) fn judge(message: &[u8], question: &Question, forgeable: bool) -> Heard {
    let Ok(parsed) = Message::parse(message) else { return Heard::Stray };
    let header = parsed.header;
    if header.id != question.id || !header.flags.qr() || header.flags.opcode() != WireOpcode::QUERY {
        return Heard::Stray;
    }
    let Some((name, qtype, class)) = parsed.questions().next().filter(|_| header.qdcount == 1) else {
        // An error may leave the question out (RFC 1035 leaves it open; BIND does so with FORMERR).
        return Heard::Doubtful("no question");
    };
    if !name.as_ref().eq_ignore_case(question.qname.as_ref()) || qtype != question.qtype || class != Class::IN {
        return Heard::Doubtful("another question");
    }
    // A pointer cannot stand there: the bytes are the name's.
    if forgeable && name.as_bytes() != question.qname.as_bytes() {
        return Heard::Doubtful("another case in the question");
    }
    let Ok(edns) = find_edns(&parsed) else { return Heard::Doubtful("malformed") };
    let upper = edns.map_or(0, |edns| edns.extended_rcode);
    let rcode = Rcode(u16::from(upper) << 4 | header.flags.rcode().0);
    match check_cookie(edns.as_ref(), question.cookies.as_ref(), forgeable) {
        Ok(server_cookie) => Heard::Response { rcode, truncated: header.flags.tc(), server_cookie },
        Err(why) => Heard::Doubtful(why),
    }
}

/// The server's cookie. A wrong client cookie, or none from a server that has given cookies before, is no answer of that
/// server (RFC 7873 §5.3).
fn check_cookie(
    edns: Option<&Edns<'_>>,
    cookies: Option<&Cookies>,
    forgeable: bool,
) -> Result<Option<Vec<u8>>, &'static str> {
    let Some(cookies) = cookies else { return Ok(None) };
    let Some(option) = edns.and_then(|edns| edns.option(edns::option::COOKIE)) else {
        return if forgeable && cookies.server.is_some() { Err("no cookie") } else { Ok(None) };
    };
    match option.split_at_checked(CLIENT_COOKIE_BYTES) {
        Some((client, server)) if client == cookies.client && SERVER_COOKIE_BYTES.contains(&server.len()) => {
            Ok(Some(server.to_vec()))
        }
        // Echoed without a cookie of its own, as by a server that does not know the option.
        Some((client, [])) if client == cookies.client => Ok(None),
        _ => Err("another cookie"),
    }
}

fn find_edns<'a>(message: &Message<'a>) -> Result<Option<Edns<'a>>, wire::WireError> {
    let mut found = None;
    for record in message.records() {
        let record = record?;
        if record.section == Section::Additional && record.rtype == Rtype::OPT {
            found = Some(Edns::from_record(record.class.0, record.ttl, record.rdata())?);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
