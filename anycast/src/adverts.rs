//! What the node wants its routers to know: the view between what decides and the sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::RouteAttributes;
use ipnet::IpNet;

/// All routes that are to be announced now, to every neighbour; what is not among them is withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adverts {
    /// The routes by prefix.
    pub routes: BTreeMap<IpNet, Arc<RouteAttributes>>,
    /// Why they are as they are.
    pub cause: Cause,
}

/// Why the routes are as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The node has not yet been found able to answer.
    Starting,
    /// Health said so.
    Health,
    /// Somebody drained the node by hand, or it is about to stop.
    Draining,
}

impl Adverts {
    /// Nothing is announced.
    pub fn none(cause: Cause) -> Self {
        Self { routes: BTreeMap::new(), cause }
    }
}
