//! The fourth and fifth rooms for zones without a copy: answers of their origins from the cache, or a miss.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cache::{Cache, CachedAnswer, CachedRrset, Failure, Filled, Freshness, Hit, Kind};
use config::Filter;
use filters::Verdict;
use wire::{Class, Full, Name, NameRef, Question, Rcode, Rtype, Section, Writer};
use zones::ZoneSlot;

use crate::kernel::Promise;
use crate::line::{
    find::{Step, refuse},
    judge::{Asker, Finding},
    promote::{Life, Origin, Promotable, Promoter, Whole, promote_misses},
    reply::{ExtendedError, Reply},
};
use crate::parking::Waiter;
use crate::stats::{Counters, OnDemandEvent};

/// Where answers of zones without a copy come from.
#[derive(Clone, Copy)]
pub struct OnDemand<'a> {
    /// Answers that are at hand.
    pub cache: &'a Cache,
    /// Who asks the origins.
    pub misses: &'a dyn MissHandler,
    /// Read only for zones without a copy.
    pub clock: &'a dyn Fn() -> Instant,
}

/// A question that the cache has no fresh answer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The zone's number in the cache.
    pub zone: u64,
    /// The name asked for, in the client's case.
    pub qname: Name,
    /// The type asked for.
    pub qtype: Rtype,
}

/// Takes questions that the cache has no answer to; implemented by whoever asks the origins. It is called on a lane's
/// thread and must not wait.
pub trait MissHandler: Send + Sync {
    /// Has the question answered, sooner or later, by [`Waiter::complete`].
    fn miss(&self, miss: Miss, waiter: Waiter);

    /// Has an answer that is asked for fetched again before its end; nobody waits for it.
    fn prefetch(&self, miss: Miss);
}

/// Answers a question of an on-demand zone if the cache can.
pub(super) fn answer(
    reply: &mut Reply<'_, '_>,
    question: &Question<'_>,
    (zone, slot): (u64, &ZoneSlot),
    asker: &Asker<'_>,
    origin: Option<Origin>,
) -> Step {
    let counters = asker.context.counters;
    let Some(OnDemand { cache, misses, clock }) = asker.context.on_demand else {
        return refuse(reply, asker, Some(slot), Rcode::SERVFAIL, Some(ExtendedError::NotReady));
    };
    let now = clock();
    match cache.get(zone, question.name, question.rtype, now) {
        Some(Hit { answer, freshness: freshness @ (Freshness::Fresh | Freshness::FreshButDue) }) => {
            let verdict = judge(asker, slot, &answer, answer.expires_in_s(now), IsHit::Yes);
            if verdict != Verdict::Serve {
                return Step::Withheld(verdict);
            }
            if freshness == Freshness::FreshButDue {
                counters.on_demand(OnDemandEvent::Prefetch);
                misses.prefetch(Miss { zone, qname: question.name.to_owned(), qtype: question.rtype });
            }
            counters.on_demand(OnDemandEvent::Hit);
            let whole = write(reply, question, &answer, Age::Fresh(answer.age_s(now)));
            if let (Some(origin), Some(promoter), Whole::Yes) = (origin, &asker.context.promoter, whole) {
                reply.promotable = promotable(origin, promoter, &answer, now);
            }
        }
        // Whether a stale answer may be given is for whoever asks the origin to say.
        Some(Hit { freshness: Freshness::Stale, .. }) | None => {
            let Some(answer) = cache.synthesise(zone, slot.apex(), question.name, question.rtype, now) else {
                return match asker.judge_miss(slot) {
                    Verdict::Serve => Step::Miss(zone),
                    withheld => {
                        if let (Verdict::Drop(Filter::Miss), Some(origin)) = (withheld, origin) {
                            promote_misses(origin, slot.apex(), reply.dnssec_ok(), asker.context);
                        }
                        Step::Withheld(withheld)
                    }
                };
            };
            let verdict = judge(asker, slot, &answer, answer.expires_in_s(now), IsHit::No);
            if verdict != Verdict::Serve {
                return Step::Withheld(verdict);
            }
            counters.on_demand(OnDemandEvent::Synthesised);
            let _ = write(reply, question, &answer, Age::Fresh(0));
        }
    }
    Step::Written
}

/// Whether somebody asked for it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsHit {
    Yes,
    No,
}

