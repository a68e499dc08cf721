//! What full copies have in common: timers, bounds, and what is verified before a copy is served.

/// Clamps on the timers of a zone's SOA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Least time between two SOA queries.
    pub refresh_s_min: u32,
    /// Most time between two SOA queries.
    pub refresh_s_max: u32,
    /// Least time after a failed attempt.
    pub retry_s_min: u32,
    /// Most time after a failed attempt.
    pub retry_s_max: u32,
    /// Least time until a copy without contact expires.
    pub expire_s_min: u32,
    /// Most time until a copy without contact expires.
    pub expire_s_max: u32,
    /// Refresh and retry come up to this much earlier, so that zones don't move in step.
    pub jitter_percent: u8,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            refresh_s_min: 30,
            refresh_s_max: 86_400,
            retry_s_min: 5,
            retry_s_max: 3600,
            expire_s_min: 600,
            expire_s_max: 2_419_200,
            jitter_percent: 10,
        }
    }
}

/// Bounds on one zone transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// Records in the zone.
    pub records_max: u64,
    /// Bytes received.
    pub bytes_max: u64,
    /// The whole transfer.
    pub duration_s_max: u32,
    /// Silence within the transfer.
    pub idle_s_max: u32,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self { records_max: 20_000_000, bytes_max: 4 << 30, duration_s_max: 3600, idle_s_max: 30 }
    }
}

/// Whether a zone's digest (ZONEMD, RFC 8976) is verified before a new copy is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zonemd {
    /// Never.
    Off,
    /// Where it has one.
    #[default]
    Verify,
    /// Always: a copy without one is not taken.
    Require,
}

/// What is verified of a zone's signatures before a new copy is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnssecPolicy {
    /// Whether anything is.
    pub validate: bool,
    /// Signatures that expire sooner than this are reported.
    pub expiry_margin_s: u32,
    /// What the zone's keys must match; without any, its own DNSKEY RRset is believed.
    pub trust_anchors: Vec<TrustAnchor>,
}

impl Default for DnssecPolicy {
    fn default() -> Self {
        Self { validate: false, expiry_margin_s: 86_400, trust_anchors: Vec::new() }
    }
}

/// A DS record's fields (RFC 4034 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustAnchor {
    /// The key tag of the DNSKEY.
    pub key_tag: u16,
    /// The algorithm of the DNSKEY.
    pub algorithm: u8,
    /// The algorithm of the digest.
    pub digest_type: u8,
    /// The digest.
    pub digest: Vec<u8>,
}
