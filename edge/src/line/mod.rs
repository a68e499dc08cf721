//! A query's way, the same for every lane: receive → admit → parse → find → choose → answer, and no way back.
//!
//! ```text
//! receive ──> see ──> admit ──┬──────────> answer: parse ──> find ──> judge ──> write
//!   (a lane)    header, name    └ dropped     in order of penalty         └ withheld: a slip, or nothing
//! ```
//!
//! A lane receives; [`respond`] is the rest. It neither allocates nor waits, reads no clock, and its only effects are
//! the answer's bytes and the counters. For zones that are filled on demand there is a way out between find and answer: a
//! miss is parked by the lane, and comes back to [`respond_filled`]. (`choose` comes with traffic management.)
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod answer;
mod chaos;
mod find;
mod header;
mod judge;
mod on_demand;
mod promote;
mod reply;
mod request;
mod seen;
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
use cache::{Failure, Filled};
use filters::{Admission, Gate, Kind, Verdict};
use find::Step;
use header::Judged;
use judge::{Asker, Finding};
pub use on_demand::{Miss, MissHandler, OnDemand};
use promote::Promotable;
pub use promote::Promoter;
use reply::{ExtendedError, Finished, Reply};
use request::{Form, Parsed, Request};
pub(crate) use seen::Seen;
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
    /// What says whether a query is worth answering.
    pub gate: &'a Gate<'a>,
    /// Where answers are put for the kernel lane; without it there is none.
    pub promoter: Option<Promoter<'a>>,
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
pub(crate) enum Responded {
    /// An answer of so many bytes; nothing if 0.
    Answer(usize),
    /// An answer later: the origin of the zone with this number in the cache has to be asked. [`respond_filled`] writes it.
    Miss(u64),
}

/// Takes one message through all rooms: writes to `out` and returns how many bytes to send, 0 for none. Nobody waits for an
/// origin here: what would have to is a failure.
///
/// A lane that receives several messages at once takes all of them through the first rooms ([`see`], [`admit`]), and the
/// best of them first through the others ([`answer_admitted`]). For `out` see there.
pub fn respond(message: &[u8], client: &Client, context: &Context<'_>, out: &mut [u8]) -> usize {
    let Some(seen) = see(message, client, context) else { return 0 };
    let admission = admit(&seen, context);
    match answer_admitted(&seen, &admission, client, context, out) {
        Responded::Answer(bytes) => bytes,
        Responded::Miss(_) => {
            respond_filled(message, client, &admission, context, &Filled::Failed(Failure::NoOrigin), out)
        }
    }
}

/// Counts a message and looks at it, if anybody may be answered who sends such a header.
#[inline]
pub(crate) fn see<'m>(message: &'m [u8], client: &Client, context: &Context<'_>) -> Option<Seen<'m>> {
    context.counters.query(client.transport, Family::of(client.peer.ip()));
    if let Judged::Drop(reason) = header::judge(message, client.peer) {
        context.counters.dropped(reason, 1);
        return None;
    }
    if context.gate.has_killed(message) {
        context.counters.dropped(DropReason::QueryOfDeath, 1);
        return None;
    }
    match context.gate.is_off() {
        true => Some(Seen::unread(message, client)),
        false => Some(Seen::look(message, client, context)),
    }
}

/// Asks the filters what a message is worth, and counts it if it is worth nothing.
#[inline]
pub(crate) fn admit(seen: &Seen<'_>, context: &Context<'_>) -> Admission {
    let admission = context.gate.admit(&seen.view);
    if let Verdict::Drop(filter) = admission.verdict {
        context.counters.dropped(filter.into(), 1);
    }
    admission
}

