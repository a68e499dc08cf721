//! Whether the chain of NSEC (RFC 4034 §4) or NSEC3 records (RFC 5155 §7.1) is there and complete: without it the absence of
//! names cannot be proven, and validating resolvers answer SERVFAIL for whatever falls into the gap.
//!
//! What is checked: each name that the zone speaks for has its record, each record leads to the next one, and what it says
//! of the types at its name is true. A zone that has no chain at all passes: some are signed online.

use std::collections::BTreeSet;

use wire::{Name, NameRef, Rtype};
use zones::{Denial, Nsec3Params, Zone, ZoneOwner};

use super::dnssec::{Broken, Hidden, Standing};
use super::fault::DnssecFault;

/// Checks the whole chain.
pub(crate) fn check_whole(zone: &Zone) -> Result<(), Broken> {
    match zone.denial() {
        Denial::Unsigned => Ok(()),
        Denial::Nsec => check_nsec(zone),
        Denial::Nsec3(params) => check_nsec3(zone, params),
    }
}

/// Checks the chain where names were touched; it was complete before.
pub(crate) fn check_change(zone: &Zone, touched: &BTreeSet<Name>) -> Result<(), Broken> {
    match zone.denial() {
        Denial::Unsigned => Ok(()),
        Denial::Nsec => touched.iter().try_for_each(|name| check_nsec_around(zone, name.as_ref())),
        Denial::Nsec3(params) => touched.iter().try_for_each(|name| check_nsec3_around(zone, params, name.as_ref())),
    }
}

fn gap(owner: NameRef<'_>, rtype: Rtype) -> Broken {
    Broken::new(owner, rtype, DnssecFault::ChainGap)
}

/// The next name of an NSEC record, and its type bitmap.
fn nsec_of<'a>(owner: &ZoneOwner<'a>) -> Option<(NameRef<'a>, &'a [u8])> {
    let rdata = owner.rrset(Rtype::NSEC)?.rdatas.next()?;
    let next = NameRef::parse(rdata).ok()?;
    Some((next, rdata.get(next.as_bytes().len()..)?))
}

fn check_nsec(zone: &Zone) -> Result<(), Broken> {
    let apex = zone.apex();
    let mut hidden = Hidden::default();
    // The record before, and where it leads.
    let mut last: Option<(Name, Name)> = None;
    zone.try_for_each_owner(|owner| {
        if hidden.visit(owner, apex) || !owner.exists() {
            return Ok(());
        }
        let (next, bitmap) = nsec_of(owner).ok_or_else(|| gap(owner.name(), Rtype::NSEC))?;
        if let Some((before, led_to)) = &last
            && led_to.as_ref() != owner.name()
        {
            return Err(gap(before.as_ref(), Rtype::NSEC));
        }
        check_bitmap(owner, apex, bitmap, Rtype::NSEC, owner.name())?;
        last = Some((owner.name().to_owned(), next.to_owned()));
        Ok(())
    })?;
    match last {
        Some((before, led_to)) if led_to.as_ref() != apex => Err(gap(before.as_ref(), Rtype::NSEC)),
        _ => Ok(()),
    }
}

/// The name itself, and the one before it, lead where they should.
fn check_nsec_around(zone: &Zone, name: NameRef<'_>) -> Result<(), Broken> {
    let before = name_that_counts(zone, name, Zone::name_before);
    let own =
        Some(name.to_owned()).filter(|name| zone.owner(name.as_ref()).exists() && !zone.is_occluded(name.as_ref()));
    for name in before.into_iter().chain(own) {
        let owner = zone.owner(name.as_ref());
        let (next, bitmap) = nsec_of(&owner).ok_or_else(|| gap(name.as_ref(), Rtype::NSEC))?;
        let after = name_that_counts(zone, name.as_ref(), Zone::name_after).unwrap_or_else(|| zone.apex().to_owned());
        if next != after.as_ref() {
            return Err(gap(name.as_ref(), Rtype::NSEC));
        }
        check_bitmap(&owner, zone.apex(), bitmap, Rtype::NSEC, name.as_ref())?;
    }
    Ok(())
}

