//! What can go wrong when the announcing is started.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What was tried, and why it failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener for BGP sessions could not be bound.
    #[error("cannot listen for BGP at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The password of a neighbour could not be read.
    #[error("no password for neighbour {neighbour} in {}: {why}", path.display())]
    Password {
        /// The neighbour.
        neighbour: String,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A key or a TTL could not be put on a listener.
    #[error("cannot protect the BGP listener at {address}: {source}")]
    Protect {
        /// The listener's address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A socket for BFD could not be bound.
    #[error("cannot listen for BFD at {address}, port 3784: {source}")]
    BfdBind {
        /// The address.
        address: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// The thread for BFD could not be started.
    #[error("cannot start BFD: {source}")]
    BfdStart {
        /// Why.
        source: io::Error,
    },
    /// The socket to the other nodes could not be bound.
    #[error("cannot hear the other nodes at {address} (node.*.anycast.fleet): {source}")]
    Fleet {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Something in the state folder.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The node announces nothing.
    #[error("this node announces nothing: it has no [node.NAME.anycast]")]
    NotConfigured,
    /// The announcing has ended.
    #[error("the announcing has ended")]
    Stopped,
    /// The services' addresses could not be put on `lo`.
    #[error("cannot put the services' addresses on lo: {why}")]
    Addresses {
        /// Why.
        why: String,
    },
}
