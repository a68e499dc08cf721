//! What a response says about its question, by RFC 1034 §4.3.2 read backwards; what does not belong to that is left out.

use std::sync::atomic::{AtomicBool, AtomicU8};
use std::time::Instant;

use wire::{Message, Name, NameRef, Opcode, Rcode, Rtype, Section, rdata};

use crate::records::{self, InZone};
use crate::rrset::{RrsetHead, RrsetWriter};
use crate::{CachedAnswer, Kind, TtlLimits, Unfit};

/// Aliases followed in one response.
const ALIASES_MAX: usize = 16;
/// Proofs (NSEC, NSEC3) kept of one response: four and one for each alias are enough.
const PROOFS_MAX: usize = ALIASES_MAX + 8;
/// Names with addresses kept in the additional section.
const TARGETS_MAX: usize = 32;
/// RRsets of one name kept for ANY.
const TYPES_MAX: usize = 64;

/// See [`CachedAnswer::from_response`].
pub(crate) fn judge(
    apex: NameRef<'_>,
    qname: NameRef<'_>,
    qtype: Rtype,
    response: &[u8],
    limits: &TtlLimits,
    now: Instant,
) -> Result<CachedAnswer, Unfit> {
    let message = Message::parse(response)?;
    check_header(&message, qname, qtype)?;
    let records = records::read_in_zone(apex, &message)?;
    let mut judge = Judge {
        apex,
        qtype,
        limits,
        records: &records,
        writer: RrsetWriter::new(qname),
        lifetime_s: limits.ttl_s_max,
        aliases: Vec::new(),
    };
    let header = message.header;
    let kind = judge.sections(qname, header.flags.rcode())?;
    if kind != Kind::Referral && !header.flags.aa() {
        return Err(Unfit::Lame);
    }
    // AA speaks of the first owner in the answer section (RFC 1034 §6.2.7): a plain referral has none.
    let authoritative = header.flags.aa() && (kind != Kind::Referral || !judge.aliases.is_empty());
    let rcode = match kind {
        Kind::NxDomain => Rcode::NXDOMAIN,
        Kind::Error => header.flags.rcode(),
        // Behind an alias that leads out of the zone the code speaks of what was left out.
        Kind::Found | Kind::Alias | Kind::NoData | Kind::Referral => Rcode::NOERROR,
    };
    let lifetime_s = judge.lifetime_s;
    Ok(CachedAnswer {
        qname_bytes: qname.as_bytes().len() as u8,
        bytes: judge.writer.finish(),
        stored: now,
        lifetime_s,
        stale_s: limits.stale_s_max,
        stale_ttl_s: limits.stale_ttl_s,
        qtype,
        rcode,
        kind,
        authoritative,
        synthesised: false,
        hits: AtomicU8::new(0),
        due_told: AtomicBool::new(false),
    })
}

fn check_header(message: &Message<'_>, qname: NameRef<'_>, qtype: Rtype) -> Result<(), Unfit> {
    let flags = message.header.flags;
    if !flags.qr() || flags.opcode() != Opcode::QUERY {
        return Err(Unfit::NotAResponse);
    }
    let mut questions = message.questions();
    let same = questions.next().is_some_and(|(name, rtype, _)| name.as_ref() == qname && rtype == qtype);
    match flags.rcode() {
        // Errors may come without the question.
        rcode if !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) => Err(Unfit::Rcode(rcode)),
        _ if !same || message.header.qdcount != 1 => Err(Unfit::OtherQuestion),
        _ if flags.tc() => Err(Unfit::Truncated),
        _ => Ok(()),
    }
}

struct Judge<'q, 'r, 'a> {
    apex: NameRef<'q>,
    qtype: Rtype,
    limits: &'r TtlLimits,
    records: &'r [InZone<'a>],
    writer: RrsetWriter<'q>,
    lifetime_s: u32,
    /// The names on the way, the last one left out.
    aliases: Vec<Name>,
}

/// Where the aliases lead.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack")]
enum End {
    /// To what was asked for.
    Found,
    /// Out of the zone, in a circle, or too far.
    Outside,
    /// To a DNAME, and no further: the name would be too long.
    TooLong,
    /// To a name of the zone that the answer section has nothing of.
    At(Name),
}

impl<'r> Judge<'_, 'r, '_> {
    fn sections(&mut self, qname: NameRef<'_>, rcode: Rcode) -> Result<Kind, Unfit> {
        match self.follow(qname, rcode)? {
            End::Found => {
                self.push_proofs(self.limits.ttl_s_max)?;
                self.push_addresses(Section::Answer, None)?;
                Ok(Kind::Found)
            }
            End::Outside => {
                self.push_proofs(self.limits.ttl_s_max)?;
                Ok(Kind::Alias)
            }
            End::TooLong => Ok(Kind::Error),
            End::At(name) => self.negative_or_referral(name.as_ref(), rcode),
        }
    }

