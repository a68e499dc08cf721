//! What the nodes of a service say to each other, so that one leaves for a soft reason only in favour of enough others that
//! are well, and never too many at once.
//!
//! ```text
//!   node X (unfit)                         node Y (announces, is well)
//!     │ intent 7 ────────────────────────────> │  promises: does not leave for a soft reason for PROMISE
//!     │ <──────────────────────── grant 7      │
//!     │ has nodes_min grants, all for an intent younger than INTENT_MAX: leaves
//!     │ announces nothing, intent over ──────> │  the promise is over
//! ```
//!
//! Every datagram says all there is to say (`message`), so a lost one costs time alone. It is sealed with the nodes' key
//! (`seal`) and good only for the one it is sent to, once, and only as long as both processes live (`member`). What follows
//! from it is decided without I/O and without a clock: `quota` for one service, [`Fleet`] for all of them; `socket` carries.
//! Why two nodes can never both leave when that would be too many is shown in docs/decisions/0019.

mod member;
mod message;
mod quota;
mod seal;
#[cfg(test)]
mod simulation;
pub(crate) mod socket;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use config::{FleetMember, Service};

use crate::decide::Others;
use crate::{MemberStatus, QuotaStatus};
use member::{Heard, Member};
use message::{Message, ServiceSays, VERSION};
use quota::Quota;
pub(crate) use seal::Seal;

/// The time between two datagrams to the same node when nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Who has said nothing for so long counts as not announcing.
const SILENT_AFTER: Duration = Duration::from_secs(2);
/// Shortest time between two datagrams to the same node.
const GAP_MIN: Duration = Duration::from_millis(10);
/// The time between two datagrams while an intent waits for grants.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Other nodes that are known; more are not heard.
const MEMBERS_MAX: usize = 256;
/// Longest text that is told of a node's state.
const WHY_BYTES_MAX: usize = 200;
/// Services told of in one datagram.
const SERVICES_MAX: usize = 16;

/// Numbers that nobody can guess.
pub(crate) type Random = Box<dyn FnMut() -> u64 + Send>;

/// What the node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// `up`, `degraded`, `draining` or `down`.
    pub(crate) state: String,
    /// Why.
    pub(crate) why: String,
    /// Its services.
    pub(crate) services: BTreeMap<String, OwnService>,
}

/// What the node says of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnService {
    /// It announces it, and at least one router hears it.
    pub(crate) announces: bool,
    /// It is well, and nobody has ordered it to leave: others may leave in its favour.
    pub(crate) well: bool,
    /// It would leave.
    pub(crate) wishes: bool,
}

/// All nodes of the services that this node announces.
pub(crate) struct Fleet {
    network: String,
    node: String,
    boot: u64,
    seq: u64,
    /// Intents are numbered over all services.
    attempts: u64,
    seal: Option<Seal>,
    random: Random,
    started: Instant,
    own: Own,
    members: BTreeMap<String, Member>,
    quotas: BTreeMap<String, Quota>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("node", &self.node).field("members", &self.members.len()).finish_non_exhaustive()
    }
}

/// Why a datagram was not heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discarded {
    /// It comes from nobody who announces the same.
    Stranger,
    /// Its seal is not that of the nodes' key.
    Seal,
    /// It is sealed, but is none that this version knows, or is for somebody else.
    Malformed,
    /// It was said before, or to a process that is no more.
    Old,
}

impl Fleet {
    /// `seal` is needed wherever there are others.
    pub(crate) fn new(network: &str, node: &str, seal: Option<Seal>, mut random: Random, now: Instant) -> Fleet {
        let boot = random();
        // A grant to an intent of an earlier process must not fit one of this.
        let attempts = random();
        Fleet {
            network: network.to_owned(),
            node: node.to_owned(),
            boot,
            seq: 0,
            attempts,
            seal,
            random,
            started: now,
            own: Own::default(),
            members: BTreeMap::new(),
            quotas: BTreeMap::new(),
        }
    }

    /// Knows these nodes and services from now on; what it knew of them before stays.
    pub(crate) fn apply(&mut self, members: &[FleetMember], services: &[&Service]) {
        let mut before = std::mem::take(&mut self.members);
        for member in members.iter().filter(|member| member.node != self.node).take(MEMBERS_MAX) {
            let known = before.remove(&member.node).filter(|known| known.address() == member.address);
            let mut known = known.unwrap_or_else(|| Member::new(member.address, (self.random)()));
            known.set_services(&member.services);
            self.members.insert(member.node.clone(), known);
        }
        self.quotas.retain(|name, _| services.iter().any(|service| service.name == *name));
        for service in services {
            self.quotas.entry(service.name.clone()).or_default().set_nodes_min(service.nodes_min);
        }
    }

