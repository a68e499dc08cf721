//! What path attributes look like, and what follows when one does not: RFC 7606 as a table.

use crate::bgp::notification::{
    ATTRIBUTE_LENGTH, Code, INVALID_NEXT_HOP, INVALID_ORIGIN, MALFORMED_AS_PATH, OPTIONAL_ATTRIBUTE,
};

pub(super) const ORIGIN: u8 = 1;
pub(super) const AS_PATH: u8 = 2;
pub(super) const NEXT_HOP: u8 = 3;
pub(super) const MULTI_EXIT_DISC: u8 = 4;
pub(super) const LOCAL_PREF: u8 = 5;
pub(super) const COMMUNITIES: u8 = 8;
pub(super) const MP_REACH_NLRI: u8 = 14;
pub(super) const MP_UNREACH_NLRI: u8 = 15;
pub(super) const EXTENDED_COMMUNITIES: u8 = 16;
pub(super) const AS4_PATH: u8 = 17;
pub(super) const LARGE_COMMUNITIES: u8 = 32;

/// Attribute flags (RFC 4271 §4.3).
pub(super) const OPTIONAL: u8 = 0x80;
pub(super) const TRANSITIVE: u8 = 0x40;
pub(super) const EXTENDED_LENGTH: u8 = 0x10;

/// What follows from an error (RFC 7606 §2), the stronger the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Approach {
    /// The attribute is left out, the routes stay.
    Discard,
    /// The routes are taken as withdrawn.
    TreatAsWithdraw,
    /// The session ends.
    SessionReset,
}

/// Lengths that an attribute may have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Exactly(usize),
    /// Two octets less where AS numbers have two.
    Aggregator,
    /// A multiple, and more than nothing.
    MultipleOf(usize),
    AtLeast(usize),
    Any,
}

impl Length {
    pub(super) fn allows(self, bytes: usize, four_octet_as: bool) -> bool {
        match self {
            Self::Exactly(length) => bytes == length,
            Self::Aggregator => bytes == if four_octet_as { 8 } else { 6 },
            Self::MultipleOf(unit) => bytes > 0 && bytes.is_multiple_of(unit),
            Self::AtLeast(length) => bytes >= length,
            Self::Any => true,
        }
    }
}

/// What is known of a type of attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) code: u8,
    pub(super) name: &'static str,
    /// The Optional and Transitive flags that it has.
    pub(super) flags: u8,
    pub(super) length: Length,
    /// What follows when its length or its content is wrong.
    pub(super) approach: Approach,
    /// Which error that is, should the session end for it.
    pub(super) error: Code,
    /// Whether it means something only within an autonomous system: from outside it is discarded, whatever it is.
    pub(super) internal_only: bool,
}

const WELL_KNOWN: u8 = TRANSITIVE;
const OPTIONAL_TRANSITIVE: u8 = OPTIONAL | TRANSITIVE;

const fn rule(code: u8, name: &'static str, flags: u8, length: Length, approach: Approach, error: Code) -> Rule {
    Rule { code, name, flags, length, approach, error, internal_only: false }
}

const fn internal(code: u8, name: &'static str, flags: u8, length: Length) -> Rule {
    let error = if flags == WELL_KNOWN { ATTRIBUTE_LENGTH } else { OPTIONAL_ATTRIBUTE };
    Rule { internal_only: true, ..rule(code, name, flags, length, Approach::TreatAsWithdraw, error) }
}

