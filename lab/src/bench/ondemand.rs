//! `bench ondemand`: Parapet's edge with an on-demand zone, dnsdist with its packet cache and unbound with a stub zone, in
//! front of one real `named`, on one core. First a realistic mix against an empty cache: how many questions the origin is
//! asked for all that are answered. Then a few names that are all cached: processor time for a hit.
//!
//! By sockets, processor time is the server's own; with `--lane kernel` it is all that the server's core did, for a program at
//! the interface does what no process is charged for.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context, bail};
use parapet_lab::{
    CachePeer, Edge, Lab, LabError, Lanes, Named, Network, ZoneSpec, counters::Counters, dns, zone_text,
};

use super::{
    Options,
    load::{self, GENERATOR_CORE, Load, SERVER_CORE, Wire},
    progress,
    report::{Report, Samples},
    rig::topology,
};
use crate::subject::{CLIENTS, Running, Subject, UNLIMITED};

/// The zone that is cached.
const ZONE: &str = "example.com";
/// The files of questions.
const MIX: &str = "mix";
const HOT: &str = "hot";
/// The exponent of the popularity of names: measured for resolvers' questions by Jung et al. (2002), 0.91.
const ZIPF_EXPONENT: f64 = 0.91;
/// Of so many questions, one is for a name that does not exist, and one for AAAA, which no name here has.
const ONE_MISSING_IN: u64 = 20;
const ONE_AAAA_IN: u64 = 4;
/// How resolvers ask: with EDNS and DO, with EDNS alone, without; the generator's letters, with shares in percent.
const FLAGS: [(&str, u64); 3] = [(" D", 70), (" E", 15), ("", 15)];
/// TTLs of the mix, with the share of names that have them in percent: content networks' short ones, and those of the
/// names that nobody moves.
const TTLS_S: [(u32, u64); 5] = [(2, 10), (5, 15), (30, 25), (300, 30), (3600, 20)];
/// The mix, as it is offered.
const MIX_PER_S: u32 = 20_000;
const MIX_SECONDS: u32 = 12;
/// The names of the second part. All of them have the longest TTL.
const HOT_NAMES: u32 = 10_000;
/// They are asked for at this rate until the origin is not asked any more.
const WARM_PER_S: u32 = 10_000;
const WARM_SECONDS: u32 = 2;
const WARM_ROUNDS_MAX: u32 = 8;
/// A round of warming that leads to fewer questions than this has found all in the cache (prefetching may go on).
const WARM_QUESTIONS_MAX: u64 = 20;
/// What a budget would keep from the origin is not what is compared here: none of the peers has one.
const ON_DEMAND: &str = "misses_per_s_max = 1000000\nmisses_in_flight_max = 4096\nclients_waiting_max = 65536\n";
/// A server that has just been started answers from the origin within this time.
const READY_DEADLINE: Duration = Duration::from_secs(30);

/// The network, with the origin that has the zone, and what counts the questions to it.
struct Rig {
    net: Network,
    origin: Named,
    questions: Counters,
    lab: Lab,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    load::need_two_cores()?;
    let mut samples = Samples::new("ondemand", options.subjects());
    progress("building the network, the zone and the questions");
    let rig = Rig::build(options.records())?;
    let wire = Wire::new(&rig.net, options.lane)?;
    let bench = Bench { rig: &rig, wire, lanes: options.lane, seconds: options.seconds() };
    for repeat in 1..=options.repeats() {
        for &subject in options.subjects() {
            progress(&format!("repeat {repeat} of {}: {}, hit rate", options.repeats(), subject.name()));
            let server = bench.start(subject)?;
            bench.measure_mix(&server, subject, &mut samples)?;
            progress(&format!("repeat {repeat} of {}: {}, CPU per hit", options.repeats(), subject.name()));
            bench.warm(&server)?;
            for &offered in options.loads() {
                bench.measure_hits(&server, subject, offered, &mut samples)?;
            }
            server.stop()?;
        }
    }
    if bench.wire.reaches_below() {
        samples.note(format!("cpu_per_answer, cpu_per_hit: {}.", load::ALL_OF_THE_CORE));
    }
    Ok(samples.finish())
}

