//! Routes that a neighbour sent: some are kept to be shown, all are counted, none is ever installed.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A route as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRoute {
    /// Where it leads.
    pub prefix: IpNet,
    /// NEXT_HOP, or the global one of MP_REACH_NLRI.
    pub next_hop: IpAddr,
    /// ORIGIN: `igp`, `egp` or `incomplete`.
    pub origin: String,
    /// AS_PATH as routers print it, sets in braces; long ones end with `…`.
    pub as_path: String,
    /// Whether the node's own AS is in the path: no other router would take it.
    pub own_as: bool,
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF; only within an AS.
    pub local_pref: Option<u32>,
    /// All kinds of communities; long lists end with `…`.
    pub communities: Vec<String>,
}
