//! A fast keyed hash of addresses, names and numbers. Without the secret nobody can choose who shares a place with whom.
//!
//! Multiply to 128 bits and fold, as wyhash does it: a few cycles for an address, about one for each eight bytes of a
//! name. It keeps tables even; it signs nothing, and no value of it ever leaves the node.

use std::net::IpAddr;

use wire::NameRef;

/// Keeps IPv4 and IPv6 apart, and both from what else is hashed.
const IPV4_TAG: u64 = 0x9e37_79b9_7f4a_7c15;
const IPV6_TAG: u64 = 0xc2b2_ae3d_27d4_eb4f;

/// A hash function with a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    secret: [u64; 4],
}

impl Hasher {
    /// The function of this secret. `purpose` tells apart tables that have the same secret.
    pub(crate) fn new(seed: [u64; 2], purpose: u64) -> Hasher {
        let [a, b] = seed;
        let next = |n: u64| fold(a ^ n.wrapping_mul(IPV4_TAG), b ^ purpose.wrapping_add(n).wrapping_mul(IPV6_TAG)) | 1;
        Hasher { secret: [next(1) ^ a, next(2) ^ b, next(3), next(4)] }
    }

    /// The function that all tables share for names, so that a name is hashed once.
    pub(crate) fn of_names(seed: [u64; 2]) -> Hasher {
        Hasher::new(seed, 2)
    }

    /// The secret that makes it what it is.
    pub(crate) fn secret(&self) -> [u64; 4] {
        self.secret
    }

    /// Of two numbers.
    #[inline]
    pub(crate) fn words(&self, a: u64, b: u64) -> u64 {
        let [s0, s1, s2, s3] = self.secret;
        fold(fold(a ^ s0, b ^ s1) ^ s2 ^ a, s3 ^ b)
    }

    /// Of the prefix of this length that the address is in. An IPv6 prefix has at most 64 bits here.
    #[inline]
    pub(crate) fn prefix(&self, address: IpAddr, ipv4_length: u8, ipv6_length: u8) -> u64 {
        match address {
            IpAddr::V4(address) => {
                let bits = address.to_bits() & ipv4_mask(ipv4_length);
                self.words(u64::from(bits), IPV4_TAG)
            }
            IpAddr::V6(address) => self.words((address.to_bits() >> 64) as u64 & ipv6_mask(ipv6_length), IPV6_TAG),
        }
    }

    /// Of a name, in whatever case it is written.
    #[inline]
    pub(crate) fn name(&self, name: NameRef<'_>) -> u64 {
        self.lower_case(name.as_bytes())
    }

    /// Of bytes, with `A` to `Z` taken as `a` to `z`. The lengths of labels are below both.
    #[inline]
    pub(crate) fn lower_case(&self, bytes: &[u8]) -> u64 {
        let [s0, s1, s2, s3] = self.secret;
        let mut hash = s0 ^ bytes.len() as u64;
        for word in bytes.as_chunks::<8>().0 {
            hash = fold(lower_case(u64::from_le_bytes(*word)) ^ s1, hash ^ s2);
        }
        // The last eight once more, whatever part of them was taken already: that is faster than to take the rest alone.
        let last = match bytes.last_chunk::<8>() {
            Some(last) => u64::from_le_bytes(*last),
            None => bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        fold(lower_case(last) ^ s1, hash ^ s3)
    }
}

/// The hash of names by which all tables of a node know them, the kernel lane's too.
#[derive(Clone, Copy, Debug)]
pub struct NameHasher(Hasher);

impl NameHasher {
    /// That of the filters with this seed.
    pub fn new(seed: [u64; 2]) -> NameHasher {
        NameHasher(Hasher::of_names(seed))
    }

