//! Numbers that look random and are the same for the same seed: SplitMix64, two multiplications a number.

use std::net::Ipv4Addr;

/// A sequence of numbers from a seed.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where there is none.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        // The high bits of a product, Lemire's way: no division, and a bias that no table of names would notice.
        usize::try_from((u128::from(self.next()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// True once in so many times.
    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn byte(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    pub(super) fn word(&mut self) -> u16 {
        (self.next() >> 48) as u16
    }

    /// One of them.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// An address that a host of the Internet may have, and nobody in a lab has: unicast, without what is private,
    /// reserved for documentation or for measurements (RFC 6890).
    pub(super) fn address(&mut self) -> Ipv4Addr {
        loop {
            let address = Ipv4Addr::from((self.next() >> 32) as u32);
            if is_public(address) {
                return address;
            }
        }
    }
}

/// Whether [`Random::address`] may give it.
pub(super) fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    match first {
        0 | 10 | 127 | 224.. => false,
        100 => second & 0xc0 != 64,
        169 => second != 254,
        172 => second & 0xf0 != 16,
        192 => !matches!((second, third), (0, 0 | 2) | (168, _)),
        198 => !matches!((second, third), (18 | 19, _) | (51, 100)),
        203 => (second, third) != (0, 113),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        // The reference implementation's first number for the seed 0.
        assert_eq!(numbers(0)[0], 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn numbers_stay_below_their_bound_and_reach_all_of_it() {
        let mut random = Random::new(7);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[random.below(5)] += 1;
        }
        assert!(seen.iter().all(|times| *times > 150), "{seen:?}");
        assert_eq!(random.below(0), 0);
        assert!(random.pick::<u8>(&[]).is_none());
    }

    #[test]
    fn no_address_is_anybodys_of_the_lab() {
        let private = ["10.1.0.1", "198.18.7.7", "198.19.0.1", "127.0.0.1", "192.0.2.1", "203.0.113.9", "224.0.0.1"];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["9.9.9.9", "198.20.0.1", "192.0.1.1", "172.32.0.1", "100.128.0.1", "203.0.114.1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let mut random = Random::new(3);
        let first: Vec<u8> = (0..1000).map(|_| random.address().octets()[0]).collect();
        assert!(first.iter().all(|octet| (1..224).contains(octet)));
    }
}
