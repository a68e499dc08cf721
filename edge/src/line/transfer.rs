//! What those get who sign their queries: answers that are signed too, and over TCP whole zones or their differences. Who
//! they are, and what is given out, is the [`TransferHandler`]'s to say.

use filters::{Admission, Verdict};
use wire::{Opcode, Query, Rcode, Rtype};

use crate::{
    line::{
        Client, Context, Finished, Request, count_foreign,
        judge::{Asker, Finding},
        refuse, refuse_key, try_answer,
    },
    stats::Family,
};

/// Gives zones to those who may have them; implemented by whoever keeps the zones.
pub trait TransferHandler: Send + Sync {
    /// Judges a signed query of any type, a whole message. Called on a lane's thread: it must not wait.
    fn query(&self, message: &[u8], client: &Client, out: &mut [u8]) -> SignedQuery;

    /// Judges a signed question for AXFR or IXFR that came over TCP. Called on a lane's thread: it must not wait.
    fn transfer(&self, message: &[u8], client: &Client, out: &mut [u8]) -> Transfer;
}

/// What a [`TransferHandler`] made of a query.
pub enum SignedQuery {
    /// From a stranger: answered as if there were no keys.
    Stranger,
    /// The first so many bytes of `out` are the answer; with 0 there is none.
    Answer(usize),
    /// Answered like anybody's, and then signed by this.
    Sign(Box<dyn Signer>),
}

/// What a [`TransferHandler`] made of a question for a transfer.
pub enum Transfer {
    /// From a stranger: answered as if there were no keys.
    Stranger,
    /// The first so many bytes of `out` are the answer.
    Answer(usize),
    /// The answer is these messages.
    Stream(Box<dyn MessageStream>),
}

/// Signs one answer.
pub trait Signer: Send {
    /// The room that the signature takes, in bytes.
    fn bytes(&self) -> usize;

    /// Signs the message that is the first `length` bytes of `out`; its length then. 0 if it does not fit.
    fn sign(self: Box<Self>, out: &mut [u8], length: usize) -> usize;
}

/// The messages of a transfer, made one by one as the client takes them. What it holds is held until it is dropped.
pub trait MessageStream: Send {
    /// Writes the next message to `out`, which has room for any.
    fn next(&mut self, out: &mut [u8]) -> NextMessage;
}

/// What a [`MessageStream`] has next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextMessage {
    /// A message of so many bytes.
    Message(usize),
    /// Nothing: the transfer is complete.
    End,
    /// Nothing, though the transfer is not complete: only closing the connection says so.
    Broken,
}

/// How a message over TCP is to be answered.
pub(crate) enum Begun {
    /// By [`respond`](super::respond).
    Not,
    /// By the first so many bytes of `out`.
    Answer(usize),
    /// By these messages.
    Stream(Box<dyn MessageStream>),
}

/// Begins a transfer, if a message that came over TCP is a signed question for one by somebody who may ask it.
pub(crate) fn begin_transfer(message: &[u8], client: &Client, context: &Context<'_>, out: &mut [u8]) -> Begun {
    let Some(handler) = context.transfers else { return Begun::Not };
    let is_transfer = |query: &Query<'_>| {
        let transfer = query.question.is_some_and(|question| matches!(question.rtype, Rtype::AXFR | Rtype::IXFR));
        transfer && query.tsig.is_some() && query.header.flags.opcode() == Opcode::QUERY
    };
    if !Query::parse(message).is_ok_and(|query| is_transfer(&query)) {
        return Begun::Not;
    }
    let begun = match handler.transfer(message, client, out) {
        Transfer::Stranger => return Begun::Not,
        Transfer::Answer(bytes) => Begun::Answer(count_foreign(out, bytes, context.counters)),
        Transfer::Stream(stream) => Begun::Stream(stream),
    };
    context.counters.query(client.transport, Family::of(client.peer.ip()));
    begun
}

/// What became of a signed query.
pub(super) enum Answered {
    /// An answer that was written here.
    Here(Finished),
    /// One of so many bytes that was written elsewhere.
    Elsewhere(usize),
    /// The filters would not have it answered.
    Withheld(Verdict),
}

/// Answers a signed query.
pub(super) fn answer_signed(out: &mut [u8], request: &mut Request<'_>, client: &Client, asker: &Asker<'_>) -> Answered {
    let signed = match asker.context.transfers {
        Some(handler) => handler.query(request.query.message, client, out),
        None => SignedQuery::Stranger,
    };
    let signer = match signed {
        SignedQuery::Stranger => {
            return match asker.judge(None, Finding::ERROR) {
                Verdict::Serve => Answered::Here(refuse_key(out, request)),
                withheld => Answered::Withheld(withheld),
            };
        }
        SignedQuery::Answer(bytes) => return Answered::Elsewhere(bytes),
        SignedQuery::Sign(signer) => signer,
    };
    request.form.limit = request.form.limit.saturating_sub(signer.bytes());
    // Who has a key of ours is no stranger whose flood could be meant.
    let asker = Asker { admission: &Admission::EXEMPT, ..*asker };
    let finished = answer_plain(out, request, &asker);
    let bytes = signer.sign(out, finished.bytes);
    Answered::Here(Finished { bytes, ..finished })
}

fn answer_plain(out: &mut [u8], request: &Request<'_>, asker: &Asker<'_>) -> Finished {
    match (&request.query.question, request.refused) {
        (Some(question), None) => match try_answer(out, &request.form, question, asker) {
            Ok(super::Answered::Here(finished)) => finished,
            // Signed queries are those of other nodes, which have origins of their own to ask.
            Ok(_) | Err(wire::Full) => refuse(out, request, Rcode::SERVFAIL),
        },
        (_, refused) => refuse(out, request, refused.unwrap_or(Rcode::FORMERR)),
    }
}
