//! Real clients beside nobody: they are answered, by Parapet and by a peer. Needs root and the packages of scripts/setup.

use std::{collections::HashSet, time::Duration};

use parapet_lab::{
    Edge, Nsd, Server,
    clients::{Ground, Record},
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Few enough for a debug build on a loaded machine.
const PER_S: u32 = 300;
/// So many questions are asked, at least.
const ASKED: u64 = 900;
const DEADLINE: Duration = Duration::from_secs(60);

fn ask(ground: &Ground, server: &Server) -> Result<Record> {
    ground.wait_for(server)?;
    let clients = ground.clients().resolvers(100).per_s(PER_S).start()?;
    let asked = || clients.record().all().asked;
    parapet_lab::until("the clients' questions", DEADLINE, || (asked() >= ASKED).then_some(()))?;
    Ok(clients.stop())
}

fn check(record: &Record) {
    let all = record.all();
    assert_eq!((all.first_try + all.with_retries, all.lost), (all.asked, 0), "{all:?}");
    // On a machine that is busy with something else an answer may take longer than a resolver waits.
    assert!(all.first_try_share() > 0.9, "{all:?}");
    // One in a hundred questions has an answer that no datagram holds.
    assert!(all.over_tcp > 0 && all.first_try_median_us.is_some(), "{all:?}");
    assert_eq!(all.refused, 0, "{all:?}");
}

#[test]
fn parapet_answers_all_real_clients() -> Result {
    let ground = Ground::build("clients-parapet")?;
    let mut edge = Edge::at(ground.server()).origin(ground.origin().v4()).key(ground.key());
    for zone in ground.zones() {
        edge = edge.zone(zone);
    }
    let record = ask(&ground, &*edge.start()?)?;
    check(&record);
    assert!(ground.origin_packets()? > 0);
    Ok(())
}

#[test]
fn nsd_answers_all_real_clients() -> Result {
    let ground = Ground::build("clients-nsd")?;
    let mut nsd = Nsd::at(ground.server()).origin(ground.origin().v4()).key(ground.key());
    for zone in ground.zones() {
        nsd = nsd.secondary(zone);
    }
    let record = ask(&ground, &*nsd.start()?)?;
    check(&record);
    let addresses = parapet_lab::clients::addresses(100);
    assert_eq!(addresses.iter().collect::<HashSet<_>>().len(), 100);
    Ok(())
}
