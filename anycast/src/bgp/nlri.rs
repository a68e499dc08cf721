//! Address families, and prefixes as they stand in messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netgauze_iana::address_family::AddressType;

/// What can be announced: unicast of either family (RFC 4760).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

/// SAFI of unicast.
pub(crate) const UNICAST: u8 = 1;

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    pub(crate) fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::Ipv4,
            IpNet::V6(_) => Self::Ipv6,
        }
    }

    pub(crate) fn from_afi_safi(afi: u16, safi: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.afi() == afi && safi == UNICAST)
    }

    pub(crate) fn afi(self) -> u16 {
        match self {
            Self::Ipv4 => 1,
            Self::Ipv6 => 2,
        }
    }

    pub(crate) fn address_type(self) -> AddressType {
        match self {
            Self::Ipv4 => AddressType::Ipv4Unicast,
            Self::Ipv6 => AddressType::Ipv6Unicast,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    fn bits_max(self) -> u8 {
        match self {
            Self::Ipv4 => 32,
            Self::Ipv6 => 128,
        }
    }
}

/// One of something for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PerFamily<T> {
    ipv4: T,
    ipv6: T,
}

impl<T: Copy> PerFamily<T> {
    pub(crate) fn new(ipv4: T, ipv6: T) -> Self {
        Self { ipv4, ipv6 }
    }

    pub(crate) fn get(&self, family: Family) -> T {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }

    pub(crate) fn set(&mut self, family: Family, value: T) {
        match family {
            Family::Ipv4 => self.ipv4 = value,
            Family::Ipv6 => self.ipv6 = value,
        }
    }
}

/// A length that no prefix has, or one that its bytes do not last for (RFC 7606 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedNlri;

/// Prefixes, each its length in bits and as many octets as hold them (RFC 4271 §4.3). Bits past the length are of no
/// account. Multicast prefixes are left out: what makes no sense is ignored, not answered (RFC 4271 §6.3).
pub(crate) fn parse_prefixes(family: Family, mut bytes: &[u8]) -> Result<Vec<IpNet>, MalformedNlri> {
    let mut prefixes = Vec::new();
    while let Some((&bits, rest)) = bytes.split_first() {
        if bits > family.bits_max() {
            return Err(MalformedNlri);
        }
        let (octets, rest) = rest.split_at_checked(usize::from(bits.div_ceil(8))).ok_or(MalformedNlri)?;
        bytes = rest;
        let address = match family {
            Family::Ipv4 => IpAddr::from(Ipv4Addr::from(padded::<4>(octets))),
            Family::Ipv6 => IpAddr::from(Ipv6Addr::from(padded::<16>(octets))),
        };
        let prefix = IpNet::new(address, bits).map_err(|_| MalformedNlri)?.trunc();
        if !prefix.addr().is_multicast() {
            prefixes.push(prefix);
        }
    }
    Ok(prefixes)
}

fn padded<const N: usize>(octets: &[u8]) -> [u8; N] {
    let mut all = [0; N];
    all.iter_mut().zip(octets).for_each(|(to, &from)| *to = from);
    all
}
