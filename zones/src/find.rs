//! Finds the answer for a question: the algorithm of RFC 1034 §4.3.2 with wildcards (RFC 4592), DNAME (RFC 6672) and
//! DNSSEC (RFC 4035 §3.1, RFC 5155 §7.2).
//!
//! ```text
//! name ─▶ locate ─┬─ cut above ─────────▶ referral
//!    ▲            ├─ DNAME above ──▶ synthesize ──┐
//!    │            ├─ node ──────────▶ data, no data, CNAME ─┐
//!    │            ├─ empty non-terminal ─▶ no data          │
//!    │            └─ nothing ─▶ wildcard? ─▶ as a node, or NXDOMAIN
//!    └────────────────────── next name of the chain ◀───────┘
//! ```

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use wire::{Name, NameRef, Rtype, rdata};

use crate::Zone;
use crate::answer::{ALIASES_MAX, Answer, Data, Outcome, Owner, Rrset};
use crate::key::OwnerKey;
use crate::node::{Node, Rdatas, Stored};
use crate::tree::{Entry, Seek};

/// A name on the way: the question's, a target in RDATA, or one that a DNAME made.
#[derive(Clone, Copy)]
pub(crate) enum Current<'a> {
    Name(NameRef<'a>),
    Synthesized(u8),
}

