//! UPDATE messages that came: which routes they announce and withdraw, and what is wrong with them (RFC 7606).

mod attributes;
mod reach;
mod rules;

use ipnet::IpNet;

pub(crate) use attributes::Attributes;
use attributes::Walk;
pub(crate) use reach::Reach;
use reach::{parse_reach, parse_unreach};
use rules::Approach;

use super::nlri::{Family, PerFamily, parse_prefixes};
use super::notification::{INVALID_NETWORK_FIELD, MALFORMED_ATTRIBUTE_LIST, Notification};

/// What an UPDATE means depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    /// AS numbers have four octets in AS_PATH and AGGREGATOR (RFC 6793).
    pub(crate) four_octet_as: bool,
    /// Both sides are in one autonomous system.
    pub(crate) is_internal: bool,
    /// Families that both sides speak.
    pub(crate) families: PerFamily<bool>,
    /// IPv4 routes may have an IPv6 next hop (RFC 8950).
    pub(crate) extended_next_hop: bool,
}

/// What an UPDATE says.
#[derive(Debug, Default)]
pub(crate) struct Update<'a> {
    /// Prefixes that are withdrawn, also those that were to be announced by a malformed message.
    pub(crate) withdrawn: Vec<IpNet>,
    /// Prefixes that are announced.
    pub(crate) announced: Vec<Reach>,
    /// What the announced ones have in common.
    pub(crate) attributes: Attributes<'a>,
    /// Attributes that were left out.
    pub(crate) discarded: u64,
    /// Why what was announced is taken as withdrawn.
    pub(crate) treated_as_withdraw: Option<String>,
}

/// Reads the body of an UPDATE; an error is what ends the session.
///
/// ```text
/// +-----------------------------------------------------+
/// |   Withdrawn Routes Length (2 octets)                |
/// +-----------------------------------------------------+
/// |   Withdrawn Routes (variable)                       |
/// +-----------------------------------------------------+
/// |   Total Path Attribute Length (2 octets)            |
/// +-----------------------------------------------------+
/// |   Path Attributes (variable)                        |
/// +-----------------------------------------------------+
/// |   Network Layer Reachability Information (variable) |
/// +-----------------------------------------------------+
/// ```
///
/// RFC 4271 §4.3.
pub(crate) fn decode<'a>(body: &'a [u8], session: &Session) -> Result<Update<'a>, Notification> {
    let malformed_list = || Notification::new(MALFORMED_ATTRIBUTE_LIST, []);
    let (withdrawn, rest) = split_field(body).ok_or_else(malformed_list)?;
    let (attributes, nlri) = split_field(rest).ok_or_else(malformed_list)?;
    let bad_field = |_| Notification::new(INVALID_NETWORK_FIELD, []);
    let mut withdrawn = parse_prefixes(Family::Ipv4, withdrawn).map_err(bad_field)?;
    let nlri_prefixes = parse_prefixes(Family::Ipv4, nlri).map_err(bad_field)?;

    let mut walk = Walk::new(attributes, session)?;
    if let Some(raw) = walk.attributes.mp_unreach {
        withdrawn.extend(parse_unreach(raw, session)?);
    }
    let mp_reach = walk.attributes.mp_reach.map(|raw| parse_reach(raw, session)).transpose()?;
    if let (Some(Some(reach)), Some(raw)) = (&mp_reach, walk.attributes.mp_reach)
        && !reach.has_fitting_next_hop(session)
    {
        walk.note_unfitting_next_hop(raw);
    }
    let has_reachable = !nlri.is_empty() || mp_reach.is_some();
    if has_reachable {
        walk.check_mandatory(session, !nlri.is_empty());
    }
    let announced = [nlri_reach(&walk, nlri_prefixes), mp_reach.flatten()].into_iter().flatten().collect();
    conclude(walk, withdrawn, announced, has_reachable)
}

/// What follows from the strongest error.
fn conclude<'a>(
    walk: Walk<'a>,
    mut withdrawn: Vec<IpNet>,
    announced: Vec<Reach>,
    has_reachable: bool,
) -> Result<Update<'a>, Notification> {
    let Walk { attributes, malformed, discarded, has_more_than_unreach, .. } = walk;
    let update = Update { attributes, discarded, ..Update::default() };
    let Some(malformed) = malformed.filter(|malformed| malformed.approach > Approach::Discard) else {
        return Ok(Update { withdrawn, announced, ..update });
    };
    // RFC 7606 §5.2: with attributes and yet no routes, the routes may have been what could not be read.
    let is_routeless = has_more_than_unreach && !has_reachable;
    if malformed.approach == Approach::SessionReset || is_routeless {
        return Err(malformed.notification);
    }
    withdrawn.extend(announced.into_iter().flat_map(|reach| reach.prefixes));
    Ok(Update { withdrawn, treated_as_withdraw: Some(malformed.problem), ..update })
}

/// Routes of the last field. Their next hop is missing only where they are about to be taken as withdrawn.
fn nlri_reach(walk: &Walk<'_>, prefixes: Vec<IpNet>) -> Option<Reach> {
    let next_hop = walk.attributes.next_hop.unwrap_or(std::net::Ipv4Addr::UNSPECIFIED);
    (!prefixes.is_empty()).then(|| Reach { prefixes, next_hop: next_hop.into() })
}

/// A length in two octets and as much of the bytes; and the rest.
fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(length)))
}
