//! A list of prefixes as sorted ranges: free when it is empty, a binary search when not.

use std::net::IpAddr;

use config::Prefix;

/// Ranges of addresses, ascending, none touching another.
#[derive(Clone, Debug)]
struct Ranges<T>(Vec<(T, T)>);

impl<T: Ord + Copy> Ranges<T> {
    fn new(mut ranges: Vec<(T, T)>) -> Ranges<T> {
        ranges.sort_unstable();
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Ranges(merged)
    }

    fn contains(&self, value: T) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= value);
        after.checked_sub(1).and_then(|at| self.0.get(at)).is_some_and(|(_, last)| value <= *last)
    }
}

/// A list of prefixes.
#[derive(Clone, Debug)]
pub(super) struct Prefixes {
    ipv4: Ranges<u32>,
    ipv6: Ranges<u128>,
}

impl Prefixes {
    pub(super) fn new(prefixes: &[Prefix]) -> Prefixes {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for net in prefixes.iter().map(Prefix::net) {
            match (net.network(), net.broadcast()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => ipv4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => ipv6.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        Prefixes { ipv4: Ranges::new(ipv4), ipv6: Ranges::new(ipv6) }
    }

    /// Whether the address is in one of them.
    #[inline]
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => !self.ipv4.0.is_empty() && self.ipv4.contains(address.to_bits()),
            IpAddr::V6(address) => !self.ipv6.0.is_empty() && self.ipv6.contains(address.to_bits()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(list: &[&str]) -> Vec<Prefix> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn each_address_is_found_where_a_prefix_has_it() {
        let lists: [&[&str]; 5] = [
            &[],
            &["192.0.2.0/24", "2001:db8::/32"],
            &["10.0.0.0/8", "10.1.0.0/16", "10.255.255.255", "11.0.0.0"],
            &["0.0.0.0/0", "192.0.2.7"],
            &["::/0", "2001:db8::1", "192.0.2.0/31", "192.0.2.4/31", "192.0.2.2/31"],
        ];
        let addresses = [
            "0.0.0.0",
            "9.255.255.255",
            "10.0.0.0",
            "10.1.2.3",
            "10.255.255.255",
            "11.0.0.0",
            "11.0.0.1",
            "192.0.1.255",
            "192.0.2.0",
            "192.0.2.3",
            "192.0.2.5",
            "192.0.2.6",
            "192.0.2.255",
            "192.0.3.0",
            "255.255.255.255",
            "::",
            "2001:db7:ffff::",
            "2001:db8::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
        ];
        for list in lists {
            let (list, compiled) = (prefixes(list), Prefixes::new(&prefixes(list)));
            for address in addresses.map(|text| text.parse::<IpAddr>().unwrap()) {
                let want = list.iter().any(|prefix| prefix.contains(address));
                assert_eq!(compiled.contains(address), want, "{address} in {list:?}");
            }
        }
    }
}
