//! A source as the tables know it: one number, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::hash::Hasher;

/// IPv4 addresses have this bit and nothing above it.
const IPV4: u64 = 1 << 32;
/// What is below this number is no IPv6 network that anybody sends from (`::/31`); all of that is one source.
const IPV6_MIN: u64 = 2 << 32;

/// An IPv4 address, or the IPv6 network of 64 bits that a client has for itself. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Key {
    /// The source of a packet from this address. An IPv4-mapped address is the IPv4 address.
    #[inline]
    pub(super) fn of(address: IpAddr) -> Key {
        match address {
            IpAddr::V4(address) => Key(IPV4 | u64::from(address.to_bits())),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => Key(IPV4 | u64::from(address.to_bits())),
                None => Key(((address.to_bits() >> 64) as u64).max(IPV6_MIN)),
            },
        }
    }

    /// As a table has it; 0 is an empty place.
    pub(super) fn from_bits(bits: u64) -> Option<Key> {
        (bits >= IPV4).then_some(Key(bits))
    }

    #[inline]
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    /// The address; of an IPv6 network its first.
    pub(super) fn address(self) -> IpAddr {
        match self.0 {
            bits if bits < IPV6_MIN => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
            bits => IpAddr::V6(Ipv6Addr::from_bits(u128::from(bits) << 64)),
        }
    }

    #[inline]
    pub(super) fn hash(self, hasher: &Hasher) -> u64 {
        hasher.words(self.0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_its_source_back() {
        let check = |from: &str, back: &str| {
            let key = Key::of(from.parse().unwrap());
            assert_eq!(key.address(), back.parse::<IpAddr>().unwrap(), "{from}");
            assert_eq!(Key::from_bits(key.to_bits()), Some(key), "{from}");
        };
        check("192.0.2.1", "192.0.2.1");
        check("0.0.0.0", "0.0.0.0");
        check("255.255.255.255", "255.255.255.255");
        check("::ffff:192.0.2.1", "192.0.2.1");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
        check("64:ff9b::192.0.2.1", "64:ff9b::");
        check("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff::");
        // All that nobody sends from is one source.
        check("::1", "0:2::");
        assert_eq!(Key::from_bits(0), None);
    }
}
