//! What one node says to one other: everything, each time.

use serde::{Deserialize, Serialize};

/// The version of what is said.
pub(super) const VERSION: u8 = 1;
/// Services in a message.
const SERVICES_MAX: usize = 64;

/// One datagram's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// [`VERSION`].
    pub(super) version: u8,
    /// The network of both.
    pub(super) network: String,
    /// Who says it.
    pub(super) from: String,
    /// To whom.
    pub(super) to: String,
    /// The sending process: another number after each start.
    pub(super) boot: u64,
    /// Counts up in that process.
    pub(super) seq: u64,
    /// What the other is to echo, so that its words are known to be of now.
    pub(super) challenge: u64,
    /// The challenge that was last heard of the other.
    pub(super) echo: Option<u64>,
    /// The node's state.
    pub(super) state: String,
    /// Why it is in it.
    pub(super) why: String,
    /// Its services.
    pub(super) services: Vec<ServiceSays>,
}

/// What is said of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServiceSays {
    /// Its name.
    pub(super) name: String,
    /// Whether the sender announces it.
    pub(super) announces: bool,
    /// Whether the sender is well: who is not is no better than a node that would leave.
    pub(super) well: bool,
    /// The number of the sender's intent to leave, while it asks.
    pub(super) intent: Option<u64>,
    /// The number of the receiver's intent that the sender grants.
    pub(super) grant: Option<u64>,
}

impl Message {
    pub(super) fn parse(body: &[u8]) -> Option<Message> {
        let message: Message = serde_json::from_slice(body).ok()?;
        (message.version == VERSION && message.services.len() <= SERVICES_MAX).then_some(message)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Strings and numbers always can be written.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The beginning of a text, of so many bytes at most.
pub(super) fn shortened(text: &str, bytes_max: usize) -> String {
    let end = (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
