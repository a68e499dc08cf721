//! The kernel lane: hot answers in maps that a BPF program gives before the network stack sees the question. The program is
//! in `edge/kernel`; here is what loads it and fills its maps.

mod answers;
#[cfg(feature = "kernel")]
mod error;
#[cfg(feature = "kernel")]
mod filters;
pub mod layout;
#[cfg(feature = "kernel")]
mod memory;
#[cfg(feature = "kernel")]
mod names;
#[cfg(feature = "kernel")]
mod program;
mod slot;

#[cfg(feature = "kernel")]
pub use self::filters::KernelFilters;
pub use answers::{Answers, Place, Promise, key};
#[cfg(feature = "kernel")]
pub use error::KernelError;
#[cfg(feature = "kernel")]
pub use names::Names;
#[cfg(feature = "kernel")]
pub use program::{Action, Program, Run};
pub use slot::{Entry, Fixups, Slot, Stamp, Told};
