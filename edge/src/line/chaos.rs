//! Class CHAOS: which server this is, as far as the operator wants it told (RFC 4892).

use wire::{Class, NameRef, Question, Rcode, Rtype, Section};

use crate::{Settings, line::reply::Reply};

/// Longest character string (RFC 1035 §3.3).
const STRING_BYTES_MAX: usize = 255;

// Names in wire format.
const ID_SERVER: &[u8] = b"\x02id\x06server\0";
const HOSTNAME_BIND: &[u8] = b"\x08hostname\x04bind\0";
const VERSION_SERVER: &[u8] = b"\x07version\x06server\0";
const VERSION_BIND: &[u8] = b"\x07version\x04bind\0";

/// Answers a question of class CH: the text asked for, NODATA for its other types, REFUSED for all else.
pub(super) fn answer(reply: &mut Reply<'_, '_>, question: &Question<'_>, settings: &Settings) {
    let Some(text) = text_of(question.name, settings) else {
        return reply.set_rcode(Rcode::REFUSED);
    };
    reply.set_authoritative(true);
    if !matches!(question.rtype, Rtype::TXT | Rtype::ANY) {
        return;
    }
    let text = text.as_bytes();
    let text = text.get(..STRING_BYTES_MAX).unwrap_or(text);
    let mut rdata = [0; 1 + STRING_BYTES_MAX];
    let (length, string) = rdata.split_at_mut(1);
    length.fill(text.len() as u8);
    string.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    let rdata = rdata.get(..=text.len()).unwrap_or_default();
    if reply.writer.record(Section::Answer, question.name, Rtype::TXT, Class::CH, 0, rdata).is_err() {
        reply.set_truncated();
    }
}

fn text_of<'s>(name: NameRef<'_>, settings: &'s Settings) -> Option<&'s str> {
    let is = |known: &[u8]| name.as_bytes().eq_ignore_ascii_case(known);
    if is(ID_SERVER) || is(HOSTNAME_BIND) {
        settings.id_server.as_deref()
    } else if is(VERSION_SERVER) || is(VERSION_BIND) {
        settings.version_bind.as_deref()
    } else {
        None
    }
}
