//! Announces the node's service addresses by BGP while the node can answer, and stops within a fraction of a second when
//! it cannot. It knows nothing of DNS: what it announces stands in the network file, whether it does follows from the
//! published health of the other roles.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod addresses;
mod adverts;
mod announcing;
pub mod bfd;
pub mod bgp;
mod decide;
mod error;
mod fleet;
#[doc(hidden)]
pub mod fuzzing;
mod kept;
pub mod session;
mod status;
mod task;

pub use adverts::{Adverts, Cause};
pub use announcing::{AddressReader, Anycast, Bound, Handle};
pub use bgp::ReceivedRoute;
pub use error::Error;
pub use status::{
    AddressStatus, BfdStatus, ByHand, CheckStatus, MemberStatus, NeighbourStatus, NotificationStatus, QuotaStatus,
    ReceivedStatus, RouteStatus, ServiceStatus, Status,
};