/// Where a name stands in the zone.
enum Location<'a> {
    /// At or below a zone cut, which is this many labels below the apex.
    Cut(Entry<'a>, usize),
    /// Below a DNAME, likewise.
    Dname(Entry<'a>, usize),
    /// It owns records.
    Node(Entry<'a>),
    /// It owns nothing, but names below it exist (RFC 4592 §2.2.2).
    EmptyNonTerminal,
    /// It is not there; the closest encloser (RFC 4592 §3.3.1) is this many labels below the apex.
    Nothing(usize),
}

/// What one name of the chain led to.
enum Step<'a> {
    Done(Outcome),
    Follow(Current<'a>),
}

/// A name being looked up.
pub(crate) struct Subject<'a, 'k> {
    pub(crate) current: Current<'a>,
    pub(crate) name: NameRef<'k>,
    pub(crate) key: &'k OwnerKey,
    pub(crate) seek: &'k Seek<'a>,
}

pub(crate) struct Finder<'a, 'b> {
    pub(crate) zone: &'a Zone,
    pub(crate) qtype: Rtype,
    pub(crate) dnssec_ok: bool,
    pub(crate) answer: &'b mut Answer<'a>,
}

impl Zone {
    /// Answers a question into `answer`. With `dnssec_ok` it adds signatures and proofs, if the zone has them.
    ///
    /// Type ANY finds all RRsets of the name (RFC 8482 lets the caller pick one), RRSIG all signatures there; NSEC3
    /// records are found only as proofs (RFC 5155 §7.2.8).
    #[inline]
    pub fn find<'a>(&'a self, qname: NameRef<'a>, qtype: Rtype, dnssec_ok: bool, answer: &mut Answer<'a>) -> Outcome {
        answer.start(self.apex());
        Finder { zone: self, qtype, dnssec_ok, answer }.run(qname)
    }
}

impl<'a> Finder<'a, '_> {
    fn run(&mut self, qname: NameRef<'a>) -> Outcome {
        let mut current = Current::Name(qname);
        for hop in 0..=ALIASES_MAX {
            let step = match current {
                Current::Name(name) => self.look_up(current, name),
                Current::Synthesized(index) => {
                    let name = self.answer.synthesized.get(usize::from(index)).copied();
                    name.and_then(|name| self.look_up(current, name.as_ref()))
                }
            };
            match step {
                None if hop == 0 => return Outcome::NotInZone,
                None => return Outcome::Alias,
                Some(Step::Done(outcome)) => return outcome,
                Some(Step::Follow(next)) => current = next,
            }
        }
        Outcome::Alias
    }

    /// Takes one step; `None` outside the zone.
    fn look_up(&mut self, current: Current<'a>, name: NameRef<'_>) -> Option<Step<'a>> {
        let zone = self.zone;
        let mut key = OwnerKey::empty();
        key.set(name, zone.apex())?;
        let seek = zone.owners.seek(key.as_bytes());
        let subject = Subject { current, name, key: &key, seek: &seek };
        Some(match zone.locate(&key, &seek, self.qtype) {
            Location::Cut(cut, depth) => self.refer(&subject, cut, depth),
            Location::Dname(entry, depth) => self.substitute(&subject, entry, depth),
            Location::Node(entry) => self.answer_from(&subject, Node(entry.value()), None),
            Location::EmptyNonTerminal => self.no_data(&subject, None),
            Location::Nothing(encloser) => self.try_wildcard(&subject, encloser),
        })
    }

    /// Answers from the RRsets of a node: the name's own, or those of the wildcard below the closest encloser at depth
    /// `wildcard`.
    fn answer_from(&mut self, subject: &Subject<'a, '_>, node: Node<'a>, wildcard: Option<usize>) -> Step<'a> {
        let owner = subject.current.owner();
        let found = match self.qtype {
            Rtype::ANY => self.push_all(owner, node),
            Rtype::RRSIG => self.push_signatures(owner, node),
            qtype => match find_or_alias(node, qtype) {
                Some(rrset) if rrset.rtype == qtype => {
                    self.answer.push_answer(Rrset::new(owner, &rrset, self.dnssec_ok));
                    true
                }
                Some(alias) => return self.follow(subject, &alias, wildcard),
                None => false,
            },
        };
        if !found {
            return self.no_data(subject, wildcard);
        }
        self.prove_expansion(subject, wildcard);
        Step::Done(Outcome::Found)
    }

    fn push_all(&mut self, owner: Owner<'a>, node: Node<'a>) -> bool {
        let mut found = false;
        for rrset in node.rrsets().filter(|rrset| rrset.count > 0) {
            self.answer.push_answer(Rrset::new(owner, &rrset, self.dnssec_ok));
            found = true;
        }
        found
    }

    fn push_signatures(&mut self, owner: Owner<'a>, node: Node<'a>) -> bool {
        let mut found = false;
        for rrset in node.rrsets().filter(|rrset| !rrset.rrsigs.is_empty()) {
            self.answer.push_answer(Rrset {
                owner,
                rtype: Rtype::RRSIG,
                ttl: rrset.rrsig_ttl,
                data: Data::Stored(rrset.rrsigs),
                rrsig_ttl: 0,
                rrsigs: Rdatas::EMPTY,
                required: false,
            });
            found = true;
        }
        found
    }

    /// Follows a CNAME.
    fn follow(&mut self, subject: &Subject<'a, '_>, alias: &Stored<'a>, wildcard: Option<usize>) -> Step<'a> {
        let rrset = Rrset::new(subject.current.owner(), alias, self.dnssec_ok);
        // A wildcard's CNAME may come twice, each time for another name, before the names repeat.
        if wildcard.is_none() && self.answer.has_answer(&rrset) {
            return Step::Done(Outcome::Alias);
        }
        self.answer.push_answer(rrset);
        self.prove_expansion(subject, wildcard);
        let mut rdatas = alias.rdatas;
        match rdatas.next().and_then(|target| NameRef::parse(target).ok()) {
            Some(target) if wildcard.is_some() && target == subject.name => Step::Done(Outcome::Alias),
            Some(target) => Step::Follow(Current::Name(target)),
            None => Step::Done(Outcome::Alias),
        }
    }

    /// Substitutes a DNAME's target for its owner in the name (RFC 6672 §2.2) and synthesizes the CNAME (§3.1).
    fn substitute(&mut self, subject: &Subject<'a, '_>, entry: Entry<'a>, depth: usize) -> Step<'a> {
        let Some(dname) = Node(entry.value()).rrset(Rtype::DNAME) else { return Step::Done(Outcome::Alias) };
        let owner = subject.current.ancestor(subject.name, subject.key.depth() - depth);
        self.answer.push_answer(Rrset::new(owner, &dname, self.dnssec_ok));
        let Some(made) = subject.substituted(depth, dname.rdatas) else {
            return Step::Done(Outcome::NameTooLong);
        };
        let index = self.answer.synthesized.len() as u8;
        if self.answer.synthesized.try_push(made).is_err() {
            return Step::Done(Outcome::Alias);
        }
        self.answer.push_answer(Rrset {
            owner: subject.current.owner(),
            rtype: Rtype::CNAME,
            ttl: dname.ttl,
            data: Data::Synthesized(index),
            rrsig_ttl: 0,
            rrsigs: Rdatas::EMPTY,
            required: false,
        });
        // The made CNAME is itself the answer to a question for CNAME.
        if self.qtype == Rtype::CNAME {
            Step::Done(Outcome::Found)
        } else if made.as_ref() == subject.name {
            Step::Done(Outcome::Alias)
        } else {
            Step::Follow(Current::Synthesized(index))
        }
    }

    /// Answers from the wildcard below the closest encloser, if there is one (RFC 4592 §3.3).
    fn try_wildcard(&mut self, subject: &Subject<'a, '_>, encloser: usize) -> Step<'a> {
        if self.zone.totals.wildcards == 0 && !self.dnssec_ok {
            self.push_soa();
            return Step::Done(Outcome::NxDomain);
        }
        let wildcard_key = subject.key.wildcard(encloser);
        let seek = self.zone.owners.seek(&wildcard_key);
        if let Some(entry) = seek.exact() {
            self.answer.mark_wildcard();
            return self.answer_from(subject, Node(entry.value()), Some(encloser));
        }
        let has_descendants = seek.after().is_some_and(|after| after.common_len(&wildcard_key) == wildcard_key.len());
        if has_descendants {
            self.answer.mark_wildcard();
            return self.no_data(subject, Some(encloser));
        }
        self.push_soa();
        self.prove_no_name(subject, encloser, &seek);
        Step::Done(Outcome::NxDomain)
    }

    fn no_data(&mut self, subject: &Subject<'a, '_>, wildcard: Option<usize>) -> Step<'a> {
        self.push_soa();
        self.prove_no_data(subject, wildcard);
        Step::Done(Outcome::NoData)
    }

    /// The SOA of a negative answer; its TTL tells for how long (RFC 2308 §5).
    fn push_soa(&mut self) {
        if let Some(soa) = self.zone.apex_node().rrset(Rtype::SOA) {
            let mut rrset = Rrset::new(Owner::Name(self.zone.apex()), &soa, self.dnssec_ok);
            rrset.ttl = self.zone.negative_ttl_s();
            rrset.rrsig_ttl = rrset.rrsig_ttl.min(rrset.ttl);
            self.answer.push_authority(rrset);
        }
    }

    /// Refers to the servers below a cut: NS, DS or its absence (RFC 4035 §3.1.4), glue.
    fn refer(&mut self, subject: &Subject<'a, '_>, cut: Entry<'a>, depth: usize) -> Step<'a> {
        let node = Node(cut.value());
        let owner = subject.current.ancestor(subject.name, subject.key.depth() - depth);
        let Some(ns) = node.rrset(Rtype::NS) else { return Step::Done(Outcome::NoData) };
        self.answer.push_authority(Rrset::new(owner, &ns, self.dnssec_ok));
        if self.dnssec_ok {
            match node.rrset(Rtype::DS) {
                Some(ds) if !ds.rrsigs.is_empty() => self.answer.push_authority(Rrset::new(owner, &ds, true)),
                // In a zone that is not signed a DS proves nothing, and is left to those who ask for it.
                Some(_) => {}
                None => self.prove_no_ds(subject, node, owner, depth),
            }
        }
        self.push_glue(ns.rdatas, subject.key.ancestor(depth));
        Step::Done(Outcome::Delegation)
    }

    /// Addresses of a cut's servers that the zone knows: those below the cut first, for they are required.
    fn push_glue(&mut self, servers: Rdatas<'a>, cut: &[u8]) {
        for required in [true, false] {
            for server in servers {
                let Ok(target) = NameRef::parse(server) else { continue };
                let Some(key) = OwnerKey::new(target, self.zone.apex()) else { continue };
                if key.as_bytes().starts_with(cut) == required {
                    self.push_addresses(target, &key, required);
                }
            }
        }
    }

    fn push_addresses(&mut self, target: NameRef<'a>, key: &OwnerKey, required: bool) {
        let Some(entry) = self.zone.owners.get(key.as_bytes()) else { return };
        for rrset in Node(entry.value()).rrsets() {
            if matches!(rrset.rtype, Rtype::A | Rtype::AAAA) && rrset.count > 0 {
                let rrset = Rrset::new(Owner::Name(target), &rrset, self.dnssec_ok);
                self.answer.push_additional(Rrset { required, ..rrset });
            }
        }
    }

    /// Adds what a client will ask next: the addresses of the servers named in the answer section (RFC 1034 §3.7,
    /// RFC 2782, RFC 9460 §4.1).
    fn push_further(&mut self) {
        let mut index = 0;
        while let Some(rrset) = self.answer.answer_at(index) {
            index += 1;
            match rrset.rtype {
                Rtype::NS => self.push_glue(rrset.stored(), &[]),
                Rtype::MX | Rtype::SRV => {
                    for rdata in rrset.stored() {
                        if let Some(target) = rdata::names(rrset.rtype, rdata).next() {
                            self.push_authoritative(target, None);
                        }
                    }
                }
                Rtype::SVCB | Rtype::HTTPS => self.push_service(&rrset),
                _ => {}
            }
        }
    }

    fn push_service(&mut self, rrset: &Rrset<'a>) {
        for rdata in rrset.stored() {
            let Some(target) = rdata::names(rrset.rtype, rdata).next() else { continue };
            let alias_mode = rdata.starts_with(&[0, 0]);
            match (target.is_root(), rrset.owner) {
                // The root stands for the owner in service mode, for "no such service" in alias mode.
                (true, Owner::Name(owner)) if !alias_mode => self.push_authoritative(owner, None),
                (true, _) => {}
                (false, _) => self.push_authoritative(target, alias_mode.then_some(rrset.rtype)),
            }
        }
    }

    /// Addresses, and RRsets of `also`, of a name for which the zone is authoritative.
    fn push_authoritative(&mut self, target: NameRef<'a>, also: Option<Rtype>) {
        let Some(key) = OwnerKey::new(target, self.zone.apex()) else { return };
        let seek = self.zone.owners.seek(key.as_bytes());
        let Location::Node(entry) = self.zone.locate(&key, &seek, Rtype::A) else { return };
        for rrset in Node(entry.value()).rrsets().filter(|rrset| rrset.count > 0) {
            if matches!(rrset.rtype, Rtype::A | Rtype::AAAA) || also == Some(rrset.rtype) {
                self.answer.push_additional(Rrset::new(Owner::Name(target), &rrset, self.dnssec_ok));
            }
        }
    }
}

impl Zone {
    /// Adds to the additional section what belongs to the RRsets in the answer section: addresses of the targets of NS,
    /// MX, SRV, SVCB and HTTPS that are in this zone. Call it after [`find`](Self::find), where there is room to spare.
    pub fn find_additional<'a>(&'a self, dnssec_ok: bool, answer: &mut Answer<'a>) {
        Finder { zone: self, qtype: Rtype::ANY, dnssec_ok, answer }.push_further();
    }

    /// Finds where a name stands. For DS a cut at the name itself does not count: the record is on this side of it.
    fn locate<'a>(&'a self, key: &OwnerKey, seek: &Seek<'a>, qtype: Rtype) -> Location<'a> {
        let depth = key.depth();
        let exact = seek.exact();
        let (encloser, has_descendants) = match exact {
            Some(_) => (depth, false),
            None => {
                let before = seek.before().map_or(0, |entry| entry.common_len(key.as_bytes()));
                let after = seek.after().map_or(0, |entry| entry.common_len(key.as_bytes()));
                let has_descendants = after == key.as_bytes().len();
                (key.depth_within(before.max(after)), has_descendants)
            }
        };
        if let Some(above) = self.find_above(key, seek, encloser) {
            return above;
        }
        match exact {
            Some(entry)
                if self.totals.cuts > 0
                    && depth > 0
                    && qtype != Rtype::DS
                    && Node(entry.value()).rrset(Rtype::NS).is_some() =>
            {
                Location::Cut(entry, depth)
            }
            Some(entry) => Location::Node(entry),
            None if has_descendants => Location::EmptyNonTerminal,
            None => Location::Nothing(encloser),
        }
    }

    /// The topmost cut or DNAME among the ancestors that exist, the name itself left out.
    fn find_above<'a>(&'a self, key: &OwnerKey, seek: &Seek<'a>, encloser: usize) -> Option<Location<'a>> {
        if self.has_apex_dname() && key.depth() > 0 {
            return self.owners.get(&[]).map(|entry| Location::Dname(entry, 0));
        }
        if self.totals.cuts + self.totals.dnames == 0 {
            return None;
        }
        let last = encloser.min(key.depth().saturating_sub(1));
        (1..=last).find_map(|depth| {
            let entry = seek.get_before(&self.owners, key.ancestor(depth))?;
            let node = Node(entry.value());
            if node.rrset(Rtype::NS).is_some() {
                Some(Location::Cut(entry, depth))
            } else {
                node.rrset(Rtype::DNAME).map(|_| Location::Dname(entry, depth))
            }
        })
    }
}

