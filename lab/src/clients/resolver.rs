//! One real client: a resolver with an address, habits of its own and a cache.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use super::questions::Question;
use crate::random::Random;
use crate::{
    Reply,
    dns::{self, Rtype},
};

/// What it remembers; more than it can be told in the longest run is never needed.
const CACHE_MAX: usize = 4096;
/// Nothing is kept for longer (RFC 8767 recommends a limit of this order for what is kept).
const TTL_S_MAX: u32 = 86_400;
/// An answer without any TTL is not asked for again for this time: RFC 2308 has it so for errors, at most five minutes.
const TTL_S_OTHERWISE: u32 = 5;
/// DNS cookies, RFC 7873.
const COOKIE: u16 = 10;
const CLIENT_COOKIE_BYTES: usize = 8;
const COOKIE_BYTES_MAX: usize = 40;
/// Its RCODE 23, as the two parts that EDNS has of it.
const BADCOOKIE: (Option<u8>, u8) = (Some(1), 7);
/// The flag of responses in the header.
const QR: u8 = 0x80;
/// The payload size that DNS Flag Day 2020 agreed on.
const PAYLOAD_BYTES: u16 = 1232;

/// A resolver.
pub(super) struct Resolver {
    pub(super) address: Ipv4Addr,
    edns: bool,
    dnssec: bool,
    /// Mixes the case of the letters it sends, and believes nobody who does not repeat it.
    mixes_case: bool,
    /// Its own cookie, with what the server gave it for that.
    cookie: Option<Vec<u8>>,
    known: HashMap<Question, Instant>,
}

/// A query as it was sent, with what an answer to it must have.
pub(super) struct Sent {
    pub(super) message: Vec<u8>,
    /// Bytes of the question, from the header on.
    question_bytes: usize,
}

/// What an answer is to a resolver.
pub(super) enum Heard {
    /// Not the answer to what was asked: somebody else's, or forged.
    NotMine,
    /// There is more than fits: ask over TCP.
    Truncated,
    /// The server wants its cookie to be used, which it sent with this (RFC 7873 §5.3).
    BadCookie,
    /// It does not answer this.
    Refused,
    /// Answered.
    Answered,
}

impl Resolver {
    pub(super) fn new(address: Ipv4Addr, random: &mut Random) -> Resolver {
        let percent = |random: &mut Random, share: u64| random.below(100) < share;
        let edns = percent(random, 92);
        let cookies = edns && percent(random, 36);
        Resolver {
            address,
            edns,
            dnssec: edns && percent(random, 70),
            mixes_case: percent(random, 50),
            cookie: cookies.then(|| random.next().to_be_bytes().to_vec()),
            known: HashMap::new(),
        }
    }

    /// Whether it would have to ask.
    pub(super) fn needs(&self, question: Question, now: Instant) -> bool {
        self.known.get(&question).is_none_or(|until| *until <= now)
    }

    /// A query of its own.
    pub(super) fn query(&self, question: Question, id: u16, random: &mut Random) -> Sent {
        let mut message = Vec::with_capacity(96);
        message.extend(id.to_be_bytes());
        message.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(self.edns)]);
        let mut letters = random.next();
        for label in question.name().split('.') {
            message.push(label.len() as u8);
            for byte in label.bytes() {
                letters = letters.rotate_left(1);
                let upper = self.mixes_case && letters & 1 == 1;
                message.push(if upper { byte.to_ascii_uppercase() } else { byte });
            }
        }
        message.push(0);
        message.extend(question.rtype().0.to_be_bytes());
        message.extend([0, 1]);
        let question_bytes = message.len();
        if self.edns {
            message.extend([0, 0, 41]);
            message.extend(PAYLOAD_BYTES.to_be_bytes());
            message.extend([0, 0, if self.dnssec { 0x80 } else { 0 }, 0]);
            match &self.cookie {
                Some(cookie) => {
                    message.extend((cookie.len() as u16 + 4).to_be_bytes());
                    message.extend(COOKIE.to_be_bytes());
                    message.extend((cookie.len() as u16).to_be_bytes());
                    message.extend(cookie);
                }
                None => message.extend([0, 0]),
            }
        }
        Sent { message, question_bytes }
    }

    /// What it makes of an answer; keeps the server's cookie, and what it was told for its TTL.
    pub(super) fn hear(&mut self, question: Question, sent: &Sent, answer: &[u8], now: Instant) -> Heard {
        const NOERROR: u8 = 0;
        const NXDOMAIN: u8 = 3;
        let is_response = answer.get(2).is_some_and(|flags| flags & QR != 0);
        let same = |range: std::ops::Range<usize>| {
            answer.get(range.clone()).is_some() && answer.get(range.clone()) == sent.message.get(range)
        };
        if !is_response || !same(0..2) || !self.same_question(answer, sent) {
            return Heard::NotMine;
        }
        let [first, second, ..] = *answer else { return Heard::NotMine };
        let id = u16::from_be_bytes([first, second]);
        let Some(reply) = dns::decode_reply(answer, id, Duration::ZERO) else { return Heard::Refused };
        if !self.believe_cookie(&reply) {
            return Heard::NotMine;
        }
        if (reply.extended_rcode(), reply.rcode) == BADCOOKIE {
            return Heard::BadCookie;
        }
        if reply.tc {
            return Heard::Truncated;
        }
        if !reply.aa || (reply.rcode != NOERROR && reply.rcode != NXDOMAIN) {
            return Heard::Refused;
        }
        if self.known.len() < CACHE_MAX {
            self.known.insert(question, now + Duration::from_secs(u64::from(ttl_s(&reply))));
        }
        Heard::Answered
    }

    fn same_question(&self, answer: &[u8], sent: &Sent) -> bool {
        let question = |message: &[u8]| message.get(12..sent.question_bytes).map(<[u8]>::to_vec);
        let (Some(asked), Some(answered)) = (question(&sent.message), question(answer)) else { return false };
        if self.mixes_case { asked == answered } else { asked.eq_ignore_ascii_case(&answered) }
    }

    /// A cookie in an answer must be the answer to the resolver's own.
    fn believe_cookie(&mut self, reply: &Reply) -> bool {
        let (Some(own), Some(cookie)) = (&mut self.cookie, reply.option(COOKIE)) else { return true };
        if cookie.get(..CLIENT_COOKIE_BYTES) != own.get(..CLIENT_COOKIE_BYTES) || cookie.len() > COOKIE_BYTES_MAX {
            return false;
        }
        cookie.clone_into(own);
        true
    }
}

/// For how long an answer may be used: the least TTL in it; for a denial that of the SOA (RFC 2308 §5).
fn ttl_s(reply: &Reply) -> u32 {
    let positive = reply.answers.iter().map(|record| record.ttl_s).min();
    let negative = || {
        let soa = reply.authority.iter().find(|record| record.rtype == Rtype::SOA)?;
        let minimum = soa.rdata.last_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))?;
        Some(soa.ttl_s.min(minimum))
    };
    positive.or_else(negative).unwrap_or(TTL_S_OTHERWISE).min(TTL_S_MAX)
}
