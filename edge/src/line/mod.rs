//! A query's way, the same for every lane: receive → admit → parse → find → choose → answer, and no way back.
//!
//! A lane receives; [`respond`] is the rest. It neither allocates nor waits, reads no clock, and its only effects are
//! the answer's bytes and the counters. For zones that are filled on demand there is a way out between find and answer: a
//! miss is parked by the lane, and comes back to [`respond_filled`]. (`choose` comes with traffic management.)
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod admit;
mod answer;
mod chaos;
mod find;
mod on_demand;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod transfer;
mod tsig;

use std::{net::SocketAddr, time::Duration};

use wire::{Class, Full, Opcode, Query, Question, Rcode};

use crate::{
    Settings,
    stats::{Counters, DropReason, Family, Transport},
};
use admit::Verdict;
use cache::{Failure, Filled};
use find::Step;
pub use on_demand::{Miss, MissHandler, OnDemand};
use reply::{ExtendedError, Finished, Reply};
use request::{Form, Parsed, Request};
pub(crate) use transfer::{Begun, begin_transfer};
pub use transfer::{MessageStream, NextMessage, SignedQuery, Signer, Transfer, TransferHandler};

/// Who asks, and how.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Where the message came from.
    pub peer: SocketAddr,
    /// How it came.
    pub transport: Transport,
    /// Over TCP: for how long the connection may be idle from now on (RFC 7828); else it means nothing.
    pub idle: Duration,
}

/// All that an answer depends on, taken once for a batch of messages.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The zones that are answered for.
    pub zones: &'a zones::ZoneTable,
    /// What the operator decided.
    pub settings: &'a Settings,
    /// Who takes NOTIFY messages.
    pub notify: &'a dyn NotifyHandler,
    /// Who answers those that sign their queries; without it nobody is known.
    pub transfers: Option<&'a dyn TransferHandler>,
    /// Where answers of zones without a copy come from; without it such zones are not ready.
    pub on_demand: Option<OnDemand<'a>>,
    /// The counters of this thread.
    pub counters: &'a Counters,
    /// Seconds since 1970, for the age of cookies; wraps around in 2106 as they do.
    pub now_s: u32,
}

/// Takes NOTIFY messages (RFC 1996) from the lanes; implemented by whoever keeps the zones fresh.
pub trait NotifyHandler: Send + Sync {
    /// Judges a whole message, with its TSIG record if it has one, and writes an answer to `out`. Called on a lane's
    /// thread: it must not wait.
    fn handle(&self, message: &[u8], peer: SocketAddr, out: &mut [u8]) -> NotifyOutcome;
}

/// What a [`NotifyHandler`] made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyOutcome {
    /// The first so many bytes of `out` are the answer.
    Answer(usize),
    /// A stranger: answered with REFUSED.
    Refuse,
    /// Not answered at all.
    Ignore,
}

/// What a message gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Responded {
    /// An answer of so many bytes; nothing if 0.
    Answer(usize),
    /// An answer later: the origin of the zone with this number in the cache has to be asked. [`respond_filled`] writes it.
    Miss(u64),
}

/// Answers one message: writes to `out` and returns how many bytes to send, 0 for none. Nobody waits for an origin here:
/// what would have to is a failure. Else as [`respond_or_miss`].
pub fn respond(message: &[u8], client: &Client, context: &Context<'_>, out: &mut [u8]) -> usize {
    match respond_or_miss(message, client, context, out) {
        Responded::Answer(bytes) => bytes,
        Responded::Miss(_) => respond_filled(message, client, context, &Filled::Failed(Failure::NoOrigin), out),
    }
}

/// Answers one message, or says whose origin has to be asked.
///
/// `out` holds at least the largest answer of the client's transport (over UDP
/// [`Settings::udp_payload_bytes_max`], over TCP 65,535 bytes); a smaller one truncates answers earlier. Any bytes are
/// fit to be a message.
pub fn respond_or_miss(message: &[u8], client: &Client, context: &Context<'_>, out: &mut [u8]) -> Responded {
    context.counters.query(client.transport, Family::of(client.peer.ip()));
    if let Verdict::Drop(reason) = admit::admit(message, client.peer) {
        context.counters.dropped(reason, 1);
        return Responded::Answer(0);
    }
    // Matched where it stands: a request is large to move.
    let mut parsed = request::parse(message, client, context.settings, context.now_s);
    let finished = match &mut parsed {
        Parsed::Request(request) if request.query.header.flags.opcode() == Opcode::NOTIFY => {
            match context.notify.handle(message, client.peer, out) {
                NotifyOutcome::Answer(bytes) => return Responded::Answer(count_foreign(out, bytes, context.counters)),
                NotifyOutcome::Refuse => refuse(out, request, Rcode::REFUSED),
                NotifyOutcome::Ignore => {
                    context.counters.dropped(DropReason::Notify, 1);
                    return Responded::Answer(0);
                }
            }
        }
        Parsed::Request(request) if request.query.tsig.is_some() => {
            match transfer::answer_signed(out, request, client, context) {
                transfer::Answered::Here(finished) => finished,
                transfer::Answered::Elsewhere(0) => {
                    context.counters.dropped(DropReason::Signed, 1);
                    return Responded::Answer(0);
                }
                transfer::Answered::Elsewhere(bytes) => {
                    return Responded::Answer(count_foreign(out, bytes, context.counters));
                }
            }
        }
        Parsed::Request(request) => match answer_request(out, request, context) {
            Answered::Here(finished) => finished,
            Answered::Miss(zone) => return Responded::Miss(zone),
        },
        Parsed::Rejected(header, rcode) => reply::write_bare(out, *header, *rcode),
        Parsed::Drop(reason) => {
            context.counters.dropped(*reason, 1);
            return Responded::Answer(0);
        }
    };
    context.counters.answer(finished.rcode, finished.truncated, finished.bytes);
    Responded::Answer(finished.bytes)
}

