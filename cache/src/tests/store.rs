//! What is kept is found, as long as it may be; what is purged is gone, and stays gone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use wire::{Rcode, Rtype};

use super::{Random, judge, name};
use crate::{Cache, CachedAnswer, Freshness, Kind, TtlLimits, Watcher};

const ZONE: u64 = 1;
const OTHER: u64 = 2;

fn answer(text: &str, stored: Instant) -> Arc<CachedAnswer> {
    Arc::new(judge("example.com", text, &TtlLimits::default(), stored).unwrap())
}

fn address(qname: &str, ttl_s: u32, stored: Instant) -> Arc<CachedAnswer> {
    answer(&format!("{qname} A aa\n= {qname} {ttl_s} A 192.0.2.1"), stored)
}

fn insert(cache: &Cache, zone: u64, answer: &Arc<CachedAnswer>) {
    let ticket = cache.ticket(zone);
    cache.insert(zone, answer.qname(), answer.qtype(), Arc::clone(answer), ticket);
}

fn freshness(cache: &Cache, zone: u64, qname: &str, now: Instant) -> Option<Freshness> {
    cache.get(zone, name(qname).as_ref(), Rtype::A, now).map(|hit| hit.freshness)
}

#[test]
fn an_answer_is_fresh_then_stale_then_gone() {
    let (cache, now) = (Cache::new(1 << 20), Instant::now());
    insert(&cache, ZONE, &address("www.example.com", 100, now));
    let at = |seconds| now + Duration::from_secs(seconds);
    assert_eq!(freshness(&cache, ZONE, "WWW.Example.COM", now), Some(Freshness::Fresh));
    assert_eq!(freshness(&cache, ZONE, "www.example.com", at(99)), Some(Freshness::Fresh));
    assert_eq!(freshness(&cache, ZONE, "www.example.com", at(100)), Some(Freshness::Stale));
    assert_eq!(freshness(&cache, ZONE, "www.example.com", at(100 + 86_400)), None);
    assert_eq!(freshness(&cache, OTHER, "www.example.com", now), None);
    assert_eq!(freshness(&cache, ZONE, "ww.example.com", now), None);
    assert!(cache.get(ZONE, name("www.example.com").as_ref(), Rtype::AAAA, now).is_none());
    assert!(cache.peek(ZONE, name("www.example.com").as_ref(), Rtype::A, at(200)).is_some());
}

#[test]
fn prefetching_is_for_what_is_asked_for_and_said_once() {
    let (cache, now) = (Cache::new(1 << 20), Instant::now());
    insert(&cache, ZONE, &address("www.example.com", 100, now));
    let near = now + Duration::from_secs(90);
    let asked: Vec<_> = (0..5).map(|_| freshness(&cache, ZONE, "www.example.com", near)).collect();
    let (fresh, due) = (Some(Freshness::Fresh), Some(Freshness::FreshButDue));
    assert_eq!(asked, [fresh, fresh, due, fresh, fresh]);
    insert(&cache, ZONE, &address("www.example.com", 100, now));
    let early = now + Duration::from_secs(89);
    assert!((0..5).all(|_| freshness(&cache, ZONE, "www.example.com", early) == fresh));
    insert(&cache, ZONE, &address("short.example.com", 4, now));
    assert!((0..5).all(|_| freshness(&cache, ZONE, "short.example.com", now + Duration::from_secs(3)) == fresh));
}

#[test]
fn what_has_no_ttl_is_not_kept() {
    let (cache, now) = (Cache::new(1 << 20), Instant::now());
    insert(&cache, ZONE, &address("www.example.com", 0, now));
    insert(&cache, ZONE, &answer("nodata.example.com A aa", now));
    assert_eq!((cache.stats().entries, cache.usage(ZONE).entries), (0, 0));
}

#[test]
fn an_error_takes_no_answers_place() {
    let (cache, now) = (Cache::new(1 << 20), Instant::now());
    let qname = name("www.example.com");
    let error = |at| Arc::new(CachedAnswer::from_error(qname.as_ref(), Rtype::A, wire::Rcode::SERVFAIL, at));
    insert(&cache, ZONE, &error(now));
    let kind = |at| cache.get(ZONE, qname.as_ref(), Rtype::A, at).map(|hit| hit.answer.kind());
    assert_eq!(kind(now), Some(Kind::Error));
    insert(&cache, ZONE, &address("www.example.com", 10, now));
    let later = now + Duration::from_secs(60);
    insert(&cache, ZONE, &error(later));
    assert_eq!(kind(later), Some(Kind::Found), "stale, but an answer");
    let much_later = now + Duration::from_secs(90_000);
    insert(&cache, ZONE, &error(much_later));
    assert_eq!(kind(much_later), Some(Kind::Error));
}

