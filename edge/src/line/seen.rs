//! What is seen of a message before it is parsed: who asks, how sure that is, and for what. As much as the filters need to
//! say whether it is worth more.

use filters::{Asked, Hashes, Proof, View};
use wire::{Edns, HEADER_BYTES, Header, NameRef, Opcode, Query, Question, Rtype, edns::option};

use crate::{
    Transport,
    cookie::{self, Cookie},
    line::{Client, Context, Request},
};

/// A message as it is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    /// For the filters.
    pub(crate) view: View<'a>,
    /// What its COOKIE option is worth, if that has been looked at.
    pub(super) cookie: Option<Cookie>,
}

impl<'a> Seen<'a> {
    /// Looks at a message.
    pub(super) fn look(message: &'a [u8], client: &Client, context: &Context<'_>) -> Seen<'a> {
        let Some((asked, edns)) = read_usual(message).or_else(|| read_any(message)) else {
            return Seen::unread(message, client);
        };
        let mut seen = Seen::unread(message, client);
        seen.view.asked = asked;
        if seen.view.proof == Proof::None
            && let Some(data) = edns.filter(|edns| edns.version == 0).and_then(|edns| edns.option(option::COOKIE))
        {
            let checked = cookie::check(data, seen.view.source, &context.settings.cookie_secrets, context.now_s);
            if let Cookie::Proven { .. } = checked {
                seen.view.proof = Proof::Cookie;
            }
            seen.cookie = Some(checked);
        }
        seen
    }

    /// Of a message that nobody needs to look at, or that cannot be read.
    pub(super) fn unread(message: &'a [u8], client: &Client) -> Seen<'a> {
        let proof = match client.transport {
            Transport::Udp => Proof::None,
            Transport::Tcp => Proof::Stream,
        };
        let source = client.peer.ip().to_canonical();
        Seen { view: View { source, proof, message, asked: None, hashes: Hashes::default() }, cookie: None }
    }

    /// Of a message that has been parsed.
    pub(super) fn of_request(request: &Request<'a>, question: &Question<'a>, client: &Client) -> Seen<'a> {
        let mut seen = Seen::unread(request.query.message, client);
        seen.view.asked = Some(Asked { qname: question.name, qtype: question.rtype });
        if seen.view.proof == Proof::None && request.is_proven {
            seen.view.proof = Proof::Cookie;
        }
        seen
    }
}

/// What a message asks, and its OPT record.
type Read<'a> = (Option<Asked<'a>>, Option<Edns<'a>>);

/// Reads what nearly all queries look like: one question, and at most an OPT record behind it.
#[inline]
fn read_usual(message: &[u8]) -> Option<Read<'_>> {
    const QUESTION_END_BYTES: usize = 4;
    let header = Header::parse(message).ok()?;
    if header.flags.opcode() != Opcode::QUERY || (header.qdcount, header.ancount, header.nscount) != (1, 0, 0) {
        return None;
    }
    let qname = NameRef::parse(message.get(HEADER_BYTES..)?).ok()?;
    let rest = message.get(HEADER_BYTES + qname.as_bytes().len()..)?;
    let (question, rest) = rest.split_first_chunk::<QUESTION_END_BYTES>()?;
    let &[high, low, ..] = question;
    let asked = Asked { qname, qtype: Rtype(u16::from_be_bytes([high, low])) };
    let edns = match (header.arcount, rest) {
        (0, []) => None,
        (1, [0, t0, t1, s0, s1, a, b, c, d, l0, l1, options @ ..])
            if u16::from_be_bytes([*t0, *t1]) == Rtype::OPT.0
                && usize::from(u16::from_be_bytes([*l0, *l1])) == options.len() =>
        {
            let ttl = u32::from_be_bytes([*a, *b, *c, *d]);
            Some(Edns::from_record(u16::from_be_bytes([*s0, *s1]), ttl, options).ok()?)
        }
        _ => return None,
    };
    Some((Some(asked), edns))
}

/// Reads any query there may be.
#[cold]
fn read_any(message: &[u8]) -> Option<Read<'_>> {
    let query = Query::parse(message).ok()?;
    let asked = query.question.map(|question| Asked { qname: question.name, qtype: question.rtype });
    Some((asked, query.edns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::tests::query;

    /// Both ways of reading agree wherever the usual one reads at all.
    #[test]
    fn what_is_usual_is_read_as_anything_else() {
        for (text, usual) in [
            ("www.example.com A", true),
            (". NS", true),
            ("www.example.com A edns", true),
            ("WWW.example.com TXT CH do cookie=0102030405060708 nsid", true),
            ("www.example.com A noquestion edns", false),
            ("www.example.com SOA opcode=4", false),
        ] {
            let message = query(text);
            let read = read_usual(&message);
            assert_eq!(read.is_some(), usual, "{text}");
            let (asked, edns) = read_any(&message).unwrap();
            if let Some((usual_asked, usual_edns)) = read {
                let plain = |asked: Option<Asked<'_>>| asked.map(|asked| (asked.qname.to_string(), asked.qtype));
                assert_eq!((plain(usual_asked), usual_edns), (plain(asked), edns), "{text}");
            }
            // What is cut off, or has something behind it, is read by neither.
            for end in 0..message.len() {
                assert!(read_usual(&message[..end]).is_none() && read_any(&message[..end]).is_none(), "{text} {end}");
            }
            let longer = [&message[..], &[0]].concat();
            assert!(read_usual(&longer).is_none() && read_any(&longer).is_none(), "{text}");
        }
    }
}