    /// Keeps the aliases from `qname` on, and the RRset at their end.
    fn follow(&mut self, qname: NameRef<'_>, rcode: Rcode) -> Result<End, Unfit> {
        let mut current = qname.to_owned();
        loop {
            if self.push_wanted(current.as_ref())? {
                return Ok(End::Found);
            }
            let dname = self.push_dname(current.as_ref())?;
            let Some(target) = self.cname_target(current.as_ref())? else {
                return match (rcode, dname) {
                    (Rcode::YXDOMAIN, true) => Ok(End::TooLong),
                    (Rcode::YXDOMAIN, false) => Err(Unfit::Rcode(rcode)),
                    _ => Ok(End::At(current)),
                };
            };
            self.push(Section::Answer, current.as_ref(), Rtype::CNAME, self.limits.ttl_s_max, true, false)?;
            self.aliases.push(current);
            if self.aliases.contains(&target)
                || self.aliases.len() >= ALIASES_MAX
                || !target.as_ref().is_within(self.apex)
            {
                return Ok(End::Outside);
            }
            current = target;
        }
    }

    /// Keeps what was asked for, if `name` has it.
    fn push_wanted(&mut self, name: NameRef<'_>) -> Result<bool, Unfit> {
        let qtype = self.qtype;
        if qtype == Rtype::CNAME {
            // The answer was made from the DNAME, which belongs to it (RFC 6672 §3.1).
            self.push_dname(name)?;
        }
        if !matches!(qtype, Rtype::ANY | Rtype::RRSIG) {
            return self.push(Section::Answer, name, qtype, self.limits.ttl_s_max, true, false);
        }
        if qtype == Rtype::ANY && self.dname_above(name).is_some() {
            // All that is there was made from the DNAME.
            return Ok(false);
        }
        let mut types: Vec<Rtype> = Vec::new();
        for record in self.records.iter().filter(|r| r.record.section == Section::Answer && r.owner.as_ref() == name) {
            let rtype = record.rtype();
            if (qtype == Rtype::ANY || rtype == qtype) && !types.contains(&rtype) && types.len() < TYPES_MAX {
                types.push(rtype);
            }
        }
        let mut found = false;
        for rtype in types {
            // Signatures stand behind what they cover; alone only if they alone were asked for.
            if rtype != Rtype::RRSIG || qtype == Rtype::RRSIG {
                found |= self.push(Section::Answer, name, rtype, self.limits.ttl_s_max, true, false)?;
            }
        }
        Ok(found)
    }

    /// Keeps the DNAME above a name, from which the server made its CNAME.
    fn push_dname(&mut self, name: NameRef<'_>) -> Result<bool, Unfit> {
        let Some(owner) = self.dname_above(name) else { return Ok(false) };
        self.push(Section::Answer, owner.as_ref(), Rtype::DNAME, self.limits.ttl_s_max, true, false)
    }

