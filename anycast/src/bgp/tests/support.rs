//! What the tests have in common: settings, adverts, numbers that look random.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use config::RouteAttributes;
use ipnet::IpNet;

use crate::adverts::{Adverts, Cause};
use crate::bgp::PeerSettings;

/// AS 65010 at 10.0.0.1 towards AS 64501.
pub(super) fn settings() -> PeerSettings {
    PeerSettings {
        local_as: 65010,
        router_id: [10, 0, 0, 1].into(),
        remote_as: 64501,
        passive: false,
        hold_time_s: 9,
        connect_retry: Duration::from_secs(1),
        ipv4: true,
        ipv6: true,
        extended_next_hop: false,
        next_hop_ipv4: None,
        next_hop_ipv6: None,
        graceful_restart_s: 0,
        routes_kept_max: 1000,
        jitter_seed: 1,
    }
}

/// The other end of [`settings`].
pub(super) fn mirrored() -> PeerSettings {
    PeerSettings { local_as: 64501, router_id: [10, 0, 0, 254].into(), remote_as: 65010, jitter_seed: 2, ..settings() }
}

pub(super) fn adverts(routes: &[(&str, &RouteAttributes)]) -> Arc<Adverts> {
    let shared: BTreeMap<IpNet, Arc<RouteAttributes>> =
        routes.iter().map(|&(prefix, route)| (prefix.parse().unwrap(), Arc::new(route.clone()))).collect();
    Arc::new(Adverts { routes: shared, cause: Cause::Health })
}

/// Numbers that look random, the same for the same seed (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}