/// Has the filters judge an answer of an origin.
fn judge(asker: &Asker<'_>, slot: &ZoneSlot, answer: &CachedAnswer, ttl_s: u32, is_hit: IsHit) -> Verdict {
    if asker.is_exempt() {
        return Verdict::Serve;
    }
    let kind = kind_of(answer);
    let servers = |rrset: &CachedRrset<'_>| rrset.section == Section::Authority && rrset.rtype == Rtype::NS;
    let cut = match answer.kind() {
        Kind::Referral => answer.rrsets().find(servers).map(|rrset| rrset.owner(answer.qname())),
        _ => None,
    };
    asker.judge(Some(slot), Finding { kind, ttl_s, cut, is_hit: is_hit == IsHit::Yes })
}

fn kind_of(answer: &CachedAnswer) -> filters::Kind {
    match answer.kind() {
        Kind::Found | Kind::Alias => filters::Kind::Answer,
        Kind::NoData => filters::Kind::NoData,
        Kind::NxDomain => filters::Kind::NoName,
        Kind::Referral => filters::Kind::Referral,
        Kind::Error => filters::Kind::Error,
    }
}

/// What is to be known of an answer that others are to give, until somebody has to fetch it again.
fn promotable(origin: Origin, promoter: &Promoter<'_>, answer: &CachedAnswer, now: Instant) -> Option<Promotable> {
    let kind = kind_of(answer);
    if kind == filters::Kind::Error {
        return None;
    }
    let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let age = answer.age(now);
    // What is over in the additional section is left out from then on.
    let is_additional = |rrset: &CachedRrset<'_>| rrset.section == Section::Additional;
    let additional = answer.rrsets().filter(is_additional).map(|rrset| Duration::from_secs(u64::from(rrset.ttl_s) + 1));
    let ends = additional.filter(|end| *end > age).fold(answer.due_after(), Duration::min);
    let stored_us = (promoter.filter_time)(now).us().checked_sub(us(age))?;
    // Its TTLs are written as they are now: whole seconds less than they were.
    let counts_from_us = stored_us.saturating_add(us(Duration::from_secs(age.as_secs())));
    let life = Life { counts_from_us, valid_us: stored_us.saturating_add(us(ends)) };
    let ttl_s = answer.expires_in_s(now);
    (age < ends).then_some(Promotable { origin, kind, ttl_s, promise: Promise::Some, life: Some(life) })
}

/// Has the filters judge what became of a miss; its zone may have gone since.
pub(super) fn judge_filled(asker: &Asker<'_>, slot: Option<&ZoneSlot>, filled: &Filled, now: Instant) -> Verdict {
    match (filled, slot) {
        (Filled::Answer(answer), Some(slot)) => judge(asker, slot, answer, answer.expires_in_s(now), IsHit::No),
        (Filled::Stale(answer), Some(slot)) => judge(asker, slot, answer, answer.stale_ttl_s(), IsHit::No),
        _ => asker.judge(slot, Finding::ERROR),
    }
}

/// Answers with what became of a miss.
pub(super) fn write_filled(
    reply: &mut Reply<'_, '_>,
    question: &Question<'_>,
    filled: &Filled,
    now: Instant,
    counters: &Counters,
) {
    match filled {
        Filled::Answer(answer) => {
            write(reply, question, answer, Age::Fresh(answer.age_s(now)));
        }
        Filled::Stale(answer) => {
            counters.on_demand(OnDemandEvent::Stale);
            write(reply, question, answer, Age::Stale);
        }
        Filled::Failed(failure) => {
            counters.on_demand(OnDemandEvent::Failed);
            let (rcode, error) = match failure {
                Failure::OverBudget => (Rcode::SERVFAIL, ExtendedError::NotReady),
                Failure::NoOrigin => (Rcode::SERVFAIL, ExtendedError::NoReachableAuthority),
                Failure::Broken => (Rcode::SERVFAIL, ExtendedError::NetworkError),
                Failure::Gone => (Rcode::REFUSED, ExtendedError::NotAuthoritative),
            };
            reply.refuse(rcode, Some(error));
        }
    }
}

/// How old an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// So many seconds have gone from its TTLs.
    Fresh(u32),
    /// Its TTLs are over (RFC 8767).
    Stale,
}

fn write(reply: &mut Reply<'_, '_>, question: &Question<'_>, answer: &Arc<CachedAnswer>, age: Age) -> Whole {
    reply.set_rcode(answer.rcode());
    reply.set_authoritative(answer.is_authoritative());
    if let Some(error) = extended_error(answer, age) {
        reply.explain(error);
    }
    let before = reply.writer.mark();
    let mut records = Records { answer, question, age, dnssec_ok: reply.dnssec_ok() };
    if records.write_required(&mut reply.writer).is_err() {
        // Half a section helps nobody: the client asks again over TCP (RFC 2181 §9).
        reply.writer.rollback(before);
        reply.set_truncated();
        return Whole::No;
    }
    match records.write_additional(&mut reply.writer) {
        Glue::Complete => return Whole::Yes,
        Glue::LeftOut => {}
        Glue::Missing => reply.set_truncated(),
    }
    Whole::No
}

