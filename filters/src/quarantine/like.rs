//! What is like a query that killed: from the same message to no more than the same shape.

use std::{cell::OnceCell, fmt};

use wire::{Name, NameRef, Opcode, Query, Rtype};

use super::{LABELS_WIDENED_MAX, SERVED_MAX, shape::Shape};
use crate::View;

/// How much of a message has to be alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// All but its id.
    Message,
    /// Its name and type.
    Question,
    /// Its type, below a name.
    Below,
    /// Its header and EDNS.
    Shape,
}

impl Width {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Width::Message => "message",
            Width::Question => "question",
            Width::Below => "below",
            Width::Shape => "shape",
        }
    }
}

/// What is kept away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Like {
    /// This message, whatever its id.
    Message(Box<[u8]>),
    /// What asks so.
    Question(Asks),
    /// What asks so for this name or one below it.
    Below(Asks),
    /// Any message of this shape.
    Shape(Shape),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asks {
    opcode: Opcode,
    name: Name,
    qtype: Rtype,
    /// What killed had a shape that no resolver sends: what has an ordinary one is left alone, or whoever knows one odd
    /// query that kills could have any name of ours kept from everybody.
    odd: bool,
}

/// A message that is looked at.
pub(super) struct Subject<'a> {
    message: &'a [u8],
    asked: Option<(NameRef<'a>, Rtype)>,
    /// Read when it is wanted.
    shape: OnceCell<Option<Shape>>,
}

impl<'a> Subject<'a> {
    pub(super) fn of(view: &View<'a>) -> Subject<'a> {
        let asked = view.asked.map(|asked| (asked.qname, asked.qtype));
        Subject { message: view.message, asked, shape: OnceCell::new() }
    }

    /// One that nobody has read; it is not to be read here.
    pub(super) fn unread(message: &'a [u8]) -> Subject<'a> {
        Subject { message, asked: None, shape: OnceCell::from(None) }
    }

    pub(super) fn read(message: &'a [u8]) -> Subject<'a> {
        let query = Query::parse(message).ok();
        let asked = query.and_then(|query| query.question).map(|question| (question.name, question.rtype));
        Subject { message, asked, shape: OnceCell::from(query.map(|query| Shape::of(&query))) }
    }

    fn shape(&self) -> Option<&Shape> {
        self.shape.get_or_init(|| Query::parse(self.message).ok().map(|query| Shape::of(&query))).as_ref()
    }

    fn opcode(&self) -> Opcode {
        Opcode(self.message.get(2).map_or(0, |flags| (flags >> 3) & 0xf))
    }
}

impl Like {
    pub(super) fn message(message: &[u8]) -> Like {
        Like::Message(message.into())
    }

    pub(super) fn question(subject: &Subject<'_>) -> Option<Like> {
        let (name, qtype) = subject.asked?;
        let odd = !subject.shape()?.ordinary;
        Some(Like::Question(Asks { opcode: subject.opcode(), name: name.to_owned().to_ascii_lowercase(), qtype, odd }))
    }

    pub(super) fn shape(subject: &Subject<'_>) -> Option<Like> {
        subject.shape().map(|shape| Like::Shape(*shape))
    }

    pub(super) fn width(&self) -> Width {
        match self {
            Like::Message(_) => Width::Message,
            Like::Question(_) => Width::Question,
            Like::Below(_) => Width::Below,
            Like::Shape(_) => Width::Shape,
        }
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        match self {
            Like::Message(message) => {
                message.len() == subject.message.len() && message.get(2..) == subject.message.get(2..)
            }
            Like::Question(asks) => asks.matches(subject, |name| name.eq_ignore_case(asks.name.as_ref())),
            Like::Below(asks) => asks.matches(subject, |name| name.is_within(asks.name.as_ref())),
            Like::Shape(shape) => subject.shape() == Some(shape),
        }
    }

    /// How many labels a question loses to become what it and a subject of the same type are both below.
    pub(super) fn labels_to_common(&self, subject: &Subject<'_>) -> Option<usize> {
        let Like::Question(asks) = self else { return None };
        let (name, qtype) = subject.asked?;
        let alike = qtype == asks.qtype && subject.opcode() == asks.opcode;
        let own = asks.name.as_ref();
        let common = (0..=LABELS_WIDENED_MAX).find(|&labels| {
            own.strip_labels(labels).is_some_and(|ancestor| !ancestor.is_root() && name.is_within(ancestor))
        });
        common.filter(|_| alike)
    }

    /// A question without so many labels, and all below that.
    pub(super) fn widened(&self, labels: usize) -> Option<Like> {
        let Like::Question(asks) = self else { return None };
        let name = asks.name.as_ref().strip_labels(labels)?.to_owned();
        Some(Like::Below(Asks { name, ..asks.clone() }))
    }

    /// Whether it may be kept away though it is wider than what killed: nothing that real clients ask for must go with it.
    /// `served` counts what is like it and was answered since the death.
    pub(super) fn judge(&self, served: u32, inside: &dyn Fn(NameRef<'_>) -> bool) -> Result<(), &'static str> {
        match self {
            Like::Message(_) | Like::Question(_) => Ok(()),
            Like::Below(asks) if asks.odd => Ok(()),
            Like::Below(asks) if is_common(asks.qtype) && !inside(asks.name.as_ref()) => {
                Err("that would be whole zones, for a type that clients ask for")
            }
            Like::Shape(shape) if shape.ordinary => Err("resolvers send such messages"),
            Like::Below(_) | Like::Shape(_) if served > SERVED_MAX => Err("its like is answered all the time"),
            Like::Below(_) | Like::Shape(_) => Ok(()),
        }
    }
}

impl Asks {
    fn matches(&self, subject: &Subject<'_>, named: impl Fn(NameRef<'_>) -> bool) -> bool {
        let asked = subject.asked.is_some_and(|(name, qtype)| qtype == self.qtype && named(name));
        asked && subject.opcode() == self.opcode && !(self.odd && subject.shape().is_some_and(|shape| shape.ordinary))
    }
}

/// Types that clients ask for all the time.
fn is_common(qtype: Rtype) -> bool {
    matches!(
        qtype,
        Rtype::A
            | Rtype::AAAA
            | Rtype::NS
            | Rtype::SOA
            | Rtype::CNAME
            | Rtype::PTR
            | Rtype::MX
            | Rtype::TXT
            | Rtype::SRV
            | Rtype::DS
            | Rtype::DNSKEY
            | Rtype::SVCB
            | Rtype::HTTPS
    )
}

impl fmt::Display for Like {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Like::Message(message) => write!(f, "the same message of {} bytes", message.len()),
            Like::Question(asks) => write!(f, "{asks}"),
            Like::Below(asks) => write!(f, "all below {asks}"),
            Like::Shape(shape) => write!(f, "messages with {shape}"),
        }
    }
}

impl fmt::Display for Asks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.qtype)?;
        if self.opcode != Opcode::QUERY {
            write!(f, " with opcode {}", self.opcode.0)?;
        }
        if self.odd { write!(f, " in messages of a shape that no resolver sends") } else { Ok(()) }
    }
}
