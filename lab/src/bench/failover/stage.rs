//! A network with a subject at all edges, and the prober in all regions.

use std::time::Duration;

use anyhow::Context;
use parapet_lab::{
    Lab, Named, Updates, dns,
    failover::{Ground, Node, Pair, Speaker, Tuning, ZONE, pair},
    prober::{Expected, Prober, Question},
};

use crate::subject::Subject;

/// All edges announce, and every region is answered, within this time of the start.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// Each region is answered without a loss for so long before anything is done.
const STEADY: Duration = Duration::from_millis(500);
/// A change is at an edge that can reach the origin within this time.
const CHANGE_DEADLINE: Duration = Duration::from_secs(10);

/// Fields are dropped in this order: those who ask, the edges, the network.
pub(super) struct Stage {
    pub(super) subject: Subject,
    pub(super) prober: Prober,
    pub(super) nodes: Vec<Node>,
    pub(super) ground: Ground,
    updates: Updates,
    serial: u32,
    _network: Network,
    _lab: Lab,
}

/// What keeps the network alive.
enum Network {
    Small(Box<Pair>),
}

impl Network {
    fn ground(&self) -> &Ground {
        match self {
            Network::Small(pair) => &pair.ground,
        }
    }

    fn origin(&self) -> &Named {
        match self {
            Network::Small(pair) => &pair.origin,
        }
    }
}

impl Stage {
    pub(super) fn build(subject: Subject, _small: bool) -> anyhow::Result<Stage> {
        let lab = Lab::new("bench-failover")?;
        let tuning = Tuning::default();
        let network = Network::Small(Box::new(pair(&lab, &tuning)?));
        let ground = network.ground().clone();
        let updates = network.origin().open_updates(ZONE)?;
        let nodes = (0..ground.seats.len())
            .map(|seat| Node::start(&ground, seat, speaker(subject), &tuning))
            .collect::<Result<Vec<_>, _>>()?;
        let prober = Prober::start(&ground.regions, &Question::soa(ZONE))?;
        let stage = Stage { subject, prober, nodes, ground, updates, serial: 1, _network: network, _lab: lab };
        stage.prober.wait_until_answered(STEADY, START_DEADLINE).context("the start")?;
        Ok(stage)
    }

    /// Change the zone, and from when the other edges have the change on take nothing older for an answer.
    pub(super) fn change_zone(&mut self, but: usize) -> anyhow::Result<()> {
        self.serial += 1;
        let serial = self.serial;
        self.updates
            .send(&format!("update delete changed.{ZONE}. TXT\nupdate add changed.{ZONE}. 300 TXT \"{serial}\""))?;
        for node in self.nodes.iter().filter(|node| node.seat != but) {
            node.edge().wait_for_zone(ZONE, serial, CHANGE_DEADLINE)?;
        }
        self.prober.expect(Expected::SerialFrom(serial));
        Ok(())
    }

    /// Wait until an edge that did not know of a change does.
    pub(super) fn wait_for_change(&self, at: usize) -> anyhow::Result<()> {
        let Some(seat) = self.ground.seats.get(at) else { return Ok(()) };
        dns::wait_for_serial(&seat.host, seat.host.v4(), ZONE, self.serial, CHANGE_DEADLINE)?;
        Ok(())
    }
}

pub(super) fn speaker(subject: Subject) -> Speaker {
    match subject {
        Subject::Bird => Speaker::Healthchecker,
        _ => Speaker::Parapet,
    }
}
