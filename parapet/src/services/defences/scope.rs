//! Where an event holds, in words, and which queries are of it.

use filters::{Sample, Scope, ZoneNumber};

/// The name of a zone that the filters know by its number, while the node has it.
pub(super) fn zone_name(zones: &zones::Zones, number: ZoneNumber) -> Option<String> {
    let table = zones.load();
    let slot = table.slots().iter().find(|slot| slot.number() == number.0)?;
    Some(slot.apex().to_string())
}

/// `node`, `zone NAME` or `suffix NAME`.
pub(super) fn in_words(zones: &zones::Zones, scope: &Scope) -> String {
    match scope {
        Scope::Node => "node".to_owned(),
        Scope::Zone(number) => match zone_name(zones, *number) {
            Some(name) => format!("zone {name}"),
            None => "a zone that the node no longer has".to_owned(),
        },
        Scope::Suffix(name) => format!("suffix {name}"),
    }
}

/// Whether a query is of it.
pub(super) fn has(scope: &Scope, sample: &Sample) -> bool {
    match scope {
        Scope::Node => true,
        Scope::Zone(number) => sample.zone == Some(*number),
        Scope::Suffix(suffix) => sample.qname.is_some_and(|qname| qname.name().is_within(suffix.as_ref())),
    }
}
