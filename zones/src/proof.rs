//! Proofs of what is not there, from the chains that the signer made: NSEC (RFC 4035 §3.1.3) and NSEC3 (RFC 5155 §7.2).

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use wire::{NameRef, Rtype};

use crate::answer::{Owner, Rrset};
use crate::find::{Finder, Subject};
use crate::key;
use crate::node::{Node, Stored};
use crate::nsec3::Nsec3Params;
use crate::tree::{Entry, KEY_BYTES_MAX, Seek};
use crate::{Denial, Zone};

/// Steps back from a name to one that has an NSEC record; more are needed only in a zone that is signed in part.
const NSEC_STEPS_MAX: usize = 8;
/// Steps back to an NSEC3 record of the right chain; more are needed only between two chains of very different size.
const NSEC3_STEPS_MAX: usize = 64;

impl<'a> Finder<'a, '_> {
    /// An answer from a wildcard: the name itself is not there (RFC 4035 §3.1.3.3, RFC 5155 §7.2.6).
    pub(crate) fn prove_expansion(&mut self, subject: &Subject<'a, '_>, wildcard: Option<usize>) {
        let Some(encloser) = wildcard.filter(|_| self.dnssec_ok) else { return };
        let zone = self.zone;
        match zone.denial() {
            Denial::Unsigned => {}
            Denial::Nsec => self.push_nsec_before(subject.seek),
            Denial::Nsec3(params) => self.push_nsec3_cover(params, subject.ancestor(encloser + 1)),
        }
    }

    /// NXDOMAIN: neither the name nor the wildcard is there (RFC 4035 §3.1.3.2, RFC 5155 §7.2.2).
    pub(crate) fn prove_no_name(&mut self, subject: &Subject<'a, '_>, encloser: usize, wildcard: &Seek<'a>) {
        if !self.dnssec_ok {
            return;
        }
        let zone = self.zone;
        match zone.denial() {
            Denial::Unsigned => {}
            Denial::Nsec => {
                self.push_nsec_before(subject.seek);
                self.push_nsec_before(wildcard);
            }
            Denial::Nsec3(params) => {
                let encloser = self.push_encloser(params, subject, encloser);
                if let Ok(wildcard) = subject.ancestor(encloser).to_owned().prepend(b"*") {
                    self.push_nsec3_cover(params, wildcard.as_ref());
                }
            }
        }
    }

    /// The name, or the wildcard in its place, has not the type (RFC 4035 §3.1.3.1, §3.1.3.4, RFC 5155 §7.2.3 to
    /// §7.2.5).
    pub(crate) fn prove_no_data(&mut self, subject: &Subject<'a, '_>, wildcard: Option<usize>) {
        if !self.dnssec_ok {
            return;
        }
        let zone = self.zone;
        match (zone.denial(), wildcard) {
            (Denial::Unsigned, _) => {}
            (Denial::Nsec, None) => self.push_nsec_at(subject.seek, subject.current.owner()),
            (Denial::Nsec, Some(encloser)) => {
                self.push_nsec_before(subject.seek);
                let seek = zone.owners.seek(&subject.key.wildcard(encloser));
                if let Some(entry) = seek.exact() {
                    self.push_nsec_at(&seek, Owner::Entry(entry));
                } else {
                    self.push_nsec_before(&seek);
                }
            }
            (Denial::Nsec3(params), None) => {
                if !self.push_nsec3_match(params, subject.name) {
                    self.push_encloser(params, subject, subject.key.depth().saturating_sub(1));
                }
            }
            (Denial::Nsec3(params), Some(encloser)) => {
                let encloser = self.push_encloser(params, subject, encloser);
                let wildcard = subject.ancestor(encloser).to_owned().prepend(b"*");
                if let Some(wildcard) = wildcard.ok().filter(|name| !self.push_nsec3_match(params, name.as_ref())) {
                    self.push_nsec3_cover(params, wildcard.as_ref());
                }
            }
        }
    }

    /// A referral without DS: the cut has none, or opt-out leaves it open (RFC 4035 §3.1.4, RFC 5155 §7.2.7).
    pub(crate) fn prove_no_ds(&mut self, subject: &Subject<'a, '_>, cut: Node<'a>, owner: Owner<'a>, depth: usize) {
        let zone = self.zone;
        match zone.denial() {
            Denial::Unsigned => {}
            Denial::Nsec => {
                if let Some(nsec) = cut.rrset(Rtype::NSEC) {
                    self.answer.push_authority(Rrset::new(owner, &nsec, true));
                }
            }
            Denial::Nsec3(params) => {
                if !self.push_nsec3_match(params, subject.ancestor(depth)) {
                    let at = Subject { name: subject.ancestor(depth), ..*subject };
                    self.push_encloser_of(params, &at, depth, depth.saturating_sub(1));
                }
            }
        }
    }

    /// The NSEC record of the name sought; of the one before where it is an empty non-terminal.
    fn push_nsec_at(&mut self, seek: &Seek<'a>, owner: Owner<'a>) {
        match seek.exact().and_then(|entry| Node(entry.value()).rrset(Rtype::NSEC)) {
            Some(nsec) => self.answer.push_authority(Rrset::new(owner, &nsec, true)),
            None if seek.exact().is_none() => self.push_nsec_before(seek),
            None => {}
        }
    }

    /// The NSEC record that covers the name sought.
    fn push_nsec_before(&mut self, seek: &Seek<'a>) {
        if let Some((entry, nsec)) = self.zone.nsec_before(seek) {
            self.answer.push_authority(Rrset::new(Owner::Entry(entry), &nsec, true));
        }
    }

    /// The closest encloser proof (RFC 5155 §7.2.1): a match for the closest name that has an NSEC3 record, at depth
    /// `encloser` or above, and a cover for the name one label longer. Returns its depth.
    fn push_encloser(&mut self, params: &Nsec3Params, subject: &Subject<'a, '_>, encloser: usize) -> usize {
        self.push_encloser_of(params, subject, subject.key.depth(), encloser)
    }

    fn push_encloser_of(
        &mut self,
        params: &Nsec3Params,
        subject: &Subject<'a, '_>,
        depth: usize,
        encloser: usize,
    ) -> usize {
        let above = |at: usize| subject.name.strip_labels(depth.saturating_sub(at)).unwrap_or(subject.name);
        let zone = self.zone;
        let found = (0..=encloser).rev().find_map(|at| Some((at, zone.nsec3_at(params, &params.hash(above(at)))?)));
        let (mut provable, mut matching) = found.map_or((0, None), |(at, entry)| (at, Some(entry)));
        let covering = loop {
            let hash = params.hash(above(provable + 1));
            match zone.nsec3_at(params, &hash) {
                // `named` may leave the NSEC3 record of an empty non-terminal behind that an update took away, in a zone
                // with opt-out. Then that is the closest provable encloser: nothing covers its hash.
                Some(entry) if provable + 1 < depth => (provable, matching) = (provable + 1, Some(entry)),
                _ => break zone.nsec3_before(params, &hash),
            }
        };
        for entry in [matching, covering].into_iter().flatten() {
            self.push_nsec3(entry);
        }
        provable
    }

    /// The NSEC3 record of a name, if it has one.
    fn push_nsec3_match(&mut self, params: &Nsec3Params, name: NameRef<'_>) -> bool {
        let entry = self.zone.nsec3_at(params, &params.hash(name));
        if let Some(entry) = entry {
            self.push_nsec3(entry);
        }
        entry.is_some()
    }

    /// The NSEC3 record whose span covers the hash of a name that has none.
    fn push_nsec3_cover(&mut self, params: &Nsec3Params, name: NameRef<'_>) {
        if let Some(entry) = self.zone.nsec3_before(params, &params.hash(name)) {
            self.push_nsec3(entry);
        }
    }

    fn push_nsec3(&mut self, entry: Entry<'a>) {
        if let Some(nsec3) = Node(entry.value()).rrset(Rtype::NSEC3) {
            self.answer.push_authority(Rrset::new(Owner::Hash(entry), &nsec3, true));
        }
    }
}

