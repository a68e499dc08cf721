//! One try of a question: putting it, judging what comes back, keeping the answer. Runs in a task of its own.

use std::sync::Arc;
use std::time::Instant;

use cache::{Cache, CachedAnswer, Ticket, TtlLimits, Unfit};
use wire::{Name, Rcode, Rtype};

use super::denial::has_proofs;
use super::exchange::{Exchange, Exchanged, Response};
use super::questions::{Ended, Key};
use super::zone::Transport;
use crate::error::Error;

/// A try, ready to run.
pub(super) struct Try {
    pub(super) id: u64,
    pub(super) key: Key,
    pub(super) upstream: usize,
    pub(super) apex: Name,
    pub(super) limits: TtlLimits,
    pub(super) exchange: Exchange,
    pub(super) cache: Arc<Cache>,
    /// What is purged from now on is not kept from the answer.
    pub(super) ticket: Ticket,
    /// Whether something is to be learnt beside the answer.
    pub(super) learns: bool,
}

/// What came of it.
pub(super) struct Report {
    pub(super) id: u64,
    pub(super) key: Key,
    pub(super) upstream: usize,
    pub(super) ended: Ended<Arc<CachedAnswer>>,
    /// The cookie that the server gave; none also for a server that gives none.
    pub(super) server_cookie: Option<Vec<u8>>,
    /// The response, if something else can be learnt from it: it has the zone's keys, or proofs of what is not there.
    pub(super) lesson: Option<(Vec<u8>, Ticket)>,
    pub(super) error: Option<String>,
}

impl Try {
    pub(super) async fn run(self) -> Report {
        let exchanged = self.exchange.run().await;
        let mut report = Report {
            id: self.id,
            key: self.key,
            upstream: self.upstream,
            ended: Ended::Unasked,
            server_cookie: None,
            lesson: None,
            error: None,
        };
        let failed = |ended, error: Error| (ended, Some(error.to_string()));
        (report.ended, report.error) = match exchanged {
            Exchanged::Response(response) => self.judge(response, &mut report),
            Exchanged::Doubtful(why) => (Ended::Doubtful, Some(format!("a doubtful answer: {why}"))),
            Exchanged::Silent(error) => failed(Ended::Silent, error),
            Exchanged::Unusable(error, rtt) => failed(Ended::Lame(rtt), error),
            Exchanged::Unasked(error) => failed(Ended::Unasked, error),
        };
        report
    }

    fn judge(&self, response: Response, report: &mut Report) -> (Ended<Arc<CachedAnswer>>, Option<String>) {
        let Response { bytes, rcode, truncated, server_cookie, rtt } = response;
        report.server_cookie = server_cookie;
        let over_udp = self.exchange.transport == Transport::Udp;
        if truncated && over_udp {
            return (Ended::Truncated(rtt), None);
        }
        if rcode == Rcode::BADCOOKIE && report.server_cookie.is_some() {
            return (Ended::BadCookie(rtt), Some("it wants its cookie".into()));
        }
        // Those codes do not fit into the header, and none of them says anything about the name.
        let judged = if rcode.0 > 0xf { Err(Unfit::Rcode(rcode)) } else { self.keep(&bytes) };
        match judged {
            Ok(answer) => {
                if self.learns && (self.is_for_keys() || has_proofs(&bytes)) {
                    report.lesson = Some((bytes, self.ticket));
                }
                (Ended::Answered(rtt, answer), None)
            }
            Err(error) => {
                let ended = match &error {
                    Unfit::Lame | Unfit::Rcode(Rcode::REFUSED | Rcode::NOTAUTH) => Ended::Lame(rtt),
                    // The origin's view of the question, to be passed on if no other origin sees it differently.
                    Unfit::Rcode(code @ (Rcode::FORMERR | Rcode::NOTIMP)) => Ended::Unfit(rtt, Some(self.error(*code))),
                    _ => Ended::Unfit(rtt, None),
                };
                (ended, Some(error.to_string()))
            }
        }
    }

    fn keep(&self, bytes: &[u8]) -> Result<Arc<CachedAnswer>, Unfit> {
        let Key { zone, qname, qtype } = &self.key;
        let (apex, now) = (self.apex.as_ref(), Instant::now());
        let answer = CachedAnswer::from_response(apex, qname.as_ref(), *qtype, bytes, &self.limits, now)?;
        let answer = Arc::new(answer);
        self.cache.insert(*zone, qname.as_ref(), *qtype, Arc::clone(&answer), self.ticket);
        Ok(answer)
    }

    fn is_for_keys(&self) -> bool {
        self.key.qtype == Rtype::DNSKEY && self.key.qname.as_ref() == self.apex.as_ref()
    }

    fn error(&self, rcode: Rcode) -> Arc<CachedAnswer> {
        Arc::new(CachedAnswer::from_error(self.key.qname.as_ref(), self.key.qtype, rcode, Instant::now()))
    }
}

/// The types that tell of the zone itself; a refill begins with them.
pub(super) const APEX_TYPES: [Rtype; 3] = [Rtype::SOA, Rtype::NS, Rtype::DNSKEY];
