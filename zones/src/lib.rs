//! Immutable snapshots of zones, the differences between them, and finding the answer for a name.
//!
//! ```text
//! AXFR records ──▶ ZoneBuilder ──▶ Zone ◀── snapshot on disk (Zone::read_from, write_to)
//!                                 │  ▲
//!                   IXFR records ─┼──┘ Difference, Zone::apply_all: a new Zone that shares what did not change
//!                                 ▼
//!          Zones (the published view: readers never wait) ──▶ Zone::find ──▶ Answer: sections of borrowed RRsets
//! ```
//!
//! A [`Zone`] is two B+trees of compact pages (`tree`): names in canonical order (`key`) to what they own (`node`), and
//! NSEC3 records by their hash. There is nothing else: empty non-terminals, closest enclosers and covering NSEC records
//! all follow from a name's neighbours in that order, so nothing has to be kept up to date when a zone changes.
//!
//! What holds everywhere: a snapshot never changes; looking up allocates nothing and has a bound for every list and loop;
//! bytes from outside (pages, differences, names) never panic; there is no clock and no I/O beyond `impl Write`.

mod answer;
mod apply;
mod builder;
mod check;
mod difference;
mod error;
mod existing;
mod find;
mod generation;
mod key;
mod node;
mod nsec3;
mod owners;
mod proof;
mod snapshot;
mod tree;
mod varint;
mod view;
mod walk;
mod watch;
mod zone;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use answer::{
    ADDITIONAL_RRSETS_MAX, ALIASES_MAX, ANSWER_RRSETS_MAX, AUTHORITY_RRSETS_MAX, Answer, AnswerRdatas, AnswerRrset,
    Outcome, OwnerName,
};
pub use builder::ZoneBuilder;
pub use check::Limits;
pub use difference::{ChangedRecord, Difference};
pub use error::ZoneError;
pub use existing::{Below, ExistingName};
pub use node::Rdatas;
pub use nsec3::{ITERATIONS_MAX, Nsec3Params};
pub use owners::ZoneOwner;
pub use view::{ZoneSlot, ZoneState, ZoneTable, Zones};
pub use walk::{Cursor, Walked, ZoneRecord};
pub use watch::Watch;
pub use zone::{Denial, SoaTimers, Zone, ZoneRrset};
