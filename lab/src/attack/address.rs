//! Source addresses that a flood makes up.

use std::net::Ipv4Addr;

use crate::random::Random;

/// An address that a host of the Internet may have, and nobody in a lab has: unicast, without what is private,
/// reserved for documentation or for measurements (RFC 6890).
pub(super) fn any_address(random: &mut Random) -> Ipv4Addr {
    loop {
        let address = Ipv4Addr::from((random.next() >> 32) as u32);
        if is_public(address) {
            return address;
        }
    }
}

/// Whether [`any_address`] may give it.
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
    fn no_address_is_anybodys_of_the_lab() {
        let private = ["10.1.0.1", "198.18.7.7", "198.19.0.1", "127.0.0.1", "192.0.2.1", "203.0.113.9", "224.0.0.1"];
        for address in private {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["9.9.9.9", "198.20.0.1", "192.0.1.1", "172.32.0.1", "100.128.0.1", "203.0.114.1"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        let mut random = Random::new(3);
        let first: Vec<u8> = (0..1000).map(|_| any_address(&mut random).octets()[0]).collect();
        assert!(first.iter().all(|octet| (1..224).contains(octet)));
    }
}
