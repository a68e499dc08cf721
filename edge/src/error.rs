//! What can go wrong before the lanes run; afterwards nothing a client sends is an error of ours.

use std::{io, net::SocketAddr};

/// Why the edge did not start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Another program answers there.
    #[error(
        "cannot listen on {address} over {transport}: the port is in use; stop the other program (`ss -lnp` names it) \
         or listen elsewhere"
    )]
    PortInUse {
        /// What was to be bound.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
    },
    /// A port below 1024 without the right to it.
    #[error(
        "cannot listen on {address} over {transport}: no privilege for this port; start as root or with \
         CAP_NET_BIND_SERVICE, or listen on a port above 1023"
    )]
    NoPrivilege {
        /// What was to be bound.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
    },
    /// No interface has the address.
    #[error("cannot listen on {address} over {transport}: no interface of this machine has that address; add it first")]
    NoSuchAddress {
        /// What was to be bound.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
    },
    /// Anything else that the system said.
    #[error("cannot listen on {address} over {transport}: {source}")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        transport: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// There is nothing to listen on.
    #[error("no address to listen on: name at least one")]
    NothingToListenOn,
    /// A lane's thread or its event queue could not be made.
    #[error("cannot start the {lane} lane: {source}")]
    Start {
        /// Which lane.
        lane: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl EdgeError {
    pub(crate) fn from_bind(address: SocketAddr, transport: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => EdgeError::PortInUse { address, transport },
            io::ErrorKind::PermissionDenied => EdgeError::NoPrivilege { address, transport },
            io::ErrorKind::AddrNotAvailable => EdgeError::NoSuchAddress { address, transport },
            _ => EdgeError::Bind { address, transport, source },
        }
    }
}
