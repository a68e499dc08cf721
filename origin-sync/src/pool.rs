//! Connections that one attempt leaves open for the next at the same address (RFC 7766 §6.2.1, RFC 9103 §6): for very
//! many small zones, making them would be the greater part of the work.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::connect::Connection;
use crate::lanes::ATTEMPTS_PER_ADDRESS_MAX;
use crate::settings::{OriginSettings, Upstream};

/// How long a connection is kept without use. Origins close them after 10 to 30 s by themselves.
const IDLE_MAX: Duration = Duration::from_secs(5);
/// How long an origin that answers one question a connection gets a connection for each.
const ONCE: Duration = Duration::from_secs(600);

/// Connections with nothing unread, by address.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    addresses: Mutex<HashMap<SocketAddr, Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The last is the one used last. Each is of the origin as it was configured when it was made: keys of TLS may change.
    connections: Vec<(Connection, Arc<OriginSettings>, Instant)>,
    once_until: Option<Instant>,
}

impl Pool {
    /// A connection to an upstream that was left open a moment ago.
    pub(crate) fn take(&self, upstream: &Upstream) -> Option<Connection> {
        let mut addresses = self.lock();
        let kept = addresses.get_mut(&upstream.address)?;
        let fits = |(_, origin, since): &(Connection, Arc<OriginSettings>, Instant)| {
            Arc::ptr_eq(origin, &upstream.origin) && since.elapsed() < IDLE_MAX
        };
        let place = kept.connections.iter().rposition(fits)?;
        Some(kept.connections.remove(place).0)
    }

    /// Leaves a connection open for the next attempt.
    pub(crate) fn put(&self, upstream: &Upstream, connection: Connection) {
        let now = Instant::now();
        let mut addresses = self.lock();
        let kept = addresses.entry(upstream.address).or_default();
        let once = kept.once_until.is_some_and(|until| now < until);
        if !once && kept.connections.len() < ATTEMPTS_PER_ADDRESS_MAX {
            kept.connections.push((connection, Arc::clone(&upstream.origin), now));
        }
    }

    /// Notes that an address said nothing more on a connection that it had answered on.
    pub(crate) fn answers_once(&self, address: SocketAddr) {
        let mut addresses = self.lock();
        let kept = addresses.entry(address).or_default();
        kept.once_until = Some(Instant::now() + ONCE);
        kept.connections.clear();
    }

    /// Closes what has not been used for long.
    pub(crate) fn sweep(&self) {
        self.lock().retain(|_, kept| {
            kept.connections.retain(|(_, _, since)| since.elapsed() < IDLE_MAX);
            !kept.connections.is_empty() || kept.once_until.is_some_and(|until| Instant::now() < until)
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Kept>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
