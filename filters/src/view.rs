//! What the filters see of a query, and of what was found for it.

use std::net::IpAddr;

use wire::{NameRef, Rtype};

use crate::hash::Hasher;

/// How sure it is that a query comes from the address that it seems to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Anybody may have put any address there.
    None,
    /// It has a cookie that this network made for that address (RFC 7873).
    Cookie,
    /// It came over a connection.
    Stream,
}

/// A query as the filters see it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Where it came from; an IPv4-mapped address is the IPv4 address.
    pub source: IpAddr,
    /// Whether that is sure.
    pub proof: Proof,
    /// The whole message.
    pub message: &'a [u8],
    /// Its question; none if it cannot be read.
    pub asked: Option<Asked<'a>>,
    /// [`Gate::touch`](crate::Gate::touch) leaves here what is looked up more than once.
    pub hashes: Hashes,
}

/// Hashes of a query's source and name, once somebody has made them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashes {
    /// 0 until it is made.
    pub(crate) source: u64,
    /// 0 until it is made, and without a question.
    pub(crate) qname: u64,
    /// Of the source's prefix; 0 until it is made.
    pub(crate) prefix: u64,
}

impl View<'_> {
    /// The hash of the prefix of this length that the source is in, by the same hasher.
    #[inline]
    pub(crate) fn prefix_hash(&self, hasher: &Hasher, ipv4_length: u8, ipv6_length: u8) -> u64 {
        match self.hashes.prefix {
            0 => hasher.prefix(self.source, ipv4_length, ipv6_length),
            hash => hash,
        }
    }

    /// The hash of the name asked for, by the [hasher of names](Hasher::of_names) with this node's seed.
    #[inline]
    pub(crate) fn qname_hash(&self, hasher: &Hasher) -> u64 {
        match (self.hashes.qname, self.asked) {
            (0, Some(asked)) => hasher.name(asked.qname),
            (hash, _) => hash,
        }
    }
}

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The name, in the client's case.
    pub qname: NameRef<'a>,
    /// The type.
    pub qtype: Rtype,
}

/// A number that stands for a zone: `zones::ZoneSlot::number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ZoneNumber(pub u32);

/// The kind of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Records of the type asked for, or an alias.
    Answer,
    /// The name has none of the type.
    NoData,
    /// There is no such name.
    NoName,
    /// The name is in another zone below this one.
    Referral,
    /// REFUSED, SERVFAIL, FORMERR and the like.
    Error,
}

/// What was found for a query.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The zone and its apex, if it is in a zone of ours.
    pub zone: Option<(ZoneNumber, NameRef<'a>)>,
    /// The kind of the answer.
    pub kind: Kind,
    /// For how long the client has no need to ask again, in seconds.
    pub ttl_s: u32,
    /// Of a referral: the name of the zone that it leads to.
    pub cut: Option<NameRef<'a>>,
    /// It is a kept answer of an origin: somebody asked for just this before, so its name is none made up for this query.
    pub is_hit: bool,
}
