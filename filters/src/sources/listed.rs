//! The lists of sources as one list of prefixes, for a table that finds the longest one that covers an address.

use std::{collections::HashMap, net::IpAddr};

use config::{Defences, Prefix};

/// A prefix, and all lists that cover it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListedPrefix {
    /// Its length; of an IPv4 prefix with the 96 bits before it.
    pub bits: u32,
    /// Its first address; an IPv4 address is mapped to IPv6.
    pub address: [u8; 16],
    /// [`ListedPrefix::ALLOW`] and the like, added up.
    pub lists: u32,
}

/// The bits before a mapped address, and their number.
const MAPPED: u128 = 0xffff << 32;
const MAPPED_BITS: u32 = 96;

impl ListedPrefix {
    /// It is on the list of those that are never limited.
    pub const ALLOW: u32 = 1;
    /// On that of those that are never answered.
    pub const BLOCK: u32 = 2;
    /// On that of those that are known to be good.
    pub const KNOWN_GOOD: u32 = 4;

    /// Whether it is one of IPv4.
    pub fn is_ipv4(&self) -> bool {
        let address = u128::from_be_bytes(self.address);
        self.bits >= MAPPED_BITS && address & mask(MAPPED_BITS) == MAPPED
    }

    /// All prefixes of the lists, each with the lists of all those that cover it.
    pub(crate) fn all(defences: &Defences) -> Vec<ListedPrefix> {
        let lists =
            [(&defences.allow, Self::ALLOW), (&defences.block, Self::BLOCK), (&defences.known_good, Self::KNOWN_GOOD)];
        let mut known: HashMap<(u32, u128), u32> = HashMap::new();
        for (prefix, list) in lists.into_iter().flat_map(|(list, bit)| list.iter().map(move |prefix| (prefix, bit))) {
            let key = key_of(prefix);
            // An IPv6 prefix means no mapped address: a source that has one is known as its IPv4 address.
            if prefix.net().addr().is_ipv6() && is_mapped(key) {
                continue;
            }
            *known.entry(key).or_default() |= list;
        }
        // Where one of IPv6 covers all that are mapped, they are parted from it.
        if known.keys().any(|(bits, address)| *bits < MAPPED_BITS && MAPPED & mask(*bits) == *address) {
            known.entry((MAPPED_BITS, MAPPED)).or_default();
        }
        let mut all: Vec<_> = known.keys().map(|key| ListedPrefix::covered(*key, &known)).collect();
        all.sort_unstable();
        all
    }

    fn covered((bits, address): (u32, u128), known: &HashMap<(u32, u128), u32>) -> ListedPrefix {
        let least = if is_mapped((bits, address)) { MAPPED_BITS } else { 0 };
        let covering = (least..=bits).filter_map(|bits| known.get(&(bits, address & mask(bits))));
        ListedPrefix { bits, address: address.to_be_bytes(), lists: covering.fold(0, |all, lists| all | lists) }
    }
}

fn key_of(prefix: &Prefix) -> (u32, u128) {
    let net = prefix.net();
    match net.network() {
        IpAddr::V4(address) => (MAPPED_BITS + u32::from(net.prefix_len()), MAPPED | u128::from(address.to_bits())),
        IpAddr::V6(address) => (u32::from(net.prefix_len()), address.to_bits()),
    }
}

fn is_mapped((bits, address): (u32, u128)) -> bool {
    bits >= MAPPED_BITS && address & mask(MAPPED_BITS) == MAPPED
}

/// So many ones from the left.
fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::limits::Limits;

    fn prefixes(list: &[&str]) -> Vec<Prefix> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// What the longest entry says that covers the address, as a trie finds it.
    fn find(entries: &[ListedPrefix], address: IpAddr) -> u32 {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let covers = |entry: &&ListedPrefix| address & mask(entry.bits) == u128::from_be_bytes(entry.address);
        entries.iter().filter(covers).max_by_key(|entry| entry.bits).map_or(0, |entry| entry.lists)
    }

    #[test]
    fn the_longest_entry_says_what_all_lists_say() {
        let lists: [&[&str]; 7] = [
            &[],
            &["0.0.0.0/0"],
            &["::/0"],
            &["192.0.2.0/24", "2001:db8::/32"],
            &["192.0.2.0/25", "192.0.2.1", "2001:db8:1::/48", "::ffff:192.0.2.9"],
            &["192.0.2.1", "::ffff:0:0/96", "2001:db8::1"],
            &["192.0.2.0/31", "::/64"],
        ];
        let addresses = [
            "192.0.2.0",
            "192.0.2.1",
            "192.0.2.9",
            "192.0.2.200",
            "198.51.100.1",
            "2001:db8::1",
            "2001:db8:1::1",
            "::5",
        ];
        for allow in lists {
            for block in lists {
                for known_good in lists {
                    let [allow, block, known_good] = [allow, block, known_good].map(prefixes);
                    let defences = Defences { allow, block, known_good, ..Defences::default() };
                    let (limits, entries) = (Limits::new(&defences), ListedPrefix::all(&defences));
                    for address in addresses.map(|text| text.parse::<IpAddr>().unwrap()) {
                        let is = [&limits.allow, &limits.block, &limits.known_good].map(|list| list.contains(address));
                        let want = (0..).zip(is).fold(0, |all, (bit, is)| all | u32::from(is) << bit);
                        assert_eq!(find(&entries, address), want, "{address} {defences:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn families_are_told_apart() {
        let of = |list: &[&str]| ListedPrefix::all(&Defences { block: prefixes(list), ..Defences::default() });
        assert!(of(&["192.0.2.1"])[0].is_ipv4());
        assert!(!of(&["2001:db8::/32"])[0].is_ipv4());
        assert_eq!(
            of(&["::/0"]).iter().map(|entry| (entry.is_ipv4(), entry.lists)).collect::<Vec<_>>(),
            [(false, 2), (true, 0)]
        );
    }
}
