//! What the lanes count: each thread for itself and without locks, summed by whoever asks.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
};

use config::Filter;
use wire::Rcode;

use crate::{
    DeathKind,
    kernel::{KernelStats, layout},
};

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram each.
    Udp,
    /// A stream of messages.
    Tcp,
}

impl Transport {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Transport; 2] = [Transport::Udp, Transport::Tcp];

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }
}

/// The family of a client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, in the order in which they are counted.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in the order in which they are counted.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The metric's label.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $label,)* }
            }
        }
    };
}

reasons! {
    /// Why a message or a connection got no (further) answer.
    DropReason {
        /// Fewer bytes than a header has.
        Short = "short",
        /// It is a response itself.
        Response = "response",
        /// Its source has port 0, where no answer can go.
        PortZero = "port-zero",
        /// A NOTIFY that its handler wants unanswered.
        Notify = "notify-ignored",
        /// A signed query that its handler wants unanswered.
        Signed = "signed-ignored",
        /// The answer did not fit the send buffer.
        SendBufferFull = "send-buffer-full",
        /// The system would not send the answer.
        SendFailed = "send-failed",
        /// Its answering panicked.
        Panicked = "panicked",
        /// All TCP connections that there may be are open.
        TcpConnectionsMax = "tcp-connections-max",
        /// The client has as many TCP connections as it may have.
        TcpConnectionsPerClientMax = "tcp-connections-per-client-max",
        /// The connection was worth least when all were open, and made room for another.
        TcpMadeRoom = "tcp-made-room",
        /// Its prefix opens more TCP connections than it may while there are too many, or they cost too much.
        TcpAcceptRate = "tcp-accept-rate",
        /// The connection was idle for too long.
        TcpIdle = "tcp-idle",
        /// A message took too long to arrive.
        TcpSlowWriter = "tcp-slow-writer",
        /// The client took too long to accept its answers.
        TcpSlowReader = "tcp-slow-reader",
        /// A message longer than any query.
        TcpTooLong = "tcp-too-long",
        /// The connection broke.
        TcpBroken = "tcp-broken",
        /// A zone transfer was given up: it took too long, or could not be continued.
        Transfer = "transfer",
        /// The filter of the same name; and so all that follow.
        Blocked = "blocked",
        /// Its like crashed or hung an answer.
        QueryOfDeath = "query-of-death",
        /// It cannot be read, while there is more than can be answered.
        Malformed = "malformed",
        /// Its source asks too much.
        Client = "client",
        /// Its prefix asks too much.
        Prefix = "prefix",
        /// It is asked again and again.
        Repetition = "repetition",
        /// Its source is not known to be good.
        UnknownSource = "unknown-source",
        /// The origin would have to be asked.
        Miss = "miss",
        /// Its name is one of many that do not exist.
        RandomName = "random-name",
        /// Its prefix gets too many answers.
        ResponseRate = "response-rate",
        /// Its connection costs too much.
        Stream = "stream",
    }
}

impl From<Filter> for DropReason {
    fn from(filter: Filter) -> DropReason {
        match filter {
            Filter::Blocked => DropReason::Blocked,
            Filter::QueryOfDeath => DropReason::QueryOfDeath,
            Filter::Malformed => DropReason::Malformed,
            Filter::Client => DropReason::Client,
            Filter::Prefix => DropReason::Prefix,
            Filter::Repetition => DropReason::Repetition,
            Filter::UnknownSource => DropReason::UnknownSource,
            Filter::Miss => DropReason::Miss,
            Filter::RandomName => DropReason::RandomName,
            Filter::ResponseRate => DropReason::ResponseRate,
            Filter::Stream => DropReason::Stream,
        }
    }
}

reasons! {
    /// What happened to questions of zones that are filled on demand.
    OnDemandEvent {
        /// Answered from the cache.
        Hit = "hit",
        /// Answered by NSEC records that were learned before (RFC 8198).
        Synthesised = "synthesised",
        /// Not at hand: it waits for the origin.
        Miss = "miss",
        /// Asked for and near its end: it is fetched again, beside the answer.
        Prefetch = "prefetch",
        /// Answered after the end of its TTL, since the origin is silent (RFC 8767).
        Stale = "stale",
        /// The origin gave no answer.
        Failed = "failed",
        /// As many queries as may wait do so already: SERVFAIL.
        Refused = "refused",
    }
}

/// Response codes that are counted one by one; the others share the last counter.
const RCODES: [Rcode; 10] = [
    Rcode::NOERROR,
    Rcode::FORMERR,
    Rcode::SERVFAIL,
    Rcode::NXDOMAIN,
    Rcode::NOTIMP,
    Rcode::REFUSED,
    Rcode::YXDOMAIN,
    Rcode::NOTAUTH,
    Rcode::BADVERS,
    Rcode::BADCOOKIE,
];

