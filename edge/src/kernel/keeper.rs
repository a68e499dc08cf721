//! The thread that looks after the kernel lane: it tells the program the time and what holds, and takes what the program has
//! to say. As long as it is silent, the program passes everything up.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use cache::Cache;
use filters::Filters;
use zones::Zones;

use super::{Answers, KernelError, KernelLane, Names, interfaces, layout};
use crate::{
    Settings,
    clock::{BEGINS_AT_US, filter_time},
    settings::UDP_PAYLOAD_BYTES_MIN,
};

/// How often it tells the time.
const BEAT: Duration = Duration::from_millis(20);
/// How often it looks whether the machine has other addresses.
const ADDRESSES_INTERVAL: Duration = Duration::from_secs(1);
/// Answers looked at for uses at a beat.
const HEARD_PER_BEAT_MAX: usize = 2048;
/// How often it looks whether the sets of names hold much that is there no more.
const TEND_INTERVAL: Duration = Duration::from_secs(5);

/// What it needs to know.
pub(crate) struct Keeper {
    pub(crate) lane: KernelLane,
    pub(crate) settings: Arc<ArcSwap<Settings>>,
    pub(crate) filters: Arc<Filters>,
    pub(crate) zones: Arc<Zones>,
    pub(crate) answers: Option<Arc<Answers>>,
    /// Of answers of origins, if there may be any.
    pub(crate) cache: Option<Arc<Cache>>,
}

/// The running thread.
#[derive(Debug)]
pub(crate) struct Kept {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Kept {
    /// Takes the kernel lane off the interfaces, and waits for that.
    pub(crate) fn stop(self) {
        self.stop.store(true, Relaxed);
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("who looked after the kernel lane panicked");
        }
    }
}

impl Keeper {
    /// Starts the thread.
    pub(crate) fn start(self) -> std::io::Result<Kept> {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("kernel-keeper".to_owned()).spawn(move || self.run(&stopped))?;
        Ok(Kept { thread, stop })
    }

    fn run(self, stop: &AtomicBool) {
        let Self { mut lane, settings, filters, zones, answers, cache } = self;
        let tender = Tender::start(lane.names.clone(), zones, cache);
        // A lane that receives nothing: it turns the filters' windows when no other wakes.
        let clockwork = filters.lane();
        let mut services = Services { known: lane.program.services().into_iter().collect(), looked: None };
        let (mut next, mut misses) = (0, 0);
        while !stop.load(Relaxed) {
            services.follow(&mut lane);
            tell_filters(&mut lane);
            tell(&lane, &settings.load());
            clockwork.gate(filter_time());
            watch_misses(&lane, &filters, &mut misses);
            next = hear(&lane, answers.as_deref(), next);
            thread::park_timeout(BEAT);
        }
        lane.detach();
        // It may be at work still, on sets that nobody looks at any more.
        tender.stop();
    }
}

/// Tells the program what the filters say, and hands on its samples. Without all of the lists it may not answer.
fn tell_filters(lane: &mut KernelLane) {
    let Some(filters) = &mut lane.filters else { return };
    let told = filters.refresh(&mut lane.program);
    filters.drain_samples();
    let learns = filters.filters().learns_elsewhere();
    if let Err(why) = &told
        && lane.get(layout::POLICY_ON) == 1
    {
        tracing::error!(%why, "the kernel lane cannot be told what the filters say, and passes everything up");
    }
    lane.set(layout::POLICY_COUNT_USES, learns.into());
    lane.set(layout::POLICY_ON, told.is_ok().into());
}

/// Has the filters look at the rates of misses, if the program has dropped any since there were so many.
fn watch_misses(lane: &KernelLane, filters: &Filters, known: &mut u64) {
    let misses = lane.counters().read()[layout::COUNTER_FILTERED + layout::FILTER_MISS];
    if misses != *known {
        *known = misses;
        filters.missed_elsewhere(filter_time());
    }
}

/// Has the filters hear of what the program answered; says where to go on at the next beat.
fn hear(lane: &KernelLane, answers: Option<&Answers>, from: usize) -> usize {
    let (Some(filters), Some(answers)) = (&lane.filters, answers) else { return 0 };
    let now = filter_time();
    answers.take_hits(from, HEARD_PER_BEAT_MAX, |slot, hits| filters.hear(slot, hits, now))
}

