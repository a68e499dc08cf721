//! A network with a subject at all edges, and the prober in all regions.

use std::{thread, time::Duration};

use anyhow::{Context, bail};
use parapet_lab::{
    Lab, LabError, Named, Updates, dns,
    failover::{Ground, Node, Pair, Speaker, Tuning, World, ZONE, pair, world},
    prober::{Expected, Prober, Question},
};

use super::progress;
use crate::subject::Subject;

/// All edges announce, and every region is answered, within this time of the start.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// Then each region is answered without a loss for so long before anything is done: the news has got around.
const STEADY: Duration = Duration::from_secs(1);
/// It settles within so many looks.
const SETTLED_LOOKS_MAX: u32 = 15;
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
    /// Who answers each region when all is well.
    pub(super) settled: Vec<Vec<String>>,
    network: Network,
    _lab: Lab,
}

/// What keeps the network alive.
enum Network {
    Small(Box<Pair>),
    Internet(Box<World>),
}

impl Network {
    fn ground(&self) -> &Ground {
        match self {
            Network::Small(pair) => &pair.ground,
            Network::Internet(world) => &world.ground,
        }
    }

    fn origin(&self) -> &Named {
        match self {
            Network::Small(pair) => &pair.origin,
            Network::Internet(world) => &world.origin,
        }
    }
}

impl Network {
    /// Wait until the router next to an edge has its routes.
    fn wait_for_route(&self, edge: &str) -> Result<(), LabError> {
        match self {
            Network::Small(pair) => pair.wait_for_routes(edge, true, START_DEADLINE),
            Network::Internet(world) => world.internet.wait_for_route(edge, true, START_DEADLINE),
        }
    }
}

impl Stage {
    pub(super) fn build(subject: Subject, small: bool) -> anyhow::Result<Stage> {
        let lab = Lab::new("bench-failover")?;
        let tuning = tuning();
        let network = if small {
            Network::Small(Box::new(pair(&lab, &tuning)?))
        } else {
            Network::Internet(Box::new(world(&lab)?))
        };
        let ground = network.ground().clone();
        let updates = network.origin().open_updates(ZONE)?;
        let nodes = (0..ground.seats.len())
            .map(|seat| Node::start(&ground, seat, speaker(subject), &tuning))
            .collect::<Result<Vec<_>, _>>()?;
        let prober = Prober::start(&ground.regions, &Question::soa(ZONE))?;
        let mut stage =
            Stage { subject, prober, nodes, ground, updates, serial: 1, settled: Vec::new(), network, _lab: lab };
        for seat in &stage.ground.seats {
            stage.network.wait_for_route(&seat.name)?;
        }
        stage.settle()?;
        Ok(stage)
    }

    /// The same again, from nothing.
    pub(super) fn rebuild(&mut self) -> anyhow::Result<()> {
        let small = matches!(self.network, Network::Small(_));
        *self = Stage::build(self.subject, small)?;
        Ok(())
    }

    /// Wait until who answers whom does not change any more.
    fn settle(&mut self) -> anyhow::Result<()> {
        let seen = || self.prober.wait_until_answered(STEADY, START_DEADLINE).context("the start");
        let mut last = seen()?;
        for _ in 0..SETTLED_LOOKS_MAX {
            thread::sleep(2 * STEADY);
            let now = seen()?;
            if now == last {
                progress(&format!("{}: answered by {}", self.subject.name(), now.concat().join(", ")));
                self.settled = now;
                return Ok(());
            }
            last = now;
        }
        bail!("the regions are answered by others all the time, at last by {last:?}")
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

/// A copy that has not been confirmed for a second is too old, if three looks find that: the peer's check, which fails at
/// once when the origin does not answer for half a second, tolerates about as much three times in a row.
fn tuning() -> Tuning {
    Tuning { fresh_s_max: 1, ..Tuning::default() }
}

pub(super) fn speaker(subject: Subject) -> Speaker {
    match subject {
        Subject::Bird => Speaker::Healthchecker,
        _ => Speaker::Parapet,
    }
}
