//! A whole copy against its own keys (RFC 4035 §5, as one who has the whole zone can do it): every RRset that the zone
//! speaks for is signed by a key of its apex, the keys are vouched for, and the chain of NSEC or NSEC3 is complete.
//!
//! Not signed, because the zone does not speak for them: NS records at a delegation, and whatever is below a delegation or
//! a DNAME. A copy that came as differences is checked where they touched it.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use config::TrustAnchor;
use wire::{Name, NameRef, Rtype};
use zones::{Difference, Zone, ZoneOwner, ZoneRrset};

use super::chain;
use super::fault::DnssecFault;
use super::keys::{KEYS_MAX, Keys, ZoneKey};
use super::rrsig::{Rrset, label_count, verify_rrset};

/// Names between two looks at whether another thread has found a fault.
const NAMES_BETWEEN_LOOKS: usize = 64;

/// An RRset that does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Its owner.
    pub owner: Box<Name>,
    /// Its type.
    pub rtype: Rtype,
    /// Why.
    pub fault: DnssecFault,
}

impl Broken {
    pub(crate) fn new(owner: NameRef<'_>, rtype: Rtype, fault: DnssecFault) -> Broken {
        Broken { owner: Box::new(owner.to_owned()), rtype, fault }
    }
}

/// How to check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check<'a> {
    /// What the keys must match; none: the zone's own DNSKEY RRset is believed.
    pub anchors: &'a [TrustAnchor],
    /// The time.
    pub now_unix_s: u64,
    /// Threads that a whole zone may take.
    pub threads: usize,
}

impl Check<'_> {
    /// Checks a whole zone.
    ///
    /// # Errors
    /// An RRset that does not pass; not always the first.
    pub(crate) fn whole(&self, zone: &Zone) -> Result<(), Broken> {
        let keys = self.keys(zone)?;
        let threads = self.threads.max(1);
        let (found, stop) = (Mutex::new(None), AtomicBool::new(false));
        let work = |part: usize| {
            if let Err(broken) = check_part(zone, &keys, self.now_unix_s, (part, threads), &stop) {
                stop.store(true, Ordering::Relaxed);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                *found = found.take().or(broken);
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|part| drop(scope.spawn(move || work(part))));
            work(0);
        });
        match found.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(broken) => Err(broken),
            None => chain::check_whole(zone),
        }
    }

    /// Checks what differences changed in a zone that was right before.
    ///
    /// # Errors
    /// An RRset that does not pass.
    pub(crate) fn change(&self, base: &Zone, zone: &Zone, differences: &[Difference]) -> Result<(), Broken> {
        if !same_records(base, zone, Rtype::DNSKEY) || base.denial() != zone.denial() {
            return self.whole(zone);
        }
        let keys = self.keys(zone)?;
        let mut touched = BTreeSet::new();
        for difference in differences {
            let records = difference.deletions().chain(difference.additions());
            touched.extend(records.map(|record| record.owner.to_owned()));
        }
        for name in &touched {
            self.touched(base, zone, &keys, name.as_ref())?;
        }
        chain::check_change(zone, &touched)
    }

    /// Checks a name that a difference touched, and what is below it if the zone speaks for that only now.
    fn touched(&self, base: &Zone, zone: &Zone, keys: &Keys, name: NameRef<'_>) -> Result<(), Broken> {
        let apex = zone.apex();
        let (before, after) = (base.owner(name), zone.owner(name));
        let occluded = zone.is_occluded(name);
        let (was, is) = (Standing::of(&before, apex), Standing::of(&after, apex));
        let same = was == is && occluded == base.is_occluded(name);
        for rrset in to_be_signed(&after, is, occluded) {
            if !(same && before.rrset(rrset.rtype).is_some_and(|old| is_same(&old, &rrset))) {
                check_rrset(apex, keys, &rrset, self.now_unix_s)?;
            }
        }
        if was.hides_below() && !is.hides_below() && !occluded {
            let mut hidden = Hidden::default();
            zone.try_for_each_below(name, |owner| {
                let (standing, occluded) = (Standing::of(owner, apex), hidden.visit(owner, apex));
                to_be_signed(owner, standing, occluded)
                    .try_for_each(|rrset| check_rrset(apex, keys, &rrset, self.now_unix_s))
            })?;
        }
        Ok(())
    }

    /// The keys of the apex, once they are vouched for (RFC 4035 §5.2): a key that a trust anchor names, or without anchors
    /// any, has signed the DNSKEY RRset.
    fn keys(&self, zone: &Zone) -> Result<Keys, Broken> {
        let apex = zone.apex();
        let broken = |fault| Broken::new(apex, Rtype::DNSKEY, fault);
        let rrset = zone.owner(apex).rrset(Rtype::DNSKEY).ok_or_else(|| broken(DnssecFault::NoKeys))?;
        let (rdatas, rrsigs): (Vec<&[u8]>, Vec<&[u8]>) = (rrset.rdatas.collect(), rrset.rrsigs.collect());
        let rrset = Rrset { owner: apex, rtype: Rtype::DNSKEY, rdatas: &rdatas, rrsigs: &rrsigs };
        trusted_keys(&rrset, self.anchors, self.now_unix_s).map_err(broken)
    }
}

