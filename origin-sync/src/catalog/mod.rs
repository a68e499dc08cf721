//! Catalog zones (RFC 9432) as their consumer: zones that list zones, which then are served as if the configuration had
//! them.
//!
//! ```text
//! copy of a catalog ─▶ content (what it says) ─┐
//!                      owners (who has what) ──┼─▶ plan ─▶ batches of zones taken out and put in ─▶ ledger (disk)
//!                      names of the file ──────┘
//! ```
//!
//! A copy is read and the plan is made beside the service (`follow`), one at a time; the service carries it out batch by
//! batch between its other events. A catalog that is broken, expired or out of reach changes nothing.

pub(crate) mod content;
pub(crate) mod follow;
pub(crate) mod fuzzing;
pub(crate) mod ledger;
pub(crate) mod plan;
mod start;
mod status;

pub use status::CatalogStatus;
