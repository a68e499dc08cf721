//! The keys of a zone: its DNSKEY RRset, ready to verify with, and the digests that vouch for it (DS).
//!
//! ```text
//! DNSKEY = flags u16 | protocol u8 (3) | algorithm u8 | public key        RFC 4034 §2.1
//! flags  = zone key 0x0100 | revoked 0x0080 (RFC 5011) | secure entry point 0x0001
//! ```

use ring::digest;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use wire::NameRef;

/// Keys of one zone that are looked at; a zone has a handful.
pub(crate) const KEYS_MAX: usize = 64;

const ZONE_KEY: u16 = 0x0100;
const REVOKED: u16 = 0x0080;
const PROTOCOL: u8 = 3;

/// The keys of a zone.
#[derive(Debug)]
pub(crate) struct Keys {
    keys: Vec<ZoneKey>,
}

/// One key that may sign the zone's data.
#[derive(Debug)]
pub(crate) struct ZoneKey {
    /// The key's tag.
    pub tag: u16,
    /// Its algorithm.
    pub algorithm: u8,
    rdata: Box<[u8]>,
    public: Option<PublicKey>,
}

enum PublicKey {
    Rsa { parameters: &'static RsaParameters, modulus: Box<[u8]>, exponent: Box<[u8]> },
    Curve(UnparsedPublicKey<Box<[u8]>>),
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            PublicKey::Rsa { .. } => "Rsa",
            PublicKey::Curve(_) => "Curve",
        })
    }
}

/// Whether signatures with an algorithm can be verified: RSA with SHA-256 and SHA-512, ECDSA P-256 and P-384, Ed25519.
pub(crate) fn is_supported(algorithm: u8) -> bool {
    matches!(algorithm, 8 | 10 | 13 | 14 | 15)
}

impl Keys {
    /// The keys in a DNSKEY RRset that may sign data: zone keys that are not revoked (RFC 4034 §2.1.1, RFC 5011 §2.1).
    pub(crate) fn new<'a>(dnskeys: impl IntoIterator<Item = &'a [u8]>) -> Keys {
        Keys { keys: dnskeys.into_iter().take(KEYS_MAX).filter_map(ZoneKey::parse).collect() }
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ZoneKey> {
        self.keys.iter()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys with a tag and algorithm; tags are no more than a hint, so there may be several.
    pub(crate) fn find(&self, tag: u16, algorithm: u8) -> impl Iterator<Item = &ZoneKey> {
        self.keys.iter().filter(move |key| key.tag == tag && key.algorithm == algorithm)
    }
}

impl ZoneKey {
    fn parse(rdata: &[u8]) -> Option<ZoneKey> {
        let (&[f0, f1, protocol, algorithm], public) = rdata.split_first_chunk::<4>()?;
        let flags = u16::from_be_bytes([f0, f1]);
        if flags & ZONE_KEY == 0 || flags & REVOKED != 0 || protocol != PROTOCOL {
            return None;
        }
        let public = PublicKey::parse(algorithm, public);
        Some(ZoneKey { tag: key_tag(rdata), algorithm, rdata: rdata.into(), public })
    }

    /// Whether `signature` over `data` is by this key; `false` for an algorithm that is not supported.
    pub(crate) fn verifies(&self, data: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Some(PublicKey::Rsa { parameters, modulus, exponent }) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(parameters, data, signature).is_ok()
            }
            Some(PublicKey::Curve(key)) => key.verify(data, signature).is_ok(),
            None => false,
        }
    }

    /// The record's RDATA.
    pub(crate) fn rdata(&self) -> &[u8] {
        &self.rdata
    }

    /// The digest that a DS record of this key has (RFC 4034 §5.1.4); `None` for a digest type that is not supported:
    /// SHA-256 (2) and SHA-384 (4) are.
    pub(crate) fn ds_digest(&self, apex: NameRef<'_>, digest_type: u8) -> Option<digest::Digest> {
        let algorithm = match digest_type {
            2 => &digest::SHA256,
            4 => &digest::SHA384,
            _ => return None,
        };
        let mut input = apex.as_bytes().to_ascii_lowercase();
        input.extend_from_slice(&self.rdata);
        Some(digest::digest(algorithm, &input))
    }
}

impl PublicKey {
    /// Takes a public key apart: RFC 3110 §2, RFC 6605 §4, RFC 8080 §3.
    fn parse(algorithm: u8, bytes: &[u8]) -> Option<PublicKey> {
        let curve = |algorithm: &'static dyn VerificationAlgorithm, bytes: Vec<u8>| {
            Some(PublicKey::Curve(UnparsedPublicKey::new(algorithm, bytes.into_boxed_slice())))
        };
        // The point of an ECDSA key goes without the octet that says it is not compressed.
        let point = || [&[4], bytes].concat();
        match algorithm {
            8 => Self::rsa(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, bytes),
            10 => Self::rsa(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, bytes),
            13 => curve(&signature::ECDSA_P256_SHA256_FIXED, point()),
            14 => curve(&signature::ECDSA_P384_SHA384_FIXED, point()),
            15 => curve(&signature::ED25519, bytes.to_vec()),
            _ => None,
        }
    }

    fn rsa(parameters: &'static RsaParameters, bytes: &[u8]) -> Option<PublicKey> {
        let (length, rest) = match bytes {
            [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            [length, rest @ ..] => (usize::from(*length), rest),
            [] => return None,
        };
        let (exponent, modulus) = rest.split_at_checked(length)?;
        let unpadded = |number: &[u8]| -> Box<[u8]> {
            let zeros = number.iter().take_while(|octet| **octet == 0).count();
            number.get(zeros..).unwrap_or(&[]).into()
        };
        Some(PublicKey::Rsa { parameters, modulus: unpadded(modulus), exponent: unpadded(exponent) })
    }
}

/// The tag of a key (RFC 4034 Appendix B).
pub(crate) fn key_tag(rdata: &[u8]) -> u16 {
    let sum: u32 = rdata
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
            [high] => u32::from(*high) << 8,
            _ => 0,
        })
        .fold(0, u32::wrapping_add);
    (sum.wrapping_add(sum >> 16) & 0xffff) as u16
}
