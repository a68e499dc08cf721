//! The map from questions to answers: bounded in bytes, read by lanes, filled by whoever asks the origins.
//!
//! Entries are evicted by quick_cache's policy (like S3-FIFO): what is asked for once goes first. Reading takes the shared
//! lock of one of many shards for a few nanoseconds and allocates nothing.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use quick_cache::{DefaultHashBuilder, Equivalent, Lifecycle, OptionsBuilder, Weighter, sync};
use wire::{NAME_BYTES_MAX, Name, NameRef, Rtype};

use crate::denial::DenialBudget;
use crate::zone::Zone;
use crate::{CachedAnswer, Kind, NameWatch, Ticket, TtlLimits, Watcher, ZoneId, ZoneUsage};

/// Bytes of an entry beside its answer: its place in quick_cache's tables, which grow by doubling, and in the list of
/// hashes of what was evicted.
const ENTRY_BYTES: u64 = 160;
/// A guess for how many entries there will be; it bounds the list of evicted hashes.
const ENTRY_BYTES_USUAL: u64 = 512;
/// Shards: many, so that a purge holds each for microseconds only.
const SHARDS_MAX: u64 = 256;
/// A shard must have room for the largest answers.
const SHARD_BYTES_MIN: u64 = 256 << 10;

/// The part of all bytes that NSEC records may take.
const DENIALS_PART: u64 = 8;

/// Answers of all on-demand zones.
#[derive(Debug)]
pub struct Cache {
    map: Map,
    zones: ArcSwap<HashMap<ZoneId, Arc<Zone>>>,
    /// Held by whoever adds or removes a zone.
    zones_writer: Mutex<()>,
    denials: DenialBudget,
    bytes_max: u64,
    names: Option<Arc<dyn NameWatch>>,
}

type Map = sync::Cache<Key, Arc<CachedAnswer>, ByBytes, DefaultHashBuilder, CountZones>;

/// What the cache holds in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Answers.
    pub entries: u64,
    /// Bytes they take.
    pub bytes: u64,
    /// Bytes they may take.
    pub bytes_max: u64,
    /// NSEC records that denials are made from.
    pub denials: u64,
}

/// How good an answer from the cache still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Its life is not over.
    Fresh,
    /// The same, but it is asked for and its end is near: fetch it again. Said once for each answer.
    FreshButDue,
    /// Its life is over; it may stand in when the origin is silent (RFC 8767).
    Stale,
}

/// An answer from the cache.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The answer.
    pub answer: Arc<CachedAnswer>,
    /// How good it still is.
    pub freshness: Freshness,
}