    /// The hash of a name, in whatever case it is written.
    #[inline]
    pub fn hash(&self, name: NameRef<'_>) -> u64 {
        self.0.name(name)
    }
}

/// Both halves of the product.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The bits of an IPv4 prefix of this length.
#[inline]
pub(crate) fn ipv4_mask(length: u8) -> u32 {
    leading_ones(length.saturating_add(32)) as u32
}

/// The bits of an IPv6 prefix of this length, in the upper half of an address.
#[inline]
pub(crate) fn ipv6_mask(length: u8) -> u64 {
    leading_ones(length)
}

/// So many ones, at most 64, from the most significant bit on.
#[inline]
fn leading_ones(number: u8) -> u64 {
    match number {
        0 => 0,
        1..64 => u64::MAX << (64 - number),
        64.. => u64::MAX,
    }
}

/// Eight bytes at once: those from `A` to `Z` get the bit that makes them small.
#[inline]
fn lower_case(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * ONES;
    let low = word & !HIGH;
    let from_a = low + (0x80 - b'A' as u64) * ONES;
    let above_z = low + (0x7f - b'Z' as u64) * ONES;
    let capital = from_a & !above_z & !word & HIGH;
    word | capital >> 2
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use wire::Name;

    use super::*;

    const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

    fn hasher() -> Hasher {
        Hasher::new(SEED, 0)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_byte_is_made_small_as_ascii_has_it() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = *b"aZ09-\0\xff@";
                bytes[place] = byte;
                let want = bytes.to_ascii_lowercase();
                assert_eq!(lower_case(u64::from_le_bytes(bytes)).to_le_bytes(), want[..], "{byte} at {place}");
            }
        }
    }

    #[test]
    fn names_of_any_length_hash_alike_in_any_case_and_differ_otherwise() {
        let mut seen = HashSet::new();
        for length in 1..=63 {
            let small = Name::root().prepend(&vec![b'x'; length]).unwrap();
            let large = Name::root().prepend(&vec![b'X'; length]).unwrap();
            assert_eq!(hasher().name(small.as_ref()), hasher().name(large.as_ref()));
            assert!(seen.insert(hasher().name(small.as_ref())), "{length}");
        }
        assert!(seen.insert(hasher().name(Name::root().as_ref())));
    }

    /// What a client has for itself.
    fn client(hasher: &Hasher, address: IpAddr) -> u64 {
        hasher.prefix(address, 32, 64)
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network() {
        let client = |text| client(&hasher(), address(text));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
    }

    #[test]
    fn prefixes_have_the_length_that_was_asked_for() {
        let prefix = |text, v4, v6| hasher().prefix(address(text), v4, v6);
        assert_eq!(prefix("192.0.2.1", 24, 56), prefix("192.0.2.255", 24, 56));
        assert_ne!(prefix("192.0.2.1", 24, 56), prefix("192.0.3.1", 24, 56));
        assert_eq!(prefix("192.0.2.1", 0, 0), prefix("203.0.113.1", 0, 0));
        assert_eq!(prefix("2001:db8::1", 24, 56), prefix("2001:db8:0:ff::1", 24, 56));
        assert_ne!(prefix("2001:db8::1", 24, 56), prefix("2001:db8:0:100::1", 24, 56));
        assert_ne!(prefix("0.0.0.0", 0, 0), prefix("::", 0, 0));
    }

    #[test]
    fn another_secret_or_purpose_is_another_function() {
        let of = |hasher: Hasher| client(&hasher, address("192.0.2.1"));
        let other = Hasher::new([SEED[0] ^ 1, SEED[1]], 0);
        assert_ne!(of(hasher()), of(other));
        assert_ne!(of(hasher()), of(Hasher::new(SEED, 1)));
    }

    /// Consecutive addresses, which a flood of one prefix has, fill a table as evenly as random ones: of 2¹⁶ balls in 2¹⁶
    /// places, 63 % of the places are hit, with the low bits as with the high ones.
    #[test]
    fn neighbours_spread_over_low_and_high_bits() {
        for (v6, shift) in [(false, 0), (false, 48), (true, 0), (true, 48)] {
            let places: HashSet<u16> = (0..1u32 << 16)
                .map(|n| match v6 {
                    false => client(&hasher(), IpAddr::from((0x0a00_0000 | n).to_be_bytes())),
                    true => client(&hasher(), IpAddr::from((u128::from(n) << 64).to_be_bytes())),
                })
                .map(|hash| (hash >> shift) as u16)
                .collect();
            assert!((40_000..43_000).contains(&places.len()), "v6 {v6}, from bit {shift}: {}", places.len());
        }
    }
}