/// The counters of one thread, on cache lines of their own.
///
/// One thread writes, others read: an addition is a load and a store, not a locked instruction.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counters {
    queries: [[AtomicU64; 2]; 2],
    rcodes: [AtomicU64; RCODES.len() + 1],
    truncated: AtomicU64,
    slipped: AtomicU64,
    answer_bytes: AtomicU64,
    batches: AtomicU64,
    wakes: AtomicU64,
    connections: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    on_demand: [AtomicU64; OnDemandEvent::ALL.len()],
}

fn add(counter: &AtomicU64, number: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(number), Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn query(&self, transport: Transport, family: Family) {
        add(&self.queries[transport as usize][family as usize], 1);
    }

    pub(crate) fn answer(&self, rcode: Rcode, truncated: bool, bytes: usize) {
        // The common ones have their own number as their place.
        let place = match rcode.0 {
            code @ 0..=5 => usize::from(code),
            _ => RCODES.iter().position(|&known| known == rcode).unwrap_or(RCODES.len()),
        };
        add(&self.rcodes[place], 1);
        add(&self.answer_bytes, bytes as u64);
        if truncated {
            add(&self.truncated, 1);
        }
    }

    pub(crate) fn dropped(&self, reason: DropReason, number: usize) {
        add(&self.dropped[reason as usize], number as u64);
    }

    /// A truncated answer was all that the filters let a query have.
    pub(crate) fn slipped(&self) {
        add(&self.slipped, 1);
    }

    pub(crate) fn on_demand(&self, event: OnDemandEvent) {
        add(&self.on_demand[event as usize], 1);
    }

    pub(crate) fn batch(&self) {
        add(&self.batches, 1);
    }

    pub(crate) fn connection(&self) {
        add(&self.connections, 1);
    }

    /// The thread is alive: it came back from waiting.
    pub(crate) fn wake(&self) {
        add(&self.wakes, 1);
    }

    pub(crate) fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }
}

/// The sum of all threads' counters, from the start of the edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    queries: [[u64; 2]; 2],
    rcodes: [u64; RCODES.len() + 1],
    dropped: [u64; DropReason::ALL.len()],
    on_demand: [u64; OnDemandEvent::ALL.len()],
    /// Answers with the TC bit.
    pub truncated: u64,
    /// Those among them that have it because of a filter.
    pub slipped: u64,
    /// Bytes of DNS messages written as answers.
    pub answer_bytes: u64,
    /// Batches of datagrams received.
    pub udp_batches: u64,
    /// TCP connections accepted.
    pub tcp_connections: u64,
    /// TCP connections open now.
    pub tcp_connections_open: u64,
    /// Queries that wait for an origin now.
    pub parked: u64,
    /// Messages whose answering panicked or hung, in the order of [`DeathKind::ALL`].
    pub deaths: [u64; DeathKind::ALL.len()],
    /// Lanes whose thread hung or ended and was replaced.
    pub lanes_replaced: u64,
    /// What the kernel lane alone counts, if there is one.
    pub kernel: Option<KernelStats>,
}