/// Tells the program what holds, and the time last.
fn tell(lane: &KernelLane, settings: &Settings) {
    let limit = settings.udp_payload_bytes_max.max(UDP_PAYLOAD_BYTES_MIN);
    lane.set(layout::POLICY_UDP_PAYLOAD_BYTES_MAX, limit.into());
    tell_cookies(lane, settings);
    let filter_us = filter_time().us();
    // Both read the same clock: that is no measurement.
    lane.set(layout::POLICY_FILTER_CLOCK_US, BEGINS_AT_US);
    let unix_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    lane.set(layout::POLICY_UNIX_CLOCK_US, unix_us.wrapping_sub(filter_us - BEGINS_AT_US));
    lane.set(layout::POLICY_BEAT_US, filter_us);
}

/// While secrets change there are none, and cookies are passed up.
fn tell_cookies(lane: &KernelLane, settings: &Settings) {
    let secrets = settings.cookie_secrets.get(..layout::COOKIE_SECRETS_MAX).unwrap_or(&settings.cookie_secrets);
    let words: Vec<u64> =
        secrets.iter().flat_map(|secret| secret.as_chunks::<8>().0).map(|word| u64::from_ne_bytes(*word)).collect();
    let told = |place: usize| lane.get(layout::POLICY_COOKIE_SECRET_0 + place);
    let same = lane.get(layout::POLICY_COOKIE_SECRETS) == secrets.len() as u64
        && words.iter().enumerate().all(|(place, word)| told(place) == *word);
    if !same {
        lane.set(layout::POLICY_COOKIE_SECRETS, 0);
        for (place, word) in words.into_iter().enumerate() {
            lane.set(layout::POLICY_COOKIE_SECRET_0 + place, word);
        }
        lane.set(layout::POLICY_COOKIE_SECRETS, secrets.len() as u64);
    }
    lane.set(layout::POLICY_COOKIES_REQUIRED, settings.cookies_required.into());
}

/// The addresses that the program answers at.
struct Services {
    known: BTreeSet<SocketAddr>,
    looked: Option<Instant>,
}

impl Services {
    fn follow(&mut self, lane: &mut KernelLane) {
        if self.looked.is_some_and(|looked| looked.elapsed() < ADDRESSES_INTERVAL) {
            return;
        }
        self.looked = Some(Instant::now());
        let held = match interfaces::held() {
            Ok(held) => held,
            Err(why) => return tracing::warn!(%why, "the machine's addresses cannot be listed"),
        };
        let wanted = interfaces::services(&lane.listen, &held);
        let gone: Vec<_> = self.known.difference(&wanted).copied().collect();
        let new: Vec<_> = wanted.difference(&self.known).copied().collect();
        let changed = !gone.is_empty() || !new.is_empty();
        for address in gone {
            said("leave", address, lane.program.leave(address));
            self.known.remove(&address);
        }
        for address in new {
            said("answer at", address, lane.program.serve_at(address));
            // One that there is no room for is not tried again and again: the sockets answer there.
            self.known.insert(address);
        }
        // The program has the last of them in mind.
        if changed {
            lane.set(layout::POLICY_SERVICES, lane.get(layout::POLICY_SERVICES) + 1);
        }
    }
}

fn said(what: &str, address: SocketAddr, result: Result<(), KernelError>) {
    match result {
        Ok(()) => tracing::debug!(%address, "the kernel lane was told to {what} an address"),
        Err(why) => tracing::warn!(%address, %why, "the kernel lane could not be told to {what} an address"),
    }
}

/// The thread that makes the sets of names anew, which takes longer than a beat.
struct Tender {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Tender {
    fn start(names: Option<Arc<Names>>, zones: Arc<Zones>, cache: Option<Arc<Cache>>) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = names.and_then(|names| {
            let tend = move || {
                while !stopped.load(Relaxed) {
                    names.tend(&zones, cache.as_deref());
                    thread::park_timeout(TEND_INTERVAL);
                }
            };
            let started = thread::Builder::new().name("kernel-names".to_owned()).spawn(tend);
            started.inspect_err(|why| tracing::error!(%why, "nobody looks after the kernel lane's names")).ok()
        });
        Self { thread, stop }
    }

    fn stop(self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}
