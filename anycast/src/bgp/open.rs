//! OPEN messages: what is offered, what is read, and what both sides agree on.

use std::net::Ipv4Addr;

use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::{
    BgpCapability, ExtendedNextHopEncoding, ExtendedNextHopEncodingCapability, FourOctetAsCapability,
    GracefulRestartAddressFamily, GracefulRestartCapability, MultiProtocolExtensionsCapability,
};
use netgauze_bgp_pkt::open::{BgpOpenMessage, BgpOpenMessageParameter};
use netgauze_iana::address_family::{AddressFamily, AddressType};
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFrom;

use super::nlri::{Family, PerFamily};
use super::notification::{
    BAD_BGP_IDENTIFIER, BAD_PEER_AS, Notification, OPEN_UNSPECIFIC, UNACCEPTABLE_HOLD_TIME, UNSUPPORTED_CAPABILITY,
    UNSUPPORTED_OPTIONAL_PARAMETER, UNSUPPORTED_VERSION,
};
use super::peer::PeerSettings;
use super::{AS_TRANS, write_message};

const VERSION: u8 = 4;
/// Optional parameter: capabilities (RFC 5492 §4).
const CAPABILITIES: u8 = 2;
/// Optional parameter type and length that announce lengths of two octets (RFC 9072 §2).
const EXTENDED_LENGTH: u8 = 255;
/// Hold times below this, other than 0, are refused (RFC 4271 §4.2).
const HOLD_TIME_S_MIN: u16 = 3;

/// What the other side offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) asn: u32,
    pub(crate) hold_time_s: u16,
    pub(crate) id: Ipv4Addr,
    pub(crate) capabilities: Capabilities,
}

/// The capabilities that are understood; others are of no account (RFC 5492 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Families named by multiprotocol capabilities, whether or not they are known here.
    has_multiprotocol: bool,
    multiprotocol: PerFamily<bool>,
    four_octet_as: Option<u32>,
    route_refresh: bool,
    enhanced_route_refresh: bool,
    extended_next_hop: bool,
    /// Graceful restart, and whether notifications are part of it (RFC 8538).
    graceful_restart: Option<bool>,
}

/// What both sides can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) hold_time_s: u16,
    pub(crate) families: PerFamily<bool>,
    pub(crate) extended_next_hop: bool,
    pub(crate) four_octet_as: bool,
    pub(crate) route_refresh: bool,
    pub(crate) enhanced_route_refresh: bool,
    pub(crate) graceful_restart: bool,
    pub(crate) graceful_notification: bool,
}

/// An OPEN that is not accepted: what to answer, and what to tell people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) notification: Notification,
    pub(crate) problem: String,
}

fn refuse(notification: Notification, problem: impl Into<String>) -> Refused {
    Refused { notification, problem: problem.into() }
}

/// The OPEN of this node. `restarting` sets the restart state bit (RFC 4724 §3): no session has stood since the start.
pub(crate) fn encode(settings: &PeerSettings, restarting: bool) -> Vec<u8> {
    let my_as = u16::try_from(settings.local_as).unwrap_or(AS_TRANS);
    let parameters = [BgpOpenMessageParameter::new_capabilities(offered(settings, restarting))];
    write_message(&BgpMessage::Open(BgpOpenMessage::new(my_as, settings.hold_time_s, settings.router_id, parameters)))
}

fn families(settings: &PeerSettings) -> impl Iterator<Item = Family> {
    let wanted = PerFamily::new(settings.ipv4, settings.ipv6);
    Family::ALL.into_iter().filter(move |&family| wanted.get(family))
}

fn offered(settings: &PeerSettings, restarting: bool) -> Vec<BgpCapability> {
    let mut capabilities: Vec<_> = families(settings).map(multiprotocol).collect();
    capabilities.push(BgpCapability::RouteRefresh);
    if settings.extended_next_hop && settings.ipv4 {
        let encoding = ExtendedNextHopEncoding::new(AddressType::Ipv4Unicast, AddressFamily::IPv6);
        capabilities.push(BgpCapability::ExtendedNextHopEncoding(ExtendedNextHopEncodingCapability::new([encoding])));
    }
    if settings.graceful_restart_s > 0 {
        let kept = families(settings).map(|family| GracefulRestartAddressFamily::new(true, family.address_type()));
        capabilities.push(BgpCapability::GracefulRestartCapability(GracefulRestartCapability::new(
            restarting,
            true,
            settings.graceful_restart_s.min(RESTART_S_MAX),
            kept.collect::<Vec<_>>(),
        )));
    }
    capabilities.push(BgpCapability::FourOctetAs(FourOctetAsCapability::new(settings.local_as)));
    capabilities.push(BgpCapability::EnhancedRouteRefresh);
    capabilities
}

