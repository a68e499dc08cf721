//! Edges as origins to each other: who may have our copies, and giving them out (SOA, IXFR, AXFR, NOTIFY).
//!
//! ```text
//!   lane thread                                                            service
//!   signed question ─▶ request: whose? ─▶ offer of the zone ◀── expiry, path ──┤
//!                                           │                                  │ a new copy
//!                     answer, or stream ◀───┘                                  ▼
//!                     (from a snapshot, or the history of differences)       outbox ─▶ notify task ─▶ nodes downstream
//! ```
//!
//! Only nodes that the configuration names as downstream get anything, from their own addresses and with the nodes' key:
//! to everybody else there are no transfers here. A copy that has expired, or of which nobody knows how long it is good, is
//! not given out. Lane threads never wait: what they read is published by the service.

mod access;
mod history;
pub(crate) mod notify;
mod offer;
mod outbox;
mod path;
mod request;
mod seal;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use domain::tsig::{Key as DomainKey, ServerSequence, ServerTransaction};
use wire::{Class, MESSAGE_BYTES_MAX, Rcode, Rtype};

pub(crate) use access::Access;
pub(crate) use history::{History, Keeping};
pub(crate) use offer::Offer;
pub(crate) use outbox::Outbox;
pub(crate) use path::Path;
pub(crate) use path::{OPTION as PATH_OPTION, QUESTION as PATH_QUESTION};
pub use stream::{NextMessage as NextPeerMessage, TransferOut};

use crate::notify::{Notifier, unix_now_s};
use crate::serial;
use access::Transfers;
use offer::{Bad, Good};
use request::{Denied, Form, Provenance, Request, SoaRecord};
use stream::Content;

/// What became of a signed query.
#[derive(Debug)]
pub enum PeerAnswer {
    /// It is from a stranger.
    Stranger,
    /// The first so many bytes of `out` are the answer; with 0 there is none.
    Answer(usize),
    /// It is another node's, but none that is answered here: whoever answers it signs by this.
    Sign(Box<AnswerSigner>),
}

/// What became of a question for a transfer.
#[derive(Debug)]
pub enum PeerTransfer {
    /// It is from a stranger.
    Stranger,
    /// The first so many bytes of `out` are the answer.
    Answer(usize),
    /// The answer is these messages.
    Stream(Box<TransferOut>),
}

/// Signs one answer to another node.
#[derive(Debug)]
pub struct AnswerSigner(ServerTransaction<Arc<DomainKey>>);

impl AnswerSigner {
    /// The room that the signature takes, in bytes.
    pub fn bytes(&self) -> usize {
        usize::from(self.0.key().compose_len())
    }

    /// Signs the message that is the first `length` bytes of `out`; its length then, 0 if it does not fit.
    pub fn sign(self, out: &mut [u8], length: usize) -> usize {
        seal::sign_answer(out, length, self.0, unix_now_s()).unwrap_or(0)
    }
}

/// Counters; read them at any time.
#[derive(Debug, Default)]
pub struct PeerCounters {
    /// SOA queries of other nodes that were answered.
    pub soa: AtomicU64,
    /// Whole transfers that were begun.
    pub axfr: AtomicU64,
    /// Transfers of differences that were begun.
    pub ixfr: AtomicU64,
    /// Questions for transfers by nodes that had what we have.
    pub up_to_date: AtomicU64,
    /// Bytes of transfers.
    pub bytes: AtomicU64,
    /// Questions that found no copy to give out: none there yet, or expired.
    pub unavailable: AtomicU64,
    /// Transfers that were not begun because too many ran.
    pub busy: AtomicU64,
    /// Questions from a node's address whose signature did not hold.
    pub bad_signature: AtomicU64,
    /// NOTIFYs that were sent, repeated ones too.
    pub notifies_sent: AtomicU64,
    /// NOTIFYs that were acknowledged.
    pub notifies_acknowledged: AtomicU64,
    /// NOTIFYs that a node refused: it has not that zone.
    pub notifies_refused: AtomicU64,
    /// NOTIFYs that had no room to wait.
    pub notifies_dropped: AtomicU64,
}

/// The side that other nodes see; shared by all lane threads.
#[derive(Debug)]
pub struct Peers {
    started: Instant,
    notifier: Arc<Notifier>,
    access: ArcSwap<Access>,
    transfers: Arc<Transfers>,
    counters: Arc<PeerCounters>,
    keeping: Arc<Keeping>,
    outbox: Arc<Outbox>,
}

impl Peers {
    pub(crate) fn new(started: Instant, notifier: Arc<Notifier>, keeping: Arc<Keeping>, access: Access) -> Peers {
        let (transfers, counters) = (Arc::default(), Arc::new(PeerCounters::default()));
        let outbox = Arc::new(Outbox::new(Arc::clone(&counters)));
        let peers = Peers { started, notifier, access: ArcSwap::default(), transfers, counters, keeping, outbox };
        peers.set_access(access);
        peers
    }

    /// Works by a new configuration from now on.
    pub(crate) fn set_access(&self, access: Access) {
        let access = Arc::new(access);
        self.keeping.set(!access.downstream.is_empty());
        self.access.store(Arc::clone(&access));
        self.outbox.set_access(access);
    }

    /// Where changed zones are told.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Its counters.
    pub fn counters(&self) -> &PeerCounters {
        &self.counters
    }

    /// Transfers out that run now.
    pub fn transfers_running(&self) -> usize {
        self.transfers.running()
    }