    /// Takes over what the node is now, and says so to the others if that is news. Intents begin and end here.
    pub(crate) fn set_own(&mut self, own: Own, now: Instant) {
        let news = own != self.own;
        self.own = own;
        let mut intents = false;
        for (name, quota) in &mut self.quotas {
            let own = self.own.services.get(name).copied().unwrap_or_default();
            intents |= quota.follow(own, now, &mut self.attempts);
        }
        if news || intents {
            self.members.values_mut().for_each(Member::is_due);
        }
    }

    /// What the others allow for a service of which this node is unfit.
    pub(crate) fn others(&self, service: &str, now: Instant) -> Others {
        let Some(quota) = self.quotas.get(service) else { return Others::TooFew };
        if quota.granted(now) {
            return Others::Granted;
        }
        let early = now.saturating_duration_since(self.started) < SILENT_AFTER && !self.members.is_empty();
        if early || self.standing_in(service, now) >= quota.nodes_min() { Others::Enough } else { Others::TooFew }
    }

    /// How many others are known to announce a service and to be well.
    fn standing_in(&self, service: &str, now: Instant) -> u32 {
        let others = self.members.values().filter(|member| member.stands_in(service, now));
        u32::try_from(others.count()).unwrap_or(u32::MAX)
    }

    /// Hears a datagram.
    pub(crate) fn receive(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> Result<(), Discarded> {
        // Whoever is no member costs no cryptography.
        let same = |member: &Member| member.address() == from;
        let Some((name, member)) = self.members.iter_mut().find(|(_, member)| same(member)) else {
            return Err(Discarded::Stranger);
        };
        let body = self.seal.as_ref().and_then(|seal| seal.open(datagram)).ok_or(Discarded::Seal)?;
        let message = Message::parse(body).ok_or(Discarded::Malformed)?;
        if (&message.network, &message.from, &message.to) != (&self.network, name, &self.node) {
            return Err(Discarded::Malformed);
        }
        match member.hear(&message, now, &mut self.random) {
            Heard::New => {}
            // The other does not know this process yet, or not any more: it has to be told.
            Heard::Unproven => {
                member.is_due();
                return Err(Discarded::Old);
            }
            Heard::Old => return Err(Discarded::Old),
        }
        for says in &message.services {
            let Some(quota) = self.quotas.get_mut(&says.name).filter(|_| member.serves(&says.name)) else { continue };
            if quota.hear(name, says, now) {
                member.is_due();
            }
        }
        Ok(())
    }

    /// What is to be sent now: to whom, and the bytes.
    pub(crate) fn outgoing(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        let asking = self.quotas.values().any(|quota| quota.asks(now));
        let Some(seal) = &self.seal else { return Vec::new() };
        let mut datagrams = Vec::new();
        for (name, member) in self.members.iter_mut().filter(|(_, member)| member.sends(asking, now)) {
            self.seq += 1;
            let service = |(service, quota): (&String, &mut Quota)| {
                let own = self.own.services.get(service).copied().unwrap_or_default();
                ServiceSays {
                    name: service.clone(),
                    announces: own.announces,
                    well: own.well,
                    intent: quota.intent(now),
                    grant: quota.grant(name, own, now),
                }
            };
            let message = Message {
                version: VERSION,
                network: self.network.clone(),
                from: self.node.clone(),
                to: name.clone(),
                boot: self.boot,
                seq: self.seq,
                challenge: member.challenge(),
                echo: member.echo(),
                state: self.own.state.clone(),
                why: message::shortened(&self.own.why, WHY_BYTES_MAX),
                services: self.quotas.iter_mut().take(SERVICES_MAX).map(service).collect(),
            };
            member.sent(now);
            datagrams.push((member.address(), seal.seal(&message.to_bytes())));
        }
        datagrams
    }

    /// When [`Fleet::outgoing`] has something next, or an intent ends.
    pub(crate) fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let asking = self.quotas.values().any(|quota| quota.asks(now));
        // A member that was never told anything is told at once.
        let sends = self.members.values().map(|member| member.next_send(asking).unwrap_or(now));
        sends.chain(self.quotas.values().filter_map(Quota::next_deadline)).min()
    }

    /// The others, for people.
    pub(crate) fn status(&self, now: Instant) -> Vec<MemberStatus> {
        self.members.iter().map(|(name, member)| member.status(name, now)).collect()
    }

    /// What came of asking last.
    pub(crate) fn quota_status(&self, service: &str, unix_s_of: impl Fn(Instant) -> f64) -> Option<QuotaStatus> {
        self.quotas.get(service)?.status(unix_s_of)
    }
}