/// The RRset of `qtype`, or the CNAME in its place. Both never have records at once, but for what DNSSEC puts beside a
/// CNAME, and that is then what was asked for.
fn find_or_alias<'a>(node: Node<'a>, qtype: Rtype) -> Option<Stored<'a>> {
    let mut alias = None;
    for rrset in node.rrsets().filter(|rrset| rrset.count > 0) {
        if rrset.rtype == qtype {
            return Some(rrset);
        }
        if rrset.rtype == Rtype::CNAME {
            alias = Some(rrset);
        }
    }
    alias
}

impl<'a> Current<'a> {
    pub(crate) fn owner(self) -> Owner<'a> {
        match self {
            Current::Name(name) => Owner::Name(name),
            Current::Synthesized(index) => Owner::Synthesized { index, skip: 0 },
        }
    }

    /// The ancestor of `name`, which this is, without the leftmost `labels`.
    pub(crate) fn ancestor(self, name: NameRef<'_>, labels: usize) -> Owner<'a> {
        match self {
            Current::Name(name) => Owner::Name(name.strip_labels(labels).unwrap_or(name)),
            Current::Synthesized(index) => {
                let kept = name.strip_labels(labels).map_or(name.as_bytes().len(), |kept| kept.as_bytes().len());
                Owner::Synthesized { index, skip: (name.as_bytes().len() - kept) as u8 }
            }
        }
    }
}

impl Subject<'_, '_> {
    /// The name with the labels from `depth` up replaced by a DNAME's target; `None` if it gets too long.
    fn substituted(&self, depth: usize, mut dname: Rdatas<'_>) -> Option<Name> {
        let target = NameRef::parse(dname.next()?).ok()?;
        let above = self.name.strip_labels(self.key.depth() - depth)?;
        let kept = self.name.as_bytes().get(..self.name.as_bytes().len() - above.as_bytes().len())?;
        let mut octets = arrayvec::ArrayVec::<u8, { wire::NAME_BYTES_MAX }>::new();
        octets.try_extend_from_slice(kept).ok()?;
        octets.try_extend_from_slice(target.as_bytes()).ok()?;
        NameRef::parse(&octets).ok().map(NameRef::to_owned)
    }
}
