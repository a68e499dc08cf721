//! The shape of a message: its header and EDNS, whatever it asks for. Ordinary ones are those that resolvers send.

use std::fmt;

use wire::{Class, Opcode, Query, edns::option};

/// RD, AD and CD: what a resolver sets.
const FLAGS_ORDINARY: u16 = 0x0130;
/// Option codes that are told apart; how many there are more counts as well.
const OPTIONS_MAX: usize = 8;

/// The shape of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    flags: u16,
    /// Entries of the four sections.
    counts: [u16; 4],
    class: Option<Class>,
    signed: bool,
    edns: Option<EdnsShape>,
    /// Resolvers send such.
    pub(super) ordinary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EdnsShape {
    version: u8,
    dnssec_ok: bool,
    options: [u16; OPTIONS_MAX],
    options_count: usize,
}

impl Shape {
    pub(super) fn of(query: &Query<'_>) -> Shape {
        let header = &query.header;
        let edns = query.edns.map(|edns| {
            let mut shape =
                EdnsShape { version: edns.version, dnssec_ok: edns.dnssec_ok, options: [0; 8], options_count: 0 };
            for (code, _) in edns.options() {
                if let Some(place) = shape.options.get_mut(shape.options_count) {
                    *place = code;
                }
                shape.options_count += 1;
            }
            shape
        });
        Shape {
            flags: header.flags.0,
            counts: [header.qdcount, header.ancount, header.nscount, header.arcount],
            class: query.question.map(|question| question.class),
            signed: query.tsig.is_some(),
            edns,
            ordinary: is_ordinary(query),
        }
    }
}

/// Whether resolvers send messages of this shape.
fn is_ordinary(query: &Query<'_>) -> bool {
    let header = &query.header;
    let records = u16::from(query.edns.is_some());
    let edns = query.edns.is_none_or(|edns| {
        edns.version == 0
            && edns.extended_rcode == 0
            && edns.options().count() <= OPTIONS_MAX
            && edns.options().all(|(code, data)| is_ordinary_option(code, data.len()))
    });
    header.flags.opcode() == Opcode::QUERY
        && header.flags.0 & !FLAGS_ORDINARY == 0
        && (header.qdcount, header.ancount, header.nscount, header.arcount) == (1, 0, 0, records)
        && query.tsig.is_none()
        && query.question.is_some_and(|question| question.class == Class::IN)
        && edns
}

/// Options as their RFCs have them in queries, by their length.
fn is_ordinary_option(code: u16, bytes: usize) -> bool {
    match code {
        option::NSID | option::EXPIRE => bytes == 0,
        option::CLIENT_SUBNET => (4..=20).contains(&bytes),
        option::COOKIE => bytes == 8 || (16..=40).contains(&bytes),
        option::TCP_KEEPALIVE => bytes == 0 || bytes == 2,
        option::PADDING => true,
        _ => false,
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [questions, answers, authorities, additional] = self.counts;
        write!(f, "flags {:#06x}, sections {questions}/{answers}/{authorities}/{additional}", self.flags)?;
        if let Some(class) = self.class.filter(|class| *class != Class::IN) {
            write!(f, ", class {}", class.0)?;
        }
        if self.signed {
            write!(f, ", signed")?;
        }
        let Some(edns) = &self.edns else { return write!(f, ", no EDNS") };
        write!(f, ", EDNS version {}{}", edns.version, if edns.dnssec_ok { " with DO" } else { "" })?;
        for (position, code) in edns.options.iter().take(edns.options_count).enumerate() {
            write!(f, "{}{code}", if position == 0 { ", options " } else { " " })?;
        }
        if edns.options_count > OPTIONS_MAX { write!(f, " and more") } else { Ok(()) }
    }
}
