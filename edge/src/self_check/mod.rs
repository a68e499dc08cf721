//! The edge asks itself: over its own sockets, as clients do, whether what it answers is right, and how soon it comes.
//!
//! ```text
//!           ┌── rotation: zones in turn, those that failed first, checks of the configuration
//!  turn ────┤
//!           └── round: each listening address, from several ports, so that every lane is met ──> judge ──> `answers`
//!                                                                    └─ how long it took, drops ──> load ──> `load`
//! ```
//!
//! A thread of its own does it: it must not be held up by what it is to notice. A turn is a bounded number of questions, so
//! any number of zones costs the same; it only takes longer until all have been asked for. Zones without a copy are not asked
//! for: that would be the origin's answer, and the origin's load.

mod judge;
mod load;
mod own_questions;
mod rotation;
mod round;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use wire::{Name, Rtype};

use crate::{bind::LANE_WAIT_MAX, sockets::UdpSocket};
use judge::Verdicts;
use load::Load;
pub(crate) use own_questions::OwnQuestions;
use rotation::Rotation;
use round::Round;

/// Addresses that are asked; more are not.
const TARGETS_MAX: usize = 16;
/// Shortest time from one turn to the next.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// What the edge asks itself, and where it says what came of it.
pub struct SelfCheck {
    /// Whether the answers are right: hard when an address gives none, soft when some are wrong.
    pub answers: health::Publisher,
    /// Whether answers come soon enough, and none of the questions are dropped; never more than degraded.
    pub load: health::Publisher,
    /// How it goes about it; what is stored there holds from the next turn on.
    pub settings: Arc<ArcSwap<SelfCheckSettings>>,
}

/// How the edge asks itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfCheckSettings {
    /// The time from one turn to the next.
    pub interval: Duration,
    /// Addresses that clients are led to; a wildcard socket is asked at these too.
    pub service_addresses: Vec<IpAddr>,
    /// What is asked beside the SOA of each zone.
    pub checks: Vec<Check>,
}

/// A question, and what has to be in its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The name asked for.
    pub name: Name,
    /// A or AAAA.
    pub rtype: Rtype,
    /// The address that has to be among the answers; without one, any will do.
    pub expected: Option<IpAddr>,
}

/// An address that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    address: SocketAddr,
    /// Clients are led to it.
    service: bool,
}

/// The thread's belongings.
pub(crate) struct SelfChecker {
    pub(crate) check: SelfCheck,
    pub(crate) zones: Arc<zones::Zones>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) sockets: Vec<Arc<UdpSocket>>,
    pub(crate) own_questions: Arc<OwnQuestions>,
    pub(crate) stop: Arc<AtomicBool>,
}

impl SelfChecker {
    /// Asks until told to stop.
    pub(crate) fn run(self) -> io::Result<()> {
        let mut rotation = Rotation::default();
        let mut verdicts = Verdicts::default();
        let mut load = Load::default();
        let mut dropped = self.dropped();
        for turn in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let began = Instant::now();
            let settings = self.check.settings.load_full();
            let targets = targets(&self.addresses, &settings.service_addresses);
            let questions = rotation.next(&self.zones.load(), &settings.checks, verdicts.failing(), began);
            self.own_questions.set_addresses(targets.iter().map(|target| target.address.ip()));
            let round = Round::ask(&targets, &questions, turn, &self.own_questions);
            let report = verdicts.judge(&targets, &round, &settings.checks, &self.zones.load());
            self.check.answers.publish_report(report, Instant::now());
            let dropped_before = std::mem::replace(&mut dropped, self.dropped());
            let report = load.judge(round.latency(), dropped.saturating_sub(dropped_before));
            self.check.load.publish_report(report, Instant::now());
            self.rest(began + settings.interval.max(INTERVAL_MIN));
        }
        Ok(())
    }

    /// Datagrams that the kernel had no room for, on all sockets.
    fn dropped(&self) -> u64 {
        self.sockets.iter().map(|socket| u64::from(socket.dropped())).sum()
    }

    fn rest(&self, until: Instant) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stop.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(left.min(LANE_WAIT_MAX));
        }
    }
}

/// What is asked: each address that the sockets are bound to; where that is a wildcard, those that clients are led to, or
/// without any the loopback address.
fn targets(bound: &[SocketAddr], services: &[IpAddr]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut add = |address: SocketAddr, service| {
        if targets.len() < TARGETS_MAX && targets.iter().all(|target| target.address != address) {
            targets.push(Target { address, service });
        }
    };
    for address in bound {
        if !address.ip().is_unspecified() {
            add(*address, services.contains(&address.ip()));
            continue;
        }
        let mut family = services.iter().filter(|service| service.is_ipv4() == address.is_ipv4()).peekable();
        if family.peek().is_none() {
            let loopback: IpAddr =
                if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
            add(SocketAddr::new(loopback, address.port()), false);
        }
        family.for_each(|service| add(SocketAddr::new(*service, address.port()), true));
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_asked_where_clients_are_led_to() {
        let targets = |bound: &[&str], services: &[&str]| {
            let bound: Vec<SocketAddr> = bound.iter().map(|address| address.parse().unwrap()).collect();
            let services: Vec<IpAddr> = services.iter().map(|address| address.parse().unwrap()).collect();
            let word = |target: Target| format!("{}{}", target.address, if target.service { "!" } else { "" });
            targets(&bound, &services).into_iter().map(word).collect::<Vec<_>>()
        };
        let services = ["192.0.2.53", "2001:db8:53::53"];
        assert_eq!(targets(&["0.0.0.0:53", "[::]:53"], &services), ["192.0.2.53:53!", "[2001:db8:53::53]:53!"]);
        assert_eq!(targets(&["0.0.0.0:53", "[::]:53"], &[]), ["127.0.0.1:53", "[::1]:53"]);
        assert_eq!(targets(&["10.0.0.1:53", "192.0.2.53:53"], &services), ["10.0.0.1:53", "192.0.2.53:53!"]);
        assert_eq!(targets(&["192.0.2.53:53", "0.0.0.0:53"], &services), ["192.0.2.53:53!"]);
    }
}