/// What there is to say about where an answer comes from (RFC 8914).
fn extended_error(answer: &CachedAnswer, age: Age) -> Option<ExtendedError> {
    match (age, answer.kind()) {
        (Age::Stale, Kind::NxDomain) => Some(ExtendedError::StaleNxdomain),
        (Age::Stale, _) => Some(ExtendedError::StaleAnswer),
        (Age::Fresh(_), Kind::Error) if answer.rcode() == Rcode::SERVFAIL => Some(ExtendedError::NetworkError),
        (Age::Fresh(_), _) => answer.is_synthesised().then_some(ExtendedError::Synthesized),
    }
}

/// Whether a referral has the addresses without which it leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glue {
    Complete,
    /// It has, but not all else that belongs here.
    LeftOut,
    Missing,
}

/// The records of an answer as one client gets them.
struct Records<'r, 'q> {
    answer: &'r CachedAnswer,
    question: &'r Question<'q>,
    age: Age,
    dnssec_ok: bool,
}

impl Records<'_, '_> {
    /// Answer and authority: all of it or nothing.
    fn write_required(&mut self, writer: &mut Writer<'_>) -> Result<(), Full> {
        if self.question.rtype == Rtype::ANY {
            self.write_any(writer)?;
            return self.write_section(writer, Section::Authority);
        }
        self.write_section(writer, Section::Answer)?;
        self.write_section(writer, Section::Authority)
    }

    fn write_section(&self, writer: &mut Writer<'_>, section: Section) -> Result<(), Full> {
        let mut rrsets = self.answer.rrsets().filter(|rrset| rrset.section == section && self.is_wanted(rrset));
        rrsets.try_for_each(|rrset| self.write_rrset(writer, &rrset))
    }

    /// One RRset of each owner, with its signatures, stands for all that it has (RFC 8482 §4.1), as for full zones.
    fn write_any(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        let mut written: Option<NameRef<'_>> = None;
        let mut signatures_wanted = false;
        for rrset in self.answer.rrsets().filter(|rrset| rrset.section == Section::Answer && self.is_wanted(rrset)) {
            let owner = rrset.owner(self.question.name);
            if rrset.rtype != Rtype::RRSIG {
                signatures_wanted = written != Some(owner);
                written = Some(owner);
            }
            if signatures_wanted {
                self.write_rrset(writer, &rrset)?;
            }
        }
        Ok(())
    }

    /// The additional section: required glue first, as it is kept, then whatever fits (RFC 9471 §3.1). An answer to ANY is
    /// kept small, but a referral needs its glue whatever was asked for.
    fn write_additional(&self, writer: &mut Writer<'_>) -> Glue {
        if self.question.rtype == Rtype::ANY && self.answer.kind() != Kind::Referral {
            return Glue::Complete;
        }
        for rrset in self.answer.rrsets().filter(|rrset| rrset.section == Section::Additional && self.is_wanted(rrset))
        {
            let before = writer.mark();
            if self.write_rrset(writer, &rrset).is_err() {
                writer.rollback(before);
                return if rrset.is_required_glue { Glue::Missing } else { Glue::LeftOut };
            }
        }
        Glue::Complete
    }

    /// DNSSEC records are for those who ask for them (RFC 4035 §3.1), and what is over is for nobody.
    fn is_wanted(&self, rrset: &CachedRrset<'_>) -> bool {
        let asked_for = rrset.section == Section::Answer && rrset.rtype == self.question.rtype;
        let hidden = match rrset.rtype {
            Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 => true,
            Rtype::DS => rrset.section == Section::Authority,
            _ => false,
        };
        let over = rrset.section == Section::Additional && matches!(self.age, Age::Fresh(age_s) if age_s > rrset.ttl_s);
        (self.dnssec_ok || !hidden || asked_for) && !over
    }

    fn write_rrset(&self, writer: &mut Writer<'_>, rrset: &CachedRrset<'_>) -> Result<(), Full> {
        let ttl_s = match self.age {
            Age::Fresh(age_s) => rrset.ttl_s.saturating_sub(age_s),
            Age::Stale => self.answer.stale_ttl_s(),
        };
        let owner = rrset.owner(self.question.name);
        rrset.rdatas().try_for_each(|rdata| writer.record(rrset.section, owner, rrset.rtype, Class::IN, ttl_s, rdata))
    }
}
