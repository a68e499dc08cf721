//! The sessions with the node's routers: sockets, timers and tasks around [`bgp::Peer`](crate::bgp::Peer).
//!
//! [`Speaker::bind`] binds the listeners and reads the passwords while the process still may; [`Speaker::start`] starts a
//! task for each neighbour (drawn in `task`) and one for each listener. What is announced comes by the view of
//! [`Adverts`](crate::Adverts); how it goes is read from [`Speaker::neighbours`].

mod bound;
mod connection;
mod link;
mod listener;
mod md5_drops;
mod neighbour;
mod next_hops;
mod options;
mod password;
mod plan;
mod speaker;
mod task;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use bound::Bound;
pub use plan::Applied;
pub use speaker::Speaker;