/// A cache with some answers in two zones.
fn filled(now: Instant) -> Cache {
    let cache = Cache::new(1 << 20);
    for qname in ["example.com", "www.example.com", "a.www.example.com", "b.a.www.example.com", "xwww.example.com"] {
        insert(&cache, ZONE, &address(qname, 100, now));
        insert(&cache, OTHER, &address(qname, 100, now));
    }
    let alias =
        "alias.example.com A aa\n= alias.example.com 60 CNAME www.example.com\n= www.example.com 60 A 192.0.2.1";
    insert(&cache, ZONE, &answer(alias, now));
    insert(&cache, ZONE, &answer("gone.example.com A aa NXDOMAIN\n! example.com 60 SOA 60", now));
    cache
}

#[test]
fn purges_are_exact() {
    let now = Instant::now();
    let left = |cache: &Cache| {
        let mut names: Vec<String> = cache.names(ZONE, 100).iter().map(|(name, _)| name.to_string()).collect();
        names.sort();
        assert_eq!(cache.usage(OTHER).entries, 5, "another zone is not touched");
        names.iter().map(|name| name.trim_end_matches("example.com.").to_owned()).collect::<Vec<_>>().join(" ")
    };
    let cache = filled(now);
    assert_eq!(left(&cache), "a.www. alias. b.a.www.  gone. www. xwww.");
    assert_eq!(cache.purge(ZONE, name("WWW.example.com").as_ref(), false), 2, "and the alias that leads there");
    assert_eq!(left(&cache), "a.www. b.a.www.  gone. xwww.");
    assert_eq!(cache.purge(ZONE, name("www.example.com").as_ref(), false), 0, "again it does nothing");
    assert_eq!(cache.purge(ZONE, name("www.example.com").as_ref(), true), 2);
    assert_eq!(left(&cache), " gone. xwww.");
    assert_eq!(cache.purge(ZONE, name("example.com").as_ref(), false), 1, "a denial's SOA is not what is asked for");
    assert_eq!(cache.purge_zone(ZONE), 2);
    assert_eq!((left(&cache).as_str(), cache.usage(ZONE)), ("", crate::ZoneUsage::default()));
    assert_eq!(cache.purge(77, name("example.com").as_ref(), true), 0, "a zone that nobody knows");
}

#[test]
fn what_was_purged_does_not_come_back_from_a_question_under_way() {
    let (cache, now) = (Cache::new(1 << 20), Instant::now());
    let arrive = |qname: &str, ticket| {
        let late = address(qname, 100, now);
        cache.insert(ZONE, late.qname(), late.qtype(), Arc::clone(&late), ticket);
        freshness(&cache, ZONE, qname, now).is_some()
    };
    let before = cache.ticket(ZONE);
    cache.purge(ZONE, name("www.example.com").as_ref(), false);
    cache.purge(ZONE, name("sub.example.com").as_ref(), true);
    assert!(!arrive("www.example.com", before));
    assert!(!arrive("a.sub.example.com", before));
    assert!(arrive("other.example.com", before), "only what was purged is refused");
    assert!(arrive("www.example.com", cache.ticket(ZONE)));
    let before = cache.ticket(ZONE);
    for number in 0..100 {
        cache.purge(ZONE, name(&format!("n{number}.example.com")).as_ref(), false);
    }
    assert!(!arrive("new.example.com", before), "more was purged than is remembered");
    let before = cache.ticket(ZONE);
    assert_eq!(cache.forget_zone(ZONE), 2);
    assert!(!arrive("www.example.com", before));
    assert_eq!(cache.stats().bytes, 0);
}

#[test]
fn purging_and_filling_at_once() {
    let (cache, now) = (Cache::new(4 << 20), Instant::now());
    let answers: Vec<_> = (0..200).map(|number| address(&format!("n{number}.example.com"), 100, now)).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..50).for_each(|_| answers.iter().for_each(|answer| insert(&cache, ZONE, answer))));
        }
        scope.spawn(|| {
            for _ in 0..100 {
                cache.purge_zone(ZONE);
            }
        });
    });
    let (stats, usage) = (cache.stats(), cache.usage(ZONE));
    assert_eq!((stats.entries, stats.bytes), (usage.entries, usage.bytes));
    assert_eq!(cache.purge_zone(ZONE), usage.entries);
    assert_eq!((cache.stats().bytes, cache.usage(ZONE).bytes), (0, 0));
}