/// By section: RFC 7606 §7.1 to §7.16 in their order, then what other documents say of theirs.
#[rustfmt::skip]
static RULES: [Rule; 26] = {
    use Approach::{Discard, SessionReset, TreatAsWithdraw};
    use Length::{Aggregator, Any, AtLeast, Exactly, MultipleOf};
    [
        rule(ORIGIN, "ORIGIN", WELL_KNOWN, Exactly(1), TreatAsWithdraw, INVALID_ORIGIN),                                   // §7.1
        rule(AS_PATH, "AS_PATH", WELL_KNOWN, Any, TreatAsWithdraw, MALFORMED_AS_PATH),                                     // §7.2
        rule(NEXT_HOP, "NEXT_HOP", WELL_KNOWN, Exactly(4), TreatAsWithdraw, INVALID_NEXT_HOP),                             // §7.3
        rule(MULTI_EXIT_DISC, "MULTI_EXIT_DISC", OPTIONAL, Exactly(4), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),               // §7.4
        internal(LOCAL_PREF, "LOCAL_PREF", WELL_KNOWN, Exactly(4)),                                                        // §7.5
        rule(6, "ATOMIC_AGGREGATE", WELL_KNOWN, Exactly(0), Discard, ATTRIBUTE_LENGTH),                                    // §7.6
        rule(7, "AGGREGATOR", OPTIONAL_TRANSITIVE, Aggregator, Discard, OPTIONAL_ATTRIBUTE),                               // §7.7
        rule(COMMUNITIES, "COMMUNITIES", OPTIONAL_TRANSITIVE, MultipleOf(4), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),         // §7.8
        internal(9, "ORIGINATOR_ID", OPTIONAL, Exactly(4)),                                                                // §7.9
        internal(10, "CLUSTER_LIST", OPTIONAL, MultipleOf(4)),                                                             // §7.10
        rule(MP_REACH_NLRI, "MP_REACH_NLRI", OPTIONAL, AtLeast(5), SessionReset, OPTIONAL_ATTRIBUTE),                      // §7.11
        rule(MP_UNREACH_NLRI, "MP_UNREACH_NLRI", OPTIONAL, AtLeast(3), SessionReset, OPTIONAL_ATTRIBUTE),                  // §7.12
        rule(24, "Traffic Engineering", OPTIONAL, AtLeast(1), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),                        // §7.13
        rule(EXTENDED_COMMUNITIES, "EXTENDED_COMMUNITIES", OPTIONAL_TRANSITIVE, MultipleOf(8), TreatAsWithdraw, OPTIONAL_ATTRIBUTE), // §7.14
        rule(25, "IPv6 Address Specific Extended Communities", OPTIONAL_TRANSITIVE, MultipleOf(20), TreatAsWithdraw, OPTIONAL_ATTRIBUTE), // §7.15
        rule(128, "ATTR_SET", OPTIONAL_TRANSITIVE, AtLeast(4), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),                       // §7.16
        rule(AS4_PATH, "AS4_PATH", OPTIONAL_TRANSITIVE, AtLeast(6), Discard, OPTIONAL_ATTRIBUTE),                          // RFC 6793 §6
        rule(18, "AS4_AGGREGATOR", OPTIONAL_TRANSITIVE, Exactly(8), Discard, OPTIONAL_ATTRIBUTE),                          // RFC 6793 §6
        rule(22, "PMSI_TUNNEL", OPTIONAL_TRANSITIVE, AtLeast(5), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),                     // RFC 6514 §5
        rule(23, "Tunnel Encapsulation", OPTIONAL_TRANSITIVE, AtLeast(1), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),            // RFC 9012 §13
        rule(26, "AIGP", OPTIONAL, AtLeast(3), Discard, OPTIONAL_ATTRIBUTE),                                               // RFC 7311 §3.2
        rule(29, "BGP-LS", OPTIONAL, Any, Discard, OPTIONAL_ATTRIBUTE),                                                    // RFC 9552 §8.2.2
        rule(LARGE_COMMUNITIES, "LARGE_COMMUNITY", OPTIONAL_TRANSITIVE, MultipleOf(12), TreatAsWithdraw, OPTIONAL_ATTRIBUTE), // RFC 8092 §6
        rule(33, "BGPsec_Path", OPTIONAL, AtLeast(1), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),                                // RFC 8205 §5.2
        rule(35, "Only to Customer", OPTIONAL_TRANSITIVE, Exactly(4), TreatAsWithdraw, OPTIONAL_ATTRIBUTE),                // RFC 9234 §5
        rule(40, "BGP Prefix-SID", OPTIONAL_TRANSITIVE, AtLeast(3), Discard, OPTIONAL_ATTRIBUTE),                          // RFC 8669 §6
    ]
};

/// The rule for a type, if it is known.
pub(super) fn of(code: u8) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code)
}

/// What an attribute is called.
pub(super) fn name(code: u8) -> String {
    of(code).map_or_else(|| format!("attribute {code}"), |rule| rule.name.to_owned())
}