impl Rig {
    fn build(names: u32) -> anyhow::Result<Rig> {
        let lab = Lab::new("bench-ondemand")?;
        let net = lab.build(&topology())?;
        let write = |name: &str, text: String| fs::write(lab.folder().join(name), text).context("writing questions");
        write(MIX, mix(names))?;
        write(HOT, hot())?;
        let zone = lab.folder().join("mix.zone");
        fs::write(&zone, zone_of(names)).context("writing the zone")?;
        let server = net.host("server").addresses();
        let questions = Counters::of_arrivals(net.host("origin"), &[("questions", server)])?;
        // It answers on the generator's core, as a machine of its own would: the server's core is the server's.
        let origin =
            Named::at(net.host("origin")).zone(ZoneSpec::file(ZONE, &zone)).core(Some(GENERATOR_CORE)).start()?;
        Ok(Rig { net, origin, questions, lab })
    }

    fn asked(&self) -> Result<u64, LabError> {
        self.questions.packets("questions")
    }
}

/// The network with what is the same for all subjects.
struct Bench<'r> {
    rig: &'r Rig,
    wire: Wire<'r>,
    lanes: Lanes,
    seconds: u32,
}

impl Bench<'_> {
    /// With an empty cache.
    fn start(&self, subject: Subject) -> anyhow::Result<Running> {
        let host = self.rig.net.host("server");
        let origin = self.rig.origin.v4();
        let core = Some(SERVER_CORE);
        let server: Running = match subject {
            Subject::Parapet => self.parapet(self.lanes)?,
            Subject::Sockets => self.parapet(Lanes::Sockets)?,
            Subject::Generic => self.parapet(Lanes::Generic)?,
            Subject::Dnsdist => Box::new(CachePeer::dnsdist(host, origin).zone(ZONE).core(core).start()?),
            Subject::Unbound => Box::new(CachePeer::unbound(host, origin).zone(ZONE).core(core).start()?),
            _ => {
                bail!("{} is no cache: --subjects parapet,sockets,generic,dnsdist,unbound", subject.name())
            }
        };
        let mut client = dns::Client::new(self.rig.net.host("client"), (server.v4(), dns::PORT).into())?;
        server.process().wait_until("its first answer from the origin", READY_DEADLINE, || {
            client.ask_once(ZONE, dns::Rtype::SOA, Duration::from_millis(500)).filter(|reply| reply.serial().is_some())
        })?;
        Ok(server)
    }

    fn parapet(&self, lanes: Lanes) -> Result<Running, LabError> {
        let host = self.rig.net.host("server");
        let edge = Edge::at(host);
        let state = edge.state_folder()?;
        let _ = fs::remove_dir_all(&state);
        let file = format!(
            "[node.edge]\nlisten = [\"{listen}:53\"]\nstate_dir = \"{state}\"\nworkers = 1\n{lanes}{defences}\
             [origin.bind]\naddresses = [\"{origin}\"]\n[zone.\"{ZONE}\"]\norigins = [\"bind\"]\nmode = \"on-demand\"\n\
             [zone.\"{ZONE}\".on_demand]\n{ON_DEMAND}",
            listen = host.v4(),
            state = state.display(),
            lanes = lanes.section("edge", CLIENTS),
            // Without a word on them, the lab's clients are exempt.
            defences = if self.wire.reaches_below() { UNLIMITED } else { "" },
            origin = self.rig.origin.v4(),
        );
        Ok(Box::new(edge.file(&file, "edge").core(Some(SERVER_CORE)).start()?))
    }

    fn measure_mix(&self, server: &Running, subject: Subject, samples: &mut Samples) -> Result<(), LabError> {
        let before = (self.rig.asked()?, self.wire.used(Some(server.process()))?);
        let load = self.offer(MIX, MIX_PER_S, MIX_SECONDS)?;
        let asked = self.rig.asked()?.saturating_sub(before.0) as f64;
        let used = self.wire.used(Some(server.process()))?.since(before.1);
        let case = format!("mix at {MIX_PER_S}/s");
        let name = subject.name();
        samples.add(name, &case, "hit_rate", 100.0 * (1.0 - asked / load.good.max(1.0)), "%");
        samples.add(name, &case, "origin_questions", asked / load.seconds, "1/s");
        samples.add(name, &case, "answered_share", 100.0 * load.good / load.sent.max(1.0), "%");
        samples.add(name, &case, "cpu_per_answer", used.us_per_answer(load.good), "µs");
        samples.add(name, &case, "resident", server.process().resident_bytes() as f64 / 1e6, "MB");
        Ok(())
    }

    /// Ask for the hot names until the origin is not asked any more.
    fn warm(&self, server: &Running) -> anyhow::Result<()> {
        for _ in 0..WARM_ROUNDS_MAX {
            let before = self.rig.asked()?;
            self.offer(HOT, WARM_PER_S, WARM_SECONDS)?;
            if self.rig.asked()? - before <= WARM_QUESTIONS_MAX {
                return Ok(());
            }
        }
        bail!("{} went on asking the origin for names that it should have", server.subject())
    }

    fn measure_hits(
        &self,
        server: &Running,
        subject: Subject,
        offered: u32,
        samples: &mut Samples,
    ) -> Result<(), LabError> {
        let before = self.wire.used(Some(server.process()))?;
        let load = self.offer(HOT, offered, self.seconds)?;
        let used = self.wire.used(Some(server.process()))?.since(before);
        let case = format!("hits, {offered}/s offered");
        let name = subject.name();
        samples.add(name, &case, "cpu_per_hit", used.us_per_answer(load.good), "µs");
        samples.add(name, &case, "hits_answered_share", 100.0 * load.good / load.sent.max(1.0), "%");
        samples.add(name, &case, "hits_answered", load.good / load.seconds, "1/s");
        Ok(())
    }

    fn offer(&self, questions: &str, rate_per_s: u32, seconds: u32) -> Result<Load, LabError> {
        self.wire.offer(&self.rig.lab.folder().join(questions), rate_per_s, seconds)
    }
}

