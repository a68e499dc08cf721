//! The kernel lane of a node: loaded and attached while the process has its privileges, and from then on memory that is read
//! and written.

use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{
            AtomicU16, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
    time::Duration,
};

use aya::programs::links::FdLink;
use cache::Cache;
use config::{Defences, KernelCrash, KernelMode, Lanes};
use filters::{Filters, NameHasher};
use zones::Zones;

use super::{
    Answers, KernelError, KernelFilters, LaneStatus, Names, Program, TakenOver, Wanted,
    attach::attach,
    counts::KernelCounters,
    interfaces, layout,
    pins::{self, Pins},
};

/// How long the daemon may be silent until everything is passed up: one that hangs, and one that died while its program is
/// to be kept for the next.
const SILENT_MAX: Duration = Duration::from_secs(2);
const SILENT_KEPT_MAX: Duration = Duration::from_secs(10);
/// No run of the program takes so long, by far.
const RUN_MAX: Duration = Duration::from_millis(5);

/// A kernel lane that is attached. It passes everything up until it is looked after, and goes when it is dropped.
pub struct KernelLane {
    pub(super) program: Program,
    pub(super) listen: Vec<SocketAddr>,
    policy: &'static [AtomicU64],
    pub(super) filters: Option<KernelFilters>,
    pub(super) names: Option<Arc<Names>>,
    counters: KernelCounters,
    links: Vec<FdLink>,
    pins: Option<Pins>,
    taken_over: bool,
}

impl fmt::Debug for KernelLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelLane").field("pins", &self.pins).finish_non_exhaustive()
    }
}

/// Loads and attaches the kernel lane, as far as it is wanted and to be had. Takes away what an earlier daemon left and is no
/// longer wanted.
///
/// # Errors
///
/// It is required, and not to be had.
pub fn open(wanted: &Wanted<'_>) -> Result<(Option<KernelLane>, LaneStatus), KernelError> {
    let lanes = wanted.lanes;
    let mut status = LaneStatus::new(lanes.kernel);
    let folder = pins::folder_of(wanted.node, wanted.state_dir);
    if lanes.kernel == KernelMode::Off || lanes.kernel_crash == KernelCrash::Detach {
        // There is no other way to get rid of what was kept.
        Pins::find(folder.clone()).iter().for_each(Pins::forget);
    }
    if lanes.kernel == KernelMode::Off {
        return Ok((None, status));
    }
    match KernelLane::attach(wanted, folder, &mut status) {
        Ok(lane) => Ok((lane, status)),
        Err(why) if lanes.kernel == KernelMode::Required => Err(why),
        Err(why) => {
            status.problem = Some(why.to_string());
            Ok((None, status))
        }
    }
}

impl KernelLane {
    fn attach(wanted: &Wanted<'_>, folder: PathBuf, status: &mut LaneStatus) -> Result<Option<Self>, KernelError> {
        let lanes = wanted.lanes;
        let interfaces = match lanes.interfaces.as_slice() {
            [] => interfaces::leading_to(wanted.listen, &interfaces::held().map_err(KernelError::Interfaces)?),
            named => named.to_vec(),
        };
        if interfaces.is_empty() {
            return Err(KernelError::NoInterface);
        }
        let pins = match lanes.kernel_crash {
            KernelCrash::Detach => None,
            KernelCrash::Keep => match Pins::make(folder, wanted.owner) {
                Ok(pins) => Some(pins),
                Err(why) => {
                    let why = KernelError::Keep(why.to_string());
                    if lanes.kernel == KernelMode::Required {
                        return Err(why);
                    }
                    status.problem = Some(why.to_string());
                    None
                }
            },
        };
        let (program, taken_over) = load(lanes.kernel_answers, pins.as_ref())?;
        let mut lane = Self {
            policy: program.array("policy")?,
            filters: None,
            names: None,
            counters: KernelCounters::new(program.array("counters")?, program.tags()?),
            program,
            listen: wanted.listen.to_vec(),
            links: Vec::new(),
            pins,
            taken_over,
        };
        lane.prepare(&interfaces)?;
        lane.attach_to(lanes, &interfaces, status)?;
        status.taken_over = taken_over;
        status.answers_max = lane.answers_max();
        // Without an interface there is nothing to look after.
        Ok((!lane.links.is_empty()).then_some(lane))
    }

