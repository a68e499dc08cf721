//! Brings the questions of other nodes from the edge's lanes to origin-sync, and its answers back.

use std::sync::Arc;

use edge::line::Client;
use edge::{NextMessage, SignedQuery, Transfer, Transport};
use origin_sync::{NextPeerMessage, PeerAnswer, PeerTransfer, Peers};

/// What the edge's lanes are given.
pub(super) struct Clerk(pub(super) Arc<Peers>);

impl edge::TransferHandler for Clerk {
    fn query(&self, message: &[u8], client: &Client, out: &mut [u8]) -> SignedQuery {
        match self.0.query(message, client.peer, client.transport == Transport::Udp, out) {
            PeerAnswer::Stranger => SignedQuery::Stranger,
            PeerAnswer::Answer(bytes) => SignedQuery::Answer(bytes),
            PeerAnswer::Sign(signer) => SignedQuery::Sign(Box::new(Signer(signer))),
        }
    }

    fn transfer(&self, message: &[u8], client: &Client, out: &mut [u8]) -> Transfer {
        match self.0.transfer(message, client.peer, out) {
            PeerTransfer::Stranger => Transfer::Stranger,
            PeerTransfer::Answer(bytes) => Transfer::Answer(bytes),
            PeerTransfer::Stream(messages) => Transfer::Stream(Box::new(Messages(*messages))),
        }
    }
}

struct Signer(Box<origin_sync::AnswerSigner>);

impl edge::Signer for Signer {
    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn sign(self: Box<Self>, out: &mut [u8], length: usize) -> usize {
        self.0.sign(out, length)
    }
}

struct Messages(origin_sync::TransferOut);

impl edge::MessageStream for Messages {
    fn next(&mut self, out: &mut [u8]) -> NextMessage {
        match self.0.next(out) {
            NextPeerMessage::Message(bytes) => NextMessage::Message(bytes),
            NextPeerMessage::End => NextMessage::End,
            NextPeerMessage::Broken => NextMessage::Broken,
        }
    }
}
