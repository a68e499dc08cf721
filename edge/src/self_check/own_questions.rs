//! Which ports the edge asks itself from, so that the lanes know its questions from those of clients: a flood must not keep
//! it from finding out how it is.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;

const PORTS_OF_WORD: u16 = 64;
const WORDS: usize = 1 << 10;

/// The ports of the questions that are on their way, and the addresses that they are asked from.
///
/// Who forges one of the addresses has to guess the port too, of which there are at most some dozens at a time.
#[derive(Debug)]
pub(crate) struct OwnQuestions {
    ports: [AtomicU64; WORDS],
    addresses: ArcSwap<Vec<IpAddr>>,
}

impl Default for OwnQuestions {
    fn default() -> Self {
        OwnQuestions { ports: [const { AtomicU64::new(0) }; WORDS], addresses: ArcSwap::default() }
    }
}

impl OwnQuestions {
    /// Whether a message from there is a question of the edge itself.
    #[inline]
    pub(crate) fn is_from_us(&self, peer: SocketAddr) -> bool {
        let (word, bit) = place(peer.port());
        let is_open = self.ports.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0);
        is_open && self.addresses.load().contains(&peer.ip())
    }

    /// From now on these addresses are asked from; one turn asks from the very addresses that it asks.
    pub(super) fn set_addresses(&self, addresses: impl Iterator<Item = IpAddr>) {
        self.addresses.store(addresses.collect::<Vec<_>>().into());
    }

    /// A question is about to leave from this port. The port is ours until what is returned is dropped.
    pub(super) fn open(&self, port: u16) -> OwnPort<'_> {
        let (word, bit) = place(port);
        if let Some(word) = self.ports.get(word) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        OwnPort { own: self, port }
    }
}

fn place(port: u16) -> (usize, u64) {
    (usize::from(port / PORTS_OF_WORD), 1 << (port % PORTS_OF_WORD))
}

/// A port that questions are asked from.
#[derive(Debug)]
pub(super) struct OwnPort<'o> {
    own: &'o OwnQuestions,
    port: u16,
}

impl Drop for OwnPort<'_> {
    fn drop(&mut self) {
        let (word, bit) = place(self.port);
        if let Some(word) = self.own.ports.get(word) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_ours_by_its_address_and_its_port_while_it_is_asked() {
        let own = OwnQuestions::default();
        own.set_addresses(["192.0.2.53".parse().unwrap()].into_iter());
        let from = |text: &str| own.is_from_us(text.parse().unwrap());
        assert!(!from("192.0.2.53:4000"));
        let port = own.open(4000);
        let last = own.open(u16::MAX);
        assert!(from("192.0.2.53:4000") && from("192.0.2.53:65535"));
        assert!(!from("192.0.2.53:4001") && !from("192.0.2.54:4000"));
        drop(port);
        assert!(!from("192.0.2.53:4000") && from("192.0.2.53:65535"));
        drop(last);
        assert!(!from("192.0.2.53:65535"));
    }
}