/// The nearest name in one direction that is not hidden.
fn name_that_counts(zone: &Zone, name: NameRef<'_>, step: fn(&Zone, NameRef<'_>) -> Option<Name>) -> Option<Name> {
    let mut next = step(zone, name);
    while let Some(found) = next.filter(|found| zone.is_occluded(found.as_ref())) {
        next = step(zone, found.as_ref());
    }
    next
}

/// The fields of NSEC3 that count here.
struct Nsec3<'a> {
    opt_out: bool,
    next: &'a [u8],
    bitmap: &'a [u8],
}

impl<'a> Nsec3<'a> {
    fn parse(rdata: &'a [u8]) -> Option<Nsec3<'a>> {
        let (&[_, flags, _, _, salt], rest) = rdata.split_first_chunk::<5>()?;
        let (length, rest) = rest.get(usize::from(salt)..)?.split_first()?;
        let (next, bitmap) = rest.split_at_checked(usize::from(*length))?;
        Some(Nsec3 { opt_out: flags & 1 != 0, next, bitmap })
    }

    /// The record of a chain at an owner.
    fn at(zone: &'a Zone, params: &Nsec3Params, owner: NameRef<'a>) -> Option<Nsec3<'a>> {
        let mut rrset = zone.owner(owner).rrset(Rtype::NSEC3)?;
        rrset.rdatas.find(|rdata| params.is_of_chain(rdata)).and_then(Nsec3::parse)
    }
}

fn check_nsec3(zone: &Zone, params: &Nsec3Params) -> Result<(), Broken> {
    let apex = zone.apex();
    let broken = |hash: &[u8]| gap(zone.hash_owner(hash).unwrap_or_else(|| apex.to_owned()).as_ref(), Rtype::NSEC3);
    let mut first: Option<Vec<u8>> = None;
    // The hash before, and where its record leads.
    let mut last: Option<(Vec<u8>, Vec<u8>)> = None;
    zone.try_for_each_nsec3(params, |hash, rdata| {
        let nsec3 = Nsec3::parse(rdata).ok_or_else(|| broken(hash))?;
        if let Some((before, led_to)) = &last
            && led_to != hash
        {
            return Err(broken(before));
        }
        first.get_or_insert_with(|| hash.to_vec());
        last = Some((hash.to_vec(), nsec3.next.to_vec()));
        Ok(())
    })?;
    if let (Some(first), Some((before, led_to))) = (&first, &last)
        && first != led_to
    {
        return Err(broken(before));
    }
    let mut hidden = Hidden::default();
    // Names between this one and the apex that own nothing have records too; they come before what is below them.
    let mut above_checked: Option<Name> = None;
    zone.try_for_each_owner(|owner| {
        if hidden.visit(owner, apex) || !owner.exists() {
            return Ok(());
        }
        check_nsec3_of(zone, params, owner)?;
        let parent = owner.name().parent().map(|parent| parent.to_owned());
        if parent != above_checked && owner.name() != apex {
            check_empty_above(zone, params, owner)?;
            above_checked = parent;
        }
        Ok(())
    })
}

/// The record of a name that owns something. A delegation without DS may be left out where the chain has opt-out.
fn check_nsec3_of(zone: &Zone, params: &Nsec3Params, owner: &ZoneOwner<'_>) -> Result<(), Broken> {
    let Some(hashed) = zone.nsec3_owner(params, owner.name()) else {
        return Ok(());
    };
    match Nsec3::at(zone, params, hashed.as_ref()) {
        Some(nsec3) => check_bitmap(owner, zone.apex(), nsec3.bitmap, Rtype::NSEC3, hashed.as_ref()),
        None if is_opted_out(zone, params, owner, hashed.as_ref()) => Ok(()),
        None => Err(gap(owner.name(), Rtype::NSEC3)),
    }
}

fn is_opted_out(zone: &Zone, params: &Nsec3Params, owner: &ZoneOwner<'_>, hashed: NameRef<'_>) -> bool {
    let insecure = Standing::of(owner, zone.apex()) == Standing::Delegated && owner.rrset(Rtype::DS).is_none();
    let before = zone.nsec3_before_owner(params, hashed);
    insecure && before.is_some_and(|before| Nsec3::at(zone, params, before.as_ref()).is_some_and(|nsec3| nsec3.opt_out))
}

