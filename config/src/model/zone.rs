//! Zones: how each is filled, and what is answered for it.

use super::{DnssecPolicy, Timers, TransferLimits, ZoneCheck, Zonemd};

/// A zone that the edges answer for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its apex: absolute, lowercase, with a dot at the end.
    pub name: String,
    /// The origins it is fetched from; the first that works is taken.
    pub origins: Vec<String>,
    /// How it is kept equal to its origins.
    pub mode: Mode,
    /// Clamps on the timers of its SOA.
    pub timers: Timers,
    /// Bounds on a transfer.
    pub transfer: TransferLimits,
    /// What is answered once the zone has expired.
    pub on_expire: OnExpire,
    /// Whether differences (IXFR) are asked for.
    pub ixfr: bool,
    /// In mode pull: time between two fetches.
    pub pull_interval_s: u32,
    /// Whether its digest is verified.
    pub zonemd: Zonemd,
    /// Whether its signatures are verified.
    pub dnssec: DnssecPolicy,
    /// In mode on-demand: how its origins are asked, and how long answers are kept.
    pub on_demand: OnDemand,
    /// A copy that no origin has confirmed for so long is too old: the node would rather not be asked.
    pub fresh_s_max: Option<u32>,
    /// What a node asks its own sockets, beside the SOA, to know that it answers correctly.
    pub checks: Vec<ZoneCheck>,
    /// Its normal rate in queries a second, set by hand; else each node learns its own.
    pub normal_per_s: Option<u32>,
    /// The catalog that it is a member of. Never set by the file: whoever reads the catalog sets it.
    pub catalog: Option<String>,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            name: String::new(),
            origins: Vec::new(),
            mode: Mode::default(),
            timers: Timers::default(),
            transfer: TransferLimits::default(),
            on_expire: OnExpire::default(),
            ixfr: true,
            pull_interval_s: 300,
            zonemd: Zonemd::default(),
            dnssec: DnssecPolicy::default(),
            on_demand: OnDemand::default(),
            fresh_s_max: None,
            checks: Vec::new(),
            normal_per_s: None,
            catalog: None,
        }
    }
}

/// How a zone is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Full copy; NOTIFY triggers a transfer and the SOA's timers are the safety net.
    #[default]
    Push,
    /// Full copy, fetched at an interval; NOTIFY is not needed, and heeded where it comes.
    Pull,
    /// A cache of what was asked for.
    OnDemand,
}

impl Mode {
    /// The names that the file knows.
    pub const NAMES: &'static [&'static str] = &["push", "pull", "on-demand"];

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::OnDemand => "on-demand",
        }
    }

    /// The mode with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Push, Self::Pull, Self::OnDemand].into_iter().find(|mode| mode.name() == name)
    }
}

/// What is answered for a zone once it has expired (RFC 1035 §3.3.13).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExpire {
    /// SERVFAIL, with an extended DNS error.
    #[default]
    ServFail,
    /// The last copy (RFC 8767).
    Serve,
}

/// How the origins of a zone in mode on-demand are asked, and how long their answers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDemand {
    /// Questions to the zone's origins in a second.
    pub misses_per_s_max: u32,
    /// Questions to the zone's origins at one time.
    pub misses_in_flight_max: u32,
    /// Clients that wait for the zone's origins at one time.
    pub clients_waiting_max: u32,
    /// Longest time that an answer is kept.
    pub ttl_s_max: u32,
    /// Longest time that a name or type is remembered not to exist (RFC 2308).
    pub negative_ttl_s_max: u32,
    /// How long after its TTL an answer still serves when no origin answers (RFC 8767); 0 means never.
    pub stale_s_max: u32,
    /// The TTL of such an answer.
    pub stale_ttl_s: u32,
    /// How long a client waits for an origin before it gets a stale answer, or SERVFAIL.
    pub client_wait_ms: u32,
    /// How long one question to one address may take.
    pub origin_timeout_ms: u32,
    /// Whether answers in demand are asked for again before they expire.
    pub prefetch: bool,
    /// Whether NSEC records answer for names that they prove not to exist (RFC 8198).
    pub synthesise: bool,
    /// Whether questions have letters in random case.
    pub case_randomisation: bool,
    /// The first miss also fetches the whole zone if it has at most so many records; 0 means never.
    pub whole_records_max: u64,
}

impl Default for OnDemand {
    fn default() -> Self {
        Self {
            misses_per_s_max: 200,
            misses_in_flight_max: 256,
            clients_waiting_max: 4096,
            ttl_s_max: 86_400,
            negative_ttl_s_max: 10_800,
            stale_s_max: 86_400,
            stale_ttl_s: 30,
            client_wait_ms: 1800,
            origin_timeout_ms: 800,
            prefetch: true,
            synthesise: true,
            case_randomisation: true,
            whole_records_max: 0,
        }
    }
}
