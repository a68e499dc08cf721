//! Bidirectional Forwarding Detection (RFC 5880, RFC 5881): asynchronous mode, single hop, no echo function, no
//! authentication. A router that is gone, or a machine that is frozen, is noticed after a few intervals of silence.
//!
//! ```text
//!   bind ── sockets, thread "bfd": takes real-time priority, waits
//!   start ─ work ─▶ the thread gives up its capabilities ── driver: sockets, clock
//!                                     │   ▲                    └─ session: one machine a neighbour
//!        Handle::watch ◀── states ────┘   │
//!        Handle::apply, stop ── channel ──┘
//! ```
//!
//! The thread is a plain one: what else the process does must not make it late.

mod driver;
#[cfg(test)]
mod driver_tests;
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod packet;
mod priority;
mod session;
#[cfg(test)]
mod session_tests;
mod socket;

pub use handle::{Bound, Handle, bind, start};
pub use packet::{Diagnostic, State};