/// `m000000`… with the TTLs of the mix, `h000000`… with the longest.
fn zone_of(names: u32) -> String {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut text = zone_text::head(ZONE);
    for number in 0..names {
        let [_, a, b, c] = number.to_be_bytes();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "m{number:06} {} A 10.{a}.{b}.{c}", choose(&mut random, &TTLS_S));
    }
    for number in 0..HOT_NAMES {
        let [_, a, b, c] = number.to_be_bytes();
        let _ = writeln!(text, "h{number:06} 3600 A 172.{a}.{b}.{c}");
    }
    text
}

/// One of these, by its share in percent.
fn choose<T: Copy + Default>(random: &mut Random, of: &[(T, u64)]) -> T {
    let mut left = random.number() % 100;
    let mut chosen = T::default();
    for &(one, percent) in of {
        chosen = one;
        match left.checked_sub(percent) {
            None => break,
            Some(more) => left = more,
        }
    }
    chosen
}

/// Questions by popularity, each asked once in a run; some for names that are not there.
fn mix(names: u32) -> String {
    let mut sums = Vec::with_capacity(names as usize);
    let mut sum = 0.0;
    for rank in 1..=names {
        sum += f64::from(rank).powf(-ZIPF_EXPONENT);
        sums.push(sum);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut text = String::new();
    for _ in 0..MIX_PER_S * MIX_SECONDS {
        let point = random.share() * sum;
        let rank = sums.partition_point(|sum| *sum < point).min(sums.len().saturating_sub(1));
        let letter = if random.number().is_multiple_of(ONE_MISSING_IN) { 'x' } else { 'm' };
        let rtype = if random.number().is_multiple_of(ONE_AAAA_IN) { "AAAA" } else { "A" };
        let _ = writeln!(text, "{letter}{rank:06}.{ZONE}. {rtype}{}", choose(&mut random, &FLAGS));
    }
    text
}

fn hot() -> String {
    (0..HOT_NAMES).map(|number| format!("h{number:06}.{ZONE}. A\n")).collect()
}

/// A generator of numbers that are the same in every run (Marsaglia's xorshift64*).
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.number() as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_popular_names_and_rare_ones() {
        assert_eq!(TTLS_S.iter().map(|(_, percent)| percent).sum::<u64>(), 100);
        assert_eq!(FLAGS.iter().map(|(_, percent)| percent).sum::<u64>(), 100);
        let questions = mix(1000);
        let asked = |name: &str| questions.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(questions.lines().count(), (MIX_PER_S * MIX_SECONDS) as usize);
        let (first, last) = (asked("m000000"), asked("m000999"));
        assert!(first > 100 * last && last > 0, "{first} {last}");
        let missing = asked("x");
        assert!((10_000..14_000).contains(&missing), "{missing}");
        let zone = zone_of(1000);
        let with_ttl = |ttl: &str| zone.lines().filter(|line| line.starts_with('m') && line.contains(ttl)).count();
        assert!((200..300).contains(&with_ttl(" 30 A")), "{}", with_ttl(" 30 A"));
    }
}