/// The restart time has 12 bits (RFC 4724 §3).
const RESTART_S_MAX: u16 = 0x0fff;

fn multiprotocol(family: Family) -> BgpCapability {
    BgpCapability::MultiProtocolExtensions(MultiProtocolExtensionsCapability::new(family.address_type()))
}

impl Open {
    /// The body of an OPEN message.
    ///
    /// ```text
    /// +-+-+-+-+-+-+-+-+
    /// |    Version    |
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// |     My Autonomous System      |
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// |           Hold Time           |
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// |                         BGP Identifier                        |
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// | Opt Parm Len  |   Optional Parameters (variable)              |
    /// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    /// ```
    ///
    /// RFC 4271 §4.2; the errors in the order of §6.2.
    pub(crate) fn decode(body: &[u8]) -> Result<Self, Refused> {
        let unspecific = || refuse(Notification::new(OPEN_UNSPECIFIC, []), "its OPEN message is malformed");
        let (&[version, as1, as2, hold1, hold2, id1, id2, id3, id4, length], rest) =
            body.split_first_chunk().ok_or_else(unspecific)?;
        if version != VERSION {
            let notification = Notification::new(UNSUPPORTED_VERSION, u16::from(VERSION).to_be_bytes());
            return Err(refuse(
                notification,
                format!("the router speaks BGP version {version}, only 4 is spoken here"),
            ));
        }
        let parameters = parameters(length, rest).ok_or_else(unspecific)?;
        let capabilities = Capabilities::decode(parameters)?;
        let asn = capabilities.four_octet_as.unwrap_or(u32::from(u16::from_be_bytes([as1, as2])));
        let hold_time_s = u16::from_be_bytes([hold1, hold2]);
        Ok(Self { asn, hold_time_s, id: Ipv4Addr::new(id1, id2, id3, id4), capabilities })
    }

    /// Whether this is the neighbour that the file describes, and what can be done with it.
    pub(crate) fn agree(&self, settings: &PeerSettings) -> Result<Agreed, Refused> {
        if self.asn != settings.remote_as {
            let said = format!("the router says it is AS {}, the file says {}", self.asn, settings.remote_as);
            return Err(refuse(Notification::new(BAD_PEER_AS, self.asn.to_be_bytes()), said));
        }
        if self.id.is_unspecified() || settings.is_internal() && self.id == settings.router_id {
            let said = format!("the router's BGP identifier {} is none, or this node's own", self.id);
            return Err(refuse(Notification::new(BAD_BGP_IDENTIFIER, self.id.octets()), said));
        }
        if (1..HOLD_TIME_S_MIN).contains(&self.hold_time_s) {
            let said = format!("the router offers a hold time of {} s, which BGP does not allow", self.hold_time_s);
            return Err(refuse(Notification::new(UNACCEPTABLE_HOLD_TIME, self.hold_time_s.to_be_bytes()), said));
        }
        let families = self.common_families(settings)?;
        let theirs = &self.capabilities;
        let graceful_restart = settings.graceful_restart_s > 0 && theirs.graceful_restart.is_some();
        Ok(Agreed {
            hold_time_s: settings.hold_time_s.min(self.hold_time_s),
            families,
            extended_next_hop: settings.extended_next_hop && theirs.extended_next_hop && families.get(Family::Ipv4),
            four_octet_as: theirs.four_octet_as.is_some(),
            route_refresh: theirs.route_refresh,
            enhanced_route_refresh: theirs.enhanced_route_refresh,
            graceful_restart,
            graceful_notification: graceful_restart && theirs.graceful_restart == Some(true),
        })
    }

    /// Families that both sides want. A neighbour that names none speaks IPv4 (RFC 4760 §8).
    fn common_families(&self, settings: &PeerSettings) -> Result<PerFamily<bool>, Refused> {
        let theirs = if self.capabilities.has_multiprotocol {
            self.capabilities.multiprotocol
        } else {
            PerFamily::new(true, false)
        };
        let mut common = PerFamily::default();
        for family in families(settings) {
            common.set(family, theirs.get(family));
        }
        if Family::ALL.into_iter().any(|family| common.get(family)) {
            return Ok(common);
        }
        let wanted: Vec<_> = families(settings).map(Family::name).collect();
        let said = format!("it speaks no family that is configured: {}", wanted.join(", "));
        let mut data = Vec::new();
        for family in families(settings) {
            // Writing to a vector cannot fail.
            let _ = multiprotocol(family).write(&mut data);
        }
        Err(refuse(Notification::new(UNSUPPORTED_CAPABILITY, data), said))
    }
}

