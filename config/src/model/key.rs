//! TSIG keys.

use std::fmt;

/// A TSIG key (RFC 8945).
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's name on the wire: absolute, lowercase, with a dot at the end.
    pub name: String,
    /// The algorithm of its MACs.
    pub algorithm: KeyAlgorithm,
    /// The shared secret. Never printed.
    pub secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A TSIG algorithm (RFC 8945 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// `hmac-sha256`
    HmacSha256,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
}

impl KeyAlgorithm {
    /// The names that the file knows.
    pub const NAMES: &'static [&'static str] = &["hmac-sha256", "hmac-sha384", "hmac-sha512"];

    /// The algorithm with this name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "hmac-sha256" => Some(Self::HmacSha256),
            "hmac-sha384" => Some(Self::HmacSha384),
            "hmac-sha512" => Some(Self::HmacSha512),
            _ => None,
        }
    }

    /// Its name on the wire, without the dot at the end.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }
}
