//! An edge's health flaps a hundred times in a minute: how many changes does its router have to take?
//!
//! What flaps is the answer to a question: the edge's own sockets are deaf for a part of the time.

use std::{
    thread,
    time::{Duration, Instant},
};

use parapet_lab::{
    Lab,
    failover::{Node, Tuning, pair},
    faults::Fault,
};

use super::{super::report::Samples, stage::speaker};
use crate::subject::Subject;

/// So many times in [`MINUTE`].
const FLAPS: u32 = 100;
const MINUTE: Duration = Duration::from_secs(60);
/// The edge announces within this time of its start.
const START_DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn run(subject: Subject, samples: &mut Samples) -> anyhow::Result<()> {
    let lab = Lab::new("bench-failover-flaps")?;
    // One look counts, so that each flap is one: what is asked in a deaf moment is given up after longer than that lasts.
    let tuning = Tuning { check_interval_ms: 50, rise: 1, fall: 1, hold_down_s_max: 60, ..Tuning::default() };
    let pair = pair(&lab, &tuning)?;
    let node = Node::start(&pair.ground, 0, speaker(subject), &tuning)?;
    let seat = pair.ground.seats.first().map(|seat| seat.name.clone()).unwrap_or_default();
    pair.wait_for_routes(&seat, true, START_DEADLINE)?;
    let before = pair.changes_from(&seat)?;
    let begun = Instant::now();
    for flap in 0..FLAPS {
        // What an edge asks itself goes over `lo`.
        let deaf = Fault::lose_received(node.edge().namespace(), "iifname \"lo\" udp dport 53")?;
        thread::sleep((begun + MINUTE * (2 * flap + 1) / (2 * FLAPS)).saturating_duration_since(Instant::now()));
        deaf.end()?;
        thread::sleep((begun + MINUTE * (flap + 1) / FLAPS).saturating_duration_since(Instant::now()));
    }
    let changes = pair.changes_from(&seat)? - before;
    samples.add(subject.name(), "100 flaps in a minute", "changes_at_router", changes as f64, "changes");
    Ok(())
}
