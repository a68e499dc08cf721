//! One answer of an origin, as it is kept.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use wire::{NameRef, Rcode, Rtype};

use crate::rrset::{RrsetWriter, Rrsets};
use crate::{TtlLimits, Unfit, classify};

/// How long an origin's failure is remembered (RFC 9520 §3.2: between 1 s and 5 min).
const ERROR_TTL_S: u32 = 2;
/// An answer this close to its end, as a part of its life, is to be fetched again.
const PREFETCH_PART: u32 = 10;
/// What is asked for more seldom during its life is not worth fetching again unasked.
const PREFETCH_HITS_MIN: u8 = 2;
/// Answers that live shorter than this would be fetched all the time.
const PREFETCH_LIFETIME_S_MIN: u32 = 5;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for, perhaps behind aliases.
    Found,
    /// The aliases lead out of the zone, or the origin followed them no further.
    Alias,
    /// The name is there, the type is not (RFC 2308 §2.2).
    NoData,
    /// The name is not there (RFC 2308 §2.1).
    NxDomain,
    /// A referral to the servers below a cut.
    Referral,
    /// A code without data: the origin's error, or YXDOMAIN with the DNAME that led there (RFC 6672 §2.2).
    Error,
}

/// A complete answer to one question, with all its DNSSEC records.
#[derive(Debug)]
pub struct CachedAnswer {
    /// The name asked for in lower case, and behind it the RRsets: one allocation, and for most answers one cache line to
    /// compare the name and read the data.
    pub(crate) bytes: Box<[u8]>,
    pub(crate) qname_bytes: u8,
    pub(crate) stored: Instant,
    pub(crate) lifetime_s: u32,
    pub(crate) stale_s: u32,
    pub(crate) stale_ttl_s: u32,
    pub(crate) qtype: Rtype,
    pub(crate) rcode: Rcode,
    pub(crate) kind: Kind,
    pub(crate) authoritative: bool,
    pub(crate) synthesised: bool,
    /// How often it was asked for, up to what prefetching wants to know.
    pub(crate) hits: AtomicU8,
    /// Somebody was told to fetch it again.
    pub(crate) due_told: AtomicBool,
}

impl CachedAnswer {
    /// Judges a response to the question `qname` `qtype` that was asked with DO, and keeps what belongs to it.
    ///
    /// The caller has verified that it comes from the origin: id, source, question, TSIG. Only records at or below `apex`
    /// are kept, and of those the ones that answer: the aliases from `qname` on, the RRset at their end, the SOA and proofs
    /// of a negative answer, the NS, DS and glue of a referral, addresses of servers named in an answer. Its life ends with
    /// the first of its answer and authority RRsets (RFC 2181 §5.2: an RRset has the least TTL of its records; §8: one with
    /// the highest bit set is 0); a negative answer lives for the least of the SOA's TTL, its MINIMUM (RFC 2308 §5) and the
    /// limit. Without a SOA (RFC 2308 §2.2, type 3), and with a TTL of 0, it is for those who wait alone
    /// ([`is_kept`](Self::is_kept)).
    ///
    /// # Errors
    /// [`Unfit`]: ask another server, or over TCP, or give up with [`from_error`](Self::from_error).
    pub fn from_response(
        apex: NameRef<'_>,
        qname: NameRef<'_>,
        qtype: Rtype,
        response: &[u8],
        limits: &TtlLimits,
        now: Instant,
    ) -> Result<CachedAnswer, Unfit> {
        classify::judge(apex, qname, qtype, response, limits, now)
    }

    /// An answer that passes an origin's error on, kept for some seconds so that it is not asked for again at once
    /// (RFC 9520 §3.2). FORMERR and NOTIMP are the origin's view of the question; all else is SERVFAIL to a client: that
    /// the origin refuses us is not the client's fault.
    #[must_use]
    pub fn from_error(qname: NameRef<'_>, qtype: Rtype, rcode: Rcode, now: Instant) -> CachedAnswer {
        let rcode = match rcode {
            Rcode::FORMERR | Rcode::NOTIMP => rcode,
            _ => Rcode::SERVFAIL,
        };
        CachedAnswer {
            qname_bytes: qname.as_bytes().len() as u8,
            bytes: RrsetWriter::new(qname).finish(),
            stored: now,
            lifetime_s: ERROR_TTL_S,
            stale_s: 0,
            stale_ttl_s: 0,
            qtype,
            rcode,
            kind: Kind::Error,
            authoritative: false,
            synthesised: false,
            hits: AtomicU8::new(0),
            due_told: AtomicBool::new(false),
        }
    }