/// The keys in a DNSKEY RRset, which stands at the apex of its zone, once they are vouched for: see [`Check::keys`]. Ready
/// for use by others than this module.
///
/// # Errors
/// Why they are not.
pub(crate) fn trusted_keys(dnskeys: &Rrset<'_>, anchors: &[TrustAnchor], now_unix_s: u64) -> Result<Keys, DnssecFault> {
    let apex = dnskeys.owner;
    let keys = Keys::new(dnskeys.rdatas.iter().copied().take(KEYS_MAX));
    if keys.is_empty() {
        return Err(DnssecFault::NoKeys);
    }
    if anchors.is_empty() {
        return verify_rrset(apex, &keys, dnskeys, now_unix_s).map(|_| keys);
    }
    let names = |key: &ZoneKey, anchor: &TrustAnchor| {
        key.tag == anchor.key_tag
            && key.algorithm == anchor.algorithm
            && key.ds_digest(apex, anchor.digest_type).is_some_and(|digest| digest.as_ref() == anchor.digest)
    };
    let anchored = keys.iter().filter(|key| anchors.iter().any(|anchor| names(key, anchor)));
    let anchored = Keys::new(anchored.map(ZoneKey::rdata));
    if anchored.is_empty() {
        return Err(DnssecFault::NoAnchor);
    }
    verify_rrset(apex, &anchored, dnskeys, now_unix_s).map(|_| keys)
}

/// Checks every `parts`-th name. The error is `None` if another thread has found one.
fn check_part(
    zone: &Zone,
    keys: &Keys,
    now_unix_s: u64,
    (part, parts): (usize, usize),
    stop: &AtomicBool,
) -> Result<(), Option<Broken>> {
    let (apex, mut hidden, mut index) = (zone.apex(), Hidden::default(), 0usize);
    zone.try_for_each_owner(|owner| {
        let occluded = hidden.visit(owner, apex);
        index += 1;
        if index % NAMES_BETWEEN_LOOKS == 0 && stop.load(Ordering::Relaxed) {
            return Err(None);
        }
        if index % parts != part {
            return Ok(());
        }
        to_be_signed(owner, Standing::of(owner, apex), occluded)
            .try_for_each(|rrset| check_rrset(apex, keys, &rrset, now_unix_s).map_err(Some))
    })
}

/// What a name is to the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A name like most.
    Plain,
    /// It has a DNAME: the zone says nothing of the names below.
    Renamed,
    /// A delegation: the zone says nothing of the names below, and its NS records are the child's.
    Delegated,
}

impl Standing {
    pub(crate) fn of(owner: &ZoneOwner<'_>, apex: NameRef<'_>) -> Standing {
        if owner.name() != apex && owner.rrset(Rtype::NS).is_some() {
            Standing::Delegated
        } else if owner.rrset(Rtype::DNAME).is_some() {
            Standing::Renamed
        } else {
            Standing::Plain
        }
    }

    fn hides_below(self) -> bool {
        self != Standing::Plain
    }
}

/// Follows a walk in canonical order, and knows which names are hidden by one above them.
#[derive(Default)]
pub(crate) struct Hidden {
    by: Option<Name>,
}

impl Hidden {
    /// Takes the next name: whether the zone does not speak for it.
    pub(crate) fn visit(&mut self, owner: &ZoneOwner<'_>, apex: NameRef<'_>) -> bool {
        if self.by.is_some_and(|above| owner.name().is_within(above.as_ref())) {
            return true;
        }
        self.by = Standing::of(owner, apex).hides_below().then(|| owner.name().to_owned());
        false
    }
}

/// The RRsets of a name that the zone signs (RFC 4035 §2.2); NSEC3 records are signed wherever their names stand.
fn to_be_signed<'a>(
    owner: &ZoneOwner<'a>,
    standing: Standing,
    occluded: bool,
) -> impl Iterator<Item = ZoneRrset<'a>> + use<'a> {
    owner.rrsets().filter(move |rrset| {
        let signed = match (rrset.rtype, occluded, standing) {
            (Rtype::NSEC3, ..) => true,
            (_, true, _) => false,
            (rtype, false, Standing::Delegated) => matches!(rtype, Rtype::DS | Rtype::NSEC),
            (_, false, _) => true,
        };
        signed && !rrset.rdatas.is_empty()
    })
}

fn check_rrset(apex: NameRef<'_>, keys: &Keys, rrset: &ZoneRrset<'_>, now_unix_s: u64) -> Result<(), Broken> {
    let (rdatas, rrsigs): (Vec<&[u8]>, Vec<&[u8]>) = (rrset.rdatas.collect(), rrset.rrsigs.collect());
    let (owner, rtype) = (rrset.owner, rrset.rtype);
    let verified = verify_rrset(apex, keys, &Rrset { owner, rtype, rdatas: &rdatas, rrsigs: &rrsigs }, now_unix_s);
    let fault = match verified {
        Err(fault) => fault,
        Ok(verified) if verified.labels == label_count(owner) => return Ok(()),
        // Made from a wildcard: something for answers, not for a zone.
        Ok(verified) => DnssecFault::Labels { expected: label_count(owner), found: verified.labels },
    };
    Err(Broken::new(owner, rtype, fault))
}

fn is_same(a: &ZoneRrset<'_>, b: &ZoneRrset<'_>) -> bool {
    a.rdatas.eq(b.rdatas) && a.rrsigs.eq(b.rrsigs)
}

/// Whether the apexes of two versions have the same records of a type.
fn same_records(a: &Zone, b: &Zone, rtype: Rtype) -> bool {
    match (a.owner(a.apex()).rrset(rtype), b.owner(b.apex()).rrset(rtype)) {
        (Some(a), Some(b)) => a.rdatas.eq(b.rdatas),
        (a, b) => a.is_none() && b.is_none(),
    }
}
