//! What failing over is measured and tested on: edges that announce one service to routers, from a region to an edge and
//! from an edge to its origin, and what can happen to an edge.
//!
//! A [`Ground`] says where edges can stand; a [`Node`] is what stands there: Parapet with its own speaker, or the same
//! daemon without it behind BIRD and anycast-healthchecker. A [`Case`] is what befalls it.

mod case;
mod ground;
mod healthchecker;
mod node;
mod pair;
mod text;
mod world;

pub use case::{Case, Fallen};
pub use ground::{Ground, Seat, Service, Uplink};
pub use healthchecker::{HEALTHCHECKER, Healthchecker};
pub use node::{Node, Speaker};
pub use pair::{Pair, pair};
pub use text::Tuning;
pub use world::{World, world};

/// The zone that is asked for; it is dynamic at the origin.
pub const ZONE: &str = "example.com";
