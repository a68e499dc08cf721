//! What this node announces, as UPDATE messages: as many prefixes in each as fit and have their attributes in common.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::RouteAttributes;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::community::{Community, LargeCommunity};
use netgauze_bgp_pkt::iana::RouteRefreshSubcode;
use netgauze_bgp_pkt::nlri::{Ipv4Unicast, Ipv4UnicastAddress, Ipv6Unicast, Ipv6UnicastAddress};
use netgauze_bgp_pkt::path_attribute::{
    As2PathSegment, As4Path, As4PathSegment, AsPath, AsPathSegmentType, Communities, LargeCommunities, LocalPreference,
    MpReach, MpUnreach, MultiExitDiscriminator, NextHop, Origin, PathAttribute, PathAttributeValue, UnknownAttribute,
};
use netgauze_bgp_pkt::route_refresh::BgpRouteRefreshMessage;
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_parse_utils::WritablePdu;

use super::framer::MESSAGE_BYTES_MAX;
use super::nlri::Family;
use super::{AS_TRANS, write_message};

/// LOCAL_PREF of what is announced within the autonomous system.
const LOCAL_PREF: u32 = 100;
/// AS numbers in one segment of a path: its length has one octet (RFC 4271 §4.3).
const SEGMENT_LENGTH_MAX: usize = 255;
/// Octets of the longest prefix in a message: a length and an address of IPv6.
const PREFIX_BYTES_MAX: usize = 17;
/// EXTENDED COMMUNITIES (RFC 4360), written as they stand in the configuration.
const EXTENDED_COMMUNITIES: u8 = 16;

/// How routes of one family are written for one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) local_as: u32,
    /// The neighbour is in the same autonomous system.
    pub(crate) is_internal: bool,
    /// AS numbers have four octets (RFC 6793).
    pub(crate) four_octet_as: bool,
    /// What the routes lead to.
    pub(crate) next_hop: IpAddr,
    /// Beside an IPv6 next hop, where the neighbour is on the same link.
    pub(crate) link_local: Option<Ipv6Addr>,
}

impl Style {
    /// Whether routes stand in MP_REACH_NLRI; if not, in the fields of RFC 4271.
    fn is_multiprotocol(&self, family: Family) -> bool {
        family == Family::Ipv6 || self.next_hop.is_ipv6()
    }
}

/// The UPDATEs that announce these prefixes of one family; `None` where the attributes leave no room for any.
pub(crate) fn announce(
    family: Family,
    prefixes: &[IpNet],
    route: &RouteAttributes,
    style: &Style,
) -> Option<Vec<Vec<u8>>> {
    let whole = |prefixes: &[IpNet]| {
        let mut attributes = attributes(route, style);
        let mut nlri = Vec::new();
        if style.is_multiprotocol(family) {
            // RFC 7606 §5.1: before all others.
            attributes.insert(0, attribute(OPTIONAL, PathAttributeValue::MpReach(mp_reach(family, prefixes, style)))?);
        } else if let IpAddr::V4(next_hop) = style.next_hop {
            // After ORIGIN and AS_PATH.
            attributes.insert(2, attribute(WELL_KNOWN, PathAttributeValue::NextHop(NextHop::new(next_hop)))?);
            nlri = ipv4(prefixes);
        }
        Some(BgpUpdateMessage::new([], attributes, nlri))
    };
    pack(prefixes, whole)
}

/// The UPDATEs that withdraw these prefixes of one family.
pub(crate) fn withdraw(family: Family, prefixes: &[IpNet], style: &Style) -> Vec<Vec<u8>> {
    let whole = |prefixes: &[IpNet]| {
        if !style.is_multiprotocol(family) {
            return Some(BgpUpdateMessage::new(ipv4(prefixes), [], []));
        }
        let unreach = mp_unreach(family, prefixes);
        Some(BgpUpdateMessage::new([], [attribute(OPTIONAL, PathAttributeValue::MpUnreach(unreach))?], []))
    };
    pack(prefixes, whole).unwrap_or_default()
}

/// End-of-RIB (RFC 4724 §2): all that there is of a family has been announced.
pub(crate) fn end_of_rib(family: Family) -> Vec<u8> {
    let attributes = match family {
        Family::Ipv4 => Vec::new(),
        Family::Ipv6 => {
            attribute(OPTIONAL, PathAttributeValue::MpUnreach(mp_unreach(family, &[]))).into_iter().collect()
        }
    };
    write_message(&BgpMessage::Update(BgpUpdateMessage::new([], attributes, [])))
}

/// The beginning or the end of a family's routes that were asked for again (RFC 7313 §4).
pub(crate) fn refresh_mark(family: Family, mark: RouteRefreshSubcode) -> Vec<u8> {
    write_message(&BgpMessage::RouteRefresh(BgpRouteRefreshMessage::new(family.address_type(), mark)))
}

/// Messages with as many prefixes each as fit.
fn pack(prefixes: &[IpNet], whole: impl Fn(&[IpNet]) -> Option<BgpUpdateMessage>) -> Option<Vec<Vec<u8>>> {
    let Some(first) = prefixes.get(..1) else {
        return Some(Vec::new());
    };
    let header = BgpMessage::Update(whole(first)?).len();
    // One octet less: the length of a long attribute has two.
    let room = (MESSAGE_BYTES_MAX - 1).checked_sub(header)? / PREFIX_BYTES_MAX;
    let mut messages = Vec::new();
    for chunk in prefixes.chunks(room + 1) {
        messages.push(write_message(&BgpMessage::Update(whole(chunk)?)));
    }
    Some(messages)
}

const WELL_KNOWN: (bool, bool) = (false, true);
const OPTIONAL: (bool, bool) = (true, false);
const OPTIONAL_TRANSITIVE: (bool, bool) = (true, true);

