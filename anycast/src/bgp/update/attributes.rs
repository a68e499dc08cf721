//! The path attributes of an UPDATE, one after the other: each is taken, or something follows from what is wrong with it.

use std::net::Ipv4Addr;

use netgauze_bgp_pkt::path_attribute::AsPath;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithTwoInputs;

use super::Session;
use super::rules::{self, Approach, OPTIONAL, Rule, TRANSITIVE};
use crate::bgp::notification::{
    ATTRIBUTE_FLAGS, MALFORMED_ATTRIBUTE_LIST, MISSING_WELL_KNOWN, Notification, OPTIONAL_ATTRIBUTE,
    UNRECOGNIZED_WELL_KNOWN,
};

/// What is read of the attributes. The bytes are known to be well-formed.
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a> {
    pub(crate) origin: Option<u8>,
    pub(crate) as_path: Option<AsPath>,
    pub(crate) as4_path: Option<AsPath>,
    pub(crate) next_hop: Option<Ipv4Addr>,
    pub(crate) med: Option<u32>,
    pub(crate) local_pref: Option<u32>,
    pub(crate) communities: &'a [u8],
    pub(crate) extended_communities: &'a [u8],
    pub(crate) large_communities: &'a [u8],
    pub(super) mp_reach: Option<Raw<'a>>,
    pub(super) mp_unreach: Option<Raw<'a>>,
}

/// The strongest error so far (RFC 7606 §3 h).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) approach: Approach,
    pub(super) notification: Notification,
    pub(super) problem: String,
}

/// One attribute as it stands in the message.
///
/// ```text
///  0                   1
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |  Attr. Flags  |Attr. Type Code|  then the length in one octet, or in two with the Extended Length flag
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    pub(super) flags: u8,
    pub(super) code: u8,
    pub(super) value: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// What came of the walk.
#[derive(Debug, Default)]
pub(super) struct Walk<'a> {
    pub(super) attributes: Attributes<'a>,
    pub(super) malformed: Option<Malformed>,
    /// Attributes that were left out.
    pub(super) discarded: u64,
    /// Whether there is any but MP_UNREACH_NLRI.
    pub(super) has_more_than_unreach: bool,
    seen: Vec<u8>,
}

/// The first attribute and the rest; `None` where the bytes end before it does.
fn split_attribute(bytes: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let (&[flags, code], rest) = bytes.split_first_chunk()?;
    let (length, rest) = if flags & rules::EXTENDED_LENGTH == 0 {
        let (&length, rest) = rest.split_first()?;
        (usize::from(length), rest)
    } else {
        let (&length, rest) = rest.split_first_chunk()?;
        (usize::from(u16::from_be_bytes(length)), rest)
    };
    let (value, rest) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - rest.len())?;
    Some((Raw { flags, code, value, whole }, rest))
}

impl<'a> Walk<'a> {
    /// All attributes. An error is one that no approach but a session reset is left for, and that hides the rest.
    pub(super) fn new(mut bytes: &'a [u8], session: &Session) -> Result<Self, Notification> {
        let mut walk = Self::default();
        while !bytes.is_empty() {
            let Some((raw, rest)) = split_attribute(bytes) else {
                // RFC 7606 §4: where the routes begin is known by the total length all the same.
                walk.has_more_than_unreach = true;
                let notification = Notification::new(MALFORMED_ATTRIBUTE_LIST, []);
                walk.note(Approach::TreatAsWithdraw, notification, || "an attribute is longer than all of them".into());
                break;
            };
            bytes = rest;
            walk.take(raw, session)?;
        }
        Ok(walk)
    }

    fn take(&mut self, raw: Raw<'a>, session: &Session) -> Result<(), Notification> {
        self.has_more_than_unreach |= raw.code != rules::MP_UNREACH_NLRI;
        if self.seen.contains(&raw.code) {
            // RFC 7606 §3 g.
            if matches!(raw.code, rules::MP_REACH_NLRI | rules::MP_UNREACH_NLRI) {
                return Err(Notification::new(MALFORMED_ATTRIBUTE_LIST, []));
            }
            self.discarded += 1;
            return Ok(());
        }
        self.seen.push(raw.code);
        let Some(rule) = rules::of(raw.code) else {
            if raw.flags & OPTIONAL == 0 {
                return Err(Notification::new(UNRECOGNIZED_WELL_KNOWN, raw.whole));
            }
            return Ok(());
        };
        if rule.internal_only && !session.is_internal {
            self.discarded += 1;
            return Ok(());
        }
        if raw.flags & (OPTIONAL | TRANSITIVE) != rule.flags {
            // RFC 7606 §3 c. The routes in a multiprotocol attribute are still to be found.
            let notification = Notification::new(ATTRIBUTE_FLAGS, raw.whole);
            self.note(Approach::TreatAsWithdraw, notification, || format!("{} has the wrong flags", rule.name));
            if !matches!(raw.code, rules::MP_REACH_NLRI | rules::MP_UNREACH_NLRI) {
                return Ok(());
            }
        }
        if !rule.length.allows(raw.value.len(), session.four_octet_as) || self.read(raw, session).is_none() {
            self.note_malformed(raw, rule);
        }
        Ok(())
    }

