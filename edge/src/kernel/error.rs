//! What can go wrong with the kernel lane; each says what was tried, and what to do where something can be done.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError};

/// Why the kernel lane, or a part of it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The program's object, or one of its maps.
    #[error("the kernel lane's program cannot be loaded: {0}")]
    Load(#[source] EbpfError),
    /// The kernel's verifier, or what the process may do.
    #[error("the kernel does not take the kernel lane's program: {0}")]
    Verify(#[source] ProgramError),
    /// A map that the program has not.
    #[error("the kernel lane's program has no map named {0} of that kind")]
    NoSuchMap(String),
    /// A map that cannot be read or written.
    #[error("the map {map} of the kernel lane: {source}")]
    Map {
        /// Its name.
        map: String,
        /// The system's reason.
        source: MapError,
    },
    /// A map that cannot be had as memory.
    #[error("the map {map} of the kernel lane cannot be had as memory: {source}")]
    Memory {
        /// Its name.
        map: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Tables of the filters that are not as the program has them.
    #[error("the filters' tables in the kernel lane's maps: {0}")]
    Tables(#[source] ::filters::MemoryError),
    /// It was required, and there is an interface that has it not.
    #[error("the kernel lane is required, and not to be had on {interface}: {why}")]
    Interface {
        /// The interface's name.
        interface: String,
        /// Why not.
        why: String,
    },
    /// It was required, and there is nothing to attach it to.
    #[error(
        "the kernel lane is required, and no interface that is up leads to the addresses of `listen`: name some in \
         `lanes.interfaces`"
    )]
    NoInterface,
    /// The machine's interfaces cannot be listed.
    #[error("the machine's interfaces cannot be listed: {0}")]
    Interfaces(#[source] io::Error),
    /// It was to be kept over a crash, and cannot be.
    #[error("the kernel lane cannot be kept over a crash: {0}")]
    Keep(String),
    /// A run of the program over a frame that was made up.
    #[error("the kernel lane's program cannot be tried: {0}")]
    TestRun(#[source] ProgramError),
}
