//! Real clients beside nobody: they are all answered, by each server with its defences on. Needs root and the packages of
//! scripts/setup.

use std::time::Duration;

use parapet_lab::clients::{Defender, Fill, Ground, Mode, Setup};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Few enough for a debug build on a loaded machine.
const PER_S: u32 = 300;
/// So many questions are asked, at least.
const ASKED: u64 = 900;
const DEADLINE: Duration = Duration::from_secs(60);

fn check(defender: Defender, setup: &Setup) -> Result {
    let ground = Ground::on_any_core(&format!("clients-{defender}"))?;
    let defended = defender.start(&ground, setup)?;
    let clients = ground.clients().resolvers(100).per_s(PER_S).start()?;
    let asked = || clients.record().all().asked;
    parapet_lab::until("the clients' questions", DEADLINE, || (asked() >= ASKED).then_some(()))?;
    let all = clients.stop()?.all();
    assert_eq!((all.first_try + all.with_retries, all.lost, all.refused), (all.asked, 0, 0), "{all:?}");
    // On a machine that is busy with something else an answer may take longer than a resolver waits.
    assert!(all.first_try_share() > 0.9, "{all:?}");
    // One in a hundred questions has an answer that no datagram holds.
    assert!(all.over_tcp > 0 && all.first_try_median_us.is_some(), "{all:?}");
    assert!(ground.origin_packets()? > 0);
    defended.stop()?;
    Ok(())
}

#[test]
fn parapet_answers_all_real_clients() -> Result {
    check(Defender::Parapet, &Setup::default())
}

#[test]
fn parapet_answers_all_real_clients_on_demand() -> Result {
    check(Defender::Parapet, &Setup { fill: Fill::OnDemand, ..Setup::default() })
}

#[test]
fn knot_answers_all_real_clients() -> Result {
    check(Defender::Knot, &Setup::default())
}

#[test]
fn nsd_answers_all_real_clients() -> Result {
    check(Defender::Nsd, &Setup::default())
}

#[test]
fn bind_answers_all_real_clients() -> Result {
    check(Defender::Bind, &Setup::default())
}

#[test]
fn dnsdist_answers_all_real_clients() -> Result {
    check(Defender::Dnsdist, &Setup::default())
}

#[test]
fn without_defences_peers_answer_as_well() -> Result {
    check(Defender::Nsd, &Setup { mode: Mode::Off, ..Setup::default() })
}