/// Answers a message that was a miss with what became of it.
pub fn respond_filled(
    message: &[u8],
    client: &Client,
    context: &Context<'_>,
    filled: &Filled,
    out: &mut [u8],
) -> usize {
    let Parsed::Request(request) = request::parse(message, client, context.settings, context.now_s) else { return 0 };
    let Some(question) = &request.query.question else { return 0 };
    let write = |out: &mut [u8]| -> Result<Finished, Full> {
        let mut reply = Reply::begin(out, &request.form, Some(question))?;
        let now = context.on_demand.map_or_else(std::time::Instant::now, |on_demand| (on_demand.clock)());
        on_demand::write_filled(&mut reply, question, filled, now, context.counters);
        Ok(reply.finish())
    };
    // While it waited, its zone may have come to be kept in another way, and has an answer now.
    let finished = match filled {
        Filled::Failed(Failure::Gone) => match try_answer(out, &request.form, question, context) {
            Ok(Answered::Here(finished)) => Ok(finished),
            Ok(Answered::Miss(_)) => write(out),
            Err(full) => Err(full),
        },
        _ => write(out),
    };
    let finished = finished.unwrap_or_else(|Full| reply::write_bare(out, request.query.header, Rcode::SERVFAIL));
    context.counters.answer(finished.rcode, finished.truncated, finished.bytes);
    finished.bytes
}

/// Counts an answer that was written elsewhere.
fn count_foreign(out: &[u8], bytes: usize, counters: &Counters) -> usize {
    let bytes = bytes.min(out.len());
    if let Some(Ok(header)) = out.get(..bytes).map(wire::Header::parse) {
        counters.answer(header.flags.rcode(), header.flags.tc(), bytes);
    }
    bytes
}

/// What became of a well-formed query.
enum Answered {
    Here(Finished),
    Miss(u64),
}

/// Answers a well-formed query.
fn answer_request(out: &mut [u8], request: &Request<'_>, context: &Context<'_>) -> Answered {
    if let Some(rcode) = request.refused {
        return Answered::Here(refuse(out, request, rcode));
    }
    let Some(question) = &request.query.question else {
        // Only to learn a cookie may one ask nothing (RFC 7873 §5.4).
        let rcode = if request.has_cookie { Rcode::NOERROR } else { Rcode::FORMERR };
        return Answered::Here(refuse(out, request, rcode));
    };
    match try_answer(out, &request.form, question, context) {
        Ok(answered) => answered,
        Err(Full) => Answered::Here(reply::write_bare(out, request.query.header, Rcode::SERVFAIL)),
    }
}

fn try_answer(
    out: &mut [u8],
    form: &Form<'_>,
    question: &Question<'_>,
    context: &Context<'_>,
) -> Result<Answered, Full> {
    let mut reply = Reply::begin(out, form, Some(question))?;
    match question.class {
        Class::IN => {
            if let Step::Miss(zone) = find::answer(&mut reply, question, context) {
                return Ok(Answered::Miss(zone));
            }
        }
        Class::CH => chaos::answer(&mut reply, question, context.settings),
        _ => reply.refuse(Rcode::REFUSED, Some(ExtendedError::NotAuthoritative)),
    }
    Ok(Answered::Here(reply.finish()))
}

/// Answers with the question and a code.
fn refuse(out: &mut [u8], request: &Request<'_>, rcode: Rcode) -> Finished {
    let Query { header, question, .. } = &request.query;
    match Reply::begin(out, &request.form, question.as_ref()) {
        Ok(mut reply) => {
            reply.set_rcode(rcode);
            reply.finish()
        }
        Err(Full) => reply::write_bare(out, *header, rcode),
    }
}

/// NOTAUTH with BADKEY to a signed query (RFC 8945 §5.2.1), FORMERR if its TSIG record is none (§5.2).
fn refuse_key(out: &mut [u8], request: &Request<'_>) -> Finished {
    let Ok(key) = tsig::UnknownKey::read(request.query.message) else {
        return refuse(out, request, Rcode::FORMERR);
    };
    match Reply::begin(out, &request.form, request.query.question.as_ref()) {
        Ok(mut reply) => {
            reply.set_rcode(Rcode::NOTAUTH);
            reply.finish_with(|writer| key.write(writer))
        }
        Err(Full) => reply::write_bare(out, request.query.header, Rcode::NOTAUTH),
    }
}
