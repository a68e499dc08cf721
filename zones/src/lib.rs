//! Immutable snapshots of zones, the differences between them, and finding the answer for a name.

mod answer;
mod apply;
mod builder;
mod check;
mod difference;
mod error;
mod find;
mod key;
mod node;
mod nsec3;
mod proof;
mod snapshot;
mod tree;
mod varint;
mod view;
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
pub use node::Rdatas;
pub use nsec3::{ITERATIONS_MAX, Nsec3Params};
pub use view::{ZoneSlot, ZoneState, ZoneTable, Zones};
pub use zone::{Denial, SoaTimers, Zone, ZoneRrset};
