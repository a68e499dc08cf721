//! The question of a client, read from a datagram without allocation.

use crate::{Class, Edns, HEADER_BYTES, Header, NameRef, Opcode, Rtype, WireError, name::skip_name, u16_at, u32_at};

/// What to do with a message that is not a query to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// Too short to have a header, or a response: there is nobody to answer. The text is a metric's label.
    Ignore(&'static str),
    /// Not well-formed: FORMERR, with the header to answer to.
    FormErr(Header),
    /// An opcode other than QUERY and NOTIFY: NOTIMP, with the header to answer to.
    NotImplemented(Header),
}

/// The entry of a question section (RFC 1035 §4.1.2), in the case the client wrote it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name asked for.
    pub name: NameRef<'a>,
    /// The type asked for.
    pub rtype: Rtype,
    /// The class asked for.
    pub class: Class,
    /// Where in the message the section ends.
    pub end: usize,
}

/// A well-formed QUERY or NOTIFY message.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Its header.
    pub header: Header,
    /// Its question; none when the section is empty (RFC 7873 §5.4).
    pub question: Option<Question<'a>>,
    /// Its OPT record.
    pub edns: Option<Edns<'a>>,
    /// Where its TSIG record begins: the message up to there, and the record, are what a key verifies.
    pub tsig: Option<usize>,
    /// All its bytes, untouched.
    pub message: &'a [u8],
}

impl<'a> Query<'a> {
    /// Reads a message that should be a query.
    ///
    /// Work is bounded by the length of the message: each record has at least eleven octets.
    ///
    /// # Errors
    /// [`Rejected`] says whether there is anything to answer, and with which code.
    pub fn parse(message: &'a [u8]) -> Result<Query<'a>, Rejected> {
        let header = Header::parse(message).map_err(|_| Rejected::Ignore("short"))?;
        if header.flags.qr() {
            return Err(Rejected::Ignore("response"));
        }
        if !matches!(header.flags.opcode(), Opcode::QUERY | Opcode::NOTIFY) {
            return Err(Rejected::NotImplemented(header));
        }
        read_body(message, header).map_err(|_| Rejected::FormErr(header))
    }
}

fn read_body(message: &[u8], header: Header) -> Result<Query<'_>, WireError> {
    let question = match header.qdcount {
        0 => None,
        1 => Some(read_question(message)?),
        _ => return Err(WireError::Trailing),
    };
    let mut query = Query { header, question, edns: None, tsig: None, message };
    let mut at = question.map_or(HEADER_BYTES, |q| q.end);
    let ordinary = u32::from(header.ancount) + u32::from(header.nscount);
    for index in 0..ordinary + u32::from(header.arcount) {
        let owner = at;
        at = skip_name(message, owner)?;
        let rtype = Rtype(u16_at(message, at)?);
        let rdata = at + 10;
        let end = rdata + usize::from(u16_at(message, at + 8)?);
        let bytes = message.get(rdata..end).ok_or(WireError::Short)?;
        if query.tsig.is_some() {
            return Err(WireError::PseudoRecord);
        }
        match rtype {
            Rtype::OPT => {
                let at_root = message.get(owner) == Some(&0);
                if index < ordinary || !at_root || query.edns.is_some() {
                    return Err(WireError::PseudoRecord);
                }
                query.edns = Some(Edns::from_record(u16_at(message, at + 2)?, u32_at(message, at + 4)?, bytes)?);
            }
            Rtype::TSIG if index < ordinary => return Err(WireError::PseudoRecord),
            Rtype::TSIG => query.tsig = Some(owner),
            _ => {}
        }
        at = end;
    }
    if at == message.len() { Ok(query) } else { Err(WireError::Trailing) }
}

fn read_question(message: &[u8]) -> Result<Question<'_>, WireError> {
    // Nothing stands before it that a pointer could point at, so it is never compressed.
    let name = NameRef::parse(message.get(HEADER_BYTES..).ok_or(WireError::Short)?)?;
    let at = HEADER_BYTES + name.as_bytes().len();
    Ok(Question { name, rtype: Rtype(u16_at(message, at)?), class: Class(u16_at(message, at + 2)?), end: at + 4 })
}
