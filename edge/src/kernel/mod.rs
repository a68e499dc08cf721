//! The kernel lane: hot answers in maps that a BPF program gives before the network stack sees the question. The program is
//! in `edge/kernel`; here is what loads it and fills its maps.
//!
//! ```text
//! open: load, map, attach (privileged) ──> KernelLane ──> Edge::start ──> Keeper: the time, what holds, samples, every 20 ms
//!                                              └── maps ──> lanes: Answers; zones: generations; filters: tables; StatsReader
//! ```

#[cfg(not(feature = "kernel"))]
mod absent;
mod answers;
#[cfg(feature = "kernel")]
mod attach;
#[cfg(feature = "kernel")]
mod attached;
mod counts;
#[cfg(feature = "kernel")]
mod error;
#[cfg(feature = "kernel")]
mod filters;
#[cfg(feature = "kernel")]
mod interfaces;
#[cfg(feature = "kernel")]
mod keeper;
#[cfg(feature = "kernel")]
mod lane;
pub mod layout;
#[cfg(feature = "kernel")]
mod memory;
#[cfg(feature = "kernel")]
mod names;
#[cfg(feature = "kernel")]
mod pins;
#[cfg(feature = "kernel")]
mod program;
mod slot;
mod status;

#[cfg(feature = "kernel")]
pub use self::filters::KernelFilters;
#[cfg(not(feature = "kernel"))]
pub(crate) use absent::{Keeper, Kept};
#[cfg(not(feature = "kernel"))]
pub use absent::{KernelError, KernelLane, open};
pub use answers::{Answers, Place, Promise, key};
pub(crate) use counts::KernelCounters;
#[cfg(feature = "kernel")]
pub use error::KernelError;
#[cfg(feature = "kernel")]
pub(crate) use keeper::{Keeper, Kept};
#[cfg(feature = "kernel")]
pub use lane::{KernelLane, open};
#[cfg(feature = "kernel")]
pub use names::Names;
#[cfg(feature = "kernel")]
pub use program::{Action, Program, Run};
pub use slot::{Entry, Fixups, Slot, Stamp, Told};
pub use status::{AttachMode, InterfaceStatus, KernelStats, LaneStatus, PassReason, TakenOver, Wanted};