    /// A question that another node signed, as far as it is read once its signature holds.
    pub(crate) fn read_unsigned(message: &[u8]) {
        if let Ok(query) = wire::Query::parse(message) {
            let _ = request::have(&query);
        }
        if let Some(path) = Path::from_option(message) {
            let option = path.to_option("node");
            assert!(path.is_full() || Path::from_option(&option).is_some_and(|path| path.has("node")), "one node more");
        }
    }

    /// Judges a signed query. Answered here are SOA and (over UDP) IXFR for the zones that have copies. For lane threads:
    /// it does not wait, and allocates only for the nodes downstream.
    pub fn query(&self, message: &[u8], peer: SocketAddr, is_udp: bool, out: &mut [u8]) -> PeerAnswer {
        let access = self.access.load();
        let request = match self.verify(&access, message, peer, out) {
            Ok(request) => request,
            Err(Denied::Stranger) => return PeerAnswer::Stranger,
            Err(Denied::Signature(length)) => return PeerAnswer::Answer(length),
        };
        let ours = matches!(request.question.rtype, Rtype::SOA | Rtype::IXFR) && request.question.class == Class::IN;
        let current = request.query.edns.is_none_or(|edns| edns.version == 0);
        let Some(offer) = self.notifier.offer(request.question.name).filter(|_| ours && current) else {
            return PeerAnswer::Sign(Box::new(AnswerSigner(request.transaction)));
        };
        let bytes_max = if is_udp { request.udp_bytes_max().min(out.len()) } else { MESSAGE_BYTES_MAX };
        let form = request.form(&access);
        let length = match self.good(&offer) {
            Ok((good, soa)) => {
                count(&self.counters.soa);
                form.soa(out, bytes_max, &soa, &Provenance::new(&good, offer.path()))
            }
            Err(rcode) => form.bare(out, bytes_max, rcode),
        };
        PeerAnswer::Answer(length.map_or(0, |length| AnswerSigner(request.transaction).sign(out, length)))
    }

    /// Judges a signed question for AXFR or IXFR that came over TCP. For lane threads.
    pub fn transfer(&self, message: &[u8], peer: SocketAddr, out: &mut [u8]) -> PeerTransfer {
        let access = self.access.load();
        let request = match self.verify(&access, message, peer, out) {
            Ok(request) => request,
            Err(Denied::Stranger) => return PeerTransfer::Stranger,
            Err(Denied::Signature(length)) => return PeerTransfer::Answer(length),
        };
        let form = request.form(&access);
        let answer = |written: Option<usize>, request: Request<'_>, out: &mut [u8]| {
            let length = written.map_or(0, |length| AnswerSigner(request.transaction).sign(out, length));
            PeerTransfer::Answer(length)
        };
        let begun = self.begin(&request, &form, out);
        match begun {
            Begun::Answer(written) => answer(written, request, out),
            Begun::Transfer { copy, provenance, content, permit } => {
                let sequence = ServerSequence::from(request.transaction);
                let shared = (Arc::clone(&self.counters), permit);
                PeerTransfer::Stream(Box::new(TransferOut::new(form, sequence, copy, provenance, content, shared)))
            }
        }
    }

    fn begin(&self, request: &Request<'_>, form: &Form, out: &mut [u8]) -> Begun {
        let refuse = |rcode, out: &mut [u8]| Begun::Answer(form.bare(out, MESSAGE_BYTES_MAX, rcode));
        let Some(offer) = self.notifier.offer(request.question.name).filter(|_| request.question.class == Class::IN)
        else {
            return refuse(Rcode::NOTAUTH, out);
        };
        let (good, soa) = match self.good(&offer) {
            Ok(good) => good,
            Err(rcode) => return refuse(rcode, out),
        };
        let provenance = Provenance::new(&good, offer.path());
        let content = match (request.question.rtype, request.have()) {
            (Rtype::IXFR, None) => return refuse(Rcode::FORMERR, out),
            (Rtype::IXFR, Some(have)) if !serial::is_newer(good.zone.serial(), have) => {
                count(&self.counters.up_to_date);
                return Begun::Answer(form.soa(out, MESSAGE_BYTES_MAX, &soa, &provenance));
            }
            (Rtype::IXFR, Some(have)) => {
                offer.differences(have, &good.zone).map_or(Content::Whole, Content::Differences)
            }
            _ => Content::Whole,
        };
        let Some(permit) = self.transfers.admit(&request.node) else {
            count(&self.counters.busy);
            return refuse(Rcode::SERVFAIL, out);
        };
        count(if matches!(content, Content::Whole) { &self.counters.axfr } else { &self.counters.ixfr });
        Begun::Transfer { copy: (good.zone, soa), provenance, content, permit }
    }

    fn verify<'m>(
        &self,
        access: &Access,
        message: &'m [u8],
        peer: SocketAddr,
        out: &mut [u8],
    ) -> Result<Request<'m>, Denied> {
        let verified = Request::verify(access, message, peer.ip(), out);
        if let Err(Denied::Signature(_)) = verified {
            count(&self.counters.bad_signature);
        }
        verified
    }

    /// The copy of a zone that may be given out, or what its absence is answered with.
    fn good(&self, offer: &Offer) -> Result<(Good, SoaRecord), Rcode> {
        let good = offer.good(self.started.elapsed()).map_err(|_: Bad| {
            count(&self.counters.unavailable);
            Rcode::SERVFAIL
        })?;
        let soa = SoaRecord::of(&good.zone).ok_or(Rcode::SERVFAIL)?;
        Ok((good, soa))
    }
}

/// How a question for a transfer is answered.
enum Begun {
    /// By one message, which lacks its signature.
    Answer(Option<usize>),
    /// By a transfer.
    Transfer { copy: (Arc<zones::Zone>, SoaRecord), provenance: Provenance, content: Content, permit: access::Permit },
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
