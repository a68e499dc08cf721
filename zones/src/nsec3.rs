//! Hashed owner names of NSEC3 (RFC 5155 §3.3, §5).

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use arrayvec::ArrayVec;
use sha1::{Digest, Sha1};
use wire::{LABEL_BYTES_MAX, NameRef, Rtype};

/// SHA-1, the only hash there is (RFC 5155 §11).
const ALGORITHM_SHA1: u8 = 1;
/// Iterations beyond which no proofs are made. Validators treat far fewer as insecure (RFC 9276 §3.2), and each costs
/// a query a hash.
pub const ITERATIONS_MAX: u16 = 500;
/// Octets that the longest label decodes to.
pub(crate) const HASH_BYTES_MAX: usize = LABEL_BYTES_MAX * 5 / 8;
pub(crate) type RawHash = ArrayVec<u8, HASH_BYTES_MAX>;

/// The parameters of a chain of NSEC3 records, as the NSEC3PARAM record at the apex tells them (RFC 5155 §4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nsec3Params {
    /// Additional hashes.
    pub iterations: u16,
    /// Appended to each input of the hash.
    pub salt: Box<[u8]>,
}

impl Nsec3Params {
    /// Reads NSEC3PARAM; `None` if the chain is not one to answer from (unknown hash, flags, too many iterations).
    pub(crate) fn parse(rdata: &[u8]) -> Option<Nsec3Params> {
        let (algorithm, flags, iterations, salt) = split(rdata)?;
        (algorithm == ALGORITHM_SHA1 && flags == 0 && iterations <= ITERATIONS_MAX)
            .then(|| Nsec3Params { iterations, salt: salt.into() })
    }

    /// Does an NSEC3 record belong to this chain?
    pub(crate) fn matches(&self, nsec3: &[u8]) -> bool {
        split(nsec3).is_some_and(|(algorithm, _, iterations, salt)| {
            algorithm == ALGORITHM_SHA1 && iterations == self.iterations && *salt == *self.salt
        })
    }

    /// Does the RDATA of an NSEC3 record belong to this chain?
    #[must_use]
    pub fn is_of_chain(&self, nsec3: &[u8]) -> bool {
        self.matches(nsec3)
    }

    /// The hash of a name.
    #[must_use]
    pub fn hash(&self, name: NameRef<'_>) -> [u8; 20] {
        let mut folded: ArrayVec<u8, { wire::NAME_BYTES_MAX }> = ArrayVec::new();
        // A name fits by its type.
        let _ = folded.try_extend_from_slice(name.as_bytes());
        folded.make_ascii_lowercase();
        let mut hash: [u8; 20] = Sha1::new().chain_update(&folded).chain_update(&self.salt).finalize().into();
        for _ in 0..self.iterations {
            hash = Sha1::new().chain_update(hash).chain_update(&self.salt).finalize().into();
        }
        hash
    }
}

/// Algorithm, flags, iterations and salt: the fields that NSEC3 and NSEC3PARAM begin with.
fn split(rdata: &[u8]) -> Option<(u8, u8, u16, &[u8])> {
    let (&[algorithm, flags, i0, i1, salt_len], rest) = rdata.split_first_chunk::<5>()?;
    Some((algorithm, flags, u16::from_be_bytes([i0, i1]), rest.get(..usize::from(salt_len))?))
}

/// The hash that the leftmost label of an NSEC3 owner spells, if `owner` is right below `apex` and spells one.
pub(crate) fn owner_hash(owner: NameRef<'_>, apex: NameRef<'_>) -> Option<RawHash> {
    let label = owner.labels().next()?;
    if owner.as_bytes().len() != apex.as_bytes().len() + label.len() + 1 {
        return None;
    }
    decode(label)
}

/// Is a record kept by hash, apart from the names that exist (RFC 5155 §7.2.8)?
pub(crate) fn is_hashed(rtype: Rtype, rdata: &[u8]) -> bool {
    rtype == Rtype::NSEC3 || rtype == Rtype::RRSIG && rdata.starts_with(&Rtype::NSEC3.0.to_be_bytes())
}

/// Decodes base32 with the extended hex alphabet, without padding (RFC 4648 §7).
fn decode(label: &[u8]) -> Option<RawHash> {
    let mut hash = RawHash::new();
    let (mut bits, mut count) = (0u32, 0);
    for octet in label {
        let value = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'v' => octet - b'a' + 10,
            b'A'..=b'V' => octet - b'A' + 10,
            _ => return None,
        };
        bits = bits << 5 | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            hash.try_push((bits >> count) as u8).ok()?;
            bits &= (1 << count) - 1;
        }
    }
    // What is left over must be less than a character, and zero: one spelling for each hash.
    (count < 5 && bits == 0 && !hash.is_empty()).then_some(hash)
}

/// The label that spells a hash.
pub(crate) fn encode(hash: &[u8]) -> ArrayVec<u8, LABEL_BYTES_MAX> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut label = ArrayVec::new();
    let (mut bits, mut count) = (0u32, 0);
    for octet in hash {
        bits = bits << 8 | u32::from(*octet);
        count += 8;
        while count >= 5 {
            count -= 5;
            push_digit(&mut label, ALPHABET, bits >> count);
            bits &= (1 << count) - 1;
        }
    }
    if count > 0 {
        push_digit(&mut label, ALPHABET, bits << (5 - count));
    }
    label
}

fn push_digit(label: &mut ArrayVec<u8, LABEL_BYTES_MAX>, alphabet: &[u8; 32], bits: u32) {
    if let Some(&digit) = alphabet.get((bits & 31) as usize) {
        // No hash that was decoded from a label is too long for one.
        let _ = label.try_push(digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Name;

    /// RFC 5155 Appendix A.
    #[test]
    fn rfc5155_appendix_a() {
        let params = Nsec3Params::parse(&[1, 0, 0, 12, 4, 0xaa, 0xbb, 0xcc, 0xdd]).unwrap();
        for (name, spelled) in [
            ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("AI.example", "gjeqe526plbf1g8mklp59enfd789njgi"),
            ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
            ("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"),
        ] {
            let name: Name = name.parse().unwrap();
            let hash = params.hash(name.as_ref());
            assert_eq!(encode(&hash).as_slice(), spelled.as_bytes());
            assert_eq!(decode(spelled.to_uppercase().as_bytes()).unwrap().as_slice(), hash);
        }
    }

    #[test]
    fn only_one_spelling_is_a_hash() {
        for wrong in ["", "0", "01w", "zz", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom0", "03"] {
            assert!(decode(wrong.as_bytes()).is_none(), "{wrong}");
        }
        for len in 1..=HASH_BYTES_MAX {
            let hash: Vec<u8> = (0..len).map(|i| (i * 37) as u8).collect();
            assert_eq!(decode(&encode(&hash)).unwrap().as_slice(), hash);
        }
    }
}
