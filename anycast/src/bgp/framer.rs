//! Bytes of a connection made into messages: marker and length are checked here, nothing else.

use super::notification::{BAD_MESSAGE_LENGTH, CONNECTION_NOT_SYNCHRONIZED, Notification};

/// Octets of the header: marker, length, type (RFC 4271 §4.1).
pub(crate) const HEADER_BYTES: usize = 19;
/// Octets of a whole message; extended messages (RFC 8654) are not offered.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4096;
pub(crate) const MARKER: [u8; 16] = [0xff; 16];

/// One message as it came, header and all, or what was wrong with its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(pub(crate) Result<Vec<u8>, Notification>);

/// Cuts the bytes of one connection into messages.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +                           Marker (16 octets, all ones)        +
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |          Length               |      Type     |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
///
/// RFC 4271 §4.1. It holds what was given last and no more than one incomplete message besides, as long as all whole
/// messages are taken before more is given. After an error nothing comes any more: where the next message would begin
/// is unknown.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    taken: usize,
    broken: bool,
}

impl Framer {
    /// For a new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes as they were read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, when all of it is there.
    #[expect(clippy::should_implement_trait, reason = "there may be more later")]
    pub fn next(&mut self) -> Option<Frame> {
        let rest = self.buffer.get(self.taken..)?;
        if self.broken {
            return None;
        }
        match split_message(rest) {
            Ok(None) => None,
            Ok(Some(message)) => {
                let message = message.to_vec();
                self.taken += message.len();
                Some(Frame(Ok(message)))
            }
            Err(notification) => {
                (self.broken, self.buffer, self.taken) = (true, Vec::new(), 0);
                Some(Frame(Err(notification)))
            }
        }
    }
}

/// The first message of the bytes. What is wrong is found as early as possible: a marker by its first wrong octet, so
/// that somebody who speaks another protocol is not waited for.
fn split_message(bytes: &[u8]) -> Result<Option<&[u8]>, Notification> {
    let marker = bytes.get(..MARKER.len().min(bytes.len())).unwrap_or(bytes);
    if marker.iter().any(|&octet| octet != 0xff) {
        return Err(Notification::new(CONNECTION_NOT_SYNCHRONIZED, Vec::new()));
    }
    let Some(&[high, low]) = bytes.get(16..18) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(HEADER_BYTES..=MESSAGE_BYTES_MAX).contains(&length) {
        return Err(Notification::new(BAD_MESSAGE_LENGTH, vec![high, low]));
    }
    Ok(bytes.get(..length))
}
