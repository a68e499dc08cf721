//! What a lane's thread is working on, left where the watchdog can read it: a few stores for each message.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{
        AtomicBool, AtomicI32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use nix::unistd::gettid;

use crate::stats::Transport;

/// Bytes of a message that are left there: all of any message that a lane takes.
const MESSAGE_BYTES_MAX: usize = 8192;
const WORD_BYTES: usize = size_of::<u64>();

/// How far a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits, or does something else that nobody's message can hang.
    Elsewhere,
    /// It reads the messages of a batch; which of them is not said.
    ReadingBatch,
    /// It reads this message.
    Reading,
    /// It answers this message.
    Answering,
}

impl Stage {
    const BITS: u32 = 2;

    fn of(turn: u64) -> Stage {
        match turn & 3 {
            0 => Stage::Elsewhere,
            1 => Stage::ReadingBatch,
            2 => Stage::Reading,
            _ => Stage::Answering,
        }
    }
}

/// A message with whom it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) message: Vec<u8>,
    pub(crate) peer: SocketAddr,
    pub(crate) transport: Transport,
}

/// One thread's desk. The thread writes, the watchdog reads.
#[derive(Debug)]
pub(crate) struct Desk {
    /// No other desk has it.
    pub(crate) number: u64,
    /// Counts the steps of the thread, above the bits of its stage: as long as it stays the same, so does what is below.
    turn: AtomicU64,
    /// Where it is from, and how long it is.
    peer: [AtomicU64; 3],
    words: Box<[AtomicU64]>,
    /// Another thread has taken over: this one is to end once it can.
    retired: AtomicBool,
    /// Its number with the system.
    thread: AtomicI32,
    /// Reading hung somebody: each message is left here before it is read as well.
    pub(crate) careful: bool,
}

impl Desk {
    pub(crate) fn new(careful: bool) -> Desk {
        let words = (0..MESSAGE_BYTES_MAX / WORD_BYTES).map(|_| AtomicU64::new(0)).collect();
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let (turn, peer, retired, thread) = Default::default();
        Desk { number, turn, peer, words, retired, thread, careful }
    }

    /// The thread that calls is the one whose desk it is.
    pub(crate) fn sit_down(&self) {
        self.thread.store(gettid().as_raw(), Relaxed);
    }

    pub(crate) fn thread(&self) -> i32 {
        self.thread.load(Relaxed)
    }

    /// The thread goes on to something that is no message.
    #[inline]
    pub(crate) fn turn_to(&self, stage: Stage) {
        let steps = (self.turn.load(Relaxed) >> Stage::BITS).wrapping_add(1);
        self.turn.store(steps << Stage::BITS | stage as u64, Release);
    }

    /// The thread takes a message.
    #[inline]
    pub(crate) fn take(&self, stage: Stage, message: &[u8], peer: SocketAddr, transport: Transport) {
        let (high, low) = match peer.ip() {
            IpAddr::V4(ip) => (0, u64::from(ip.to_bits())),
            IpAddr::V6(ip) => ((ip.to_bits() >> 64) as u64, ip.to_bits() as u64),
        };
        let is_v6 = u64::from(peer.is_ipv6());
        let head = (message.len() as u64) << 32 | u64::from(peer.port()) << 8 | is_v6 << 1 | transport as u64;
        for (place, word) in self.peer.iter().zip([head, high, low]) {
            place.store(word, Relaxed);
        }
        let (words, rest) = message.as_chunks::<WORD_BYTES>();
        for (place, word) in self.words.iter().zip(words) {
            place.store(u64::from_ne_bytes(*word), Relaxed);
        }
        if let Some(place) = self.words.get(words.len()).filter(|_| !rest.is_empty()) {
            let mut word = [0; WORD_BYTES];
            word.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            place.store(u64::from_ne_bytes(word), Relaxed);
        }
        self.turn_to(stage);
    }

    /// What the thread is at: a number that changes with every step, and the stage.
    pub(crate) fn turn(&self) -> (u64, Stage) {
        let turn = self.turn.load(Acquire);
        (turn, Stage::of(turn))
    }

    /// The message that the thread is at.
    pub(crate) fn taken(&self) -> Option<Taken> {
        let (_, Stage::Reading | Stage::Answering) = self.turn() else { return None };
        let [head, high, low] = [0, 1, 2].map(|index| self.peer.get(index).map_or(0, |word| word.load(Relaxed)));
        let ip = match head >> 1 & 1 {
            0 => IpAddr::V4(Ipv4Addr::from_bits(low as u32)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low))),
        };
        let transport = if head & 1 == Transport::Udp as u64 { Transport::Udp } else { Transport::Tcp };
        let mut message: Vec<u8> = self.words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        message.truncate((head >> 32) as usize);
        Some(Taken { message, peer: SocketAddr::new(ip, (head >> 8) as u16), transport })
    }

    /// Another thread takes over.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Relaxed);
    }

    /// Whether the thread is to end, and to touch nothing any more.
    #[inline]
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_taken() {
        let desk = Desk::new(false);
        assert_eq!((desk.taken(), desk.turn()), (None, (0, Stage::Elsewhere)));
        let bytes: Vec<u8> = (0..8192).map(|number| number as u8).collect();
        let peers =
            ["192.0.2.1:53", "[2001:db8::1]:65535", "0.0.0.0:0"].map(|peer| peer.parse::<SocketAddr>().unwrap());
        for length in (0..64).chain([1000, 8191, 8192]) {
            for (peer, transport) in peers.into_iter().zip([Transport::Udp, Transport::Tcp, Transport::Udp]) {
                let before = desk.turn().0;
                desk.take(Stage::Answering, &bytes[..length], peer, transport);
                assert_ne!(desk.turn().0, before);
                assert_eq!(desk.taken(), Some(Taken { message: bytes[..length].to_vec(), peer, transport }));
            }
        }
        desk.turn_to(Stage::ReadingBatch);
        assert_eq!((desk.taken(), desk.turn().1), (None, Stage::ReadingBatch));
        // What no lane takes is cut off.
        desk.take(Stage::Reading, &[7; 9000], peers[0], Transport::Tcp);
        assert_eq!(desk.taken().unwrap().message, [7; 8192]);
    }
}