/// The optional parameters and how many octets their lengths have: one, or two (RFC 9072).
fn parameters(length: u8, rest: &[u8]) -> Option<(&[u8], bool)> {
    if length == EXTENDED_LENGTH && rest.first() == Some(&EXTENDED_LENGTH) {
        let (&[_, high, low], rest) = rest.split_first_chunk()?;
        return (usize::from(u16::from_be_bytes([high, low])) == rest.len()).then_some((rest, true));
    }
    (usize::from(length) == rest.len()).then_some((rest, false))
}

/// A type, a length and a value; and what comes after.
fn split_parameter(bytes: &[u8], is_extended: bool) -> Option<(u8, &[u8], &[u8])> {
    let (kind, length, rest) = if is_extended {
        let (&[kind, high, low], rest) = bytes.split_first_chunk()?;
        (kind, u16::from_be_bytes([high, low]), rest)
    } else {
        let (&[kind, length], rest) = bytes.split_first_chunk()?;
        (kind, u16::from(length), rest)
    };
    let (value, rest) = rest.split_at_checked(usize::from(length))?;
    Some((kind, value, rest))
}

impl Capabilities {
    /// All capabilities of all parameters; they may be spread (RFC 5492 §4).
    fn decode((mut bytes, is_extended): (&[u8], bool)) -> Result<Self, Refused> {
        let malformed = || refuse(Notification::new(OPEN_UNSPECIFIC, []), "the capabilities in its OPEN are malformed");
        let mut all = Self::default();
        while !bytes.is_empty() {
            let (kind, mut value, rest) = split_parameter(bytes, is_extended).ok_or_else(malformed)?;
            if kind != CAPABILITIES {
                let said = format!("its OPEN has an optional parameter of type {kind}, which is not known here");
                return Err(refuse(Notification::new(UNSUPPORTED_OPTIONAL_PARAMETER, [kind]), said));
            }
            bytes = rest;
            while !value.is_empty() {
                let (_, content, rest) = split_parameter(value, false).ok_or_else(malformed)?;
                let whole = value.get(..content.len() + 2).ok_or_else(malformed)?;
                all.add(whole);
                value = rest;
            }
        }
        Ok(all)
    }

    /// One capability, cut out by its own length: the parser could not find the next one after an unknown family. What
    /// it cannot read is ignored like what is not known.
    fn add(&mut self, bytes: &[u8]) {
        self.has_multiprotocol |= bytes.first() == Some(&1);
        let mut reader = SliceReader::new(bytes);
        let Ok(capability) = BgpCapability::parse(&mut reader) else {
            return;
        };
        if !reader.is_empty() {
            return;
        }
        match capability {
            BgpCapability::MultiProtocolExtensions(value) => {
                for family in Family::ALL {
                    if value.address_type() == family.address_type() {
                        self.multiprotocol.set(family, true);
                    }
                }
            }
            BgpCapability::FourOctetAs(value) => self.four_octet_as = Some(value.asn4()),
            BgpCapability::RouteRefresh => self.route_refresh = true,
            BgpCapability::EnhancedRouteRefresh => self.enhanced_route_refresh = true,
            BgpCapability::GracefulRestartCapability(value) => {
                self.graceful_restart = Some(value.graceful_notification());
            }
            BgpCapability::ExtendedNextHopEncoding(value) => {
                self.extended_next_hop |= value.encodings().iter().any(|encoding| {
                    encoding.address_type() == AddressType::Ipv4Unicast
                        && encoding.next_hop_afi() == AddressFamily::IPv6
                });
            }
            _ => {}
        }
    }
}

impl Agreed {
    /// Families as they are shown.
    pub(crate) fn family_names(&self, ipv4_over_ipv6: bool) -> Vec<String> {
        let spoken = Family::ALL.into_iter().filter(|&family| self.families.get(family));
        let name =
            |family| if family == Family::Ipv4 && ipv4_over_ipv6 { "ipv4 over ipv6" } else { Family::name(family) };
        spoken.map(|family| name(family).to_owned()).collect()
    }

    /// Capabilities as they are shown.
    pub(crate) fn capability_names(&self) -> Vec<String> {
        let names = [
            (self.four_octet_as, "4-byte-as"),
            (self.route_refresh, "route-refresh"),
            (self.enhanced_route_refresh, "enhanced-route-refresh"),
            (self.extended_next_hop, "extended-next-hop"),
            (self.graceful_restart, "graceful-restart"),
            (self.graceful_notification, "graceful-restart-notification"),
        ];
        names.into_iter().filter(|(has, _)| *has).map(|(_, name)| name.to_owned()).collect()
    }
}
