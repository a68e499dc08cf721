//! An edge on its seat: Parapet's daemon with what announces for it.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Ground, Healthchecker, Seat, Tuning, ZONE, text};
use crate::{Edge, LabError};

/// The zone is there within this time of the start.
const ZONE_DEADLINE: Duration = Duration::from_secs(60);

/// Who announces for the edge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Speaker {
    /// Parapet itself.
    Parapet,
    /// BIRD on the edge's host, told by anycast-healthchecker what to announce.
    Healthchecker,
}

/// A running edge.
pub struct Node {
    /// Its place among the ground's seats.
    pub seat: usize,
    edge: Edge,
    announcer: Option<Healthchecker>,
}

impl Node {
    /// Start the edge at that seat, and wait until it has the zone. Whether it announces yet is another matter.
    pub fn start(ground: &Ground, seat_place: usize, speaker: Speaker, tuning: &Tuning) -> Result<Node, LabError> {
        let seat = ground.seats.get(seat_place).ok_or_else(|| LabError::Invalid(format!("no seat {seat_place}")))?;
        let mut node = Node::start_without_waiting(ground, seat_place, speaker, tuning)?;
        node.edge.wait_for_zone(ZONE, 1, ZONE_DEADLINE)?;
        if speaker == Speaker::Healthchecker {
            node.announcer = Some(Healthchecker::start(ground, seat, tuning)?);
        }
        Ok(node)
    }

    /// The same, without anything but the daemon, and without waiting for anything.
    pub fn start_without_waiting(
        ground: &Ground,
        seat_place: usize,
        speaker: Speaker,
        tuning: &Tuning,
    ) -> Result<Node, LabError> {
        let seat = ground.seats.get(seat_place).ok_or_else(|| LabError::Invalid(format!("no seat {seat_place}")))?;
        let builder = Edge::at(&seat.host);
        let own_state = text::path(&builder.state_folder()?);
        // Only its own matters to a node.
        let state = |other: &Seat| if other.name == seat.name { own_state.clone() } else { format!("/{}", other.name) };
        let file = text::network_file(ground, tuning, speaker == Speaker::Parapet, state);
        let edge = builder.file(&file, &seat.name).without_waiting().start()?;
        Ok(Node { seat: seat_place, edge, announcer: None })
    }

    /// The daemon.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Kill the daemon: SIGKILL to it alone, not to what it has started.
    pub fn kill(&mut self) -> Result<(), LabError> {
        self.edge.process().signal(Signal::SIGKILL)
    }

    /// Start the daemon again, once it has ended.
    pub fn start_again(&mut self) -> Result<(), LabError> {
        self.edge.start_again()
    }

    /// Stop all processes of the host: SIGSTOP.
    pub fn freeze(&mut self) -> Result<(), LabError> {
        self.signal(Signal::SIGSTOP)
    }

    /// Let them go on.
    pub fn thaw(&mut self) -> Result<(), LabError> {
        self.signal(Signal::SIGCONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), LabError> {
        if let Some(announcer) = &self.announcer {
            announcer.signal(signal)?;
        }
        self.edge.process().signal_group(signal)
    }

    /// Take it out of service as planned.
    pub fn drain(&mut self) -> Result<(), LabError> {
        match &mut self.announcer {
            Some(announcer) => announcer.drain(),
            None => self.edge.ask(&["drain", "--reason", "planned"]).map(|_| ()),
        }
    }

    /// Put it back.
    pub fn undrain(&mut self) -> Result<(), LabError> {
        match &mut self.announcer {
            Some(announcer) => announcer.undrain(),
            None => self.edge.ask(&["undrain"]).map(|_| ()),
        }
    }

    /// End it in its orderly way, and what announces for it before.
    pub fn stop(mut self) -> Result<(), LabError> {
        if let Some(announcer) = self.announcer.take() {
            announcer.stop()?;
        }
        self.edge.stop().map(|_| ())
    }
}