/// Answers a message that was admitted, or says whose origin has to be asked. Nothing is written for one that was not.
///
/// `out` holds at least the largest answer of the client's transport (over UDP
/// [`Settings::udp_payload_bytes_max`], over TCP 65,535 bytes); a smaller one truncates answers earlier. Any bytes are
/// fit to be a message.
pub(crate) fn answer_admitted(
    seen: &Seen<'_>,
    admission: &Admission,
    client: &Client,
    context: &Context<'_>,
    out: &mut [u8],
) -> Responded {
    let message = seen.view.message;
    let asker = Asker { context, view: &seen.view, admission, transport: client.transport };
    let slips = match asker.mind(admission.verdict) {
        Verdict::Serve => false,
        Verdict::Slip(_) => true,
        Verdict::Drop(_) => return Responded::Answer(0),
    };
    // Matched where it stands: a request is large to move.
    let mut parsed = request::parse(message, client, context.settings, context.now_s, seen.cookie);
    let answered = match &mut parsed {
        Parsed::Drop(reason) => Answered::Silent(*reason),
        _ if slips => Answered::Withheld(admission.verdict),
        Parsed::Request(request) if request.query.header.flags.opcode() == Opcode::NOTIFY => {
            match context.notify.handle(message, client.peer, out) {
                NotifyOutcome::Answer(bytes) => return Responded::Answer(count_foreign(out, bytes, context.counters)),
                NotifyOutcome::Refuse => answer_error(&asker, || refuse(out, request, Rcode::REFUSED)),
                NotifyOutcome::Ignore => Answered::Silent(DropReason::Notify),
            }
        }
        Parsed::Request(request) if request.query.tsig.is_some() => {
            match transfer::answer_signed(out, request, client, &asker) {
                transfer::Answered::Here(finished) => Answered::Here(finished),
                transfer::Answered::Elsewhere(0) => Answered::Silent(DropReason::Signed),
                transfer::Answered::Elsewhere(bytes) => {
                    return Responded::Answer(count_foreign(out, bytes, context.counters));
                }
                transfer::Answered::Withheld(verdict) => Answered::Withheld(verdict),
            }
        }
        Parsed::Request(request) => answer_request(out, request, &asker),
        Parsed::Rejected(header, rcode) => answer_error(&asker, || reply::write_bare(out, *header, *rcode)),
    };
    let finished = match answered {
        Answered::Here(finished) => finished,
        Answered::Miss(zone) => return Responded::Miss(zone),
        Answered::Silent(reason) => {
            context.counters.dropped(reason, 1);
            return Responded::Answer(0);
        }
        Answered::Withheld(verdict) => match withhold(out, &parsed, verdict, message, context.counters) {
            Some(slip) => slip,
            None => return Responded::Answer(0),
        },
    };
    context.counters.answer(finished.rcode, finished.truncated, finished.bytes);
    if let (Some(promotable), Transport::Udp) = (&finished.promotable, client.transport) {
        promote(out, &parsed, &finished, promotable, &asker);
    }
    Responded::Answer(finished.bytes)
}

/// Gives an answer to the kernel lane, for who asks the same after this.
fn promote(out: &[u8], parsed: &Parsed<'_>, finished: &Finished, promotable: &Promotable, asker: &Asker<'_>) {
    if let Parsed::Request(Request { query, form, .. }) = parsed
        && let (Some(question), None) = (&query.question, &query.tsig)
        && let Some(message) = out.get(..finished.bytes)
    {
        let dnssec_ok = form.edns.as_ref().is_some_and(|edns| edns.dnssec_ok);
        promote::promote(message, question, dnssec_ok, promotable, asker.view, asker.context);
    }
}

/// A message that the filters would not have answered gets a truncated answer, or none.
#[cold]
fn withhold(
    out: &mut [u8],
    parsed: &Parsed<'_>,
    verdict: Verdict,
    message: &[u8],
    counters: &Counters,
) -> Option<Finished> {
    if let Verdict::Drop(filter) = verdict {
        counters.dropped(filter.into(), 1);
        return None;
    }
    counters.slipped();
    match parsed {
        Parsed::Request(Request { query, form, .. }) => {
            Some(reply::write_slip(out, form, query.question.as_ref(), message.len()))
        }
        Parsed::Rejected(header, rcode) => Some(reply::write_bare_slip(out, *header, *rcode)),
        Parsed::Drop(_) => None,
    }
}

