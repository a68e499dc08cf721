//! Ways in for fuzz targets; no part of the interface.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use config::{FleetMember, Service};

use crate::decide::Others;
use crate::fleet::{Fleet, Own, OwnService, Seal};

/// Feeds a node that would leave with bodies that are sealed rightly, with any time between. Nobody can have heard of its
/// intent, so nothing is a grant.
pub fn fleet(data: &[u8]) {
    let mut now = Instant::now();
    let other = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let seal = Seal::new(b"secret");
    // Numbers that what is fed cannot know, since they follow from all of it.
    let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut number = data.iter().fold(0xcbf2_9ce4_8422_2325, hash);
    let random = Box::new(move || {
        number = hash(number, &1);
        number
    });
    let mut fleet = Fleet::new("net", "a", Some(seal.clone()), random, now);
    let service = Service { name: "dns".into(), prefixes: Vec::new(), addresses: Vec::new(), nodes_min: 1 };
    fleet.apply(&[FleetMember { node: "b".into(), address: other, services: vec!["dns".into()] }], &[&service]);
    let own = OwnService { announces: true, well: false, wishes: true };
    let own = Own { state: "up".into(), why: String::new(), services: BTreeMap::from([("dns".into(), own)]) };
    for step in data.split(|byte| *byte == 0) {
        let Some((pause, body)) = step.split_first() else { continue };
        now += Duration::from_millis(u64::from(*pause) * 8);
        let _ = fleet.receive(other, step, now);
        let _ = fleet.receive(other, &seal.seal(body), now);
        fleet.set_own(own.clone(), now);
        assert_ne!(fleet.others("dns", now), Others::Granted, "a grant that nobody can have given");
        let _ = (fleet.outgoing(now), fleet.next_deadline(now), fleet.status(now));
    }
}
