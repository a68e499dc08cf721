//! What can be wrong with the signatures of a zone.

/// Why an RRset, or a zone, does not pass DNSSEC validation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnssecFault {
    /// It should be signed and is not.
    #[error("it is not signed")]
    Unsigned,
    /// The zone has no key that may sign.
    #[error("the zone has no key that may sign it")]
    NoKeys,
    /// No key is one that a trust anchor names.
    #[error("none of the zone's keys is one that dnssec.trust_anchors names")]
    NoAnchor,
    /// The chain of NSEC or NSEC3 records has a gap here.
    #[error("the chain of NSEC or NSEC3 records is not complete here")]
    ChainGap,
    /// A record of the chain says that other types are at its name than there are.
    #[error("its list of types is not what its name owns")]
    ChainTypes,
    /// A signature or a key that is none.
    #[error("its signature is malformed")]
    Malformed,
    /// The signature names another zone as its signer.
    #[error("its signature names another zone as the signer")]
    OtherSigner,
    /// The signature is for a wildcard that the name was expanded from, which no zone itself holds.
    #[error("its signature is for another number of labels ({found}, not {expected})")]
    Labels {
        /// The labels of the owner.
        expected: u8,
        /// The labels that the signature is for.
        found: u8,
    },
    /// The key is not one of the zone's.
    #[error("it is signed by key {key_tag} (algorithm {algorithm}), which the zone's DNSKEY RRset does not have")]
    NoSuchKey {
        /// The key's tag (RFC 4034 Appendix B).
        key_tag: u16,
        /// The key's algorithm.
        algorithm: u8,
    },
    /// No signature has an algorithm that is understood here.
    #[error("it is signed with algorithm {algorithm} alone, which is not supported (8, 10, 13, 14 and 15 are)")]
    UnsupportedAlgorithm {
        /// The algorithm of a signature (IANA's registry of DNSSEC algorithms).
        algorithm: u8,
    },
    /// The signature has died.
    #[error("its signature by key {key_tag} expired {} s ago", now_unix_s.saturating_sub(*expired_unix_s))]
    Expired {
        /// The key's tag.
        key_tag: u16,
        /// When, in seconds since 1970.
        expired_unix_s: u64,
        /// When it was looked at.
        now_unix_s: u64,
    },
    /// The signature is of the future.
    #[error("its signature by key {key_tag} is valid only in {} s: compare the clocks", from_unix_s.saturating_sub(*now_unix_s))]
    NotYetValid {
        /// The key's tag.
        key_tag: u16,
        /// From when on, in seconds since 1970.
        from_unix_s: u64,
        /// When it was looked at.
        now_unix_s: u64,
    },
    /// The signature is wrong.
    #[error("its signature by key {key_tag} (algorithm {algorithm}) does not hold")]
    BadSignature {
        /// The key's tag.
        key_tag: u16,
        /// The key's algorithm.
        algorithm: u8,
    },
}

impl DnssecFault {
    /// Whether differences that did not fit our copy could be the reason, and the whole zone be right.
    pub(crate) fn may_be_ours(&self) -> bool {
        matches!(
            self,
            DnssecFault::Unsigned
                | DnssecFault::NoSuchKey { .. }
                | DnssecFault::BadSignature { .. }
                | DnssecFault::ChainGap
                | DnssecFault::ChainTypes
        )
    }

    /// How much the fault tells: of several signatures, none of which holds, the most telling one's fault is reported.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            DnssecFault::Unsigned => 0,
            DnssecFault::NoKeys | DnssecFault::NoAnchor | DnssecFault::ChainGap | DnssecFault::ChainTypes => 0,
            DnssecFault::Malformed => 1,
            DnssecFault::OtherSigner => 2,
            DnssecFault::NoSuchKey { .. } => 3,
            DnssecFault::UnsupportedAlgorithm { .. } => 4,
            DnssecFault::Labels { .. } => 5,
            DnssecFault::NotYetValid { .. } => 6,
            DnssecFault::Expired { .. } => 7,
            DnssecFault::BadSignature { .. } => 8,
        }
    }
}