/// The records of the empty non-terminals above a name, unless all below them may be left out.
fn check_empty_above(zone: &Zone, params: &Nsec3Params, owner: &ZoneOwner<'_>) -> Result<(), Broken> {
    let insecure = Standing::of(owner, zone.apex()) == Standing::Delegated && owner.rrset(Rtype::DS).is_none();
    let mut above = owner.name().parent();
    let is_empty = |name: NameRef<'_>| name.is_within(zone.apex()) && !zone.owner(name).exists();
    while let Some(name) = above.filter(|name| is_empty(*name)) {
        if let Some(hashed) = zone.nsec3_owner(params, name)
            && !insecure
            && Nsec3::at(zone, params, hashed.as_ref()).is_none()
        {
            return Err(gap(name, Rtype::NSEC3));
        }
        above = name.parent();
    }
    Ok(())
}

/// If the name spells a hash of the chain: its record, and the one before it, lead where they should. Else the name's own
/// record, and those of empty names above it.
fn check_nsec3_around(zone: &Zone, params: &Nsec3Params, name: NameRef<'_>) -> Result<(), Broken> {
    let before = zone.nsec3_before_owner(params, name);
    let own = Nsec3::at(zone, params, name).is_some().then(|| name.to_owned());
    for owner in before.into_iter().chain(own) {
        let nsec3 = Nsec3::at(zone, params, owner.as_ref()).ok_or_else(|| gap(owner.as_ref(), Rtype::NSEC3))?;
        let next = zone.hash_owner(nsec3.next);
        let back = next.and_then(|next| zone.nsec3_before_owner(params, next.as_ref()));
        let there = next.is_some_and(|next| Nsec3::at(zone, params, next.as_ref()).is_some());
        if !there || back != Some(owner) {
            return Err(gap(owner.as_ref(), Rtype::NSEC3));
        }
    }
    let owner = zone.owner(name);
    if owner.exists() && !zone.is_occluded(name) {
        check_nsec3_of(zone, params, &owner)?;
        check_empty_above(zone, params, &owner)?;
    }
    Ok(())
}

/// What a record says of the types at a name has to be so (RFC 4034 §4.1.2, RFC 5155 §7.1): of a delegation NS and DS alone.
fn check_bitmap(
    owner: &ZoneOwner<'_>,
    apex: NameRef<'_>,
    bitmap: &[u8],
    chain: Rtype,
    at: NameRef<'_>,
) -> Result<(), Broken> {
    let delegated = Standing::of(owner, apex) == Standing::Delegated;
    // The types of signing itself come and go while a signer turns from one chain to another; nobody asks for them.
    let counts = |rtype: Rtype| match rtype {
        Rtype::RRSIG | Rtype::NSEC | Rtype::NSEC3 => false,
        rtype => !delegated || matches!(rtype, Rtype::NS | Rtype::DS),
    };
    let there = owner.rrsets().filter(|rrset| counts(rrset.rtype) && !rrset.rdatas.is_empty());
    let expected: BTreeSet<u16> = there.map(|rrset| rrset.rtype.0).collect();
    let found: BTreeSet<u16> = types_of(bitmap).filter(|rtype| counts(Rtype(*rtype))).collect();
    if found == expected { Ok(()) } else { Err(Broken::new(at, chain, DnssecFault::ChainTypes)) }
}

/// The types of a bitmap.
fn types_of(bitmap: &[u8]) -> impl Iterator<Item = u16> {
    let mut rest = bitmap;
    let windows = std::iter::from_fn(move || {
        let (&[window, length], after) = rest.split_first_chunk::<2>()?;
        let (bits, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        Some((window, bits))
    });
    windows.flat_map(|(window, bits)| {
        (0u16..).zip(bits).flat_map(move |(index, octet)| {
            (0..8u16)
                .filter(move |bit| octet & (0x80 >> bit) != 0)
                .map(move |bit| u16::from(window) << 8 | (index * 8 + bit) & 0xff)
        })
    })
}
