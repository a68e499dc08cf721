//! The services' addresses on `lo`: put there before the edge binds its sockets, taken away after it has closed them, and
//! also when the process dies in any way.
//!
//! ```text
//!   daemon (no capability left)                    keeper (CAP_NET_ADMIN alone, a process of its own)
//!   Keeper::start ── exec, socket pair ──────────▶ keep: lock, record, take over what is left of a run before,
//!                                                        put the addresses on lo
//!   Keeper::reader ◀── reports, one message each ─       look again whenever addresses change
//!   Keeper::stop, death ── end of the socket ────▶       take away what it put there, forget the record, end
//! ```
//!
//! The daemon has nothing to say to the keeper: the addresses stand on its command line, and the end of the socket is its
//! only signal. So nobody who takes the daemon over can have it do anything else.

mod keep;
mod keeper;
mod netlink;
mod record;
mod report;
mod standing;

pub use keep::keep;
pub use keeper::Keeper;
pub use record::are_left_over;

/// Addresses that are kept.
const ADDRESSES_MAX: usize = 256;
