//! The seal on what nodes say to each other: HMAC-SHA256 with a key made from the nodes' TSIG key.
//!
//! ```text
//!  +--------------------------------+-------------------------+
//!  | HMAC-SHA256 of the body (32)   | body (JSON)             |
//!  +--------------------------------+-------------------------+
//! ```

use ring::hmac;

/// Bytes of the seal.
const SEAL_BYTES: usize = 32;
/// A longer datagram is nobody's.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 8192;
/// What the nodes' key is bound to, so that nothing sealed for DNS passes here, nor the other way round.
const PURPOSE: &[u8] = b"parapet fleet 1";

/// Seals and opens.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    key: hmac::Key,
}

impl Seal {
    /// From the secret of the nodes' key.
    pub(crate) fn new(secret: &[u8]) -> Seal {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), PURPOSE);
        Seal { key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) }
    }

    pub(crate) fn seal(&self, body: &[u8]) -> Vec<u8> {
        let mut datagram = hmac::sign(&self.key, body).as_ref().to_vec();
        datagram.extend_from_slice(body);
        datagram
    }

    /// The body, if the seal is right.
    pub(super) fn open<'a>(&self, datagram: &'a [u8]) -> Option<&'a [u8]> {
        let (seal, body) = datagram.split_at_checked(SEAL_BYTES).filter(|_| datagram.len() <= DATAGRAM_BYTES_MAX)?;
        hmac::verify(&self.key, body, seal).is_ok().then_some(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_and_only_what_was_sealed() {
        let seal = Seal::new(b"secret");
        let datagram = seal.seal(b"body");
        assert_eq!(seal.open(&datagram), Some(&b"body"[..]));
        assert_eq!(Seal::new(b"other").open(&datagram), None);
        for at in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(&changed), None, "byte {at}");
            assert_eq!(seal.open(&datagram[..at]), None, "{at} bytes");
        }
        let signed_with_the_key_itself = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"secret"), b"body");
        assert_eq!(seal.open(&[signed_with_the_key_itself.as_ref(), b"body"].concat()), None);
        assert_eq!(seal.open(&seal.seal(&[0; DATAGRAM_BYTES_MAX])), None);
    }
}
