//! Networks in network namespaces, real name servers in them, and what is needed to watch both: the lab that the
//! demonstration, the benchmarks and the end-to-end tests share.
//!
//! A [`Lab`] is one run: a folder for files and outputs, namespaces, wires, processes. Namespaces have no name in the
//! file system, they are held by descriptors; so when a lab ends, however it ends, the kernel takes namespaces, links,
//! addresses and routes away with it. Processes get a parent-death signal, and the next lab to start sweeps up what a
//! killed one may have left. Nothing is ever created in the namespace of the host, so labs stand side by side.
//!
//! ```no_run
//! # fn main() -> Result<(), parapet_lab::LabError> {
//! use parapet_lab::{Edge, Lab, Named, Rtype, TsigKey, ZoneSpec, dns, topologies};
//! use std::time::Duration;
//!
//! let lab = Lab::new("example")?;
//! let net = lab.build(&topologies::hidden_origin())?;
//! let key = TsigKey::generate(&lab, "parapet")?;
//! let origin = Named::at(net.host("origin"))
//!     .key(&key)
//!     .notify(net.host("edge1").v4())
//!     .zone(ZoneSpec::text("example.com", parapet_lab::zone_text::small("example.com")).dynamic())
//!     .start()?;
//! let edge = Edge::at(net.host("edge1")).origin(origin.v4()).key(&key).zone("example.com").start()?;
//! dns::wait_for_serial(net.host("client1"), edge.v4(), "example.com", 1, Duration::from_secs(10))?;
//! let reply = dns::ask(net.host("client1"), edge.v4(), "www.example.com", Rtype::A)?;
//! assert_eq!(reply.rcode, 0);
//! # Ok(()) }
//! ```
#![deny(unsafe_op_in_unsafe_fn)]

pub mod attack;
pub mod clients;
mod cores;
pub mod counters;
pub mod dns;
mod error;
pub mod failover;
pub mod faults;
pub mod internet;
mod keeper;
mod link;
mod namespace;
pub mod picture;
pub mod prober;
mod process;
mod program;
mod random;
mod receive;
pub mod routers;
mod run;
pub mod scripted;
pub mod scripted_router;
mod servers;
mod sweep;
mod tap;
pub mod topologies;
mod topology;
mod wait;
pub mod wires;
mod xdp;
pub mod zone_text;

pub use dns::{Reply, Rtype};
pub use error::LabError;
pub use namespace::Namespace;
pub use process::Process;
pub use program::{Output, Program};
pub use receive::{Rank, Receiver};
pub use run::{Lab, clean_up_on_signals, is_ending};
pub use servers::{
    CacheBuilder, CachePeer, Dnssec, Edge, EdgeBuilder, Knot, Lanes, Named, NamedBuilder, Nsd, PeerBuilder, Server,
    TsigAlgorithm, TsigKey, Updates, ZoneSpec, parapet_binary,
};
pub use tap::Tap;
pub use topology::{Host, Link, Network, Topology};
pub use wait::until;
pub use wires::Wire;
pub use xdp::{Runs, TimedRuns, XdpProgram};
