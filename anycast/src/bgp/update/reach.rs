//! MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760): routes of any family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::Session;
use super::attributes::Raw;
use crate::bgp::nlri::{Family, parse_prefixes};
use crate::bgp::notification::{Notification, OPTIONAL_ATTRIBUTE};

/// Prefixes and the next hop they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) prefixes: Vec<IpNet>,
    pub(crate) next_hop: IpAddr,
}

/// The family, if both sides speak it, and what comes after it.
fn split_family<'a>(value: &'a [u8], session: &Session) -> Option<(Option<Family>, &'a [u8])> {
    let (&[afi1, afi2, safi], rest) = value.split_first_chunk()?;
    let family = Family::from_afi_safi(u16::from_be_bytes([afi1, afi2]), safi);
    Some((family.filter(|&family| session.families.get(family)), rest))
}

/// Reads MP_REACH_NLRI; `None` for a family that was not agreed on: its routes are nobody's business.
///
/// ```text
/// +---------------------------------------------------------+
/// | Address Family Identifier (2 octets)                    |
/// +---------------------------------------------------------+
/// | Subsequent Address Family Identifier (1 octet)          |
/// +---------------------------------------------------------+
/// | Length of Next Hop Network Address (1 octet)            |
/// +---------------------------------------------------------+
/// | Network Address of Next Hop (variable)                  |
/// +---------------------------------------------------------+
/// | Reserved (1 octet)                                      |
/// +---------------------------------------------------------+
/// | Network Layer Reachability Information (variable)       |
/// +---------------------------------------------------------+
/// ```
///
/// RFC 4760 §3. When the next hop has a length that no next hop has, or the prefixes cannot be told apart, the session
/// ends (RFC 7606 §5.3, §7.11). One of another family than agreed on does not hide the prefixes: GoBGP and ExaBGP send
/// such for families that the session is not over. It costs the routes ([`Reach::has_fitting_next_hop`]), as with BIRD.
pub(super) fn parse_reach(raw: Raw<'_>, session: &Session) -> Result<Option<Reach>, Notification> {
    let malformed = || Notification::new(OPTIONAL_ATTRIBUTE, raw.whole);
    let (family, rest) = split_family(raw.value, session).ok_or_else(malformed)?;
    let Some(family) = family else {
        return Ok(None);
    };
    let (&length, rest) = rest.split_first().ok_or_else(malformed)?;
    let (next_hop, rest) = rest.split_at_checked(usize::from(length)).ok_or_else(malformed)?;
    let (_reserved, nlri) = rest.split_first().ok_or_else(malformed)?;
    let next_hop = parse_next_hop(next_hop).ok_or_else(malformed)?;
    let prefixes = parse_prefixes(family, nlri).map_err(|_| malformed())?;
    Ok(Some(Reach { prefixes, next_hop }))
}

/// 4 octets of IPv4; 16 of IPv6, or 32 with a link-local address beside (RFC 2545 §3).
fn parse_next_hop(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => octets.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
        16 | 32 => octets.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into()),
        _ => None,
    }
}

impl Reach {
    /// Whether the next hop is of the family of the prefixes, or of IPv6 where RFC 8950 is agreed on.
    pub(crate) fn has_fitting_next_hop(&self, session: &Session) -> bool {
        let is_fitting = |prefix: &IpNet| match (prefix, self.next_hop) {
            (IpNet::V4(_), IpAddr::V4(_)) | (IpNet::V6(_), IpAddr::V6(_)) => true,
            (IpNet::V4(_), IpAddr::V6(_)) => session.extended_next_hop,
            (IpNet::V6(_), IpAddr::V4(_)) => false,
        };
        self.prefixes.first().is_none_or(is_fitting)
    }
}

/// Reads MP_UNREACH_NLRI (RFC 4760 §4): a family, then prefixes.
pub(super) fn parse_unreach(raw: Raw<'_>, session: &Session) -> Result<Vec<IpNet>, Notification> {
    let malformed = || Notification::new(OPTIONAL_ATTRIBUTE, raw.whole);
    match split_family(raw.value, session).ok_or_else(malformed)? {
        (Some(family), nlri) => parse_prefixes(family, nlri).map_err(|_| malformed()),
        (None, _) => Ok(Vec::new()),
    }
}