    /// Makes what was left usable, and says what has to be known before the first packet.
    fn prepare(&mut self, interfaces: &[String]) -> Result<(), KernelError> {
        if self.taken_over {
            heal(self.program.array("generations")?, self.program.tags()?, self.program.array("slots")?);
        }
        let silent = if self.pins.is_some() { SILENT_KEPT_MAX } else { SILENT_MAX };
        self.set(layout::POLICY_SILENT_US, u64::try_from(silent.as_micros()).unwrap_or(u64::MAX));
        let addresses = interfaces::hardware_addresses(interfaces);
        for place in 0..layout::MACS_MAX {
            // More than there is room for: then frames are taken whomever they are to.
            let address = addresses.get(place).filter(|_| addresses.len() <= layout::MACS_MAX);
            let word = address.map_or(0, |[a, b, c, d, e, f]| u64::from_ne_bytes([*a, *b, *c, *d, *e, *f, 0, 0]));
            self.set(layout::POLICY_MACS + place, word);
        }
        Ok(())
    }

    fn attach_to(&mut self, lanes: &Lanes, interfaces: &[String], status: &mut LaneStatus) -> Result<(), KernelError> {
        if let Some(pins) = &self.pins {
            pins.forget_links_but(interfaces);
        }
        for interface in interfaces {
            let program = self.program.xdp().map_err(KernelError::Verify)?;
            let (found, link) = attach(program, interface, lanes.kernel_attach, self.pins.as_ref());
            self.links.extend(link);
            if found.mode.is_none() && status.wanted == KernelMode::Required {
                self.forget();
                let why = found.why.unwrap_or_default();
                return Err(KernelError::Interface { interface: interface.clone(), why });
            }
            status.interfaces.push(found);
        }
        if self.links.is_empty() {
            self.forget();
        }
        Ok(())
    }

    /// The filters, with tables that the program knows too, looks up, and writes. To be asked for once, before the zones.
    ///
    /// # Errors
    ///
    /// There is no memory, or the program and this daemon do not fit together.
    pub fn filters(&mut self, defences: &Defences, seed: [u64; 2]) -> Result<Arc<Filters>, KernelError> {
        if self.taken_over {
            // Rates over counters that begin anew: what is armed is found out again within a moment.
            for name in ANEW {
                self.program.array(name)?.iter().for_each(|word| word.store(0, Relaxed));
            }
            self.program.clear_prefixes::<4>("listed")?;
        }
        let filters = KernelFilters::new(&mut self.program, defences, seed)?;
        self.names = Some(Arc::new(Names::new(
            self.program.array("exists")?,
            self.program.array("covers")?,
            NameHasher::new(seed),
        )));
        Ok(Arc::clone(self.filters.insert(filters).filters()))
    }

    /// No zones yet; what is published in them the program knows of. To be asked for once, after the filters.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn zones(&self) -> Result<Zones, KernelError> {
        if self.taken_over {
            self.forget_zones()?;
        }
        let zones = Zones::with_generations(self.program.array("generations")?);
        Ok(match &self.names {
            Some(names) => zones.watched_by(Arc::clone(names) as Arc<dyn zones::Watch>),
            None => zones,
        })
    }

    /// The cache of answers of origins, of which the program knows the names. To be asked for after the filters.
    pub fn cache(&self, bytes_max: u64) -> Cache {
        let cache = Cache::new(bytes_max);
        match &self.names {
            Some(names) => cache.names_watched_by(Arc::clone(names) as Arc<dyn cache::NameWatch>),
            None => cache,
        }
    }

    /// From here on nothing that the daemon before left is given, and the names that it knew are forgotten.
    fn forget_zones(&self) -> Result<(), KernelError> {
        if let Some(epoch) = self.program.array("generations")?.first() {
            epoch.fetch_add(2, SeqCst);
        }
        // Who has looked at the number before that has long done its work.
        thread::sleep(RUN_MAX);
        for name in ["exists", "covers"] {
            self.program.array(name)?.iter().for_each(|word| word.store(0, Relaxed));
        }
        Ok(())
    }

    /// Where lanes put their answers. To be asked for once.
    ///
    /// # Errors
    ///
    /// There is no memory.
    pub fn answers(&self) -> Result<Arc<Answers>, KernelError> {
        let [slots, texts, generations] = ["slots", "texts", "generations"].map(|name| self.program.array(name));
        Ok(Arc::new(Answers::new(self.program.tags()?, slots?, texts?, generations?)))
    }

    /// What the program counts.
    pub(crate) fn counters(&self) -> KernelCounters {
        self.counters.clone()
    }

    /// How many answers there is room for.
    pub fn answers_max(&self) -> usize {
        (self.get(layout::POLICY_SET_MASK) as usize + 1) * layout::WAYS
    }

    /// The secrets that the daemon before made its tables with: whoever has the tables needs them.
    pub fn taken_over(&self) -> Option<TakenOver> {
        let pair = |place| [self.get(place), self.get(place + 1)];
        let bytes = |[first, second]: [u64; 2]| {
            let mut bytes = [0; 16];
            let (low, high) = bytes.split_at_mut(size_of::<u64>());
            low.copy_from_slice(&first.to_ne_bytes());
            high.copy_from_slice(&second.to_ne_bytes());
            bytes
        };
        // Without a seed that daemon died before it had tables.
        let seed = KernelFilters::seed(&self.program).ok().flatten().filter(|_| self.taken_over);
        seed.map(|filters_seed| TakenOver {
            filters_seed,
            cookie_secret: (self.get(layout::POLICY_COOKIE_SECRETS) > 0)
                .then(|| bytes(pair(layout::POLICY_COOKIE_SECRET_0))),
        })
    }

    pub(super) fn get(&self, place: usize) -> u64 {
        self.policy.get(place).map_or(0, |word| word.load(Relaxed))
    }

    /// Others read the line that the word is on all the time: nothing is written that is there already.
    pub(super) fn set(&self, place: usize, value: u64) {
        if let Some(word) = self.policy.get(place).filter(|word| word.load(Relaxed) != value) {
            word.store(value, Relaxed);
        }
    }

    /// Takes it off the interfaces, now and for whoever comes after.
    pub(crate) fn detach(self) {
        self.set(layout::POLICY_ON, 0);
    }

    fn forget(&mut self) {
        if let Some(pins) = &self.pins {
            pins.forget();
        }
        self.links.clear();
    }
}

