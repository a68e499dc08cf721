//! `[catalog."NAME"]`: catalog zones (RFC 9432), whose members come and go at their origin.

use super::zone::{IXFR, TIMERS, TRANSFER, ZONEMD};
use super::{Kind, Naming, ORIGIN, ORIGINS_PER_ZONE_MAX, TEMPLATE, Table, ZONES_MAX, item, optional, required};

/// `[catalog."NAME"]`
pub static CATALOG: Table = Table {
    name: "catalog",
    naming: Naming::DomainName,
    example: "catalog.example",
    about: "A catalog zone (RFC 9432): the zones that it lists are served, without a word of them here. A [zone] of the \
            same name goes before.",
    items: &[
        required(
            "origins",
            Kind::List { of: &Kind::Reference(ORIGIN), min: 1, max: ORIGINS_PER_ZONE_MAX },
            "[\"bind-1\"]",
            "The origins it is fetched from; its members too, unless their template has others.",
        ),
        optional(
            "template",
            Kind::Reference(TEMPLATE),
            "\"bulk\"",
            "The [template.NAME] of members in no group that is named here. Without it: [defaults.zone].",
        ),
        item(
            "members_max",
            Kind::Integer { min: 1, max: ZONES_MAX },
            "100000",
            "Zones that it may list; with more, it is not taken.",
        ),
        IXFR,
        ZONEMD,
    ],
    tables: &[TIMERS, TRANSFER, GROUP],
};

/// `[catalog."NAME".group.NAME]`
const GROUP: Table = Table {
    name: "group",
    naming: Naming::Label,
    example: "signed",
    about: "[catalog.\"NAME\".group.NAME] gives members of a group (RFC 9432 §4.3.2) a template of their own.",
    items: &[
        optional(
            "value",
            Kind::Text { bytes_max: 255 },
            "\"signed\"",
            "The group's name in the catalog. Without it: NAME.",
        ),
        required("template", Kind::Reference(TEMPLATE), "\"bulk\"", "The [template.NAME] of its members."),
    ],
    tables: &[],
};
