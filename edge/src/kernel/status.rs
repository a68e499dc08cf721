//! What is said of the kernel lane, and asked of it, whether this daemon was built with it or not.

use std::{net::SocketAddr, path::Path};

use config::{KernelMode, Lanes};

use super::layout;

/// What a node wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Whether, where, and how large.
    pub lanes: &'a Lanes,
    /// Where it answers.
    pub listen: &'a [SocketAddr],
    /// Its name.
    pub node: &'a str,
    /// The folder that is its own.
    pub state_dir: &'a Path,
    /// The user and group that the process is about to become.
    pub owner: Option<(u32, u32)>,
}

/// How the kernel lane of a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneStatus {
    /// What the node wants.
    pub wanted: KernelMode,
    /// Why there is none, or less than was wanted.
    pub problem: Option<String>,
    /// Each interface that it was to be attached to.
    pub interfaces: Vec<InterfaceStatus>,
    /// How many answers it has room for.
    pub answers_max: usize,
    /// Whether it has what the daemon before left.
    pub taken_over: bool,
}

impl LaneStatus {
    /// Nothing is attached yet.
    pub(super) fn new(wanted: KernelMode) -> Self {
        Self { wanted, problem: None, interfaces: Vec::new(), answers_max: 0, taken_over: false }
    }
}

/// An interface, and how the program came to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// How it has the program; `None`: it has it not, and the sockets answer what comes by it.
    pub mode: Option<AttachMode>,
    /// Why not better.
    pub why: Option<String>,
    /// Whether the daemon before had left its program there, in whose place this one is.
    pub taken_over: bool,
}

/// How packets come to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// From the interface's driver, before anything is made of them.
    Native,
    /// From the network stack, which has made its own of them: slower.
    Generic,
}

impl AttachMode {
    /// As it is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            AttachMode::Native => "native",
            AttachMode::Generic => "generic",
        }
    }
}

/// What the daemon before left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// What the filters made all their secrets from.
    pub filters_seed: [u64; 2],
    /// The secret that new cookies were made with.
    pub cookie_secret: Option<[u8; 16]>,
}

/// Why the program passes a packet to the sockets (`PASS_…` of layout.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PassReason {
    /// It is off, or has not heard of the daemon for too long.
    Off,
    /// No plain question of class IN with at most an OPT record of version 0.
    Unusual,
    /// It has an EDNS option that is none that the program knows.
    Option,
    /// Its name is too long for the table.
    Name,
    /// The answer is not at hand.
    Absent,
    /// It is at hand, and of an older snapshot, or its time is over.
    Old,
    /// It is larger than the client takes.
    Size,
    /// It was being written just then.
    Busy,
    /// A fragment, or lengths that do not fit.
    Packet,
}

impl PassReason {
    /// All of them, in the order in which they are counted.
    pub const ALL: [PassReason; layout::PASSES] = [
        PassReason::Off,
        PassReason::Unusual,
        PassReason::Option,
        PassReason::Name,
        PassReason::Absent,
        PassReason::Old,
        PassReason::Size,
        PassReason::Busy,
        PassReason::Packet,
    ];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            PassReason::Off => "off",
            PassReason::Unusual => "unusual",
            PassReason::Option => "option",
            PassReason::Name => "name",
            PassReason::Absent => "absent",
            PassReason::Old => "old",
            PassReason::Size => "size",
            PassReason::Busy => "busy",
            PassReason::Packet => "packet",
        }
    }
}

/// What the kernel lane alone has counted; what it answers and drops is also among what all lanes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelStats {
    /// Packets to a service address.
    pub seen: u64,
    /// Those that it answered.
    pub answered: u64,
    /// Those that it dropped: by the filters' word, or given up half written.
    pub dropped: u64,
    /// Those that it passed to the sockets, in the order of [`PassReason::ALL`].
    pub passed: [u64; layout::PASSES],
    /// Answers that it holds, those that are old included.
    pub held: u64,
}

impl KernelStats {
    /// Those that it passed to the sockets.
    pub fn passed(&self) -> impl Iterator<Item = (PassReason, u64)> + '_ {
        PassReason::ALL.into_iter().zip(self.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_the_program_s_numbers() {
        let numbers = [
            (PassReason::Off, layout::PASS_OFF),
            (PassReason::Unusual, layout::PASS_UNUSUAL),
            (PassReason::Option, layout::PASS_OPTION),
            (PassReason::Name, layout::PASS_NAME),
            (PassReason::Absent, layout::PASS_ABSENT),
            (PassReason::Old, layout::PASS_OLD),
            (PassReason::Size, layout::PASS_SIZE),
            (PassReason::Busy, layout::PASS_BUSY),
            (PassReason::Packet, layout::PASS_PACKET),
        ];
        for (reason, number) in numbers {
            assert_eq!(PassReason::ALL[number], reason);
        }
    }
}
