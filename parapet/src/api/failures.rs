//! Failed attempts at the API: counted by address, and limited.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wrong tokens that an address may show within [`WINDOW`]; after that it is not listened to until the window ends.
const FAILURES_MAX: u32 = 10;
/// How long failures count.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered. When there are more, the failures of all others are counted as those of one.
const ADDRESSES_MAX: usize = 1024;
/// Bits of an IPv6 address that are one client's network.
const V6_NETWORK_BITS: u32 = 64;

/// Failed attempts of each address.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Window>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    failures: u32,
    began: Instant,
}

/// Whether an address is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Heard,
    /// Not for this long.
    Shut(Duration),
}

/// What a failure means for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// One of a few.
    Failed,
    /// The one that was too many.
    ShutOut,
}

impl Failures {
    pub(super) fn standing(&self, peer: IpAddr, now: Instant) -> Standing {
        let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows
            .get(&network(peer))
            .or_else(|| (windows.len() > ADDRESSES_MAX).then(|| windows.get(&OTHERS)).flatten());
        match window {
            Some(window) if window.failures >= FAILURES_MAX => {
                match WINDOW.checked_sub(now.saturating_duration_since(window.began)) {
                    Some(left) if !left.is_zero() => Standing::Shut(left),
                    _ => Standing::Heard,
                }
            }
            _ => Standing::Heard,
        }
    }

    /// Counts a failure.
    pub(super) fn count(&self, peer: IpAddr, now: Instant) -> Counted {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |window: &Window| now.saturating_duration_since(window.began) >= WINDOW;
        let mut key = network(peer);
        if !windows.contains_key(&key) && windows.len() >= ADDRESSES_MAX {
            windows.retain(|_, window| !over(window));
            if windows.len() >= ADDRESSES_MAX {
                key = OTHERS;
            }
        }
        let fresh = Window { failures: 0, began: now };
        let window = windows.entry(key).or_insert(fresh);
        if over(window) {
            *window = fresh;
        }
        window.failures = window.failures.saturating_add(1);
        if window.failures == FAILURES_MAX { Counted::ShutOut } else { Counted::Failed }
    }
}

/// Where the failures of all are counted that there is no room for.
const OTHERS: IpAddr = IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED);

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> (128 - V6_NETWORK_BITS) << (128 - V6_NETWORK_BITS);
            IpAddr::V6(bits.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_wrong_tokens_shut_an_address_out_for_a_while() {
        let failures = Failures::default();
        let (start, peer) = (Instant::now(), "192.0.2.1".parse().unwrap());
        for _ in 1..FAILURES_MAX {
            assert_eq!(failures.count(peer, start), Counted::Failed);
            assert_eq!(failures.standing(peer, start), Standing::Heard);
        }
        assert_eq!(failures.count(peer, start), Counted::ShutOut);
        assert_eq!(failures.standing(peer, start + WINDOW / 4), Standing::Shut(WINDOW * 3 / 4));
        assert_eq!(failures.standing("192.0.2.2".parse().unwrap(), start), Standing::Heard);
        assert_eq!(failures.standing(peer, start + WINDOW), Standing::Heard);
        assert_eq!(failures.count(peer, start + WINDOW), Counted::Failed);
    }

    #[test]
    fn neighbours_in_an_ipv6_network_are_one() {
        let failures = Failures::default();
        let now = Instant::now();
        for host in 0..FAILURES_MAX {
            failures.count(format!("2001:db8::{host:x}").parse().unwrap(), now);
        }
        assert_eq!(failures.standing("2001:db8::ffff".parse().unwrap(), now), Standing::Shut(WINDOW));
        assert_eq!(failures.standing("2001:db8:0:1::".parse().unwrap(), now), Standing::Heard);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_strangers_are_still_limited() {
        let failures = Failures::default();
        let now = Instant::now();
        let address = |n: u32| IpAddr::V4((0x0a00_0000 + n).into());
        for n in 0..10 * ADDRESSES_MAX as u32 {
            failures.count(address(n), now);
        }
        assert_eq!(failures.0.lock().unwrap().len(), ADDRESSES_MAX + 1);
        assert_eq!(failures.standing(address(u32::MAX >> 8), now), Standing::Shut(WINDOW));
        assert_eq!(failures.standing(address(0), now), Standing::Heard);
        failures.count(address(77_777), now + WINDOW);
        assert_eq!(failures.0.lock().unwrap().len(), 1);
    }
}