impl Drop for KernelLane {
    /// One that answers nothing is of no use to anybody. One that does is kept, if it is to be, whatever ends this daemon.
    fn drop(&mut self) {
        if self.get(layout::POLICY_ON) == 0 {
            self.forget();
        }
    }
}

/// What of the filters begins anew with a daemon.
const ANEW: [&str; 4] = ["lane_counts", "lane_zones", "node", "cells"];

fn load(answers: usize, pins: Option<&Pins>) -> Result<(Program, bool), KernelError> {
    let Some(pins) = pins else { return Ok((Program::load(answers)?, false)) };
    match Program::take_over(pins, answers) {
        Some(Ok(program)) => return Ok((program, true)),
        Some(Err(why)) => tracing::warn!(%why, "what the daemon before left cannot be used"),
        None => {}
    }
    pins.forget_maps();
    let program = Program::load(answers)?;
    program.pin(pins).map_err(|why| KernelError::Keep(why.to_string()))?;
    Ok((program, false))
}

/// A daemon that dies leaves what it was at half done. What says so with an odd number is made void, or done.
fn heal(generations: &[AtomicU64], tags: &[AtomicU16], slots: &[AtomicU64]) {
    for generation in generations {
        let number = generation.load(Relaxed);
        if number % 2 == 1 {
            generation.store(number.wrapping_add(1), Relaxed);
        }
    }
    for (tag, slot) in tags.iter().zip(slots.chunks_exact(layout::SLOT_BYTES / size_of::<u64>())) {
        let [seq, key, ..] = slot else { continue };
        let number = seq.load(Relaxed);
        if number % 2 == 1 {
            tag.store(0, Relaxed);
            key.store(0, Relaxed);
            seq.store(number.wrapping_add(1), Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_half_done_is_void() {
        let words = |numbers: &[u64]| numbers.iter().map(|number| AtomicU64::new(*number)).collect::<Vec<_>>();
        let slot_words = layout::SLOT_BYTES / 8;
        let (generations, tags) = (words(&[2, 3, 0]), [AtomicU16::new(7), AtomicU16::new(8)]);
        let slots = words(&vec![0; 2 * slot_words]);
        slots[0].store(5, Relaxed);
        slots[1].store(7, Relaxed);
        slots[slot_words].store(4, Relaxed);
        slots[slot_words + 1].store(8, Relaxed);
        heal(&generations, &tags, &slots);
        let numbers = |words: &[AtomicU64]| words.iter().map(|word| word.load(Relaxed)).collect::<Vec<_>>();
        let tags = tags.map(AtomicU16::into_inner);
        assert_eq!((numbers(&generations), tags), (vec![2, 4, 0], [0, 8]));
        assert_eq!((slots[0].load(Relaxed), slots[1].load(Relaxed), slots[slot_words + 1].load(Relaxed)), (6, 0, 8));
    }
}