impl Cache {
    /// An empty cache that takes at most `bytes_max` bytes of memory.
    #[must_use]
    pub fn new(bytes_max: u64) -> Cache {
        let denials = DenialBudget::new(bytes_max / DENIALS_PART);
        let answers_bytes_max = bytes_max - bytes_max / DENIALS_PART;
        let shards = (answers_bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        // Rounded down to a power of two.
        let shards = 1 << shards.ilog2();
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity((answers_bytes_max / ENTRY_BYTES_USUAL).max(64) as usize)
            .weight_capacity(answers_bytes_max)
            .build();
        let map = match options {
            Ok(options) => Map::with_options(options, ByBytes, DefaultHashBuilder::default(), CountZones),
            // Not reached: what has to be given was given.
            Err(_) => Map::with(64, answers_bytes_max, ByBytes, DefaultHashBuilder::default(), CountZones),
        };
        Cache { map, zones: ArcSwap::default(), zones_writer: Mutex::new(()), denials, bytes_max, names: None }
    }

    /// The same, of which `watch` knows each name before there is anything for it.
    #[must_use]
    pub fn names_watched_by(self, watch: Arc<dyn NameWatch>) -> Cache {
        Cache { names: Some(watch), ..self }
    }

    /// The answer to a question, and what may be done with it. Counts as a use of it.
    #[must_use]
    pub fn get(&self, zone: ZoneId, qname: NameRef<'_>, qtype: Rtype, now: Instant) -> Option<Hit> {
        let answer = self.find(zone, qname, qtype)?;
        let freshness = match (answer.is_fresh(now), answer.is_usable(now)) {
            (true, _) if answer.note_hit(now) => Freshness::FreshButDue,
            (true, _) => Freshness::Fresh,
            (false, true) => Freshness::Stale,
            (false, false) => return None,
        };
        Some(Hit { answer, freshness })
    }

    /// The answer to a question if it may be served, fresh or stale; it is not counted as a use that earns a prefetch.
    #[must_use]
    pub fn peek(&self, zone: ZoneId, qname: NameRef<'_>, qtype: Rtype, now: Instant) -> Option<Arc<CachedAnswer>> {
        self.find(zone, qname, qtype).filter(|answer| answer.is_usable(now))
    }

    fn find(&self, zone: ZoneId, qname: NameRef<'_>, qtype: Rtype) -> Option<Arc<CachedAnswer>> {
        let mut lower = [0; NAME_BYTES_MAX];
        let name = lower.get_mut(..qname.as_bytes().len())?;
        name.copy_from_slice(qname.as_bytes());
        name.make_ascii_lowercase();
        self.map.get(&Question { zone, qtype, name })
    }

    /// From now on `watcher` is told of every change of answers of the zone that may still be given: not of those whose time is
    /// over, or due to be fetched again. To be called before anybody is answered who is to be told.
    pub fn watch(&self, zone: ZoneId, watcher: Arc<dyn Watcher>) {
        self.zone(zone).watchers.add(watcher);
    }

    /// To be taken before an origin is asked.
    #[must_use]
    pub fn ticket(&self, zone: ZoneId) -> Ticket {
        self.zone(zone).ticket()
    }

    /// Keeps an answer, unless it may not be kept, or what it has was purged since the ticket was taken. An error does not
    /// take the place of an answer that may still be served.
    pub fn insert(&self, zone: ZoneId, qname: NameRef<'_>, qtype: Rtype, answer: Arc<CachedAnswer>, ticket: Ticket) {
        debug_assert!(answer.qname() == qname && answer.qtype() == qtype, "kept under its own question");
        if !answer.is_kept() || ticket.zone != zone {
            return;
        }
        let known = self.zones.load();
        let Some(zone) = known.get(&zone) else { return };
        let purges = zone.lock_purges();
        if purges.since(ticket, |name, subtree| touches(&answer, name, subtree)) {
            return;
        }
        let kept = self.peek(zone.id, qname, qtype, answer.stored);
        if answer.kind() == Kind::Error && kept.as_ref().is_some_and(|kept| kept.kind() != Kind::Error) {
            return;
        }
        let _change = kept.filter(|kept| !kept.is_due(answer.stored)).map(|_| zone.watchers.change());
        let key = Key { zone: Arc::clone(zone), answer: Arc::clone(&answer) };
        zone.added(weigh(&answer));
        match &self.names {
            None => self.map.insert(key, answer),
            Some(names) => {
                let mut entry = Some((key, Arc::clone(&answer)));
                let mut keep = || entry.take().into_iter().for_each(|(key, answer)| self.map.insert(key, answer));
                names.keep_answer(answer.qname(), &mut keep);
            }
        }
    }

    /// Removes all answers for `name`, or that have RRsets of it; with `subtree`, also for and of the names below it. The
    /// zone's NSEC records go as well. Returns how many answers there were.
    pub fn purge(&self, zone: ZoneId, name: NameRef<'_>, subtree: bool) -> u64 {
        let known = self.zones.load();
        let Some(zone) = known.get(&zone) else { return 0 };
        zone.lock_purges().add(name, subtree);
        let _change = zone.watchers.change();
        // What the zone's records say of others may have changed with it; they are soon learned again.
        zone.denials.clear(&self.denials);
        self.remove_if(zone, |answer| touches(answer, name, subtree))
    }

    /// Removes all answers of a zone; returns how many there were.
    pub fn purge_zone(&self, zone: ZoneId) -> u64 {
        self.purge(zone, NameRef::ROOT, true)
    }

    /// Removes all answers of a zone that is not ours any more; what still arrives for it is not kept.
    pub fn forget_zone(&self, zone: ZoneId) -> u64 {
        let removed = self.purge_zone(zone);
        let _writer = self.zones_writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut zones = HashMap::clone(&self.zones.load());
        zones.remove(&zone);
        self.zones.store(Arc::new(zones));
        removed
    }

    fn remove_if(&self, zone: &Arc<Zone>, goes: impl Fn(&CachedAnswer) -> bool) -> u64 {
        let removed = std::cell::Cell::new(0);
        self.map.retain(|key, answer| {
            let goes = key.zone.id == zone.id && goes(answer);
            if goes {
                zone.removed(weigh(answer));
                removed.set(removed.get() + 1);
            }
            !goes
        });
        removed.get()
    }

    /// Learns from a response what is not there: its NSEC records, for [`synthesise`](Self::synthesise).
    ///
    /// The caller has verified the signatures of every NSEC RRset and of the SOA in the response's authority section with
    /// the keys of `apex`. No record is believed for longer than `limits.negative_ttl_s_max`: where a signature ends
    /// before that, the caller lowers it.
    pub fn learn_denial(
        &self,
        zone: ZoneId,
        apex: NameRef<'_>,
        response: &[u8],
        limits: &TtlLimits,
        now: Instant,
        ticket: Ticket,
    ) {
        let known = self.zones.load();
        let Some(zone) = known.get(&zone).filter(|zone| zone.id == ticket.zone) else { return };
        let is_outdated = || zone.lock_purges().any_since(ticket);
        let mut keep = || zone.denials.learn(apex, response, limits, now, &self.denials, is_outdated);
        match &self.names {
            None => keep(),
            Some(names) => names.keep_denials(apex, &mut keep),
        }
    }

    /// Makes the answer to a question from NSEC records that were learned, if they prove one (RFC 8198).
    #[must_use]
    pub fn synthesise(
        &self,
        zone: ZoneId,
        apex: NameRef<'_>,
        qname: NameRef<'_>,
        qtype: Rtype,
        now: Instant,
    ) -> Option<Arc<CachedAnswer>> {
        self.zones.load().get(&zone)?.denials.synthesise(apex, qname, qtype, now).map(Arc::new)
    }

    /// Questions that the zone has answers to, at most `max`, to ask them again.
    #[must_use]
    pub fn names(&self, zone: ZoneId, max: usize) -> Vec<(Name, Rtype)> {
        let of_zone = self.map.iter().filter(|(key, _)| key.zone.id == zone);
        of_zone.map(|(_, answer)| (answer.qname().to_owned(), answer.qtype())).take(max).collect()
    }

    /// Visits the names of all answers, and the apexes of the zones that NSEC records are known of. What is kept meanwhile may be
    /// left out.
    pub fn for_each_name(&self, mut answers: impl FnMut(NameRef<'_>), mut denials: impl FnMut(NameRef<'_>)) {
        self.map.iter().for_each(|(_, answer)| answers(answer.qname()));
        self.zones.load().values().for_each(|zone| zone.denials.with_apex(&mut denials));
    }

    /// What a zone holds.
    #[must_use]
    pub fn usage(&self, zone: ZoneId) -> ZoneUsage {
        self.zones.load().get(&zone).map_or_else(ZoneUsage::default, |zone| zone.usage())
    }

    /// What the cache holds in all.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            entries: self.map.len() as u64,
            bytes: self.map.weight() + self.denials.bytes(),
            bytes_max: self.bytes_max,
            denials: self.denials.records(),
        }
    }

    fn zone(&self, id: ZoneId) -> Arc<Zone> {
        if let Some(zone) = self.zones.load().get(&id) {
            return Arc::clone(zone);
        }
        let _writer = self.zones_writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut zones = HashMap::clone(&self.zones.load());
        let zone = Arc::clone(zones.entry(id).or_insert_with(|| Arc::new(Zone::new(id))));
        self.zones.store(Arc::new(zones));
        zone
    }
}