fn is_in_chain(params: &Nsec3Params, entry: &Entry<'_>) -> bool {
    let nsec3 = Node(entry.value()).rrset(Rtype::NSEC3);
    nsec3.is_some_and(|mut nsec3| nsec3.rdatas.any(|rdata| params.matches(rdata)))
}

impl Zone {
    /// The last NSEC record before the name sought. Names below a cut have none: the cut speaks for them.
    fn nsec_before<'a>(&'a self, seek: &Seek<'a>) -> Option<(Entry<'a>, Stored<'a>)> {
        let mut entry = seek.before()?;
        for _ in 0..NSEC_STEPS_MAX {
            if let Some(nsec) = Node(entry.value()).rrset(Rtype::NSEC) {
                return Some((entry, nsec));
            }
            let mut buffer = [0; KEY_BYTES_MAX];
            let key = entry.key(&mut buffer);
            entry = match self.top_cut(key) {
                Some(cut) if !cut.is(&entry) => cut,
                _ => self.owners.seek(key).before()?,
            };
        }
        None
    }

    /// The topmost cut or DNAME at or above the name of `key`.
    fn top_cut(&self, key: &[u8]) -> Option<Entry<'_>> {
        key::ancestors(key).filter_map(|ancestor| self.owners.get(ancestor)).find(|entry| {
            let node = Node(entry.value());
            node.rrset(Rtype::NS).is_some() || node.rrset(Rtype::DNAME).is_some()
        })
    }

    /// The NSEC3 record with this very hash.
    fn nsec3_at<'a>(&'a self, params: &Nsec3Params, hash: &[u8]) -> Option<Entry<'a>> {
        self.hashes.get(hash).filter(|entry| is_in_chain(params, entry))
    }

    /// The NSEC3 record of a chain whose hash is the greatest below `hash`, or else the greatest of all: the chain is a
    /// ring.
    pub(crate) fn nsec3_before<'a>(&'a self, params: &Nsec3Params, hash: &[u8]) -> Option<Entry<'a>> {
        let mut entry = self.hashes.seek(hash).before().or_else(|| self.hashes.last())?;
        for _ in 0..NSEC3_STEPS_MAX {
            if is_in_chain(params, &entry) {
                return Some(entry);
            }
            let mut buffer = [0; KEY_BYTES_MAX];
            let key = entry.key(&mut buffer);
            entry = self.hashes.seek(key).before().or_else(|| self.hashes.last())?;
        }
        None
    }
}

impl<'k> Subject<'_, 'k> {
    /// The ancestor that has `depth` labels below the apex.
    fn ancestor(&self, depth: usize) -> NameRef<'k> {
        self.name.strip_labels(self.key.depth().saturating_sub(depth)).unwrap_or(self.name)
    }
}