/// An attribute with its flags; its length has two octets where one does not suffice. `None` never happens: the flags
/// are those that the type has.
fn attribute((optional, transitive): (bool, bool), value: PathAttributeValue) -> Option<PathAttribute> {
    let short = PathAttribute::from(optional, transitive, false, false, value).ok()?;
    // Flags, type and a length of one octet.
    if short.len() <= 3 + usize::from(u8::MAX) {
        return Some(short);
    }
    PathAttribute::from(optional, transitive, false, true, short.value().clone()).ok()
}

/// All attributes but the next hop, by type.
fn attributes(route: &RouteAttributes, style: &Style) -> Vec<PathAttribute> {
    let path = as_path(route, style);
    let is_translated = !style.four_octet_as && path.iter().any(|&number| u16::try_from(number).is_err());
    let mut values = vec![
        (WELL_KNOWN, PathAttributeValue::Origin(Origin::IGP)),
        (WELL_KNOWN, PathAttributeValue::AsPath(encode_path(&path, style.four_octet_as))),
    ];
    if let Some(med) = route.med {
        values.push((OPTIONAL, PathAttributeValue::MultiExitDiscriminator(MultiExitDiscriminator::new(med))));
    }
    if style.is_internal {
        values.push((WELL_KNOWN, PathAttributeValue::LocalPreference(LocalPreference::new(LOCAL_PREF))));
    }
    if !route.communities.is_empty() {
        let communities: Vec<_> = route.communities.iter().map(|&value| Community::new(value)).collect();
        values.push((OPTIONAL_TRANSITIVE, PathAttributeValue::Communities(Communities::new(communities))));
    }
    if !route.extended_communities.is_empty() {
        let communities = UnknownAttribute::new(EXTENDED_COMMUNITIES, route.extended_communities.concat());
        values.push((OPTIONAL_TRANSITIVE, PathAttributeValue::UnknownAttribute(communities)));
    }
    if is_translated {
        values.push((OPTIONAL_TRANSITIVE, PathAttributeValue::As4Path(As4Path::new(as4_segments(&path)))));
    }
    if !route.large_communities.is_empty() {
        let large = route.large_communities.iter().map(|&[a, b, c]| LargeCommunity::new(a, b, c));
        let large = LargeCommunities::new(large.collect::<Vec<_>>());
        values.push((OPTIONAL_TRANSITIVE, PathAttributeValue::LargeCommunities(large)));
    }
    values.into_iter().filter_map(|(flags, value)| attribute(flags, value)).collect()
}

/// The own AS once, and as often again as is configured; nothing within the AS (RFC 4271 §5.1.2).
fn as_path(route: &RouteAttributes, style: &Style) -> Vec<u32> {
    if style.is_internal { Vec::new() } else { vec![style.local_as; usize::from(route.prepend) + 1] }
}

fn as4_segments(path: &[u32]) -> Vec<As4PathSegment> {
    path.chunks(SEGMENT_LENGTH_MAX).map(|chunk| As4PathSegment::new(AsPathSegmentType::AsSequence, chunk)).collect()
}

fn encode_path(path: &[u32], four_octet_as: bool) -> AsPath {
    if four_octet_as {
        return AsPath::as4_path_segments(as4_segments(path));
    }
    let short: Vec<_> = path.iter().map(|&number| u16::try_from(number).unwrap_or(AS_TRANS)).collect();
    let segments =
        short.chunks(SEGMENT_LENGTH_MAX).map(|chunk| As2PathSegment::new(AsPathSegmentType::AsSequence, chunk));
    AsPath::as2_path_segments(segments.collect::<Vec<_>>())
}

/// Prefixes that are none of IPv4 unicast are left out: no configuration that was checked has any.
fn ipv4(prefixes: &[IpNet]) -> Vec<Ipv4UnicastAddress> {
    let net = |prefix: &IpNet| match prefix {
        IpNet::V4(net) => Ipv4Unicast::from_net(Ipv4Net::trunc(net)).ok(),
        IpNet::V6(_) => None,
    };
    prefixes.iter().filter_map(net).map(Ipv4UnicastAddress::new_no_path_id).collect()
}

fn ipv6(prefixes: &[IpNet]) -> Vec<Ipv6UnicastAddress> {
    let net = |prefix: &IpNet| match prefix {
        IpNet::V6(net) => Ipv6Unicast::from_net(Ipv6Net::trunc(net)).ok(),
        IpNet::V4(_) => None,
    };
    prefixes.iter().filter_map(net).map(|net| Ipv6UnicastAddress::new(None, net)).collect()
}

fn mp_reach(family: Family, prefixes: &[IpNet], style: &Style) -> MpReach {
    match (family, style.next_hop) {
        (Family::Ipv4, next_hop) => MpReach::Ipv4Unicast {
            next_hop,
            next_hop_local: style.link_local.filter(|_| next_hop.is_ipv6()),
            nlri: ipv4(prefixes).into(),
        },
        (Family::Ipv6, next_hop) => MpReach::Ipv6Unicast {
            next_hop_global: match next_hop {
                IpAddr::V6(address) => address,
                IpAddr::V4(address) => Ipv4Addr::to_ipv6_mapped(&address),
            },
            next_hop_local: style.link_local,
            nlri: ipv6(prefixes).into(),
        },
    }
}

fn mp_unreach(family: Family, prefixes: &[IpNet]) -> MpUnreach {
    match family {
        Family::Ipv4 => MpUnreach::Ipv4Unicast { nlri: ipv4(prefixes).into() },
        Family::Ipv6 => MpUnreach::Ipv6Unicast { nlri: ipv6(prefixes).into() },
    }
}