impl Stats {
    pub(crate) fn sum<'a>(all: impl IntoIterator<Item = &'a Counters>) -> Stats {
        let mut stats = Stats::default();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for counters in all {
            let flat = counters.queries.iter().flatten();
            stats.queries.iter_mut().flatten().zip(flat).for_each(|(sum, counter)| *sum += load(counter));
            stats.rcodes.iter_mut().zip(&counters.rcodes).for_each(|(sum, counter)| *sum += load(counter));
            stats.dropped.iter_mut().zip(&counters.dropped).for_each(|(sum, counter)| *sum += load(counter));
            stats.on_demand.iter_mut().zip(&counters.on_demand).for_each(|(sum, counter)| *sum += load(counter));
            stats.truncated += load(&counters.truncated);
            stats.slipped += load(&counters.slipped);
            stats.answer_bytes += load(&counters.answer_bytes);
            stats.udp_batches += load(&counters.batches);
            stats.tcp_connections += load(&counters.connections);
        }
        stats
    }

    /// Adds what the kernel lane's program has counted, in the places of layout.h.
    pub(crate) fn add_kernel(&mut self, words: &[u64; layout::COUNTER_WORDS], kernel: KernelStats) {
        let add = |sums: &mut [u64], from: usize| {
            sums.iter_mut().zip(words.iter().skip(from)).for_each(|(sum, number)| *sum += number);
        };
        add(&mut self.queries[Transport::Udp as usize], layout::COUNTER_QUERIES);
        add(&mut self.rcodes, layout::COUNTER_RCODES);
        add(&mut self.dropped, layout::COUNTER_DROPPED);
        add(&mut self.on_demand, layout::COUNTER_ON_DEMAND);
        self.truncated += words[layout::COUNTER_TRUNCATED];
        self.slipped += words[layout::COUNTER_SLIPPED];
        self.answer_bytes += words[layout::COUNTER_ANSWER_BYTES];
        self.kernel = Some(kernel);
    }

    /// Messages received by transport and family, those dropped included.
    pub fn queries(&self) -> impl Iterator<Item = (Transport, Family, u64)> + '_ {
        Transport::ALL.into_iter().flat_map(move |transport| {
            Family::ALL.map(|family| (transport, family, self.queries[transport as usize][family as usize]))
        })
    }

    /// Messages received over all transports.
    pub fn queries_total(&self) -> u64 {
        self.queries.iter().flatten().sum()
    }

    /// Answers by response code; `None` stands for all codes that have no counter of their own.
    pub fn rcodes(&self) -> impl Iterator<Item = (Option<Rcode>, u64)> + '_ {
        RCODES.map(Some).into_iter().chain([None]).zip(self.rcodes)
    }

    /// Answers with this response code.
    pub fn rcode(&self, rcode: Rcode) -> u64 {
        self.rcodes().find(|(known, _)| *known == Some(rcode)).map_or(0, |(_, count)| count)
    }

    /// Messages and connections dropped, by reason.
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().copied().zip(self.dropped)
    }

    /// What happened to questions of zones that are filled on demand.
    pub fn on_demand(&self) -> impl Iterator<Item = (OnDemandEvent, u64)> + '_ {
        OnDemandEvent::ALL.iter().copied().zip(self.on_demand)
    }

    /// How often this happened to a question of such a zone.
    pub fn on_demand_for(&self, event: OnDemandEvent) -> u64 {
        self.on_demand[event as usize]
    }

    /// Messages and connections dropped for this reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_several_threads_add_up() {
        let (first, second) = (Counters::default(), Counters::default());
        first.query(Transport::Udp, Family::V4);
        second.query(Transport::Udp, Family::V4);
        second.query(Transport::Tcp, Family::V6);
        first.answer(Rcode::NXDOMAIN, false, 100);
        second.answer(Rcode::BADVERS, true, 23);
        second.answer(Rcode(4000), false, 12);
        first.dropped(DropReason::TcpIdle, 3);
        let stats = Stats::sum([&first, &second]);
        assert_eq!(stats.queries_total(), 3);
        assert_eq!(stats.queries().next(), Some((Transport::Udp, Family::V4, 2)));
        assert_eq!((stats.rcode(Rcode::NXDOMAIN), stats.rcode(Rcode::BADVERS), stats.rcode(Rcode::NOERROR)), (1, 1, 0));
        assert_eq!(stats.rcodes().last(), Some((None, 1)));
        assert_eq!((stats.truncated, stats.answer_bytes), (1, 135));
        assert_eq!(stats.dropped_for(DropReason::TcpIdle), 3);
        assert_eq!(stats.dropped().map(|(_, count)| count).sum::<u64>(), 3);
    }

    #[test]
    fn the_kernel_lane_s_counters_are_among_the_others() {
        let mut words = [0; layout::COUNTER_WORDS];
        words[layout::COUNTER_QUERIES + Family::V6 as usize] = 5;
        words[layout::COUNTER_RCODES + 3] = 4;
        words[layout::COUNTER_FILTERED + Filter::Client as usize] = 1;
        words[layout::COUNTER_ON_DEMAND] = 2;
        words[layout::COUNTER_ANSWER_BYTES] = 100;
        let counters = Counters::default();
        counters.query(Transport::Udp, Family::V6);
        let mut stats = Stats::sum([&counters]);
        stats.add_kernel(&words, KernelStats::default());
        assert_eq!(stats.queries().nth(1), Some((Transport::Udp, Family::V6, 6)));
        assert_eq!((stats.rcode(Rcode::NXDOMAIN), stats.dropped_for(DropReason::Client)), (4, 1));
        assert_eq!((stats.on_demand_for(OnDemandEvent::Hit), stats.answer_bytes), (2, 100));
    }

    #[test]
    fn a_filter_is_its_own_reason() {
        for filter in Filter::ALL {
            assert_eq!(DropReason::from(filter).as_str(), filter.as_str());
        }
    }

    #[test]
    fn the_common_codes_have_their_number_as_their_place() {
        for code in 0..=5 {
            assert_eq!(RCODES[usize::from(code)], Rcode(code));
        }
    }
}