/// Answers a message that was a miss with what became of it. `admission` is what was found when it was received.
pub fn respond_filled(
    message: &[u8],
    client: &Client,
    admission: &Admission,
    context: &Context<'_>,
    filled: &Filled,
    out: &mut [u8],
) -> usize {
    let parsed = request::parse(message, client, context.settings, context.now_s, None);
    let Parsed::Request(request) = &parsed else { return 0 };
    let Some(question) = &request.query.question else { return 0 };
    let seen = Seen::of_request(request, question, client);
    if context.gate.is_deadly(&seen.view) {
        context.counters.dropped(DropReason::QueryOfDeath, 1);
        return 0;
    }
    let asker = Asker { context, view: &seen.view, admission, transport: client.transport };
    // While it waited, its zone may have come to be kept in another way, and has an answer now.
    let answered = match filled {
        Filled::Failed(Failure::Gone) => match try_answer(out, &request.form, question, &asker) {
            Ok(Answered::Miss(_)) => answer_filled(out, request, question, filled, &asker),
            answered => answered,
        },
        _ => answer_filled(out, request, question, filled, &asker),
    };
    let finished = match answered {
        Ok(Answered::Here(finished)) => finished,
        Ok(Answered::Withheld(verdict)) => match withhold(out, &parsed, verdict, message, context.counters) {
            Some(slip) => slip,
            None => return 0,
        },
        Ok(Answered::Silent(_) | Answered::Miss(_)) | Err(Full) => {
            reply::write_bare(out, request.query.header, Rcode::SERVFAIL)
        }
    };
    context.counters.answer(finished.rcode, finished.truncated, finished.bytes);
    finished.bytes
}

fn answer_filled(
    out: &mut [u8],
    request: &Request<'_>,
    question: &Question<'_>,
    filled: &Filled,
    asker: &Asker<'_>,
) -> Result<Answered, Full> {
    let context = asker.context;
    let now = context.on_demand.map_or_else(std::time::Instant::now, |on_demand| (on_demand.clock)());
    let slot = context.zones.find(question.name, question.rtype);
    match on_demand::judge_filled(asker, slot.map(|slot| &**slot), filled, now) {
        Verdict::Serve => {}
        withheld => return Ok(Answered::Withheld(withheld)),
    }
    let mut reply = Reply::begin(out, &request.form, Some(question))?;
    on_demand::write_filled(&mut reply, question, filled, now, context.counters);
    Ok(Answered::Here(reply.finish()))
}

/// Counts an answer that was written elsewhere.
fn count_foreign(out: &[u8], bytes: usize, counters: &Counters) -> usize {
    let bytes = bytes.min(out.len());
    if let Some(Ok(header)) = out.get(..bytes).map(wire::Header::parse) {
        counters.answer(header.flags.rcode(), header.flags.tc(), bytes);
    }
    bytes
}

/// What became of a query.
enum Answered {
    /// Its answer is written.
    Here(Finished),
    /// The origin of the zone with this number in the cache has to be asked.
    Miss(u64),
    /// It is not answered.
    Silent(DropReason),
    /// The filters would not have it answered.
    Withheld(Verdict),
}

/// Answers with a code, if the filters let it.
fn answer_error(asker: &Asker<'_>, write: impl FnOnce() -> Finished) -> Answered {
    match asker.judge(None, Finding::ERROR) {
        Verdict::Serve => Answered::Here(write()),
        withheld => Answered::Withheld(withheld),
    }
}

/// Answers a well-formed query.
fn answer_request(out: &mut [u8], request: &Request<'_>, asker: &Asker<'_>) -> Answered {
    if let Some(rcode) = request.refused {
        return answer_error(asker, || refuse(out, request, rcode));
    }
    let Some(question) = &request.query.question else {
        // Only to learn a cookie may one ask nothing (RFC 7873 §5.4).
        let rcode = if request.has_cookie { Rcode::NOERROR } else { Rcode::FORMERR };
        return answer_error(asker, || refuse(out, request, rcode));
    };
    match try_answer(out, &request.form, question, asker) {
        Ok(answered) => answered,
        Err(Full) => Answered::Here(reply::write_bare(out, request.query.header, Rcode::SERVFAIL)),
    }
}

fn try_answer(out: &mut [u8], form: &Form<'_>, question: &Question<'_>, asker: &Asker<'_>) -> Result<Answered, Full> {
    let mut reply = Reply::begin(out, form, Some(question))?;
    let step = match question.class {
        Class::IN => find::answer(&mut reply, question, asker),
        Class::CH => match asker.judge(None, Finding { kind: Kind::Answer, ..Finding::ERROR }) {
            Verdict::Serve => {
                chaos::answer(&mut reply, question, asker.context.settings);
                Step::Written
            }
            withheld => Step::Withheld(withheld),
        },
        _ => find::refuse(&mut reply, asker, None, Rcode::REFUSED, Some(ExtendedError::NotAuthoritative)),
    };
    Ok(match step {
        Step::Written => Answered::Here(reply.finish()),
        Step::Miss(zone) => Answered::Miss(zone),
        Step::Withheld(verdict) => Answered::Withheld(verdict),
    })
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
