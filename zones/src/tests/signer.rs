//! Signs zones for the tests: chains as the RFCs want them, signatures that say nothing.

use std::collections::{BTreeMap, BTreeSet};

use wire::{Name, NameRef, Rtype};

use crate::nsec3::{self, Nsec3Params};
use crate::testing::{OwnedRecord, record_key};

const RRSIG_TTL: u32 = 3600;

/// The types at each name.
type Names = BTreeMap<Name, BTreeSet<u16>>;

fn names(records: &[OwnedRecord]) -> Names {
    let mut names = Names::new();
    for record in records {
        names.entry(record.owner.to_ascii_lowercase()).or_default().insert(record.rtype.0);
    }
    names
}

/// Is the name below a cut or a DNAME?
pub(super) fn is_occluded(names: &Names, apex: NameRef<'_>, name: NameRef<'_>) -> bool {
    let mut above = name.parent();
    while let Some(ancestor) = above.filter(|ancestor| ancestor.is_within(apex)) {
        let types = names.get(&ancestor.to_owned().to_ascii_lowercase());
        let cut = ancestor != apex && types.is_some_and(|types| types.contains(&Rtype::NS.0));
        if cut || types.is_some_and(|types| types.contains(&Rtype::DNAME.0)) {
            return true;
        }
        above = ancestor.parent();
    }
    false
}

fn is_cut(apex: NameRef<'_>, name: NameRef<'_>, types: &BTreeSet<u16>) -> bool {
    name != apex && types.contains(&Rtype::NS.0)
}

/// Signatures for all RRsets that the zone is authoritative for.
fn sign(apex: NameRef<'_>, records: &mut Vec<OwnedRecord>) {
    let names = names(records);
    let mut signed = BTreeSet::new();
    let mut signatures = Vec::new();
    for record in records.iter() {
        let types = &names[&record.owner.to_ascii_lowercase()];
        let hashed = record.rtype == Rtype::NSEC3;
        if !hashed && is_occluded(&names, apex, record.owner.as_ref()) {
            continue;
        }
        if is_cut(apex, record.owner.as_ref(), types) && !matches!(record.rtype, Rtype::DS | Rtype::NSEC) {
            continue;
        }
        if signed.insert((record.owner.to_ascii_lowercase(), record.rtype.0)) {
            let mut rdata = record.rtype.0.to_be_bytes().to_vec();
            rdata.extend([13, record.owner.as_ref().label_count() as u8]);
            rdata.extend(record.ttl.to_be_bytes());
            rdata.extend([0; 8]);
            rdata.extend([0x12, 0x34]);
            rdata.extend(apex.as_bytes());
            rdata.extend([0xab; 8]);
            signatures.push(OwnedRecord { owner: record.owner, rtype: Rtype::RRSIG, ttl: RRSIG_TTL, rdata });
        }
    }
    records.extend(signatures);
    records.sort_by_key(record_key);
}

/// Signs with NSEC (RFC 4034 §4).
pub(super) fn sign_nsec(apex: NameRef<'_>, records: &mut Vec<OwnedRecord>) {
    let names = names(records);
    let chain: Vec<(&Name, &BTreeSet<u16>)> =
        names.iter().filter(|(name, _)| !is_occluded(&names, apex, name.as_ref())).collect();
    for (index, (name, types)) in chain.iter().enumerate() {
        let next = chain[(index + 1) % chain.len()].0;
        let mut rdata = next.as_bytes().to_vec();
        let mut types = chain_types(apex, name.as_ref(), types);
        types.extend([Rtype::NSEC.0, Rtype::RRSIG.0]);
        rdata.extend(bitmap(&types));
        records.push(OwnedRecord { owner: **name, rtype: Rtype::NSEC, ttl: 300, rdata });
    }
    sign(apex, records);
}

/// What a chain tells of a name's types: at a cut only NS and DS.
fn chain_types(apex: NameRef<'_>, name: NameRef<'_>, types: &BTreeSet<u16>) -> BTreeSet<u16> {
    let cut = is_cut(apex, name, types);
    types.iter().copied().filter(|rtype| !cut || [Rtype::NS.0, Rtype::DS.0].contains(rtype)).collect()
}

/// Signs with NSEC3 (RFC 5155 §7.1); with `opt_out`, insecure delegations are left out.
pub(super) fn sign_nsec3(apex: NameRef<'_>, records: &mut Vec<OwnedRecord>, params: &Nsec3Params, opt_out: bool) {
    let mut fields = vec![1, 0];
    fields.extend(params.iterations.to_be_bytes());
    fields.push(params.salt.len() as u8);
    fields.extend(&*params.salt);
    records.push(OwnedRecord { owner: apex.to_owned(), rtype: Rtype::NSEC3PARAM, ttl: 0, rdata: fields.clone() });
    fields[1] = u8::from(opt_out);
    let names = names(records);
    let mut hashes: BTreeMap<[u8; 20], BTreeSet<u16>> = BTreeMap::new();
    for (name, types) in &names {
        let name = name.as_ref();
        let insecure = is_cut(apex, name, types) && !types.contains(&Rtype::DS.0);
        if is_occluded(&names, apex, name) || (opt_out && insecure) {
            continue;
        }
        let mut types = chain_types(apex, name, types);
        if !insecure {
            types.insert(Rtype::RRSIG.0);
        }
        hashes.entry(params.hash(name)).or_default().extend(types);
        // Empty non-terminals above it.
        let mut above = name.parent();
        while let Some(ancestor) = above.filter(|ancestor| ancestor.is_within(apex)) {
            hashes.entry(params.hash(ancestor)).or_default();
            above = ancestor.parent();
        }
    }
    let chain: Vec<_> = hashes.into_iter().collect();
    for (index, (hash, types)) in chain.iter().enumerate() {
        let next = chain[(index + 1) % chain.len()].0;
        let mut rdata = fields.clone();
        rdata.push(20);
        rdata.extend(next);
        rdata.extend(bitmap(types));
        let owner = apex.to_owned().prepend(&nsec3::encode(hash)).expect("short names");
        records.push(OwnedRecord { owner, rtype: Rtype::NSEC3, ttl: 300, rdata });
    }
    sign(apex, records);
}

/// Type bitmaps (RFC 4034 §4.1.2).
fn bitmap(types: &BTreeSet<u16>) -> Vec<u8> {
    let mut out = Vec::new();
    for window in 0..=255u8 {
        let mut bits = [0u8; 32];
        for rtype in types.iter().filter(|rtype| rtype.to_be_bytes()[0] == window) {
            let low = rtype.to_be_bytes()[1];
            bits[usize::from(low / 8)] |= 0x80 >> (low % 8);
        }
        if let Some(last) = bits.iter().rposition(|bits| *bits != 0) {
            out.extend([window, last as u8 + 1]);
            out.extend(&bits[..=last]);
        }
    }
    out
}

/// Does a type bitmap name a type?
pub(super) fn has_type(mut bitmap: &[u8], rtype: Rtype) -> bool {
    let [high, low] = rtype.0.to_be_bytes();
    while let [window, len, rest @ ..] = bitmap {
        let (bits, rest) = rest.split_at(usize::from(*len));
        if *window == high {
            return bits.get(usize::from(low / 8)).is_some_and(|bits| bits & (0x80 >> (low % 8)) != 0);
        }
        bitmap = rest;
    }
    false
}
