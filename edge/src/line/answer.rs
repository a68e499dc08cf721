//! The last room: what was found becomes the sections of the answer, as far as they fit.

use wire::{Class, Full, Name, Rcode, Rtype, Section, Writer};
use zones::{Answer, AnswerRrset, Outcome};

use crate::line::{
    promote::Whole,
    reply::{ExtendedError, Reply},
};

/// Writes what a zone found, as far as it fits.
pub(super) fn write(reply: &mut Reply<'_, '_>, qtype: Rtype, outcome: Outcome, found: &Answer<'_>) -> Whole {
    match outcome {
        Outcome::Found | Outcome::Alias | Outcome::NoData => {}
        Outcome::NxDomain => reply.set_rcode(Rcode::NXDOMAIN),
        Outcome::NameTooLong => reply.set_rcode(Rcode::YXDOMAIN),
        Outcome::Delegation => {}
        Outcome::NotInZone => {
            reply.refuse(Rcode::REFUSED, Some(ExtendedError::NotAuthoritative));
            return Whole::No;
        }
    }
    // AA speaks of the first owner in the answer section (RFC 1034 §6.2.7): a plain referral has none.
    reply.set_authoritative(outcome != Outcome::Delegation || found.section(Section::Answer).len() > 0);

    let before = reply.writer.mark();
    if write_required(&mut reply.writer, qtype, found).is_err() {
        // Half a section helps nobody: the client asks again over TCP (RFC 2181 §9).
        reply.writer.rollback(before);
        reply.set_truncated();
        return Whole::No;
    }
    // An answer to ANY is kept small, but a referral needs its glue whatever was asked for (RFC 9471 §3.1).
    let wants_additional = qtype != Rtype::ANY || outcome == Outcome::Delegation;
    let mut whole = Whole::Yes;
    if wants_additional {
        let glue;
        (glue, whole) = write_additional(&mut reply.writer, found);
        if glue == Glue::Missing {
            reply.set_truncated();
        }
    }
    if outcome == Outcome::Delegation && found.left_out() && !reply.is_unlimited() {
        reply.set_truncated();
    }
    whole
}

/// Answer and authority: all of it or nothing.
fn write_required(writer: &mut Writer<'_>, qtype: Rtype, found: &Answer<'_>) -> Result<(), Full> {
    if qtype == Rtype::ANY {
        write_any(writer, found)?;
    } else {
        for rrset in found.section(Section::Answer) {
            write_rrset(writer, Section::Answer, &rrset)?;
        }
    }
    found.section(Section::Authority).try_for_each(|rrset| write_rrset(writer, Section::Authority, &rrset))
}

/// One RRset of each owner stands for all that it has (RFC 8482 §4.1), over every transport alike: the aliases on the
/// way, and the first RRset at their end.
fn write_any(writer: &mut Writer<'_>, found: &Answer<'_>) -> Result<(), Full> {
    let mut written: Option<Name> = None;
    for rrset in found.section(Section::Answer) {
        let owner = rrset.owner();
        if written.as_ref().is_some_and(|name| name.as_ref() == owner.as_ref()) {
            continue;
        }
        written = Some(owner.as_ref().to_owned());
        write_rrset(writer, Section::Answer, &rrset)?;
    }
    Ok(())
}

/// Whether a referral has the addresses without which it leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glue {
    Complete,
    Missing,
}

/// The additional section: glue that is required first, then whatever fits (RFC 9471 §3.1).
fn write_additional(writer: &mut Writer<'_>, found: &Answer<'_>) -> (Glue, Whole) {
    let (mut glue, mut whole) = (Glue::Complete, Whole::Yes);
    for required in [true, false] {
        for rrset in found.section(Section::Additional).filter(|rrset| rrset.is_required_glue() == required) {
            let before = writer.mark();
            if write_rrset(writer, Section::Additional, &rrset).is_err() {
                writer.rollback(before);
                whole = Whole::No;
                if required {
                    glue = Glue::Missing;
                }
            }
        }
    }
    (glue, whole)
}

/// An RRset with its signatures.
fn write_rrset(writer: &mut Writer<'_>, section: Section, rrset: &AnswerRrset<'_>) -> Result<(), Full> {
    let owner = rrset.owner();
    let owner = owner.as_ref();
    for rdata in rrset.rdatas() {
        writer.record(section, owner, rrset.rtype(), Class::IN, rrset.ttl(), rdata)?;
    }
    for rdata in rrset.rrsigs() {
        writer.record(section, owner, Rtype::RRSIG, Class::IN, rrset.rrsig_ttl(), rdata)?;
    }
    Ok(())
}