#[test]
fn what_is_asked_for_again_survives_a_flood() {
    let (cache, now) = (Cache::new(2 << 20), Instant::now());
    let hot: Vec<_> = (0..100).map(|number| address(&format!("hot{number}.example.com"), 300, now)).collect();
    hot.iter().for_each(|answer| insert(&cache, ZONE, answer));
    let mut random = Random(1);
    for number in 0..50_000 {
        insert(&cache, ZONE, &address(&format!("n{number}.example.com"), 300, now));
        let hit = &hot[random.below(100) as usize];
        let _ = cache.get(ZONE, hit.qname(), Rtype::A, now);
    }
    let kept = hot.iter().filter(|answer| cache.peek(ZONE, answer.qname(), Rtype::A, now).is_some()).count();
    assert!(kept >= 95, "{kept} of 100");
    let (stats, usage) = (cache.stats(), cache.usage(ZONE));
    assert!(stats.bytes <= stats.bytes_max, "{stats:?}");
    assert_eq!((stats.entries, stats.bytes), (usage.entries, usage.bytes));
}

/// Counts what it is told, and looks what is there meanwhile.
#[derive(Debug, Default)]
struct Counter {
    changes: AtomicU64,
    is_changing: AtomicBool,
}

impl Watcher for Counter {
    fn begin_change(&self) {
        assert!(!self.is_changing.swap(true, Ordering::SeqCst), "one after the other");
    }

    fn end_change(&self) {
        assert!(self.is_changing.swap(false, Ordering::SeqCst));
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn who_watches_is_told_when_what_may_be_given_changes() {
    let (cache, now, counter) = (Cache::new(1 << 20), Instant::now(), Arc::<Counter>::default());
    cache.watch(ZONE, Arc::clone(&counter) as Arc<dyn Watcher>);
    let changes = || counter.changes.load(Ordering::SeqCst);
    let at = |seconds| now + Duration::from_secs(seconds);
    insert(&cache, ZONE, &address("www.example.com", 100, now));
    insert(&cache, OTHER, &address("www.example.com", 100, now));
    insert(&cache, OTHER, &address("www.example.com", 100, now));
    assert_eq!(changes(), 0, "nothing that was there");
    // Fetched again when it was due, as nearly all are; then before that.
    insert(&cache, ZONE, &address("www.example.com", 100, at(90)));
    assert_eq!(changes(), 0);
    insert(&cache, ZONE, &address("www.example.com", 100, at(179)));
    assert_eq!(changes(), 1);
    // An error that does not take its place changes nothing.
    let error = CachedAnswer::from_error(name("www.example.com").as_ref(), Rtype::A, Rcode::REFUSED, at(180));
    insert(&cache, ZONE, &Arc::new(error));
    assert_eq!(changes(), 1);
    cache.purge(ZONE, name("other.example.com").as_ref(), false);
    cache.purge_zone(OTHER);
    assert_eq!(changes(), 2);
    cache.forget_zone(ZONE);
    assert_eq!(changes(), 3);
}

#[test]
fn what_is_read_while_nothing_changes_is_of_then() {
    let (cache, now, counter) = (Cache::new(1 << 20), Instant::now(), Arc::<Counter>::default());
    cache.watch(ZONE, Arc::clone(&counter) as Arc<dyn Watcher>);
    let numbers = 1..2000;
    let put = |ttl_s| insert(&cache, ZONE, &address("www.example.com", ttl_s, now));
    let last = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in numbers {
                put(1000 + number);
                last.store(number.into(), Ordering::SeqCst);
            }
        });
        while !writer.is_finished() {
            let before = counter.changes.load(Ordering::SeqCst);
            if counter.is_changing.load(Ordering::SeqCst) {
                continue;
            }
            let Some(hit) = cache.get(ZONE, name("www.example.com").as_ref(), Rtype::A, now) else { continue };
            let least = last.load(Ordering::SeqCst);
            if counter.changes.load(Ordering::SeqCst) == before && !counter.is_changing.load(Ordering::SeqCst) {
                assert!(u64::from(hit.answer.lifetime_s()) >= 1000 + least);
            }
        }
    });
}