    pub(super) fn note_malformed(&mut self, raw: Raw<'_>, rule: &Rule) {
        self.discarded += u64::from(rule.approach == Approach::Discard);
        let notification = Notification::new(rule.error, raw.whole);
        self.note(rule.approach, notification, || format!("{} is malformed", rule.name));
    }

    pub(super) fn note_unfitting_next_hop(&mut self, raw: Raw<'_>) {
        let notification = Notification::new(OPTIONAL_ATTRIBUTE, raw.whole);
        let problem = || "the next hop is of a family that was not agreed on".to_owned();
        self.note(Approach::TreatAsWithdraw, notification, problem);
    }

    fn note(&mut self, approach: Approach, notification: Notification, problem: impl FnOnce() -> String) {
        if self.malformed.as_ref().is_none_or(|malformed| malformed.approach < approach) {
            self.malformed = Some(Malformed { approach, notification, problem: problem() });
        }
    }

    /// Takes what an attribute of an allowed length says; `None`: it says nothing that makes sense.
    fn read(&mut self, raw: Raw<'a>, session: &Session) -> Option<()> {
        let attributes = &mut self.attributes;
        match raw.code {
            rules::ORIGIN => attributes.origin = Some(*raw.value.first().filter(|&&origin| origin <= 2)?),
            rules::AS_PATH => attributes.as_path = Some(parse_as_path(raw, session.four_octet_as)?),
            rules::NEXT_HOP => attributes.next_hop = Some(parse_next_hop(raw.value)?),
            rules::MULTI_EXIT_DISC => attributes.med = Some(parse_u32(raw.value)?),
            rules::LOCAL_PREF => attributes.local_pref = Some(parse_u32(raw.value)?),
            rules::COMMUNITIES => attributes.communities = raw.value,
            rules::MP_REACH_NLRI => attributes.mp_reach = Some(raw),
            rules::MP_UNREACH_NLRI => attributes.mp_unreach = Some(raw),
            rules::EXTENDED_COMMUNITIES => attributes.extended_communities = raw.value,
            // From who sends four octets it means nothing (RFC 6793 §6).
            rules::AS4_PATH if session.four_octet_as => self.discarded += 1,
            rules::AS4_PATH => attributes.as4_path = Some(parse_as_path(raw, true)?),
            rules::LARGE_COMMUNITIES => attributes.large_communities = raw.value,
            _ => {}
        }
        Some(())
    }

    /// RFC 7606 §3 d: what every route has. `has_nlri`: there are routes in the last field of the message.
    pub(super) fn check_mandatory(&mut self, session: &Session, has_nlri: bool) {
        let mandatory = [
            (rules::ORIGIN, true),
            (rules::AS_PATH, true),
            (rules::NEXT_HOP, has_nlri),
            (rules::LOCAL_PREF, session.is_internal),
        ];
        for (code, is_needed) in mandatory {
            if is_needed && !self.seen.contains(&code) {
                let notification = Notification::new(MISSING_WELL_KNOWN, [code]);
                self.note(Approach::TreatAsWithdraw, notification, || format!("{} is missing", rules::name(code)));
            }
        }
    }
}

fn parse_u32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|octets| u32::from_be_bytes(*octets))
}

/// An address that a host can have.
fn parse_next_hop(value: &[u8]) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(parse_u32(value)?);
    let is_host = !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast();
    is_host.then_some(address)
}

/// AS_PATH or AS4_PATH; the parser refuses segments of no type, of no AS, and such that end too late (RFC 7606 §7.2).
fn parse_as_path(raw: Raw<'_>, four_octet_as: bool) -> Option<AsPath> {
    let is_extended = raw.flags & rules::EXTENDED_LENGTH != 0;
    // Past flags and type.
    let mut reader = SliceReader::new(raw.whole.get(2..)?);
    AsPath::parse(&mut reader, is_extended, four_octet_as).ok()
}