    /// The name it answers for, in lower case.
    #[must_use]
    pub fn qname(&self) -> NameRef<'_> {
        NameRef::parse(&self.bytes).unwrap_or(NameRef::ROOT)
    }

    /// The same as octets.
    pub(crate) fn qname_octets(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.qname_bytes)).unwrap_or_default()
    }

    /// The type it answers for.
    #[must_use]
    pub fn qtype(&self) -> Rtype {
        self.qtype
    }

    /// What it says.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its response code.
    #[must_use]
    pub fn rcode(&self) -> Rcode {
        self.rcode
    }

    /// Whether it is given with AA.
    #[must_use]
    pub fn is_authoritative(&self) -> bool {
        self.authoritative
    }

    /// Whether it was made from NSEC records (RFC 8198).
    #[must_use]
    pub fn is_synthesised(&self) -> bool {
        self.synthesised
    }

    /// Its RRsets in the order in which they are sent: answer, authority, additional.
    #[must_use]
    pub fn rrsets(&self) -> Rrsets<'_> {
        Rrsets(self.bytes.get(usize::from(self.qname_bytes)..).unwrap_or_default())
    }

    /// How long it is fresh, from when it arrived.
    #[must_use]
    pub fn lifetime_s(&self) -> u32 {
        self.lifetime_s
    }

    /// Whether it may be kept for others than those who wait for it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.lifetime_s > 0
    }

    /// The TTL to use for all records when it is served after its life.
    #[must_use]
    pub fn stale_ttl_s(&self) -> u32 {
        self.stale_ttl_s
    }

    /// Whole seconds since it arrived: what has gone from its TTLs.
    #[must_use]
    pub fn age_s(&self, now: Instant) -> u32 {
        u32::try_from(self.age(now).as_secs()).unwrap_or(u32::MAX)
    }

    /// Seconds until the end of its life, 0 from then on.
    #[must_use]
    pub fn expires_in_s(&self, now: Instant) -> u32 {
        self.lifetime_s.saturating_sub(self.age_s(now))
    }

    /// Whether its life is not over.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.expires_in_s(now) > 0
    }

    /// Whether it may still be served, fresh or (RFC 8767) stale.
    #[must_use]
    pub fn is_usable(&self, now: Instant) -> bool {
        self.age(now) < Duration::from_secs(u64::from(self.lifetime_s) + u64::from(self.stale_s))
    }

    /// How long after it arrived it should be fetched again if it is asked for: a while before the end of its life, or then.
    #[must_use]
    pub fn due_after(&self) -> Duration {
        let before_s = match self.is_worth_prefetching() {
            true => self.prefetch_before_s(),
            false => 0,
        };
        Duration::from_secs(u64::from(self.lifetime_s.saturating_sub(before_s)))
    }

    /// Whether that moment has come.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.age(now) >= self.due_after()
    }

    fn is_worth_prefetching(&self) -> bool {
        self.lifetime_s >= PREFETCH_LIFETIME_S_MIN
    }

    fn prefetch_before_s(&self) -> u32 {
        (self.lifetime_s / PREFETCH_PART).max(1)
    }

    /// Counts a hit and says, once, that it should be fetched again: it is asked for, and its end is near.
    pub(crate) fn note_hit(&self, now: Instant) -> bool {
        let hits = self.hits.load(Ordering::Relaxed);
        if hits < PREFETCH_HITS_MIN {
            // A lost count does no harm.
            self.hits.store(hits + 1, Ordering::Relaxed);
            return false;
        }
        self.is_worth_prefetching()
            && self.expires_in_s(now) <= self.prefetch_before_s()
            && !self.due_told.load(Ordering::Relaxed)
            && !self.due_told.swap(true, Ordering::Relaxed)
    }

    /// Bytes of memory that it takes, what the allocator adds included.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        /// Reference counts of an `Arc`.
        const ARC: usize = 16;
        const ALLOCATOR: usize = 16;
        size_of::<CachedAnswer>() + ARC + self.bytes.len() + 2 * ALLOCATOR
    }

    /// How long ago it arrived.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.stored)
    }
}