    fn dname_above(&self, name: NameRef<'_>) -> Option<Name> {
        let above = |r: &&InZone<'_>| {
            let owner = r.owner.as_ref();
            r.rtype() == Rtype::DNAME && r.record.section == Section::Answer && owner != name && name.is_within(owner)
        };
        self.records.iter().find(above).map(|r| r.owner)
    }

    fn cname_target(&self, name: NameRef<'_>) -> Result<Option<Name>, Unfit> {
        let mut cnames = records::select(self.records, Section::Answer, name, Rtype::CNAME);
        let Some(cname) = cnames.next() else { return Ok(None) };
        let mut target = Vec::new();
        cname.record.decompress_rdata(&mut target)?;
        Ok(Some(NameRef::parse(&target)?.to_owned()))
    }

    /// The answer section has nothing of `name`: the authority section says why.
    fn negative_or_referral(&mut self, name: NameRef<'_>, rcode: Rcode) -> Result<Kind, Unfit> {
        let authority = |rtype| {
            let owners = self.records.iter().filter(move |r: &&InZone<'_>| {
                r.rtype() == rtype && r.record.section == Section::Authority && name.is_within(r.owner.as_ref())
            });
            owners.map(|r| r.owner).next()
        };
        let kind = if rcode == Rcode::NXDOMAIN { Kind::NxDomain } else { Kind::NoData };
        if let Some(owner) = authority(Rtype::SOA) {
            self.push_negative(owner.as_ref())?;
            return Ok(kind);
        }
        let cut = authority(Rtype::NS).filter(|owner| owner.as_ref() != self.apex);
        if let (Some(cut), Kind::NoData) = (cut, kind) {
            self.push_referral(cut.as_ref())?;
            return Ok(Kind::Referral);
        }
        if kind == Kind::NoData && !self.aliases.is_empty() {
            return Ok(Kind::Alias);
        }
        // RFC 2308 §5: what has no SOA should not be kept. An NS of the zone above, or none, is a server that knows no
        // better; without AA the caller calls it lame.
        self.lifetime_s = 0;
        Ok(kind)
    }

    /// Keeps the SOA and the proofs of a negative answer, for as long as RFC 2308 §5 and RFC 9077 §3 let.
    fn push_negative(&mut self, owner: NameRef<'_>) -> Result<(), Unfit> {
        let mut soas = records::select(self.records, Section::Authority, owner, Rtype::SOA);
        let Some(soa) = soas.next() else { return Ok(()) };
        let mut bytes = Vec::new();
        soa.record.decompress_rdata(&mut bytes)?;
        let minimum_s = rdata::Soa::parse(&bytes)?.minimum;
        let cap_s = soa.ttl_s().min(minimum_s).min(self.limits.negative_ttl_s_max);
        self.push(Section::Authority, owner, Rtype::SOA, cap_s, true, false)?;
        self.push_proofs(cap_s)
    }

    /// Keeps NS, DS or the proof that there is none, and the addresses of the servers.
    fn push_referral(&mut self, cut: NameRef<'_>) -> Result<(), Unfit> {
        let max_s = self.limits.ttl_s_max;
        self.push(Section::Authority, cut, Rtype::NS, max_s, true, false)?;
        self.push(Section::Authority, cut, Rtype::DS, max_s, true, false)?;
        self.push_proofs(max_s)?;
        self.push_addresses(Section::Authority, Some(cut))
    }

    /// Keeps NSEC and NSEC3 of the authority section.
    fn push_proofs(&mut self, ttl_s_max: u32) -> Result<(), Unfit> {
        let mut seen: Vec<(Name, Rtype)> = Vec::new();
        for record in self.records.iter().filter(|r| r.record.section == Section::Authority) {
            let (owner, rtype) = (record.owner, record.rtype());
            let is_proof = matches!(rtype, Rtype::NSEC | Rtype::NSEC3);
            if is_proof && seen.len() < PROOFS_MAX && !seen.contains(&(owner, rtype)) {
                self.push(Section::Authority, owner.as_ref(), rtype, ttl_s_max, true, false)?;
                seen.push((owner, rtype));
            }
        }
        Ok(())
    }

    /// Keeps the addresses of the hosts that records of `section` name: glue if they are below `cut`.
    fn push_addresses(&mut self, section: Section, cut: Option<NameRef<'_>>) -> Result<(), Unfit> {
        let mut targets: Vec<Name> = Vec::new();
        let mut bytes = Vec::new();
        for record in self.records.iter().filter(|r| r.record.section == section && names_hosts(r.rtype())) {
            bytes.clear();
            record.record.decompress_rdata(&mut bytes)?;
            for target in rdata::names(record.rtype(), &bytes) {
                // In SVCB the root stands for the owner (RFC 9460 §2.5.2).
                let target = if target.is_root() { record.owner } else { target.to_owned() };
                if targets.len() < TARGETS_MAX && !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        for required in [true, false] {
            for target in &targets {
                let target = target.as_ref();
                if cut.is_some_and(|cut| target.is_within(cut)) != required {
                    continue;
                }
                for rtype in [Rtype::A, Rtype::AAAA] {
                    self.push(Section::Additional, target, rtype, self.limits.ttl_s_max, required, required)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps an RRset with its signatures, if the section has it; `bounds_life` when the answer cannot do without it.
    fn push(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        rtype: Rtype,
        ttl_s_max: u32,
        bounds_life: bool,
        required: bool,
    ) -> Result<bool, Unfit> {
        let rrset = records::select(self.records, section, owner, rtype);
        let covering =
            records::select(self.records, section, owner, Rtype::RRSIG).filter(|r| r.covers() == Some(rtype));
        let Some(ttl_s) = rrset.clone().chain(covering.clone()).map(InZone::ttl_s).min() else { return Ok(false) };
        if rrset.clone().next().is_none() {
            return Ok(false);
        }
        let ttl_s = ttl_s.min(ttl_s_max);
        let head = RrsetHead { section, owner, rtype, ttl_s, required };
        let write = |r: &'r InZone<'_>| move |out: &mut Vec<u8>| r.record.decompress_rdata(out);
        self.writer.push(&head, rrset.map(write))?;
        self.writer.push(&RrsetHead { rtype: Rtype::RRSIG, ..head }, covering.map(write))?;
        if bounds_life {
            self.lifetime_s = self.lifetime_s.min(ttl_s);
        }
        Ok(true)
    }
}

/// Types whose data name hosts that a client looks up next.
fn names_hosts(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::NS | Rtype::MX | Rtype::SRV | Rtype::SVCB | Rtype::HTTPS)
}