/// Whether an answer is for a name, or has RRsets of it (or of names below it).
fn touches(answer: &CachedAnswer, name: NameRef<'_>, subtree: bool) -> bool {
    let hit = |owner: NameRef<'_>| if subtree { owner.is_within(name) } else { owner == name };
    let qname = answer.qname();
    hit(qname)
        || answer.rrsets().any(|rrset| !matches!(rrset.rtype, Rtype::SOA | Rtype::RRSIG) && hit(rrset.owner(qname)))
}

/// The key of an entry: its answer knows the question.
#[derive(Debug, Clone)]
struct Key {
    zone: Arc<Zone>,
    answer: Arc<CachedAnswer>,
}

/// A question as it is looked up; the name is in lower case.
struct Question<'a> {
    zone: ZoneId,
    qtype: Rtype,
    name: &'a [u8],
}

impl Key {
    fn question(&self) -> Question<'_> {
        Question { zone: self.zone.id, qtype: self.answer.qtype, name: self.answer.qname_octets() }
    }
}

impl Hash for Question<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.zone << 16 ^ u64::from(self.qtype.0));
        state.write(self.name);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.question().hash(state);
    }
}

impl Equivalent<Key> for Question<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        *self == key.question()
    }
}

impl PartialEq for Question<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.zone == other.zone && self.qtype == other.qtype && self.name == other.name
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.question() == other.question()
    }
}

impl Eq for Key {}

fn weigh(answer: &CachedAnswer) -> u64 {
    answer.memory_bytes() as u64 + ENTRY_BYTES
}

#[derive(Debug, Clone)]
struct ByBytes;

impl Weighter<Key, Arc<CachedAnswer>> for ByBytes {
    fn weight(&self, _: &Key, answer: &Arc<CachedAnswer>) -> u64 {
        weigh(answer)
    }
}

/// Keeps the zones' usage right when entries are evicted, replaced or turned away.
#[derive(Debug, Clone)]
struct CountZones;

impl Lifecycle<Key, Arc<CachedAnswer>> for CountZones {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), key: Key, answer: Arc<CachedAnswer>) {
        key.zone.removed(weigh(&answer));
    }
}
