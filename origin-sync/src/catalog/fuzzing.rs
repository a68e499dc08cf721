//! The way in for the fuzz target of catalogs; no part of the interface.

use std::sync::Arc;

use wire::{Name, NameBox, Rtype};
use zones::{Limits, Zone, ZoneBuilder};

use super::content;
use super::follow::plan_from;
use super::ledger::{self, Entries};
use super::plan::{Owners, Step};

/// Members of the catalogs that are made up.
const MEMBERS_MAX: u64 = 10_000;

/// Octets become labels of owners below `a.`, types and data; whatever catalog that makes is planned and kept.
pub fn catalog(data: &[u8]) {
    if let Some(entries) = std::str::from_utf8(data).ok().and_then(ledger::decode_lines) {
        let text = ledger::encode(&entries);
        assert_eq!(ledger::decode(text.as_bytes()).map(|again| ledger::encode(&again)), Some(text));
    }
    let Some(copy) = catalog_zone(data) else { return };
    let Ok(content) = content::parse(&copy, MEMBERS_MAX) else { return };
    let name = NameBox::new(copy.apex());
    let contents = [(name.clone(), Arc::new(content))];
    let planned = plan_from(&contents, &[], &Owners::new(), &[name].into());
    let added = planned.steps.into_iter().filter_map(|step| match step {
        Step::Add(zone, owner) => Some((zone, owner)),
        Step::Release(_) | Step::Remove(_) | Step::Reset(..) | Step::Keep(..) => None,
    });
    let entries = Entries { contents: contents.to_vec(), owners: Arc::new(added.collect()) };
    assert_eq!(ledger::decode(ledger::encode(&entries).as_bytes()), Some(entries));
}

/// A record for every few octets: which labels stand in its owner, whether it is PTR or TXT, and its data.
fn catalog_zone(data: &[u8]) -> Option<Zone> {
    const WORDS: [&[u8]; 6] = [b"version", b"zones", b"coo", b"group", b"ext", b"m"];
    let apex: Name = "a".parse().ok()?;
    let mut builder = ZoneBuilder::new(apex, Limits::NONE);
    builder.add(apex.as_ref(), Rtype::SOA, 60, b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01").ok()?;
    builder.add(apex.prepend(b"version").ok()?.as_ref(), Rtype::TXT, 0, b"\x012").ok()?;
    let mut rest = data;
    while let Some((&shape, after)) = rest.split_first() {
        let (octets, after) = after.split_at(usize::from(shape >> 6).min(after.len()));
        rest = after;
        let mut owner = apex;
        for &octet in octets {
            let word = WORDS.get(usize::from(octet % 8)).copied().unwrap_or(std::slice::from_ref(&octet));
            owner = owner.prepend(word).ok()?;
        }
        let (value, after) = rest.split_at(usize::from(shape & 0x0f).min(rest.len()));
        rest = after;
        let _ = match shape & 0x10 {
            0 => builder.add(owner.as_ref(), Rtype::TXT, 0, &[&[value.len() as u8], value].concat()),
            _ => {
                let name = if value.is_empty() { Name::root() } else { Name::root().prepend(value).ok()? };
                builder.add(owner.as_ref(), Rtype::PTR, 0, name.as_bytes())
            }
        };
    }
    builder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_catalogs_are_kept_as_they_are() {
        let mut word = 1u64;
        for _ in 0..3_000 {
            let mut data = Vec::new();
            for _ in 0..64 {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                data.push((word >> 56) as u8);
            }
            catalog(&data);
        }
    }
}
