//! What a node does against floods: which filters, how strict, who is exempt.

use crate::prefix::Prefix;

/// How far defences go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefenceMode {
    /// Nothing is looked at.
    Off,
    /// Everything is looked at and counted; nobody is answered otherwise than without.
    Observe,
    /// What the filters say is done.
    #[default]
    On,
}

impl DefenceMode {
    /// All of them, the least first.
    pub const ALL: [DefenceMode; 3] = [DefenceMode::Off, DefenceMode::Observe, DefenceMode::On];

    /// As the file has it.
    pub fn as_str(self) -> &'static str {
        match self {
            DefenceMode::Off => "off",
            DefenceMode::Observe => "observe",
            DefenceMode::On => "on",
        }
    }
}

/// The filters, in the order in which a query meets them. Each is also the reason of what it does: the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// Its source is on the list of those that are blocked.
    Blocked,
    /// Its like has crashed or hung an answer a moment ago.
    QueryOfDeath,
    /// It cannot be read, or asks for what nobody asks for.
    Malformed,
    /// Its source asks more than one client may.
    Client,
    /// Its prefix asks more than one prefix may.
    Prefix,
    /// Its source has the answer already: it asks again within the TTL.
    Repetition,
    /// Its source is not known to be good, while random sources ask.
    UnknownSource,
    /// Its answer is not at hand, while more is asked than usual.
    Miss,
    /// Its name does not exist, below a suffix at which random names are asked for.
    RandomName,
    /// Its prefix gets more answers of a kind than a client needs: somebody may be reflected at.
    ResponseRate,
    /// Its connection, or its client's connections, cost more than others'.
    Stream,
}

impl Filter {
    /// All of them, in the order of the chain.
    pub const ALL: [Filter; 11] = [
        Filter::Blocked,
        Filter::QueryOfDeath,
        Filter::Malformed,
        Filter::Client,
        Filter::Prefix,
        Filter::Repetition,
        Filter::UnknownSource,
        Filter::Miss,
        Filter::RandomName,
        Filter::ResponseRate,
        Filter::Stream,
    ];

    /// The metric's label, and its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Filter::Blocked => "blocked",
            Filter::QueryOfDeath => "query-of-death",
            Filter::Malformed => "malformed",
            Filter::Client => "client",
            Filter::Prefix => "prefix",
            Filter::Repetition => "repetition",
            Filter::UnknownSource => "unknown-source",
            Filter::Miss => "miss",
            Filter::RandomName => "random-name",
            Filter::ResponseRate => "response-rate",
            Filter::Stream => "stream",
        }
    }
}

/// A node's defences against floods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defences {
    /// How far any of them may go.
    pub mode: DefenceMode,
    /// How far each filter may go, in the order of [`Filter::ALL`].
    pub filters: [DefenceMode; Filter::ALL.len()],
    /// Sources that are never limited.
    pub allow: Vec<Prefix>,
    /// Sources that are never answered.
    pub block: Vec<Prefix>,
    /// Sources that are known to be good, whatever was learned of them.
    pub known_good: Vec<Prefix>,
    /// The node's normal rate in queries a second, set by hand; else it is learned.
    pub normal_per_s: Option<u32>,
    /// A learned normal rate counts as at least this many queries a second.
    pub normal_per_s_min: u32,
    /// Above so many times the normal rate, what is not at hand is filtered.
    pub miss_threshold: u32,
    /// Above so many times the normal rate, only known-good sources are served.
    pub random_source_threshold: u32,
    /// Queries a second that one source may send.
    pub client_per_s: u32,
    /// Queries a second that one prefix may send.
    pub prefix_per_s: u32,
    /// A known-good source may send so many times what others may.
    pub known_good_factor: u32,
    /// Length of a prefix of IPv4 sources that share a budget.
    pub ipv4_prefix: u8,
    /// Length of a prefix of IPv6 sources that share a budget.
    pub ipv6_prefix: u8,
    /// Queries a second that one source may repeat within the TTL of the answer it got.
    pub repeats_per_s: u32,
    /// How long a source must have behaved well before it is known good.
    pub known_good_after_s: u32,
    /// A known-good source that is not heard of for so long is forgotten.
    pub known_good_lifetime_s: u32,
    /// Distinct names that do not exist, a second, below one suffix, from which on they count as random.
    pub random_names_per_s: u32,
    /// Answers of one kind, a second, that one prefix gets over UDP without a cookie.
    pub responses_per_s: u32,
    /// Every so many of the answers above that is sent truncated, so that a real client asks again over TCP; 0: none.
    pub slip: u32,
    /// The part of its core's time, in percent, that TCP may take while UDP has more than it can answer.
    pub stream_cpu_percent: u32,
    /// How long the like of a query that crashed or hung an answer is dropped.
    pub quarantine_s: u32,
}

impl Defences {
    /// How far a filter goes: as far as both it and all of them may.
    pub fn mode_of(&self, filter: Filter) -> DefenceMode {
        let own = Filter::ALL.iter().zip(self.filters).find(|(known, _)| **known == filter);
        own.map_or(self.mode, |(_, own)| own.min(self.mode))
    }
}

impl Default for Defences {
    fn default() -> Self {
        Defences {
            mode: DefenceMode::On,
            filters: [DefenceMode::On; Filter::ALL.len()],
            allow: Vec::new(),
            block: Vec::new(),
            known_good: Vec::new(),
            normal_per_s: None,
            normal_per_s_min: 1000,
            miss_threshold: 20,
            random_source_threshold: 50,
            client_per_s: 200,
            prefix_per_s: 1000,
            known_good_factor: 10,
            ipv4_prefix: 24,
            ipv6_prefix: 56,
            repeats_per_s: 10,
            known_good_after_s: 600,
            known_good_lifetime_s: 30 * 86_400,
            random_names_per_s: 100,
            responses_per_s: 50,
            slip: 2,
            stream_cpu_percent: 30,
            quarantine_s: 600,
        }
    }
}
